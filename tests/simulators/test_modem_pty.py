"""The modem on a real pseudo-terminal, in real time: opened, filled, closed and opened again."""

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from simulators.circuit import End
from simulators.modem import Modem
from simulators.pty import PseudoTerminal, linked
from simulators.switch import Switch
from t30.line import LineClock


@contextlib.asynccontextmanager
async def plugged(speed: float = 20.0) -> AsyncIterator[PseudoTerminal]:
    switch = Switch(LineClock(asyncio.get_running_loop().time, speed))
    terminal = PseudoTerminal(Modem(switch.attach("100")))
    running = asyncio.create_task(terminal.run())
    yield terminal
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


class Program:
    """A program that has the terminal open, with blocking calls in a thread."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def ask(self, command: bytes, ending: bytes, *, within: float = 10.0) -> bytes:
        """Write a command and read up to the ending."""
        os.write(self.fd, command)
        answer = b""
        deadline = time.monotonic() + within
        while ending not in answer:
            assert time.monotonic() < deadline, answer
            with contextlib.suppress(BlockingIOError):
                answer += os.read(self.fd, 4096)
            time.sleep(0.002)
        return answer

    def fill(self, seconds: float) -> int:
        """Write until nothing more is taken for so long; return how many octets were."""
        count, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                count += os.write(self.fd, b"\x55" * 1024)
                deadline = time.monotonic() + seconds
            except BlockingIOError:
                time.sleep(0.002)
        return count

    def close(self) -> None:
        os.close(self.fd)


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):
        while not ready():  # noqa: ASYNC110 (what the test looks at tells nobody)
            await asyncio.sleep(0.01)


async def test_programs_come_and_go_and_find_no_stale_answers() -> None:
    async with plugged() as terminal:
        for _ in range(3):
            program = Program(terminal.path)
            assert await asyncio.to_thread(program.ask, b"ATE0\r", b"OK\r\n") in (b"ATE0\r\r\nOK\r\n", b"\r\nOK\r\n")
            os.write(program.fd, b"ATI3\r")
            await asyncio.sleep(0.05)
            terminal.modem.dte.write(b"more than the kernel holds" * 10_000)
            program.close()
            await asyncio.sleep(0.1)
            terminal.modem.dte.write(b"\r\nRING\r\n")


async def test_closing_the_terminal_hangs_up() -> None:
    async with plugged() as terminal:
        far = terminal.modem.port.switch.attach("200")
        program = Program(terminal.path)
        await asyncio.to_thread(program.ask, b"AT+FCLASS=1\r", b"OK\r\n")
        os.write(program.fd, b"ATD200\r")
        await far.ringing()
        end = far.answer()
        assert isinstance(end, End)
        program.close()
        await until(lambda: end.gone)


async def test_a_full_modem_stops_reading() -> None:
    async with plugged() as terminal:
        far = terminal.modem.port.switch.attach("200")
        program = Program(terminal.path)
        await asyncio.to_thread(program.ask, b"AT+FCLASS=1\r", b"OK\r\n")
        dialling = asyncio.create_task(far.dial("100"))
        await asyncio.to_thread(program.ask, b"", b"RING\r\n")
        await asyncio.to_thread(program.ask, b"ATA\r", b"CONNECT\r\n")
        await dialling
        # The modem waits for the end of a frame of 300 bit/s and takes no more of it than it can hold.
        await asyncio.to_thread(program.ask, b"\xff\x13\x40\x10\x03", b"OK\r\n")
        await asyncio.to_thread(program.ask, b"AT+FTM=24\r", b"CONNECT\r\n")
        taken = await asyncio.to_thread(program.fill, 0.2)
        assert 4096 <= taken < 40_000
        assert terminal.modem.dte.overrun == 0
        program.close()


async def test_the_link_is_whole_while_it_is_there_and_spares_what_is_no_link(tmp_path: Path) -> None:
    async with plugged() as terminal:
        link = tmp_path / "modem"
        link.symlink_to("/dev/pts/nothing")
        with linked(terminal.path, link):
            assert stat.S_ISCHR(link.stat().st_mode)
        assert not link.is_symlink()
        link.write_text("a file of the user's")
        with pytest.raises(FileExistsError), linked(terminal.path, link):
            pass
        assert link.read_text() == "a file of the user's"
