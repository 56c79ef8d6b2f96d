"""One outgoing call: the pages that are not confirmed yet, sent over a line, each confirmation written down at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from drivers.registry import Line
from faxgw import metrics
from faxgw.archive.objects import StoreError
from faxgw.archive.sealed import StoredObject
from faxgw.calls import run_call
from faxgw.config import LineSettings
from faxgw.documents.coded import CodedPage
from faxgw.documents.stored import StoredPages
from faxgw.errors import RequestError
from faxgw.faxes import private
from faxgw.faxes.changes import change, tell
from faxgw.faxes.content import as_coded
from faxgw.faxes.ending import (
    CANCELED,
    CANCELED_TEXT,
    INTERRUPTED,
    MISDIRECTED,
    TAKEN,
    Ending,
    end_attempt,
    is_live,
    station_ids,
    unconfirmed,
)
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.sealed import open_spooled
from faxgw.gateway import Gateway
from faxgw.learning.evidence import seen_in
from faxgw.lines.talk import TRY_AGAIN, Talk, written
from faxgw.lines.watching import Watcher, file_trace
from faxgw.model import EventType, State
from faxgw.rules.attempt import Adjustments
from faxgw.rules.misdirect import suspicious
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import attempts, confirmations, faxes, pages
from t30.calling import calling
from t30.outcome import Direction, Outcome
from t30.pages import NoteConfirmed
from t30.session import Session

log = structlog.get_logger(__name__)

NOTED_WITHIN = 4.0
"""Seconds to write a confirmation down: the receiver waits 6 s (T2) for what follows it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A fax that this node has taken on, and the attempt that says so."""

    fax: RowMapping
    attempt: RowMapping
    lease_ends: float
    """By ``time.monotonic``: after that, the attempt may be another node's."""


class OutgoingCall:
    """Makes one call; whatever happens, the attempt is ended in the database, as soon as there is one.

    Attributes:
        claim: what this call is for.
    """

    def __init__(self, gateway: Gateway, claim: Claim) -> None:
        self.claim = claim
        self.attempt_id: UUID = claim.attempt["id"]
        self._gateway = gateway
        self._talk = Talk()

    async def make(self, line: Line, settings: LineSettings) -> bool:
        """Make the call on this line; return whether the line did its part."""
        log_ = log.bind(fax=str(self.claim.fax["id"]), line=settings.name)
        log_.info("call begins")
        self._gateway.calls.add(self)
        try:
            ending, trace = await self._made(line, settings)
            log_.info("call ended", cause=ending.cause, rate=ending.rate, seconds=ending.seconds)
            metrics.ATTEMPTS.labels(ending.cause or "none").inc()
            await written(self._written(ending, trace))
        finally:
            self._gateway.calls.discard(self)
        return not ending.cause.startswith("line.") or ending.cause == "line.dropped"

    async def give_back(self) -> None:
        """Have it made by somebody else: this line rings, or is gone."""
        await written(self._written(Ending(TAKEN, "the line was taken before the call began"), None))

    def hang_up(self, text: str, *, why: str = INTERRUPTED) -> None:
        """End the call: ``why`` is what its attempt ends with."""
        self._talk.hang_up(text, why)

    async def _made(self, line: Line, settings: LineSettings) -> tuple[Ending, StoredObject | None]:
        """Run the call and say what it came to; a fault of ours costs this call only."""
        try:
            return await self._ending(line, settings)
        except RequestError as mistake:
            return Ending(mistake.code, mistake.reason), None
        except (DatabaseUnavailable, StoreError) as trouble:
            return Ending("storage.failed", f"the pages could not be read: {trouble}"), None
        except Exception:
            log.exception("a call broke off", fax=str(self.claim.fax["id"]), line=settings.name)
            return Ending("fax.internal", "a fault in the gateway ended the call"), None

    async def _ending(self, line: Line, settings: LineSettings) -> tuple[Ending, StoredObject | None]:
        fax = self.claim.fax
        if time.monotonic() > self.claim.lease_ends:
            return Ending(INTERRUPTED, "the lease had run out before the call began"), None
        source = await self._source()
        try:
            await source.prepare()
            password = await self._password()
            if self._talk.text:
                return Ending(self._talk.why, self._talk.text), None
            station = replace(
                self._adjustments.adjusted(settings.station()).limited_to(line.sends),
                ident=fax["from_number"] or settings.ident,
                subaddress=fax["subaddress"],
                password=password,
            )
            watcher = Watcher(line, direction=Direction.OUT, scheme=settings.scheme, station=station)
            outcome = await self._talk.run(
                run_call(
                    Session(calling(station, settings.dialled(fax["to_number"]))), line, source, watcher.observers
                ),
                at_most=line.clock.real(self._gateway.config.dispatch.max_call),
            )
        finally:
            await source.close()
        watcher.over(outcome)
        return self._as_ending(outcome, watcher), await watcher.sealed(self._gateway, fax["tenant_id"])

    async def _password(self) -> str:
        """Open the password that the receiver wants, if one was given."""
        fax, gateway = self.claim.fax, self._gateway
        if fax["private_id"] is None:
            return ""
        async with gateway.database.tenant(fax["tenant_id"]) as connection:
            wraps = await private.wraps_of(connection, [fax["private_id"]])
        said = wraps.get(fax["private_id"])
        words = await private.opened(gateway, said, tenant_id=fax["tenant_id"], object_id=fax["private_id"])
        return words.password

    async def _source(self) -> "OutgoingPages":
        """Find out what is left to be sent.

        Raises:
            RequestError: ``call.canceled``, if nothing is wanted any more.
        """
        gateway, fax = self._gateway, self.claim.fax
        async with gateway.database.tenant(fax["tenant_id"]) as connection:
            if (await connection.execute(select(faxes.c.cancel_wanted).where(faxes.c.id == fax["id"]))).scalar_one():
                raise RequestError(CANCELED, CANCELED_TEXT)
            indexes = await unconfirmed(connection, fax)
            rows = await connection.execute(
                select(pages).where(pages.c.page_set_id == fax["page_set_id"]).order_by(pages.c.index)
            )
            known = list(rows.mappings())
        return OutgoingPages(gateway, self.claim, known, indexes)

    def _as_ending(self, outcome: Outcome, watcher: Watcher) -> Ending:
        reason = outcome.reason
        return Ending(
            cause=self._talk.why if reason.code == CANCELED else reason.code,
            text=reason.text,
            remote_id=outcome.remote_id,
            rate=outcome.modulation.bps if outcome.modulation else None,
            modulation=outcome.modulation.family.value if outcome.modulation else None,
            ecm=outcome.ecm if outcome.modulation else None,
            seconds=round(outcome.seconds, 3),
            connected_at=watcher.connected_at,
            seen=seen_in(outcome, watcher.chosen, at=datetime.now(UTC), adjustments=self._adjustments),
        )

    @property
    def _adjustments(self) -> Adjustments:
        return Adjustments.model_validate(self.claim.attempt["adjustments"])

    async def _written(self, ending: Ending, trace: StoredObject | None) -> None:
        """Write down what the call came to, however long the database is away; once, though it may be written twice."""
        fax = self.claim.fax
        while True:
            try:
                async with self._gateway.database.tenant(fax["tenant_id"]) as connection:
                    if not await is_live(connection, self.attempt_id):
                        log.warning("an attempt was ended by another node", attempt=str(self.attempt_id))
                        return
                    trace_id = await file_trace(connection, trace, box_id=fax["box_id"])
                    await end_attempt(connection, self.attempt_id, replace(ending, trace_id=trace_id))
                return
            except DatabaseUnavailable:
                await asyncio.sleep(TRY_AGAIN)


class OutgoingPages:
    """The page source of one call: only unconfirmed pages, for the right machine, each confirmation durable at once."""

    def __init__(self, gateway: Gateway, claim: Claim, known: Sequence[RowMapping], indexes: Sequence[int]) -> None:
        self._gateway = gateway
        self._claim = claim
        self._known = known
        self._indexes = indexes
        self._writing: list[asyncio.Future[None]] = []
        self._stored = StoredPages(
            self._page, indexes, gateway.call_renderers, admit=self._admit, confirmed=self._confirmed
        )
        self.perform = self._stored.perform

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
