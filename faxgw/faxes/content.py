"""Opening pages for the people they belong to: with the key of whoever asks, never with one of the gateway's own."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.archive.sealed import SealedStore
from faxgw.audit import record
from faxgw.boxes.ways import found_ways
from faxgw.documents.coded import CodedPage
from faxgw.errors import RequestError
from faxgw.faxes.sealed import not_sealed, open_owned
from faxgw.gateway import Gateway
from faxgw.keys.export import BoxWay, Export
from faxgw.keys.sealing import Label
from faxgw.keys.slots import ApiSecret, Slot, WrongSecret, open_slot
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import KeyPair, PublicKey
from faxgw.people.ways import open_session, ways_to
from faxgw.store.tables import key_slots, users
from t30.pages import Coding, Resolution, Width


async def unlock(connection: AsyncConnection, actor: Actor) -> KeyPair:
    """Open the actor's private key with the secret of their API key or of their session.

    Raises:
        RequestError: ``key.locked``, if that API key has no slot, or what the session opens is not the present key.
    """
    if actor.session is not None:
        return await open_session(actor)
    row = (
        await connection.execute(
            select(key_slots, users.c.public_key, _UNTOLD)
            .join(users, users.c.id == key_slots.c.user_id)
            .where(key_slots.c.api_key_id == actor.api_key_id, key_slots.c.user_id == actor.user_id)
        )
    ).one_or_none()
    if row is None or not actor.secret:
        raise _locked()
    slot = Slot(row.kind, row.parameters, row.blob)
    secret = ApiSecret(ApiKey.parse(actor.secret).secret)
    try:
        key = await open_slot(slot, secret, public_key=PublicKey.from_octets(row.public_key))
    except WrongSecret:
        raise _locked() from None
    if row.untold:
        await _tell(connection, actor, row.id)
    return key


async def _tell(connection: AsyncConnection, actor: Actor, slot_id: UUID) -> None:
    """Have the audit log say that an API key opened its user's private key; of several at once, one does."""
    now = update(key_slots).where(key_slots.c.id == slot_id, _UNTOLD.element).values(told_at=func.now())
    if (await connection.execute(now)).rowcount:
        about: dict[str, Any] = {"object": "api_key", "object_id": actor.api_key_id}
        await record(connection, tenant_id=actor.tenant_id, actor=actor, action="key.opened", **about)


_UNTOLD = or_(key_slots.c.told_at.is_(None), key_slots.c.told_at < func.now() - timedelta(days=1)).label("untold")
"""Whether the audit log has not been told of the use of an API key for a day."""


async def exported_object(
    connection: AsyncConnection, store: SealedStore, label: Label, *, user_id: UUID, media_type: str
) -> Export:
    """Return an object as it lies in the archive, with a reader's wrap and all ways to it: it is not opened here.

    ``connection`` is the dispatcher's, since slots of people are of no tenant: who asks must have been checked before.

    Slots of API keys that are expired or revoked are left out: what is not good here any more is good nowhere.

    Raises:
        RequestError: ``content.gone``, if it is not sealed to that user.
    """
    user = (await connection.execute(select(users.c.public_key).where(users.c.id == user_id))).one()
    public_key = PublicKey.from_octets(user.public_key)
    way = (await found_ways(connection, public_key.key_id, [label.object])).get(label.object)
    if way is None:
        raise not_sealed()
    box = None if way.box_id is None else BoxWay(way.box_id, way.key_id, way.box_blob)
    slots, holders = await ways_to(connection, user_id)
    sealed = await store.objects.get(label.object)
    return Export(label, media_type, public_key, user_id, way.blob, slots, holders, sealed, box)


def _locked() -> RequestError:
    return RequestError(
        "key.locked",
        "This is sealed to its owner, and this API key, made without the scope content, cannot open it.",
    )


async def coded_page(connection: AsyncConnection, gateway: Gateway, key: KeyPair, page: RowMapping) -> CodedPage:
    """Open one page; ``page`` is a row of ``pages``.

    Raises:
        RequestError: ``content.gone``, if it is not sealed to that key.
    """
    octets = await open_owned(
        connection, gateway.objects, key, tenant_id=page["tenant_id"], object_id=page["object_id"], kind="page"
    )
    return as_coded(page, octets)


def as_coded(page: RowMapping, octets: bytes) -> CodedPage:
    """Return a page as it was filed; ``page`` is a row of ``pages``."""
    return CodedPage(
        Width[page["width"]],
        Resolution[page["resolution"]],
        page["rows"],
        Coding.MMR,
        octets,
        page["bad_rows"],
        page["longest_bad_run"],
    )
