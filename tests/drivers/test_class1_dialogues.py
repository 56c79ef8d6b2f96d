"""Whole dialogues, octet by octet: what the driver writes is what is known to work with real modems."""

import asyncio

import pytest

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.clock import run
from t30.hdlc import fcs, stuffed
from t30.line import (
    Answer,
    AwaitCall,
    CarrierLost,
    Cause,
    Connected,
    Content,
    DataReceived,
    Dial,
    FrameReceived,
    HangUp,
    LineError,
    LineEvent,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    Tone,
    WrongCarrier,
)
from t30.rates import Modulation
from tests.drivers.scripted import CONNECT, END, ERROR, NO_CARRIER, OK, PREPARE, SETUP, ScriptedModem, Step, play

V21, V17, SHORT = Modulation.V21, Modulation.V17_14400, Modulation.V17_14400_SHORT
CSI = bytes.fromhex("FF 03 40") + b"0010 555 1+"
DIS = bytes.fromhex("FF 13 80 00 10 F8 80")
DCS = bytes.fromhex("FF 13 83 00 10 20")
CFR, MPS, MCF, DCN = (bytes.fromhex(frame) for frame in ("FF 13 84", "FF 13 4F", "FF 13 8C", "FF 13 FB"))
LISTEN = ListenFrame(V21, 3.0)
STUBBORN: tuple[Step, ...] = ((b"\x18", None), *((b"AT\r", None),) * 3)
"""A modem that does not stop, for the second in which it is asked to."""


def as_given(frame: bytes, result: bytes = OK) -> bytes:
    """Return a frame as a modem gives it: with its FCS, stuffed, ended, with a result code."""
    octets = frame + fcs(frame).to_bytes(2, "little")
    return CONNECT + octets.replace(b"\x10", b"\x10\x10") + END + result


def as_written(frame: bytes, answer: bytes) -> Step:
    return frame.replace(b"\x10", b"\x10\x10") + END, answer


def test_a_fax_is_sent_as_efax_and_hylafax_do() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        assert await line.perform(Dial("+1 555-0100")) == Connected()
        assert await line.perform(SendTone(Tone.CNG)) == Sent()
        assert await line.perform(ListenFrame(V21, 35.0)) == FrameReceived(CSI, True)
        assert await line.perform(LISTEN) == FrameReceived(DIS, True)
        assert await line.perform(SendFrames(V21, (CSI, DCS), 0.075)) == Sent()
        assert await line.perform(SendData(V17, bytes(2700), Content.TCF, 0.075)) == Sent()
        assert await line.perform(LISTEN) == FrameReceived(CFR, True)
        assert await line.perform(SendData(SHORT, b"page\x10\x03", Content.PAGE, 0.075)) == Sent()
        assert await line.perform(SendFrames(V21, (MPS,), 0.075)) == Sent()
        assert await line.perform(LISTEN) == FrameReceived(MCF, True)
        assert await line.perform(SendFrames(V21, (DCN,), 0.075)) == Sent()
        assert await line.perform(HangUp()) == Sent()

    play(
        body,
        (b"ATDT+15550100\r", as_given(CSI)),
        (b"AT+FRH=3\r", as_given(DIS)),
        (b"AT+FRS=6\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(CSI, CONNECT),
        as_written(DCS, OK),
        (b"AT+FTS=6;+FTM=145\r", CONNECT),
        (bytes(2700) + END, OK),
        (b"AT+FRH=3\r", as_given(CFR)),
        (b"AT+FRS=6\r", OK),
        (b"AT+FTM=146\r", CONNECT),
        (b"page\x10\x10\x03" + END, OK),
        (b"AT+FTS=6;+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FRH=3\r", as_given(MCF)),
        (b"AT+FRS=6\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(DCN, OK),
        (b"ATH0\r", OK),
    )


def test_a_fax_is_received_as_efax_and_hylafax_do() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        asyncio.get_running_loop().call_later(1.0, modem.say, b"\r\nRING\r\n")
        assert await line.perform(AwaitCall()) == Ringing("", "")
        assert await line.perform(Answer()) == Connected()
        assert await line.perform(SendTone(Tone.CED)) == Sent()
        assert await line.perform(SendFrames(V21, (CSI, DIS), 0.075)) == Sent()
        assert await line.perform(LISTEN) == FrameReceived(CSI, True)
        assert await line.perform(LISTEN) == FrameReceived(DCS, True)
        tcf = ListenData(V17, Content.TCF, 6.0)
        assert await line.perform(tcf) == DataReceived(bytes(2700))
        assert await line.perform(tcf) == CarrierLost()
        assert await line.perform(SendFrames(V21, (CFR,), 0.075)) == Sent()
        page = ListenData(SHORT, Content.PAGE, 6.0)
        assert await line.perform(page) == DataReceived(b"page\x10")
        assert await line.perform(page) == CarrierLost()
        assert await line.perform(ListenFrame(V21, 6.0)) == FrameReceived(MPS, True)

    play(
        body,
        (b"ATA\r", CONNECT),
        as_written(CSI, CONNECT),
        as_written(DIS, OK),
        (b"AT+FRH=3\r", as_given(CSI)),
        (b"AT+FRH=3\r", as_given(DCS)),
        (b"AT+FRM=145\r", CONNECT + bytes(2700) + END + NO_CARRIER),
        (b"AT+FRS=6\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(CFR, OK),
        (b"AT+FRM=146\r", CONNECT + b"page\x10\x10" + END + NO_CARRIER),
        (b"AT+FRH=3\r", as_given(MPS)),
    )


@pytest.mark.parametrize(
    ("action", "command"),
    [(LISTEN, b"AT+FRH=3\r"), (SendData(V17, b"", Content.TCF, 0.0), b"AT+FTM=145\r")],
    ids=["listening", "data"],
)
def test_the_signal_that_ata_began_is_ended_before_anything_else(
    action: ListenFrame | SendData, command: bytes
) -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        assert await line.perform(Answer()) == Connected()
        assert await line.perform(action) in (FrameReceived(MPS, True), Sent())

    answered: tuple[Step, ...] = (
        ((command, as_given(MPS)),) if command == b"AT+FRH=3\r" else ((command, CONNECT), (END, OK))
    )
    play(body, (b"ATA\r", CONNECT), (END, OK), *answered)


def test_error_correction_is_hdlc_made_in_the_host() -> None:
    frames = tuple(bytes([0xFF, 0x03, 0x06, number]) + bytes([number] * 256) for number in range(3))
    ours = stuffed(frames, flags_first=360)
    theirs = stuffed(frames, flags_first=90)

    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        assert await line.perform(LISTEN) == FrameReceived(DIS, True)
        assert await line.perform(SendFrames(V17, frames, 0.0)) == Sent()
        events: list[LineEvent] = [await line.perform(ListenFrame(V17, 6.0)) for _ in range(4)]
        assert events == [*(FrameReceived(frame, True) for frame in frames), CarrierLost()]

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTM=145\r", CONNECT),
        (ours.replace(b"\x10", b"\x10\x10") + END, OK),
        (b"AT+FRM=145\r", CONNECT + theirs.replace(b"\x10", b"\x10\x10") + END + NO_CARRIER),
    )


def test_adaptive_reception_leaves_the_frame_for_the_next_listening_without_a_command() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        assert await line.perform(ListenData(V17, Content.PAGE, 6.0)) == WrongCarrier(V21)
        assert await line.perform(LISTEN) == FrameReceived(MPS, True)

    play(body, (b"ATDT1\r", as_given(DIS)), (b"AT+FRM=145\r", b"\r\n+FRH:3\r\n" + as_given(MPS)))


def test_what_is_received_beyond_the_page_is_cut_off_before_the_next_frame() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        assert await line.perform(ListenData(V17, Content.PAGE, 6.0)) == DataReceived(b"page")
        assert await line.perform(LISTEN) == FrameReceived(MPS, True)

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FRM=145\r", CONNECT + b"page"),
        (b"\x18", b"\xff\xff" + END + OK),
        (b"AT+FRH=3\r", as_given(MPS)),
    )


def test_silence_is_ended_by_one_character_and_a_missing_ok_is_asked_for() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        assert await line.perform(ListenFrame(V21, 0.1)) == CarrierLost()  # the frame before was the last
        assert await line.perform(LISTEN) == Quiet()
        assert await line.perform(LISTEN) == Quiet()

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FRH=3\r", None),
        (b"\x18", OK),
        (b"AT+FRH=3\r", None),
        (b"\x18", None),
        (b"AT\r", OK),
    )


def test_an_ok_that_comes_late_is_not_taken_for_the_answer_to_the_next_command() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.perform(SendFrames(V21, (MPS,), 0.0))
        asyncio.get_running_loop().call_later(3.43, modem.say, OK)  # AT was asked at 3.40
        asyncio.get_running_loop().call_later(3.8, modem.say, as_given(MCF))
        assert await line.perform(LISTEN) == Quiet()
        assert await line.perform(LISTEN) == FrameReceived(MCF, True)

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FRH=3\r", None),
        (b"\x18", None),
        (b"AT\r", OK),
        (b"AT+FRH=3\r", None),
    )


def test_a_silence_longer_than_a_modem_can_count_is_asked_for_in_parts() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.perform(SendFrames(V21, (MPS,), 6.015))
        await line.perform(SendFrames(V21, (MPS,), 6.015))

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FRS=255\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FTS=255\r", OK),
        (b"AT+FTS=255\r", OK),
        (b"AT+FTS=90;+FTH=3\r", CONNECT),
        as_written(MPS, OK),
    )


def test_after_silence_nobody_has_to_be_silent_once_more() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert await line.perform(LISTEN) == Quiet()
        await line.perform(SendFrames(V21, (MPS,), 0.075))

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FRH=3\r", None),
        (b"\x18", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
    )


def test_a_modem_that_gives_up_waiting_is_told_to_wait_on_until_the_time_is_over() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert await line.perform(LISTEN) == FrameReceived(MCF, True)
        assert await line.perform(ListenData(V17, Content.PAGE, 6.0)) == CarrierLost()

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FRH=3\r", NO_CARRIER),
        (b"AT+FRH=3\r", NO_CARRIER),
        (b"AT+FRH=3\r", as_given(MCF)),
        (b"AT+FRM=145\r", NO_CARRIER),
        (b"AT+FRM=145\r", NO_CARRIER),
        (b"AT+FRM=145\r", NO_CARRIER),
    )


def test_frames_of_a_signal_that_was_left_are_not_found_in_the_next() -> None:
    old, new = (tuple(bytes([0xFF, 0x03, 0x06, number]) for number in some) for some in (range(3), range(9, 10)))
    first, second = (CONNECT + stuffed(frames, flags_first=90) + END + NO_CARRIER for frames in (old, new))

    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        assert await line.perform(ListenFrame(V17, 6.0)) == FrameReceived(old[0], True)
        assert await line.perform(LISTEN) == FrameReceived(MPS, True)
        assert await line.perform(ListenFrame(V17, 6.0)) == FrameReceived(new[0], True)

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FRM=145\r", first),
        (b"AT+FRH=3\r", as_given(MPS)),
        (b"AT+FRM=145\r", second),
    )


def test_a_modem_that_does_not_hang_up_loses_dtr() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        assert await line.perform(HangUp()) == Sent()
        assert modem.drops == 1

    play(body, (b"ATDT1\r", as_given(DIS)), (b"ATH0\r", None), (b"ATH0\r", OK))


def test_a_line_closed_in_mid_call_goes_on_hook_before_it_releases_the_port() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.close()
        assert modem.closed

    play(body, (b"ATDT1\r", as_given(DIS)), (b"ATH0\r", OK))


def test_a_modem_that_cannot_join_commands_gets_them_one_by_one() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        for _ in range(2):
            await line.perform(SendFrames(V21, (MPS,), 0.075))
        await line.perform(SendData(V17, b"\0", Content.TCF, 0.075))

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FRS=6\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FTS=6;+FTH=3\r", ERROR),
        (b"AT+FTS=6\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FTS=6\r", OK),
        (b"AT+FTM=145\r", CONNECT),
        (b"\0" + END, OK),
    )


def test_a_modem_that_answers_ok_to_joined_commands_has_done_only_the_first() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.perform(SendFrames(V21, (MPS,), 0.0))
        await line.perform(SendFrames(V21, (MPS,), 0.075))

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FTS=6;+FTH=3\r", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
    )


def test_a_signal_that_never_ends_is_spoken_over_in_the_end() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        before = line.clock.now()
        await line.perform(SendFrames(V21, (MPS,), 0.075))
        assert line.clock.now() - before < 1.5

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FRS=6\r", None),
        (b"\x18", OK),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
    )


@pytest.mark.parametrize(
    ("given", "event"),
    [
        (as_given(CFR, ERROR), FrameReceived(CFR, False)),
        (CONNECT + CFR + b"\0\0" + END + OK, FrameReceived(CFR, False)),
        (as_given(CFR, NO_CARRIER), FrameReceived(CFR, True)),
        (CONNECT + END + NO_CARRIER, CarrierLost()),
        (CONNECT + b"\xff" + END + OK, FrameReceived(b"", False)),
        (b"\r\n+FCERROR\r\n", WrongCarrier(None)),
        (b"\r\nRING\r\n" + as_given(CFR), FrameReceived(CFR, True)),
    ],
)
def test_a_frame_is_good_only_if_modem_and_fcs_say_so(given: bytes, event: LineEvent) -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert await line.perform(LISTEN) == event

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTH=3\r", CONNECT),
        as_written(MPS, OK),
        (b"AT+FRH=3\r", given),
    )


def test_a_frame_that_never_ends_is_given_up_after_its_own_limit() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        before = line.clock.now()
        event = await line.perform(ListenFrame(V21, 35.0))
        assert event == FrameReceived(b"\xff", False)
        assert line.clock.now() - before == pytest.approx(4.5, abs=0.1)

    play(body, (b"ATDT1\r", CONNECT + b"\xff\x13\x84"), (b"\x18", END + OK))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"\r\nBUSY\r\n", Cause.BUSY),
        (b"\r\nNO ANSWER\r\n", Cause.NO_ANSWER),
        (b"\r\nNO DIAL TONE\r\n", Cause.NO_DIALTONE),
        (NO_CARRIER, Cause.NO_CARRIER),
        (b"\r\nDELAYED\r\n", Cause.REJECTED),
        (ERROR, Cause.REJECTED),
    ],
)
def test_what_the_modem_says_of_a_call_is_told_apart(answer: bytes, cause: Cause) -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        assert await line.perform(Dial("5550101")) == NotConnected(cause)

    play(body, (b"ATDT5550101\r", answer))


@pytest.mark.parametrize(
    ("said", "ringing"),
    [
        ([b"\r\nRING\r\n", b"\r\nNMBR = 5550123\r\n\r\nNAME = A\r\n", b"\r\nRING\r\n"], Ringing("5550123", "")),
        ([b"\r\nRING\r\n", b"\r\nNMBR=1\r\n", None, b"\r\nNDID=2\r\n"], Ringing("1", "2")),
        ([b"\r\nRING\r\n\r\nNMBR=P\r\nNDID=5550199\r\n"], Ringing("", "5550199")),
        ([b"\r\nNMBR: 1\r\n", b"\r\nRING\r\n"], Ringing("1", "")),
        ([b"\r\nRING\r\n"], Ringing("", "")),
    ],
)
def test_the_callers_number_is_told_wherever_it_comes(said: list[bytes | None], ringing: Ringing) -> None:
    async def test() -> None:
        tells: tuple[Step, ...] = (*PREPARE[:-2], (b"AT+VCID=1\r", OK))
        modem = ScriptedModem(*SETUP, *tells)
        line = await Class1Line.attach(modem, Options(), port="/dev/modem")
        moment = 1.0
        for one in said:
            moment += 0.5 if one else -0.4
            asyncio.get_running_loop().call_later(moment, modem.say, one or b"")
        assert await line.perform(AwaitCall()) == ringing
        assert not modem.fault
        await modem.close()

    run(test())


def test_a_ring_that_nobody_waited_for_is_not_lost_but_an_old_one_is() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        modem.say(b"\r\nRING\r\n")
        await asyncio.sleep(3.0)
        assert await line.perform(AwaitCall()) == Ringing("", "")
        await asyncio.sleep(10.0)
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        modem.say(b"\r\nRING\r\n")
        assert await waiting == Ringing("", "")

    play(body)


def test_a_number_is_told_with_its_own_call_and_an_answered_ring_rings_no_more() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        modem.say(b"\r\nRING\r\n\r\nNMBR=1\r\n")
        await asyncio.sleep(10.0)
        modem.say(b"\r\nRING\r\n")
        assert await line.perform(AwaitCall()) == Ringing("", "")
        assert await line.perform(Answer()) == NotConnected(Cause.NO_CARRIER)
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(20.0)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

    play(body, (b"ATA\r", NO_CARRIER))


def test_a_call_that_is_gone_is_a_dropped_line() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        with pytest.raises(LineError, match="the call is gone") as error:
            await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert error.value.code == "line.dropped"

    play(body, (b"ATDT1\r", as_given(DIS)), (b"AT+FTH=3\r", ERROR))


def test_a_page_that_the_modem_ended_early_is_never_taken_for_sent() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        asyncio.get_running_loop().call_later(2.05, modem.say, OK)
        with pytest.raises(LineError, match="the modem ended a page early") as error:
            await line.perform(SendData(V17, bytes(18000), Content.PAGE, 0.0))
        assert error.value.code == "line.unavailable"
        await line.perform(HangUp())

    taken = ((bytes(180), None),) * 26  # 2.05 s and half a second ahead
    play(body, (b"ATDT1\r", as_given(DIS)), (b"AT+FTM=145\r", CONNECT), *taken, (b"ATH0\r", OK))


def test_a_modem_that_does_not_answer_is_reset_and_the_error_says_what_to_do() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        with pytest.raises(LineError) as error:
            await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert error.value.code == "line.unavailable"
        assert str(error.value) == (
            "/dev/modem: no answer to AT+FTH=3 in 5 s; the modem was reset, the next call may go through"
        )
        assert await line.perform(Dial("1")) == NotConnected(Cause.BUSY)

    play(
        body,
        (b"ATDT1\r", as_given(DIS)),
        (b"AT+FTH=3\r", None),
        (END, None),
        (b"AT\r", None),
        (b"\x18", None),
        (b"AT\r", OK),
        (b"ATH0\r", OK),
        (b"ATZ\r", OK),
        *PREPARE,
        (b"ATDT1\r", b"\r\nBUSY\r\n"),
    )


def test_a_modem_that_nothing_wakes_loses_dtr_and_is_reported_in_one_sentence() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        with pytest.raises(LineError, match="no reset helps: switch the modem off and on"):
            await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert modem.drops == 1

    play(
        body,
        (b"ATDT1\r", CONNECT),
        *STUBBORN,
        *STUBBORN,
        (b"AT\r", None),
        (b"\x18", None),
        (b"AT\r", None),
        (b"AT\r", None),
        (b"+++", None),
        (b"AT\r", None),
    )


@pytest.mark.case("R24")
def test_the_host_knows_how_long_the_modem_had_to_wait_for_it() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        await line.perform(LISTEN)
        assert line.worst_reaction < 0.01
        await asyncio.sleep(0.3)
        await line.perform(SendFrames(V21, (MPS,), 0.0))
        assert line.worst_reaction == pytest.approx(0.3, abs=0.01)

    play(body, (b"ATDT1\r", as_given(DIS)), (b"AT+FTH=3\r", CONNECT), as_written(MPS, OK))


def test_a_number_that_is_no_number_never_reaches_the_modem() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        with pytest.raises(LineError, match="'5550100;H0' is not a number") as error:
            await line.perform(Dial("5550100;H0"))
        assert error.value.code == "usage"

    play(body)


def test_a_port_where_nothing_answers_is_said_to_be_so_and_released() -> None:
    async def test() -> None:
        silence: tuple[Step, ...] = ((b"AT\r", None), (b"\x18AT\r", None), (b"AT\r", None), (b"+++AT\r", None))
        modem = ScriptedModem(*silence)
        with pytest.raises(LineError, match="/dev/modem: nothing answers AT") as error:
            await Class1Line.attach(modem, Options(), port="/dev/modem")
        assert error.value.code == "line.unavailable"
        assert (modem.fault, modem.script, modem.drops, modem.closed) == ("", [], 1, True)

    run(test())


def test_a_data_modem_is_refused_in_one_sentence() -> None:
    async def test() -> None:
        no_fax: tuple[Step, ...] = (
            *SETUP[:9],
            (b"AT+FCLASS=?\r", b"\r\n0,8\r\n" + OK),
            (b"AT+FCLASS=1\r", ERROR),
            (b"AT+FCLASS=1\r", ERROR),
        )
        modem = ScriptedModem(*no_fax)
        with pytest.raises(LineError, match="has no fax Class 1; it says that it has 0,8") as error:
            await Class1Line.attach(modem, Options(), port="/dev/modem")
        assert error.value.code == "line.unavailable"
        assert not modem.fault
        assert modem.closed

    run(test())


def test_what_the_modem_can_do_bounds_what_a_station_may_promise() -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        assert line.modem.sends >= {V21, V17, SHORT, Modulation.V29_9600}
        assert Modulation.V17_9600 not in line.modem.sends
        assert V17 not in line.modem.receives
        assert (line.modem.identity, line.modem.service_class) == ("33600, ACME", "1.0")

    play(body)
