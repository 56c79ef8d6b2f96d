"""The modem as a DTE and a telephone line see it, in virtual time."""

import asyncio
from itertools import pairwise

import pytest

from simulators.circuit import TRAINING, CarrierOff, CarrierOn, End, Frame, ToneHeard
from simulators.clock import run
from simulators.faults import Faults
from simulators.modem import CARRIER_TAIL, Firmware, Modem
from simulators.modem.framing import fcs
from t30.line import Cause, Tone
from t30.rates import Modulation
from tests.simulators.desk import DIS, END, Desk, desk_test, send_frames, send_octets

CSI = bytes.fromhex("FF 03 40") + b"0010 555 1+"
DCS = bytes.fromhex("FF 13 83 00 02 00")


# --------------------------------------------------------------------------------------------------- command state


def test_the_echo_ends_with_e0_and_is_back_after_atz() -> None:
    async def play(desk: Desk) -> None:
        assert await desk.at("ATE0") == b"ATE0\r\r\nOK\r\n"
        assert await desk.at("AT") == b"\r\nOK\r\n"
        assert await desk.at("ATZ") == b"\r\nOK\r\n"
        assert await desk.at("AT") == b"AT\r\r\nOK\r\n"

    desk_test(play)


def test_efax_and_hylafax_set_the_modem_up() -> None:
    async def play(desk: Desk) -> None:
        await desk.at("ATZ")
        for command in ("ATS0=0", "ATE0", "ATV1", "ATQ0", "ATS8=2", "ATS7=60", "AT+FCLASS=1", "ATM0", "ATQ0V1"):
            assert (await desk.at(command)).endswith(b"\r\nOK\r\n"), command
        assert await desk.at("AT+FCLASS=?") == b"\r\n0,1,1.0\r\n\r\nOK\r\n"
        rates = b"\r\n24,48,72,73,74,96,97,98,121,122,145,146\r\n\r\nOK\r\n"
        assert await desk.at("AT+FTM=?") == rates
        assert await desk.at("AT+FRM=?") == rates
        assert await desk.at("AT+FTH=?") == b"\r\n3\r\n\r\nOK\r\n"
        assert await desk.at("AT+FTS=?") == b"\r\n0-255\r\n\r\nOK\r\n"
        assert await desk.at("ATI3") == b"\r\nfaxgw simulated modem\r\n\r\nOK\r\n"
        assert await desk.at("AT+FMI?;+FMM?;+FMR?") == b"\r\nfaxgw\r\n\r\nsimulated modem\r\n\r\n1.0\r\n\r\nOK\r\n"

    desk_test(play)


def test_results_come_as_numbers_after_v0_and_not_at_all_after_q1() -> None:
    async def play(desk: Desk) -> None:
        await desk.at("ATE0")
        desk.cable.write(b"ATV0\r")
        assert await desk.said(b"0\r") == b"0\r"
        desk.cable.write(b"AT+FTM=146\r")
        assert await desk.said(b"4\r") == b"4\r"
        desk.cable.write(b"ATQ1\r")
        assert await desk.silent(5)

    desk_test(play)


def test_registers_keep_what_was_set() -> None:
    async def play(desk: Desk) -> None:
        await desk.at("ATE0")
        assert await desk.at("ATS0=2S7=45S0?") == b"\r\n002\r\n\r\nOK\r\n"
        assert await desk.at("ATS7?") == b"\r\n045\r\n\r\nOK\r\n"
        assert await desk.at("ATS7=256") == b"\r\nERROR\r\n"
        assert await desk.at("AT&FS7?") == b"\r\n060\r\n\r\nOK\r\n"

    desk_test(play)


@pytest.mark.parametrize(
    "command",
    ["AT+FTM=146", "AT+FRH=3", "AT+FTS=1", "AT+FCLASS=8", "AT+FNOSUCH", "AT+FMI=1", "ATI9", "ATE2", "AT+FTM", "ATJ"],
)
def test_what_cannot_be_done_on_hook_is_an_error(command: str) -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        assert await desk.at(command) == b"\r\nERROR\r\n"

    desk_test(play)


@pytest.mark.parametrize("command", ["AT+FTM=999", "AT+FTM=3", "AT+FTH=24", "AT+FRM=", "AT+FTS=256", "AT+FTM=14x"])
def test_a_value_that_is_not_listed_is_an_error_in_a_call(command: str) -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.calls()
        assert await desk.at(command) == b"\r\nERROR\r\n"

    desk_test(play)


# --------------------------------------------------------------------------------------------------- the telephone


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        (Cause.BUSY, b"BUSY"),
        (Cause.NO_ANSWER, b"NO ANSWER"),
        (Cause.NO_DIALTONE, b"NO DIALTONE"),
        (Cause.REJECTED, b"NO CARRIER"),
    ],
)
def test_a_call_that_fails_says_why(cause: Cause, result: bytes) -> None:
    async def play(desk: Desk) -> None:
        desk.switch.fail("300", cause)
        await desk.prepare()
        assert await desk.at("ATDT3,0-0", within=120) == b"\r\n" + result + b"\r\n"
        assert not desk.modem.port.in_use

    desk_test(play)


@pytest.mark.parametrize(
    ("level", "busy", "no_tone"), [(1, b"NO CARRIER", b"NO CARRIER"), (4, b"BUSY", b"NO DIALTONE")]
)
def test_atx_says_how_much_is_told_about_a_call_that_fails(level: int, busy: bytes, no_tone: bytes) -> None:
    async def play(desk: Desk) -> None:
        desk.switch.fail("300", Cause.BUSY)
        desk.switch.fail("400", Cause.NO_DIALTONE)
        await desk.prepare()
        assert await desk.at(f"ATX{level}D300") == b"\r\n" + busy + b"\r\n"
        assert await desk.at("ATD400") == b"\r\n" + no_tone + b"\r\n"

    desk_test(play)


def test_whatever_is_dialled_on_a_line_that_leads_to_one_subscriber_reaches_it() -> None:
    async def play(desk: Desk) -> None:
        modem = Modem(desk.switch.attach("300"), leads_to="200")
        working = asyncio.create_task(modem.run())
        modem.receive(b"AT+FCLASS=1;DT9,555 1234\r")
        assert (await desk.far.ringing()).caller == "300"
        working.cancel()

    desk_test(play)


@pytest.mark.parametrize("command", ["ATD200", "ATA"])
def test_a_data_call_finds_no_carrier_and_hangs_up(command: str) -> None:
    async def play(desk: Desk) -> None:
        await desk.at("ATE0S7=10")
        calling = asyncio.create_task(desk.far.dial("100") if command == "ATA" else desk.far.ringing())
        desk.cable.write(command.encode() + b"\r")
        await calling
        desk.far.answer()
        await desk.said(b"NO CARRIER\r\n")
        assert not desk.modem.port.in_use

    desk_test(play)


def test_back_in_class_0_there_are_no_fax_commands() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.calls()
        assert (await desk.at("AT&F")).endswith(b"OK\r\n")
        assert (await desk.at("AT+FTH=3")).endswith(b"\r\nERROR\r\n")

    desk_test(play)


def test_the_caller_sends_cng_until_flags_come_and_gives_up_after_s7() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        desk.cable.write(b"ATS7=10DT200\r")
        await desk.far.ringing()
        end = desk.far.answer()
        assert end
        answered = desk.now()
        await desk.listen(end)
        assert [round(at - answered, 1) for at, _ in desk.heard] == [0.0, 3.5, 7.0]
        assert desk.things() == [ToneHeard(Tone.CNG)] * 3
        assert await desk.said(b"NO CARRIER\r\n")
        assert desk.now() - answered == pytest.approx(10.0, abs=0.1)

    desk_test(play)


def test_a_character_while_dialling_hangs_up() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        desk.cable.write(b"ATD200\r\n")
        await desk.far.ringing()
        desk.cable.write(b"\r")
        assert await desk.said(b"\r\n", b"R\r\n") + await desk.said(b"\r\n") == b"\r\nNO CARRIER\r\n"
        assert desk.far.ring is None
        assert await desk.at("AT") == b"\r\nOK\r\n"

    desk_test(play)


def test_it_rings_every_six_seconds_with_the_callers_number_once() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.at("AT#CID=10")
        caller = asyncio.create_task(desk.far.dial("100"))
        assert await desk.said(b"NDID = 100\r\n") == b"\r\nRING\r\n\r\nNMBR = 200\r\n\r\nNDID = 100\r\n"
        first = desk.now()
        assert await desk.said(b"RING\r\n") == b"\r\nRING\r\n"
        assert desk.now() - first == pytest.approx(6.0)
        caller.cancel()
        assert await desk.silent(20)

    desk_test(play)


def test_ata_sends_ced_and_then_the_dtes_frames() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        caller = asyncio.create_task(desk.far.dial("100"))
        await desk.said(b"RING\r\n")
        desk.cable.write(b"ATA\r")
        end = await caller
        assert isinstance(end, End)
        answered = desk.now()
        listening = asyncio.create_task(desk.listen(end))
        assert await desk.said(b"CONNECT\r\n") == b"\r\nCONNECT\r\n"
        assert 2.6 + 0.2 < desk.now() - answered < 4.0 + 0.2
        desk.cable.write(CSI + END)
        assert await desk.said(b"\r\n") + await desk.said(b"\r\n") == b"\r\nCONNECT\r\n"
        desk.cable.write(DIS + END)
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        listening.cancel()
        assert desk.things() == [
            ToneHeard(Tone.CED),
            CarrierOn(Modulation.V21),
            Frame(CSI),
            Frame(DIS),
            CarrierOff(),
        ]

    desk_test(play)


def test_s0_answers_by_itself() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.at("ATS0=2")
        caller = asyncio.create_task(desk.far.dial("100"))
        answer = await desk.said(b"CONNECT\r\n")
        assert answer == b"\r\nRING\r\n" * 2 + b"\r\nCONNECT\r\n"
        assert isinstance(await caller, End)

    desk_test(play)


def test_ata_before_the_bell_takes_the_call_that_comes_and_none_is_no_carrier() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        desk.cable.write(b"ATA\r")
        await asyncio.sleep(2)
        caller = asyncio.create_task(desk.far.dial("100"))
        assert (await desk.said(b"CONNECT\r\n")).endswith(b"\r\nCONNECT\r\n")
        await desk.cable.drop_dtr()
        end = await caller
        assert isinstance(end, End)
        await asyncio.sleep(0.1)
        assert end.gone
        await desk.at("ATS7=5")
        assert await desk.at("ATA") == b"\r\nNO CARRIER\r\n"

    desk_test(play)


@pytest.mark.parametrize("way", ["ATH", "ATZ", "AT+FCLASS=0", "DTR", "+++"])
def test_every_way_to_hang_up_ends_the_call(way: str) -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        if way == "DTR":
            await desk.cable.drop_dtr()
        elif way == "+++":
            await desk.at("AT+FTH=3")
            await asyncio.sleep(1.1)
            desk.cable.write(b"+++")
            assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
            await desk.at("ATH")
        else:
            assert await desk.at(way) == b"\r\nOK\r\n"
        await asyncio.sleep(0.1)
        assert end.gone
        assert not desk.modem.port.in_use

    desk_test(play)


# ------------------------------------------------------------------------------------------------------- V.21 frames


def test_after_atd_the_answers_frames_come_one_a_command_with_their_fcs() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        desk.cable.write(b"ATDT200\r")
        await desk.far.ringing()
        end = desk.far.answer()
        assert end
        sending = asyncio.create_task(send_frames(end, CSI, DIS))
        assert await desk.said(b"OK\r\n") == b"\r\nCONNECT\r\n" + CSI + fcs(CSI) + END + b"\r\nOK\r\n"
        assert await desk.at("AT+FRH=3") == b"\r\nCONNECT\r\n"
        assert await desk.said(b"OK\r\n") == DIS + fcs(DIS) + END + b"\r\nOK\r\n"
        await sending

    desk_test(play)


def test_frames_that_came_while_the_dte_was_slow_are_kept() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        sending = asyncio.create_task(send_frames(end, CSI, DCS))
        await desk.at("AT+FRH=3")
        await desk.said(b"OK\r\n")
        await sending
        await asyncio.sleep(2)
        assert await desk.at("AT+FRH=3") == b"\r\nCONNECT\r\n"
        assert await desk.said(b"OK\r\n") == DCS + fcs(DCS) + END + b"\r\nOK\r\n"
        assert await desk.silent(5)

    desk_test(play)


def test_a_bad_fcs_is_an_error_and_the_frame_is_given_all_the_same() -> None:
    async def whole() -> None:
        desk = Desk(faults=Faults(corrupt=frozenset({1})))
        await desk.prepare()
        end = await desk.calls()
        sending = asyncio.create_task(send_frames(end, DCS))
        assert await desk.at("AT+FRH=3") == b"\r\nCONNECT\r\n"
        given = await desk.said(b"ERROR\r\n")
        frame, sequence = given[: len(DCS)], given[len(DCS) : len(DCS) + 2]
        assert sequence != fcs(frame)
        assert given == frame + sequence + END + b"\r\nERROR\r\n"
        await sending

    run(whole())


def test_a_signal_that_ends_before_its_last_frame_is_no_carrier_to_the_command_after() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        sending = asyncio.create_task(send_frames(end, CSI))
        await desk.at("AT+FRH=3")
        await desk.said(b"OK\r\n")
        await sending
        assert await desk.at("AT+FRH=3") == b"\r\nNO CARRIER\r\n"

    desk_test(play)


def test_flags_without_a_frame_end_in_no_carrier() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        sending = asyncio.create_task(send_frames(end))
        assert await desk.at("AT+FRH=3") == b"\r\nCONNECT\r\n"
        assert await desk.said(b"CARRIER\r\n") == END + b"\r\nNO CARRIER\r\n"
        await sending

    desk_test(play)


def test_a_dle_is_doubled_both_ways() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        await desk.at("AT+FTH=3")
        desk.cable.write(b"\xff\x13\x10\x10\x10\x03\x10\x1a\x10\x42\x99" + END)
        await desk.said(b"\r\nERROR\r\n", b"\r\nOK\r\n", b"\r\nCONNECT\r\n")
        listening.cancel()
        assert Frame(b"\xff\x13\x10") in desk.things()

    desk_test(play)


def test_a_dte_that_sends_nothing_for_five_seconds_gets_an_error_and_the_carrier_drops() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        await desk.at("AT+FTH=3")
        began = desk.now()
        assert await desk.said(b"\r\n") + await desk.said(b"\r\n") == b"\r\nERROR\r\n"
        assert desk.now() - began == pytest.approx(5.0, abs=0.01)
        assert end.present is None

    desk_test(play)


@pytest.mark.parametrize("character", [b"\x18", b"AT\r"])
@pytest.mark.parametrize("command", ["AT+FRH=3", "AT+FRM=146", "AT+FRS=100"])
def test_a_character_stops_a_reception_with_one_ok_and_is_no_command(command: str, character: bytes) -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.calls()
        desk.cable.write(command.encode() + b"\r\n")
        assert await desk.silent(0.5)
        desk.cable.write(character)
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        assert await desk.silent(5)
        assert await desk.at("AT") == b"\r\nOK\r\n"

    desk_test(play)


def test_a_character_stops_a_reception_that_has_begun() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        sending = asyncio.create_task(send_octets(end, Modulation.V29_9600, b"\x55" * 3000))
        assert await desk.at("AT+FRM=96") == b"\r\nCONNECT\r\n"
        await asyncio.sleep(0.5)
        desk.cable.write(b"\x18")
        assert (await desk.said(b"OK\r\n")).endswith(b"\x55" + END + b"\r\nOK\r\n")
        await sending

    desk_test(play)


# ------------------------------------------------------------------------------------------------------- fast carriers


def test_ftm_sends_what_is_written_at_the_rate_of_the_line() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        began = desk.now()
        assert await desk.at("AT+FTS=7;+FTM=145") == b"\r\nCONNECT\r\n"
        assert desk.now() - began == pytest.approx(0.07 + TRAINING[Modulation.V17_14400], abs=0.01)
        page = bytes(range(256)) * 100
        began = desk.now()
        desk.cable.write(page.replace(b"\x10", b"\x10\x10") + END)
        assert await desk.said(b"OK\r\n", within=100) == b"\r\nOK\r\n"
        assert desk.now() - began == pytest.approx(8 * len(page) / 14400, abs=0.2)
        listening.cancel()
        assert desk.things()[0] == CarrierOn(Modulation.V17_14400)
        assert desk.things()[-1] == CarrierOff()
        assert desk.octets() == page

    desk_test(play)


def test_ftm_fed_octet_by_octet_sends_the_same() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        await desk.at("AT+FTM=24")
        for octet in b"\x10\x10\x10\x1aabc" * 100 + END:
            desk.cable.write(bytes([octet]))
            await asyncio.sleep(0.002)
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        listening.cancel()
        assert desk.octets() == b"\x10\x10\x10abc" * 100

    desk_test(play)


def test_ones_go_out_until_the_dte_writes() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        await desk.at("AT+FTM=96")
        await asyncio.sleep(1.0)
        desk.cable.write(b"\x00page" + END)
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        listening.cancel()
        marks, page = desk.octets().split(b"\x00")
        assert page == b"page"
        assert set(marks) == {0xFF}
        assert len(marks) == pytest.approx(1200, abs=130)

    desk_test(play)


def test_an_empty_buffer_drops_the_carrier() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        await desk.at("AT+FTM=96")
        desk.cable.write(b"half a page")
        began = desk.now()
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        assert desk.now() - began < 0.5
        listening.cancel()
        assert desk.octets() == b"half a page"
        assert desk.things()[-1] == CarrierOff()

    desk_test(play)


def test_after_a_nul_an_empty_buffer_is_filled_with_nuls_for_five_seconds() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        await desk.at("AT+FTM=96")
        desk.cable.write(b"x\x00")
        await asyncio.sleep(2)
        desk.cable.write(b"y\x00")
        assert await desk.said(b"ERROR\r\n") == b"\r\nERROR\r\n"
        listening.cancel()
        assert desk.octets().strip(b"\x00").replace(b"\x00", b"") == b"xy"
        assert len(desk.octets()) == pytest.approx(7 * 1200, abs=200)

    desk_test(play)


def test_frm_gives_the_octets_stuffed_and_no_carrier_at_their_end() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        desk.cable.write(b"AT+FRM=146\r")
        await asyncio.sleep(0.5)
        began = desk.now()
        page = bytes(range(256)) * 20
        sending = asyncio.create_task(send_octets(end, Modulation.V17_14400_SHORT, page))
        assert await desk.said(b"CONNECT\r\n") == b"\r\nCONNECT\r\n"
        assert desk.now() - began == pytest.approx(TRAINING[Modulation.V17_14400_SHORT], abs=0.001)
        answer = await desk.said(b"NO CARRIER\r\n")
        assert answer == page.replace(b"\x10", b"\x10\x10") + END + b"\r\nNO CARRIER\r\n"
        await sending

    desk_test(play)


@pytest.mark.parametrize("late", [0.3, 2.0])
def test_a_carrier_that_was_missed_is_not_received(late: float) -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        sending = asyncio.create_task(send_octets(end, Modulation.V29_9600, bytes(3000)))
        await asyncio.sleep(late)
        desk.cable.write(b"AT+FRM=96\r")
        assert await desk.silent(10)
        await sending

    desk_test(play)


def test_another_modulation_does_not_train() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        desk.cable.write(b"AT+FRM=145\r")
        await asyncio.sleep(0.1)
        await send_octets(end, Modulation.V29_9600, bytes(3000))
        await send_octets(end, Modulation.V17_14400_SHORT, bytes(3000))
        assert await desk.silent(1)
        sending = asyncio.create_task(send_octets(end, Modulation.V17_14400, bytes(3000)))
        assert await desk.said(b"CONNECT\r\n")
        await sending

    desk_test(play)


def test_v21_instead_of_the_page_is_fcerror_and_the_frame_is_still_to_be_had() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        desk.cable.write(b"AT+FRM=146\r")
        await asyncio.sleep(0.1)
        sending = asyncio.create_task(send_frames(end, DCS))
        assert await desk.said(b"+FCERROR\r\n") == b"\r\n+FCERROR\r\n"
        assert await desk.at("AT+FRH=3") == b"\r\nCONNECT\r\n"
        assert await desk.said(b"OK\r\n") == DCS + fcs(DCS) + END + b"\r\nOK\r\n"
        await sending

    desk_test(play)


def test_adaptive_reception_goes_over_to_v21_by_itself() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        assert await desk.at("AT+FAR=1") == b"\r\nOK\r\n"
        end = await desk.calls()
        desk.cable.write(b"AT+FRM=146\r")
        await asyncio.sleep(0.1)
        await send_frames(end, DCS)
        answer = await desk.said(b"OK\r\n")
        assert answer == b"\r\n+FRH:3\r\n\r\nCONNECT\r\n" + DCS + fcs(DCS) + END + b"\r\nOK\r\n"

    desk_test(play)


def test_the_tail_of_the_command_is_not_taken_for_v21_instead_of_the_page() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        desk.cable.write(b"AT+FRH=3\r")
        end.carrier_on(Modulation.V21)
        await asyncio.sleep(1.5)
        end.frame(DCS)
        await desk.said(b"OK\r\n")
        desk.cable.write(b"AT+FRM=96\r")
        await asyncio.sleep(0.05)
        end.carrier_off()
        await asyncio.sleep(0.075)
        sending = asyncio.create_task(send_octets(end, Modulation.V29_9600, bytes(1800)))
        assert await desk.said(b"CONNECT\r\n") == b"\r\nCONNECT\r\n"
        await sending

    desk_test(play)


def test_frs_waits_until_the_other_side_is_silent() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        end.carrier_on(Modulation.V29_9600)
        desk.cable.write(b"AT+FRS=7\r")
        await asyncio.sleep(3)
        end.carrier_off()
        off = desk.now()
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        assert desk.now() - off == pytest.approx(0.07, abs=0.001)

    desk_test(play)


def test_frs_takes_its_time_on_a_dead_line_too() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        (await desk.calls()).hang_up()
        for _ in range(2):
            began = desk.now()
            assert await desk.at("AT+FRS=20") == b"\r\nOK\r\n"
            assert desk.now() - began == pytest.approx(0.2, abs=0.01)

    desk_test(play)


@pytest.mark.parametrize("command", ["AT+FRH=3", "AT+FRM=96"])
def test_a_line_whose_other_side_is_gone_has_no_carrier(command: str) -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        end.hang_up()
        assert await desk.at(command) == b"\r\nNO CARRIER\r\n"
        assert await desk.at(command) == b"\r\nNO CARRIER\r\n"
        assert await desk.at("ATH") == b"\r\nOK\r\n"

    desk_test(play)


# ------------------------------------------------------------------------------------------------------- flow control


def test_a_full_buffer_holds_the_dte_back() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.calls()
        await desk.at("AT+FTM=96")
        desk.cable.write(b"\x55" * 20_000 + END)
        await asyncio.sleep(2)
        assert desk.modem.room == 0
        assert desk.cable.pending == pytest.approx(20_002 - 4096 - 2 * 1200, abs=150)
        await desk.cable.drain(100)
        assert await desk.said(b"OK\r\n") == b"\r\nOK\r\n"
        assert desk.modem.dte.overrun == 0

    desk_test(play)


def test_xoff_comes_before_the_buffer_is_full_and_xon_when_half_is_free() -> None:
    async def whole() -> None:
        desk = Desk(hardware_flow=False)
        await desk.prepare()
        listening = asyncio.create_task(desk.listen(await desk.calls()))
        await desk.at("AT+IFC=1,1")
        await desk.at("AT+FTM=96")
        page = bytes(range(32, 132)) * 110
        for start, end in pairwise((0, *range(3500, len(page), 1500), len(page))):
            desk.cable.write(page[start:end])
            assert await desk.said(b"\x13") == b"\x13"
            assert await desk.said(b"\x11") == b"\x11"
        desk.cable.write(END)
        await desk.said(b"OK\r\n")
        listening.cancel()
        assert desk.octets() == page
        assert desk.modem.dte.overrun == 0

    run(whole())


def test_a_dte_that_heeds_no_xoff_loses_octets() -> None:
    async def whole() -> None:
        desk = Desk(hardware_flow=False)
        await desk.prepare()
        await desk.calls()
        await desk.at("AT+IFC=1,1")
        await desk.at("AT+FTM=96")
        desk.cable.write(b"\x55" * 20_000)
        await asyncio.sleep(5)
        assert desk.modem.dte.overrun > 10_000

    run(whole())


# ------------------------------------------------------------------------------------------------ firmware that lies


def test_a_modem_may_abort_without_ok() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        await desk.calls()
        desk.cable.write(b"AT+FRH=3\r")
        await asyncio.sleep(0.5)
        desk.cable.write(b"\x18")
        assert await desk.silent(2)
        assert await desk.at("AT") == b"\r\nOK\r\n"

    desk_test(play, Firmware(abort_answers=False))


def test_a_modem_may_forget_to_double_a_dle() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        desk.cable.write(b"AT+FRM=96\r")
        await asyncio.sleep(0.1)
        await send_octets(end, Modulation.V29_9600, b"a\x10b")
        assert (await desk.said(b"NO CARRIER\r\n")).endswith(b"CONNECT\r\na\x10b" + END + b"\r\nNO CARRIER\r\n")

    desk_test(play, Firmware(doubles_dle=False))


def test_a_carrier_may_have_a_tail_that_was_never_sent() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        desk.cable.write(b"AT+FRM=96\r")
        await asyncio.sleep(0.1)
        await send_octets(end, Modulation.V29_9600, b"page")
        answer = await desk.said(b"NO CARRIER\r\n")
        assert answer.endswith(b"CONNECT\r\npage" + b"\xff" * 20 + CARRIER_TAIL[20:] + END + b"\r\nNO CARRIER\r\n")

    desk_test(play, Firmware(tail=CARRIER_TAIL))


def test_a_modem_may_say_connect_too_early_and_lose_what_is_written_at_once() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        listening = asyncio.create_task(desk.listen(end))
        began = desk.now()
        await desk.at("AT+FTM=145")
        assert desk.now() - began < 0.01
        desk.cable.write(b"lost")
        await asyncio.sleep(0.45)
        desk.cable.write(b"kept" + END)
        await desk.said(b"OK\r\n")
        listening.cancel()
        assert desk.octets() == b"kept"

    desk_test(play, Firmware(deaf_after_connect=0.4))


def test_a_modem_may_say_fcerror_too_early_twice_before_each_carrier() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        end = await desk.calls()
        for _ in range(2):
            for _ in range(2):
                desk.cable.write(b"AT+FRM=96\r")
                assert await desk.said(b"+FCERROR\r\n") == b"\r\n+FCERROR\r\n"
            desk.cable.write(b"AT+FRM=96\r")
            await asyncio.sleep(0.1)
            await send_octets(end, Modulation.V29_9600, b"page")
            await desk.said(b"NO CARRIER\r\n")

    desk_test(play, Firmware(false_fcerrors=2))


def test_a_modem_may_lack_adaptive_reception_and_class_1_0() -> None:
    async def play(desk: Desk) -> None:
        await desk.prepare()
        assert await desk.at("AT+FAR=1") == b"\r\nERROR\r\n"
        assert await desk.at("AT+FCLASS=1.0") == b"\r\nERROR\r\n"
        assert await desk.at("AT+FCLASS=?") == b"\r\n0,1\r\n\r\nOK\r\n"
        assert await desk.at("AT+FMI?") == b"\r\nAcme\r\n\r\nOK\r\n"
        assert await desk.at("AT+IFC=2,2") == b"\r\nERROR\r\n"
        assert await desk.at("AT&K3") == b"\r\nOK\r\n"

    desk_test(play, Firmware(manufacturer="Acme", adaptive=False, classes=("0", "1"), flow_commands=("&K",)))
