"""A mail as the octets of a message: headers that tell nothing of the inside; text and files, or S/MIME as the body."""

import base64
from datetime import datetime
from email import policy as policies
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime

from faxgw.delivery.carrier import File
from faxgw.mail.sending.mail import Mail

SMIME = "application/pkcs7-mime"
"""What is encrypted as a whole message."""


def message_octets(mail: Mail, *, sender: str, sender_name: str, now: datetime) -> bytes:
    """Return a message with CRLF at the end of each line and, but for addresses that cannot be, in ASCII."""
    policy = policies.SMTP if mail.recipient.isascii() else policies.SMTPUTF8
    inside = _inside(mail)
    outside = EmailMessage(policy)
    outside["Date"] = format_datetime(now)
    outside["From"] = Address(sender_name, addr_spec=sender)
    outside["To"] = mail.recipient
    outside["Subject"] = mail.subject
    outside["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    outside["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe:
        outside["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        outside["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    outside["MIME-Version"] = "1.0"
    for name, value in inside.items():
        outside[name] = value
    outside.set_payload(inside.get_payload())
    return outside.as_bytes()


def _inside(mail: Mail) -> MIMEPart:
    if len(mail.attachments) == 1 and mail.attachments[0].media_type.startswith(SMIME):
        return _file(mail.attachments[0])
    text = _text(mail.text)
    if not mail.attachments:
        return text
    whole = MIMEPart(policies.SMTP)
    whole["Content-Type"] = "multipart/mixed"
    for part in (text, *(_file(each) for each in mail.attachments)):
        whole.attach(part)
    # What separates the parts is the same at every try; no line of base64 or quoted-printable begins with it.
    whole.set_boundary(f"=-{mail.id.hex}")
    return whole


def _text(text: str) -> MIMEPart:
    part = MIMEPart(policies.SMTP)
    part.set_content(text, charset="utf-8", cte="quoted-printable")
    return part


def _file(file: File) -> MIMEPart:
    part = MIMEPart(policies.SMTP)
    part["Content-Type"] = file.media_type
    part.set_param("name", file.name)
    part["Content-Disposition"] = "attachment"
    part.set_param("filename", file.name, header="Content-Disposition")
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(_lines(file.content))
    return part


def _lines(octets: bytes) -> str:
    return base64.encodebytes(octets).decode("ascii")
