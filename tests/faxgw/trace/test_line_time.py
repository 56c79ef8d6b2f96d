"""Where the seconds of a call went: every second counted once, and no call is faster than the least it could take."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from faxgw.trace.line_time import Phase, line_time
from faxgw.trace.reading import read
from faxgw.trace.record import Thrown
from simulators.faults import Faults
from t30.capabilities import Station
from t30.line import SendData
from t30.rates import Family, Modulation

RecordCalls = Callable[..., tuple[Path, Path]]
SILENCE = 0.055
PLAIN = Station(ident="+1 555 0100", ecm=False)


def test_small_call_took_so_many_seconds_of_each_phase(small_call: Path) -> None:
    spent = line_time(read(small_call)).spent
    assert spent[Phase.SETUP] == pytest.approx(8.06, abs=0.01)  # until the first frame heard must have begun
    assert spent[Phase.NEGOTIATION] == pytest.approx(10.0 - 8.06 + 1.925 + 1.175, abs=0.01)  # CSI DIS, SUB DCS, DCS
    assert spent[Phase.TRAINING] == pytest.approx(1.825 + 1.16 + 1.825 + 1.16, abs=0.01)  # TCF FTT, TCF CFR
    assert spent[Phase.PAGE] == pytest.approx(3.675)
    assert spent[Phase.CONFIRMATION] == pytest.approx(1.175 + 1.16 + 1.075 + 1.16 + 1.175 + 0.25, abs=0.01)
    assert spent[Phase.WAITING] == 0.0
    assert sum(spent.values()) == pytest.approx(30.0)


def test_least_of_the_small_call_has_no_training_that_failed_and_no_command_sent_again(small_call: Path) -> None:
    least = line_time(read(small_call)).least
    # CSI and DIS, then DCS alone, as it was said when it was obeyed: octets with FCS and flag, and a stuffed bit each.
    said = ((23 + 3) * 8 + (6 + 3) * 8, (6 + 3) * 8)
    assert least[Phase.NEGOTIATION] == pytest.approx(sum(0.85 + bits / 300 for bits in said), abs=0.06)
    assert least[Phase.TRAINING] == pytest.approx(0.253 + 1.35 + 0.85 + 48 / 300, abs=0.03)
    assert least[Phase.PAGE] == pytest.approx(0.253 + 3980 * 8 / 9600)
    assert least[Phase.CONFIRMATION] == pytest.approx(3 * (0.85 + 48 / 300), abs=0.1)
    assert least[Phase.TURNAROUND] == pytest.approx(7 * SILENCE)  # DIS DCS TCF CFR page EOP MCF DCN
    assert least[Phase.WAITING] == 0.0


@pytest.mark.parametrize("ecm", [True, False], ids=["error correction", "none"])
def test_good_call_is_near_its_least_at_both_ends(record_calls: RecordCalls, ecm: bool) -> None:
    times = [
        line_time(read(path))
        for path in record_calls([bytes(90_000), bytes(9_000)], answerer=PLAIN if not ecm else Station())
    ]
    for each in times:
        assert each.spent[Phase.PAGE] == pytest.approx(each.least[Phase.PAGE], abs=0.5)
        assert each.spent[Phase.WAITING] == 0.0
        assert each.least_seconds < each.seconds < each.least_seconds + 8.0
    for phase in (Phase.NEGOTIATION, Phase.TRAINING, Phase.PAGE):
        assert times[0].spent[phase] == pytest.approx(times[1].spent[phase], abs=0.6)


def test_every_second_is_counted_once_and_no_phase_is_shorter_than_it_must_be(record_calls: RecordCalls) -> None:
    faults = Faults(seed=4, lost=0.1, corrupted=0.2, delayed=0.1, echoed=0.1)
    for answerer in (Station(), PLAIN):
        for path in record_calls([bytes(70_000), bytes(3_000)], faults=faults, answerer=answerer):
            trace = read(path)
            assert trace.outcome is not None
            time = line_time(trace)
            assert time.seconds == pytest.approx(trace.outcome.seconds, abs=0.01)
            assert all(seconds >= 0.0 for seconds in time.spent.values())
            assert time.least_seconds < time.seconds


def test_what_fails_costs_time_and_changes_the_least_by_the_rate_only(record_calls: RecordCalls) -> None:
    slow = frozenset(one.long for one in Modulation if one.family is Family.V17)
    good, _ = map(read, record_calls([bytes(30_000)]))
    bad, _ = map(read, record_calls([bytes(30_000)], faults=Faults(untrainable=slow)))
    good_time, bad_time = line_time(good), line_time(bad)
    assert bad_time.spent[Phase.TRAINING] > 2.5 * good_time.spent[Phase.TRAINING]
    assert bad_time.least[Phase.TRAINING] < good_time.least[Phase.TRAINING]  # V.29 trains faster than V.17
    assert bad_time.least[Phase.PAGE] > 1.4 * good_time.least[Phase.PAGE]
    assert bad_time.least[Phase.CONFIRMATION] == good_time.least[Phase.CONFIRMATION]


def test_lost_answer_is_waited_for(record_calls: RecordCalls) -> None:
    out, _ = record_calls([bytes(9_000)], faults=Faults(lose=frozenset({6})), answerer=PLAIN)
    assert line_time(read(out)).spent[Phase.WAITING] == pytest.approx(3.0, abs=0.2)


def test_of_a_page_that_was_cut_off_no_more_was_due_than_there_was(small_call: Path) -> None:
    trace = read(small_call)
    place, step = [(n, step) for n, step in enumerate(trace.steps) if isinstance(step.action, SendData)][-1]
    cut = replace(step, result=Thrown("Canceled", "", "", step.at + 1.075))
    time = line_time(replace(trace, steps=(*trace.steps[:place], cut)))
    assert time.spent[Phase.PAGE] == pytest.approx(1.0)
    assert time.least[Phase.PAGE] == pytest.approx(1.0)


def test_nothing_is_due_again_until_pages_change(record_calls: RecordCalls) -> None:
    """A page refused and sent again counts once; so does its training."""
    once, _ = map(read, record_calls([bytes(20_000)], answerer=PLAIN))
    refused, _ = map(read, record_calls([bytes(20_000)], answerer=PLAIN, bad_rows=1000))
    assert line_time(refused).least[Phase.PAGE] == pytest.approx(line_time(once).least[Phase.PAGE])
    assert line_time(refused).least[Phase.TRAINING] == pytest.approx(line_time(once).least[Phase.TRAINING])
    assert line_time(refused).spent[Phase.PAGE] > 2.5 * line_time(once).spent[Phase.PAGE]
