"""Opening a fax by a link: with its secret, which is all that it takes, and nothing less opens it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import copies
from faxgw.audit import record
from faxgw.boxes.access import allowed
from faxgw.documents.coded import CodedPage
from faxgw.documents.forms import whole
from faxgw.errors import RequestError
from faxgw.faxes.content import as_coded
from faxgw.gateway import Gateway
from faxgw.keys.sealing import Label
from faxgw.keys.slots import LinkSecret, Slot, WrongSecret, open_slot
from faxgw.keys.tokens import KeyMalformed, LinkToken
from faxgw.keys.wraps import KeyPair, PublicKey, WrapBroken, unwrap, wrap_context
from faxgw.links.ending import LINK, end_links, place_of
from faxgw.store.tables import faxes, links, pages, wraps

_NOBODY = bytes(32)


class NoLink(RequestError):
    """There is no such link, or not any more.

    Attributes:
        wrong: nobody was ever given it; it is a guess, or was not copied whole.
    """

    def __init__(self, *, wrong: bool) -> None:
        super().__init__("link.not_found", "There is no such link, or not any more.")
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class Link:
    """A link that is good now.

    Attributes:
        row: of ``links``, with the ``pages`` and ``page_set_id`` of its fax.
        secret: of its text.
    """

    row: RowMapping = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def id(self) -> UUID:
        """Its id."""
        found: UUID = self.row["id"]
        return found


async def look_up(gateway: Gateway, text: str, *, now: datetime) -> Link:
    """Return the link of that text; nothing is opened, and nothing counted.

    Raises:
        NoLink: if it is none, or not good now; also while the tenant's policy lets nobody pass faxes on.
    """
    try:
        token = LinkToken.parse(text)
    except KeyMalformed:
        raise NoLink(wrong=True) from None
    may = allowed("allow_forwarding", links.c.tenant_id).label("may")
    wanted = select(links, faxes.c.pages, faxes.c.page_set_id, may).join(faxes, faxes.c.id == links.c.fax_id)
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(wanted.where(links.c.id == token.id))).mappings().one_or_none()
    # The same work whether the id is unknown or the secret wrong.
    if not gateway.server_keys.matches(token.secret, row["mac"] if row else _NOBODY) or row is None:
        raise NoLink(wrong=True)
    over = row["revoked_at"] is not None or row["expires_at"] <= now or row["opened"] >= row["most"]
    if over or not row["may"]:
        raise NoLink(wrong=False)
    return Link(row, token.secret)


async def open_link(gateway: Gateway, link: Link, *, now: datetime) -> bytes:
    """Return the fax of a link as PDF; that is counted, and written into the ledger and the audit log.

    Raises:
        NoLink: if it has ended meanwhile.
        WrapBroken, SealBroken: if something was altered.
        StoreError: if the archive cannot be read now; then nothing was counted.
    """
    key = await _key(link)
    octets = await whole(await _pages(gateway, link, key), "pdf")
    async with gateway.database.dispatcher() as connection:
        await _count(connection, link, octets, now=now)
    return octets


async def _key(link: Link) -> KeyPair:
    row = link.row
    public = PublicKey.from_octets(bytes.fromhex(row["parameters"]["public_key"]))
    try:
        slot = Slot(LINK, row["parameters"], row["blob"])
        return await open_slot(slot, LinkSecret(link.secret), public_key=public)
    except WrongSecret:
        raise WrapBroken from None  # the secret is right: its HMAC is


async def _pages(gateway: Gateway, link: Link, key: KeyPair) -> list[CodedPage]:
    way = (wraps.c.object_id == pages.c.object_id) & (wraps.c.kind == LINK) & (wraps.c.key_id == key.public.key_id)
    wanted = select(pages, wraps.c.blob).join(wraps, way).where(pages.c.page_set_id == link.row["page_set_id"])
    async with gateway.database.dispatcher() as connection:
        rows = (await connection.execute(wanted.order_by(pages.c.index))).mappings().all()
    if not rows:
        raise NoLink(wrong=False)
    found = []
    for row in rows:
        label = Label(row["tenant_id"], row["object_id"], "page")
        dek = unwrap(row["blob"], key, context=wrap_context(tenant=label.tenant, object_id=label.object, kind=LINK))
        found.append(as_coded(row, await gateway.objects.open(label, dek=dek)))
    return found


async def _count(connection: AsyncConnection, link: Link, octets: bytes, *, now: datetime) -> None:
    good = (links.c.id == link.id, links.c.revoked_at.is_(None), links.c.expires_at > now)
    once_more = update(links).where(*good, links.c.opened < links.c.most)
    once_more = once_more.values(opened=links.c.opened + 1, opened_at=now)
    row = (await connection.execute(once_more.returning(links))).mappings().one_or_none()
    if row is None:
        raise NoLink(wrong=False)
    if row["opened"] >= row["most"]:
        await end_links(connection, links.c.id == link.id, now=now)
    digest = hashlib.sha256(octets).digest()
    await copies.note(connection, fax_id=row["fax_id"], kind="download", to=place_of(link.id), sha256=digest, now=now)
    about: dict[str, Any] = {"action": "link.opened", "object": "link", "object_id": link.id}
    said = {"fax": str(row["fax_id"]), "opened": row["opened"], "most": row["most"]}
    actor = place_of(link.id)
    await record(connection, tenant_id=row["tenant_id"], actor=actor, **about, data=said, now=now)
