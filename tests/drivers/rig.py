"""The driver on simulated modems, in virtual time: one line and a bare far end, or two fax machines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.cable import Cable
from simulators.circuit import End, Faults
from simulators.clock import run
from simulators.modem import Firmware, Modem
from simulators.switch import Switch
from t30.line import Dial, LineClock
from t30.rates import Modulation

NO_FAULTS = Faults()


@asynccontextmanager
async def modem_line(
    switch: Switch,
    number: str,
    *,
    firmware: Firmware | None = None,
    options: Options | None = None,
    hardware_flow: bool = True,
    delay: float = 0.0,
) -> AsyncIterator[tuple[Class1Line, Cable]]:
    """Put a modem on a switch and the driver on the modem."""
    modem = Modem(switch.attach(number), firmware=firmware or Firmware())
    working = asyncio.get_running_loop().create_task(modem.run(), name=f"modem {number}")
    cable = Cable(modem, hardware_flow=hardware_flow, delay=delay)
    line = await Class1Line.attach(cable, options or Options(), port=f"the modem at {number}")
    try:
        yield line, cable
    finally:
        await line.close()
        working.cancel()
        await asyncio.wait([working])


def in_call(
    body: Callable[[Class1Line, End, Cable], Awaitable[None]],
    *,
    firmware: Firmware | None = None,
    options: Options | None = None,
    hardware_flow: bool = True,
) -> None:
    """Run a test on a line that has called a bare end, which has sent flags; nothing was listened to yet."""

    async def test() -> None:
        switch = Switch(LineClock(asyncio.get_running_loop().time))
        far = switch.attach("200")
        async with modem_line(switch, "100", firmware=firmware, options=options, hardware_flow=hardware_flow) as (
            line,
            cable,
        ):
            dialling = asyncio.create_task(line.perform(Dial("200")))
            await far.ringing()
            end = far.answer()
            assert end is not None
            await asyncio.sleep(3.0)
            await say(end, bytes.fromhex("FF 13 80 00 10 F8 80"))
            await dialling
            await body(line, end, cable)

    run(test())


async def say(end: End, *frames: bytes) -> None:
    """Send one V.21 signal."""
    end.carrier_on(Modulation.V21)
    await asyncio.sleep(1.0)
    for frame in frames:
        await asyncio.sleep((len(frame) + 3) * 8 / 300)
        end.frame(frame)
    end.carrier_off()
