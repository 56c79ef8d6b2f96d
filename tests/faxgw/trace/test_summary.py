"""A call in few lines: what it came to, why, what to do, what went wrong on the way, and where the seconds went."""

from dataclasses import replace
from pathlib import Path

import pytest

from faxgw.rules.causes import TREATMENTS
from faxgw.trace import words
from faxgw.trace.advice import ADVICE, advice
from faxgw.trace.listing import headline, listing
from faxgw.trace.reading import read
from faxgw.trace.signals import signals
from faxgw.trace.story import Kind, Line
from faxgw.trace.summary import summary
from faxgw.trace.telling import silence
from simulators.faults import Faults
from simulators.machine import Habit
from simulators.personalities import Answers, HangsUpAfter
from t30 import timers
from t30.capabilities import Dis
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import Action, Content, ListenData, ListenFrame, SendFrames, Sent
from t30.outcome import Direction, Evidence, Outcome, Reason
from t30.rates import Family, Modulation
from tests.faxgw.trace.calls import ANSWERER, CALLER
from tests.faxgw.trace.keeping import KEPT
from tests.faxgw.trace.modem_calls import modem_calls
from tests.faxgw.trace.test_replay import KNOWS, LOCKED
from tests.simulators.calls import sheet

PLAIN = replace(ANSWERER, ecm=False)
FAST = frozenset(one.long for one in Modulation if one.family in (Family.V17, Family.V29))


def points(path: Path) -> dict[str, list[str]]:
    """Return what is said, by what it is about."""
    said: dict[str, list[str]] = {}
    for point in summary(read(path)):
        said.setdefault(point.about, []).append(point.words)
    return said


def test_good_call_has_nothing_to_do_and_no_trouble(tmp_path: Path) -> None:
    for path in modem_calls(tmp_path, [sheet(1), sheet(2)]):
        said = points(path)
        assert said.keys() == {"result", "seconds"}
        assert "2 pages confirmed" in said["result"][0]
        whole, least = (float(each.split()[0]) for each in said["seconds"])
        assert least < whole < least + 4.0


def test_training_that_fails_is_told_with_its_rates(tmp_path: Path) -> None:
    for path in modem_calls(tmp_path, faults=Faults(untrainable=FAST)):
        (told,) = points(path)["trouble"]
        assert told == (
            "training failed 4 times (FTT): the line damages too much at V.17 14400, V.17 12000, V.29 9600, V.29 7200"
        )


def test_frames_asked_for_again_are_told() -> None:
    trouble = points(KEPT / "corrected-in.jsonl")["trouble"]
    assert "frames of pages were damaged, and asked for again 4 times (PPR)" in trouble
    assert "the rate was changed in mid page once (CTC)" in trouble
    assert "1 page could not be corrected (EOR)" in points(KEPT / "given-up-out.jsonl")["trouble"]
    assert "a page was refused once (RTN)" in points(KEPT / "refused-out.jsonl")["trouble"]


def test_damaged_frames_are_counted_against_all_of_their_part(tmp_path: Path) -> None:
    faults = Faults(seed=2, corrupt=frozenset({4, 7}), error_density=0.0015)
    for path in modem_calls(tmp_path, [sheet(1, rows=400)], faults=faults):
        told = [line.plain.partition("PPR: ")[2] for line in listing(read(path)) if "PPR: " in line.plain]
        assert len(told) == 2
        assert all(" of 28 frames came damaged or not at all; send these frames again: " in line for line in told)
        asked = [int(line.split()[0]) for line in told]
        assert 28 > asked[0] > asked[1] > 0


def test_receiver_that_is_not_ready_is_told(tmp_path: Path) -> None:
    for path in modem_calls(tmp_path, slow=2):
        assert points(path)["trouble"] == ["the receiver was not ready twice (RNR), and was waited for"]


def test_waiting_is_told_with_its_timer(tmp_path: Path) -> None:
    out, in_ = modem_calls(tmp_path, answerer=PLAIN, faults=Faults(lose=frozenset({6})))
    assert points(out)["trouble"] == ["nothing came in time once: 3.0 s of waiting"]
    told = [line.plain.strip() for line in listing(read(out))]
    (place,) = (n for n, line in enumerate(told) if line.endswith("no answer within 3.0 s: timer T4 has run out"))
    assert "EOP: end of the last page" in told[place + 1]
    assert told[place + 2] == "said again, for no answer came that could be read"
    heard = [line.plain.strip() for line in listing(read(in_))]
    again = heard.index("the same again: what was said to it did not get through")
    assert "EOP: " in heard[again - 1]
    assert "trouble" not in points(in_)


def test_what_is_said_again_as_a_rule_is_no_repetition(tmp_path: Path) -> None:
    for path in (*modem_calls(tmp_path, [sheet(1), sheet(2), sheet(3)], slow=3), KEPT / "corrected-in.jsonl"):
        told = "\n".join(line.plain for line in listing(read(path)))
        assert "again," not in told
        assert "the same again" not in told


class Mute(Habit):
    """Answers, and says nothing."""

    def do(self, action: Action):  # type: ignore[no-untyped-def]
        if isinstance(action, SendFrames):
            return Sent()
        return (yield action)


def test_wish_for_an_operator_is_told(tmp_path: Path) -> None:
    answers = {Fcf.MCF: Frame.of(Fcf.PIP)}
    out, in_ = modem_calls(tmp_path, answerer=PLAIN, habits=(None, Answers(answers)))
    for path in (out, in_):
        assert "an operator was wanted once (PRI, PIP or PIN)" in points(path)["trouble"]


V21, V29 = Modulation.V21, Modulation.V29_9600


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (ListenFrame(V21, timers.T4), "no answer within 3.0 s: timer T4 has run out"),
        (ListenFrame(V21, timers.T2), "no command within 3.0 s: timer T2 has run out"),
        (ListenFrame(V21, timers.T3), "no operator within 3.0 s: timer T3 has run out"),
        (ListenFrame(V21, 1.2), "heard nothing for 3.0 s"),
        (ListenFrame(V29, timers.T2), "no frame of page data within 3.0 s"),
        (ListenData(V29, Content.TCF, 4.5), "no training check within 3.0 s"),
        (ListenData(V29, Content.PAGE, timers.T2), "no page data within 3.0 s"),
    ],
)
def test_silence_says_what_was_waited_for(action: ListenFrame | ListenData, told: str) -> None:
    assert silence(action, 3.0) == Line("", told, bad=True)


def test_silent_answerer_is_told_with_what_to_do(tmp_path: Path) -> None:
    out, _ = modem_calls(tmp_path, habits=(None, Mute()))
    said = points(out)
    assert said["cause"] == ["no fax machine said what it can do within 35 s (fax.no_machine)"]
    assert said["what to do"] == ["Dial the number by telephone: if a voice answers, it is no fax number."]


def test_call_that_did_not_come_about_is_told_with_what_to_do(tmp_path: Path) -> None:
    out, _ = modem_calls(tmp_path, number="19995550100")
    assert points(out)["cause"] == ["the call was rejected (call.rejected)"]
    assert "provider" in points(out)["what to do"][0]


def test_who_hung_up_before_the_confirmation_is_told(tmp_path: Path) -> None:
    out, in_ = modem_calls(tmp_path, answerer=PLAIN, habits=(None, HangsUpAfter(Fcf.CFR)))
    assert read(out).header.engine > 1
    assert points(out)["what to do"][0].startswith(("Call again", "They hung up"))
    assert points(in_)["what to do"][0].startswith("Ask the sender")


def test_fast_signal_whose_command_was_not_understood_is_no_page(tmp_path: Path) -> None:
    """The page that comes later at the same rate is one."""
    faults = Faults(untrainable=frozenset({Modulation.V17_14400, Modulation.V17_12000}), corrupt=frozenset({7}))
    _, in_ = modem_calls(tmp_path, answerer=PLAIN, faults=faults)
    found = signals(read(in_))
    (passed,) = (each for each in found if each.kind is Kind.PASSED)
    assert "V.29 9600 goes by, " in passed.lines[0].words
    assert passed.lines[0].words.endswith(": its command was not understood")
    assert sum(each.kind is Kind.PAGE for each in found) == 1


def test_polled_call_names_the_right_sender(tmp_path: Path, record_calls) -> None:  # type: ignore[no-untyped-def]
    for path in record_calls([bytes(3000)], caller=KNOWS, answerer=LOCKED, polls=True):
        trace = read(path)
        assert headline(trace) == "Fax from +1 555 0100 to +49 30 1234567"
        assert "offers a document to be fetched; does not receive" in "".join(line.plain for line in listing(trace))


# -------------------------------------------------------------------------------------------------------------- advice


@pytest.mark.parametrize("code", [each for each in TREATMENTS if each.startswith(("call.", "fax.", "line.", "stor"))])
def test_every_cause_of_a_call_has_its_advice_for_both_ends(code: str) -> None:
    for direction in Direction:
        told = advice(outcome(code, direction))
        assert told.endswith(".")
        assert "See what" not in told


def test_no_advice_is_about_a_cause_that_there_is_not() -> None:
    assert ADVICE.keys() <= TREATMENTS.keys()


def test_what_we_had_said_last_is_part_of_the_advice() -> None:
    sender = outcome("fax.disconnected", Direction.OUT, Fcf.DCS)
    assert advice(sender).startswith("They hung up at the training: most often because of V.17 (")
    assert advice(replace(sender, direction=Direction.IN)) == "Ask the sender to send it again."
    assert advice(outcome("document.damaged", Direction.OUT)) == "See what the cause says."
    assert "recording ends" in advice(None)


def outcome(code: str, direction: Direction, after: Fcf | None = None) -> Outcome:
    evidence = Evidence(hung_up_after=after)
    return Outcome(direction, Reason(code, "it went wrong"), "", 1.0, None, False, evidence=evidence)


# ---------------------------------------------------------------------------------------------------------------- bits


def test_every_bit_that_is_not_plain_is_told_once(tmp_path: Path) -> None:
    assert words.frame(Frame.of(Fcf.DIS, Dis().but(receiver=True).octets).octets).bits == ()
    faults = Faults(untrainable=frozenset({Modulation.V17_14400}))
    out, _ = modem_calls(tmp_path, caller=CALLER, answerer=PLAIN, faults=faults)
    told = [line.plain.strip() for line in listing(read(out))]
    assert sum(line.startswith("receives at: ") for line in told) == 1
    assert [line for line in told if line.startswith("rate: ")] == [
        "rate: V.17 14400; 2-D coding (MR); ms per scan line: 0",
        "rate: V.17 12000; 2-D coding (MR); ms per scan line: 0",
    ]


def test_bit_without_a_name_is_told_by_its_number() -> None:
    bits = words.frame(Frame.of(Fcf.DIS, bytes.fromhex("00 02 80 80 20")).octets).bits
    assert bits == ("bit 38",)
    assert words.frame(Frame.of(Fcf.DIS, bytes.fromhex("00 02 80 80")).octets).bits == ()
