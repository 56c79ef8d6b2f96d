"""A trace as signals: who sent what, from when to when, in words, as the engine asked for it and heard it."""

from dataclasses import dataclass, field, replace

from drivers.t38.signals import TRAINING
from faxgw.trace import telling, words
from faxgw.trace.record import Step, Thrown, Trace
from faxgw.trace.story import Carried, Kind, Line, Party, Signal
from faxgw.trace.telling import Telling
from t30.calling import NOT_REACHED
from t30.frame import Frame
from t30.hdlc import AROUND_FRAME
from t30.line import (
    Answer,
    AwaitCall,
    CarrierLost,
    Connected,
    Content,
    DataReceived,
    Dial,
    FrameReceived,
    HangUp,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    WrongCarrier,
)
from t30.pages import FetchPage, JudgePage, KeepData, NoteConfirmed, PageReady, Verdict
from t30.rates import Modulation
from t30.timers import FAST_FLAGS


def party(trace: Trace) -> Party:
    """Return which of the two recorded the trace."""
    dialled = any(isinstance(step.action, Dial) for step in trace.steps[:1])
    return Party.CALLER if dialled else Party.ANSWERER


def signals(trace: Trace) -> list[Signal]:
    """Return what was on the line, in the order of the recording; tones that only repeat each other as one."""
    return _merged(every_signal(trace))


def every_signal(trace: Trace) -> list[Signal]:
    """Return what was on the line, in the order of the recording, every tone by itself."""
    view = _View(party(trace))
    for step in trace.steps:
        view.take(step)
    view.close()
    return view.signals


@dataclass(slots=True)
class _Reception:
    """A signal that is being heard; ``awaited``: it was, and is not only let pass."""

    modulation: Modulation
    content: Content | None
    awaited: bool
    start: float
    end: float
    frames: list[FrameReceived] = field(default_factory=list)
    octets: bytes = b""

    @property
    def is_over(self) -> bool:
        """A good frame marked as final ends a V.21 signal."""
        read = Frame.parse(self.frames[-1].octets) if self.frames and self.frames[-1].good else None
        return self.modulation is Modulation.V21 and read is not None and read.final


@dataclass(slots=True)
class _View:
    """Goes through the steps, and puts those together that are one signal.

    Attributes:
        passing: the modulation of a signal that was met where V.21 was waited for.
    """

    own: Party
    signals: list[Signal] = field(default_factory=list)
    reception: _Reception | None = None
    telling: Telling = field(default_factory=Telling)
    passing: Modulation | None = None

    def take(self, step: Step) -> None:
        """Add what a step tells."""
        match step.action:
            case ListenFrame() | ListenData():
                self._listen(step, step.action)
            case FetchPage(index):
                self.telling.page = max(index, 1)  # before a page is sent, the one after it is fetched
                if isinstance(step.result, PageReady):
                    self.telling.pages[index + 1] = step.result
            case KeepData(index):
                self.telling.page = index + 1
            case NoteConfirmed():
                pass  # the confirmation itself was heard
            case _:
                self.close()
                self._act(step)
        if isinstance(step.result, Thrown):
            self.close()
            self._note(step.until, step.until, Line("", step.result.text, bad=True))
        elif step.result is None:
            self.close()
            self._note(step.at, step.at, Line("", "the recording was cut off here", bad=True))

    def close(self) -> None:
        """End the signal that is being heard."""
        heard, self.reception = self.reception, None
        if heard is None:
            return
        # It was estimated from the length of what came: it cannot have begun before the signal before it ended.
        start = min(max(heard.start, self.signals[-1].end if self.signals else 0.0), heard.end)
        if self.telling.is_echo(heard.frames):
            names = ", ".join(words.frame(each.octets).name for each in heard.frames)
            self._note(start, heard.end, Line("", f"heard its own {names}, echoed by the line"))
            return
        kind, lines = self._heard(heard)
        carried = Carried(heard.modulation, heard.content, tuple(heard.frames), heard.octets)
        self.signals.append(Signal(kind, self.own.other, start, heard.end, tuple(lines), carried=carried))

    # --------------------------------------------------------------------------------------------- what we do

    def _act(self, step: Step) -> None:
        match step.action:
            case Dial(number):
                dialled = [Line("", f"dials {number}")]
                if isinstance(step.result, NotConnected):
                    dialled.append(Line("", NOT_REACHED[step.result.cause], bad=True))
                self._send(step, Kind.CALL, *dialled)
            case AwaitCall() if isinstance(step.result, Ringing):
                caller = f" from {step.result.caller}" if step.result.caller else ""
                told = f"calls {step.result.dialled}".rstrip() + caller
                self.signals.append(Signal(Kind.CALL, self.own.other, step.until, step.until, (Line("", told),)))
            case Answer():
                connected = isinstance(step.result, Connected)
                told = "answers" if connected else "answers, but the caller is gone"
                self._send(step, Kind.CALL, Line("", told, bad=not connected))
            case SendTone(tone):
                self._send(step, Kind.TONE, Line(tone.name, words.TONES[tone]))
            case SendFrames(Modulation.V21 as modulation, frames, after):
                carried = Carried(modulation, frames=_good(frames))
                self._send(step, Kind.FRAMES, *self.telling.said_by_us(frames), after=after, carried=carried)
            case SendFrames(modulation, frames, after):
                carried = Carried(modulation, frames=_good(frames))
                part = self.telling.page_frames(modulation, carried.frames)
                self._send(step, Kind.PAGE, *part, after=after, carried=carried)
            case SendData(modulation, octets, content, after):
                carried = Carried(modulation, content, octets=octets)
                if content is Content.TCF:
                    check = self.telling.training_check(modulation, octets, is_ours=True)
                    self._send(step, Kind.TRAINING, *check, after=after, carried=carried)
                else:
                    page = self.telling.page_data(modulation, len(octets))
                    self._send(step, Kind.PAGE, *page, after=after, carried=carried)
            case JudgePage(index):
                verdict = step.result if isinstance(step.result, Verdict) else None
                if line := self.telling.verdict(index + 1, verdict):
                    self._note(step.at, step.until, line)
            case HangUp():
                self._send(step, Kind.CALL, Line("", "hangs up"))

    def _send(self, step: Step, kind: Kind, *lines: Line, after: float = 0.0, carried: Carried | None = None) -> None:
        start = min(step.at + after, step.until)
        whole = isinstance(step.result, Sent | Connected | NotConnected)
        if whole or start < step.until:
            told = lines if whole else (*lines, Line("", "cut off", bad=True))
            self.signals.append(Signal(kind, self.own, start, step.until, told, carried=carried, whole=whole))

    def _note(self, start: float, end: float, *lines: Line) -> None:
        self.signals.append(Signal(Kind.NOTE, self.own, start, end, lines, travels=False))

    # ------------------------------------------------------------------------------------------- what we hear

    def _listen(self, step: Step, action: ListenFrame | ListenData) -> None:
        match step.result:
            case FrameReceived(octets):
                seconds = (len(octets) + AROUND_FRAME) * 8 / action.modulation.bps
                flags = 0.0 if action.modulation is Modulation.V21 else FAST_FLAGS
                heard = self._hearing(action, step.until - seconds - flags)
                heard.frames.append(step.result)
                heard.end = step.until
                if heard.is_over:
                    self.close()
            case DataReceived(octets):
                heard = self._hearing(action, step.until - len(octets) * 8 / action.modulation.bps)
                heard.octets += octets
                heard.end = step.until
            case CarrierLost():
                self.close()
                self.passing = None
            case Quiet():
                self.close()
                if step.until > step.at:
                    line = telling.silence(action, step.until - step.at)
                    self.signals.append(Signal(Kind.SILENCE, self.own, step.at, step.until, (line,), travels=False))
            case WrongCarrier(which):
                self.close()
                self.passing = which if action.modulation is Modulation.V21 else None
                if which is not Modulation.V21 or not self._page_was_heard():
                    self._note(step.until, step.until, telling.wrong_carrier(which, action.modulation))

    def _page_was_heard(self) -> bool:
        """Tell whether V.21 is no surprise: it follows a page."""
        last = self.signals[-1] if self.signals else None
        return last is not None and last.by is not self.own and last.kind is Kind.PAGE

    def _hearing(self, action: ListenFrame | ListenData, start: float) -> _Reception:
        """Return the signal that is being heard; a new one if it is of another kind than the one before."""
        content = action.content if isinstance(action, ListenData) else None
        if self.reception and (self.reception.modulation, self.reception.content) != (action.modulation, content):
            self.close()
        if self.reception is None:
            start -= TRAINING[action.modulation]
            awaited = content is not Content.PAGE or action.modulation is not self.passing
            self.reception = _Reception(action.modulation, content, awaited, start, start)
        return self.reception

    def _heard(self, heard: _Reception) -> tuple[Kind, list[Line]]:
        modulation, octets = heard.modulation, heard.octets
        if heard.content is Content.TCF:
            return Kind.TRAINING, self.telling.training_check(modulation, octets, is_ours=False)
        if not heard.awaited:
            return Kind.PASSED, self.telling.passed_by(modulation, len(octets))
        if heard.content is Content.PAGE:
            return Kind.PAGE, self.telling.page_data(modulation, len(octets))
        if modulation is Modulation.V21:
            return Kind.FRAMES, self.telling.heard_by_us(heard.frames)
        return Kind.PAGE, self.telling.page_frames(modulation, heard.frames)


def _good(frames: tuple[bytes, ...]) -> tuple[FrameReceived, ...]:
    return tuple(FrameReceived(octets, good=True) for octets in frames)


def _merged(found: list[Signal]) -> list[Signal]:
    """Make one signal of a tone that is repeated, with the silences in which it was listened for an answer."""
    merged: list[Signal] = []
    times = 1
    for signal in found:
        before = merged[-1] if merged else None
        if before and before.kind is Kind.TONE and signal.kind is Kind.SILENCE:
            continue
        if before and before.kind is signal.kind is Kind.TONE and before.lines[0].name == signal.lines[0].name:
            times += 1
            line = Line(signal.lines[0].name, f"{signal.lines[0].words}, {times} times")
            merged[-1] = replace(before, end=signal.end, lines=(line,))
            continue
        times = 1
        merged.append(signal)
    return merged
