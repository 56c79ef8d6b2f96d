"""A modem that says anything at any time: each action ends in an event of the port or in a LineError, soon.

Garbage, halves of results, stray RING, BUSY and DLE ETX (R25), a noise without end: nothing else is raised, and what is
held stays small.
"""

import asyncio
import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary, integers, lists, one_of, sampled_from

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.clock import run
from t30.hdlc import fcs
from t30.line import (
    Answer,
    Connected,
    Content,
    Dial,
    FrameReceived,
    HangUp,
    LineAction,
    LineError,
    LineEvent,
    ListenData,
    ListenFrame,
    NotConnected,
    SendData,
    SendFrames,
)
from t30.rates import Modulation
from tests.drivers.scripted import CONNECT, END, ERROR, NO_CARRIER, OK, PREPARE, SETUP, ScriptedModem

V21, V17 = Modulation.V21, Modulation.V17_14400
DIS = bytes.fromhex("FF 13 80 00 10 F8 80")
LIMIT = 200.0
"""Seconds of the line that any action may take: ATD waits two minutes, and then the modem is reset."""

ACTIONS: list[LineAction] = [
    Dial("1"),
    Answer(),
    SendFrames(V21, (DIS,), 0.075),
    SendFrames(V17, (b"\xff\x03\x06\x00" + bytes(256),), 0.075),
    SendData(V17, bytes(500), Content.TCF, 0.075),
    ListenFrame(V21, 3.0),
    ListenFrame(V17, 3.0),
    ListenData(V17, Content.PAGE, 3.0),
    HangUp(),
]
STRAY = [OK, CONNECT, ERROR, NO_CARRIER, END, b"\r\nRING\r\n", b"\r\nBUSY\r\n", b"\r\n+FCERROR\r\n", b"\r\n+FRH:3\r\n"]
pieces = one_of(sampled_from(STRAY), sampled_from(STRAY), binary(max_size=40), sampled_from([b"\r\nCONN", b"\x10"]))


class NoisyModem(ScriptedModem):
    """Answers its setting up as it should, and then everything that is written with the next of some pieces."""

    def __init__(self, answers: list[bytes], *, delays: Random) -> None:
        super().__init__(*SETUP, *PREPARE)
        self.answers = answers
        self._delays = delays
        self._turn = 0

    def write(self, octets: bytes) -> None:
        if self.script:
            super().write(octets)
            return
        answer = self.answers[self._turn % len(self.answers)]
        self._turn += 1
        asyncio.get_running_loop().call_later(self._delays.choice((0.0, 0.001, 0.3, 3.0)), self.say, answer)


async def does(line: Class1Line, action: LineAction) -> LineEvent | LineError:
    """Have an action done by a line that may fail, in time."""
    async with asyncio.timeout(LIMIT):
        try:
            return await line.perform(action)
        except LineError as fault:
            return fault


@settings(max_examples=60)
@given(
    answers=lists(pieces, min_size=1, max_size=12),
    actions=lists(sampled_from(ACTIONS), min_size=1, max_size=6),
    seed=integers(0, 1000),
)
def test_whatever_a_modem_says_an_action_ends_in_an_event_or_a_line_error(
    answers: list[bytes], actions: list[LineAction], seed: int
) -> None:
    async def test() -> None:
        modem = NoisyModem(answers, delays=Random(seed))
        line = await Class1Line.attach(modem, Options(), port="/dev/modem")
        for action in actions:
            await does(line, action)
        await line.close()

    run(test())


NOISE = [b"\x00\xff\x55", b"RING\r\n", END + b"\r\n", CONNECT, b"\x10"]


@pytest.mark.parametrize("noise", NOISE, ids=repr)
@pytest.mark.parametrize("action", [ListenFrame(V21, 3.0), ListenData(V17, Content.PAGE, 3.0)], ids=["frame", "page"])
def test_noise_without_end_ends_an_action_in_time(noise: bytes, action: LineAction) -> None:
    async def test() -> None:
        modem = NoisyModem([b""], delays=Random(0))
        line = await Class1Line.attach(modem, Options(), port="/dev/modem")
        pouring = asyncio.create_task(pour(modem, noise * 100))
        await does(line, action)
        await does(line, HangUp())
        await line.close()
        await pouring

    run(test())


async def pour(modem: ScriptedModem, noise: bytes) -> None:
    while not modem.closed:
        modem.say(noise)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("noise", [OK, b"x\r\n", b"\xff" * 8])
def test_what_nobody_asks_for_fills_no_memory(noise: bytes) -> None:
    async def test() -> None:
        modem = NoisyModem([b""], delays=Random(0))
        line = await Class1Line.attach(modem, Options(), port="/dev/modem")
        tracemalloc.start()
        for _ in range(30):
            modem.say(noise * 500)
            await asyncio.sleep(0.1)
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert left < 750_000
        await line.close()

    run(test())


@pytest.mark.case("R25")
@pytest.mark.parametrize("stray", [b"\r\nRING\r\n", b"\r\nBUSY\r\n", END, b"\r\nOK\r\n", b"\xe4\xff\x00"], ids=repr)
def test_r25_what_a_modem_says_after_the_call_stands_is_noise(stray: bytes) -> None:
    """After ATD and CONNECT: a stale RING, BUSY or end of data before the next command does not end the call."""

    async def test() -> None:
        frame = DIS + fcs(DIS).to_bytes(2, "little")
        dialled = (b"ATDT1\r", CONNECT + frame.replace(b"\x10", b"\x10\x10") + END + OK)
        answer = (b"AT+FRH=3\r", CONNECT + frame.replace(b"\x10", b"\x10\x10") + END + OK)
        modem = ScriptedModem(*SETUP, *PREPARE, dialled, answer)
        line = await Class1Line.attach(modem, Options(), port="/dev/modem")
        assert await line.perform(Dial("1")) == Connected()
        assert await line.perform(ListenFrame(V21, 3.0)) == FrameReceived(DIS, good=True)
        modem.say(stray)
        await asyncio.sleep(0.05)
        assert await line.perform(ListenFrame(V21, 3.0)) == FrameReceived(DIS, good=True)
        await modem.close()

    run(test())


@pytest.mark.case("R25")
def test_r25_ring_and_busy_while_dialling_are_told_apart() -> None:
    async def test(said: bytes) -> LineEvent | LineError:
        modem = ScriptedModem(*SETUP, *PREPARE, (b"ATDT1\r", said))
        line = await Class1Line.attach(modem, Options(), port="/dev/modem")
        event = await does(line, Dial("1"))
        await modem.close()
        return event

    assert isinstance(run(test(b"\r\nRING\r\n\r\nBUSY\r\n")), NotConnected)
    frame = DIS + fcs(DIS).to_bytes(2, "little")
    assert run(test(b"\r\nRING\r\n" + CONNECT + frame + END + OK)) == Connected()
