"""People with boxes and API keys, faxes and pages of theirs: what tests of the API find in the database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from faxgw.actor import SCOPES
from faxgw.documents.coded import CodedPage, coded_page
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, Password, RecoveryCode, make_slot
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import KeyPair, PublicKey, Suite
from faxgw.people.accounts import Draft, person_of, save_person
from faxgw.people.keys import wrap_member
from faxgw.store.tables import api_keys, boxes, events, faxes, key_slots, page_sets, pages, tenants, users
from t30.pages import Resolution, Width
from t30.t4 import Bitmap
from tests.faxgw.documents.making import fax_tiff, text_like

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a box and an API key that may do everything, unless less was asked for."""

    tenant_id: UUID
    user_id: UUID
    box_id: UUID
    key: ApiKey
    key_pair: KeyPair
    person_id: UUID
    email: str
    recovery_code: RecoveryCode

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key.text}"}


async def add_person(
    gateway: Gateway,
    tenant_id: UUID | None = None,
    *,
    role: str = "owner",
    scopes: Collection[str] = tuple(SCOPES),
    email: str = "",
) -> Person:
    """Put somebody into a tenant, or into one of their own; their password is ``PASSWORD``.

    Whoever has the address already is given another membership.
    """
    key_pair, person, code = KeyPair.generate(Suite.X25519), KeyPair.generate(Suite.X25519), RecoveryCode.generate()
    user_id, box_id = new_id(), new_id()
    email = email or f"{user_id}@example.com"
    async with gateway.database.dispatcher() as connection:
        if tenant_id is None:
            tenant_id = new_id()
            await connection.execute(insert(tenants).values(id=tenant_id, name=f"tenant {tenant_id}"))
        known = await person_of(connection, email)
        if known is None:
            cheap = Password(PASSWORD, memory=64, passes=1)
            draft = Draft(person, code, (await make_slot(person, cheap), await make_slot(person, code)))
            person_id, public = await save_person(connection, draft, email=email), person.public
        else:
            person_id, public = known["id"], PublicKey.from_octets(known["public_key"])
        await connection.execute(
            insert(users).values(
                id=user_id,
                tenant_id=tenant_id,
                person_id=person_id,
                email=email,
                role=role,
                key_id=key_pair.public.key_id,
                public_key=key_pair.public.octets,
                key_wrap=wrap_member(key_pair, public, tenant_id=tenant_id, user_id=user_id),
            )
        )
        box = {"id": box_id, "tenant_id": tenant_id, "owner_id": user_id, "name": f"box {box_id}"}
        await connection.execute(insert(boxes).values(box))
    return Person(
        tenant_id,
        user_id,
        box_id,
        await add_key(gateway, tenant_id, user_id, scopes=scopes, key_pair=key_pair),
        key_pair,
        person_id,
        email,
        code,
    )


async def add_key(
    gateway: Gateway,
    tenant_id: UUID,
    user_id: UUID,
    *,
    scopes: Collection[str],
    key_pair: KeyPair | None,
    **columns: Any,
) -> ApiKey:
    """Give somebody an API key; it opens content when the key pair is given."""
    key = ApiKey.generate(new_id())
    async with gateway.database.dispatcher() as connection:
        await connection.execute(
            insert(api_keys).values(
                id=key.id,
                tenant_id=tenant_id,
                user_id=user_id,
                name="test",
                scopes=sorted(scopes),
                mac=gateway.server_keys.mac(key.secret),
                **columns,
            )
        )
        if key_pair is not None:
            slot = await make_slot(key_pair, ApiSecret(key.secret))
            await connection.execute(
                insert(key_slots).values(
                    id=new_id(),
                    tenant_id=tenant_id,
                    user_id=user_id,
                    kind=slot.kind,
                    api_key_id=key.id,
                    parameters=slot.parameters,
                    blob=slot.blob,
                )
            )
    return key


async def add_fax(gateway: Gateway, person: Person, **columns: Any) -> UUID:
    """Put a fax into somebody's box."""
    fax = {
        "id": new_id(),
        "tenant_id": person.tenant_id,
        "direction": "out",
        "state": "delivered",
        "user_id": person.user_id,
        "box_id": person.box_id,
        "to_number": "+15550100",
        **columns,
    }
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(faxes).values(fax))
    fax_id: UUID = fax["id"]
    return fax_id


async def add_event(gateway: Gateway, person: Person, fax_id: UUID | None, kind: str, **data: Any) -> int:
    """Put an event down, as if told; nobody is notified."""
    async with gateway.database.tenant(person.tenant_id) as connection:
        event = insert(events).values(tenant_id=person.tenant_id, fax_id=fax_id, type=kind, data=data)
        return int((await connection.execute(event.returning(events.c.id))).scalar_one())


async def add_pages(gateway: Gateway, person: Person, drawn: Sequence[CodedPage], *, spool: bool = False) -> UUID:
    """Put pages into the archive, sealed to their owner, and to the gateway if asked; return their page set."""
    page_set_id = new_id()
    stored = [await gateway.objects.put(each.octets, tenant=person.tenant_id, kind="page") for each in drawn]
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(
            insert(page_sets).values(
                id=page_set_id, tenant_id=person.tenant_id, user_id=person.user_id, pages=len(drawn)
            )
        )
        own = gateway.spool if spool else None
        await write_down(connection, stored, owner=person.key_pair.public, spool=own)
        for index, (page, sealed) in enumerate(zip(drawn, stored, strict=True)):
            await connection.execute(
                insert(pages).values(
                    tenant_id=person.tenant_id,
                    page_set_id=page_set_id,
                    index=index,
                    object_id=sealed.id,
                    sha256=bytes([index + 1]) * 32,
                    width=page.width.name,
                    resolution=page.resolution.name,
                    rows=page.rows,
                    octets=len(page.octets),
                )
            )
    return page_set_id


def drawn_page(seed: int) -> CodedPage:
    """Return a page with strokes on it."""
    return coded_page(Bitmap.from_pels(text_like(400, 1728, seed)), width=Width.A4, resolution=Resolution.FINE)


def tiff(folder: Path, pages: int = 1) -> bytes:
    """Return a fax TIFF."""
    drawn = [text_like(400, 1728, seed) for seed in range(pages)]
    return fax_tiff(folder / "fax.tif", drawn, dpi=(204, 196)).read_bytes()


def now() -> datetime:
    return datetime.now(UTC)
