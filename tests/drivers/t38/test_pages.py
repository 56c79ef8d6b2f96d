"""Pages without error correction that go without fill or as MMR: what is on the network, and what arrives."""

import asyncio
import threading
from collections.abc import Generator, Iterable
from dataclasses import replace

import pytest

from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Form, Indicator, IndicatorPacket, decode
from drivers.t38.media import Agreed
from drivers.t38.pages import AT_ONCE, Pages
from drivers.t38.reception import Reception
from drivers.t38.udptl import Protection
from drivers.t38.udptl import decode as datagram
from drivers.witness import Seen
from simulators.clock import run
from simulators.machine import Habit
from simulators.network import Weather
from t30.capabilities import Dcs, Dis, ScanTime, Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import Action, Event, SendData, SendFrames
from t30.pages import Coding
from t30.rates import Modulation
from t30.t4 import Decoder, encode
from t30.t4.transcode import SPOILT_ROWS, FromMmr, without_fill
from tests.drivers.t38.calls import Call, call
from tests.simulators.calls import sheet

SHEETS = [sheet(1), sheet(2)]
PAGES = [each.bitmap for each in SHEETS]
PLAIN = Agreed(3)
FILL, MMR = replace(PLAIN, fill_bit_removal=True), replace(PLAIN, transcoding_mmr=True)
CODINGS = (Coding.MH, Coding.MR)
SLOW = ScanTime(40, 40)


class TakesItsTime(Habit):
    """A machine that needs 40 ms for every scan line, so that short ones are filled up."""

    def do(self, action: Action) -> Generator[Action, Event, Event]:
        if isinstance(action, SendFrames):
            action = replace(action, frames=tuple(map(self._slowed, action.frames)))
        return (yield action)

    def _slowed(self, octets: bytes) -> bytes:
        frame = Frame.parse(octets)
        if frame is None or frame.fcf is not Fcf.DIS:
            return octets
        return replace(frame, fif=Dis(frame.fif).but(scan_time=SLOW).octets).octets


def plain(coding: Coding) -> Station:
    return Station("+49 30 1234567", ecm=False, codings=frozenset({Coding.MH, coding}))


def pages_seen(seen: Iterable[Seen]) -> list[bytes]:
    """Return the octets of each page that was sent, training checks left out."""
    pages: list[bytearray] = []
    last = -1
    for each in seen:
        number, primary, *_ = datagram(each.octets)
        if not each.sent or number == last:
            continue
        last, packet = number, decode(primary, Form.OF_2002)
        if isinstance(packet, IndicatorPacket):
            pages += [bytearray()] if packet.indicator is Indicator.V17_14400_SHORT else []
        elif packet.type is DataType.V17_14400 and pages:
            pages[-1] += b"".join(octets for kind, octets in packet.fields if kind is FieldType.T4_NON_ECM_DATA)
    return list(map(bytes, pages))


def sent_by_engine(done: Call) -> list[SendData]:
    steps = (step.action for step in done.sender.transcript)
    return [each for each in steps if isinstance(each, SendData)][1:]


@pytest.mark.parametrize("coding", CODINGS)
def test_fill_is_left_out_and_the_pages_arrive(coding: Coding) -> None:
    done = call(SHEETS, sender=plain(coding), agreed=FILL, habit=TakesItsTime())
    whole = call(SHEETS, sender=plain(coding), agreed=PLAIN, habit=TakesItsTime())
    assert done.sent.verdict == "delivered" and done.arrived() == PAGES, done.told()
    for action, seen, filled in zip(sent_by_engine(done), pages_seen(done.seen), pages_seen(whole.seen), strict=True):
        assert filled == action.octets
        assert seen == b"".join(without_fill(action.octets, 54)) and len(seen) < len(filled)
    # In the same time: the modem at the far end is neither flooded nor starved.
    assert done.sent.seconds == pytest.approx(whole.sent.seconds, abs=0.001)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("habit", [Habit, TakesItsTime])
def test_a_page_goes_as_mmr_and_arrives_as_it_was_agreed_on(coding: Coding, habit: type[Habit]) -> None:
    done = call(SHEETS, sender=plain(coding), agreed=MMR, habit=habit())
    whole = call(SHEETS, sender=plain(coding), agreed=PLAIN, habit=habit())
    assert done.sent.verdict == "delivered" and done.arrived() == PAGES, done.told()
    assert pages_seen(done.seen) == [encode(page, Coding.MMR) for page in PAGES]
    assert [page.format.coding for page in done.tray.received.values()] == [coding, coding]
    least = 14400 * 40 // 1000 if habit is TakesItsTime else 0
    for page in done.tray.received.values():
        assert page.ended and 8 * len(page.octets) >= least * 60
    assert done.sent.seconds == pytest.approx(whole.sent.seconds, abs=0.001)


def test_both_together_are_mmr() -> None:
    done = call(SHEETS, sender=plain(Coding.MR), agreed=replace(MMR, fill_bit_removal=True), habit=TakesItsTime())
    assert done.arrived() == PAGES
    assert pages_seen(done.seen) == [encode(page, Coding.MMR) for page in PAGES]


@pytest.mark.parametrize("agreed", [FILL, MMR], ids=["fill", "mmr"])
def test_pages_with_error_correction_stay_as_they_are(agreed: Agreed) -> None:
    done = call(SHEETS, agreed=agreed)
    plain = call(SHEETS, agreed=PLAIN)
    assert done.arrived() == PAGES
    assert [each.octets for each in done.seen] == [each.octets for each in plain.seen]


def test_a_peer_that_sends_as_on_the_line_though_mmr_was_agreed_on_is_understood() -> None:
    done = call(SHEETS, sender=plain(Coding.MR), agreed=(PLAIN, MMR))
    assert done.sent.verdict == "delivered" and done.arrived() == PAGES, done.told()


@pytest.mark.parametrize("agreed", [FILL, MMR], ids=["fill", "mmr"])
def test_the_networks_faults_cost_nothing_with_redundancy(agreed: Agreed) -> None:
    weather = Weather(loss=0.05, jitter=0.2, doubled=0.1)
    done = call(SHEETS, sender=plain(Coding.MR), agreed=agreed, there=weather, habit=TakesItsTime())
    assert done.sent.verdict == "delivered" and done.arrived() == PAGES, done.told()


def test_a_page_of_mmr_of_which_something_is_missing_is_asked_for_again() -> None:
    lossy = replace(MMR, protection=Protection(0))
    done = call([sheet(1, rows=400)], sender=plain(Coding.MH), agreed=lossy, there=Weather(loss=0.02, seed=3))
    steps = done.sender.transcript
    assert any("RTN" in str(step) for step in steps), done.told()
    assert done.sent.verdict != "delivered" or done.arrived() == [sheet(1, rows=400).bitmap], done.told()


def test_a_gap_in_mmr_spoils_the_page_though_what_follows_can_be_read() -> None:
    reception = Reception()
    reception.take(IndicatorPacket(Indicator.V17_14400_SHORT), 0.0)
    white = DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_DATA, b"\xff" * 10),))
    reception.take(white, 0.1)
    reception.missed()
    reception.take(white, 0.2)
    signal = reception.signals[0]
    signal.page = FromMmr(Coding.MH, 1728, k=1, min_row_bits=0)
    while signal.turn(3):
        pass
    decoder = Decoder(Coding.MH, 1728)
    decoder.feed(signal.chunk())
    page = decoder.finish()
    assert (page.rows, page.longest_bad_run) == (80 + SPOILT_ROWS, SPOILT_ROWS)


def test_large_pages_are_turned_round_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def turned() -> tuple[list[bytes], list[bytes]]:
        pages = Pages(MMR)
        pages.learn(Frame.of(Fcf.DCS, Dcs().but(receiver=True, modulation=Modulation.V17_14400).octets).octets)
        octets = encode(sheet(1, rows=2000).bitmap, Coding.MH)
        assert len(octets) > AT_ONCE
        turn, threads = pages._turned, []

        def watched(octets: bytes, step: int) -> list[bytes]:
            threads.append(threading.current_thread())
            return turn(octets, step)

        monkeypatch.setattr(pages, "_turned", watched)
        beside = await pages.outgoing(octets, 54)
        assert threads and threading.main_thread() not in threads
        return beside, turn(octets, 54)

    beside, at_once = asyncio.run(turned())
    assert beside == at_once
    assert b"".join(beside) == encode(sheet(1, rows=2000).bitmap, Coding.MMR)


def test_a_line_that_heard_no_dcs_changes_nothing() -> None:
    async def turned() -> list[bytes]:
        pages = Pages(MMR)
        assert pages.incoming(Modulation.V17_14400) is None
        return await pages.outgoing(b"abcdef", 4)

    assert run(turned()) == [b"abcd", b"ef"]
