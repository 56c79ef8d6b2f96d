"""Calls over networks that lose packets: as long as the protection reaches nothing is lost, and beyond it they end."""

from collections.abc import Iterable, Iterator
from itertools import product
from random import Random

import pytest

from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed
from drivers.t38.udptl import MOST_ROWS, MOST_SPAN, Arrived, Missing, Numbering, Ordering, Protection
from simulators.network import Weather
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import LineError, SendFrames
from t30.pages import Noted
from tests.drivers.t38.calls import Call, call
from tests.simulators.calls import sheet

SHEETS = [sheet(1), sheet(2)]
PAGES = [each.bitmap for each in SHEETS]
PROTECTIONS = [*map(Protection, range(4)), Protection(0, 3, 3)]
WAYS = list(product(PROTECTIONS, (False, True)))
LONGEST = 600.0
"""Seconds that two short pages may take, however often they are asked for again."""


def lossy(seed: int, *, loss: float = 0.2) -> Call:
    """Make a call over a network that loses so much; the seed says how it is protected, and what is lost."""
    protection, ecm = WAYS[seed % len(WAYS)]
    station = Station("+49 30 1234567", ecm=ecm)
    agreed = Agreed(seed % 4, protection)
    return call(SHEETS, sender=station, agreed=agreed, there=Weather(loss=loss, seed=seed))


def check_the_end(done: Call) -> None:
    """Check that a call has ended, with a cause that says why, and that what is said to have arrived has arrived."""
    for outcome in (done.sent, done.got):
        assert outcome.seconds < LONGEST, done.told()
        assert outcome.complete == (outcome.reason.code == ""), done.told()
        assert outcome.complete or len(outcome.reason.text.split()) > 3, done.told()
        assert outcome.reason.code not in {"fax.internal", "fax.failed"}, done.told()
    confirmed = [page.index for page in done.sent.pages if page.confirmed]
    assert confirmed == list(range(len(confirmed)))
    arrived = done.arrived()
    assert len(arrived) >= len(confirmed), done.told()
    if done.sent.ecm:
        assert arrived[: len(confirmed)] == PAGES[: len(confirmed)], done.told()


@pytest.mark.parametrize("seed", range(10))
def test_a_fifth_lost_still_ends_with_a_cause(seed: int) -> None:
    check_the_end(lossy(seed))


@pytest.mark.slow
def test_a_fifth_lost_still_ends_with_a_cause_200_times_each_way(soak_seed: int) -> None:
    for each in range(200 * len(WAYS)):
        check_the_end(lossy(soak_seed + each))


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("protection", [Protection(3), Protection(0, 3, 3)], ids=["redundancy", "fec"])
def test_all_that_networks_do_at_once_costs_no_pel_with_error_correction(version: int, protection: Protection) -> None:
    weather = Weather(loss=0.05, burst=3, jitter=0.2, doubled=0.1, seed=version)
    done = call(SHEETS, agreed=Agreed(version, protection), there=weather)
    assert (done.sent.verdict, done.got.verdict) == ("delivered", "received"), done.told()
    assert done.arrived() == PAGES


def beset(seed: int) -> Call:
    """Make a call in which every twentieth packet begins a loss of three, about 14 % in all, beside all else."""
    weather = Weather(loss=0.05, burst=3, jitter=0.2, doubled=0.1, seed=seed)
    return call(SHEETS, agreed=Agreed(seed // 2 % 4, PROTECTIONS[3 + seed % 2]), there=weather)


@pytest.mark.slow
def test_all_that_networks_do_at_once_costs_no_pel_in_100_calls() -> None:
    for seed in range(100):
        done = beset(seed)
        assert done.sent.verdict == "delivered" and done.arrived() == PAGES, (seed, done.told())


@pytest.mark.soak
def test_all_that_networks_do_at_once_ends_one_call_in_200_at_the_most(soak: bool, soak_seed: int) -> None:
    count = 4000 if soak else 40
    failed = []
    for seed in range(soak_seed, soak_seed + count):
        done = beset(seed)
        check_the_end(done)
        if done.sent.verdict != "delivered":
            failed.append((seed, done.sent.reason.code))
        else:
            assert done.arrived() == PAGES, (seed, done.told())
    print(f"{len(failed)} of {count} calls failed: {failed}")
    assert len(failed) <= max(1, count / 200)


# ---------------------------------------------------------------------------------------------------- parity, by itself


def losses(count: int, share: float, burst: int, chance: Random) -> Iterator[bool]:
    """Return for each of so many packets whether it is lost."""
    left = 0
    for _ in range(count):
        left = left - 1 if left else burst - 1 if chance.random() < share else -1
        yield left >= 0
        left = max(left, 0)


def whole(events: Iterable[Arrived | Missing], sent: list[bytes], first: int) -> int:
    """Check that events bring what was sent, in its place; return how many packets they account for."""
    at = first
    for event in events:
        if isinstance(event, Missing):
            at += event.packets
            continue
        expected = sent[at].ljust(len(event.octets), b"\0") if event.repaired else sent[at]
        assert event.octets and event.octets == expected, f"packet {at}"
        at += 1
    return at - first


@pytest.mark.case("R05")
@pytest.mark.parametrize("span", range(1, MOST_SPAN + 1))
@pytest.mark.parametrize("burst", [1, 2, 5])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_parity_brings_back_only_what_was_sent(span: int, burst: int, share: float) -> None:
    for rows, first in product(range(1, MOST_ROWS + 1), (0, 3, 65530)):
        chance = Random(f"{span} {rows} {burst} {share} {first}")
        sent = [chance.randbytes(chance.randint(1, 40)) + b"\1" for _ in range(120)]
        numbering = Numbering(Protection(0, span, rows), most=1400, first=first)
        datagrams = [numbering.datagram(each) for each in sent]
        came = [at for at, lost in enumerate(losses(len(sent), share, burst, chance)) if not lost]
        ordering = Ordering()
        events = [event for at in came for event in ordering.take(datagrams[at])]
        while ordering.waits:
            events += ordering.give_up()
        assert came[0] + whole(events, sent, came[0]) == came[-1] + 1
        repaired = ordering.counts.repaired
        assert ordering.counts.lost + repaired + len(came) == came[-1] - came[0] + 1
        if burst <= rows and share < 0.1:
            assert repaired or len(came) == came[-1] - came[0] + 1


@pytest.mark.case("R05")
def test_parity_over_packets_that_were_never_sent_makes_none() -> None:
    """Some senders cover packets with negative numbers, or none at all, with their first parity."""
    ordering = Ordering()
    chance = Random(5)
    for number in range(12):
        octets = (
            number.to_bytes(2, "big") + b"\1\xaa\x80\1\3\3" + b"".join(b"\2" + chance.randbytes(2) for _ in range(3))
        )
        assert ordering.take(octets) == [Arrived(b"\xaa")]
    assert (ordering.counts.repaired, ordering.counts.lost, ordering.waits) == (0, 0, False)


@pytest.mark.case("R05")
def test_a_row_of_nothing_is_no_packet() -> None:
    ordering = Ordering()
    ordering.take(bytes.fromhex("0000 01aa 80010101 00"))
    events = ordering.take(bytes.fromhex("0002 01bb 80010101 0100")) + ordering.give_up()
    assert events == [Missing(1), Arrived(b"\xbb")]


# ------------------------------------------------------------------------------------------------- what counts as sent

MARGIN = 0.2


def said(done: Call, *, ecm: bool) -> float:
    """Return when the last page's command (EOP, with error correction in PPS) was out, in a call on a good network."""
    last = Fcf.PPS if ecm else Fcf.EOP
    steps = [step for step in done.sender.transcript if isinstance(step.action, SendFrames)]
    frames = ((step, Frame.parse(step.action.frames[-1])) for step in steps)  # type: ignore[union-attr]
    return [step.event.at for step, frame in frames if frame and frame.fcf is last][-1]  # type: ignore[union-attr]


@pytest.mark.case("R16")
@pytest.mark.parametrize("ecm", [False, True])
def test_a_page_whose_confirmation_never_came_is_not_delivered(ecm: bool) -> None:
    station = Station("+49 30 1234567", ecm=ecm)
    at = said(call(SHEETS, sender=station), ecm=ecm)
    done = call(SHEETS, sender=station, back=Weather(silent=(at, 1e9)))
    assert (done.sent.verdict, done.sent.complete) == ("partial", False), done.told()
    assert [page.confirmed for page in done.sent.pages] in ([True], [True, False]), done.told()
    assert done.sent.reason.code == "fax.no_response" and "sent 3 times" in done.sent.reason.text
    # They confirmed it, and cannot know that nobody heard of it.
    assert done.got.verdict == "received" and done.arrived() == PAGES


@pytest.mark.case("R16")
@pytest.mark.parametrize("ecm", [False, True])
def test_a_call_that_is_cut_between_the_last_command_and_its_answer_is_not_delivered(ecm: bool) -> None:
    station = Station("+49 30 1234567", ecm=ecm)
    at = said(call(SHEETS, sender=station), ecm=ecm) + MARGIN

    def hung_up(line: UdptlLine) -> None:
        assert line._endpoint is not None
        line._endpoint.fail(LineError("the other side hung up", code="line.dropped"))

    done = call(SHEETS, sender=station, there=Weather(silent=(at, 1e9)), then=(at, hung_up))
    assert (done.sent.verdict, done.sent.reason.code) == ("partial", "line.dropped"), done.told()
    assert done.sent.reason.text == "the other side hung up"
    assert not any(page.confirmed for page in done.sent.pages[1:])


@pytest.mark.case("R16")
@pytest.mark.parametrize("ecm", [False, True])
def test_a_call_that_is_cut_after_the_last_confirmation_is_delivered(ecm: bool) -> None:
    station = Station("+49 30 1234567", ecm=ecm)
    confirmed = call(SHEETS, sender=station).sender.transcript[-3].event
    assert isinstance(confirmed, Noted)
    done = call(SHEETS, sender=station, there=Weather(silent=(confirmed.at, 1e9)))
    assert (done.sent.verdict, done.sent.reason.code) == ("delivered", ""), done.told()
    assert (done.got.verdict, done.got.reason.code) == ("received", ""), done.told()
