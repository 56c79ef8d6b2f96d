"""A recorded call in few lines: what it came to and why, what to do, what went wrong on the way, where time went."""

from collections.abc import Iterator
from dataclasses import dataclass

from faxgw.trace import words
from faxgw.trace.advice import advice
from faxgw.trace.line_time import Phase, line_time
from faxgw.trace.losses import traffic
from faxgw.trace.record import Trace
from faxgw.trace.signals import signals
from faxgw.trace.story import Kind, Signal
from t30.fcf import Fcf
from t30.outcome import Outcome
from t30.rates import Modulation
from t30.vendors import maker

_WISHES = frozenset({Fcf.PRI_MPS, Fcf.PRI_EOM, Fcf.PRI_EOP, Fcf.PIP, Fcf.PIN})


@dataclass(frozen=True, slots=True)
class Point:
    """One of the things to say; ``good``: None where that is no question."""

    about: str
    words: str
    good: bool | None = None


def summary(trace: Trace) -> Iterator[Point]:
    """Yield what is to be said of a call, the most important first."""
    outcome = trace.outcome
    whole = outcome is not None and outcome.complete
    yield Point("result", result(outcome), whole)
    if outcome is not None and outcome.reason.text:
        yield Point("cause", f"{outcome.reason.text} ({outcome.reason.code})", False)
    if not whole:
        yield Point("what to do", advice(outcome))
    found = signals(trace)
    yield from (Point("trouble", told, False) for told in _trouble(trace, found))
    yield from (Point("seconds", told) for told in _seconds(trace))


def result(outcome: Outcome | None) -> str:
    """Say in one line what a call came to."""
    if outcome is None:
        return "the recording ends before the call did"
    confirmed = sum(page.confirmed for page in outcome.pages)
    pages = words.counted(confirmed, "page") if confirmed else "no page"
    told = [f"{outcome.verdict}: {pages} confirmed", words.seconds(outcome.seconds)]
    if outcome.modulation:
        told += [str(outcome.modulation.long), "error correction" if outcome.ecm else "no error correction"]
    evidence = outcome.evidence
    if said := [
        *filter(None, (outcome.remote_id, maker(evidence.nonstandard), evidence.sender_id, *evidence.addresses))
    ]:
        told.append(f"other machine {', '.join(said)}")
    return ", ".join(told)


# ------------------------------------------------------------------------------------------------------------- trouble


def _trouble(trace: Trace, found: list[Signal]) -> Iterator[str]:
    """Yield what went wrong on the way, whatever the call came to."""
    if failed := list(_failed_trainings(found)):
        rates = ", ".join(dict.fromkeys(map(str, failed)))
        yield f"training failed {_times(len(failed))} (FTT): the line damages too much at {rates}"
    yield from _refusals(found)
    frames = [each.last_frame for each in found if each.kind is Kind.FRAMES]
    if wishes := sum(frame is not None and frame.fcf in _WISHES for frame in frames):
        yield f"an operator was wanted {_times(wishes)} (PRI, PIP or PIN)"
    unready = [each for each in found if each.says is Fcf.RNR]
    if unready:
        yield f"the receiver was not ready {_times(len(unready))} (RNR), and was waited for"
    silent = [each for each in found if each.kind is Kind.SILENCE]
    if silent:
        lost = sum(each.end - each.start for each in silent)
        yield f"nothing came in time {_times(len(silent))}: {words.seconds(lost)} of waiting"
    damaged = sum(_is_damaged_command(each) for each in found)
    if damaged:
        yield f"{words.counted(damaged, 'signal')} of commands or answers came damaged"
    bad = sum(page.bad_rows for page in trace.outcome.pages) if trace.outcome else 0
    if bad:
        yield f"{words.counted(bad, 'row')} of the pages came damaged"
    if lost := sum(not each.made_good for each in traffic(trace.seen).missing):
        yield f"{words.counted(lost, 'datagram')} of the other side did not come, and nothing made them good"


def _failed_trainings(found: list[Signal]) -> Iterator[Modulation]:
    rate = None
    for signal in found:
        if signal.kind is Kind.TRAINING and signal.carried is not None:
            rate = signal.carried.modulation.long
        elif signal.says is Fcf.FTT and rate is not None:
            yield rate
            rate = None


def _refusals(found: list[Signal]) -> Iterator[str]:
    """Yield how often pages or parts of them had to be sent again."""
    said = [each.says for each in found]
    if requests := said.count(Fcf.PPR):
        yield f"frames of pages were damaged, and asked for again {_times(requests)} (PPR)"
    if slower := said.count(Fcf.CTC):
        yield f"the rate was changed in mid page {_times(slower)} (CTC)"
    if given_up := said.count(Fcf.EOR):
        yield f"{words.counted(given_up, 'page')} could not be corrected (EOR)"
    if refused := said.count(Fcf.RTN):
        yield f"a page was refused {_times(refused)} (RTN)"
    if poor := said.count(Fcf.RTP):
        yield f"a page was poor, but good enough, {_times(poor)} (RTP)"


def _is_damaged_command(signal: Signal) -> bool:
    frames = signal.carried.frames if signal.kind is Kind.FRAMES and signal.carried else ()
    return not all(each.good for each in frames)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


# ---------------------------------------------------------------------------------------------------------------- time


def _seconds(trace: Trace) -> Iterator[str]:
    """Yield where the time went, and how little of it the call could have taken."""
    time = line_time(trace)
    parts = [f"{phase.value} {time.spent[phase]:.1f}" for phase in Phase if time.spent[phase] >= 0.05]
    yield f"{time.seconds:.1f} in all" + (f": {', '.join(parts)}" if parts else "")
    if time.spent[Phase.PAGE]:
        yield f"{time.least_seconds:.1f} at least: with no failure, and every signal as short as T.30 allows"
