"""Notices that are due by the clock: certificates that are about to expire, and what retention deletes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import distinct, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.config import Config
from faxgw.delivery.targets import SETTINGS, BySmime
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.notices.telling import Role, notify
from faxgw.retention.holding import is_held
from faxgw.retention.rules import box_rules, dues
from faxgw.store.tables import certificates, faxes, targets, tenants

log = structlog.get_logger(__name__)

STEPS = (30, 14, 7, 1)
"""Days before the end of a certificate at which it is told of."""
WEEK = timedelta(days=7)
MONDAY = 0


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a certificate ends; the name is that of a host, or its fingerprint: an S/MIME certificate names a person."""

    what: str
    name: str
    fingerprint: str
    until: datetime
    target: str = ""

    def days(self, now: datetime) -> int:
        """Return the whole days that are left; less than 0: it has expired."""
        return (self.until - now) // timedelta(days=1)

    def step(self, now: datetime) -> int | None:
        """Return for which of ``STEPS`` it is time; each has two days, in case the gateway was down on one."""
        return next((step for step in STEPS if step - 2 < self.days(now) <= step), None)


async def tell_what_is_due(gateway: Gateway, *, now: datetime) -> None:
    """Tell of certificates, every day; and of what retention has deleted and is going to, every Monday."""
    async with gateway.database.dispatcher() as connection:
        found = (await connection.execute(select(tenants.c.id).order_by(tenants.c.id))).scalars().all()
    own = list(own_certificates(gateway.config))
    for tenant_id in found:
        async with gateway.database.dispatcher() as connection:
            await _tell_of_certificates(connection, tenant_id, own, now)
            if now.weekday() == MONDAY:
                await _tell_of_retention(connection, tenant_id, now)


# -------------------------------------------------------------------------------------------------------- certificates


def own_certificates(config: Config) -> Iterator[Expiry]:
    """Go through the certificates that were given to this gateway; those of its own it renews by itself."""
    if config.api.certificate is not None:
        yield from _of_file("the API", config.api.certificate)
    if config.submission.enabled and config.submission.certificate is not None:
        yield from _of_file("the submission server", config.submission.certificate)


def _of_file(what: str, path: Path) -> Iterator[Expiry]:
    try:
        yield expiry_of(what, path.read_text())
    except (OSError, ValueError) as error:
        log.warning("a certificate cannot be looked at", file=path, reason=str(error))


def expiry_of(what: str, pem: str, *, target: str = "") -> Expiry:
    """Return when the first certificate of a PEM ends.

    Raises:
        ValueError: if there is none.
    """
    certificate = x509.load_pem_x509_certificate(pem.encode())
    fingerprint = certificate.fingerprint(SHA256()).hex()
    hosts = () if target else _hosts(certificate)
    name = ", ".join(hosts)[:200] or f"SHA-256 {fingerprint[:16]}"
    return Expiry(what, name, fingerprint, certificate.not_valid_after_utc, target)


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


async def target_certificates(connection: AsyncConnection, tenant_id: UUID) -> list[Expiry]:
    """Return the certificates that a tenant's targets encrypt to."""
    mine = (targets.c.tenant_id == tenant_id, targets.c.retired_at.is_(None), targets.c.enabled)
    found = []
    for row in await connection.execute(select(targets.c.id, targets.c.kind, targets.c.settings).where(*mine)):
        sealing = SETTINGS.validate_python(row.settings).sealing
        for pem in sealing.certificates if isinstance(sealing, BySmime) else ():
            try:
                found.append(expiry_of("a recipient of S/MIME", pem, target=f"{row.id} ({row.kind})"))
            except ValueError:
                log.warning("a target has a certificate that is none", target=row.id)
    return found


async def _tell_of_certificates(connection: AsyncConnection, tenant_id: UUID, own: list[Expiry], now: datetime) -> None:
    for each in [*own, *await target_certificates(connection, tenant_id)]:
        step = each.step(now)
        if step is None:
            continue
        data = {"what": each.what, "subject": each.name, "expires": f"{each.until:%Y-%m-%d %H:%M} UTC"}
        data |= {"target": each.target} if each.target else {}
        await notify(
            connection,
            tenant_id,
            kind="certificate",
            key=f"{each.fingerprint[:32]} {each.target} {step}",
            to=Role.ADMINS,
            data={**data, "days": each.days(now)},
        )


# ----------------------------------------------------------------------------------------------------------- retention


async def _tell_of_retention(connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
    gone = await _gone(connection, tenant_id, now - WEEK)
    going, of_boxes = await _going(connection, tenant_id, now + WEEK)
    if gone:
        at = f"the week until {now:%Y-%m-%d}"
        await _tell(connection, tenant_id, f"{now:%Y-%m-%d} done", {"count": gone, "at": at, "done": True})
    if going:
        said = {"count": going, "at": f"{now + WEEK:%Y-%m-%d}", "done": False, "boxes": of_boxes}
        await _tell(connection, tenant_id, f"{now:%Y-%m-%d} due", said)


async def _tell(connection: AsyncConnection, tenant_id: UUID, key: str, data: dict[str, object]) -> None:
    await notify(connection, tenant_id, kind="retention", key=key, to=Role.ADMINS, data=data)


async def _gone(connection: AsyncConnection, tenant_id: UUID, since: datetime) -> int:
    """Return how many faxes were deleted by rules of retention."""
    said = certificates.c.said
    by_rule = (
        said["why"].astext == "retention",
        said["rule"].astext.not_like("records:%"),
    )  # not records: these had no content
    mine = (certificates.c.tenant_id == tenant_id, certificates.c.created_at > since)
    found = select(func.count()).select_from(certificates).where(*mine, *by_rule)
    return int((await connection.execute(found)).scalar_one())


async def _going(connection: AsyncConnection, tenant_id: UUID, until: datetime) -> tuple[int, int]:
    """Return how many faxes are deleted until then by rules of retention, as they are now, and of how many boxes."""
    policy = (await tenant_of(connection, tenant_id)).policy.retention
    found = dues(await box_rules(connection, tenant_id, policy), policy, now=until)
    of_content = [each.condition(until) for each in found if each.code == "retention" and each.shredded_before is None]
    counts = (func.count(distinct(faxes.c.id)), func.count(distinct(faxes.c.box_id)))
    mine = (faxes.c.tenant_id == tenant_id, faxes.c.storage != "none", ~is_held())
    row = (await connection.execute(select(*counts).where(*mine, or_(*of_content)))).one()
    return row[0], row[1]
