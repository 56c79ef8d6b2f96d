"""One incoming call that is answered: its pages, each durable before it is confirmed, and what it comes to."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from drivers.registry import Line
from faxgw import metrics
from faxgw.archive.objects import StoreError
from faxgw.archive.sealed import StoredObject
from faxgw.boxes.keys import sealing_keys
from faxgw.boxes.rules import leading_to
from faxgw.calls import run_call
from faxgw.config import LineSettings
from faxgw.delivery.rules import may_deliver
from faxgw.documents.coded import CodedPage, bitmap_of, page_hash
from faxgw.documents.receiver import Receiver
from faxgw.errors import RequestError
from faxgw.faxes.changes import change, tell
from faxgw.faxes.ending import CANCELED, is_live
from faxgw.faxes.keeping import is_stored
from faxgw.faxes.policies import Lists
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.spool import SpoolUnavailable
from faxgw.learning.evidence import Seen, seen_in
from faxgw.learning.keeping import Who, keep
from faxgw.lines.received import end_incoming
from faxgw.lines.talk import TRY_AGAIN, Talk, written
from faxgw.lines.watching import Watcher, file_trace
from faxgw.model import Direction, EventType, State
from faxgw.rules.attempt import Adjustments
from faxgw.rules.incoming import Arrival, Assignment, Screening, after_receiving, choose_box
from faxgw.rules.policy import TenantPolicy
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import faxes, objects, page_sets, pages
from t30.answering import answering
from t30.line import AwaitCall, FaxLine, LineAction, LineClock, LineEvent, Ringing
from t30.outcome import Direction as CallDirection
from t30.outcome import Outcome
from t30.session import Session

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a call leads: a box, and all that is needed to file pages in it."""

    box_id: UUID
    tenant_id: UUID
    user_id: UUID


@dataclass(slots=True)
class Arriving:
    """A call that is being answered: what the rows of its fax are made of.

    Attributes:
        homes: the boxes that it may lead to: the subaddress, which is known only later, may decide.
        adjustments: what the call does otherwise than its line is set to, by what is known of the caller.
    """

    line: str
    arrival: Arrival
    homes: list[tuple[Assignment, Home]]
    policy: TenantPolicy
    lists: Lists
    began: datetime
    adjustments: Adjustments
    fax_id: UUID = field(default_factory=new_id)
    attempt_id: UUID = field(default_factory=new_id)
    page_set_id: UUID = field(default_factory=new_id)

    def home(self, subaddress: str) -> Home:
        """Return the box that a sender with this subaddress means."""
        arrival = replace(self.arrival, subaddress=subaddress)
        chosen = choose_box(arrival, [each for each, _ in self.homes]).assignment
        return next(home for each, home in self.homes if each == chosen)

    def sender(self, station_id: str) -> Who | None:
        """Return by what the machine is known that calls; None if it says nothing of itself."""
        if self.arrival.caller:
            return Who(Direction.IN, number=self.arrival.caller)
        return Who(Direction.IN, station=station_id) if station_id else None


class IncomingCall:
    """Answers one call and files what it brings."""

    def __init__(self, gateway: Gateway, call: Arriving) -> None:
        self.attempt_id = call.attempt_id
        self._gateway = gateway
        self._call = call
        self._watcher: Watcher | None = None
        self._settled: Home | None = None
        self._talk = Talk()

    async def take(self, line: Line, settings: LineSettings, ringing: Ringing) -> bool:
        """Answer, receive, and write down what the call came to; return whether the line did its part."""
        adjusted = self._call.adjustments.adjusted(settings.station())
        station = replace(adjusted.limited_to(line.receives), takes_subaddress=True)
        watcher = self._watcher = Watcher(line, direction=CallDirection.IN, scheme=settings.scheme, station=station)
        receiver = Receiver(self._store)
        calls = self._gateway.calls
        calls.add(self)
        try:
            outcome = await self._talk.run(
                run_call(Session(answering(station)), _Rung(line, ringing), receiver, watcher.observers),
                at_most=line.clock.real(self._gateway.config.dispatch.max_call),
            )
            await receiver.close()
            watcher.over(outcome)
            log.info("call ended", fax=str(self._call.fax_id), line=settings.name, cause=outcome.reason.code)
            trace = await watcher.sealed(self._gateway, self._home.tenant_id)
            await written(self._written(outcome, watcher, trace))
        except Exception:
            log.exception("a call broke off", fax=str(self._call.fax_id), line=settings.name)
            await written(self._broken_off())
            return False
        finally:
            calls.discard(self)
        return not outcome.reason.code.startswith("line.") or outcome.reason.code == "line.dropped"

    @property
    def attempt_ids(self) -> tuple[UUID, ...]:
        """Whose lease it holds."""
        return (self.attempt_id,)

    def hang_up(self, text: str) -> None:
        """End the call."""
        self._talk.hang_up(text)

    @property
    def _home(self) -> Home:
        """Where the fax lies: as the sender says before its first page, whatever it may say later."""
        return self._settled or self._call.home(self._watcher.subaddress if self._watcher else "")

    async def _store(self, index: int, page: CodedPage) -> None:
        """Seal a page to its box, and to those that it is forwarded to, and make it durable with its rows.

        Where something is to be delivered, or nothing is stored, the gateway has a way of its own to it until then.

        Raises:
            OSError: if that is not possible now; the page is not confirmed then.
        """
        try:
            bitmap = await asyncio.to_thread(bitmap_of, page)
            digest = await asyncio.to_thread(page_hash, bitmap, page.resolution)
            home = self._settled = self._home
            stored = await self._gateway.objects.put(page.octets, tenant=home.tenant_id, kind="page")
            async with self._gateway.database.tenant(home.tenant_id) as connection:
                await self._begin(connection, home)
                kept = await is_stored(connection, home.tenant_id, self._call.fax_id)
                also = await leading_to(connection, home.box_id, self._call.arrival.caller)
                keys = await sealing_keys(connection, {home.box_id, *also})
                leaves = not kept or await may_deliver(connection, keys, self._call.arrival.caller)
                spool = self._gateway.spool if leaves else None
                await write_down(connection, [stored], boxes=keys.values(), spool=spool)
                await self._file(connection, home, index, page, object_id=stored.id, digest=digest)
            metrics.PAGES.labels("in").inc()
        except (DatabaseUnavailable, StoreError, SpoolUnavailable) as trouble:
            raise OSError(str(trouble)) from trouble

    async def _begin(self, connection: AsyncConnection, home: Home) -> None:
        """With the first page, say that pages come, and for whom, now that the sender has said it."""
        if not await is_live(connection, self.attempt_id):
            raise RequestError("fax.state", "the call was given up by this gateway")
        own = select(faxes.c.state).where(faxes.c.id == self._call.fax_id)
        if (await connection.execute(own)).scalar_one() != State.RINGING.value:
            return
        await connection.execute(
            insert(page_sets).values(id=self._call.page_set_id, tenant_id=home.tenant_id, user_id=home.user_id, pages=0)
        )
        assert self._watcher is not None
        await change(
            connection,
            self._call.fax_id,
            to=State.RECEIVING,
            event=EventType.RECEIVING,
            data={"remote_id": self._watcher.station_id},
            page_set_id=self._call.page_set_id,
            box_id=home.box_id,
            user_id=home.user_id,
            remote_id=self._watcher.station_id,
        )

    async def _file(
        self,
        connection: AsyncConnection,
        home: Home,
        index: int,
        page: CodedPage,
        *,
        object_id: UUID,
        digest: bytes,
    ) -> None:
        """Write a page's row, in place of one that was refused and has been sent again."""
        row = {
            "tenant_id": home.tenant_id,
            "page_set_id": self._call.page_set_id,
            "index": index,
            "object_id": object_id,
            "sha256": digest,
            "width": page.width.name,
            "resolution": page.resolution.name,
            "rows": page.rows,
            "octets": len(page.octets),
            "bad_rows": page.bad_rows,
            "longest_bad_run": page.longest_bad_run,
        }
        same = (pages.c.page_set_id == self._call.page_set_id) & (pages.c.index == index)
        replaced = (await connection.execute(delete(pages).where(same).returning(pages.c.object_id))).scalars()
        await connection.execute(delete(objects).where(objects.c.id.in_(list(replaced))))
        await connection.execute(upsert(pages).values(row))
        own = page_sets.c.id == self._call.page_set_id
        count = update(page_sets).where(own).values(pages=index + 1).returning(page_sets.c.pages)
        done = (await connection.execute(count)).scalar_one()
        await connection.execute(update(faxes).where(faxes.c.id == self._call.fax_id).values(pages_done=done))
        data = {"page": index + 1, "pages": None, "bad_rows": page.bad_rows}
        await tell(connection, home.tenant_id, self._call.fax_id, EventType.PAGE_RECEIVED, data)

    async def _written(self, outcome: Outcome, watcher: Watcher, trace: StoredObject | None) -> None:
        """Write down what the call came to, however long the database is away; once, though it may be written twice."""
        home, cause = self._home, outcome.reason.code
        values: dict[str, Any] = {
            "cause": self._talk.why if cause == CANCELED else cause,
            "cause_text": outcome.reason.text,
            "remote_id": outcome.remote_id,
            "rate": outcome.modulation.bps if outcome.modulation else None,
            "modulation": outcome.modulation.family.value if outcome.modulation else None,
            "ecm": outcome.ecm if outcome.modulation else None,
            "seconds": round(outcome.seconds, 3),
            "connected_at": watcher.connected_at,
        }
        seen = seen_in(outcome, watcher.chosen, at=datetime.now(UTC), adjustments=self._call.adjustments)
        while True:
            try:
                async with self._gateway.database.tenant(home.tenant_id) as connection:
                    if not await is_live(connection, self.attempt_id):
                        return
                    values["trace_id"] = await file_trace(connection, trace, box_id=home.box_id)
                    mark = partial(self._mark, watcher)
                    await end_incoming(connection, self.attempt_id, whole=outcome.complete, mark=mark, **values)
                    await self._learn(connection, home, seen)
                return
            except DatabaseUnavailable:
                await asyncio.sleep(TRY_AGAIN)

    async def _learn(self, connection: AsyncConnection, home: Home, seen: Seen | None) -> None:
        """Take the call into what is known of its sender: by the caller's number, else by what it calls itself."""
        who = self._call.sender(self._watcher.station_id if self._watcher else "")
        if seen is not None and who is not None:
            await keep(connection, home.tenant_id, who, seen)

    def _mark(self, watcher: Watcher, pages_done: int) -> str:
        """Return the mark that a fax of so many pages gets."""
        arrived = replace(
            self._call.arrival, station=watcher.station_id, subaddress=watcher.subaddress, pages=pages_done
        )
        entries = self._call.lists.entries(arrived.caller)
        screened = after_receiving(arrived, rules=self._call.policy.junk, entries=entries, at=self._call.began)
        return f"junk: {screened.rule}" if screened.screening is Screening.MARK else ""

    async def _broken_off(self) -> None:
        """Write down that a fault of ours has ended the call; what was received before is kept."""
        text = "a fault in the gateway ended the call"
        while True:
            try:
                async with self._gateway.database.tenant(self._home.tenant_id) as connection:
                    await end_incoming(connection, self.attempt_id, whole=False, cause="fax.internal", cause_text=text)
                return
            except DatabaseUnavailable:
                await asyncio.sleep(TRY_AGAIN)


class _Rung:
    """A line on which a call rings already: the engine's wait for one is over at once."""

    def __init__(self, line: FaxLine, ringing: Ringing) -> None:
        self._line = line
        self._ringing: Ringing | None = ringing

    @property
    def clock(self) -> LineClock:
        """The line's own."""
        return self._line.clock

    async def perform(self, action: LineAction) -> LineEvent:
        """Have it done by the line, but for the wait."""
        if isinstance(action, AwaitCall) and self._ringing is not None:
            ringing, self._ringing = self._ringing, None
            return ringing
        return await self._line.perform(action)
