"""One try: what a parcel is made of, whether it may still go, and the carrier that takes it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreError
from faxgw.boxes.access import allowed
from faxgw.delivery.carrier import Parcel, Proof, Refused, Unreachable
from faxgw.delivery.carriers import carrier_for, notice_carrier
from faxgw.delivery.files import files_of
from faxgw.delivery.guarding import protects
from faxgw.delivery.queue import DELETE, FAX
from faxgw.delivery.targets import Target
from faxgw.errors import RequestError
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.keys.tokens import SmallSealBroken
from faxgw.retention.holding import is_held
from faxgw.store.tables import boxes, faxes, targets


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a try that went well.

    Attributes:
        proof: how it went.
        sha256: of the fax as it was handed over; empty: a notice, word of a fax, or something that was taken back.
        target: where.
        gone: of something that was to be taken back: it was not there any more.
    """

    proof: Proof
    sha256: bytes = b""
    target: Target | None = None
    gone: bool = False


async def carry(gateway: Gateway, row: RowMapping) -> Carried:
    """Try to carry a parcel.

    Raises:
        Unreachable, Refused, NotProtected: as of a carrier.
        DatabaseUnavailable: then nothing is known.
    """
    if row["kind"] == FAX:
        return await _carry_fax(gateway, row)
    if row["kind"] == DELETE:
        return await _take_back(gateway, row)
    return Carried(await notice_carrier(gateway).carry(row))


async def _carry_fax(gateway: Gateway, row: RowMapping) -> Carried:
    tenant_id: UUID = row["tenant_id"]
    within = gateway.config.delivery.timeout
    try:
        async with gateway.database.tenant(tenant_id, within=within) as connection:
            target = await _target(connection, gateway, row["target_id"])
            fax = await _fax(connection, row["fax_id"])
            await _check(connection, fax, target)
            files, words = await files_of(connection, gateway, fax, format=row["format"], target=target)
    except RequestError as fault:
        raise Refused(fault.code, fault.reason) from fault
    except StoreError as fault:
        raise Unreachable("storage.failed", "the store cannot be read now") from fault
    proof = await carrier_for(target, gateway).carry(Parcel(row["id"], tenant_id, files, words))
    return Carried(proof, files[0].sha256 if proof.content else b"", target)


async def _take_back(gateway: Gateway, row: RowMapping) -> Carried:
    said = row["data"]
    async with gateway.database.tenant(row["tenant_id"]) as connection:
        target = await _target(connection, gateway, row["target_id"], retired=True)
        held = select(faxes.c.id).where(faxes.c.id == UUID(said["fax"]), is_held())
        if (await connection.execute(held)).first() is not None:
            raise Unreachable("hold.active", "a legal hold is over the fax, and so over its copies")
    there = await carrier_for(target, gateway).take_back(said["path"], bytes.fromhex(said["sha256"]))
    decision = "deleted" if there else "not there any more"
    proof = Proof("", "", "", False, decision, "", datetime.now(UTC))
    return Carried(proof, target=target, gone=not there)


async def _target(connection: AsyncConnection, gateway: Gateway, target_id: UUID, *, retired: bool = False) -> Target:
    found = await connection.execute(select(targets).where(targets.c.id == target_id))
    row = found.mappings().one_or_none()
    if row is None or (row["retired_at"] is not None and not retired):
        raise Refused("target.retired", "the target was deleted")
    try:
        return Target.of(row, gateway.server_keys)
    except SmallSealBroken as broken:
        raise Refused("target.secret", "its secret cannot be opened with this server's keys: give it again") from broken


async def _fax(connection: AsyncConnection, fax_id: UUID) -> RowMapping:
    fax = (await connection.execute(select(faxes).where(faxes.c.id == fax_id))).mappings().one_or_none()
    if fax is None or fax["page_set_id"] is None:
        raise Refused("content.gone", "the content of the fax was deleted")
    return fax


async def _check(connection: AsyncConnection, fax: RowMapping, target: Target) -> None:
    """See to it that nothing leaves which the policy does not let leave now, whatever it was before."""
    asked = select(allowed("allow_forwarding", fax["tenant_id"]), boxes.c.data_class).where(boxes.c.id == fax["box_id"])
    may, data_class = (await connection.execute(asked)).one()
    if not may:
        raise Refused("policy.denied", "the tenant's policy lets nobody forward faxes (allow_forwarding is off)")
    policy = (await tenant_of(connection, fax["tenant_id"])).policy.retention
    if not protects(target.settings, data_class, policy):
        raise Refused("target.unprotected", "the box has personal data, and the target neither seals nor is attested")
