"""What machines say of themselves beside DIS, DTC and DCS: makers, sender identifications, Internet addresses."""

import pytest

from t30.answering import answering
from t30.capabilities import Offer, Station
from t30.exchange import Message
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identification import take_note
from t30.identity import encoded, internet
from t30.line import Content, FrameReceived, ListenFrame, Ringing
from t30.outcome import Direction, Record
from t30.pages import AdmitPoller
from t30.rates import Modulation
from t30.vendors import maker
from tests.t30.dialogue import Dialogue

HYLAFAX = bytes.fromhex("AD 00 55") + b"HylaFAX (tm) Version 6.0.7"


def heard(*frames: str) -> Record:
    """Return what is noted of a signal of these frames."""
    parsed = [Frame.parse(bytes.fromhex(each)) for each in frames]
    record = Record(Direction.IN)
    take_note(record, Message(tuple(each for each in parsed if each)))
    return record


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (HYLAFAX.hex(), "HylaFAX"),
        ("AD 00 51 00 00", "Cisco gateway"),
        ("00 00 45 00 00 00", "Muratec"),
        ("00 00 46 01", "a maker of Japan (00 46)"),
        ("AD 00 56", "a maker of United States (00 56)"),
        ("B5 00 56", "a maker of United States (00 56)"),  # the country the other way round
        ("2D 00 01", "a maker of United Kingdom (00 01)"),  # B4, by its first bit on the wire
        ("20 00 01", "a maker of Germany (00 01)"),  # 04 by the wire; as it stands it would be Canada
        ("00 00 00 00 00", ""),  # blanked by a gateway
        ("AD 00", ""),
        ("EE 00 01", ""),
        ("", ""),
    ],
)
def test_a_maker_is_known_by_country_and_provider(octets: str, name: str) -> None:
    assert maker(bytes.fromhex(octets)) == name


@pytest.mark.parametrize("frame", ["20", "21", "22", "23"])
def test_extensions_are_noted_whoever_sends_them(frame: str) -> None:
    record = heard(f"FF 03 {frame} {HYLAFAX.hex(' ')}", "FF 13 80 00 2E 70")
    assert record.evidence.nonstandard == HYLAFAX
    assert record.evidence.capabilities == bytes.fromhex("00 2E 70")


def test_the_identification_of_the_sender_is_noted() -> None:
    record = heard("FF 03 A3 32 31" + " 20" * 18, "FF 03 43 39 34 2B" + " 20" * 17, "FF 13 83 00 22 F0 80 80 80 02")
    assert (record.evidence.sender_id, record.remote_id) == ("12", "+49")


def test_internet_addresses_are_noted_but_for_those_that_say_whom_a_fax_is_for() -> None:
    sender, routing = "00 01 05 61 40 62 2E 63", "00 01 05 78 40 79 2E 7A"
    record = heard(f"FF 03 63 {sender}", f"FF 03 E3 {routing}", "FF 13 83 00 22 70")
    assert record.evidence.addresses == ("e-mail a@b.c",)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("00 01 05 61 40 62 2E 63", "e-mail a@b.c"),
        ("00 02 03 61 2E 62", "URL a.b"),
        ("00 05 03 2B 34 39", "telephone +49"),
        ("80 01 83 61 40 62", "e-mail a@b"),  # more follows, which the highest bits say
        ("00 0F 01 61", "a"),
        ("00 01 7F 61", "e-mail a"),  # cut off
        ("00 01 02 0A E4", "e-mail \\x0a\\xe4"),
        ("00 01", ""),
        ("", ""),
    ],
)
def test_an_internet_address_is_kind_and_text(octets: str, text: str) -> None:
    assert internet(bytes.fromhex(octets)) == text


def test_what_was_said_once_stays_when_it_is_not_said_again() -> None:
    record = heard(f"FF 03 20 {HYLAFAX.hex(' ')}", "FF 03 40 39 34 2B" + " 20" * 17, "FF 13 80 00 2E 70")
    again = Frame.parse(bytes.fromhex("FF 13 80 00 2E F0 04"))
    assert again
    take_note(record, Message((again,)))
    assert (record.remote_id, maker(record.evidence.nonstandard)) == ("+49", "HylaFAX")
    assert record.evidence.capabilities == bytes.fromhex("00 2E F0 04")


V29 = Modulation.V29_9600
DTC = (Fcf.DTC, bytes.fromhex("00 2E 70"))
DCS = (Fcf.DCS, bytes.fromhex("00 06 70"))


def answered(station: Station) -> Dialogue:
    """Return a call to this station, which has said what it can do."""
    call = Dialogue(answering(station), x=True)
    call.gives(Ringing("", ""), 0)
    call.connects()
    call.says(Fcf.DIS)
    return call


def hears_partly(call: Dialogue, damaged: Fcf, final: tuple[Fcf, bytes]) -> None:
    """Have the far machine send two frames, of which the first cannot be read."""
    assert isinstance(call.action, ListenFrame)
    call.gives(FrameReceived(Frame.of(damaged, encoded("12"), x=True, final=False).octets, good=False))
    call.gives(FrameReceived(Frame.of(*final, x=True).octets, good=True))


@pytest.mark.parametrize("lost", [Fcf.PWD, Fcf.SEP])
def test_who_asks_for_a_document_is_not_judged_by_what_is_left_of_a_damaged_signal(lost: Fcf) -> None:
    call = answered(Station(receives=False, offer=Offer(selective=True, password=True)))
    hears_partly(call, lost, DTC)
    call.says(Fcf.DIS)
    call.hears((Fcf.PWD, encoded("99")), (Fcf.SEP, encoded("12")), DTC)
    assert call.action == AdmitPoller("", "12", "99")


def test_a_fax_whose_subaddress_may_have_been_lost_is_not_taken_before_the_sender_has_said_it_again() -> None:
    call = answered(Station(takes_subaddress=True))
    hears_partly(call, Fcf.SUB, DCS)
    call.hears_data(V29, Content.TCF, bytes(1800))
    call.hears((Fcf.SUB, encoded("12")), DCS)
    call.hears_data(V29, Content.TCF, bytes(1800))
    call.says(Fcf.CFR)


def test_training_that_failed_is_refused_also_where_the_subaddress_may_have_been_lost() -> None:
    call = answered(Station(takes_subaddress=True))
    hears_partly(call, Fcf.SUB, DCS)
    call.hears_data(V29, Content.TCF, b"\x55" * 1800)
    call.says(Fcf.FTT)


@pytest.mark.parametrize("station", [Station(), Station(takes_subaddress=True)])
def test_a_damaged_frame_beside_all_that_is_needed_costs_no_time(station: Station) -> None:
    call = answered(station)
    assert isinstance(call.action, ListenFrame)
    if station.takes_subaddress:
        call.gives(FrameReceived(Frame.of(Fcf.SUB, encoded("12"), x=True, final=False).octets, good=True))
    hears_partly(call, Fcf.TSI, DCS)
    call.hears_data(V29, Content.TCF, bytes(1800))
    call.says(Fcf.CFR)
