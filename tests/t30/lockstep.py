"""Two sessions on a line without time of its own: each takes its step as soon as it can, and garbage may come between.

The line is perfect and keeps what was said until the other side speaks. Nothing here waits, so a call of ten pages
takes a few milliseconds, and any event may be put in the place of the one that was due.
"""

from collections import deque
from collections.abc import Callable, Iterator

from t30.hdlc import AROUND_FRAME
from t30.line import (
    CHUNK_OCTETS,
    Action,
    Answer,
    AwaitCall,
    CarrierLost,
    Connected,
    DataReceived,
    Dial,
    Event,
    FrameReceived,
    HangUp,
    LineError,
    ListenData,
    ListenFrame,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    WrongCarrier,
    stamped,
)
from t30.pages import (
    AdmitPoller,
    Admitted,
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageFormat,
    PageReady,
    Resolution,
    Verdict,
    Width,
)
from t30.rates import Modulation
from t30.session import Session

RTC = b"(end of page)"
"""What this page target takes for the end of a page."""
SHORTEST_SIGNAL = 0.05
"""Seconds: nothing on a line is over sooner, not even noise."""

Interruption = Callable[[ListenFrame | ListenData, int], Event | None]
"""Given what is listened for and how often anything was, the event to put in place of the one due; None for that."""


class Side:
    """One station: its session, its pages, and what it has not heard yet.

    Args:
        session: what it does.
        pages: octets of each page that it sends.
        interrupt: garbage for it.
    """

    def __init__(
        self, session: Session, pages: tuple[bytes, ...] = (), *, interrupt: Interruption = lambda *_: None
    ) -> None:
        self.session = session
        self.pages = pages
        self.kept: dict[int, bytes] = {}
        self.actions = 0
        self.listened = 0
        self._interrupt = interrupt
        self._judged: set[int] = set()
        self.coming: deque[tuple[Modulation, deque[bytes], bool]] = deque()
        """Signals: their modulation, frames or chunks, and whether they are frames."""

    def garbage(self) -> Event | None:
        """Return what this side hears in place of what is due."""
        action = self.session.action
        assert isinstance(action, ListenFrame | ListenData)
        self.listened += 1
        return self._interrupt(action, self.listened - 1)

    def hears(self) -> Event | None:
        """Return what this side hears of what was said to it, None if nothing was."""
        action = self.session.action
        assert isinstance(action, ListenFrame | ListenData)
        if not self.coming:
            return None
        modulation, left, framed = self.coming[0]
        if modulation is not action.modulation:
            if modulation is Modulation.V21 or action.modulation is Modulation.V21:
                return WrongCarrier(modulation)
            self.coming.popleft()
            return Quiet()
        if not left:
            self.coming.popleft()
            return CarrierLost()
        octets = left.popleft()
        return FrameReceived(octets, good=True) if framed else DataReceived(octets)

    def pages_event(self, action: Action) -> Event | None:
        """Answer an action for the pages; None if it is none."""
        match action:
            case FetchPage(index, limits):
                if index >= len(self.pages):
                    return NoMorePages()
                format = PageFormat(Width.A4, Length.A4, Resolution.STANDARD, limits.coding, limits.ecm)
                return PageReady(format, self.pages[index] + RTC, 100)
            case NoteConfirmed():
                return Noted()
            case AdmitPoller():
                return Admitted(granted=True)
            case KeepData(index, _, octets):
                self.kept[index] = b"" if index in self._judged else self.kept.get(index, b"")
                self._judged.discard(index)
                self.kept[index] += octets
                return Kept(page_ended=RTC in self.kept[index])
            case JudgePage(index):
                self._judged.add(index)
                return Verdict(100, 0, 0, durable=True)
        return None


def run(first: Side, second: Side | None = None, *, actions: int = 20_000) -> float:
    """Run both to their ends, or one whose other side says nothing; return the seconds that it took.

    Raises:
        AssertionError: if there is no end to it in so many actions of one side.
    """
    sides = [first] if second is None else [first, second]
    now = 0.0
    while any(side.session.action for side in sides):
        for side, other in zip(sides, sides[::-1] if second else [None], strict=True):
            now += sum(_steps(side, other, now, actions))
        waiting = [side for side in sides if isinstance(side.session.action, ListenFrame | ListenData)]
        if waiting and not any(side.coming for side in waiting) and len(waiting) == sum(_live(side) for side in sides):
            patience = min(_within(side) for side in waiting)
            now += patience
            for side in waiting:
                if _within(side) == patience:
                    side.session.handle(stamped(Quiet(), now))
    return now


def _steps(side: Side, other: Side | None, now: float, actions: int) -> Iterator[float]:
    """Let one side do what it can without waiting; yield the seconds that each step took."""
    while (action := side.session.action) is not None:
        side.actions += 1
        assert side.actions < actions, f"no end to it: {side.session.path}, {action!r:.200}"
        if isinstance(action, ListenFrame | ListenData):
            event = side.garbage() or side.hears()
            if event is None:
                return
            seconds = _lasts(event, action)
        else:
            event, seconds = side.pages_event(action) or _done(action, side, other), _seconds(action)
        now += seconds
        yield seconds
        side.session.handle(stamped(event, now))


def _done(action: Action, side: Side, other: Side | None) -> Event:
    match action:
        case AwaitCall():
            return Ringing("", "")
        case Dial() | Answer():
            return Connected()
        case SendFrames(modulation, frames, _):
            _say(side, other, modulation, list(frames), framed=True)
        case SendData(modulation, octets, _, _):
            pieces = [octets[at : at + CHUNK_OCTETS] for at in range(0, len(octets), CHUNK_OCTETS)]
            _say(side, other, modulation, pieces, framed=False)
        case HangUp():
            if other is not None and _live(other):
                other.coming.clear()
                other.session.throw(LineError("the other side hung up", code="line.dropped"))
        case SendTone():
            pass
    return Sent()


def _say(side: Side, other: Side | None, modulation: Modulation, pieces: list[bytes], *, framed: bool) -> None:
    side.coming.clear()  # who speaks is deaf
    if other is not None:
        other.coming.append((modulation, deque(pieces), framed))


def _seconds(action: Action) -> float:
    match action:
        case SendFrames(modulation, frames, after):
            return after + 1.0 + sum(map(len, frames)) * 8 / modulation.bps
        case SendData(modulation, octets, _, after):
            return after + 1.0 + len(octets) * 8 / modulation.bps
        case SendTone():
            return 0.5
    return 0.0


def _lasts(event: Event, action: ListenFrame | ListenData) -> float:
    """Return the seconds that it takes to hear this."""
    match event:
        case Quiet():
            return action.within
        case FrameReceived(octets):
            return (len(octets) + AROUND_FRAME) * 8 / action.modulation.bps
        case DataReceived(octets):
            return len(octets) * 8 / action.modulation.bps
    return SHORTEST_SIGNAL


def _within(side: Side) -> float:
    action = side.session.action
    assert isinstance(action, ListenFrame | ListenData)
    return action.within


def _live(side: Side) -> bool:
    return side.session.action is not None
