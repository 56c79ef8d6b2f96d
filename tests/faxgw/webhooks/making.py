"""A tenant's person, box and fax as rows, webhooks of theirs, and a courier that reaches this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.config import Config
from faxgw.config.model import WebhookSettings
from faxgw.ids import new_id
from faxgw.keys.tokens import ServerKeys
from faxgw.model import EventType, State
from faxgw.store.database import Database
from faxgw.store.tables import boxes, deliveries, events, faxes, users
from faxgw.webhooks.delivering import WAITS, Courier
from faxgw.webhooks.egress import Address
from faxgw.webhooks.enqueue import enqueue
from faxgw.webhooks.posting import Poster
from faxgw.webhooks.service import WebhookRequest, create

LOOPBACK = IPv4Network("127.0.0.0/8")


@dataclass
class Parts:
    """What the functions of the service need of a gateway."""

    config: Config
    server_keys: ServerKeys


def parts(folder: Path) -> Parts:
    config = Config(data_dir=folder / "data", webhooks=WebhookSettings(allow_private=(LOOPBACK,)))
    return Parts(config, ServerKeys(folder / "keys"))


async def person(database: Database, tenant: UUID) -> Actor:
    actor = Actor(tenant, "tenant", new_id(), "owner", None, frozenset({"webhooks"}))
    async with database.dispatcher() as connection:
        of = {"id": actor.user_id, "tenant_id": tenant, "email": f"{actor.user_id}@b.c", "role": "owner"}
        await connection.execute(insert(users).values(of | {"key_id": "k", "public_key": b""}))
    return actor


async def add_fax(database: Database, actor: Actor, **columns: Any) -> UUID:
    box, fax = new_id(), new_id()
    async with database.dispatcher() as connection:
        ids = {"tenant_id": actor.tenant_id}
        await connection.execute(insert(boxes).values(id=box, owner_id=actor.user_id, name=str(box), **ids))
        values = {"id": fax, "user_id": actor.user_id, "box_id": box, "direction": "out"} | ids
        values |= {"state": State.DELIVERED.value, "to_number": "+15550100", "remote_id": "THEIRS"}
        await connection.execute(insert(faxes).values(values | columns))
    return fax


async def add_webhook(database: Database, gateway: Parts, actor: Actor, url: str, **request: Any) -> tuple[UUID, str]:
    async with database.tenant(actor.tenant_id) as connection:
        row, secret = await create(connection, gateway, actor, WebhookRequest(url=url, **request))
    webhook_id: UUID = row["id"]
    return webhook_id, secret


async def tell(
    database: Database,
    actor: Actor,
    fax: UUID | None,
    event: EventType = EventType.DELIVERED,
    data: Mapping[str, Any] | None = None,
) -> int:
    """Write an event in a transaction of its own, and put it on its way, as a change of a fax does."""
    async with database.tenant(actor.tenant_id) as connection:
        return await put_on_its_way(connection, actor, fax, event, data)


async def put_on_its_way(
    connection: AsyncConnection,
    actor: Actor,
    fax: UUID | None,
    event: EventType = EventType.DELIVERED,
    data: Mapping[str, Any] | None = None,
) -> int:
    values = {"tenant_id": actor.tenant_id, "fax_id": fax, "type": event.value, "data": dict(data or {})}
    event_id = int(await connection.scalar(insert(events).values(values).returning(events.c.id)) or 0)
    await enqueue(connection, tenant_id=actor.tenant_id, event_id=event_id, type=event.value)
    return event_id


async def rows(database: Database) -> Sequence[RowMapping]:
    async with database.dispatcher() as connection:
        return (await connection.execute(select(deliveries).order_by(deliveries.c.id))).mappings().all()


async def loopback(_: str, __: int) -> Sequence[Address]:
    return [IPv4Address("127.0.0.1")]


def courier(
    database: Database, gateway: Parts, trust: Path, *, waits: Sequence[float] = WAITS, seconds: float = 5.0
) -> Courier:
    poster = Poster(allowed=(LOOPBACK,), trust=trust, seconds=seconds, resolve=loopback)
    return Courier(database, gateway.server_keys, poster, seconds=seconds, waits=waits, tick=0.05)
