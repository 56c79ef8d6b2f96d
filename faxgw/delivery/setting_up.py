"""What people do with targets: make, change, try out, retire; each within a transaction of the tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.delivery.carrier import NotCarried, Proof, Refused
from faxgw.delivery.carriers import carrier_for
from faxgw.delivery.protection import check_sealing
from faxgw.delivery.queue import CANCELED, FAX, OPEN
from faxgw.delivery.targets import (
    AnySettings,
    ScpTarget,
    SftpTarget,
    Target,
    TargetSecret,
)
from faxgw.errors import RequestError
from faxgw.faxes.needing import let_pages_go
from faxgw.folders import checking
from faxgw.folders.ssh import HostKey, host_key_of
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.store.tables import copies, delivery_rules, faxes, parcels, targets


class TargetRequest(BaseModel):
    """A target as it is to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        description="Its name.", examples=["Records office"]
    )
    settings: AnySettings = Field(description="What and where it is, and how it is protected.")
    secret: TargetSecret | None = Field(
        default=None,
        description="What opens it; never shown again. null: as before; `{}`: none. Where the kind, host or user "
        "changes, it must be given anew.",
    )
    enabled: bool = Field(default=True, description="Whether anything is delivered there now; what waits, waits on.")


@dataclass(frozen=True, slots=True)
class Tried:
    """What trying a target out came to.

    Attributes:
        shown: the key that the host shows, where that may be what is wrong.
    """

    proof: Proof | None = None
    fault: NotCarried | None = None
    shown: HostKey | None = None


async def create(connection: AsyncConnection, gateway: Gateway, actor: Actor, asked: TargetRequest) -> RowMapping:
    """Set a target up; return its row.

    Raises:
        RequestError: ``target.*``.
    """
    target_id, secret = new_id(), asked.secret or TargetSecret()
    check(gateway, Target(target_id, actor.tenant_id, asked.name, asked.settings, secret))
    row = {"id": target_id, "tenant_id": actor.tenant_id, "created_by": actor.user_id, **_values(asked)}
    row["secret"] = secret.sealed(gateway.server_keys, target_id)
    made: RowMapping = (await connection.execute(insert(targets).values(row).returning(targets))).mappings().one()
    return made


def values_of(gateway: Gateway, before: Mapping[Any, Any], asked: TargetRequest) -> dict[str, Any]:
    """Return what changes in the row of a target.

    Raises:
        RequestError: ``target.*``; ``target.secret`` where the old secret would go to another place.
    """
    values = _values(asked)
    if asked.secret is None:
        if _place(before["settings"]) != _place(values["settings"]) and before["secret"]:
            raise RequestError(
                "target.secret", "The target leads elsewhere now: give its secret anew, or `{}` for none."
            )
        secret = TargetSecret.opened(gateway.server_keys, before["id"], before["secret"])
    else:
        secret = asked.secret
        values["secret"] = secret.sealed(gateway.server_keys, before["id"])
    check(gateway, Target(before["id"], before["tenant_id"], asked.name, asked.settings, secret))
    return values


def check(gateway: Gateway, target: Target) -> None:
    """Check all of a target that can be checked without asking anybody.

    Raises:
        RequestError: ``target.*``.
    """
    check_sealing(target.settings, target.secret)
    checking.check(target, gateway.config.delivery)


async def try_out(gateway: Gateway, target: Target) -> Tried:
    """Have a target's carrier show that it can hand something over; nothing of a fax goes there, nothing stays."""
    try:
        probe = getattr(carrier_for(target, gateway), "probe", None)
        if probe is None:
            raise Refused("delivery.kind", "Such targets cannot be tried out without a fax.")
        return Tried(proof=await probe())
    except NotCarried as fault:
        return Tried(fault=fault, shown=await _shown(gateway, target))


async def retire(connection: AsyncConnection, target_id: UUID) -> None:
    """Deliver nothing there any more; it is kept, unseen, while there are copies that are to be deleted some day."""
    retired = update(targets).where(targets.c.id == target_id)
    await connection.execute(retired.values(retired_at=func.now(), version=targets.c.version + 1))
    await connection.execute(delete(delivery_rules).where(delivery_rules.c.target_id == target_id))
    waiting = (parcels.c.target_id == target_id) & (parcels.c.kind == FAX) & parcels.c.state.in_(OPEN)
    sets = select(faxes.c.page_set_id).join(parcels, parcels.c.fax_id == faxes.c.id).where(waiting).distinct()
    page_sets = [each for each in (await connection.execute(sets)).scalars() if each]
    values = {"state": CANCELED, "ended_at": func.now(), "next_at": None, "code": "target.retired"}
    await connection.execute(update(parcels).where(waiting).values(values))
    for each in page_sets:
        await let_pages_go(connection, each)


async def forget_retired(connection: AsyncConnection) -> int:
    """Delete retired targets, and with them their secrets, that nothing refers to any more; return how many."""
    there = select(copies.c.id).where(
        copies.c.target_id == targets.c.id, copies.c.deleted_at.is_(None), copies.c.deletable
    )
    carried = select(parcels.c.id).where(parcels.c.target_id == targets.c.id)
    old = delete(targets).where(targets.c.retired_at.is_not(None), ~there.exists(), ~carried.exists())
    return (await connection.execute(old)).rowcount


async def _shown(gateway: Gateway, target: Target) -> HostKey | None:
    settings = target.settings
    if not isinstance(settings, SftpTarget | ScpTarget):
        return None
    try:
        return await host_key_of(settings.host, settings.port, allowed=gateway.config.delivery.allow_private)
    except NotCarried:
        return None


def _values(asked: TargetRequest) -> dict[str, Any]:
    settings = asked.settings.model_dump(mode="json")
    return {"name": asked.name, "kind": asked.settings.kind, "settings": settings, "enabled": asked.enabled}


def _place(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return to whom a secret is shown."""
    return tuple(settings.get(name) for name in ("kind", "host", "port", "user", "endpoint", "access_key_id"))
