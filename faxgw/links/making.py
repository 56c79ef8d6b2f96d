"""Making a link: a key pair of its own, to which the keys of a fax's pages are wrapped."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import copies
from faxgw.audit import record
from faxgw.faxes.sealed import spent, spooled_dek, spooled_pages
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import LinkSecret, make_slot
from faxgw.keys.tokens import LinkToken
from faxgw.keys.wraps import KeyPair, PublicKey, wrap, wrap_context
from faxgw.links.ending import LINK, end_links, place_of
from faxgw.store.tables import faxes, links, wraps

TRIES = 3
"""Links of one parcel that live at once: a mail whose acceptance was not heard may have arrived."""


async def make_link(
    connection: AsyncConnection,
    gateway: Gateway,
    fax_id: UUID,
    *,
    parcel_id: UUID | None = None,
    hours: int,
    most: int,
    now: datetime | None = None,
) -> str:
    """Make a link to a fax whose pages the gateway can open; return its path, which nobody can be told again.

    Args:
        connection: a transaction of the tenant, or of the dispatcher; commit it before the link leaves.
        gateway: for the keys of the spool.
        fax_id: of the fax.
        parcel_id: in which it leaves.
        hours: how long it is good.
        most: how many times.
        now: the time by the clock unless given.

    Raises:
        RequestError: ``document.spent``, if the gateway cannot open the fax, or not any more; ``document.damaged``.
        StoreError: if the folder of the spool keys cannot be used now.
    """
    at = now or datetime.now(UTC)
    wanted = select(faxes.c.tenant_id, faxes.c.page_set_id).where(faxes.c.id == fax_id)
    # Held, so that it is not shredded meanwhile: its links would be left.
    fax = (await connection.execute(wanted.with_for_update(read=True))).one_or_none()
    if fax is None or fax.page_set_id is None:
        raise spent()
    deks = await _deks(connection, gateway, fax.tenant_id, fax.page_set_id)
    if parcel_id is not None:
        await _end_older(connection, parcel_id, now=at)
    token, key = LinkToken.generate(new_id()), KeyPair.generate()
    slot = await make_slot(key, LinkSecret(token.secret))
    until = at + timedelta(hours=hours)
    row = {"id": token.id, "tenant_id": fax.tenant_id, "fax_id": fax_id, "parcel_id": parcel_id, "blob": slot.blob}
    row |= {"mac": gateway.server_keys.mac(token.secret), "key_id": key.public.key_id, "most": most}
    row |= {"parameters": {**slot.parameters, "public_key": key.public.octets.hex()}, "created_at": at}
    await connection.execute(insert(links).values(**row, expires_at=until))
    await connection.execute(insert(wraps), await asyncio.to_thread(_wrapped, deks, key.public, fax.tenant_id))
    place = place_of(token.id)
    await copies.note(connection, fax_id=fax_id, kind="link", to=place, expires_at=until, now=at)
    said = {"fax": str(fax_id), "hours": hours, "most": most}
    about: dict[str, Any] = {"action": "link.created", "object": "link", "object_id": token.id, "data": said}
    await record(connection, tenant_id=fax.tenant_id, actor="service", **about, now=at)
    return f"/links/{token.text}"


async def _deks(
    connection: AsyncConnection, gateway: Gateway, tenant_id: UUID, page_set_id: UUID
) -> Mapping[UUID, bytes]:
    found = {}
    for object_id, way, _ in await spooled_pages(connection, page_set_id):
        if way is None:
            raise spent()
        found[object_id] = spooled_dek(gateway.spool, way, tenant_id, object_id)
    if not found:
        raise spent()
    return found


def _wrapped(deks: Mapping[UUID, bytes], key: PublicKey, tenant_id: UUID) -> list[dict[str, object]]:
    same = {"tenant_id": tenant_id, "kind": LINK, "key_id": key.key_id}
    return [
        {**same, "object_id": each, "blob": wrap(dek, key, context=_context(tenant_id, each))}
        for each, dek in deks.items()
    ]


def _context(tenant_id: UUID, object_id: UUID) -> bytes:
    return wrap_context(tenant=tenant_id, object_id=object_id, kind=LINK)


async def _end_older(connection: AsyncConnection, parcel_id: UUID, *, now: datetime) -> None:
    mine = select(links.c.id).where(links.c.parcel_id == parcel_id, links.c.opened == 0)
    older = mine.order_by(links.c.created_at.desc(), links.c.id.desc()).offset(TRIES - 1)
    await end_links(connection, links.c.id.in_(older), now=now)
