"""Certificates for tests: an authority, and what it signs."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from drivers.sip.tls import TlsSettings

DAY = timedelta(days=1)


class Authority:
    """Signs certificates; its own is in ``ca``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        now = datetime.now(UTC)
        own = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, SHA256())
        )
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(own.public_bytes(Encoding.PEM))

    def settings(
        self, *names: str, ends: timedelta = DAY, believes: "Authority | None" = None, mutual: bool = False
    ) -> TlsSettings:
        """Return settings with a certificate for names or addresses; without any, with no certificate."""
        ca = (believes or self).ca
        if not names:
            return TlsSettings(ca=ca, mutual=mutual)
        certificate, key = self._folder / f"{names[0]}.pem", self._folder / f"{names[0]}.key"
        self.sign(certificate, key, *names, ends=ends)
        return TlsSettings(ca=ca, certificate=certificate, key=key, mutual=mutual)

    def sign(self, certificate: Path, key: Path, *names: str, ends: timedelta = DAY) -> None:
        """Write a certificate and its key."""
        private = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(self._name, _named(names[0]), private.public_key(), x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .sign(self._key, SHA256())
        )
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        certificate.write_bytes(made.public_bytes(Encoding.PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
