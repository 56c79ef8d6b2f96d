"""Several faxes to one number in one call: the pages of one after the other, each fax with an attempt of its own.

One attempt is live at a time. With the last confirmation of a fax its attempt ends, and the next fax's begins in the
same transaction: until then the next fax is in the queue like any other, and may be canceled there, or taken by nobody,
since its number has a call. So whenever the process dies, at most one fax is found on the line.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import metrics
from faxgw.faxes.ending import Ending, adjustments_of, end_attempt, hours_of, is_live
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.gateway import Gateway
from faxgw.lines.claims import Claim, begin, new_attempt
from faxgw.lines.sending import OutgoingPages
from faxgw.model import State
from faxgw.rules.attempt import Adjustments
from faxgw.rules.together import goes_with
from faxgw.rules.windows import next_open
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import batches, faxes
from t30.pages import AnotherDocument, FetchPage, NoMorePages, NoteConfirmed, PageAction, PageEvent

log = structlog.get_logger(__name__)

WITHIN = 1.5
"""Seconds to look for the next fax, or to go over to it: the receiver waits 6 s (T2) for what follows."""
LOOKED_AT = 20
"""So many faxes that wait for the same number are looked at."""


class FaxesInOneCall:
    """The page source of one call: the pages of a fax, and where policy lets more of them follow, of those.

    Args:
        so_far: what the call has come to for the fax whose last page was just confirmed.

    Attributes:
        claim: the fax that is being sent.
        pages: its pages.
        attempt_ids: its attempt, and while the call goes over to another fax that one's, too.
        ended: attempts that have ended in this call.
        promised: the receiver was told that another fax follows (EOM), and that has not begun.
    """

    def __init__(self, gateway: Gateway, claim: Claim, pages: OutgoingPages, *, so_far: Callable[[], Ending]) -> None:
        self.claim = claim
        self.pages = pages
        self.attempt_ids: tuple[UUID, ...] = (claim.attempt["id"],)
        self.ended: list[UUID] = []
        self._gateway = gateway
        self._so_far = so_far
        self._next: RowMapping | None = None
        self._starts = 0
        self._pages_so_far = pages.count

    @property
    def promised(self) -> bool:
        """The receiver was told that another fax follows (EOM), and its pages have not begun."""
        return self._next is not None or (bool(self.ended) and not self.pages.begun)

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer one action, by the pages of the fax that it falls to."""
        match action:
            case FetchPage(index) if index - self._starts >= self.pages.count:
                self._next = await self._waiting() if self.pages.left == 1 else None
                return AnotherDocument() if self._next is not None else NoMorePages()
            case NoteConfirmed(index):
                noted = await self.pages.perform(replace(action, index=index - self._starts))
                if not self.pages.left and self._next is not None:
                    await self._go_over(index + 1)
                return noted
            case FetchPage(index):
                return await self.pages.perform(replace(action, index=index - self._starts))
        return await self.pages.perform(action)

    async def close(self) -> None:
        """Forget the pages, once every confirmation is written down."""
        await self.pages.close()

    async def _waiting(self) -> RowMapping | None:
        """Return the fax that may follow; None if there is none, or it cannot be said now."""
        fax = self.claim.fax
        try:
            async with self._gateway.database.tenant(fax["tenant_id"], within=WITHIN) as connection:
                return await self._found(connection)
        except DatabaseUnavailable as trouble:
            log.warning("no further fax was looked for", fax=str(fax["id"]), error=str(trouble))
            return None

    async def _go_over(self, starts: int) -> None:
        """End the attempt of this fax and begin the next one's; nothing, where that is not possible now."""
        before, fax = self.pages, self.claim.fax
        following, self._next = self._next, None
        assert following is not None
        row_id = self.claim.attempt["id"]
        try:
            async with self._gateway.database.tenant(fax["tenant_id"], within=WITHIN) as connection:
                if not await is_live(connection, row_id):
                    return
                claim = await self._begun(connection, following, ending=self._so_far())
                pages = await OutgoingPages.of(connection, self._gateway, claim) if claim else None
        except DatabaseUnavailable as trouble:
            log.warning("no further fax was begun in a call", fax=str(fax["id"]), error=str(trouble))
            return
        if claim is None or pages is None:
            self.attempt_ids = (row_id,)
            return
        self.ended.append(row_id)
        self.attempt_ids, self.claim, self.pages = (claim.attempt["id"],), claim, pages
        self._starts, self._pages_so_far = starts, self._pages_so_far + pages.count
        metrics.ATTEMPTS.labels("none").inc()
        log.info("a call goes on with another fax", fax=str(claim.fax["id"]), after=str(fax["id"]))
        await before.close()

    async def _begun(self, connection: AsyncConnection, following: RowMapping, *, ending: Ending) -> Claim | None:
        """End this attempt and begin that of the fax that was promised, or of another if that is gone."""
        held = await self._held(connection, following["id"])
        if held is None and (other := await self._found(connection)) is not None:
            held = await self._held(connection, other["id"])
        if held is None:
            return None
        before = self.claim.attempt
        adjusted = Adjustments.model_validate(before["adjustments"])
        row = new_attempt(self._gateway, held, line=before["line"], route=before["route"], adjusted=adjusted)
        self.attempt_ids = (before["id"], row["id"])
        await end_attempt(connection, before["id"], ending)
        begun = await begin(connection, {held["id"]: held}, [row])
        return next((replace(self.claim, fax=fax, attempt=attempt) for fax, attempt in begun), None)

    async def _held(self, connection: AsyncConnection, fax_id: UUID) -> RowMapping | None:
        """Return a fax's row, held in this transaction, if it still waits for a line."""
        waits = (faxes.c.id == fax_id) & (faxes.c.state == State.QUEUED.value) & ~faxes.c.cancel_wanted
        found = await connection.execute(select(faxes).where(waits).with_for_update(skip_locked=True))
        fax = found.mappings().one_or_none()
        if fax is None or fax["batch_id"] is None:
            return fax
        running = select(batches.c.id).where(batches.c.id == fax["batch_id"], batches.c.state == "running")
        goes_on = (await connection.execute(running.with_for_update(read=True, skip_locked=True))).first()
        return fax if goes_on is not None else None

    async def _found(self, connection: AsyncConnection) -> RowMapping | None:
        """Return the first fax in the queue that may follow the one that is being sent."""
        before, attempt = self.claim.fax, self.claim.attempt
        tenant = await tenant_of(connection, before["tenant_id"])
        policy, adjusted = tenant.policy.together, Adjustments.model_validate(attempt["adjustments"])
        if adjusted.alone or policy.faxes <= 1 + len(self.ended):
            return None
        paused = select(batches.c.id).where(batches.c.id == faxes.c.batch_id, batches.c.state != "running")
        waits = (faxes.c.state == State.QUEUED.value) & (faxes.c.next_call_at <= func.now()) & ~faxes.c.cancel_wanted
        same = (faxes.c.to_number == before["to_number"]) & (faxes.c.box_id == before["box_id"])
        order = (faxes.c.priority, faxes.c.next_call_at, faxes.c.id)
        rows = await connection.execute(
            select(faxes).where(same, waits, ~paused.exists()).order_by(*order).limit(LOOKED_AT)
        )
        for fax in rows.mappings():
            left = (fax["pages"] or 0) - fax["pages_done"]
            counts = {"faxes_so_far": 1 + len(self.ended), "pages_so_far": self._pages_so_far}
            fits = goes_with(fax, before, line=attempt["line"]) and left > 0 and policy.takes(left, **counts)
            if fits and _is_open(tenant, fax) and await adjustments_of(connection, fax) == adjusted:
                return fax
        return None


def _is_open(tenant: Tenant, fax: RowMapping) -> bool:
    """Tell whether it is an hour at which the fax may be called."""
    now = datetime.now(UTC)
    opens = next_open(hours_of(tenant, fax["request"]), now)
    return opens is not None and opens <= now
