"""Whole calls between two T.38 lines over a simulated network, in virtual time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed, Stream
from drivers.t38.options import Options
from drivers.witness import Seen
from simulators.clock import run
from simulators.machine import Habit, Machine
from simulators.network import Fates, Weather, pair
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Outcome
from t30.t4 import Bitmap

NOWHERE = ("", 0)
LIMIT = 3600.0


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is over."""

    sent: Outcome
    got: Outcome
    sender: Machine
    receiver: Machine
    tray: Tray
    media: tuple[Stream, Stream]
    fates: tuple[Fates, Fates]
    seen: list[Seen]
    """What the caller's line sent and received."""

    def told(self) -> str:
        """Return both transcripts."""
        return f"--- sender: {self.sent}\n{self.sender.told()}\n--- receiver: {self.got}\n{self.receiver.told()}"

    def arrived(self) -> list[Bitmap]:
        """Return the pages as received."""
        return [page.decoded.bitmap for _, page in sorted(self.tray.received.items()) if page.decoded is not None]


class _Line(UdptlLine):
    """A line that remembers the stream of its last call."""

    last: Stream

    async def perform(self, action):  # type: ignore[no-untyped-def]
        if self.media is not None:
            self.last = self.media
        return await super().perform(action)


def call(
    sheets: Sequence[Sheet],
    *,
    sender: Station = Station("+49 30 1234567"),  # noqa: B008
    receiver: Station = Station("+1 555 0100"),  # noqa: B008
    agreed: tuple[Agreed, Agreed] | Agreed = Agreed(),  # noqa: B008
    there: Weather = Weather(),  # noqa: B008
    back: Weather | None = None,
    habit: Habit | None = None,
    then: tuple[float, Callable[[UdptlLine], None]] | None = None,
) -> Call:
    """Send pages from one line to the other.

    Args:
        sheets: the pages.
        sender: the caller.
        receiver: the answerer.
        agreed: what both lines take to be agreed on, or each of them.
        there: the network from the caller to the answerer.
        back: the other way; the same if not told.
        habit: the answerer's.
        then: at this time do that to the caller's line.
    """
    ours, theirs = agreed if isinstance(agreed, tuple) else (agreed, agreed)

    async def fax() -> Call:
        clock = LineClock(asyncio.get_running_loop().time)
        one, other = pair(there, back or there, clock)
        caller = _Line(one, Options(NOWHERE, NOWHERE, calls=True, agreed=ours))
        answerer = _Line(other, Options(NOWHERE, NOWHERE, calls=False, agreed=theirs))
        tray = Tray()
        seen: list[Seen] = []
        caller.witness = seen.append
        sending = Machine(sender, caller, Tray(list(sheets)))
        receiving = Machine(receiver, answerer, tray, habit=habit)
        if then is not None:
            asyncio.get_running_loop().call_at(then[0], then[1], caller)
        async with asyncio.timeout(LIMIT):
            got = asyncio.create_task(receiving.receive())
            sent = await sending.send("")
            await got
        fates = (one.path.fates, other.path.fates)
        media = (caller.last, answerer.last)
        return Call(sent, got.result(), sending, receiving, tray, media, fates, seen)

    return run(fax())
