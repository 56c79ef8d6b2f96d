"""A SIP trunk at work: one agent, its transports and its timers on the loop, and the calls of all channels."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any, ClassVar, Self

import structlog

from drivers.sip.agent import Agent
from drivers.sip.call import Call
from drivers.sip.effects import Alive, Effect, Invited, NotRegistered, Over, Refused, Registered, Transmit
from drivers.sip.grammar import SipMalformed
from drivers.sip.headers import NameAddr
from drivers.sip.leg import Leg
from drivers.sip.messages import Request, Response, SipRefused, parse
from drivers.sip.negotiation import Negotiation, Stream
from drivers.sip.options import TrunkOptions
from drivers.sip.place import Place
from drivers.sip.ports import Pair
from drivers.sip.standing import Standing
from drivers.sip.ways import Flow, Target
from drivers.t38.pages import prepare
from drivers.witness import Seen, Wire
from t30.line import LineClock, LineError

log = structlog.get_logger(__name__)

HELD = 5.0
"""Seconds that a call rings while every line that could take it is busy with the end of the last one."""
FAREWELL = 4.0
"""Seconds that a trunk waits for answers to its last requests before it closes its sockets."""


@dataclass(slots=True, eq=False)
class _Shared:
    """A trunk that is open, or about to be, and how many lines still wait for it."""

    opening: "asyncio.Task[Trunk]"
    waiting: int = 0


class Trunk:
    """One trunk, shared by the lines of one URL.

    Attributes:
        options: what the URL says.
        clock: of its lines.
        random: for all that must not be guessed, and for what must not coincide.
        lines: how many share it now: so many calls at once it has.
    """

    _open: ClassVar[dict[tuple[int, str], _Shared]] = {}
    _leaving: ClassVar[dict[tuple[int, str], "asyncio.Task[None]"]] = {}

    def __init__(self, options: TrunkOptions, place: Place, *, name: str, random: Random) -> None:
        self._loop = asyncio.get_running_loop()
        self.options = options
        self.clock = LineClock(self._loop.time)
        self.random = random
        self.lines = 0
        self._name = name
        self._place = place
        self._agent = Agent(place.profile(options), random=random)
        self._legs: dict[Call, Leg] = {}
        self._by_id: dict[str, Leg] = {}
        self._flows: dict[str, Flow] = {}
        self._coming: dict[Call, list[Seen]] = {}
        self._ringing: deque[Leg] = deque()
        self._waiting: deque[asyncio.Future[Leg]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._standing = Standing(options, place, agent=self._agent, do=self.do)
        self._standing.down = self._down
        self._quiet = asyncio.Event()
        place.transports.receiver = self._received

    # ------------------------------------------------------------------------------------------------------- sharing

    @classmethod
    async def shared(cls, name: str, options: TrunkOptions) -> Self:
        """Return the trunk of a URL, opened for its first line; each is to be released.

        One that is about to be closed is waited for, since it has the port.

        Args:
            name: the whole URL, by which lines that share a trunk know it.
            options: what it says.

        Raises:
            LineError: ``line.unavailable`` if it is not to be had.
        """
        key = (id(asyncio.get_running_loop()), name)
        while True:
            while (leaving := cls._leaving.get(key)) is not None:
                await asyncio.wait([leaving])
            shared = cls._open.get(key)
            if shared is None:
                shared = cls._open[key] = _Shared(asyncio.ensure_future(cls._made(name, options)))
            shared.waiting += 1
            try:
                trunk = await asyncio.shield(shared.opening)
            except BaseException:
                shared.waiting -= 1
                cls._leave_if_unused(key, shared)
                raise
            shared.waiting -= 1
            if cls._open.get(key) is shared:  # else it was closed by its last line in this very moment
                trunk.lines += 1
                return trunk  # type: ignore[return-value]

    @classmethod
    async def _made(cls, name: str, options: TrunkOptions) -> "Trunk":
        random = SystemRandom()
        await prepare(fill=options.fill, mmr=options.mmr)
        return cls(options, await Place.open(options, random=random), name=name, random=random)

    async def release(self) -> None:
        """Say that a line needs it no more; the last one closes it."""
        self.lines -= 1
        if self.lines > 0:
            return
        key = (id(self._loop), self._name)
        self._open.pop(key, None)
        await asyncio.shield(self._leave(key, self._close()))

    @classmethod
    def _leave_if_unused(cls, key: tuple[int, str], shared: _Shared) -> None:
        """Close a trunk for which nobody waits any more, and which nobody has; forget one that could not be opened."""
        if cls._open.get(key) is not shared or shared.waiting:
            return
        opening = shared.opening
        failed = opening.done() and (opening.cancelled() or opening.exception() is not None)
        if not opening.done() or failed or not opening.result().lines:
            del cls._open[key]
            if not failed:
                cls._leave(key, cls._abandoned(opening))

    @classmethod
    def _leave(cls, key: tuple[int, str], closing: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Have a trunk closed, though whoever wanted it closed may not wait for that."""
        task = cls._leaving[key] = asyncio.ensure_future(closing)
        task.add_done_callback(lambda _: cls._leaving.pop(key, None))
        return task

    @staticmethod
    async def _abandoned(opening: "asyncio.Task[Trunk]") -> None:
        with suppress(LineError):  # nobody wants to know any more
            trunk = await opening
            await trunk._close()

    async def _close(self) -> None:
        try:
            self._say_goodbye()
            async with asyncio.timeout(FAREWELL):
                while self._agent.busy:
                    self._quiet.clear()
                    await self._quiet.wait()
        except TimeoutError:
            log.info("a trunk did not answer our last requests", trunk=self.options.host)
        finally:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            await self._place.close()

    def _say_goodbye(self) -> None:
        """End all calls, those that are about to ring as well, and the registration."""
        for leg in list(self._legs.values()):
            leg.hang_up()
        for call in list(self._coming):
            self._coming.pop(call, None)
            self.do(call.refuse(480, self.now()))
        self._standing.close()

    # --------------------------------------------------------------------------------------------------- for the lines

    def now(self) -> float:
        """Return the time, in seconds of the trunk's clock."""
        return self._loop.time()

    @property
    def hosts(self) -> frozenset[str]:
        """The numeric addresses from which the trunk signals."""
        return self._place.hosts

    @property
    def media_host(self) -> str:
        """The address for media that the trunk is told."""
        return self._place.media_host

    @property
    def unreachable(self) -> str:
        """Why the trunk could not be reached the last time; "" if the network did not say."""
        return self._place.transports.reason

    async def targets(self) -> tuple[Target, ...]:
        """Return where the trunk is, the best first.

        Raises:
            LineError: ``line.unavailable`` if its name leads nowhere.
        """
        return await self._place.targets()

    async def outgoing(self) -> Leg:
        """Return a call to make.

        Raises:
            LineError: ``line.unavailable`` if there are no ports for it, or the trunk is down.
        """
        if self._standing.fault is not None:
            raise self._standing.fault
        return Leg(self, await self._place.ports.pair(), called=False)

    def invite(self, leg: Leg, number: str, what: tuple[Negotiation, tuple[Stream, ...], tuple[Target, ...]]) -> Call:
        """Send the INVITE of a call: to a number, with these streams, to the first of these targets that takes it."""
        negotiation, streams, targets = what
        caller = self.options.caller
        call, effects = self._agent.invite(
            self.options.to(number),
            negotiation,
            streams,
            targets,
            self.now(),
            caller=NameAddr(self.options.to(caller)) if caller else None,
        )
        self._adopt(leg, call)
        self.do(effects)
        return call

    async def incoming(self) -> Leg:
        """Return the next call that rings. What was handed to somebody who no longer waits is handed to the next.

        Raises:
            LineError: ``line.unavailable`` if the trunk does not register us, or is down.
        """
        await self._standing.ready()
        while self._ringing:
            leg = self._ringing.popleft()
            if not leg.over:
                return leg
        waiting: asyncio.Future[Leg] = self._loop.create_future()
        self._waiting.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._hand(waiting.result())
            raise
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def answered_within(self) -> float:
        """Ask the trunk whether it lives; return the seconds until it answered.

        Raises:
            LineError: ``line.unavailable`` if it does not.
        """
        return await self._standing.answered_within()

    def forget(self, leg: Leg) -> None:
        """Take no more note of a call; its last messages still go their way."""
        if leg.call is not None:
            self._legs.pop(leg.call, None)
        if leg in self._ringing:
            self._ringing.remove(leg)

    def do(self, effects: list[Effect]) -> None:
        """Do what the agent says."""
        try:
            for effect in effects:
                self._one(effect)
        finally:
            self._rearm()

    # --------------------------------------------------------------------------------------------------------- effects

    def _one(self, effect: Effect) -> None:
        match effect:
            case Transmit():
                self._transmit(effect)
            case Invited(call):
                self._invited(call)
            case Registered() | NotRegistered() | Alive():
                self._standing.take(effect)
            case _:
                leg = self._legs.get(effect.call)
                if leg is not None:
                    leg.take(effect)
                if isinstance(effect, Over | Refused):
                    self._coming.pop(effect.call, None)
                    # Its last messages still go their way, and are shown to whoever records it.
                    self._loop.call_later(FAREWELL, self._forget_messages, effect.call.call_id)

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakes = self._agent.wakes
        if wakes is not None and not self._closed:
            self._timer = self._loop.call_at(wakes, self._woken)
        if not self._agent.busy:
            self._quiet.set()

    def _woken(self) -> None:
        self._timer = None
        self.do(self._agent.timer(self.now()))

    # ------------------------------------------------------------------------------------------------------- messages

    def _received(self, octets: bytes, flow: Flow) -> None:
        """Take a message from the network."""
        try:
            message = parse(octets)
        except SipRefused as refused:
            self.do(self._agent.malformed(refused, flow, self.now()))
            return
        except SipMalformed:
            return
        seen = Seen(self.now(), Wire.SIP, False, flow.local, flow.peer, octets, flow.transport.value)
        self._show(message, seen)
        effects = self._agent.received(message, flow, self.now())
        for effect in effects:
            if isinstance(effect, Invited):
                self._coming[effect.call] = [seen]
                if flow.connection:
                    self._flows[effect.call.call_id] = flow
        self.do(effects)

    def _transmit(self, effect: Transmit) -> None:
        """Send a message; a request in a call that came by a connection goes back by it while it is there.

        Who connects from behind address translation, or has no certificate, cannot be connected to.
        """
        flow = self._flows.get(effect.message.call_id)
        if isinstance(effect.to, Target | Flow):
            self._send(effect.message, effect.to)
        elif flow is not None and self._place.transports.holds(flow):
            self._send(effect.message, flow)
        else:
            self._start(self._send_to(effect))

    async def _send_to(self, effect: Transmit) -> None:
        """Send a request in a dialog to its next hop, whose name may have to be looked up."""
        assert not isinstance(effect.to, Target | Flow)
        try:
            target = await self._place.next_hop(effect.to)
        except LineError as fault:
            log.warning("a next hop of the trunk cannot be found", hop=effect.to.host, error=str(fault))
            self._undelivered(effect.message)
            return
        self._send(effect.message, target)

    def _send(self, message: Request | Response, to: Target | Flow) -> None:
        octets = message.octets()
        peer = to.peer if isinstance(to, Flow) else to.address
        local = self._place.transports.local
        self._show(message, Seen(self.now(), Wire.SIP, True, local, peer, octets, to.transport.value))
        self._place.transports.send(octets, to, lambda: self._undelivered(message))

    def _undelivered(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self.do(self._agent.undeliverable(message, self.now()))

    def _forget_messages(self, call_id: str) -> None:
        self._by_id.pop(call_id, None)
        self._flows.pop(call_id, None)

    def _show(self, message: Request | Response, seen: Seen) -> None:
        leg = self._by_id.get(message.call_id)
        if leg is not None:
            leg.show(seen)

    # -------------------------------------------------------------------------------------------------- incoming calls

    def _invited(self, call: Call) -> None:
        """Let a call ring if there is a line for it."""
        shown = self._coming.pop(call, [])
        if self._standing.fault is not None or len(self._legs) + len(self._coming) >= self.lines:
            self.do(call.refuse(486, self.now()))
            return
        self._coming[call] = shown
        self._start(self._ring(call))

    async def _ring(self, call: Call) -> None:
        try:
            pair: Pair = await self._place.ports.pair()
        except LineError as fault:
            log.warning("a call could not be taken", error=str(fault))
            self._coming.pop(call, None)
            self.do(call.refuse(503, self.now()))
            return
        shown = self._coming.pop(call, None)
        if shown is None:  # the caller was gone by then
            pair.close()
            return
        leg = Leg(self, pair, called=True)
        self._adopt(leg, call)
        for seen in shown:
            leg.show(seen)
        leg.ring(call)
        self._hand(leg)

    def _hand(self, leg: Leg) -> None:
        """Give a call that rings to whoever waits, or keep it a moment for the next one."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(leg)
                return
        if not leg.over:
            self._ringing.append(leg)
            self._loop.call_later(HELD, self._drop, leg)

    def _drop(self, leg: Leg) -> None:
        if leg in self._ringing:
            leg.hang_up()

    def _adopt(self, leg: Leg, call: Call) -> None:
        self._legs[call] = leg
        self._by_id[call.call_id] = leg

    def _down(self, fault: LineError) -> None:
        """Let all lines that wait for a call know that there will be none."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(fault)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
