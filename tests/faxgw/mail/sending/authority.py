"""Certificates of mail hosts: of an authority, expired, of nobody, and what TLSA records say of them."""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


class Authority:
    """Signs certificates; its own is in ``path``, in PEM."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self._name = folder, _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS, critical=True)
            .sign(self._key, SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def context(self, *names: str, ends: timedelta = DAY, self_signed: bool = False) -> ssl.SSLContext:
        """Return what a server of these names needs; ``SHOWN`` has what it shows."""
        chain = self.chain(*names, ends=ends, self_signed=self_signed)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        SHOWN[context] = shown(chain)
        return context

    def chain(self, *names: str, ends: timedelta = DAY, self_signed: bool = False) -> Path:
        """Write a key, a certificate for it with these names, and ours; return where."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(names[0])
        issuer, signs = (subject, key) if self_signed else (self._name, self._key)
        made = (
            _builder(subject, issuer, key.public_key(), ends=ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signs.public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(signs, SHA256())
        )
        chain = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
        chain.write_bytes(octets if self_signed else octets + self.certificate.public_bytes(Encoding.PEM))
        return chain


SHOWN: dict[ssl.SSLContext, x509.Certificate] = {}
"""What each context shows."""


def shown(chain: Path) -> x509.Certificate:
    """Return the certificate that the holder of a chain shows."""
    return x509.load_pem_x509_certificates(chain.read_bytes())[0]


def tlsa(certificate: x509.Certificate, *, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
    """Return a TLSA record, as text."""
    octets = (
        certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if selector
        else certificate.public_bytes(Encoding.DER)
    )
    data = (octets, hashlib.sha256(octets).digest(), hashlib.sha512(octets).digest())[matching]
    return f"{usage} {selector} {matching} {data.hex()}"


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, ends: timedelta = DAY
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
