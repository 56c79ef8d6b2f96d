"""A mail, before it is a message: whom it goes to and what it says; nothing in it can become a header or a command."""

import re
from dataclasses import dataclass, field
from uuid import UUID

from faxgw.delivery.carrier import File, Refused
from faxgw.rules.mail import ascii_domain

MAX_ADDRESS = 254
MAX_SUBJECT = 200
_NAME = re.compile(r"[^\s\x00-\x1f\x7f\"(),:;<>@\[\\\].]+(\.[^\s\x00-\x1f\x7f\"(),:;<>@\[\\\].]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_FILE = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,199}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}(; smime-type=[a-z-]{1,40})?")


@dataclass(frozen=True, slots=True)
class Mail:
    """What one address is told.

    Attributes:
        id: names the message: the same at every try, so that one that came twice is known for one.
        to: one address.
        attachments: files with content; with them, it never goes where content may not. One that is S/MIME, a MIME
            entity encrypted, is the whole body: there is no text besides.
        sensitive: it has content, or secrets: where the next host can promise TLS all the way (REQUIRETLS), it must.
        unsubscribe: an address, https://..., by which such mails are stopped with one click (RFC 8058).
    """

    id: UUID
    tenant_id: UUID
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    attachments: tuple[File, ...] = ()
    sensitive: bool = False
    unsubscribe: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be sent as it is.

        Raises:
            Refused: ``mail.address``, ``mail.subject``, ``mail.attachment``.
        """
        checked_address(self.to)
        if not 0 < len(self.subject) <= MAX_SUBJECT or not self.subject.isprintable():
            raise Refused("mail.subject", f"A subject has 1 to {MAX_SUBJECT} visible characters.")
        if not all(_FILE.fullmatch(each.name) and _MEDIA_TYPE.fullmatch(each.media_type) for each in self.attachments):
            raise Refused("mail.attachment", "An attachment has a name, or a type, that cannot be written in a mail.")

    @property
    def domain(self) -> str:
        """Where it goes, in the form in which it is looked up."""
        return ascii_domain(self.to)

    @property
    def recipient(self) -> str:
        """The address as SMTP takes it; in ASCII, but for a name that cannot be."""
        return f"{self.to.rpartition('@')[0]}@{self.domain}"


def checked_address(text: str) -> str:
    """Return an address to which mail can be sent.

    Raises:
        Refused: ``mail.address``.
    """
    name, _, _ = text.rpartition("@")
    try:
        domain = ascii_domain(text)
    except ValueError:
        domain = ""
    if len(text) > MAX_ADDRESS or len(name) > 64 or not _NAME.fullmatch(name) or not _DOMAIN.fullmatch(domain):
        raise Refused("mail.address", "That is no address to which mail can be sent: write it as NAME@HOST.")
    return text
