"""A simulated fax machine: the T.30 engine, a line and a tray; and whatever bad habits it has."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

from t30.answering import answering
from t30.calling import calling, polling
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.frame import Frame
from t30.line import (
    Action,
    AwaitCall,
    Event,
    FaxLine,
    FrameReceived,
    HangUp,
    LineError,
    SendData,
    SendFrames,
    stamped,
)
from t30.outcome import Canceled, Outcome
from t30.pages import PageAction, PagePort
from t30.session import Session

STANDSTILL = 2000
"""So many actions in a row that take no time are a loop that does not end."""


class Habit:
    """How a machine does what its engine wants: this one does just that. The misbehaving ones are in personalities.

    An instance is for one call.
    """

    def do(self, action: Action) -> Generator[Action, Event, Event]:
        """Have ``action`` done, or something else, and return the event that the engine is to hear.

        Raises:
            LineError: for the engine to hear in place of an event.
        """
        return (yield action)

    def live(self, procedure: Procedure[Outcome]) -> Procedure[Outcome]:
        """Run a procedure, with every action of it done in this machine's way."""
        session = Session(procedure)
        while session.action is not None:
            try:
                event = yield from self.do(session.action)
            except (LineError, Canceled) as fault:
                session.throw(fault)
            else:
                session.handle(event)
        assert session.outcome is not None
        return session.outcome


class Several(Habit):
    """Has all of these habits at once: what the first wants done instead is done in the way of the second, and so on.

    Attributes:
        steps: what the engine asked for and what it was told, since the call began.
    """

    def __init__(self, *habits: Habit) -> None:
        self.habits = habits
        self.steps: list[tuple[Action, Event | LineError]] = []

    def do(self, action: Action) -> Generator[Action, Event, Event]:
        """Have it done in all these ways."""
        try:
            event = yield from _done(action, self.habits)
        except LineError as fault:
            self.steps.append((action, fault))
            raise
        self.steps.append((action, event))
        return event


def _done(action: Action, habits: tuple[Habit, ...]) -> Generator[Action, Event, Event]:
    if not habits:
        return (yield action)
    doing = habits[0].do(action)
    go_on = partial(next, doing)
    while True:
        try:
            wanted = go_on()
        except StopIteration as end:
            event: Event = end.value
            return event
        try:
            heard = yield from _done(wanted, habits[1:])
        except (LineError, Canceled) as fault:
            go_on = partial(doing.throw, fault)
        else:
            go_on = partial(doing.send, heard)


@dataclass(frozen=True, slots=True)
class Step:
    """One action and what it came to, with the time at which that was; a fault has none of its own."""

    action: Action
    event: Event | LineError

    def __str__(self) -> str:
        at = f"{self.event.at:9.3f}" if not isinstance(self.event, LineError) else " " * 9
        return f"{at}  {_short(self.action)}  ->  {_short(self.event)}"


class Machine:
    """A fax machine on a line.

    Attributes:
        transcript: every step of its last call.
    """

    def __init__(self, station: Station, line: FaxLine, pages: PagePort, *, habit: Habit | None = None) -> None:
        self.station = station
        self.line = line
        self.pages = pages
        self.habit = habit or Habit()
        self.transcript: list[Step] = []

    async def send(self, number: str) -> Outcome:
        """Call a number and send what is in the tray."""
        return await self.run(calling(self.station, number))

    async def fetch(self, number: str) -> Outcome:
        """Call a number and take the document that it has for callers."""
        return await self.run(polling(self.station, number))

    async def receive(self) -> Outcome:
        """Wait for a call and take what it brings; if the station offers a document, give it to who asks."""
        return await self.run(answering(self.station))

    async def run(self, procedure: Procedure[Outcome]) -> Outcome:
        """Run any procedure on this machine's line."""
        session = Session(self.habit.live(procedure))
        self.transcript = []
        began = self.line.clock.now()
        try:
            while session.action is not None:
                action = session.action
                try:
                    event = await self._perform(action)
                except LineError as fault:
                    self.transcript.append(Step(action, fault))
                    session.throw(fault)
                    continue
                if isinstance(action, AwaitCall):
                    began = self.line.clock.now()  # until then there was no call
                event = stamped(event, self.line.clock.now() - began)
                self.transcript.append(Step(action, event))
                self._check_progress()
                session.handle(event)
        except BaseException:
            await self.line.perform(HangUp())  # whatever happened here, nobody is to wait on the line for this machine
            raise
        assert session.outcome is not None
        return session.outcome

    async def _perform(self, action: Action) -> Event:
        if isinstance(action, PageAction):
            return await self.pages.perform(action)
        return await self.line.perform(action)

    def _check_progress(self) -> None:
        if len(self.transcript) < STANDSTILL:
            return
        earlier, latest = self.transcript[-STANDSTILL].event, self.transcript[-1].event
        if not isinstance(earlier, LineError) and not isinstance(latest, LineError) and earlier.at == latest.at:
            raise RuntimeError(f"{STANDSTILL} actions at {latest.at:.3f} s:\n" + self.told(last=20))

    def told(self, *, last: int = 1000) -> str:
        """Return the last steps of the call as text, a line each."""
        return "\n".join(map(str, self.transcript[-last:]))


def _short(thing: Action | Event | LineError) -> str:
    match thing:
        case SendFrames(modulation, frames, _):
            return f"send {modulation} {_named(frames)}"
        case FrameReceived(octets, good):
            return ("" if good else "bad ") + _named((octets,))
        case SendData(modulation, octets, content, _):
            return f"send {modulation} {content.value}, {len(octets)} octets"
    text = repr(thing)
    return text if len(text) <= 120 else f"{text[:80]}... ({len(text)} characters)"


def _named(frames: tuple[bytes, ...]) -> str:
    names = (str(Frame.parse(octets) or octets.hex(" ")) for octets in frames[:4])
    return ", ".join(name[:60] for name in names) + (f", ... ({len(frames)} frames)" if len(frames) > 4 else "")
