"""What leaves encrypted, for places that nobody answers for: age, S/MIME, or a PDF that asks for its password.

Encryption takes chance, so the same fax is never encrypted to the same octets twice.
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import pikepdf
import pyrage
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options
from cryptography.x509.oid import ExtendedKeyUsageOID

from faxgw.delivery.targets import ByAge, ByPdf, BySmime, MailTarget, Sealing, Settings, TargetSecret
from faxgw.errors import RequestError

LEAST_RSA = 2048
"""Bits of a recipient's key."""
LEAST_PASSWORD = 16
"""Letters of a PDF's password. Whoever has the file can try passwords as fast as their machines go."""
LEAST_DIFFERENT = 8
MOST_PASSWORD = 127
"""Octets of a PDF's password that count (ISO 32000-2)."""

_LETTERS = string.ascii_letters + string.digits
_GENERATED = 24
_MAIL = (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file once it is encrypted; ``ending`` is added to its name."""

    content: bytes = field(repr=False)
    media_type: str
    ending: str


def is_protected(settings: Settings) -> bool:
    """Tell whether what lies there is encrypted: by us, or as somebody has attested."""
    return settings.sealing is not None or settings.attested


def check_sealing(settings: Settings, secret: TargetSecret, *, now: datetime | None = None) -> None:
    """Check that a target's files can be encrypted as its settings say: before they are saved, and before each file.

    Raises:
        RequestError: ``target.recipient``, ``target.certificate`` or ``target.pdf_password``.
    """
    sealing = settings.sealing
    if isinstance(sealing, ByAge):
        for each in sealing.recipients:
            _recipient(each)
    elif isinstance(sealing, BySmime):
        certificates_of(sealing.certificates, now=now or datetime.now(UTC))
    elif isinstance(sealing, ByPdf):
        _check_password(secret.pdf_password)


def new_pdf_password() -> str:
    """Return a password for PDFs that nobody guesses: 142 bits of chance."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_GENERATED))


def sealed(content: bytes, media_type: str, *, settings: Settings, secret: TargetSecret) -> Sealed:
    """Encrypt a file as a target says; blocks for as long as that takes. Without any sealing it stays what it is.

    Raises:
        RequestError: as ``check_sealing``.
    """
    check_sealing(settings, secret)
    sealing = settings.sealing
    if sealing is None:
        return Sealed(content, media_type, "")
    return _sealed(content, sealing, secret, as_mail=isinstance(settings, MailTarget), media_type=media_type)


def _sealed(content: bytes, sealing: Sealing, secret: TargetSecret, *, as_mail: bool, media_type: str) -> Sealed:
    if isinstance(sealing, ByAge):
        recipients = [_recipient(each) for each in sealing.recipients]
        return Sealed(pyrage.encrypt(content, recipients), "application/age", ".age")
    if isinstance(sealing, BySmime):
        inner = _entity(content, media_type) if as_mail else content
        said = "application/pkcs7-mime; smime-type=enveloped-data"
        return Sealed(enveloped(inner, certificates_of(sealing.certificates, now=datetime.now(UTC))), said, ".p7m")
    return Sealed(_encrypted_pdf(content, secret.pdf_password), media_type, "")


def enveloped(content: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """Return content as CMS enveloped data (AES-256-CBC) in DER: whoever has the key of a certificate opens it."""
    builder = PKCS7EnvelopeBuilder().set_data(content).set_content_encryption_algorithm(AES256)
    for each in certificates:
        builder = builder.add_recipient(each)
    return builder.encrypt(Encoding.DER, [PKCS7Options.Binary])


def certificates_of(given: Sequence[str], *, now: datetime) -> list[x509.Certificate]:
    """Return the certificates of recipients.

    Raises:
        RequestError: ``target.certificate``, if one is none, is not valid now, or not for encryption.
    """
    found: list[x509.Certificate] = []
    for text in given:
        try:
            certificate = x509.load_pem_x509_certificate(text.encode())
            fault = _fault(certificate, now)
        except ValueError:
            fault = "cannot be read: one certificate is wanted, in PEM"
        if fault:
            raise RequestError("target.certificate", f"The certificate {len(found) + 1} {fault}.")
        found.append(certificate)
    return found


def _fault(certificate: x509.Certificate, now: datetime) -> str:
    """Return what forbids to encrypt to a certificate; empty: nothing."""
    key = certificate.public_key()
    if not now < certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on"
    if not isinstance(key, RSAPublicKey):
        return "has no RSA key: only to those can be encrypted"
    if key.key_size < LEAST_RSA:
        return f"has a key of {key.key_size} bits: {LEAST_RSA} are the least"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_encipherment:
        return "is not for encryption: its key usage lacks key encipherment"
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not any(each in purposes for each in _MAIL):
        return "is not for mail: its extended key usage lacks e-mail protection"
    return ""


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _entity(content: bytes, media_type: str) -> bytes:
    """Return a file as a MIME entity, which is what a mail program finds in an encrypted message."""
    entity = EmailMessage()
    main, _, sub = media_type.partition("/")
    entity.set_content(content, main, sub, disposition="attachment", filename=f"fax.{sub.replace('tiff', 'tif')}")
    del entity["MIME-Version"]
    return entity.as_bytes(policy=entity.policy.clone(linesep="\r\n"))


def _encrypted_pdf(content: bytes, password: str) -> bytes:
    out = BytesIO()
    with pikepdf.open(BytesIO(content)) as pdf:
        # Another password for owners: who has the one that opens it has no need of it, and nobody else gets one.
        by = pikepdf.Encryption(user=password, owner=new_pdf_password(), R=6, aes=True, metadata=True)
        pdf.save(out, encryption=by)
    return out.getvalue()


def _recipient(text: str) -> Any:
    try:
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        return kind.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        reason = f"{text[:80]!r} is no public key of age: it begins with age1, or is an SSH key (RSA or Ed25519)."
        raise RequestError("target.recipient", reason) from None


def _check_password(password: str) -> None:
    if len(password) < LEAST_PASSWORD or len(set(password)) < LEAST_DIFFERENT:
        reason = (
            f"A PDF's password has {LEAST_PASSWORD} letters or more, and at least {LEAST_DIFFERENT} different ones."
        )
        raise RequestError("target.pdf_password", reason)
    if len(password.encode()) > MOST_PASSWORD:
        raise RequestError("target.pdf_password", f"A PDF's password has {MOST_PASSWORD} octets at the most.")
