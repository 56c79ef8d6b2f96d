"""The pages of one fax in a call: unconfirmed ones, for the right machine, each confirmation durable at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import structlog
from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import metrics
from faxgw.archive.objects import StoreError
from faxgw.documents.coded import CodedPage
from faxgw.documents.stored import StoredPages
from faxgw.errors import RequestError
from faxgw.faxes.changes import change, tell
from faxgw.faxes.content import as_coded
from faxgw.faxes.ending import (
    MISDIRECTED,
    is_live,
    station_ids,
    unconfirmed,
)
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.sealed import open_spooled
from faxgw.gateway import Gateway
from faxgw.lines.claims import Claim
from faxgw.lines.talk import TRY_AGAIN
from faxgw.model import EventType, State
from faxgw.rules.misdirect import suspicious
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import attempts, confirmations, faxes, pages
from t30.pages import NoteConfirmed

log = structlog.get_logger(__name__)

NOTED_WITHIN = 4.0
"""Seconds to write a confirmation down: the receiver waits 6 s (T2) for what follows it."""


class OutgoingPages:
    """The pages of one fax in a call: unconfirmed ones, for the right machine, each confirmation durable at once.

    Attributes:
        begun: the machine at the other end is the right one, and gets its pages.
    """

    def __init__(self, gateway: Gateway, claim: Claim, known: Sequence[RowMapping], indexes: Sequence[int]) -> None:
        self._gateway = gateway
        self._claim = claim
        self._known = known
        self._indexes = indexes
        self.begun = False
        self._open = set(indexes)
        self._writing: list[asyncio.Future[None]] = []
        self._stored = StoredPages(
            self._page, indexes, gateway.call_renderers, admit=self._admit, confirmed=self._confirmed
        )
        self.perform = self._stored.perform

    @classmethod
    async def of(cls, connection: AsyncConnection, gateway: Gateway, claim: Claim) -> Self:
        """Find out what is left to be sent of a fax."""
        fax = claim.fax
        known = select(pages).where(pages.c.page_set_id == fax["page_set_id"]).order_by(pages.c.index)
        indexes = await unconfirmed(connection, fax)
        return cls(gateway, claim, list((await connection.execute(known)).mappings()), indexes)

    @property
    def count(self) -> int:
        """How many pages are to go in this call."""
        return len(self._indexes)

    @property
    def left(self) -> int:
        """How many of them are not confirmed yet."""
        return len(self._open)

    async def prepare(self) -> None:
        """Open and code the first page, before dialling.

        Raises:
            RequestError: if there is nothing to send, or it cannot be opened.
        """
        if not self._indexes:
            raise RequestError("fax.nothing_left", "every page was confirmed before")
        await self._stored.prepare()

    async def close(self) -> None:
        """Forget the pages, once every confirmation is written down."""
        await self._stored.close()
        if self._writing:
            await asyncio.wait(self._writing)

    async def _page(self, index: int) -> CodedPage:
        row = self._known[index]
        async with _stored_or_not(), self._gateway.database.tenant(row["tenant_id"]) as connection:
            octets = await open_spooled(
                connection,
                self._gateway.objects,
                self._gateway.spool,
                tenant_id=row["tenant_id"],
                object_id=row["object_id"],
                kind="page",
            )
        return as_coded(row, octets)

    async def _admit(self, receiver: str) -> None:
        """Give pages to a machine that has answered at this number before, or to any where policy does not mind.

        Raises:
            RequestError: ``policy.misdirect``; ``fax.state``, if this call is not the fax's any more.
        """
        fax = self._claim.fax
        async with _stored_or_not(), self._gateway.database.tenant(fax["tenant_id"]) as connection:
            policy = (await tenant_of(connection, fax["tenant_id"])).policy
            mark = ""
            if policy.misdirect != "off" and not fax["plan"].get("trusted"):
                known = await station_ids(connection, fax["tenant_id"], fax["to_number"])
                if suspicious(known, receiver, dialled=fax["to_number"]):
                    mark = f"{receiver or 'a machine without a name'} answered, which never did at this number before"
            if mark and policy.misdirect == "hold":
                raise RequestError(MISDIRECTED, mark)
            await self._sending(connection, receiver, mark)

    async def _sending(self, connection: AsyncConnection, receiver: str, mark: str) -> None:
        if not await is_live(connection, self._claim.attempt["id"]):
            raise RequestError("fax.state", "the call was given up by this gateway before its first page")
        data = {"remote_id": receiver, "page": self._indexes[0] + 1, "pages": len(self._known)}
        data |= {"mark": mark} if mark else {}
        await change(
            connection,
            self._claim.fax["id"],
            to=State.SENDING,
            event=EventType.SENDING,
            data=data,
            remote_id=receiver,
            mark=mark,
        )
        self.begun = True

    async def _confirmed(self, index: int, note: NoteConfirmed, sha256: bytes) -> None:
        """Write a confirmation down.

        Raises:
            RequestError: ``storage.failed``, if that takes too long: the call ends, and says goodbye.
        """
        writing = asyncio.ensure_future(self._written(index, note, sha256))
        self._writing.append(writing)
        done, _ = await asyncio.wait([writing], timeout=NOTED_WITHIN)
        if not done:
            raise RequestError("storage.failed", "a confirmation could not be written down: the database is away")
        writing.result()
        self._open.discard(index)
        metrics.PAGES.labels("out").inc()

    async def _written(self, index: int, note: NoteConfirmed, sha256: bytes) -> None:
        """Write it, however long the database is away: a page that was confirmed must not be sent again."""
        fax, claim = self._claim.fax, self._claim
        row = {
            "tenant_id": fax["tenant_id"],
            "fax_id": fax["id"],
            "index": index,
            "attempt_id": claim.attempt["id"],
            "sha256": sha256,
            "width": note.format.width.name,
            "resolution": note.format.resolution.name,
            "coding": note.format.coding.name,
            "rows": note.rows,
            "octets": note.octets,
            "seconds": note.seconds,
        }
        while True:
            try:
                async with self._gateway.database.tenant(fax["tenant_id"]) as connection:
                    await _note_down(connection, claim, row, len(self._known))
                return
            except DatabaseUnavailable:
                await asyncio.sleep(TRY_AGAIN)


async def _note_down(connection: AsyncConnection, claim: Claim, row: dict[str, Any], page_count: int) -> None:
    """Write a confirmation once: it may be there already, if the database went away in the middle of it.

    It is written even if the call was given up by then, since the page has arrived; but nothing is told of a fax that
    has ended.
    """
    own = (attempts.c.id == claim.attempt["id"]) & (attempts.c.token == claim.attempt["token"])
    # Attempts are locked before faxes everywhere, so that nobody waits in a circle.
    await connection.execute(select(attempts.c.id).where(own).with_for_update())
    new = upsert(confirmations).values(row).on_conflict_do_nothing().returning(confirmations.c.index)
    if (await connection.execute(new)).scalar_one_or_none() is None:
        return
    await connection.execute(update(attempts).where(own).values(pages=attempts.c.pages + 1))
    done = update(faxes).where(faxes.c.id == claim.fax["id"]).values(pages_done=faxes.c.pages_done + 1)
    fax = (await connection.execute(done.returning(faxes.c.pages_done, faxes.c.finished_at))).one()
    if fax.finished_at is None:
        data = {"page": row["index"] + 1, "pages": page_count, "pages_done": fax.pages_done}
        data["seconds"] = round(row["seconds"], 1)
        await tell(connection, claim.fax["tenant_id"], claim.fax["id"], EventType.PAGE_SENT, data)


@asynccontextmanager
async def _stored_or_not() -> AsyncIterator[None]:
    """Let trouble with what we store end the call as such.

    Raises:
        RequestError: ``storage.failed``.
    """
    try:
        yield
    except (DatabaseUnavailable, StoreError) as trouble:
        raise RequestError("storage.failed", f"the gateway's own store cannot be used: {trouble}") from trouble
