"""The port between the submission server and what becomes of a message: who signs in, who is called, what is taken.

The server knows SMTP, TLS and limits; the desk knows devices, numbers and faxes. Neither does the other's work.
"""

from dataclasses import dataclass, field
from typing import Protocol

from faxgw.devices.device import Device


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        address: its network address, without a port.
        protocol: ``TLSv1.3`` or ``TLSv1.2``; empty: the connection is in clear.
        cipher: as OpenSSL names it; empty as above.
    """

    address: str
    protocol: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Submission:
    """One message, whole, from a device that has signed in.

    Attributes:
        sender: the reverse path, without angle brackets: where results may be mailed to, and nobody's identity. It can
            be empty.
        recipients: those that the desk has admitted, as they were given, without angle brackets, each once.
        content: the message with CR LF line ends, and no other CR, LF or NUL in it; dots are unstuffed.
    """

    device: Device
    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    peer: Peer


class Rejected(Exception):
    """What a desk will not do; the client is told why, in SMTP's words.

    Attributes:
        code: 4xx: later it may work; 5xx: it will not.
        enhanced: as in RFC 3463, of the same class as the code: ``5.7.1``.
        text: one line for people, without personal data.
    """

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(f"{code} {enhanced} {text}")
        self.code = code
        self.enhanced = enhanced
        self.text = text


class Desk(Protocol):
    """What the server asks; every answer may take its time, as long as it is not the loop's."""

    async def sign_in(self, login: str, secret: str, peer: Peer) -> Device | None:
        """Return whose credential it is; None: nobody's, or not good from this address.

        Raises:
            Rejected: it cannot be told now.
        """
        ...

    async def exposed(self, login: str, secret: str | None, peer: Peer) -> None:
        """Take note of a credential that crossed the network in clear; it was neither checked nor accepted.

        ``secret`` is None where only the login was seen. The connection is closed already: nothing is answered.
        """
        ...

    async def admit(self, device: Device, recipient: str) -> None:
        """Let a recipient pass, as it was given, without angle brackets; its domain is one that we answer for.

        Raises:
            Rejected: if it is none that this device may send to.
        """
        ...

    async def take(self, submission: Submission) -> str:
        """Take a message over, durably; return the text after ``250 2.0.0``, one line.

        Raises:
            Rejected: nothing of it is kept.
        """
        ...
