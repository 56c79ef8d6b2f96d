"""A gateway's keys, database and archive without anything that runs, and faxes with all that a fax may have."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, func, insert, select, update

from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import KeyPair, Suite
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import (
    attempts,
    boxes,
    confirmations,
    documents,
    events,
    faxes,
    holds,
    page_sets,
    pages,
    tenants,
    users,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CANARY = "a patient's name"


@dataclass
class Place:
    """A tenant with an owner and a box."""

    gateway: Gateway
    tenant: UUID
    key: KeyPair
    user: UUID
    box: UUID

    async def add(self, table: Table, **values: Any) -> UUID:
        values = {"id": new_id(), "tenant_id": self.tenant} | values
        values = {name: value for name, value in values.items() if name in table.c}
        async with self.gateway.database.dispatcher() as connection:
            await connection.execute(insert(table).values(values))
        found: UUID = values.get("id", self.tenant)
        return found

    async def add_box(self, name: str, **values: Any) -> UUID:
        return await self.add(boxes, owner_id=self.user, name=name, **values)

    async def set_policy(self, **rules: Any) -> None:
        policy = TenantPolicy.model_validate(rules).model_dump(mode="json", exclude_defaults=True)
        changed = update(tenants).where(tenants.c.id == self.tenant)
        async with self.gateway.database.dispatcher() as connection:
            await connection.execute(changed.values(policy=policy, version=tenants.c.version + 1))

    async def add_object(self, kind: str = "page", content: bytes = b"sealed", *, spooled: bool = False) -> UUID:
        stored = await self.gateway.objects.put(content, tenant=self.tenant, kind=kind)
        async with self.gateway.database.dispatcher() as connection:
            spool = self.gateway.spool if spooled else None
            await write_down(connection, [stored], owner=self.key.public, spool=spool)
        return stored.id

    async def add_page_set(self, count: int = 1) -> UUID:
        page_set = await self.add(page_sets, user_id=self.user, pages=count)
        for index in range(count):
            row = {"index": index, "sha256": bytes(32), "width": "A4", "resolution": "FINE", "rows": 1, "octets": 1}
            await self.add(pages, page_set_id=page_set, object_id=await self.add_object(), **row)
        return page_set

    async def add_document(self, **values: Any) -> UUID:
        row = {"media_type": "text/plain", "sha256": b"", "size": 1, "pages": 1, "name": CANARY}
        object_id = await self.add_object("document", CANARY.encode())
        return await self.add(documents, user_id=self.user, object_id=object_id, **(row | values))

    async def add_fax(self, *, state: str = "delivered", created: datetime = NOW, **values: Any) -> UUID:
        """Put down a fax with no more than a row."""
        ended = {} if state in {"sending", "queued", "accepted"} else {"finished_at": created}
        row = {"user_id": self.user, "box_id": self.box, "direction": "out", "state": state, "created_at": created}
        return await self.add(faxes, **(row | {"to_number": "+15550100"} | ended | values))

    async def add_whole_fax(self, **values: Any) -> UUID:
        """Put down a fax with one of everything that belongs to a fax."""
        document = await self.add_document()
        request = {"documents": [str(document)], "cover": {"subject": CANARY}}
        own: dict[str, Any] = {
            "page_set_id": await self.add_page_set(2),
            "private_id": await self.add_object("request"),
            "request": request,
            "labels": {"patient": CANARY},
            "remote_id": "REMOTE",
            "pages": 2,
            "pages_done": 2,
        }
        fax = await self.add_fax(**(own | values))
        attempt = await self.add(
            attempts,
            fax_id=fax,
            index=1,
            state="ended",
            destination="+15550100",
            node="n",
            line="l",
            remote_id="REMOTE",
            trace_id=await self.add_object("trace"),
        )
        row = {"sha256": b"", "width": "A4", "resolution": "FINE", "coding": "MMR", "rows": 1, "octets": 1}
        await self.add(confirmations, fax_id=fax, index=0, attempt_id=attempt, seconds=1.0, **row)
        async with self.gateway.database.dispatcher() as connection:
            data = {"state": "delivered", "remote_id": "REMOTE", "mark": CANARY}
            event = {"tenant_id": self.tenant, "fax_id": fax, "type": "fax.delivered", "data": data}
            await connection.execute(insert(events).values(event))
        return fax

    async def add_hold(self, **values: Any) -> UUID:
        row = {"name": "a case", "by_fax": False, "user_id": self.user}
        return await self.add(holds, **(row | values))

    async def count(self, table: Table, *which: Any) -> int:
        return int(await self.one(select(func.count()).select_from(table).where(*which)))

    async def one(self, statement: Select[Any]) -> Any:
        async with self.gateway.database.dispatcher() as connection:
            return (await connection.execute(statement)).scalar_one()

    async def row(self, fax: UUID) -> Any:
        async with self.gateway.database.dispatcher() as connection:
            return (await connection.execute(select(faxes).where(faxes.c.id == fax))).one_or_none()

    async def stored(self) -> set[UUID]:
        return {each async for each in self.gateway.objects.objects.list()}


async def make_place(gateway: Gateway, tenant: UUID) -> Place:
    """Put an owner with a box into a tenant."""
    key = KeyPair.generate(Suite.X25519)
    made = Place(gateway, tenant, key, new_id(), new_id())
    public = {"key_id": key.public.key_id, "public_key": key.public.octets}
    await made.add(users, id=made.user, email="a@b.c", role="owner", **public)
    await made.add(boxes, id=made.box, owner_id=made.user, name="box")
    return made
