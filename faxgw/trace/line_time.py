"""Where the seconds of a recorded call went, phase by phase, and how few it could have taken.

What counts as what:

- *set-up*: from the number dialled, or the ring, to the first V.21 signal: the network, ringing, CNG and CED.
- *negotiation*: V.21 signals of phase B: DIS and DTC, DCS, and all frames that travel with them.
- *training*: the training check (TCF) with the modem's own training; its answers CFR and FTT; CTC and CTR.
- *page*: fast signals with page data, their training, flags, RCP and the end of the page included.
- *confirmation*: V.21 signals after a page: MPS, EOM, EOP, PPS, EOR, RR and their answers; DCN, and hanging up.
- *turnaround*: silence between two signals.
- *waiting*: silence in which this end waited in vain, until a timer ran out; or until a fast signal had gone by whose
  command was not understood.

A V.21 signal that cannot be read counts as an answer to the signal before it. When a signal that was heard began is
reckoned from its length and end, so the turnaround before it is exact to some hundredths of a second.

The least is what the call would have taken had everything gone through at the first attempt: each page once, at the
rate that was agreed on for it; no training that failed, no repetition. Each signal is as short as T.30 allows (V.21
preamble 1 s - 15 %, training check 1.5 s - 10 %, silences 75 ms - 20 ms), and takes the training that its modem's
Recommendation sets. Set-up is taken as it was, since it is the network's. What HDLC stuffs into page data is not
counted: a trace does not hold the data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from drivers.t38.signals import TRAINING
from faxgw.trace.record import Trace
from faxgw.trace.signals import signals
from faxgw.trace.story import Carried, Kind, Signal
from t30.fcf import CONFIRMATIONS, PLAIN, POST_PAGE, Fcf
from t30.frame import Frame
from t30.hdlc import AROUND_FRAME, stuffed
from t30.rates import Modulation
from t30.timers import FAST_FLAGS

SHORTEST_PREAMBLE, SHORTEST_CHECK, SHORTEST_SILENCE = 1.0 * 0.85, 1.5 * 0.9, 0.075 - 0.020
"""Seconds: what T.30 sets less its tolerance, whatever the engine does."""


class Phase(Enum):
    """What a part of a call is for; the value is its name on screen."""

    SETUP = "set-up"
    NEGOTIATION = "negotiation"
    TRAINING = "training"
    PAGE = "page"
    CONFIRMATION = "confirmation"
    TURNAROUND = "turnaround"
    WAITING = "waiting"


Split = Mapping[Phase, float]
"""Seconds of every phase."""


@dataclass(frozen=True, slots=True)
class LineTime:
    """What a call took, and the least that it could have taken."""

    spent: Split
    least: Split

    @property
    def seconds(self) -> float:
        """What it took in all."""
        return sum(self.spent.values())

    @property
    def least_seconds(self) -> float:
        """What it must take in all."""
        return sum(self.least.values())


def line_time(trace: Trace) -> LineTime:
    """Return where the seconds of a call went; of a recording that was cut off, as far as it goes."""
    found = signals(trace)
    spent = _spent(found)
    return LineTime(spent, _least(found, spent[Phase.SETUP]))


# ------------------------------------------------------------------------------------------------------ what it took

_NEGOTIATION = frozenset(
    {Fcf.NSF, Fcf.CSI, Fcf.DIS, Fcf.NSC, Fcf.CIG, Fcf.DTC, Fcf.NSS, Fcf.TSI, Fcf.DCS, Fcf.SUB, Fcf.SID, Fcf.PWD}
    | {Fcf.SEP, Fcf.PSA, Fcf.CIA, Fcf.ISP, Fcf.TSA, Fcf.IRA, Fcf.CSA}
)
_TRAINING = frozenset({Fcf.CFR, Fcf.FTT, Fcf.CTC, Fcf.CTR})


def _spent(found: list[Signal]) -> Split:
    split = dict.fromkeys(Phase, 0.0)
    at, phase, has_begun = 0.0, Phase.NEGOTIATION, False
    for signal in found:
        if signal.kind is Kind.NOTE or signal.end <= at:
            continue
        start = max(signal.start, at)
        if signal.carried is not None:
            split[Phase.TURNAROUND if has_begun else Phase.SETUP] += start - at
            phase, has_begun = _phase(signal, phase), True
            split[phase] += signal.end - start
        elif not has_begun:
            split[Phase.SETUP] += signal.end - at
        else:
            split[Phase.TURNAROUND] += start - at
            split[Phase.WAITING if signal.kind is Kind.SILENCE else Phase.CONFIRMATION] += signal.end - start
        at = signal.end
    return split


def _phase(signal: Signal, before: Phase) -> Phase:
    """Return what a signal is for; ``before``: what the one before it was for."""
    if signal.kind is Kind.TRAINING:
        return Phase.TRAINING
    if signal.kind in (Kind.PAGE, Kind.PASSED):
        return Phase.PAGE if signal.kind is Kind.PAGE else Phase.WAITING
    last = signal.last_frame
    if last is None or last.fcf in (None, Fcf.CRP):
        return Phase.CONFIRMATION if before is Phase.PAGE else before
    if last.fcf in _TRAINING:
        return Phase.TRAINING
    return Phase.NEGOTIATION if last.fcf in _NEGOTIATION else Phase.CONFIRMATION


# -------------------------------------------------------------------------------------------------- what it must take


@dataclass(frozen=True, slots=True)
class _Due:
    """A signal that had to be."""

    phase: Phase
    seconds: float
    octets: int = 0


def _least(found: list[Signal], setup: float) -> Split:
    due = list(_due(found))
    split = dict.fromkeys(Phase, 0.0)
    for each in due:
        split[each.phase] += each.seconds
    split[Phase.SETUP] = setup
    split[Phase.TURNAROUND] = max(0, len(due) - 1) * SHORTEST_SILENCE
    return split


_AGREEING = frozenset({Fcf.DIS, Fcf.DTC, Fcf.DCS})
_ASKING = frozenset({Fcf.MPS, Fcf.EOM, Fcf.EOP, Fcf.PPS, Fcf.EOR})
_ENDING = CONFIRMATIONS | {Fcf.ERR}


def _due(found: list[Signal]) -> Iterator[_Due]:
    """Yield what had to be said: of what was said more than once the last, of page data the longest signal.

    An agreement is due at the beginning and after EOM; what was agreed on again in between, because something failed,
    is not.
    """
    agreement: dict[object, _Due] = {}
    transfer: dict[object, _Due] = {}
    goodbye: list[_Due] = []
    asked: Fcf | None = Fcf.EOM
    for signal in found:
        if signal.carried is None:
            continue
        if signal.kind is Kind.TRAINING:
            seconds = TRAINING[signal.carried.modulation] + SHORTEST_CHECK
            agreement[signal.kind] = _cut(_Due(Phase.TRAINING, seconds), signal)
        elif signal.kind is Kind.PAGE:
            transfer[signal.kind] = _longer(transfer.get(signal.kind), _cut(_page(signal.carried), signal))
        elif frame := signal.last_frame:
            fcf = PLAIN.get(frame.fcf, frame.fcf) if frame.fcf else None
            due = _cut(_Due(_phase(signal, Phase.NEGOTIATION), _v21_seconds(signal.carried)), signal)
            if fcf in _AGREEING:
                agreement[fcf] = due
            elif fcf is Fcf.CFR:
                yield from (*agreement.values(), due) if asked is Fcf.EOM else ()
                agreement, asked = {}, None
            elif fcf in _ASKING:
                transfer[Fcf.EOP] = due
                asked = _what_follows(frame)
            elif fcf in _ENDING:
                yield from (*transfer.values(), due)
                transfer = {}
            elif fcf is Fcf.DCN:
                goodbye = [due]
    yield from agreement.values() if asked is Fcf.EOM else ()
    yield from (*transfer.values(), *goodbye)


def _cut(due: _Due, signal: Signal) -> _Due:
    """Of a signal that the end of the call cut off, no more was due than there was."""
    return due if signal.whole else replace(due, seconds=min(due.seconds, signal.end - signal.start))


def _what_follows(frame: Frame) -> Fcf | None:
    """Return the post-page command that a frame is, or carries (PPS, EOR)."""
    return POST_PAGE.get(frame.fif[0] if frame.fif else frame.code)


def _longer(one: _Due | None, other: _Due) -> _Due:
    """Return the signal with more of a page; of two alike the faster."""
    return other if one is None or (other.octets, -other.seconds) > (one.octets, -one.seconds) else one


def _page(carried: Carried) -> _Due:
    octets = len(carried.octets) + sum(len(each.octets) + AROUND_FRAME for each in carried.frames)
    seconds = TRAINING[carried.modulation] + (FAST_FLAGS if carried.frames else 0.0)
    return _Due(Phase.PAGE, seconds + octets * 8 / carried.modulation.bps, octets)


def _v21_seconds(carried: Carried) -> float:
    """Return how long these frames take with the shortest preamble; its last flag is the first before a frame."""
    octets = stuffed((each.octets for each in carried.frames), flags_first=1, flags_last=1)
    return SHORTEST_PREAMBLE + (len(octets) - 1) * 8 / Modulation.V21.bps
