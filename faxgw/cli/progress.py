"""Shows how a call goes: who is there, at what rate, which page, how much of it."""

import asyncio
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from t30.capabilities import Dcs
from t30.fcf import CONFIRMATIONS, Fcf
from t30.frame import Frame
from t30.identity import decoded
from t30.line import (
    Action,
    AwaitCall,
    Connected,
    Content,
    DataReceived,
    Dial,
    Event,
    FrameReceived,
    LineClock,
    LineError,
    SendData,
    SendFrames,
    Sent,
)
from t30.outcome import CallEnded
from t30.pages import FetchPage, KeepData, PageReady
from t30.rates import Modulation

REFRESH = 0.1

_REFUSALS = {Fcf.RTN, Fcf.PIN, Fcf.ERR}


class Progress:
    """An observer of one call: a bar on a terminal, a line per thing that happened elsewhere.

    Args:
        console: where to show it.
        clock: the line's clock, by which a signal on its way is estimated.
        pages: how many pages there are, if known.
    """

    def __init__(self, console: Console, clock: LineClock, pages: int | None) -> None:
        self._console = console
        self._clock = clock
        self._pages = pages
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._page = 0
        self._fetching = 0
        self._sizes: dict[int, int] = {}
        self._done = 0
        self._signal: tuple[float, Modulation, int] | None = None
        self._rate = ""
        self._saying = b""
        self._block_ends = False
        self._ticker: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("waiting", total=None, amount="")
        if self._console.is_terminal:
            self._ticker = asyncio.get_running_loop().create_task(self._tick())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._ticker:
            self._ticker.cancel()
        self._bar.stop()

    # ----------------------------------------------------------------------------------------------------- observing

    def action(self, action: Action) -> None:
        """Take note of what is being sent."""
        match action:
            case AwaitCall():
                self._show("waiting for a call")
            case Dial(number):
                self._show(f"calling {number}" if number else "calling")
            case SendData(modulation, octets, Content.PAGE):
                self._begin_signal(modulation, len(octets))
            case SendFrames(Modulation.V21, frames):
                self._saying = frames[-1]
            case SendFrames(modulation, frames):
                self._begin_signal(modulation, sum(len(frame) - 4 for frame in frames))
            case FetchPage(index):
                self._fetching = index
            case KeepData(index, _, octets):
                self._page = index
                self._done += len(octets)

    def event(self, event: Event) -> None:
        """Take note of what came."""
        match event:
            case Connected():
                self._say("connected")
            case Sent() if self._saying:
                self._heard_or_said(self._saying)
                self._saying = b""
            case FrameReceived(octets, good=True):
                self._heard_or_said(octets)
            case PageReady(_, octets):
                self._sizes[self._fetching] = len(octets)
            case DataReceived():
                self._show_page()

    def thrown(self, error: LineError | CallEnded, at: float) -> None:
        """Say what ended the call."""
        self._say(f"{error} (after {at:.0f} s)")

    # ------------------------------------------------------------------------------------------------------ internals

    def _heard_or_said(self, octets: bytes) -> None:
        frame = Frame.parse(octets)
        if frame is None:
            return
        match frame.fcf:
            case Fcf.CSI | Fcf.TSI:
                self._say(f"station: {decoded(frame.fif)}")
            case Fcf.DCS:
                dcs = Dcs(frame.fif)
                self._rate = str(dcs.modulation)
                correction = "with" if dcs.ecm else "without"
                self._say(f"training: {dcs.modulation}, {dcs.coding}, {dcs.resolution}, {correction} error correction")
            case Fcf.PPS:
                self._block_ends = frame.fif[:1] != b"\0"
            case Fcf.MPS | Fcf.EOM | Fcf.EOP:
                self._block_ends = True
            case fcf if fcf in CONFIRMATIONS and self._block_ends:
                self._say(f"page {self._page + 1}{self._of()} confirmed")
                self._turn_page()
            case Fcf.MCF if self._signal:
                self._done += self._signal[2]
                self._signal = None
            case fcf if fcf in _REFUSALS:
                self._say(f"page {self._page + 1}{self._of()} not confirmed: {fcf.words if fcf else ''}")
                self._done = 0

    def _turn_page(self) -> None:
        self._sizes.pop(self._page, None)
        self._page += 1
        self._done = 0
        self._block_ends = False
        self._signal = None

    def _begin_signal(self, modulation: Modulation, octets: int) -> None:
        self._signal = (self._clock.now(), modulation, octets)

    def _of(self) -> str:
        return f" of {self._pages}" if self._pages else ""

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _show(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, description=text)

    def _show_page(self) -> None:
        if self._task is None:
            return
        done = self._done
        if self._signal:
            began, modulation, octets = self._signal
            done += min(octets, modulation.octets(max(0.0, self._clock.now() - began)))
        size = self._sizes.get(self._page)
        done = min(done, size) if size else done
        self._bar.update(
            self._task,
            description=f"page {self._page + 1}{self._of()}, {self._rate}",
            total=size,
            completed=done,
            amount=f"{done / size:.0%}" if size else f"{done} octets",
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            if self._signal:
                self._show_page()
