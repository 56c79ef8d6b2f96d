"""Recorded calls between two modems on a simulated line: bare ones, or Class 1 modems with the driver on them."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from faxgw.calls import run_call
from faxgw.trace.record import Recorder
from simulators.clock import run
from simulators.faults import Faults
from simulators.line import CircuitLine
from simulators.machine import Habit
from simulators.switch import Switch
from simulators.tray import Sheet, Tray
from t30.answering import answering
from t30.calling import calling, polling
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.line import FaxLine, LineClock
from t30.outcome import Direction, Outcome
from t30.session import Session
from tests.drivers.rig import modem_line
from tests.faxgw.trace.calls import ANSWERER, CALLER, IN, OUT
from tests.simulators.calls import sheet

LONGEST = 3600.0
"""Seconds of the line by which a call is over."""
NUMBER, OURS = "15550100", "49301234567"


def modem_calls(
    folder: Path,
    pages: Sequence[Sheet] = (sheet(1),),
    *,
    scheme: str = "sim",
    caller: Station = CALLER,
    answerer: Station = ANSWERER,
    habits: tuple[Habit | None, Habit | None] = (None, None),
    faults: Faults = Faults(),  # noqa: B008
    number: str = NUMBER,
    slow: int = 0,
    cancel_at: float | None = None,
    polls: bool = False,
) -> tuple[Path, Path]:
    """Send pages from one modem to another; return both ends' traces, the caller's first.

    With ``scheme`` ``class1`` the driver is on simulated modems, else the line is the modem. ``habits``: how each end
    misbehaves. ``slow``: how often the answerer is not ready. ``cancel_at``: when the caller's operator ends the call.
    ``polls``: the caller fetches the pages, which the answerer has.
    """

    async def call() -> None:
        switch = Switch(LineClock(asyncio.get_running_loop().time), faults=faults)
        async with AsyncExitStack() as rig:
            ours, theirs = [await _line(rig, switch, each, scheme) for each in (OURS, NUMBER)]
            answer = Recorder(folder / IN, direction=Direction.IN, line=f"{scheme}:", station=answerer)
            source, target = Tray(pages), Tray(slow=slow)
            near, far = (target, source) if polls else (source, target)
            waiting = asyncio.create_task(_end(theirs, _session(answering(answerer), habits[1]), far, answer))
            direction = Direction.IN if polls else Direction.OUT
            recorder = Recorder(folder / OUT, direction=direction, line=f"{scheme}:", station=caller)
            procedure = polling(caller, number) if polls else calling(caller, number)
            sending = asyncio.create_task(_end(ours, _session(procedure, habits[0]), near, recorder))
            if cancel_at is not None:
                asyncio.get_running_loop().call_later(cancel_at, sending.cancel, "the operator ended the call")
            await asyncio.wait([sending], timeout=LONGEST)
            await asyncio.wait([waiting], timeout=120.0)
            for each in (sending, waiting):
                each.cancel()
            await asyncio.gather(sending, waiting, return_exceptions=True)

    run(call())
    return folder / OUT, folder / IN


async def _line(rig: AsyncExitStack, switch: Switch, number: str, scheme: str) -> FaxLine:
    if scheme == "class1":
        line, _ = await rig.enter_async_context(modem_line(switch, number))
        return line
    return CircuitLine(switch.attach(number), switch.clock)


def _session(procedure: Procedure[Outcome], habit: Habit | None) -> Session:
    return Session(habit.live(procedure) if habit else procedure)


async def _end(line: FaxLine, session: Session, tray: Tray, recorder: Recorder) -> None:
    """Make the call of one end, and write it down."""
    with recorder:
        recorder.outcome(await run_call(session, line, tray, [recorder]))
