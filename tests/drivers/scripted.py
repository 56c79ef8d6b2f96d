"""A modem played from a script: exact octets in, exact octets out."""

import asyncio
from collections.abc import Awaitable, Callable

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.clock import run

OK, CONNECT, ERROR = b"\r\nOK\r\n", b"\r\nCONNECT\r\n", b"\r\nERROR\r\n"
NO_CARRIER = b"\r\nNO CARRIER\r\n"
END = b"\x10\x03"

SETUP: tuple["Step", ...] = (
    (b"AT\r", OK),
    (b"ATE0Q0V1\r", b"ATE0Q0V1\r" + OK),
    (b"ATS0=0\r", OK),
    (b"ATS7=60\r", OK),
    (b"AT&D2\r", OK),
    (b"ATI\r", b"\r\n33600\r\n" + OK),
    (b"ATI3\r", ERROR),
    (b"AT+FMI?\r", b"\r\nACME\r\n" + OK),
    (b"AT+FMM?\r", ERROR),
    (b"AT+FCLASS=?\r", b"\r\n0,1,1.0\r\n" + OK),
    (b"AT+FCLASS=1.0\r", OK),
    (b"AT+FAR=?\r", b"\r\n(0,1)\r\n" + OK),
    (b"AT+FTM=?\r", b"\r\n24,48,72,96,145,146\r\n" + OK),
    (b"AT+FRM=?\r", b"\r\n(24,48,72,96)\r\n" + OK),
)
PREPARE: tuple["Step", ...] = (
    (b"ATE0Q0V1\r", OK),
    (b"ATS0=0\r", OK),
    (b"ATS7=60\r", OK),
    (b"AT&D2\r", OK),
    (b"AT+FCLASS=1.0\r", OK),
    (b"AT+FAR=1\r", OK),
    (b"AT+IFC=2,2\r", OK),
    (b"AT+VCID=1\r", ERROR),
    (b"AT#CID=1\r", ERROR),
)

Step = tuple[bytes, bytes | None]
"""What the driver must write next, and the answer; None: none ever comes."""

REACTION = 0.001


class ScriptedModem:
    """An ``OctetStream`` that answers from a script, and fails the test at the first octet that is not in it.

    Attributes:
        script: what is still to come.
        drops: how often DTR was dropped.
        closed: the port was released.
        fault: what was written and is not in the script.
    """

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.drops = 0
        self.closed = False
        self.fault = ""
        self._written = b""
        self._coming = b""
        self._came = asyncio.Event()

    @property
    def pending(self) -> int:
        return 0

    async def read(self) -> bytes:
        while not self._coming and not self.closed:
            self._came.clear()
            await self._came.wait()
        octets, self._coming = self._coming, b""
        return octets

    def write(self, octets: bytes) -> None:
        self._written += octets
        while self.script and self._written.startswith(self.script[0][0]):
            expected, answer = self.script.pop(0)
            self._written = self._written[len(expected) :]
            if answer is not None:
                asyncio.get_running_loop().call_later(REACTION, self.say, answer)
        expected = self.script[0][0] if self.script else b""
        if not expected.startswith(self._written) and not self.fault:
            self.fault = f"wrote {self._written!r} instead of {expected!r}"

    def say(self, octets: bytes) -> None:
        self._coming += octets
        self._came.set()

    async def drain(self, low: int = 0) -> None:
        """Nothing is ever pending."""
        assert self.pending <= low

    async def drop_dtr(self) -> None:
        self.drops += 1

    async def close(self) -> None:
        self.closed = True
        self._came.set()


def play(body: "Callable[[Class1Line, ScriptedModem], Awaitable[None]]", *script: Step, quirks: str = "") -> None:
    """Run a test on a line whose modem, once prepared, follows ``script``, which must be played to its end."""

    async def test() -> None:
        modem = ScriptedModem(*SETUP, *PREPARE, *script)
        line = await Class1Line.attach(modem, Options(quirks=quirks), port="/dev/modem")
        try:
            await body(line, modem)
        finally:
            assert not modem.fault, modem.fault
        assert modem.script == []
        await modem.close()

    run(test())
