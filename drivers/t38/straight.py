"""A line to one T.38 endpoint with no signalling: what ``udptl:`` and ``tpkt:`` lines have in common.

There is nobody to dial and nothing that rings. Each side says that there is no signal until it hears the other; that it
does is the call. Silence for a minute ends one.
"""

import asyncio
from abc import ABC, abstractmethod

from drivers.t38.endpoint import Endpoint, Timing
from drivers.t38.media import Stream
from drivers.t38.options import Options
from t30.line import (
    Answer,
    AwaitCall,
    Connected,
    Dial,
    HangUp,
    LineAction,
    LineClock,
    LineError,
    LineEvent,
    NotConnected,
    Ringing,
    Sent,
)
from t30.rates import Modulation

SILENT = 60.0
"""Seconds without a packet, while we say nothing either, after which a call is over."""


class StraightLine(ABC):
    """A line that knows whom it talks to."""

    sends = receives = frozenset(Modulation)

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._clock = LineClock(self._loop.time, options.speed)
        self._endpoint: Endpoint | None = None
        self._timing = Timing()
        self._heard = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None

    @property
    def clock(self) -> LineClock:
        """The clock that this line's times are counted on."""
        return self._clock

    @property
    def media(self) -> Stream | None:
        """The stream of the call that is up: what was agreed on, and what came of its packets."""
        return self._endpoint.media if self._endpoint else None

    @property
    def timing(self) -> Timing:
        """How punctual the last call was."""
        return self._timing

    async def perform(self, action: LineAction) -> LineEvent:
        """Do one thing and say how it went.

        Raises:
            LineError: if there is no call, or nothing has been heard for a minute.
        """
        match action:
            case AwaitCall():
                self._check_role(calls=False)
                await self._called()
                return Ringing("", "")
            case Dial():
                self._check_role(calls=True)
                return await self._reached() or self._connected()
            case Answer():
                self._answered()
                return self._connected()
            case HangUp():
                self._hang_up()
                return Sent()
        if self._endpoint is None:
            raise LineError("there is no call on this line")
        return await self._endpoint.perform(action)

    @abstractmethod
    async def _called(self) -> None:
        """Wait until the other side calls."""

    @abstractmethod
    async def _reached(self) -> NotConnected | None:
        """Call the other side; return why that did not come about, if so."""

    def _answered(self) -> None:  # noqa: B027 (not every line has to do anything)
        """Take the call that rang."""

    async def close(self) -> None:
        """Hang up, and release what the line holds."""
        self._hang_up()

    def _check_role(self, *, calls: bool) -> None:
        if self._options.calls not in {None, calls}:
            role = "caller" if self._options.calls else "answerer"
            raise LineError(f"this line has role={role}, so it {'calls' if role == 'caller' else 'answers'} only")

    def _begin(self, endpoint: Endpoint) -> None:
        """Begin to speak, and to listen for the other side."""
        self._heard.clear()
        self._endpoint, self._timing = endpoint, endpoint.timing
        endpoint.start()

    async def _met(self, *, wait: float | None) -> bool:
        """Wait until the other side is heard; return whether it was in time."""
        try:
            async with asyncio.timeout(None if wait is None else self._clock.real(wait)):
                await self._heard.wait()
        except TimeoutError:
            self._hang_up()
            return False
        except asyncio.CancelledError:
            self._hang_up()
            raise
        return True

    def _connected(self) -> Connected:
        if self._endpoint is None:
            raise LineError("there is no call on this line")
        self._look()
        return Connected()

    def _look(self) -> None:
        """End the call when nothing was heard for long."""
        assert self._endpoint is not None
        left = self._endpoint.quiet_since + SILENT - self._clock.now()
        if left <= 0:
            self._endpoint.fail(LineError(f"nothing was heard for {SILENT:g} s", code="line.dropped"))
        else:
            self._watch = self._loop.call_later(self._clock.real(left), self._look)

    def _hang_up(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None
