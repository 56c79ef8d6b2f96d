"""DIS and DCS against octets seen on real lines and against T.30 Table 2."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis.strategies import binary, booleans, frozensets, sampled_from

from t30.capabilities import Dcs, Dis, ScanTime, Station, agree
from t30.pages import Coding, Length, PageFormat, Resolution, Width
from t30.rates import LADDER, Family, Modulation

FINE_MMR = PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MMR, ecm=True)


@given(octets=binary(min_size=3, max_size=16))
def test_any_dis_survives_decoding(octets: bytes) -> None:
    dis = Dis(octets)
    assert dis.octets == octets
    assert dis.explain() == Dis(dis.octets).explain()
    assert Resolution.STANDARD in dis.resolutions
    assert Coding.MH in dis.codings()


@given(octets=binary(min_size=3, max_size=16), two_d=booleans(), width=sampled_from(Width))
def test_changing_a_field_leaves_every_other_one_as_it_was(octets: bytes, two_d: bool, width: Width) -> None:
    before = Dis(octets)
    after = before.but(two_d=two_d, width=width)
    assert (after.two_d, after.width) == (two_d, width)
    names = {each.name for each in Dis.fields()} - {"two_d", "width"}
    assert {name: getattr(after, name) for name in names} == {name: getattr(before, name) for name in names}


def test_a_common_dcs_is_read_as_t30_means_it() -> None:
    dcs = Dcs(bytes.fromhex("00 02 00"))
    assert dcs.receiver
    assert dcs.modulation is Modulation.V27TER_2400
    assert dcs.format == PageFormat(Width.A4, Length.A4, Resolution.STANDARD, Coding.MH, ecm=False)
    assert dcs.scan_time == 20


def test_octets_that_no_extend_bit_announces_are_not_read() -> None:
    announced = Dis(bytes.fromhex("00 00 80 04"))
    hidden = Dis(bytes.fromhex("00 00 00 04"))
    assert announced.ecm
    assert not hidden.ecm


def test_building_announces_every_octet_but_the_last() -> None:
    dis = Dis().but(legal=True)
    assert dis.octets.hex(" ") == "00 00 80 80 80 80 80 80 80 10"
    assert dis.legal


@pytest.mark.parametrize(
    ("families", "max_bps", "bits"),
    [
        ({Family.V27TER}, 2400, "0000"),
        ({Family.V27TER}, 14400, "0100"),
        ({Family.V29}, 14400, "1000"),
        ({Family.V27TER, Family.V29}, 14400, "1100"),
        ({Family.V27TER, Family.V29, Family.V17}, 14400, "1101"),
        ({Family.V17}, 14400, "1101"),
        ({Family.V27TER, Family.V29, Family.V17}, 9600, "1100"),
        ({Family.V27TER, Family.V29, Family.V17}, 4800, "0100"),
        ({Family.V29}, 4800, "0000"),
    ],
)
def test_a_station_announces_the_rates_that_it_may_use(families: set[Family], max_bps: int, bits: str) -> None:
    dis = Station(families=frozenset(families), max_bps=max_bps).dis()
    assert dis.bits(11, 4) == bits


@pytest.mark.parametrize(
    ("bits", "meaning"),
    [("000", ScanTime(20, 20)), ("110", ScanTime(20, 10)), ("011", ScanTime(10, 5)), ("111", ScanTime(0, 0))],
)
def test_scan_line_times_are_those_of_table_2(bits: str, meaning: ScanTime) -> None:
    octets = int(bits[::-1], 2) << 4
    assert Dis(bytes((0, 0, octets))).scan_time == meaning


@pytest.mark.parametrize("resolution", Resolution)
@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("modulation", LADDER)
def test_a_receiver_reads_from_dcs_what_the_sender_chose(
    resolution: Resolution, coding: Coding, modulation: Modulation
) -> None:
    ecm = coding is Coding.MMR
    chosen = PageFormat(Width.B4, Length.UNLIMITED, resolution, coding, ecm)
    dcs = agree(Station(ecm=ecm), Station().dis()).dcs(chosen, modulation.short)
    assert dcs.format == chosen
    assert dcs.modulation is modulation


def test_mmr_is_agreed_on_only_with_error_correction() -> None:
    assert Coding.MMR not in Dis().but(mmr=True).codings()
    assert agree(Station(), Station().dis()).limits.coding is Coding.MMR
    assert agree(Station(ecm=False), Station().dis()).limits.coding is Coding.MR
    assert agree(Station(), Station(ecm=False).dis()).limits.coding is Coding.MR
    assert agree(Station(codings=frozenset({Coding.MH})), Station().dis()).limits.coding is Coding.MH


@given(ours=frozensets(sampled_from(Family)), theirs=frozensets(sampled_from(Family)))
def test_the_ladder_holds_only_rates_that_both_can(ours: frozenset[Family], theirs: frozenset[Family]) -> None:
    terms = agree(Station(families=ours), Station(families=theirs).dis())
    rates = [modulation.bps for modulation in terms.ladder]
    assert rates == sorted(rates, reverse=True)
    assert all(modulation.family in ours for modulation in terms.ladder)


def test_scan_lines_last_as_long_as_the_receiver_asks() -> None:
    slow = Dis().but(receiver=True, scan_time=ScanTime(20, 10), fine=True, superfine=True, half_scan_time=True)
    terms = agree(Station(ecm=False), slow)
    bits = {each: terms.min_row_bits(each, Modulation.V29_9600) for each in list(Resolution)[:3]}
    assert list(bits.values()) == [192, 96, 48]
    assert terms.dcs(PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MH, ecm=False), LADDER[2]).scan_time == 10


def test_a_station_does_not_promise_what_its_modem_lacks() -> None:
    v29_modem = frozenset(LADDER[2:]) | {Modulation.V17_14400_SHORT}
    station = Station().limited_to(v29_modem)
    assert station.families == {Family.V27TER, Family.V29}
    assert Station().limited_to(frozenset(Modulation)) == Station()


def test_error_correction_needs_no_fill() -> None:
    slow = Dis().but(receiver=True, scan_time=ScanTime(40, 40), ecm=True)
    terms = agree(Station(), slow)
    assert terms.min_row_bits(Resolution.STANDARD, Modulation.V17_14400) == 0
    assert terms.dcs(FINE_MMR, Modulation.V17_14400).scan_time == 0


def test_no_two_fields_of_one_declaration_share_a_bit() -> None:
    for declared in (Dis, Dcs):
        spans = [set(range(each.first, each.first + each.count)) for each in declared.fields()]
        assert not any(one & other for one, other in combinations(spans, 2))
