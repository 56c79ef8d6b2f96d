"""Who we are and whom we believe over TLS: contexts that always have the certificates that are in the files."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog

from t30.line import LineError

log = structlog.get_logger(__name__)

CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""AEAD with forward secrecy; TLS 1.3 has nothing else."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What TLS needs to know.

    Attributes:
        ca: certificates in PEM of who may sign those of peers; None: those that the system trusts.
        certificate: our own in PEM, with what is needed up to its root; without one nobody can connect to us.
        key: of that, in PEM without a password.
        mutual: whether a peer that connects to us has to have a certificate too.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mutual: bool = False


class Tls:
    """The contexts of both sides; a certificate that is renewed is used for the next connection."""

    def __init__(self, settings: TlsSettings) -> None:
        """Read the files.

        Raises:
            LineError: ``line.unavailable`` if one cannot be used.
        """
        self.settings = settings
        self._read = self._stamps()
        self._contexts = self._made()

    def connecting(self) -> ssl.SSLContext:
        """Return the context for connections that we open."""
        return self._fresh()[0]

    def connected(self) -> ssl.SSLContext:
        """Return the context for connections that are opened to us."""
        return self._fresh()[1]

    def _fresh(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        try:
            stamps = self._stamps()
            if stamps != self._read:
                self._contexts = self._made()
                self._read = stamps
        except LineError as error:
            log.error("certificate cannot be renewed", reason=str(error))
        return self._contexts

    def _made(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            for context in (ours, theirs):
                self._prepare(context)
            _believe(ours, self.settings.ca)
            if self.settings.mutual:
                _believe(theirs, self.settings.ca)
                theirs.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            files = ", ".join(str(file) for file in self._files())
            raise LineError(f"TLS: {files} cannot be used: {error}") from error
        return ours, theirs

    def _prepare(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS_1_2)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        if self.settings.certificate is not None:
            context.load_cert_chain(self.settings.certificate, self.settings.key, password=_no_password)

    def _files(self) -> list[Path]:
        settings = self.settings
        return [file for file in (settings.ca, settings.certificate, settings.key) if file is not None]

    def _stamps(self) -> list[int]:
        try:
            return [file.stat().st_mtime_ns for file in self._files()]
        except OSError as error:
            raise LineError(f"TLS: {error.filename} cannot be read: {error.strerror}") from error


def _believe(context: ssl.SSLContext, ca: Path | None) -> None:
    if ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca)


def _no_password() -> str:
    """Stand in for OpenSSL's prompt, which would wait at a terminal that a service does not have."""
    raise ValueError("the key is encrypted")
