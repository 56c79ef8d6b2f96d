"""What the tests of files that leave make: certificates, and faxes as they come in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlalchemy import select

from faxgw.delivery.carrier import File
from faxgw.delivery.files import Format, files_of
from faxgw.delivery.targets import SETTINGS, Target, TargetSecret
from faxgw.gateway import Gateway
from faxgw.store.tables import faxes
from tests.faxgw.api.people import Person

TARGET = UUID("0198f2b5-0000-7000-8000-0123456789ab")

USUAL: tuple[x509.ExtensionType, ...] = (
    x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=True, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    ),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
)  # fmt: skip


@dataclass(frozen=True)
class Holder:
    """A certificate for mail, and its key, in PEM."""

    certificate: str
    key: str


def holder(*, bits: int = 2048, days: int = 30, begins: int = -1, extensions: Any = USUAL) -> Holder:
    """Make somebody who can be encrypted to; 0 bits: with a key on an elliptic curve."""
    key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "reader")]), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now + timedelta(days=begins))
    made = made.not_valid_after(now + timedelta(days=days))
    for each in extensions:
        made = made.add_extension(each, critical=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Holder(made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode(), pem.decode())


async def leaving(
    gateway: Gateway,
    person: Person,
    fax_id: object,
    settings: Mapping[str, Any],
    *,
    format: Format = "pdf",
    secret: TargetSecret | None = None,
    target_id: UUID = TARGET,
) -> tuple[tuple[File, ...], Mapping[str, Any]]:
    """Return a fax as the files that a target with these settings gets."""
    async with gateway.database.tenant(person.tenant_id) as connection:
        row = (await connection.execute(select(faxes).where(faxes.c.id == fax_id))).mappings().one()
        given = SETTINGS.validate_python(settings)
        target = Target(target_id, person.tenant_id, "a target", given, secret or TargetSecret())
        return await files_of(connection, gateway, row, format=format, target=target)
