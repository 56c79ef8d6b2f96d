"""DIS and DCS against octets seen on real lines and against T.30 Table 2."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis.strategies import binary, booleans, frozensets, sampled_from

from t30.capabilities import Dcs, Dis, Offer, ScanTime, Station, agree
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
    ecm = coding in {Coding.MMR, Coding.T85}
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


def test_t85_is_agreed_on_only_where_both_were_told_to_and_with_error_correction() -> None:
    every = Station(codings=frozenset(Coding))
    assert Coding.T85 not in Dis().but(t85=True).codings()
    assert agree(every, every.dis()).limits.coding is Coding.T85
    assert agree(every, Station().dis()).limits.coding is agree(Station(), every.dis()).limits.coding is Coding.MMR
    assert agree(every, replace(every, ecm=False).dis()).limits.coding is Coding.MR


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


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        ("01 00 00", "Internet fax, store and forward (T.37)"),
        ("04 00 00", "Internet fax in real time (T.38)"),
        ("20 00 00", "V.8 capabilities"),
        ("40 00 00", "prefers 64-octet frames"),
        ("00 01 00", "has a document to be polled"),
        ("00 02 00", "receives fax pages"),
        ("00 40 00", "fine resolution (8 x 7.7 lines/mm)"),
        ("00 80 00", "2-D coding (MR)"),
        ("00 00 80 04", "error correction mode"),
        ("00 00 80 40", "T.6 coding (MMR)"),
        ("00 00 80 80 01", "can say that a field is not valid (FNV)"),
        ("00 00 80 80 02", "several selective polling addresses"),
        ("00 00 80 80 04", "takes a polled subaddress (PSA)"),
        ("00 00 80 80 08", "T.43 coding"),
        ("00 00 80 80 80 01", "superfine resolution (8 x 15.4 lines/mm)"),
        ("00 00 80 80 80 02", "300 x 300 pels/inch"),
        ("00 00 80 80 80 04", "16 x 15.4 lines/mm or 400 x 400 pels/inch"),
        ("00 00 80 80 80 08", "prefers resolutions in inches"),
        ("00 00 80 80 80 10", "prefers metric resolutions"),
        ("00 00 80 80 80 20", "half the scan line time at 15.4 lines/mm"),
        ("00 00 80 80 80 40", "selective polling"),
        ("00 00 80 80 80 80 01", "takes a subaddress"),
        ("00 00 80 80 80 80 02", "takes a password"),
        ("00 00 80 80 80 80 04", "has a data file to be polled"),
        ("00 00 80 80 80 80 10", "binary file transfer"),
        ("00 00 80 80 80 80 80 80 08", "JPEG coding"),
        ("00 00 80 80 80 80 80 80 10", "full colour"),
        ("00 00 80 80 80 80 80 80 80 08", "North American Letter"),
        ("00 00 80 80 80 80 80 80 80 10", "North American Legal"),
        ("00 00 80 80 80 80 80 80 80 20", "T.85 coding (JBIG)"),
        ("00 00 80 80 80 80 80 80 80 40", "T.85 coding, any stripe height (L0)"),
    ],
)
def test_each_bit_of_dis_means_what_table_2_says(octets: str, words: str) -> None:
    assert Dis(bytes.fromhex(octets)).explain() == [words]


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        ("00 02 F0 80 80 80 01", ["a subaddress comes with it"]),
        ("00 02 F0 80 80 80 02", ["a sender identification comes with it"]),
        ("00 02 F0 08", ["64-octet frames"]),
    ],
)
def test_bits_of_dcs_are_not_those_of_dis(octets: str, words: list[str]) -> None:
    plain = Dcs(bytes.fromhex("00 02 70")).explain()
    assert [each for each in Dcs(bytes.fromhex(octets)).explain() if each not in plain] == words


def test_the_rates_of_a_machine_from_before_v17_are_those_that_we_have_too() -> None:
    old = Dis(bytes.fromhex("00 1E 70"))  # V.27ter, V.29 and V.33
    ladder = agree(Station(), old).ladder
    assert [str(each) for each in ladder] == ["V.29 9600", "V.29 7200", "V.27ter 4800", "V.27ter 2400"]
    assert Station(families=frozenset({Family.V27TER, Family.V29})).dis().bits(11, 4) == "1100"


@pytest.mark.parametrize(
    ("asked", "bits", "chosen"),
    [
        ("00 6E 10 00", "100", 5),  # 5 ms at any resolution
        ("00 6E 90 80 80 21", "100", 5),  # half of it when superfine: DCS has no word for 2.5 ms
        ("00 6E A0 80 80 21", "100", 5),  # half of 10 ms
        ("00 6E C0 80 80 21", "000", 20),  # half of 40 ms
    ],
)
def test_superfine_scan_lines_last_as_long_as_dcs_says(asked: str, bits: str, chosen: int) -> None:
    receiver = Dis(bytes.fromhex(asked))
    terms = agree(Station(ecm=False), receiver)
    page = PageFormat(Width.A4, Length.A4, Resolution.SUPERFINE, Coding.MH, ecm=False)
    assert terms.dcs(page, Modulation.V29_9600).bits(21, 3) == bits
    assert terms.min_row_bits(Resolution.SUPERFINE, Modulation.V29_9600) == 9600 * chosen // 1000


@pytest.mark.parametrize(
    ("offer", "octets"),
    [
        (None, "00 EE FA C4 80 17"),
        (Offer(), "00 EF FA C4 80 17"),
        (Offer(selective=True), "00 EF FA C4 80 57"),
        (Offer(password=True), "00 EF FA C4 80 97 02"),
    ],
)
def test_what_is_on_offer_shows_in_dis_and_never_in_dtc(offer: Offer | None, octets: str) -> None:
    station = Station(offer=offer)
    assert station.dis().octets == bytes.fromhex(octets)
    assert replace(station, takes_subaddress=True, receives=False).dtc().octets == bytes.fromhex("00 EE FA C4 80 17")
