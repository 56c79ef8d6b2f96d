"""A line to one T.38 endpoint straight over UDP, with no signalling: ``udptl:LOCALHOST:PORT@PEERHOST:PORT?role=...``.

Nor can one hang up: after the goodbye there is silence.
"""

from typing import Self

from drivers.registry import LineUrl
from drivers.t38.endpoint import Endpoint
from drivers.t38.media import Media, Stream
from drivers.t38.options import Options
from drivers.t38.pages import prepare
from drivers.t38.route import Route, UdpRoute
from drivers.t38.straight import StraightLine
from drivers.witness import Seen, Wire, Witness
from t30.line import Cause, NotConnected
from t30.timers import T0

REST = 1.0
"""Seconds of silence after a call before another can begin."""


class UdptlLine(StraightLine):
    """A line on a route to one peer.

    Attributes:
        witness: is shown every datagram, whether a call is up or not.
    """

    def __init__(self, route: Route, options: Options) -> None:
        super().__init__(options)
        self.witness: Witness | None = None
        self._route = route
        self._rest_until = 0.0
        route.receiver = self._take
        route.fits = self._fits

    @classmethod
    async def open(cls, url: LineUrl) -> Self:
        """Open the line.

        Raises:
            LineError: ``usage`` if the URL makes no sense, ``line.unavailable`` if the port is not to be had.
        """
        options = Options.of(url)
        await prepare(fill=options.agreed.fill_bit_removal, mmr=options.agreed.transcoding_mmr)
        return cls(await UdpRoute.open(options.local, options.peer), options)

    async def close(self) -> None:
        """Release the port."""
        await super().close()
        self._route.close()

    async def _called(self) -> None:
        await self._meet(wait=None)

    async def _reached(self) -> NotConnected | None:
        return None if await self._meet(wait=T0) else NotConnected(Cause.NO_ANSWER)

    async def _meet(self, *, wait: float | None) -> bool:
        """Look for the other side until it is heard; return whether it was in time."""
        self._begin(Endpoint(self._stream(), self._send, self._clock))
        return await self._met(wait=wait)

    def _stream(self) -> Stream:
        return Media(self._options.agreed)

    def _send(self, datagram: bytes) -> None:
        self._show(datagram, sent=True)
        self._route.send(datagram)

    def _show(self, datagram: bytes, *, sent: bool) -> None:
        if self.witness is not None and self._route.peer is not None:
            ends = self._route.local, self._route.peer
            self.witness(Seen(self._clock.now(), Wire.UDPTL, sent, *ends, datagram))

    def _fits(self, datagram: bytes) -> bool:
        """Tell whether a datagram from another port of the peer goes on with its stream: then it has moved there."""
        return self._endpoint is None or self._endpoint.media.fits(datagram)

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

    def _hang_up(self) -> None:
        if self._endpoint is not None:
            self._rest_until = self._clock.now() + REST
        super()._hang_up()
