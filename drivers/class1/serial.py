"""A serial port or pseudo-terminal as a stream of octets: pyserial opens and configures it, the event loop reads it.

pyserial's own ``write`` and ``flush`` block (``flush`` for ever on a stopped line), so they are not used.
"""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from contextlib import suppress

import serial

from drivers.class1.quirks import Flow
from drivers.class1.setup import Options
from t30.line import LineError

READ_SIZE = 4096
DTR_DROP = 0.2
"""Real seconds. HylaFAX takes 75 ms; USB adapters are slower to pass it on."""
LOOK_AGAIN = 0.005
"""Real seconds between two looks at the kernel's queue, which nothing announces."""

_REASONS = {
    errno.ENOENT: "there is no such port; is the modem plugged in?",
    errno.ENXIO: "there is no such port; is the modem plugged in?",
    errno.ENODEV: "there is no such port; is the modem plugged in?",
    errno.EACCES: "this user may not open it; add the user to the group that owns it (often dialout)",
    errno.EPERM: "this user may not open it; add the user to the group that owns it (often dialout)",
    errno.EBUSY: "another program has it open; end that one first",
    errno.EWOULDBLOCK: "another program has it open; end that one first",
}


async def open_port(path: str, options: Options) -> "SerialStream":
    """Open a serial port or pseudo-terminal, for us alone.

    Raises:
        LineError: if it does not exist, is busy or is no terminal.
    """
    try:
        port = await asyncio.get_running_loop().run_in_executor(None, _open, path, options)
    except (OSError, ValueError, termios.error) as fault:
        raise LineError(f"{path}: {_reason(fault)}") from None
    return SerialStream(port)


class SerialStream:
    """An ``OctetStream`` on an open port."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._fd: int = port.fd
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._left = asyncio.Event()
        self._in = bytearray()
        self._out = bytearray()
        self._gone = False
        self._closed = False
        self._writing = False
        self._loop.add_reader(self._fd, self._readable)

    @property
    def pending(self) -> int:
        """Octets not written yet, or in the kernel's queue."""
        if self._gone:
            return 0
        try:
            queued: int = struct.unpack("i", fcntl.ioctl(self._fd, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        except OSError:
            queued = 0
        return len(self._out) + queued

    async def read(self) -> bytes:
        """Return the next octets; ``b""`` when the port is gone."""
        while not self._in and not self._gone:
            self._came.clear()
            await self._came.wait()
        octets = bytes(self._in)
        self._in.clear()
        return octets

    def write(self, octets: bytes) -> None:
        """Write what the kernel takes now, and the rest when it takes more."""
        if self._gone:
            return
        self._out += octets
        if not self._writing:
            self._writable()

    async def drain(self, low: int = 0) -> None:
        """Wait until at most ``low`` octets are pending."""
        while self.pending > low:
            self._left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if len(self._out) > low else LOOK_AGAIN):
                    await self._left.wait()

    async def drop_dtr(self) -> None:
        """Drop DTR for a moment; a pseudo-terminal has none."""
        if self._gone:
            return
        with suppress(OSError):
            self._port.dtr = False
            await asyncio.sleep(DTR_DROP)
            self._port.dtr = True

    async def close(self) -> None:
        """Release the port; what is queued is thrown away, as closing would wait for it."""
        if self._closed:
            return
        self._closed = True
        self._lost()
        with suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCIOFLUSH)
        with suppress(OSError):
            await self._loop.run_in_executor(None, self._port.close)

    # --------------------------------------------------------------------------------------------- from the event loop

    def _readable(self) -> None:
        try:
            octets = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self._in += octets
            self._came.set()
        else:
            self._lost()

    def _writable(self) -> None:
        try:
            del self._out[: os.write(self._fd, self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self._lost()
            return
        if self._out and not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._writable)
        elif not self._out and self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
        self._left.set()

    def _lost(self) -> None:
        if not self._gone:
            self._gone = True
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._out.clear()
        self._came.set()
        self._left.set()


def _open(path: str, options: Options) -> serial.Serial:
    # XON/XOFF is the conversation's own: the kernel's would eat DC1 and DC3 out of received data.
    port = serial.Serial(
        path, options.baud, timeout=0, write_timeout=0, exclusive=True, rtscts=options.flow is Flow.RTSCTS
    )
    with suppress(OSError, ValueError, NotImplementedError, AttributeError):
        port.set_low_latency_mode(True)
    with suppress(OSError, termios.error):
        port.reset_input_buffer()
    return port


def _reason(fault: Exception) -> str:
    number = getattr(fault, "errno", None)
    # pyserial reports a lock that is held with the number in the text only.
    text = str(fault)
    if number is None and "exclusively lock" in text:
        number = errno.EBUSY
    if number is None and ("Could not configure" in text or isinstance(fault, termios.error)):
        return "it is not a serial port"
    return _REASONS.get(number or 0, f"it cannot be opened ({text})")
