"""The certificate of the listeners, made on the first start where none is given, and what TLS may be spoken."""

import asyncio
import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from faxgw.errors import RequestError

log = structlog.get_logger(__name__)

VALID = timedelta(days=824)
"""A day less than browsers and operating systems accept of a certificate that was installed by hand."""
RENEW = timedelta(days=30)
"""How long before its end a certificate of our own is made anew."""
LOOK_AGAIN = 3600.0
"""Seconds between two looks at the files of a certificate."""
CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""AEAD with forward secrecy; TLS 1.3 has nothing else."""


class TlsSettings(Protocol):
    """What the settings of a listener say of its TLS."""

    @property
    def certificate(self) -> Path | None:
        """Its certificate chain; None: one is made."""
        ...

    @property
    def certificate_key(self) -> Path | None:
        """Its key."""
        ...

    @property
    def tls_minimum(self) -> str:
        """The oldest version: 1.2 or 1.3."""
        ...


class ServerTls:
    """The TLS of a listener: its context always has the certificate that is in the files."""

    def __init__(self, settings: TlsSettings, data_dir: Path) -> None:
        """Load the certificate, or make one.

        Raises:
            RequestError: ``config.invalid`` if the given certificate or key cannot be used.
        """
        self._own = settings.certificate is None
        folder = data_dir / "tls"
        self.certificate = settings.certificate or folder / "cert.pem"
        self.key = settings.certificate_key or folder / "key.pem"
        self._renew_if_own()
        self.context = listener_context(settings.tls_minimum)
        self.context.set_alpn_protocols(["http/1.1"])
        self._contexts = [self.context]
        self._loaded = self._stamp()
        self._load()

    def certify(self, context: ssl.SSLContext) -> None:
        """Give the context of another listener the same certificate, now and whenever it is renewed."""
        context.load_cert_chain(self.certificate, self.key, password=_no_password)
        self._contexts.append(context)

    def refresh(self, now: datetime | None = None) -> bool:
        """Take up a certificate that was renewed, our own or a given one; return whether there was one.

        Connections that are open keep what they have.

        Raises:
            RequestError: ``config.invalid`` if it cannot be used; the one before stays.
        """
        self._renew_if_own(now)
        stamp = self._stamp()
        if stamp == self._loaded:
            return False
        self._load()
        self._loaded = stamp
        return True

    async def watch(self) -> None:
        """Refresh from time to time until cancelled."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            try:
                if await asyncio.to_thread(self.refresh):
                    log.info("certificate renewed", file=self.certificate)
            except (RequestError, OSError) as fault:
                log.error("certificate cannot be renewed", file=self.certificate, reason=str(fault))

    def _renew_if_own(self, now: datetime | None = None) -> None:
        if self._own and not _usable(self.certificate, self.key, now or datetime.now(UTC)):
            make_certificate(self.certificate, self.key, now=now)

    def _stamp(self) -> tuple[int, int]:
        try:
            return self.certificate.stat().st_mtime_ns, self.key.stat().st_mtime_ns
        except OSError as error:
            raise RequestError("config.invalid", f"{error.filename} cannot be read: {error.strerror}") from None

    def _load(self) -> None:
        try:
            # A context that was given a certificate without its key is of no use any more, so it is tried elsewhere.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *self._contexts):
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise RequestError(
                "config.invalid",
                f"{self.certificate} and {self.key} are no certificate with its key in PEM without a password: {error}",
            ) from None


def make_certificate(certificate: Path, key: Path, *, now: datetime | None = None) -> None:
    """Make a self-signed certificate for this machine; each file appears whole, the key readable for us alone.

    A pair that does not match, left by a crash between the two files, is made anew on the next start.
    """
    certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = ec.generate_private_key(ec.SECP256R1())
    made = _certificate(private, now or datetime.now(UTC))
    octets = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(key, octets, mode=0o600)
    _write(certificate, made.public_bytes(Encoding.PEM), mode=0o644)


def _certificate(private: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    host = socket.gethostname()
    names = list(dict.fromkeys(["localhost", *([host.lower()] if _is_dns_name(host) else [])]))
    addresses = [ipaddress.ip_address(each) for each in ("127.0.0.1", "::1")]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[-1][:64])])
    public = private.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return (
        x509.CertificateBuilder(subject, subject, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clients' clocks differ
        .not_valid_after(now + VALID)
        .add_extension(
            x509.SubjectAlternativeName([*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(private, SHA256())
    )


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _is_dns_name(name: str) -> bool:
    return name.isascii() and all(part and part.replace("-", "").isalnum() for part in name.split("."))


def _write(path: Path, octets: bytes, *, mode: int) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _usable(certificate: Path, key: Path, now: datetime) -> bool:
    """Return whether a certificate of our own is there, fits its key and does not end soon."""
    try:
        ours = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = ours.public_key().public_bytes(*form) == private.public_key().public_bytes(*form)
    return fits and ours.not_valid_before_utc <= now < ours.not_valid_after_utc - RENEW


def listener_context(minimum: str) -> ssl.SSLContext:
    """Return the TLS that a listener speaks, without a certificate; ``minimum``: its oldest version, 1.2 or 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if minimum == "1.2":
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _no_password() -> str:
    """Stand in for OpenSSL's prompt, which would wait at a terminal that a service does not have."""
    raise ValueError("the key is encrypted")
