"""DANE: certificates that a host's own DNS zone vouches for (TLSA), compared with those that it showed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

AUTHORITY, HOST = 2, 3
"""Usages that count for mail (RFC 7672): a certificate authority of the host's own, and its very certificate."""
_MATCHINGS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda octets: octets,
    1: lambda octets: hashlib.sha256(octets).digest(),
    2: lambda octets: hashlib.sha512(octets).digest(),
}
_SELECTORS = (0, 1)


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record: ``usage`` says whose certificate, ``selector`` what of it, ``matching`` how it is written."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """Whether mail can be proven by it."""
        return self.usage in (AUTHORITY, HOST) and self.selector in _SELECTORS and self.matching in _MATCHINGS


def is_proven(records: Sequence[Tlsa], chain: Sequence[bytes], *, host: str, now: datetime | None = None) -> bool:
    """Tell whether one of the records vouches for what a host showed.

    Args:
        records: of its zone, validated.
        chain: certificates in DER, the host's own first.
        host: its name, which must be in a certificate that an authority vouches for; the host's own record needs
            neither name nor dates, since the zone itself says whose it is.
        now: when.
    """
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain]
        return any(_fits(each, certificates, host, now or datetime.now(UTC)) for each in records if each.usable)
    except ValueError:  # what was shown, or recorded, is no certificate
        return False


def _fits(record: Tlsa, chain: list[x509.Certificate], host: str, now: datetime) -> bool:
    if record.usage == HOST:
        return bool(chain) and _is_it(record, chain[0])
    anchors = [each for each in chain[1:] if _is_it(record, each)]
    if (record.selector, record.matching) == (0, 0):  # the record has it whole, so the host need not show it
        anchors.append(x509.load_der_x509_certificate(record.data))
    return any(_leads_to(anchor, chain, host, now) for anchor in anchors)


def _is_it(record: Tlsa, certificate: x509.Certificate) -> bool:
    if record.selector == 0:
        octets = certificate.public_bytes(Encoding.DER)
    else:
        octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _MATCHINGS[record.matching](octets) == record.data


def _leads_to(anchor: x509.Certificate, chain: list[x509.Certificate], host: str, now: datetime) -> bool:
    verifier = PolicyBuilder().store(Store([anchor])).time(now).build_server_verifier(x509.DNSName(host))
    try:
        verifier.verify(chain[0], [each for each in chain[1:] if each != anchor])
    except VerificationError:
        return False
    return True
