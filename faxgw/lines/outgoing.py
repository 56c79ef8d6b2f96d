"""One outgoing call: a fax, or several to the same number, sent over a line, and what it comes to for each."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from drivers.registry import Line
from faxgw import metrics
from faxgw.archive.objects import StoreError
from faxgw.archive.sealed import StoredObject
from faxgw.calls import run_call
from faxgw.config import LineSettings
from faxgw.errors import RequestError
from faxgw.faxes import private
from faxgw.faxes.ending import (
    CANCELED,
    CANCELED_TEXT,
    INTERRUPTED,
    MISDIRECTED,
    TAKEN,
    Ending,
    end_attempt,
    is_live,
)
from faxgw.gateway import Gateway
from faxgw.learning.evidence import seen_in
from faxgw.lines.claims import Claim
from faxgw.lines.sending import OutgoingPages
from faxgw.lines.talk import TRY_AGAIN, Talk, written
from faxgw.lines.together import FaxesInOneCall
from faxgw.lines.watching import Watcher, file_trace
from faxgw.rules.attempt import Adjustments
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import attempts, faxes
from t30.calling import calling
from t30.outcome import Direction, Outcome
from t30.session import Session

log = structlog.get_logger(__name__)


class OutgoingCall:
    """Makes one call; whatever happens, its attempts are ended in the database, as soon as there are any."""

    def __init__(self, gateway: Gateway, claim: Claim) -> None:
        self._first = claim
        self._gateway = gateway
        self._talk = Talk()
        self._faxes: FaxesInOneCall | None = None

    @property
    def claim(self) -> Claim:
        """What the call is for just now."""
        return self._faxes.claim if self._faxes else self._first

    @property
    def attempt_ids(self) -> tuple[UUID, ...]:
        """Whose leases it holds."""
        return self._faxes.attempt_ids if self._faxes else (self._first.attempt["id"],)

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
        clock = _Stopwatch(line)
        pages = await self._pages()
        source = FaxesInOneCall(self._gateway, self.claim, pages, so_far=lambda: _so_far(watcher, clock.lap()))
        try:
            await pages.prepare()
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
            self._faxes = source
            clock.lap()
            outcome = await self._talk.run(
                run_call(
                    Session(calling(station, settings.dialled(fax["to_number"]))), line, source, watcher.observers
                ),
                at_most=line.clock.real(self._gateway.config.dispatch.max_call),
            )
        finally:
            await source.close()
        watcher.over(outcome)
        ending = self._as_ending(outcome, watcher, source, seconds=clock.lap() if source.ended else outcome.seconds)
        return ending, await watcher.sealed(self._gateway, fax["tenant_id"])

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

    async def _pages(self) -> OutgoingPages:
        """Find out what is left to be sent.

        Raises:
            RequestError: ``call.canceled``, if nothing is wanted any more.
        """
        gateway, fax = self._gateway, self.claim.fax
        async with gateway.database.tenant(fax["tenant_id"]) as connection:
            if (await connection.execute(select(faxes.c.cancel_wanted).where(faxes.c.id == fax["id"]))).scalar_one():
                raise RequestError(CANCELED, CANCELED_TEXT)
            return await OutgoingPages.of(connection, gateway, self.claim)

    def _as_ending(self, outcome: Outcome, watcher: Watcher, source: FaxesInOneCall, *, seconds: float) -> Ending:
        reason = outcome.reason
        seen = seen_in(
            outcome,
            watcher.chosen,
            at=datetime.now(UTC),
            adjustments=self._adjustments,
            faxes=len(source.ended) + source.pages.begun,
            between=source.promised,
        )
        ending = Ending(
            cause=self._talk.why if reason.code == CANCELED else reason.code,
            text=reason.text,
            remote_id=outcome.remote_id,
            rate=outcome.modulation.bps if outcome.modulation else None,
            modulation=outcome.modulation.family.value if outcome.modulation else None,
            ecm=outcome.ecm if outcome.modulation else None,
            seconds=round(seconds, 3),
            connected_at=watcher.connected_at,
            seen=seen,
        )
        if not source.ended or source.pages.begun or ending.cause in (CANCELED, MISDIRECTED):
            return ending
        if ending.cause.startswith("document."):
            return ending
        return Ending(TAKEN, f"the call ended before the turn of this fax came: {ending.text}", seen=seen)

    @property
    def _adjustments(self) -> Adjustments:
        return Adjustments.model_validate(self.claim.attempt["adjustments"])

    async def _written(self, ending: Ending, trace: StoredObject | None) -> None:
        """Write down what the call came to, however long the database is away; once, though it may be written twice."""
        fax = self.claim.fax
        while True:
            try:
                async with self._gateway.database.tenant(fax["tenant_id"]) as connection:
                    await self._end(connection, ending, trace)
                return
            except DatabaseUnavailable:
                await asyncio.sleep(TRY_AGAIN)

    async def _end(self, connection: AsyncConnection, ending: Ending, trace: StoredObject | None) -> None:
        """End what is live of this call, with its one recording."""
        own = self.claim.attempt["id"]
        live = [each for each in self.attempt_ids if await is_live(connection, each)]
        if own not in live:
            log.warning("an attempt was ended before its call", attempt=str(own))
        earlier = self._faxes.ended if self._faxes else []
        if live or earlier:
            trace_id = await file_trace(connection, trace, box_id=self.claim.fax["box_id"])
            await _give_trace(connection, earlier, trace_id)
        for each in live:
            # The other one was begun by a transaction of which nobody could say whether it was committed.
            unseen = Ending(TAKEN, "the call ended before the turn of this fax came")
            await end_attempt(connection, each, replace(ending, trace_id=trace_id) if each == own else unseen)


async def _give_trace(connection: AsyncConnection, attempt_ids: Sequence[UUID], trace_id: UUID | None) -> None:
    """Let faxes that ended in the midst of a call have its recording, too, but for those that keep nothing."""
    kept = select(faxes.c.id).where(faxes.c.shredded_at.is_(None), faxes.c.storage == "archive")
    own = attempts.c.id.in_(attempt_ids) & attempts.c.fax_id.in_(kept)
    if attempt_ids:
        await connection.execute(update(attempts).where(own).values(trace_id=trace_id))


class _Stopwatch:
    """Seconds of a line's clock."""

    def __init__(self, line: Line) -> None:
        self._clock = line.clock
        self._at = line.clock.now()

    def lap(self) -> float:
        """Return the seconds since it was asked last."""
        before, self._at = self._at, self._clock.now()
        return self._at - before


def _so_far(watcher: Watcher, seconds: float) -> Ending:
    """Return what a call has come to for a fax that is whole, while the call goes on."""
    chosen = watcher.chosen
    rate = chosen.modulation if chosen else None
    return Ending(
        "",
        remote_id=watcher.station_id,
        rate=rate.bps if rate else None,
        modulation=rate.family.value if rate else None,
        ecm=chosen.ecm if chosen else None,
        seconds=round(seconds, 3),
        connected_at=watcher.connected_at,
    )
