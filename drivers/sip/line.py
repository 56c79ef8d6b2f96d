"""A channel of a SIP trunk as a fax line: ``sip:[USER@]HOST[:PORT]?...``. Lines of the same URL share the trunk."""

from typing import Self

from drivers.registry import LineUrl
from drivers.sip.leg import Leg
from drivers.sip.options import TrunkOptions
from drivers.sip.trunk import Trunk
from drivers.sip.uri import as_dialled
from drivers.t38.endpoint import Timing
from drivers.t38.media import Media
from drivers.witness import Witness
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

GOODBYE = 0.5
"""Seconds that the end of their last signal is waited for before we hang up."""


class SipLine:
    """One channel: one call at a time, going out or coming in."""

    sends = receives = frozenset(Modulation)

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self._leg: Leg | None = None
        self._timing = Timing()
        self._witness: Witness | None = None
        self._closed = False

    @classmethod
    async def open(cls, url: LineUrl) -> Self:
        """Open a channel, and the trunk if this is the first.

        Raises:
            LineError: ``usage`` if the URL makes no sense, ``line.unavailable`` if the trunk is not to be had.
        """
        return cls(await Trunk.shared(f"{url}?{url.options}", TrunkOptions.of(url)))

    @property
    def clock(self) -> LineClock:
        """The clock that this line's times are counted on."""
        return self._trunk.clock

    @property
    def media(self) -> Media | None:
        """The T.38 stream of the call that is up."""
        media = self._leg.endpoint.media if self._leg and self._leg.endpoint else None
        return media if isinstance(media, Media) else None

    @property
    def timing(self) -> Timing:
        """How punctual the last call was."""
        return self._timing

    @property
    def witness(self) -> Witness | None:
        """Who is shown the signalling and the packets of the calls of this line."""
        return self._witness

    @witness.setter
    def witness(self, witness: Witness | None) -> None:
        self._witness = witness
        if self._leg is not None:
            self._leg.witness = witness

    async def perform(self, action: LineAction) -> LineEvent:
        """Do one thing and say how it went.

        Raises:
            LineError: if there is no call, the call is over, or the trunk is not to be had.
        """
        match action:
            case AwaitCall():
                return await self._await_call()
            case Dial(number):
                return await self._dial(number)
            case Answer():
                return await self._answer()
            case HangUp():
                await self._say_goodbye()
                return Sent()
        if self._leg is None or self._leg.endpoint is None:
            raise LineError("there is no call on this line")
        return await self._leg.endpoint.perform(action)

    async def close(self) -> None:
        """Hang up, and close the trunk if this was its last channel."""
        if not self._closed:
            self._closed = True
            self._hang_up()
            await self._trunk.release()

    async def _await_call(self) -> Ringing:
        self._hang_up()
        leg = await self._trunk.incoming()
        self._take(leg)
        assert leg.call is not None
        return Ringing(leg.call.caller, leg.call.dialled)

    async def _dial(self, number: str) -> LineEvent:
        self._hang_up()
        user = as_dialled(number)
        if not user:
            raise LineError(f"{number!r} is not a number that can be called", code="usage")
        leg = await self._trunk.outgoing()
        self._take(leg)
        return self._connected(leg, await leg.dial(user))

    async def _answer(self) -> LineEvent:
        leg = self._leg
        if leg is None:
            return NotConnected(Cause.NO_CARRIER)
        result = await leg.answer()
        if result is not None and result.cause is Cause.NO_T38:
            raise LineError(f"no T.38 in this call: {result.detail}", code=Cause.NO_T38.value)
        return self._connected(leg, result)

    def _take(self, leg: Leg) -> None:
        self._leg = leg
        leg.witness = self._witness

    def _connected(self, leg: Leg, result: NotConnected | None) -> Connected | NotConnected:
        if result is None and leg.endpoint is not None:
            self._timing = leg.endpoint.timing
        return result or Connected()

    async def _say_goodbye(self) -> None:
        """Hang up, once what they say at the end has been said: cut off, it would look like a failure there."""
        try:
            if self._leg is not None and self._leg.endpoint is not None:
                await self._leg.endpoint.hear_out(GOODBYE)
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._leg is not None:
            self._leg.hang_up()
            self._leg = None
