"""Fax machines that misbehave, as real ones were seen to do: each a habit of an otherwise faultless machine."""

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeGuard

from simulators.machine import Habit
from t30 import ecm
from t30.capabilities import Dcs
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import (
    Action,
    Content,
    Event,
    FrameReceived,
    HangUp,
    LineError,
    ListenFrame,
    SendData,
    SendFrames,
    Sent,
)
from t30.pages import JudgePage
from t30.rates import Family, Modulation
from t30.timers import NEXT_FRAME, T4, TURNAROUND

Doing = Generator[Action, Event, Event]


# ------------------------------------------------------------------------------------------------------ of any machine


class HangsUpAfter(Habit):
    """Goes on hook as soon as it has said ``fcf``: EOP, whatever the answer; or MCF, without waiting for DCN."""

    def __init__(self, fcf: Fcf = Fcf.EOP) -> None:
        self.fcf = fcf
        self._said = False

    def do(self, action: Action) -> Doing:
        """Hang up in place of whatever comes after the signal."""
        if self._said:
            yield from _hang_up()
        event = yield action
        self._said = _says(action, self.fcf)
        return event


class Echoes(Habit):
    """Sends every V.21 signal that it hears back before it goes on, but DCS, which training follows at once."""

    def do(self, action: Action) -> Doing:
        """Echo a final frame."""
        event = yield action
        if isinstance(event, FrameReceived) and _is_v21(action) and _final(event) not in (None, Fcf.DCS):
            yield SendFrames(Modulation.V21, (event.octets,), TURNAROUND)
        return event


class GoesSilentAfter(Habit):
    """Says ``fcf`` once and then nothing, but does not hang up either: crashed firmware."""

    def __init__(self, fcf: Fcf) -> None:
        self.fcf = fcf
        self._silent = False

    def do(self, action: Action) -> Doing:
        """Swallow what it would send."""
        if self._silent and isinstance(action, SendFrames | SendData):
            return Sent()
        event = yield action
        self._silent = self._silent or _says(action, self.fcf)
        return event


class RepeatsItself(Habit):
    """Sends every V.21 signal twice."""

    def do(self, action: Action) -> Doing:
        """Send it again."""
        event = yield action
        if isinstance(action, SendFrames) and action.modulation is Modulation.V21:
            with suppress(LineError):  # it was said; whatever is done next meets the same fault
                event = yield action
        return event


# --------------------------------------------------------------------------------------------------------- of senders


class TrainsShortAfterFailure(Habit):
    """After FTT it sends the training check with short training, which nobody who lost it can receive."""

    def __init__(self) -> None:
        self._failed = False

    def do(self, action: Action) -> Doing:
        """Shorten the training of a repeated training check."""
        if self._failed and isinstance(action, SendData) and action.content is Content.TCF:
            action = replace(action, modulation=action.modulation.short)
        event = yield action
        self._failed = self._failed or _heard(event, Fcf.FTT)
        return event


class CutsPagesShort(Habit):
    """The carrier ends in the middle of a page, and the page counts as sent; the first ``since`` signals are whole."""

    def __init__(self, since: int = 0) -> None:
        self._whole = since

    def do(self, action: Action) -> Doing:
        """Send half of it."""
        is_page = isinstance(action, SendData) and action.content is Content.PAGE
        if (is_page or _is_burst(action)) and self._whole:
            self._whole -= 1
        elif isinstance(action, SendData) and is_page:
            action = replace(action, octets=action.octets[: len(action.octets) // 2])
        elif _is_burst(action):
            data = _data(action.frames)
            action = replace(action, frames=data[: -(-len(data) // 2)] + _rcp(ecm.RCP_TIMES))
        return (yield action)


class WithholdsFrame(Habit):
    """Never sends frame 0 of a partial page, and after the fourth PPR says PPS again and not CTC or EOR."""

    def __init__(self) -> None:
        self._pps: Action | None = None
        self._left = 12

    def do(self, action: Action) -> Doing:
        """Leave out the frame; turn CTC and EOR into the last PPS, until even this machine has had enough."""
        if _is_burst(action):
            action = replace(action, frames=tuple(f for f in action.frames if f[2:4] != bytes((Fcf.FCD.code, 0))))
        if _says(action, Fcf.PPS):
            self._pps = action
        if self._pps and (_says(action, Fcf.CTC) or _says(action, Fcf.EOR)):
            self._left -= 1
            if self._left < 0:
                yield from _hang_up()
            action = self._pps
        return (yield action)


class DamagesFirstBursts(Habit):
    """Leaves the first frame of a partial page out, so many times: then that page needs correction."""

    def __init__(self, times: int) -> None:
        self.left = times

    def do(self, action: Action) -> Doing:
        """Leave it out."""
        if _is_burst(action) and self.left:
            self.left -= 1
            action = replace(action, frames=action.frames[1:])
        return (yield action)


class SaysOutOfTurn(Habit):
    """Says something that has no place there before each partial page: CTC, EOR, PPS-NULL, RR, a second DCS."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def do(self, action: Action) -> Doing:
        """Say it, listen for an answer, and go on as if nothing had been."""
        if _is_burst(action):
            yield SendFrames(Modulation.V21, (self.frame.octets,), TURNAROUND)
            answer = yield ListenFrame(Modulation.V21, T4)
            while isinstance(answer, FrameReceived):
                answer = yield ListenFrame(Modulation.V21, NEXT_FRAME)
        return (yield action)


class SendsRcp(Habit):
    """Ends a partial page with so many RCP frames, where T.30 wants three."""

    def __init__(self, times: int) -> None:
        self.times = times

    def do(self, action: Action) -> Doing:
        """Change their number."""
        if _is_burst(action):
            action = replace(action, frames=_data(action.frames) + _rcp(self.times))
        return (yield action)


class SendsOddFrames(Habit):
    """Frames of the wrong length with the right FCS: ``change`` octets more or fewer, in the first burst only."""

    def __init__(self, change: int, *, for_ever: bool = False) -> None:
        self.change = change
        self.for_ever = for_ever
        self._bursts = 0

    def do(self, action: Action) -> Doing:
        """Lengthen or shorten every other frame."""
        if _is_burst(action):
            self._bursts += 1
            if self._bursts == 1 or self.for_ever:
                data = [self._odd(frame) if n % 2 == 0 else frame for n, frame in enumerate(_data(action.frames))]
                action = replace(action, frames=(*data, *_rcp(ecm.RCP_TIMES)))
        return (yield action)

    def _odd(self, frame: bytes) -> bytes:
        return frame + bytes(self.change) if self.change > 0 else frame[: self.change]


class ForgetsErrorCorrection(Habit):
    """Negotiates error correction, then sends the page without it, and EOP in place of PPS-EOP."""

    def do(self, action: Action) -> Doing:
        """Take the page out of its frames."""
        if _is_burst(action):
            octets = b"".join(frame[4:] for frame in _data(action.frames))
            action = SendData(action.modulation, octets, Content.PAGE, action.after)
        elif isinstance(action, SendFrames) and _says(action, Fcf.PPS):
            after = _after_pps(action) or Fcf.MPS
            action = replace(action, frames=(Frame.of(after, x=True).octets,))
        return (yield action)


class SendsMmrWithoutErrorCorrection(ForgetsErrorCorrection):
    """DCS says MMR, and no error correction; T.30 does not allow that."""

    def do(self, action: Action) -> Doing:
        """Clear the bit in DCS; the rest is sent without error correction, too."""
        if isinstance(action, SendFrames) and _says(action, Fcf.DCS):
            dcs = Dcs(action.frames[-1][3:]).but(ecm=False, mmr=True)
            action = replace(action, frames=(*action.frames[:-1], Frame.of(Fcf.DCS, dcs.octets, x=True).octets))
        return (yield from super().do(action))


class NegotiatesAgainAtOnce(Habit):
    """After EOM it does not wait for DIS, but goes straight on with DCS and training."""

    def __init__(self) -> None:
        self._dis = b""
        self._asked = False
        self._goes_on = False

    def do(self, action: Action) -> Doing:
        """Let the engine hear the last DIS once more instead of waiting for the next."""
        if self._goes_on and _is_v21(action):
            self._goes_on = False
            return FrameReceived(self._dis, good=True)
        event = yield action
        if isinstance(event, FrameReceived) and _heard(event, Fcf.DIS):
            self._dis = event.octets
        self._asked = self._asked or _says(action, Fcf.EOM)
        if self._asked and _heard(event, Fcf.MCF):
            self._asked, self._goes_on = False, True
        return event


# ------------------------------------------------------------------------------------------------------- of receivers


class RefusesFamily(Habit):
    """Cannot cope with a modulation that it announces, and says goodbye (DCN) when it is chosen."""

    def __init__(self, family: Family = Family.V17) -> None:
        self.family = family
        self._chosen = False

    def do(self, action: Action) -> Doing:
        """Answer to training with DCN."""
        if self._chosen and isinstance(action, SendFrames):
            yield replace(action, frames=(Frame.of(Fcf.DCN).octets,))
            yield from _hang_up()
        event = yield action
        if isinstance(event, FrameReceived) and _heard(event, Fcf.DCS):
            modulation = Dcs(event.octets[3:]).modulation
            self._chosen = modulation is not None and modulation.family is self.family
        return event


class CountsPages(Habit):
    """Tells of each page by its index as soon as its confirmation is out; hangs up after so many."""

    def __init__(self, *, told: Callable[[int], None] = lambda _: None, at_most: int | None = None) -> None:
        self._told = told
        self._at_most = at_most
        self._pages = 0
        self._judged: int | None = None

    def do(self, action: Action) -> Doing:
        """Take note of a page that is judged, and of the answer to it."""
        event = yield action
        if isinstance(action, JudgePage):
            self._judged = action.index
        elif isinstance(action, SendFrames):
            judged, self._judged = self._judged, None
            if judged is not None and (_says(action, Fcf.MCF) or _says(action, Fcf.RTP)):
                self._told(judged)
                self._pages += 1
                if self._pages == self._at_most:
                    yield from _hang_up()
        return event


class Answers(Habit):
    """Always answers one thing with another: CFR with FTT, MCF with RTN, PPR or RNR, whatever came."""

    def __init__(self, answers: Mapping[Fcf, Frame]) -> None:
        self.answers = answers

    def do(self, action: Action) -> Doing:
        """Put another frame in the place of the answer."""
        for fcf, frame in self.answers.items():
            if isinstance(action, SendFrames) and _says(action, fcf):
                action = replace(action, frames=(frame.octets,))
                break
        return (yield action)


class FailsV17(Habit):
    """Finds every training check by V.17 bad, and those of other modulations good."""

    def __init__(self) -> None:
        self._v17 = False

    def do(self, action: Action) -> Doing:
        """Say FTT where CFR would follow V.17."""
        if self._v17 and isinstance(action, SendFrames) and _says(action, Fcf.CFR):
            action = replace(action, frames=(Frame.of(Fcf.FTT).octets,))
        event = yield action
        if isinstance(event, FrameReceived) and _final(event) is Fcf.DCS:
            frame = Frame.parse(event.octets)
            modulation = Dcs(frame.fif).modulation if frame else None
            self._v17 = modulation is not None and modulation.family is Family.V17
        return event


ALL_FRAMES = Frame.of(Fcf.PPR, b"\xff" * 32)
NO_FRAMES = Frame.of(Fcf.PPR, bytes(32))
NEVER_TRAINS = {Fcf.CFR: Frame.of(Fcf.FTT)}
NEVER_CONFIRMS = {Fcf.MCF: Frame.of(Fcf.RTN), Fcf.RTP: Frame.of(Fcf.RTN)}
NEVER_SATISFIED = {Fcf.MCF: ALL_FRAMES}
ASKS_FOR_NOTHING = {Fcf.MCF: NO_FRAMES}
NEVER_READY = {Fcf.MCF: Frame.of(Fcf.RNR)}


# ------------------------------------------------------------------------------------------------------------- reading


def _hang_up() -> Generator[Action, Event, None]:
    yield HangUp()
    raise LineError("this machine hung up", code="line.dropped")


def _says(action: Action, fcf: Fcf) -> bool:
    if not isinstance(action, SendFrames) or action.modulation is not Modulation.V21:
        return False
    frame = Frame.parse(action.frames[-1])
    if frame is None:
        return False
    return frame.fcf is fcf or (frame.fcf is Fcf.PPS and _after_pps(action) is fcf)


def _after_pps(action: Action) -> Fcf | None:
    """Return what follows the partial page that an action says has ended."""
    if not isinstance(action, SendFrames):
        return None
    frame = Frame.parse(action.frames[-1])
    try:
        return ecm.after_page(frame.fif) if frame is not None and frame.fcf is Fcf.PPS else None
    except ValueError:
        return None  # nonsense, said on purpose


def _heard(event: Event, fcf: Fcf) -> bool:
    frame = Frame.parse(event.octets) if isinstance(event, FrameReceived) and event.good else None
    return frame is not None and frame.fcf is fcf


def _final(event: FrameReceived) -> Fcf | None:
    frame = Frame.parse(event.octets) if event.good else None
    return frame.fcf if frame is not None and frame.final else None


def _is_v21(action: Action) -> bool:
    return isinstance(action, ListenFrame) and action.modulation is Modulation.V21


def _is_burst(action: Action) -> TypeGuard[SendFrames]:
    return isinstance(action, SendFrames) and action.modulation is not Modulation.V21


def _data(frames: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(frame for frame in frames if frame[2] == Fcf.FCD.code)


def _rcp(times: int) -> tuple[bytes, ...]:
    return (Frame.of(Fcf.RCP, final=False).octets,) * times
