"""What the story of a call is made of: two parties, the signals between them, and what each says in words."""

from dataclasses import dataclass
from enum import Enum

from t30.fcf import PLAIN, Fcf
from t30.frame import Frame
from t30.line import Content, FrameReceived
from t30.rates import Modulation


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
    PASSED = "passed"
    """A fast signal that was not taken in, since nobody knew what it was for."""
    NOTE = "note"
    SILENCE = "silence"
    SIP = "sip"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a signal says.

    Attributes:
        name: as T.30 has it, or empty.
        bad: it tells of damage or an end.
        more: for who wants to know everything.
    """

    name: str
    words: str
    bad: bool = False
    more: str = ""


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

    @property
    def last_frame(self) -> Frame | None:
        """What it says in the end; None if it has no frames, or the last one cannot be read."""
        frames = self.carried.frames if self.carried else ()
        return Frame.parse(frames[-1].octets) if frames and frames[-1].good else None

    @property
    def says(self) -> Fcf | None:
        """The command or response that a V.21 signal is, a wish for an operator left out; None if it is none."""
        frame = self.last_frame if self.kind is Kind.FRAMES else None
        return PLAIN.get(frame.fcf, frame.fcf) if frame and frame.fcf else None
