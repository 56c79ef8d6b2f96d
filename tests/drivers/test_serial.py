"""The serial port, on real pseudo-terminals: what is missing, busy, silent or vanishes is said in one sentence."""

import asyncio
import fcntl
import os
import subprocess
import sys
import time
import tty
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.class1.quirks import Flow
from drivers.class1.serial import SerialStream, open_port
from drivers.class1.setup import Options
from drivers.registry import open_line
from simulators.modem import Modem
from simulators.pty import PseudoTerminal
from simulators.switch import Switch
from t30.line import Answer, AwaitCall, Connected, Content, HangUp, LineClock, LineError, Ringing, SendData
from t30.rates import Modulation

QUICK = Options(speed=20.0)


@dataclass
class Pty:
    """A pseudo-terminal: ``path`` for the driver, ``master`` for the test."""

    master: int
    path: str

    def vanish(self) -> None:
        os.close(self.master)
        self.master = -1


@pytest.fixture
def pty() -> Iterator[Pty]:
    master, slave = os.openpty()
    tty.setraw(slave)
    terminal = Pty(master, os.ttyname(slave))
    os.close(slave)
    os.set_blocking(master, False)
    yield terminal
    if terminal.master >= 0:
        terminal.vanish()


def timed(test: Coroutine[Any, Any, None], *, within: float) -> float:
    """Run a test in real time; return how long it took."""

    async def limited() -> None:
        async with asyncio.timeout(within):
            await test

    began = time.monotonic()
    asyncio.run(limited())
    return time.monotonic() - began


def refused(url: str, *, within: float = 12.0) -> str:
    """Return what is said of a line that is not to be had."""
    said: list[str] = []

    async def test() -> None:
        with pytest.raises(LineError) as error:
            await open_line(url)
        assert error.value.code == "line.unavailable"
        said.append(str(error.value))

    timed(test(), within=within)
    assert "\n" not in said[0]
    return said[0]


def test_a_port_that_does_not_exist_is_named() -> None:
    assert refused("class1:/dev/ttyNONE9") == "/dev/ttyNONE9: there is no such port; is the modem plugged in?"


def test_a_file_is_not_a_port(tmp_path: Path) -> None:
    plain = tmp_path / "modem"
    plain.write_text("AT")
    assert refused(f"class1:{plain}") == f"{plain}: it is not a serial port"
    assert refused(f"class1:{tmp_path}").startswith(f"{tmp_path}: it ")
    assert plain.read_text() == "AT"


def test_a_port_that_another_program_holds_is_busy(pty: Pty) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, os, sys\n"
         "fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
         "fcntl.flock(fd, fcntl.LOCK_EX)\n"
         "print('held', flush=True)\n"
         "sys.stdin.read()", pty.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    assert refused(f"class1:{pty.path}") == f"{pty.path}: another program has it open; end that one first"
    holder.communicate(b"")

    async def free() -> None:
        await (await open_port(pty.path, QUICK)).close()

    timed(free(), within=5.0)


def test_a_port_that_we_hold_is_busy_to_others(pty: Pty) -> None:
    async def test() -> None:
        stream = await open_port(pty.path, QUICK)
        with pytest.raises(LineError, match="another program has it open"):
            await open_port(pty.path, QUICK)
        await stream.close()
        await (await open_port(pty.path, QUICK)).close()

    timed(test(), within=5.0)


@pytest.mark.slow  # it waits for that in real time
def test_a_port_where_nothing_answers_is_silent_and_released(pty: Pty) -> None:
    said = refused(f"class1:{pty.path}?speed=20")
    assert said == f"{pty.path}: nothing answers AT; is it a modem, is it switched on, and is it the right port?"
    assert os.read(pty.master, 4096).startswith(b"AT\r")
    again = os.open(pty.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(again)


def test_a_port_that_vanishes_while_it_is_opened_is_gone(pty: Pty) -> None:
    async def test() -> None:
        asyncio.get_running_loop().call_later(0.2, pty.vanish)
        with pytest.raises(LineError, match="the modem is gone; is it still plugged in") as error:
            await open_line(f"class1:{pty.path}")
        assert error.value.code == "line.unavailable"

    timed(test(), within=5.0)


def test_a_modem_that_vanishes_in_mid_page_is_gone_for_every_action_after_it() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        switch = Switch(LineClock(loop.time, QUICK.speed), slack=1.0)
        terminal = PseudoTerminal(Modem(switch.attach("100")))
        working = loop.create_task(terminal.run())
        line = await open_line(f"class1:{terminal.path}?speed={QUICK.speed}")
        calling = asyncio.create_task(switch.attach("200").dial("100"))
        assert isinstance(await line.perform(AwaitCall()), Ringing)
        assert await line.perform(Answer()) == Connected()
        await calling
        page = SendData(Modulation.V17_14400, bytes(100_000), Content.PAGE, 0.075)
        loop.call_later(0.5, working.cancel)
        for action in (page, HangUp(), HangUp()):
            with pytest.raises(LineError, match="the modem is gone") as error:
                await line.perform(action)
            assert error.value.code == "line.unavailable"
        await line.close()
        await asyncio.wait([working])

    assert timed(test(), within=10.0) < 5.0


def test_octets_of_every_value_pass_both_ways_whatever_the_flow_control(pty: Pty) -> None:
    octets = bytes(range(256)) * 4

    async def test() -> None:
        for flow in Flow:
            stream = await open_port(pty.path, Options(flow=flow))
            stream.write(octets)
            await stream.drain()
            assert await from_master(pty, len(octets)) == octets
            os.write(pty.master, octets)
            got = b""
            while len(got) < len(octets):
                got += await stream.read()
            assert got == octets
            await stream.close()

    timed(test(), within=10.0)


def test_a_modem_that_does_not_read_holds_the_writer_and_not_the_loop(pty: Pty) -> None:
    octets = bytes(range(256)) * 1024

    async def test() -> None:
        stream = await open_port(pty.path, QUICK)
        stream.write(octets)
        assert stream.pending > 200_000
        draining = asyncio.create_task(stream.drain(1000))
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - began < 0.5
        assert not draining.done()
        assert await from_master(pty, len(octets)) == octets
        await draining
        assert stream.pending <= 1000
        await stream.close()

    timed(test(), within=10.0)


def test_closing_does_not_wait_for_what_nobody_reads(pty: Pty) -> None:
    async def test() -> None:
        stream = await open_port(pty.path, QUICK)
        stream.write(bytes(100_000))
        began = time.monotonic()
        await stream.close()
        await stream.close()
        assert time.monotonic() - began < 1.0
        assert await stream.read() == b""

    timed(test(), within=5.0)


def test_a_reader_a_writer_and_a_drain_all_notice_that_the_port_is_gone(pty: Pty) -> None:
    async def test() -> None:
        stream: SerialStream = await open_port(pty.path, QUICK)
        stream.write(bytes(100_000))
        draining = asyncio.create_task(stream.drain())
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0.01)
        pty.vanish()
        assert await reading == b""
        await draining
        stream.write(b"AT\r")
        await stream.drain()
        await stream.drop_dtr()
        assert stream.pending == 0
        await stream.close()

    timed(test(), within=5.0)


async def from_master(pty: Pty, count: int) -> bytes:
    """Read so many octets as the modem would."""
    octets = b""
    while len(octets) < count:
        try:
            octets += os.read(pty.master, 4096)
        except BlockingIOError:
            await asyncio.sleep(0.001)
    return octets
