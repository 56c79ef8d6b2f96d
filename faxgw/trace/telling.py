"""What signals say in words, as far as only several of them tell together: which page, which part, for which time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isclose

from faxgw.trace import words
from faxgw.trace.privacy import FCF_END, FRAME_NUMBER_END
from faxgw.trace.story import Line
from t30 import ecm, timers
from t30.fcf import CONFIRMATIONS, Fcf
from t30.frame import Frame
from t30.line import Content, FrameReceived, ListenData, ListenFrame
from t30.pages import PageReady, Verdict
from t30.rates import Modulation

REFUSALS = frozenset({Fcf.FTT, Fcf.RTN, Fcf.PIN, Fcf.PPR, Fcf.EOR, Fcf.ERR, Fcf.CRP, Fcf.CTC, Fcf.FNV, Fcf.RNR})
"""What is said only when something went wrong before, or takes its time."""
PART_CONFIRMED = "part of a page confirmed"

_ENDINGS = CONFIRMATIONS | {Fcf.ERR}
_ASKED_AGAIN = frozenset({Fcf.RR, Fcf.RNR, Fcf.CRP})
"""What is said more than once as a rule."""
_AGAIN_UNHEARD = "said again, for no answer came that could be read"
_AGAIN_UNANSWERED = "the same again: what was said to it did not get through"


@dataclass(slots=True)
class Telling:
    """Tells signals one after the other, and keeps what they mean for those to come.

    Attributes:
        page: number of the page that is being sent or received, from 1.
        judged: number of the page that was judged and not answered for yet; 0 if there is none.
        pages: those to be sent, by number.
        said: the frames of our last V.21 signal, which may come back as an echo.
        answered: a frame was heard undamaged since.
        heard: the last frame of the other side's last V.21 signal; empty once a fast signal went by.
        correcting: the next page signal repeats frames.
        in_parts: the page that was sent last goes on after this part of it.
        part: how many frames the last part of a page has.
        explained: frames whose every bit was told.
    """

    page: int = 1
    judged: int = 0
    pages: dict[int, PageReady] = field(default_factory=dict)
    said: tuple[bytes, ...] = ()
    answered: bool = True
    heard: bytes = b""
    correcting: bool = False
    in_parts: bool = False
    part: int = 0
    explained: set[bytes] = field(default_factory=set)

    # ------------------------------------------------------------------------------------------------------- V.21

    def said_by_us(self, frames: tuple[bytes, ...]) -> list[Line]:
        """Tell a V.21 signal of ours."""
        again = [Line("", _AGAIN_UNHEARD, bad=True)] if frames == self.said and not self.answered else []
        self.said, self.answered = frames, False
        return [*(self._frame(FrameReceived(octets, good=True)) for octets in frames), *again]

    def heard_by_us(self, frames: Sequence[FrameReceived]) -> list[Line]:
        """Tell a V.21 signal of the other side."""
        last = frames[-1].octets if frames and frames[-1].good else b""
        again = bool(last) and last == self.heard and _fcf(frames[-1]) not in _ASKED_AGAIN
        self.answered = self.answered or any(each.good for each in frames)
        self.heard = last
        return [*map(self._frame, frames), *([Line("", _AGAIN_UNANSWERED, bad=True)] if again else [])]

    def is_echo(self, frames: Sequence[FrameReceived]) -> bool:
        """Tell whether frames are what we have just said."""
        return bool(frames) and all(each.octets in self.said for each in frames)

    def _frame(self, frame: FrameReceived) -> Line:
        said, fcf = words.frame(frame.octets, good=frame.good), _fcf(frame)
        told = said.words
        if fcf is Fcf.MCF and self.in_parts:
            told = PART_CONFIRMED
        elif fcf is Fcf.PPR and self.part:
            wanted = len(ecm.requested(frame.octets[FCF_END:], self.part))
            told = f"{wanted} of {words.counted(self.part, 'frame')} came damaged or not at all; {told}"
        self._remember(frame, fcf)
        more = "" if frame.octets in self.explained else "; ".join(said.bits)
        self.explained.add(frame.octets)
        return Line(said.name, told, bad=not said.good or fcf in REFUSALS, more=more)

    def _remember(self, frame: FrameReceived, fcf: Fcf | None) -> None:
        """Keep what a frame means for the signals after it."""
        if fcf in (Fcf.PPS, Fcf.EOP, Fcf.MPS, Fcf.EOM):
            self.in_parts = fcf is Fcf.PPS and frame.octets[FCF_END : FCF_END + 1] == b"\0"
        if fcf is Fcf.PPS and len(frame.octets) == FCF_END + 4 and not self.correcting:
            self.part = frame.octets[-1] + 1
        self.correcting = fcf in (Fcf.PPR, Fcf.CTR) or (self.correcting and fcf is Fcf.PPS)
        if self.judged and fcf in _ENDINGS:
            self.page, self.judged = self.judged + 1, 0

    # -------------------------------------------------------------------------------------------------- fast signals

    def page_frames(self, modulation: Modulation, frames: Sequence[FrameReceived]) -> list[Line]:
        """Tell a signal of page data with error correction."""
        self.heard = b""
        data = [each for each in frames if _fcf(each) is Fcf.FCD and len(each.octets) >= FRAME_NUMBER_END]
        bad = sum(not each.good for each in frames)
        octets = sum(len(each.octets) - FRAME_NUMBER_END for each in data)
        told = f", {words.counted(octets, 'octet')} at {at(modulation)}{self._rows(octets)}"
        if self.correcting:
            numbers = [str(each.octets[FRAME_NUMBER_END - 1]) for each in data]
            told = f" again at {at(modulation)}{': ' if numbers else ''}{words.shortened(numbers)}"
        many = words.counted(len(data), "frame")
        if bad and not data:
            many, told = "no frame", f" undamaged at {at(modulation)}"
        line = Line(f"page {self.page}", many + told)
        return [line, Line("", f"{words.counted(bad, 'frame')} damaged", bad=True)] if bad else [line]

    def page_data(self, modulation: Modulation, octets: int) -> list[Line]:
        """Tell a page without error correction."""
        self.heard = b""
        told = f"{words.counted(octets, 'octet')} at {at(modulation)}{self._rows(octets)}"
        return [Line(f"page {self.page}", told)]

    def training_check(self, modulation: Modulation, octets: bytes, *, is_ours: bool) -> list[Line]:
        """Tell a training check; of one that was heard, its damage."""
        self.heard = b""
        line = Line("TCF", f"training check at {at(modulation)}, {words.counted(len(octets), 'octet')}")
        damaged = len(octets) - octets.count(0)
        if is_ours or not octets:
            return [line]
        if not damaged:
            return [Line(line.name, f"{line.words}, none damaged")]
        told = f"{damaged:,} of them damaged ({damaged / len(octets):.1%}): they should all be zero"
        return [line, Line("", told, bad=damaged * 10 > len(octets))]

    def passed_by(self, modulation: Modulation, octets: int) -> list[Line]:
        """Tell a fast signal that nobody took in."""
        self.heard = b""
        told = f"a signal at {at(modulation)} goes by, {words.counted(octets, 'octet')}: its command was not understood"
        return [Line("", told, bad=True)]

    def _rows(self, octets: int) -> str:
        """Return how many scan lines a signal of so many octets has, if it is a whole page of ours."""
        page = self.pages.get(self.page)
        return f", {words.counted(page.rows, 'row')}" if page and octets >= len(page.octets) else ""

    # --------------------------------------------------------------------------------------------------------- notes

    def verdict(self, page: int, verdict: Verdict | None) -> Line | None:
        """Tell how good a page is."""
        self.judged = page
        if verdict is None:
            return None
        run = f", at most {verdict.longest_bad_run} in a row" if verdict.bad_rows > 1 else ""
        bad = f"{verdict.bad_rows:,} bad{run}" if verdict.bad_rows else "none bad"
        kept = "safe on disk" if verdict.durable else "not yet safe on disk"
        told = f"{words.counted(verdict.rows, 'row')}, {bad}, {kept}"
        return Line(f"page {page}", told, bad=verdict.bad_rows > 0 or not verdict.durable)


def silence(action: ListenFrame | ListenData, seconds: float) -> Line:
    """Tell that something was waited for in vain, and by which timer of T.30."""
    waited = words.seconds(seconds)
    if isinstance(action, ListenData):
        what = "training check" if action.content is Content.TCF else "page data"
        return Line("", f"no {what} within {waited}", bad=True)
    if action.modulation is not Modulation.V21:
        return Line("", f"no frame of page data within {waited}", bad=True)
    if isclose(action.within, timers.T4, abs_tol=0.01):
        return Line("", f"no answer within {waited}: timer T4 has run out", bad=True)
    if isclose(action.within, timers.T2, abs_tol=0.01):
        return Line("", f"no command within {waited}: timer T2 has run out", bad=True)
    if isclose(action.within, timers.T3, abs_tol=0.01):
        return Line("", f"no operator within {waited}: timer T3 has run out", bad=True)
    return Line("", f"heard nothing for {waited}", bad=True)


def wrong_carrier(which: Modulation | None, awaited: Modulation) -> Line:
    """Tell that another signal was heard than was waited for."""
    heard = "V.21 (a command)" if which is Modulation.V21 else str(which) if which else "another signal"
    due = "V.21 (a command or an answer)" if awaited is Modulation.V21 else f"a signal at {at(awaited)}"
    return Line("", f"hears {heard} where {due} was due", bad=which is not Modulation.V21)


def at(modulation: Modulation) -> str:
    """Return a modulation in words."""
    return str(modulation.long) + (", short training" if modulation.short_training else "")


def _fcf(frame: FrameReceived) -> Fcf | None:
    read = Frame.parse(frame.octets) if frame.good else None
    return read.fcf if read else None
