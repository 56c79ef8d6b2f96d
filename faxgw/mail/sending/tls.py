"""What TLS may be spoken to other mail hosts, and what was spoken."""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faxgw.tls import CIPHERS_1_2
from faxgw.webhooks.posting import tls_context

_DER = 2
"""``_ssl.ENCODING_DER``: the binary form of a certificate."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The TLS of one connection; ``peer`` is the SHA-256 of the other side's certificate, in hexadecimal digits."""

    protocol: str
    cipher: str
    peer: str


class Contexts:
    """The ways to begin TLS: 1.2 with AEAD and forward secrecy, or 1.3, with the other side verified or not.

    Attributes:
        verified: with a mail host, whose certificate is for its name.
        open: with a mail host that may show anything.
        web: with a server of policies; HTTP libraries write into it what HTTP wants, which mail hosts must not be told.
    """

    def __init__(self, trust: Path | None) -> None:
        """Take authorities besides the public ones.

        Raises:
            OSError: if they cannot be read.
            ssl.SSLError: if they are no certificates.
        """
        self.verified, self.web = _strict(tls_context(trust)), _strict(tls_context(trust))
        if trust is not None:  # an authority that is not the topmost one, or the certificate itself
            self.verified.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self.open = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.open.check_hostname = False
        self.open.verify_mode = ssl.CERT_NONE


def spoken(connection: ssl.SSLObject) -> Spoken:
    """Return what was agreed on in a handshake that is over."""
    cipher, certificate = connection.cipher(), connection.getpeercert(binary_form=True) or b""
    return Spoken(connection.version() or "", cipher[0] if cipher else "", hashlib.sha256(certificate).hexdigest())


def chain(connection: Any) -> list[bytes]:
    """Return the certificates that the other side sent, its own first, in DER; nothing of them was verified."""
    if hasattr(connection, "get_unverified_chain"):  # from Python 3.13 on
        return list(connection.get_unverified_chain())
    return [each.public_bytes(_DER) for each in connection._sslobj.get_unverified_chain()]


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context
