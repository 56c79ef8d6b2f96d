"""The flow chart's two subroutines, "command received?" and "response received?", and all that procedures share.

Retries, timers, echoes and repetition live here, once.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar, overload

from t30 import timers
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import FINAL, Frame
from t30.line import (
    Action,
    CarrierLost,
    Content,
    Event,
    FrameReceived,
    ListenData,
    ListenFrame,
    Quiet,
    SendData,
    SendFrames,
    Sent,
    WrongCarrier,
)
from t30.outcome import Disconnected, LocalError, NoResponse, Record, RemoteError
from t30.rates import Modulation

T = TypeVar("T")
Procedure = Generator[Action, Event, T]
"""Part of a call: yields actions, is sent events, returns what it was for."""

E = TypeVar("E")

_LONGEST_SIGNAL = 600.0
"""A page takes no longer than that at 2400 bit/s, unless it is a picture in dots; what goes on is noise."""

_LONGEST_MESSAGE = 30.0
"""The longest V.21 signal, in seconds, is a sixth of that; what goes on is a modem that is stuck, or noise."""

_WRONG_CARRIERS = 10
"""So many receptions of another modulation in a row are noise, not a signal that will end."""


@dataclass(frozen=True, slots=True)
class Message:
    """One V.21 signal: the frames that were good, the last of which ends it (``control`` says final)."""

    frames: tuple[Frame, ...]
    whole: bool = True
    """None of its frames was damaged."""

    @property
    def fcf(self) -> Fcf | None:
        """What the final frame says."""
        return self.frames[-1].fcf

    @property
    def fif(self) -> bytes:
        """The information field of the final frame."""
        return self.frames[-1].fif

    def find(self, fcf: Fcf) -> bytes | None:
        """Return the information field of the frame that says ``fcf``, or None."""
        return next((frame.fif for frame in self.frames if frame.fcf is fcf), None)

    def __str__(self) -> str:
        return ", ".join(frame.name for frame in self.frames)


class Damaged:
    """A V.21 signal whose final frame could not be read."""


@dataclass(slots=True)
class Exchange:
    """One end of one call: who we are, what is being recorded, and what was said last."""

    station: Station
    record: Record
    x: bool
    """Bit X of what we send: we are the one who received DIS."""
    now: float = 0.0
    """Seconds since the call began (for a station that waits for one: since it rang), at the last event."""
    connected: bool = False
    """The call stands, so that there is somebody to say goodbye to."""
    passed_over: bool = False
    """A fast carrier went by unheard since we last spoke."""
    answered_at: float = 0.0
    """When the first frame was heard since we last spoke; 0 if none was."""
    said: Fcf | None = None
    """Our last command or response: what the other machine answers, or does not."""
    _said: frozenset[bytes] = field(default=frozenset())

    # ------------------------------------------------------------------------------------------------ plain actions

    @overload
    def do(self, action: Action, expecting: type[E]) -> Procedure[E]: ...
    @overload
    def do(self, action: Action) -> Procedure[Event]: ...
    def do(self, action: Action, expecting: type[E] | None = None) -> Procedure[E | Event]:
        """Have one action done, and return its event.

        Raises:
            LocalError: if the port answers something else than ``expecting``.
        """
        event = yield action
        self.now = event.at
        if expecting is not None and not isinstance(event, expecting):
            raise LocalError(f"{type(action).__name__} was answered by {event!r}")
        return event

    def send(self, *frames: Frame, after: float = timers.TURNAROUND) -> Procedure[None]:
        """Send one V.21 signal; only its last frame is marked final."""
        octets = tuple(Frame(frame.code, frame.fif, final=frame is frames[-1]).octets for frame in frames)
        self._said = frozenset(octets)
        if frames[-1].fcf is not Fcf.CRP:
            self.said = frames[-1].fcf
        yield from self.do(SendFrames(Modulation.V21, octets, after), Sent)
        self.passed_over, self.answered_at = False, 0.0

    def say(self, fcf: Fcf, fif: bytes = b"") -> Procedure[None]:
        """Send one V.21 frame."""
        yield from self.send(self.frame(fcf, fif))

    def frame(self, fcf: Fcf, fif: bytes = b"") -> Frame:
        """Return a frame with our direction bit."""
        return Frame.of(fcf, fif, x=self.x)

    # ---------------------------------------------------------------------------------------------------- receiving

    def message(
        self, within: float, *, awaited: Modulation | None = None, after_carrier: float = timers.AFTER_CARRIER
    ) -> Procedure[Message | Damaged | None]:
        """Take in one V.21 signal; None if none comes.

        Our own signal, echoed by the line, is passed over.

        Args:
            within: seconds until it must have begun.
            awaited: a fast carrier that we wait for. That carrier, an echo, and a signal without a frame are the same
                as none: the wait for the carrier goes on.
            after_carrier: how long to wait once another fast carrier has passed by.
        """
        frames: list[Frame] = []
        begun, whole = False, True
        deadline = self.now + within
        foreign = 0
        while self.now < deadline + _LONGEST_MESSAGE:
            wait = timers.NEXT_FRAME if begun else max(0.0, deadline - self.now)
            event = yield from self.do(ListenFrame(Modulation.V21, wait))
            match event:
                case FrameReceived(octets, good):
                    # What came damaged is looked into by nobody: recordings, which must replay, do not have it.
                    if good and octets in self._said:
                        if awaited and octets[1] == FINAL:
                            return None
                        continue
                    begun = True
                    self.answered_at = self.answered_at or self.now
                    frame = Frame.parse(octets) if good else None
                    frames += [frame] if frame else []
                    whole = whole and frame is not None
                    if frame and frame.final:
                        return Message(tuple(frames), whole=whole)
                case CarrierLost() | Quiet() if begun:
                    return Damaged()
                case Quiet():
                    return None
                case CarrierLost():
                    if awaited or self.now >= deadline:
                        return None
                case WrongCarrier(which):
                    foreign += 1
                    if _is(which, awaited) or foreign > _WRONG_CARRIERS:
                        return None
                    yield from self._let_pass(which)
                    deadline = self.now + after_carrier
                case _:
                    raise LocalError(f"ListenFrame was answered by {event!r}")
        return Damaged()  # frames for ever, of which none is the last

    def _let_pass(self, which: Modulation | None) -> Procedure[None]:
        """Wait until a fast carrier that nobody expects is gone: we want the V.21 signal after it."""
        if which is None:
            return
        self.passed_over = True
        began = self.now
        while self.now - began < _LONGEST_SIGNAL:
            event = yield from self.do(ListenData(which, Content.PAGE, timers.T2))
            if isinstance(event, CarrierLost | Quiet | WrongCarrier):
                return

    # -------------------------------------------------------------------------------------------- the two subroutines

    def command(self, within: float = timers.T2, *, after_carrier: float | None = None) -> Procedure[Message | None]:
        """Return the next command: "command received?" (T.30 5.2, the receiver's side); None if none came in time.

        Args:
            within: seconds until it must have begun.
            after_carrier: the same, once a fast carrier has passed by.

        Raises:
            Disconnected: if it is DCN.
        """
        for _ in range(timers.TRIES):
            heard = yield from self.message(within, after_carrier=within if after_carrier is None else after_carrier)
            if not isinstance(heard, Damaged):
                return _not_goodbye(heard)
        return None  # what cannot be read is repeated, but not for ever

    def interruption(self, awaited: Modulation) -> Procedure[Message | None]:
        """Return the command that came where a fast carrier was awaited; None if it was our echo, or cannot be read.

        Raises:
            Disconnected: if it is DCN.
        """
        heard = yield from self.message(timers.NEXT_FRAME, awaited=awaited)
        return _not_goodbye(heard) if isinstance(heard, Message) else None

    def response(
        self,
        *frames: Frame,
        then: SendData | None = None,
        crp: bool = False,
        again: tuple[Fcf, ...] = (),
        within: float = timers.T4,
    ) -> Procedure[Message]:
        """Send a command and return what came back: "response received?" (T.30 5.2, the sender's side).

        Args:
            frames: the command.
            then: a training check that follows it at once.
            crp: ask for a repetition of a response that cannot be read, rather than repeat the command: for a command
                that takes long. In phase D many machines answer CRP badly, so there the command is repeated.
            again: what says that the command was not heard.
            within: how long to wait for the response, in seconds.

        Raises:
            NoResponse: if nothing came back after three tries.
            Disconnected: if it is DCN.
        """
        asking = False
        for _ in range(timers.TRIES):
            if asking:
                yield from self.say(Fcf.CRP)
            else:
                yield from self.send(*frames)
                if then is not None:
                    yield from self.do(then, Sent)
            heard = yield from self.message(within)
            asking = crp and isinstance(heard, Damaged)
            if not isinstance(heard, Message) or heard.fcf in (None, Fcf.CRP, *again):
                continue
            if heard.fcf is Fcf.DCN:
                raise Disconnected(f"the other machine answered {frames[-1].fcf} by hanging up (DCN)")
            return heard
        raise NoResponse(f"no answer to {frames[-1].fcf}, sent {timers.TRIES} times")


def _is(which: Modulation | None, awaited: Modulation | None) -> bool:
    """Tell whether a carrier that the line may not know is the one that is awaited, whatever its training."""
    return awaited is not None and (which is None or which.long is awaited.long)


def _not_goodbye(heard: Message | None) -> Message | None:
    if heard is not None and heard.fcf is Fcf.DCN:
        raise Disconnected("the other machine hung up (DCN) before the fax was whole")
    return heard


def unexpected(heard: Message, after: str) -> RemoteError:
    """Return the error for a message that has no place here."""
    return RemoteError(f"{heard} in answer to {after}")
