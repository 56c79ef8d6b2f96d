"""A line to one T.38 endpoint straight over UDP, with no signalling: ``udptl:LOCALHOST:PORT@PEERHOST:PORT?role=...``.

There is nobody to dial and nothing that rings. Each side says that there is no signal until it hears the other; that it
does is the call. Nor can one hang up: after the goodbye there is silence, and silence for a minute ends a call.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Self

from drivers.registry import LineUrl
from drivers.t38.endpoint import Endpoint, Timing
from drivers.t38.media import Agreed, Media
from drivers.t38.pages import prepare
from drivers.t38.route import Address, Route, UdpRoute
from drivers.t38.udptl import Protection
from drivers.witness import Seen, Wire, Witness
from t30.line import (
    Answer,
    AwaitCall,
    Cause,
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
from t30.timers import T0

SILENT = 60.0
"""Seconds without a packet after which a call is over."""
REST = 1.0
"""Seconds of silence after a call before another can begin."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a ``udptl:`` URL says."""

    local: Address
    peer: Address
    calls: bool | None = None
    """Whether it is the caller's end; None: that follows from what is done with it."""
    agreed: Agreed = field(default_factory=Agreed)
    speed: float = 1.0

    @classmethod
    def of(cls, url: LineUrl) -> Self:
        """Read a URL.

        Raises:
            LineError: with code ``usage``.
        """
        local, at, peer = url.address.partition("@")
        if not at:
            raise _usage(url, "it is udptl:LOCALHOST:PORT@PEERHOST:PORT")
        given = dict(url.options)
        role = given.pop("role", None)
        if role not in {None, "caller", "answerer"}:
            raise _usage(url, f"role={role} is neither caller nor answerer")
        tcf = given.pop("tcf", "transferred")
        if tcf not in {"transferred", "local"}:
            raise _usage(url, f"tcf={tcf} is neither transferred nor local")
        span = _number(url, given, "fec", 0, 5)
        protection = Protection(0 if span else _number(url, given, "redundancy", 3, 7), span)
        agreed = Agreed(
            version=_number(url, given, "version", 0, 3),
            protection=protection,
            max_datagram=_number(url, given, "max_datagram", 400, 65507),
            local_tcf=tcf == "local",
            fill_bit_removal=_switch(url, given, "fill"),
            transcoding_mmr=_switch(url, given, "mmr"),
        )
        speed = _number(url, given, "speed", 1, 1000)
        if given:
            names = "role, version, redundancy, fec, max_datagram, tcf, fill, mmr and speed"
            raise _usage(url, f"there is no option {', '.join(sorted(given))}; there are {names}")
        calls = None if role is None else role == "caller"
        return cls(_address(url, local), _address(url, peer), calls, agreed, float(speed))


def _number(url: LineUrl, given: dict[str, str], name: str, default: int, most: int | None = None) -> int:
    text = given.pop(name, None)
    if text is None:
        return default
    if not text.isdecimal() or (most is not None and int(text) > most):
        raise _usage(url, f"{name}={text} is not a number up to {most}")
    return int(text)


def _switch(url: LineUrl, given: dict[str, str], name: str) -> bool:
    text = given.pop(name, "off")
    if text not in {"on", "off"}:
        raise _usage(url, f"{name}={text} is neither on nor off")
    return text == "on"


def _address(url: LineUrl, text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise _usage(url, f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _usage(url: LineUrl, what: str) -> LineError:
    return LineError(f"{url}: {what}", code="usage")


class UdptlLine:
    """A line on a route to one peer.

    Attributes:
        witness: is shown every datagram, whether a call is up or not.
    """

    sends = receives = frozenset(Modulation)

    def __init__(self, route: Route, options: Options) -> None:
        self.witness: Witness | None = None
        self._route = route
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._clock = LineClock(self._loop.time, options.speed)
        self._endpoint: Endpoint | None = None
        self._timing = Timing()
        self._early: list[bytes] = []
        self._heard = asyncio.Event()
        self._rest_until = 0.0
        self._watch: asyncio.TimerHandle | None = None
        route.receiver = self._take

    @classmethod
    async def open(cls, url: LineUrl) -> Self:
        """Open the line.

        Raises:
            LineError: ``usage`` if the URL makes no sense, ``line.unavailable`` if the port is not to be had.
        """
        options = Options.of(url)
        await prepare(options.agreed)
        return cls(await UdpRoute.open(options.local, options.peer), options)

    @property
    def clock(self) -> LineClock:
        """The clock that this line's times are counted on."""
        return self._clock

    @property
    def media(self) -> Media | None:
        """The stream of the call that is up: what was agreed on, and what came of its datagrams."""
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
                await self._meet(wait=None)
                return Ringing("", "")
            case Dial():
                self._check_role(calls=True)
                if not await self._meet(wait=T0):
                    return NotConnected(Cause.NO_ANSWER)
                return self._connected()
            case Answer():
                return self._connected()
            case HangUp():
                self._hang_up()
                return Sent()
        if self._endpoint is None:
            raise LineError("there is no call on this line")
        return await self._endpoint.perform(action)

    async def close(self) -> None:
        """Release the port."""
        self._hang_up()
        self._route.close()

    def _check_role(self, *, calls: bool) -> None:
        if self._options.calls not in {None, calls}:
            role = "caller" if self._options.calls else "answerer"
            raise LineError(f"this line has role={role}, so it {'calls' if role == 'caller' else 'answers'} only")

    async def _meet(self, *, wait: float | None) -> bool:
        """Look for the other side until it is heard; return whether it was in time."""
        self._heard.clear()
        self._early.clear()
        media = Media(self._options.agreed)
        endpoint = Endpoint(media, self._send, self._clock)
        endpoint.start()
        self._endpoint, self._timing = endpoint, endpoint.timing
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

    def _send(self, datagram: bytes) -> None:
        self._show(datagram, sent=True)
        self._route.send(datagram)

    def _show(self, datagram: bytes, *, sent: bool) -> None:
        if self.witness is not None and self._route.peer is not None:
            ends = self._route.local, self._route.peer
            self.witness(Seen(self._clock.now(), Wire.UDPTL, sent, *ends, datagram))

    def _take(self, datagram: bytes) -> None:
        self._show(datagram, sent=False)
        if self._endpoint is None:
            self._rest_until = self._clock.now() + REST
            return
        if not self._heard.is_set():
            if self._clock.now() < self._rest_until:
                self._rest_until = self._clock.now() + REST
                return
            self._heard.set()
        self._endpoint.take(datagram)

    def _look(self) -> None:
        """End the call when nothing was heard for long."""
        assert self._endpoint is not None
        left = self._endpoint.heard_at + SILENT - self._clock.now()
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
            self._rest_until = self._clock.now() + REST
