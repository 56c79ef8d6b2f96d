"""What two stations agree on, for any DIS and any station: nothing that the receiver did not announce, and DCS says it.

The bits are read here from T.30 Table 2, not by the declarations under test.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis.strategies import (
    binary,
    booleans,
    builds,
    frozensets,
    integers,
    lists,
    permutations,
    sampled_from,
    tuples,
)

from simulators.tray import Sheet
from t30.capabilities import Dcs, Dis, Station, Terms, agree
from t30.pages import Coding, Length, PageFormat, Resolution, Width
from t30.policy import LADDERS, Policy
from t30.rates import Family, Modulation
from t30.t4 import Bitmap

WIDTHS: dict[tuple[int, ...], int] = {(0, 0): 1728, (1, 0): 2048, (0, 1): 2432}
LENGTHS: dict[tuple[int, ...], float] = {(0, 0): 297, (1, 0): 364, (0, 1): math.inf}
SCAN_TIMES: dict[
    tuple[int, ...], tuple[float, float, float | None]
] = {  # bits 21 to 23: ms at standard resolution and when fine; in DCS: ms
    (0, 0, 0): (20, 20, 20),
    (1, 0, 0): (5, 5, 5),
    (0, 1, 0): (10, 10, 10),
    (1, 1, 0): (20, 10, None),
    (0, 0, 1): (40, 40, 40),
    (1, 0, 1): (40, 20, None),
    (0, 1, 1): (10, 5, None),
    (1, 1, 1): (0, 0, 0),
}
RATES: dict[tuple[int, ...], set[str]] = {  # bits 11 to 14 of DIS: what can be received
    (0, 0, 0, 0): {"V.27ter 2400"},
    (0, 1, 0, 0): {"V.27ter 2400", "V.27ter 4800"},
    (1, 0, 0, 0): {"V.29 7200", "V.29 9600"},
    (1, 1, 0, 0): {"V.27ter 2400", "V.27ter 4800", "V.29 7200", "V.29 9600"},
    (1, 1, 0, 1): {str(each) for each in Modulation if each.family is not Family.V21 and not each.short_training},
}
DCS_RATES: dict[tuple[int, ...], str] = {  # bits 11 to 14 of DCS
    (0, 0, 0, 0): "V.27ter 2400",
    (0, 1, 0, 0): "V.27ter 4800",
    (1, 0, 0, 0): "V.29 9600",
    (1, 1, 0, 0): "V.29 7200",
    (0, 0, 0, 1): "V.17 14400",
    (0, 1, 0, 1): "V.17 12000",
    (1, 0, 0, 1): "V.17 9600",
    (1, 1, 0, 1): "V.17 7200",
}
RESOLUTION_BITS = {Resolution.FINE: 15, Resolution.SUPERFINE: 41, Resolution.R300: 42, Resolution.R400: 43}


def bit(octets: bytes, number: int) -> int:
    """Return a bit; one in an octet that no bit before it announces is zero."""
    place = (number - 1) // 8
    announced = all(octets[each] & 0x80 for each in range(2, place)) if place < len(octets) else False
    return octets[place] >> (number - 1) % 8 & 1 if announced else 0


def some(octets: bytes, first: int, count: int) -> tuple[int, ...]:
    """Return several bits."""
    return tuple(bit(octets, number) for number in range(first, first + count))


def with_all_announced(octets: bytes) -> bytes:
    """Set the bits that say that another octet follows."""
    return octets[:2] + bytes(each | 0x80 for each in octets[2:-1]) + octets[-1:]


def with_known_rates(octets: bytes, pattern: tuple[int, ...]) -> bytes:
    """Have bits 11 to 14 be a pattern of Table 2."""
    value = sum(each << place for place, each in enumerate(pattern, 2))
    return octets[:1] + bytes((octets[1] & 0b11000011 | value,)) + octets[2:]


DIS = builds(
    with_known_rates,
    binary(min_size=3, max_size=10) | builds(with_all_announced, binary(min_size=6, max_size=10)),
    sampled_from(list(RATES)),
).map(Dis)
STATION = builds(
    Station,
    families=frozensets(sampled_from(list(Family)[1:])),
    max_bps=sampled_from([2400, 4800, 7200, 9600, 12000, 14400]),
    ecm=booleans(),
    codings=frozensets(sampled_from(Coding)),
    resolutions=frozensets(sampled_from(Resolution)),
    width=sampled_from(Width),
    length=sampled_from(Length),
    frame_octets=sampled_from([64, 256]),
    policy=builds(Policy, sampled_from(list(LADDERS.values())) | permutations(LADDERS["efax"]).map(tuple)),
)


@given(station=STATION, dis=DIS)
def test_nothing_is_agreed_on_that_either_cannot_do(station: Station, dis: Dis) -> None:
    terms, octets = agree(station, dis), dis.octets
    assert {str(each) for each in terms.ladder} <= RATES[some(octets, 11, 4)]
    assert all(each.family in station.families and each.bps <= station.max_bps for each in terms.ladder)
    assert terms.ladder == tuple(each for each in station.policy.ladder if each in terms.ladder)
    limits = terms.limits
    assert limits.width.value <= min(station.width.value, WIDTHS.get(some(octets, 17, 2), 1728))
    longest = min(station.length.value or math.inf, LENGTHS.get(some(octets, 19, 2), 297))
    assert (limits.length.value or math.inf) <= longest
    assert limits.resolutions <= station.resolutions | {Resolution.STANDARD}
    assert all(bit(octets, RESOLUTION_BITS[each]) for each in limits.resolutions - {Resolution.STANDARD})
    assert limits.ecm == (station.ecm and bool(bit(octets, 27)))
    assert limits.coding in station.codings | {Coding.MH}
    assert limits.coding is not Coding.MR or bit(octets, 16)
    assert limits.coding is not Coding.MMR or (bit(octets, 31) and limits.ecm)
    assert terms.frame_octets == (64 if station.frame_octets == 64 or bit(octets, 7) else 256)


@given(station=STATION, dis=DIS, choice=tuples(integers(0), integers(0), integers(0), integers(0)))
def test_dcs_says_what_the_pages_are_and_sets_no_bit_that_was_not_announced(
    station: Station, dis: Dis, choice: tuple[int, int, int, int]
) -> None:
    terms, octets = agree(station, dis), dis.octets
    assume(terms.ladder)
    page = _a_page(terms, *choice[:3])
    modulation = terms.ladder[choice[3] % len(terms.ladder)]
    said = terms.dcs(page, modulation)
    assert said.format == page
    assert DCS_RATES[some(said.octets, 11, 4)] == str(modulation)
    assert WIDTHS[some(said.octets, 17, 2)] == page.width.value
    assert LENGTHS[some(said.octets, 19, 2)] == (page.length.value or math.inf)
    chosen = [number for number in RESOLUTION_BITS.values() if bit(said.octets, number)]
    assert chosen == [RESOLUTION_BITS[each] for each in [page.resolution] if each is not Resolution.STANDARD]
    assert bit(said.octets, 44) == (page.resolution is Resolution.R300)
    assert (bit(said.octets, 16), bit(said.octets, 31)) == (page.coding is Coding.MR, page.coding is Coding.MMR)
    assert bit(said.octets, 27) == page.ecm
    assert bit(said.octets, 28) == (page.ecm and terms.frame_octets == 64)
    for number in (15, 16, 27, 31, 41, 42, 43):
        assert bit(said.octets, number) <= bit(octets, number)
    assert not said.octets[-1] & 0x80


@given(station=STATION, dis=DIS, choice=tuples(integers(0), integers(0), integers(0), integers(0)))
def test_scan_lines_last_at_least_as_long_as_the_receiver_asks_and_as_dcs_says(
    station: Station, dis: Dis, choice: tuple[int, int, int, int]
) -> None:
    terms, octets = agree(station, dis), dis.octets
    assume(terms.ladder)
    page = _a_page(terms, *choice[:3])
    modulation = terms.ladder[choice[3] % len(terms.ladder)]
    _, _, said = SCAN_TIMES[some(terms.dcs(page, modulation).octets, 21, 3)]
    standard, fine, _ = SCAN_TIMES[some(octets, 21, 3)]
    asked = standard if page.resolution is Resolution.STANDARD else fine
    if page.resolution not in (Resolution.STANDARD, Resolution.FINE) and bit(octets, 46):
        asked = asked / 2
    assert said is not None
    assert said == 0 if page.ecm else said >= asked
    bits = terms.min_row_bits(page.resolution, modulation)
    assert bits == 0 if page.ecm else said <= bits * 1000 / modulation.bps < said + 1000 / modulation.bps


def _a_page(terms: Terms, width: int, resolution: int, length: int) -> PageFormat:
    """Return one of the pages that a source may give."""
    limits = terms.limits
    widths = [each for each in Width if each.value <= limits.width.value]
    lengths = [each for each in Length if (each.value or math.inf) <= (limits.length.value or math.inf)]
    resolutions = sorted(limits.resolutions, key=str)
    return PageFormat(
        widths[width % len(widths)],
        lengths[length % len(lengths)],
        resolutions[resolution % len(resolutions)],
        limits.coding,
        limits.ecm,
    )


@pytest.mark.parametrize("coding", [Coding.MH, Coding.MR])
@pytest.mark.parametrize("modulation", LADDERS["efax"])
def test_no_scan_line_on_the_wire_is_shorter_than_the_receiver_asks(coding: Coding, modulation: Modulation) -> None:
    for pattern, (standard, fine, _) in SCAN_TIMES.items():
        octets = bytes((0, 0b01101110, 0x80 | sum(each << place for place, each in enumerate(pattern, 4)), 0))
        terms = agree(Station(ecm=False, codings=frozenset({coding})), Dis(octets))
        for resolution, milliseconds in ((Resolution.STANDARD, standard), (Resolution.FINE, fine)):
            page = PageFormat(Width.A4, Length.A4, resolution, terms.limits.coding, ecm=False)
            sheet = Sheet(Bitmap.from_pels(np.zeros((8, 1728), np.uint8)), resolution=resolution)
            lines = _lines(sheet.coded(page, terms.min_row_bits(resolution, modulation)))
            assert len(lines) == 8
            assert all(line * 1000 / modulation.bps >= milliseconds for line in lines), (pattern, resolution)


def _lines(octets: bytes) -> list[int]:
    """Return how many bits there are from each EOL to the next one, for every line before RTC."""
    bits = "".join(f"{each:08b}"[::-1] for each in octets)
    ends = [place + 12 for place in range(len(bits)) if bits.startswith("000000000001", place)]
    return [later - earlier for earlier, later in pairwise(ends) if later - earlier > 13]


@given(received=binary(max_size=12), flags=lists(booleans(), max_size=2))
def test_any_dcs_is_taken_for_some_page(received: bytes, flags: list[bool]) -> None:
    dcs = Dcs(received + bytes(flags))
    assert dcs.format.pels in (1728, 2048, 2432, 2592, 3072, 3648, 3456, 4096, 4864)
    assert dcs.frame_octets in (64, 256)
