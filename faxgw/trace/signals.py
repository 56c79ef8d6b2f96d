"""A trace as signals: who sent what, from when to when, in words, as the engine asked for it and heard it."""

from dataclasses import dataclass, field, replace
from enum import Enum

from drivers.t38.signals import TRAINING
from faxgw.trace import words
from faxgw.trace.privacy import FCF_END, FRAME_NUMBER_END
from faxgw.trace.record import Step, Thrown, Trace
from t30.calling import NOT_REACHED
from t30.fcf import CONFIRMATIONS, Fcf
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


class Party(Enum):
    """The two machines; the value is the name on screen."""

    CALLER = "caller"
    ANSWERER = "answerer"

    @property
    def other(self) -> "Party":
        """The machine at the other end."""
        return Party.ANSWERER if self is Party.CALLER else Party.CALLER


class Kind(Enum):
    """What a signal is to the eye."""

    CALL = "call"
    TONE = "tone"
    FRAMES = "frames"
    TRAINING = "training"
    PAGE = "page"
    NOTE = "note"
    SILENCE = "silence"
    SIP = "sip"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a signal says. ``name`` as T.30 has it, or empty; ``bad``: it tells of damage or an end."""

    name: str
    words: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """What is known of the bits of a signal.

    Attributes:
        content: of what is no HDLC; None for frames.
        octets: of ``content``; of a page as many zeros.
    """

    modulation: Modulation
    content: Content | None = None
    frames: tuple[FrameReceived, ...] = ()
    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Signal:
    """From carrier on to carrier off; or a note of what one machine does by itself.

    Attributes:
        by: who sends it, or makes the note.
        travels: it goes to the other machine; else it is a note.
        carried: of frames, training checks and pages; None for the rest.
        whole: false if the call was ended in its middle.
    """

    kind: Kind
    by: Party
    start: float
    end: float
    lines: tuple[Line, ...]
    travels: bool = True
    carried: Carried | None = None
    whole: bool = True

    @property
    def bad(self) -> bool:
        """Whether any line of it is."""
        return any(line.bad for line in self.lines)


REFUSALS = frozenset({Fcf.FTT, Fcf.RTN, Fcf.PIN, Fcf.PPR, Fcf.EOR, Fcf.ERR, Fcf.CRP, Fcf.CTC, Fcf.FNV})
"""What is said only when something went wrong before."""
PART_CONFIRMED = "part of a page confirmed"
_ENDINGS = CONFIRMATIONS | {Fcf.ERR}


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
    """A signal that is being heard."""

    modulation: Modulation
    content: Content | None
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
    """Goes through the steps, and knows what only several of them tell together.

    Attributes:
        page: number of the page that is being sent or received, from 1.
        judged: number of the page that was judged and not answered for yet; 0 if there is none.
        pages: those to be sent, by number.
        said: the frames of our last V.21 signal, which may come back as an echo.
        correcting: the next page signal repeats frames.
        in_parts: the page that was sent last goes on after this part of it.
    """

    own: Party
    signals: list[Signal] = field(default_factory=list)
    reception: _Reception | None = None
    page: int = 1
    judged: int = 0
    pages: dict[int, PageReady] = field(default_factory=dict)
    said: frozenset[bytes] = frozenset()
    correcting: bool = False
    in_parts: bool = False

    def take(self, step: Step) -> None:
        """Add what a step tells."""
        match step.action:
            case ListenFrame() | ListenData():
                self._listen(step, step.action)
            case FetchPage(index):
                self.page = max(index, 1)  # before a page is sent, the one after it is fetched
                if isinstance(step.result, PageReady):
                    self.pages[index + 1] = step.result
            case KeepData(index):
                self.page = index + 1
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
        if heard.frames and all(each.octets in self.said for each in heard.frames):
            names = ", ".join(words.frame(each.octets).name for each in heard.frames)
            self._note(start, heard.end, Line("", f"heard its own {names}, echoed by the line"))
            return
        kind, lines = self._heard(heard)
        carried = Carried(heard.modulation, heard.content, tuple(heard.frames), heard.octets)
        self.signals.append(Signal(kind, self.own.other, start, heard.end, lines, carried=carried))

    # --------------------------------------------------------------------------------------------- what we do

    def _act(self, step: Step) -> None:
        match step.action:
            case Dial(number):
                lines = [Line("", f"dials {number}")]
                if isinstance(step.result, NotConnected):
                    lines.append(Line("", NOT_REACHED[step.result.cause], bad=True))
                self._send(step, Kind.CALL, *lines)
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
            case SendFrames(modulation, frames, after):
                kind = Kind.FRAMES if modulation is Modulation.V21 else Kind.PAGE
                received = [FrameReceived(octets, good=True) for octets in frames]
                self.said = frozenset(frames)
                carried = Carried(modulation, frames=tuple(received))
                self._send(step, kind, *self._frames(modulation, received), after=after, carried=carried)
            case SendData(modulation, octets, content, after):
                kind = Kind.TRAINING if content is Content.TCF else Kind.PAGE
                carried = Carried(modulation, content, octets=octets)
                self._send(step, kind, *self._data(modulation, content, len(octets)), after=after, carried=carried)
            case JudgePage(index):
                self._judge(step, index + 1)
            case HangUp():
                self._send(step, Kind.CALL, Line("", "hangs up"))

    def _send(self, step: Step, kind: Kind, *lines: Line, after: float = 0.0, carried: Carried | None = None) -> None:
        start = min(step.at + after, step.until)
        whole = isinstance(step.result, Sent | Connected | NotConnected)
        if whole or start < step.until:
            told = lines if whole else (*lines, Line("", "cut off", bad=True))
            self.signals.append(Signal(kind, self.own, start, step.until, told, carried=carried, whole=whole))

    def _judge(self, step: Step, page: int) -> None:
        self.judged = page
        if not isinstance(step.result, Verdict):
            return
        verdict = step.result
        run = f", at most {verdict.longest_bad_run} in a row" if verdict.bad_rows > 1 else ""
        bad = f"{verdict.bad_rows:,} bad{run}" if verdict.bad_rows else "none bad"
        kept = "safe on disk" if verdict.durable else "not yet safe on disk"
        told = f"{words.counted(verdict.rows, 'row')}, {bad}, {kept}"
        self._note(step.at, step.until, Line(f"page {page}", told, bad=verdict.bad_rows > 0 or not verdict.durable))

    def _note(self, start: float, end: float, *lines: Line) -> None:
        self.signals.append(Signal(Kind.NOTE, self.own, start, end, lines, travels=False))

    # ------------------------------------------------------------------------------------------- what we hear

    def _listen(self, step: Step, action: ListenFrame | ListenData) -> None:
        content = action.content if isinstance(action, ListenData) else None
        match step.result:
            case FrameReceived(octets):
                seconds = (len(octets) + AROUND_FRAME) * 8 / action.modulation.bps
                flags = 0.0 if action.modulation is Modulation.V21 else FAST_FLAGS
                heard = self._hearing(action.modulation, content, step.until - seconds - flags)
                heard.frames.append(step.result)
                heard.end = step.until
                if heard.is_over:
                    self.close()
            case DataReceived(octets):
                heard = self._hearing(action.modulation, content, step.until - len(octets) * 8 / action.modulation.bps)
                heard.octets += octets
                heard.end = step.until
            case CarrierLost():
                self.close()
            case Quiet():
                self.close()
                if step.until > step.at:
                    silence = Line("", f"heard nothing for {words.seconds(step.until - step.at)}")
                    self.signals.append(Signal(Kind.SILENCE, self.own, step.at, step.until, (silence,), travels=False))
            case WrongCarrier(which):
                self.close()
                if which is not Modulation.V21 or not self._page_was_heard():
                    told = f"heard {which or 'another carrier'} while waiting for {action.modulation}"
                    self._note(step.until, step.until, Line("", told, bad=True))

    def _page_was_heard(self) -> bool:
        """Tell whether V.21 is no surprise: it follows a page."""
        last = self.signals[-1] if self.signals else None
        return last is not None and last.by is not self.own and last.kind is Kind.PAGE

    def _hearing(self, modulation: Modulation, content: Content | None, start: float) -> _Reception:
        """Return the signal that is being heard; a new one if it is of another kind than the one before."""
        if self.reception and (self.reception.modulation, self.reception.content) != (modulation, content):
            self.close()
        if self.reception is None:
            start -= TRAINING[modulation]
            self.reception = _Reception(modulation, content, start, start)
        return self.reception

    def _heard(self, heard: _Reception) -> tuple[Kind, tuple[Line, ...]]:
        if heard.content is None:
            kind = Kind.FRAMES if heard.modulation is Modulation.V21 else Kind.PAGE
            return kind, self._frames(heard.modulation, heard.frames)
        octets = len(heard.octets)
        lines = self._data(heard.modulation, heard.content, octets)
        if heard.content is Content.PAGE:
            return Kind.PAGE, lines
        damaged = octets - heard.octets.count(0)
        damage = Line("", f"{damaged:,} of {words.counted(octets, 'octet')} are not zero", bad=True)
        return Kind.TRAINING, (*lines, damage) if damaged * 10 > octets else lines

    # -------------------------------------------------------------------------------------------- both alike

    def _frames(self, modulation: Modulation, frames: list[FrameReceived]) -> tuple[Line, ...]:
        if modulation is not Modulation.V21:
            return self._page_frames(modulation, frames)
        return tuple(self._frame(each) for each in frames)

    def _frame(self, frame: FrameReceived) -> Line:
        said, fcf = words.frame(frame.octets, good=frame.good), _fcf(frame)
        told = PART_CONFIRMED if fcf is Fcf.MCF and self.in_parts else said.words
        self._remember(frame, fcf)
        return Line(said.name, told, bad=not said.good or fcf in REFUSALS)

    def _remember(self, frame: FrameReceived, fcf: Fcf | None) -> None:
        """Keep what a frame means for the signals after it."""
        if fcf in (Fcf.PPS, Fcf.EOP, Fcf.MPS, Fcf.EOM):
            self.in_parts = fcf is Fcf.PPS and frame.octets[FCF_END : FCF_END + 1] == b"\0"
        self.correcting = fcf in (Fcf.PPR, Fcf.CTR)
        if self.judged and fcf in _ENDINGS:
            self.page, self.judged = self.judged + 1, 0

    def _page_frames(self, modulation: Modulation, frames: list[FrameReceived]) -> tuple[Line, ...]:
        data = [each for each in frames if _fcf(each) is Fcf.FCD and len(each.octets) >= FRAME_NUMBER_END]
        bad = sum(not each.good for each in frames)
        octets = sum(len(each.octets) - FRAME_NUMBER_END for each in data)
        told = f", {words.counted(octets, 'octet')} at {_at(modulation)}{self._rows(octets)}"
        if self.correcting:
            numbers = [str(each.octets[FRAME_NUMBER_END - 1]) for each in data]
            told = f" again at {_at(modulation)}: {words.shortened(numbers)}"
        line = Line(f"page {self.page}", words.counted(len(data), "frame") + told)
        return (line, Line("", f"{words.counted(bad, 'frame')} damaged", bad=True)) if bad else (line,)

    def _data(self, modulation: Modulation, content: Content, octets: int) -> tuple[Line, ...]:
        if content is Content.TCF:
            return (Line("TCF", f"training check at {_at(modulation)}, {words.counted(octets, 'octet')}"),)
        return (
            Line(f"page {self.page}", f"{words.counted(octets, 'octet')} at {_at(modulation)}{self._rows(octets)}"),
        )

    def _rows(self, octets: int) -> str:
        """Return how many scan lines a signal of so many octets has, if it is a whole page of ours."""
        page = self.pages.get(self.page)
        return f", {words.counted(page.rows, 'row')}" if page and octets >= len(page.octets) else ""


def _fcf(frame: FrameReceived) -> Fcf | None:
    read = Frame.parse(frame.octets) if frame.good else None
    return read.fcf if read else None


def _at(modulation: Modulation) -> str:
    return str(modulation.long) + (", short training" if modulation.short_training else "")


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
