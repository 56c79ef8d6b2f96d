"""A DTE at a modem, and a far end on its telephone line, for tests that play either of them."""

import asyncio
from collections.abc import Awaitable, Callable

from simulators.cable import Cable
from simulators.circuit import NO_FAULTS, TRAINING, End, Gone, Heard, Octets
from simulators.clock import run
from simulators.faults import Faults
from simulators.modem import Firmware, Modem
from simulators.switch import Switch
from t30.line import LineClock
from t30.rates import Modulation

DIS = bytes.fromhex("FF 13 80 00 EE F8 80")
END = b"\x10\x03"


class Desk:
    """A modem with its DTE on one side, and a far end on a telephone line on the other."""

    def __init__(
        self, firmware: Firmware | None = None, *, hardware_flow: bool = True, faults: Faults = NO_FAULTS
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.switch = Switch(LineClock(self.loop.time), faults=faults)
        self.modem = Modem(self.switch.attach("100"), firmware=firmware)
        self.far = self.switch.attach("200")
        self.cable = Cable(self.modem, hardware_flow=hardware_flow)
        self.heard: list[tuple[float, Heard]] = []
        self._running = self.loop.create_task(self.modem.run())
        self._seen = b""

    def now(self) -> float:
        return self.loop.time()

    async def said(self, *endings: bytes, within: float = 70.0) -> bytes:
        """Return what the modem says up to the first of these."""
        async with asyncio.timeout(within):
            while True:
                ends = [at + len(ending) for ending in endings if (at := self._seen.find(ending)) >= 0]
                if ends:
                    answer, self._seen = self._seen[: min(ends)], self._seen[min(ends) :]
                    return answer
                self._seen += await self.cable.read()

    async def silent(self, seconds: float) -> bool:
        """Return whether the modem says nothing for so long."""
        try:
            async with asyncio.timeout(seconds):
                self._seen += await self.cable.read()
        except TimeoutError:
            return not self._seen
        return False

    async def at(self, command: str, *, within: float = 70.0) -> bytes:
        """Give a command; return everything up to its final result (or CONNECT)."""
        self.cable.write(command.encode() + b"\r")
        results = (b"OK", b"ERROR", b"CONNECT", b"NO CARRIER", b"BUSY", b"NO ANSWER", b"NO DIALTONE")
        return await self.said(*(b"\r\n" + result + b"\r\n" for result in results), within=within)

    async def prepare(self) -> None:
        for command in ("ATE0", "AT+FCLASS=1"):
            assert (await self.at(command)).endswith(b"OK\r\n")

    async def calls(self) -> End:
        """Let the modem call the far end, which answers with DIS; return its end."""
        self.cable.write(b"ATDT200\r")
        await self.far.ringing()
        end = self.far.answer()
        assert end
        await send_frames(end, DIS)
        await self.said(b"OK\r\n")
        return end

    async def listen(self, end: End) -> None:
        while not isinstance(thing := await end.heard(), Gone):
            assert thing
            self.heard.append((self.now(), thing))

    def things(self) -> list[Heard]:
        return [thing for _, thing in self.heard]

    def octets(self) -> bytes:
        return b"".join(thing.octets for thing in self.things() if isinstance(thing, Octets))


async def send_frames(end: End, *frames: bytes) -> None:
    end.carrier_on(Modulation.V21)
    await asyncio.sleep(TRAINING[Modulation.V21])
    for frame in frames:
        await asyncio.sleep(8 * (len(frame) + 3) / 300)
        end.frame(frame)
    end.carrier_off()


async def send_octets(end: End, modulation: Modulation, octets: bytes) -> None:
    end.carrier_on(modulation)
    await asyncio.sleep(TRAINING[modulation])
    for start in range(0, len(octets), 100):
        await asyncio.sleep(8 * len(octets[start : start + 100]) / modulation.bps)
        end.octets(octets[start : start + 100])
    end.carrier_off()


def desk_test(play: Callable[[Desk], Awaitable[None]], firmware: Firmware | None = None) -> None:
    async def whole() -> None:
        async with asyncio.timeout(3600):
            await play(Desk(firmware))

    run(whole())
