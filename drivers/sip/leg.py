"""One call of a trunk from its line's side: its sockets, its sound until T.38 begins, then its T.38."""

import asyncio
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from drivers.g711.hearing import Heard
from drivers.g711.stream import Audio
from drivers.sip.call import Call
from drivers.sip.effects import Accepted, Changed, Effect, NotChanged, Over, Progress, Refused
from drivers.sip.negotiation import Agreement, Image, Negotiation, Sound, Stream
from drivers.sip.ports import Pair
from drivers.sip.switching import Begins, End, Switching
from drivers.sip.t38 import T38, Correction, TcfMethod
from drivers.sip.transactions import Why
from drivers.t38.endpoint import Endpoint
from drivers.t38.media import ASSUMED, Agreed, Media
from drivers.t38.route import UdpRoute
from drivers.t38.udptl import Protection
from drivers.witness import Seen, Wire, Witness
from t30.line import Cause, LineError, NotConnected, Tone

if TYPE_CHECKING:
    from drivers.sip.trunk import Trunk

CAUSES: Mapping[int, Cause] = {
    403: Cause.REJECTED,
    404: Cause.UNALLOCATED,
    408: Cause.TIMEOUT,
    410: Cause.UNALLOCATED,
    480: Cause.NO_ANSWER,
    484: Cause.UNALLOCATED,
    486: Cause.BUSY,
    487: Cause.NO_ANSWER,
    503: Cause.CONGESTION,
    504: Cause.TIMEOUT,
    600: Cause.BUSY,
    603: Cause.REJECTED,
    604: Cause.UNALLOCATED,
}
"""Final response to an INVITE -> why the call did not come about; of others the class decides."""
NOT_THAT = frozenset({415, 488, 606})
"""Responses to an INVITE that refuse what it offers, not the call."""

LARGEST_DATAGRAM = 1400
"""Octets that we take in one datagram; any more would come in fragments."""
LARGEST_BUFFER = 2000
"""Octets that we keep, as gateways say it; in truth they are not counted here."""
MOST_EARLY = 64
"""Datagrams that are kept which come before the answer that says what they are."""
MOST_SEEN = 256
"""Messages and datagrams that are kept for a witness who has not come yet."""


class Leg:
    """A call, from before its INVITE until its sockets are released.

    Attributes:
        call: None before it is made.
        begun: is done when T.38 has begun (None), or when it is known that it will not (why).
        endpoint: of T.38, once that has begun.
        witness: is shown all that goes over the network in this call, also what went before it was named.
    """

    def __init__(self, trunk: "Trunk", pair: Pair, *, called: bool) -> None:
        loop = asyncio.get_running_loop()
        self.call: Call | None = None
        self.begun: Final[asyncio.Future[NotConnected | None]] = loop.create_future()
        self.endpoint: Endpoint | None = None
        self.over = False
        self._trunk = trunk
        self._options = trunk.options
        self._pair = pair
        self._called = called
        self._negotiation = Negotiation(host=trunk.media_host, session=trunk.random.getrandbits(31))
        self._sound_stream = Sound(pair.sound.local[1], self._options.laws)
        self._image_stream = Image(pair.image.local[1], _wishes(trunk))
        self._audio: Audio | None = None
        self._switching: Switching | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hosts = trunk.hosts
        self._early: list[bytes] = []
        self._witness: Witness | None = None
        self._unseen: list[Seen] = []
        # Nobody may ever wait for a call that is not answered: what it came to is no fault then.
        self.begun.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def witness(self) -> Witness | None:
        """Who is shown what goes over the network."""
        return self._witness

    @witness.setter
    def witness(self, witness: Witness | None) -> None:
        self._witness = witness
        if witness is not None:
            unseen, self._unseen = self._unseen, []
            for seen in unseen:
                witness(seen)

    # --------------------------------------------------------------------------------------------- what the line does

    async def dial(self, number: str) -> NotConnected | None:
        """Call somebody behind the trunk; return once T.38 has begun (None), or why it will not.

        Raises:
            LineError: if the trunk cannot be reached at all.
        """
        streams: tuple[Stream, ...] = (self._sound_stream,)
        if self._options.begins is Begins.OFFER:
            streams = (self._image_stream,)
            self._expect()
        targets = await self._trunk.targets()
        if self.over:  # hung up meanwhile
            return await self.begun
        self.call = self._trunk.invite(self, number, (self._negotiation, streams, targets))
        self.call.takes = self._takes
        self._at(self._trunk.now() + self._options.ring, self._rang_out)
        return await asyncio.shield(self.begun)

    def ring(self, call: Call) -> None:
        """Take a call that comes in, and let it ring."""
        self.call = call
        call.takes = self._takes
        self._trunk.do(call.ring(self._trunk.now()))

    async def answer(self) -> NotConnected | None:
        """Answer the call; return once T.38 has begun (None), or why it will not."""
        assert self.call is not None
        if not self.over:
            self._trunk.do(self.call.answer(self._negotiation, self._takes(), self._trunk.now()))
        return await asyncio.shield(self.begun)

    def hang_up(self) -> None:
        """End the call, however far it came, and release its ports. May be called more than once."""
        self._finish(NotConnected(Cause.NO_CARRIER))

    # ----------------------------------------------------------------------------------------- what the agent tells

    def take(self, effect: Effect) -> None:
        """Take note of what became of the call."""
        if self.over:
            return
        match effect:
            case Accepted(_, agreement) | Changed(_, agreement):
                self._agreed(agreement)
            case NotChanged(_, status):
                self._not_changed(status)
            case Refused(_, status, reason):
                self._end(self._refused(status, reason))
            case Over(_, cause):
                self._dropped(cause)
            case Progress():
                pass

    def show(self, seen: Seen) -> None:
        """Show something to the witness, or keep it until there is one."""
        if self._witness is not None:
            self._witness(seen)
        elif len(self._unseen) < MOST_SEEN:
            self._unseen.append(seen)

    def _takes(self) -> tuple[Stream, ...]:
        """Return what they would be granted now: no way back from T.38, and no T.38 for a fax that began in sound."""
        if self.endpoint is not None:
            return (self._image_stream,)
        if self._switching is not None and not self._switching.takes:
            return (self._sound_stream,)
        return (self._image_stream, self._sound_stream)

    def _refused(self, status: int, reason: str) -> NotConnected:
        """Return what it means that our INVITE got this final response, or none."""
        if reason == Why.UNDELIVERABLE.value:
            return NotConnected(Cause.NETWORK, detail=self._trunk.unreachable)
        if reason == Why.NO_RESPONSE.value:
            return NotConnected(Cause.TIMEOUT)
        return NotConnected(self._cause(status), detail=f"{status} {reason}".strip())

    def _cause(self, status: int) -> Cause:
        """Return what a final response to our INVITE means."""
        if status in NOT_THAT:
            return Cause.NO_T38 if self._options.begins is Begins.OFFER else Cause.NETWORK
        return CAUSES.get(status, Cause.NETWORK if 500 <= status < 600 else Cause.REJECTED)

    def _agreed(self, agreement: Agreement) -> None:
        if isinstance(agreement.ours, Image):
            self._go_image(agreement)
        else:
            self._go_sound(agreement)

    def _not_changed(self, status: int) -> None:
        """Our offer of T.38 was refused: stay with sound, which an answer that refuses every stream has ended, too."""
        if self._switching is None or self.endpoint is not None or self.call is None:
            return
        now = self._trunk.now()
        # Once only: an answer that refuses the sound as well says that the call carries nothing.
        again = status < 300 and not self._switching.refused
        self._switching.was_refused(now)
        if again:
            self._trunk.do(self.call.offer((self._sound_stream,), now))
        self._watch()

    def _dropped(self, cause: str) -> None:
        fault = LineError(f"the call is over: {cause}", code="line.dropped")
        if self.endpoint is not None:
            self.over = True
            self.endpoint.fail(fault)
            return
        self._end(NotConnected(Cause.NO_CARRIER, detail=cause))

    # ---------------------------------------------------------------------------------------------------------- sound

    def _go_sound(self, agreement: Agreement) -> None:
        assert agreement.law is not None and agreement.payload_type is not None
        self._aim(self._pair.sound, agreement)
        if self._audio is not None:
            return
        audio = Audio(self._pair.sound, agreement.law, agreement.payload_type, self._trunk.clock, self._trunk.random)
        audio.heard = self._heard
        audio.start()
        audio.play(Tone.CED if self._called else Tone.CNG)
        self._audio = audio
        now = self._trunk.now()
        self._switching = Switching(self._options.begins, self._called, self._options.begins_after, now)
        self._watch()

    def _heard(self, what: Heard) -> None:
        if self._switching is not None:
            self._switching.heard(what, self._trunk.now())
            self._watch()

    def _watch(self) -> None:
        """Do what is due in the time before T.38, and come again."""
        if self._switching is None or self.call is None or self.endpoint is not None or self.over:
            return
        now = self._trunk.now()
        if self._switching.offered(now):
            self._expect()
            self._trunk.do(self.call.offer((self._image_stream,), now))
        end = self._switching.end(now)
        if end is None:
            self._at(self._switching.wakes, self._watch)
        elif end is End.NOBODY:
            self._finish(NotConnected(Cause.NO_CARRIER))
        else:
            self._finish(NotConnected(Cause.NO_T38, detail=end.value))

    def _rang_out(self) -> None:
        """Give up a call that nobody answers."""
        self._finish(NotConnected(Cause.NO_ANSWER))

    def _at(self, when: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, what)

    # ---------------------------------------------------------------------------------------------------------- T.38

    def _go_image(self, agreement: Agreement) -> None:
        self._aim(self._pair.image, agreement)
        if self.endpoint is not None:
            return
        self._quiet()
        self.endpoint = Endpoint(Media(_agreed(self._trunk, agreement)), self._send, self._trunk.clock)
        self.endpoint.start()
        early, self._early = self._early, []
        for datagram in early:
            self.endpoint.take(datagram)
        if not self.begun.done():
            self.begun.set_result(None)

    def _send(self, datagram: bytes) -> None:
        route = self._pair.image
        if route.peer is not None:
            self.show(Seen(self._trunk.now(), Wire.UDPTL, True, route.local, route.peer, datagram))
        route.send(datagram)

    def _take(self, datagram: bytes) -> None:
        route = self._pair.image
        if route.peer is not None:
            self.show(Seen(self._trunk.now(), Wire.UDPTL, False, route.local, route.peer, datagram))
        if self.endpoint is not None:
            self.endpoint.take(datagram)
        elif len(self._early) < MOST_EARLY:
            self._early.append(datagram)

    def _fits(self, datagram: bytes) -> bool:
        """Tell whether a datagram from another port or host of theirs goes on with T.38: then it has moved there."""
        return self.endpoint is None or self.endpoint.media.fits(datagram)

    # ------------------------------------------------------------------------------------------------------- the rest

    def _aim(self, route: UdpRoute, agreement: Agreement) -> None:
        """Talk to where they say; listen to that host, and to where their signalling comes from, too."""
        said = _address(agreement.host)
        # A name in place of an address is rare, and to look it up would hold up every call: signalling shows the way.
        host = str(said) if said is not None else next(iter(self._trunk.hosts))
        self._hosts = self._trunk.hosts | {host}
        # 0.0.0.0 is how calls were once put on hold: nobody is there until something comes, or until they say where.
        peer = None if said is not None and said.is_unspecified else (host, agreement.port)
        route.aim(peer, also=self._hosts, networks=self._options.media_from)
        if route is self._pair.image:
            route.receiver, route.fits = self._take, self._fits

    def _expect(self) -> None:
        """Listen for T.38 that comes before the answer to our offer of it."""
        self._pair.image.aim(None, also=self._hosts, networks=self._options.media_from)
        self._pair.image.receiver = self._take

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._audio is not None:
            self._audio.close()
            self._audio = None

    def _finish(self, result: NotConnected) -> None:
        """End the call from this side."""
        ended, self.over = self.over, True
        if self.call is not None and not ended:
            self._trunk.do(self.call.hang_up(self._trunk.now()))
        self._end(result)

    def _end(self, result: NotConnected) -> None:
        """Release everything; whoever waits is told."""
        self.over = True
        self._quiet()
        if self.endpoint is not None:
            self.endpoint.close()
        self._pair.close()
        self._trunk.forget(self)
        if not self.begun.done():
            self.begun.set_result(result)


def _wishes(trunk: "Trunk") -> T38:
    """Return what we say of our T.38."""
    options = trunk.options
    protection = options.protection
    correction = Correction.FEC if protection.span else Correction.REDUNDANCY
    return T38(
        version=options.version,
        fill_bit_removal=options.fill,
        transcoding_mmr=options.mmr,
        max_buffer=LARGEST_BUFFER,
        max_datagram=LARGEST_DATAGRAM,
        tcf=TcfMethod.LOCAL if options.local_tcf else TcfMethod.TRANSFERRED,
        correction=correction if protection.span or protection.redundancy else Correction.NONE,
    )


def _agreed(trunk: "Trunk", agreement: Agreement) -> Agreed:
    """Return what an agreement means for our packets."""
    said = agreement.t38
    assert said is not None
    protection = trunk.options.protection
    if said.correction is Correction.NONE:
        protection = Protection(0)
    elif protection.span and said.correction is not Correction.FEC:
        protection = Protection()  # they cannot repair by parity; what is repeated every receiver understands
    return Agreed(
        version=said.version,
        protection=protection,
        max_datagram=trunk.options.max_datagram or said.max_datagram or ASSUMED,
        local_tcf=said.tcf is TcfMethod.LOCAL,
        fill_bit_removal=said.fill_bit_removal,
        transcoding_mmr=said.transcoding_mmr,
    )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return a host as a number; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
