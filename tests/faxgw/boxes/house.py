"""What the tests of boxes do: give rights, switch the policy, put faxes into boxes as calls do."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from faxgw.boxes.keys import sealing_key
from faxgw.documents.coded import CodedPage
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.store.tables import page_sets, pages, tenants, wraps
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person, add_fax, drawn_page

PAGE = drawn_page(1)


async def received(
    gateway: Gateway, person: Person, drawn: Sequence[CodedPage] = (PAGE,), *, spool: bool = False, **columns: Any
) -> UUID:
    """Put a fax into somebody's box as if it had come in: its pages are sealed to the box, and spooled if asked."""
    page_set_id = new_id()
    mine = {"tenant_id": person.tenant_id}
    stored = [await gateway.objects.put(each.octets, tenant=person.tenant_id, kind="page") for each in drawn]
    async with gateway.database.tenant(person.tenant_id) as connection:
        sets = {"id": page_set_id, "user_id": person.user_id, "pages": len(drawn), **mine}
        await connection.execute(insert(page_sets).values(sets))
        own = gateway.spool if spool else None
        await write_down(connection, stored, boxes=[await sealing_key(connection, person.box_id)], spool=own)
        for index, (page, sealed) in enumerate(zip(drawn, stored, strict=True)):
            row = {"page_set_id": page_set_id, "index": index, "object_id": sealed.id, **mine}
            row |= {"sha256": hashlib.sha256(page.octets).digest(), "width": page.width.name, "rows": page.rows}
            row |= {"resolution": page.resolution.name, "octets": len(page.octets)}
            await connection.execute(insert(pages).values(row))
    said: dict[str, Any] = {"direction": "in", "state": "received"}
    said |= {"from_number": "+493012345", "to_number": "+15550199"}
    said |= {"pages": len(drawn), "pages_done": len(drawn), "page_set_id": page_set_id}
    said |= {"finished_at": datetime.now(UTC)}
    return await add_fax(gateway, person, **said, **columns)


async def set_policy(gateway: Gateway, tenant_id: UUID, **policy: Any) -> None:
    """Give a tenant another policy."""
    async with gateway.database.dispatcher() as connection:
        mine = tenants.c.id == tenant_id
        await connection.execute(update(tenants).where(mine).values(policy=policy, version=tenants.c.version + 1))


async def give(
    client: Client, box_id: UUID, to: Person, *rights: str, expires_at: datetime | None = None
) -> dict[str, Any]:
    """Give somebody rights to a box; return the grant."""
    asked = {"user": str(to.user_id), "rights": rights}
    asked |= {"expires_at": expires_at.isoformat()} if expires_at else {}
    answer = await client.post(f"/v1/boxes/{box_id}/grants", json=asked)
    assert answer.status_code == 201, answer.text
    given: dict[str, Any] = answer.json()
    return given


async def kinds_of(gateway: Gateway, tenant_id: UUID) -> list[str]:
    """Return the kinds of all wraps of a tenant."""
    async with gateway.database.tenant(tenant_id) as connection:
        return list((await connection.execute(select(wraps.c.kind).order_by(wraps.c.kind))).scalars())
