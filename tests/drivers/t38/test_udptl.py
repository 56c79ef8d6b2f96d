"""UDPTL: order, repair, wrap and restart; loss up to what the protection bears changes nothing that is delivered."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.t38.udptl import (
    NUMBERS,
    WINDOW,
    Arrived,
    Datagram,
    Missing,
    Numbering,
    Ordering,
    Parity,
    Protection,
    UdptlMalformed,
    decode,
    encode,
)

PACKETS = [bytes([each % 251 + 1]) * (1 + each % 60) for each in range(300)]
WIDE = 1400


def sent(packets: Iterable[bytes], protection: Protection, *, first: int = 0, most: int = WIDE) -> list[bytes]:
    numbering = Numbering(protection, most=most, first=first)
    return [numbering.datagram(each) for each in packets]


def delivered(datagrams: Iterable[bytes], ordering: Ordering | None = None) -> list[bytes | int]:
    """Return what came: packets without zeros at their ends, and how many were missing."""
    ordering = ordering or Ordering()
    events = [event for each in datagrams for event in ordering.take(each)]
    while ordering.waits:
        events += ordering.give_up()
    return [each.octets.rstrip(b"\0") if isinstance(each, Arrived) else each.packets for each in events]


octet_strings = st.binary(max_size=200)


several = st.lists(octet_strings, max_size=7).map(tuple)
parities = st.tuples(st.integers(1, 127), several).map(lambda each: Parity(*each))
repairs = st.tuples(several, st.none()) | st.tuples(st.just(()), parities)


@given(st.tuples(st.integers(0, NUMBERS - 1), octet_strings, repairs).map(lambda each: Datagram(*each[:2], *each[2])))
def test_what_is_written_is_read_back(datagram: Datagram) -> None:
    assert decode(encode(datagram)) == datagram


@pytest.mark.parametrize("redundancy", [1, 2, 3, 7])
@settings(max_examples=20)
@given(st.data())
def test_bursts_up_to_the_redundancy_cost_nothing(redundancy: int, data: st.DataObject) -> None:
    datagrams = sent(PACKETS, Protection(redundancy))
    at = 0
    kept = []
    while at < len(datagrams):
        kept.append(datagrams[at])
        at += 1 + data.draw(st.integers(0, redundancy))
    # What follows the last that arrived is not known to have been sent.
    last = len(PACKETS) if kept[-1] is datagrams[-1] else datagrams.index(kept[-1]) + 1
    assert delivered(kept) == PACKETS[:last]


@pytest.mark.parametrize(("span", "rows"), [(1, 1), (2, 1), (3, 3), (5, 1), (5, 5), (1, 5), (4, 2)])
def test_one_lost_of_each_row_comes_back_by_parity(span: int, rows: int) -> None:
    datagrams = sent(PACKETS, Protection(0, span, rows))
    # A burst as long as there are rows, once the sender has enough packets behind it, and clear of the next burst.
    every = span * rows + rows + 2
    lost = {at + each for at in range(every, len(datagrams) - every, every) for each in range(rows)}
    ordering = Ordering()
    assert delivered([each for at, each in enumerate(datagrams) if at not in lost], ordering) == PACKETS
    assert ordering.counts.repaired == len(lost)


def test_parity_repairs_nothing_that_was_before_the_first_packet() -> None:
    datagrams = sent(PACKETS[:40], Protection(0, 3, 3), first=NUMBERS - 5)
    for first in range(20):
        assert delivered(datagrams[first:]) == PACKETS[first:40]


def test_a_repaired_packet_says_that_zeros_may_follow() -> None:
    datagrams = sent([b"aaaa", b"b", b"cccc"], Protection(0, 2, 1))
    ordering = Ordering()
    events = [event for each in (datagrams[0], datagrams[2]) for event in ordering.take(each)]
    assert events[1:] == [Arrived(b"b\0\0\0", repaired=True), Arrived(b"cccc")]


@pytest.mark.parametrize("first", [0, 1, 32768, NUMBERS - 3])
def test_numbers_begin_anywhere_and_wrap(first: int) -> None:
    assert delivered(sent(PACKETS, Protection(2), first=first)) == PACKETS
    lossy = [each for at, each in enumerate(sent(PACKETS, Protection(2), first=first)) if at % 3 == 0]
    assert delivered(lossy) == PACKETS[:298]


@pytest.mark.case("R04")
def test_a_sender_that_leaves_zero_out_loses_nothing() -> None:
    numbers = [*range(NUMBERS - 10, NUMBERS), *range(1, 30)]
    packets = PACKETS[: len(numbers)]
    for redundancy in (0, 1, 3):
        datagrams = [
            encode(Datagram(number, packets[at], tuple(packets[max(0, at - redundancy) : at][::-1])))
            for at, number in enumerate(numbers)
        ]
        came = delivered(datagrams)
        assert [each for each in came if not isinstance(each, int)] == packets
        assert [each for each in came if isinstance(each, int)] == ([] if redundancy else [1])


@pytest.mark.case("R04")
def test_a_sender_that_begins_anew_far_away_is_followed() -> None:
    ordering = Ordering()
    before = sent(PACKETS[:20], Protection(3), first=40000)
    after = sent(PACKETS[20:40], Protection(3), first=3)
    assert delivered([*before, *after], ordering) == PACKETS[:40]
    assert ordering.counts.restarts == 1


def test_one_datagram_with_a_number_far_away_is_nobodys() -> None:
    datagrams = sent(PACKETS[:60], Protection(0), first=40000)
    for far in (0, 40000 + 200, 40000 - 2100, 39000):
        ordering = Ordering()
        stray = encode(Datagram(far, b"junk"))
        came = [each for datagram in datagrams for each in (stray, datagram)][1:]
        assert delivered(came, ordering) == PACKETS[:60]
        assert ordering.counts.restarts == ordering.counts.lost == 0
        assert ordering.counts.implausible == (0 if far == 39000 else 59)


def test_from_elsewhere_the_second_datagram_in_a_row_goes_on_with_the_others() -> None:
    datagrams = sent(PACKETS[:20], Protection(3), first=65530)
    ordering = Ordering()
    assert ordering.fits(datagrams[0])
    for each in datagrams[:8]:
        ordering.take(each)
    assert [ordering.fits(datagrams[each]) for each in (9, 3, 8, 8, 10, 9)] == [False, False, False, True, True, False]
    ordering.take(datagrams[8])
    assert not ordering.fits(datagrams[9]) and ordering.fits(datagrams[10])
    assert [ordering.fits(datagrams[each]) for each in (11, 3, 12)] == [True, False, False], "not two in a row"
    assert not ordering.fits(datagrams[9][:-1])


@pytest.mark.parametrize("gap", [70, 1500])
def test_after_a_long_gap_the_second_datagram_is_believed_and_the_first_with_it(gap: int) -> None:
    datagrams = sent(PACKETS * 8, Protection(1))
    ordering = Ordering()
    for each in datagrams[:10]:
        ordering.take(each)
    assert ordering.take(datagrams[10 + gap]) == []
    assert ordering.take(datagrams[10 + gap]) == [] and ordering.waits
    assert delivered([], ordering) == [gap - 1, *(PACKETS * 8)[9 + gap : 11 + gap]]
    assert ordering.take(datagrams[11 + gap]) == [Arrived((PACKETS * 8)[11 + gap])]


def test_what_comes_twice_or_late_is_delivered_once() -> None:
    datagrams = sent(PACKETS[:60], Protection(0))
    doubled = [each for datagram in datagrams for each in (datagram, datagram)]
    assert delivered(doubled) == PACKETS[:60]
    ordering = Ordering()
    assert delivered([*datagrams, datagrams[3]], ordering) == PACKETS[:60]
    assert ordering.counts.repeated == 1


@given(st.integers(0, 2**32))
def test_any_order_within_the_window_is_put_right(seed: int) -> None:
    chance = random.Random(seed)
    datagrams = sent(PACKETS[:100], Protection(0))
    shuffled = sorted(range(1, 100), key=lambda at: at + chance.uniform(0, WINDOW - 1))
    assert delivered([datagrams[0], *(datagrams[at] for at in shuffled)]) == PACKETS[:100]


def test_what_is_lost_for_good_is_told_in_its_place() -> None:
    datagrams = sent(PACKETS[:40], Protection(0))
    del datagrams[10:13]
    ordering = Ordering()
    held = [event for each in datagrams[:20] for event in ordering.take(each)]
    assert (len(held), ordering.waits) == (10, True)
    assert ordering.give_up() == [Missing(3), *map(Arrived, PACKETS[13:23])]
    assert ordering.give_up() == []
    assert delivered(datagrams) == [*PACKETS[:10], 3, *PACKETS[13:40]]


@pytest.mark.case("R03")
@pytest.mark.parametrize("most", [40, 72, 176])
def test_less_is_repeated_rather_than_more_sent_than_the_peer_takes(most: int) -> None:
    packets = [bytes(30)] * 10
    for protection in (Protection(7), Protection(0, 3, 3)):
        datagrams = sent(packets, protection, most=most)
        assert max(map(len, datagrams)) <= most
        assert delivered(datagrams) == [b""] * 10
    assert len(decode(sent(packets, Protection(7), most=176)[-1]).secondaries) == 4


@pytest.mark.case("R06")
@given(st.binary(max_size=80))
def test_no_octets_do_harm(octets: bytes) -> None:
    try:
        datagram = decode(octets)
    except UdptlMalformed:
        datagram = None
    ordering = Ordering()
    ordering.take(sent(PACKETS[:1], Protection(0))[0])
    ordering.take(octets)
    assert ordering.counts.malformed == (datagram is None)


@pytest.mark.case("R06")
@pytest.mark.parametrize(
    "octets",
    [
        "",
        "0000",
        "000001",
        "00000101",
        "0000010100ff",
        "000001010001",
        "0000010100 0100 00",
        "000101aa80010301",
        "0001c0",
    ],
)
def test_malformed_datagrams_are_counted_and_change_nothing(octets: str) -> None:
    ordering = Ordering()
    first, second, third = sent(PACKETS[:3], Protection(0))
    assert ordering.take(first) and not ordering.take(bytes.fromhex(octets))
    assert ordering.take(second) + ordering.take(third) == [Arrived(PACKETS[1]), Arrived(PACKETS[2])]
    assert ordering.counts.malformed == 1


@pytest.mark.case("R06")
def test_secondaries_that_are_empty_stand_for_nothing() -> None:
    ordering = Ordering()
    ordering.take(encode(Datagram(5, b"a")))
    assert ordering.take(encode(Datagram(8, b"d", (b"", b"b")))) == [Arrived(b"b")]
    assert ordering.give_up() == [Missing(1), Arrived(b"d")]


@given(st.lists(st.binary(min_size=5, max_size=60), max_size=40), st.integers(0, 2**32))
def test_strangers_datagrams_between_ours_never_stop_it(junk: list[bytes], seed: int) -> None:
    chance = random.Random(seed)
    ordering = Ordering()
    for each in junk:
        ordering.take(chance.randbytes(2) + each)
        assert len(ordering._held) <= WINDOW + 8
