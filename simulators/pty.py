"""The simulated modem on a pseudo-terminal, for programs that open a serial port. POSIX only.

A pseudo-terminal has no DTR: the modem takes the last program closing it for DTR dropped. While nobody has it open,
what the modem says is lost, as on a port that is not open.
"""

import asyncio
import errno
import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simulators.modem import Modem

LOOK_AGAIN = 0.02
"""Seconds between two looks whether anybody has opened the terminal: the kernel tells nobody."""
READ_SIZE = 4096
LONGEST_QUEUE = 1 << 20
"""Octets kept for a program that does not read; more are lost, as by a port that overruns."""


class PseudoTerminal:
    """Plugs a modem into a pseudo-terminal; ``run`` carries the octets.

    Attributes:
        path: what to open. It can be opened, closed and opened again.
        is_open: whether anybody has it open.
        openings: how often it was opened after nobody had it open.
    """

    def __init__(self, modem: Modem) -> None:
        self.modem = modem
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._hang_up_seen = select.poll()
        self._hang_up_seen.register(self._master, select.POLLHUP)
        self._outgoing = bytearray()
        self.is_open = False
        self.openings = 0
        self._closed = asyncio.Event()
        modem.dte.write = self._write
        modem.dte.on_room = self._watch

    async def run(self) -> None:
        """Run the modem and carry octets both ways until cancelled; the terminal is gone then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.modem.run(), name=f"modem on {self.path}")
                tasks.create_task(self._carry(), name=f"octets of {self.path}")
        finally:
            self._leave()
            self.modem.dte.write = lambda _: None
            self.modem.dte.on_room = lambda: None
            os.close(self._master)

    async def _carry(self) -> None:
        while True:
            while self._hang_up_seen.poll(0):  # noqa: ASYNC110 (the kernel has no event for it)
                await asyncio.sleep(LOOK_AGAIN)
            self.is_open = True
            self.openings += 1
            self._closed.clear()
            self._watch()
            await self._closed.wait()
            self.modem.drop_dtr()
            await self._sweep()

    async def _sweep(self) -> None:
        """Throw away what the last program did not read, and its settings: neither is for the next one."""
        with suppress(OSError, termios.error):
            slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                tty.setraw(slave)
                # The kernel brings the octets from the master's side bit by bit; flushing either side leaves some.
                for _ in range(3):
                    with suppress(BlockingIOError):
                        while os.read(slave, READ_SIZE):
                            pass
                    await asyncio.sleep(LOOK_AGAIN / 4)
            finally:
                os.close(slave)

    def _watch(self) -> None:
        """Read while the modem has room: a full terminal is what holds the program back."""
        loop = asyncio.get_running_loop()
        if self.is_open and self.modem.room:
            loop.add_reader(self._master, self._read)
        else:
            loop.remove_reader(self._master)

    def _read(self) -> None:
        try:
            octets = os.read(self._master, min(READ_SIZE, self.modem.room))
        except BlockingIOError:
            return
        except OSError as fault:
            if fault.errno != errno.EIO:
                raise
            self._leave()
            return
        self.modem.receive(octets)
        self._watch()

    def _write(self, octets: bytes) -> None:
        if self.is_open and len(self._outgoing) + len(octets) <= LONGEST_QUEUE:
            self._outgoing += octets
            self._flush()

    def _flush(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: os.write(self._master, self._outgoing)]
        except BlockingIOError:
            asyncio.get_running_loop().add_writer(self._master, self._flush)
            return
        except OSError as fault:
            if fault.errno != errno.EIO:
                raise
            self._outgoing.clear()
        asyncio.get_running_loop().remove_writer(self._master)

    def _leave(self) -> None:
        """Take note that nobody has the terminal open any more."""
        self.is_open = False
        self._outgoing.clear()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        self._closed.set()


@contextmanager
def linked(path: str, link: Path | None) -> Iterator[None]:
    """Let ``link`` point to the terminal meanwhile; it appears whole, and an old link gives way.

    Raises:
        FileExistsError: if there is something else in its place.
        OSError: if it cannot be made.
    """
    if link is None:
        yield
        return
    if link.exists() and not link.is_symlink():
        raise FileExistsError(errno.EEXIST, "something else is there", str(link))
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(path)
    fresh.replace(link)
    try:
        yield
    finally:
        with suppress(OSError):
            if link.readlink() == Path(path):
                link.unlink()
