"""What came to a host, looked at."""

import email
import email.policy
from email.message import EmailMessage

from tests.faxgw.mail.sending.far_hosts import Host
from tests.faxgw.mail.sending.far_side import CANARY, PAGE

HARMLESS = ("EHLO GATEWAY.EXAMPLE", "HELO GATEWAY.EXAMPLE", "STARTTLS", "QUIT")
"""All that may ever be said without TLS."""


def read(octets: bytes) -> EmailMessage:
    """Return a message as a mail program sees it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage) and not message.defects
    return message


def nothing_in_clear(host: Host) -> None:
    """Check every octet that a host was sent outside of TLS."""
    said = bytes(host.clear)
    for line in filter(None, said.split(b"\r\n")):
        if line[:1] == b"\x16":  # where a handshake begins, we are no longer talking SMTP
            break
        assert line.decode("ascii").upper() in HARMLESS
    assert CANARY.encode() not in said and PAGE[:16] not in said
