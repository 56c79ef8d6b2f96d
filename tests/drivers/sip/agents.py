"""Agents for tests: at the ends of a bad network in virtual time, or fed by hand; owners do as they are told."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from drivers.sip.agent import Agent
from drivers.sip.call import Call
from drivers.sip.effects import Accepted, Changed, Effect, Invited, NotChanged, Over, Progress, Refused, Transmit
from drivers.sip.messages import Request, Response, SipRefused, parse
from drivers.sip.negotiation import Image, Negotiation, Sound, Stream
from drivers.sip.profile import Profile
from drivers.sip.t38 import T38, Correction
from drivers.sip.uri import Uri
from drivers.sip.ways import Address, Flow, Target, Transport
from tests.drivers.sip.ends import Network

E = TypeVar("E")

T38_OURS = T38(version=0, max_buffer=2000, max_datagram=400, correction=Correction.REDUNDANCY)
HERE: Address = ("192.0.2.1", 5060)
THERE: Address = ("192.0.2.2", 5060)


def sound(address: Address) -> Sound:
    return Sound(4000 + int(address[0][-1]))


def image(address: Address, **said: Any) -> Image:
    return Image(4100 + int(address[0][-1]), replace(T38_OURS, **said))


def profile(address: Address = HERE, *, transport: Transport = Transport.UDP, **others: Any) -> Profile:
    host = address[0]
    return Profile(
        user=Uri.parse(f"sip:+1555010{host[-1]}@trunk.example.com"),
        contact=Uri("sip", "fax", host),
        sent_by=address,
        transport=transport,
        **others,
    )


@dataclass(slots=True)
class Party:
    """An agent and its owner.

    Attributes:
        answers: what is done with a call that comes: called with it, at once.
        heard: all effects but what was to be sent, with the time.
        sent: all messages that it sent, with the time.
    """

    network: Network
    address: Address
    profile: Profile
    agent: Agent
    answers: Callable[["Party", Call], list[Effect]]
    others: dict[str, "Party"] = field(default_factory=dict)
    heard: list[tuple[float, Effect]] = field(default_factory=list)
    sent: list[tuple[float, Request | Response]] = field(default_factory=list)
    sessions: int = 0
    deaf: bool = False

    @property
    def wakes(self) -> list[float]:
        return [] if self.agent.wakes is None else [self.agent.wakes]

    @property
    def streams(self) -> tuple[Stream, ...]:
        return (sound(self.address), image(self.address))

    def tick(self) -> None:
        self.do(self.agent.timer(self.network.now))

    def negotiation(self) -> Negotiation:
        self.sessions += 1
        return Negotiation(host=self.address[0], session=self.sessions)

    def call(self, *others: "Party | Address", streams: tuple[Stream, ...] | None = None) -> Call:
        addresses = [each.address if isinstance(each, Party) else each for each in others]
        targets = [Target(self.profile.transport, each) for each in addresses]
        to = Uri.parse("sip:+15550199@trunk.example.com")
        offered = streams or (sound(self.address),)
        call, effects = self.agent.invite(to, self.negotiation(), offered, targets, self.network.now)
        call.takes = self.streams
        self.do(effects)
        return call

    def answer(self, call: Call) -> None:
        call.takes = self.streams
        self.do(call.answer(self.negotiation(), self.streams, self.network.now))

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                self._send(effect)
                continue
            self.heard.append((self.network.now, effect))
            if isinstance(effect, Invited):
                self.do(self.answers(self, effect.call))

    def receive(self, octets: bytes, flow: Flow) -> None:
        if self.deaf:
            return
        try:
            message = parse(octets)
        except SipRefused as error:
            self.do(self.agent.malformed(error, flow, self.network.now))
        else:
            self.do(self.agent.received(message, flow, self.network.now))

    def told(self, kind: type[E]) -> list[E]:
        return [effect for _, effect in self.heard if isinstance(effect, kind)]

    @property
    def story(self) -> list[str]:
        """What was told, in short, without provisional responses."""
        return [_short(effect) for _, effect in self.heard if not isinstance(effect, Progress | Invited)]

    def requests(self, method: str) -> list[Request]:
        """Those that it sent, each once."""
        found: dict[tuple[str, str], Request] = {}
        for _, one in self.sent:
            if isinstance(one, Request) and one.method == method:
                found.setdefault((one.via.branch, str(one.cseq)), one)
        return list(found.values())

    def statuses(self, method: str) -> list[int]:
        return [one.status for _, one in self.sent if isinstance(one, Response) and method_of(one) == method]

    def _send(self, effect: Transmit) -> None:
        self.sent.append((self.network.now, effect.message))
        match effect.to:
            case Target(_, address):
                host = address[0]
            case Flow(_, peer):
                host = peer[0]
            case Uri() as uri:
                host = uri.host
        other = self.others.get(host)
        flow = Flow(self.profile.transport, self.address, (host, 5060))
        if other is not None:
            self.network.send(effect.message.octets(), lambda octets: other.receive(octets, flow))


def method_of(response: Response) -> str:
    """Return the method that a response is for; its CSeq may be what nobody can read."""
    return (response.headers.get("CSeq") or "").rpartition(" ")[2]


def _short(effect: Effect) -> str:
    match effect:
        case Accepted(_, agreement):
            return "accepted " + ("sound" if agreement.t38 is None else "image")
        case Changed(_, agreement, ours):
            return f"changed {'sound' if agreement.t38 is None else 'image'} {'here' if ours else 'there'}"
        case NotChanged(_, status):
            return f"not changed {status}"
        case Refused(_, status, _):
            return f"refused {status}"
        case Over(_, cause, status):
            return f"over {status} {cause}"
        case _:
            return str(effect)


def accept(party: Party, call: Call) -> list[Effect]:
    """Answer at once, with whatever they like of sound and T.38."""
    call.takes = party.streams
    return call.answer(party.negotiation(), party.streams, party.network.now)


def ring(party: Party, call: Call) -> list[Effect]:
    return call.ring(party.network.now)


def ring_then_accept(party: Party, call: Call) -> list[Effect]:
    party.network.after(2.0, lambda: party.answer(call))
    return call.ring(party.network.now)


def refuse(status: int) -> Callable[[Party, Call], list[Effect]]:
    return lambda party, call: call.refuse(status, party.network.now)


def party(
    network: Network,
    address: Address = HERE,
    *,
    answers: Callable[[Party, Call], list[Effect]] = accept,
    transport: Transport = Transport.UDP,
    **others: Any,
) -> Party:
    said = profile(address, transport=transport, **others)
    agent = Agent(said, random=random.Random(f"{network.seed} {address}"))
    return Party(network, address, said, agent, answers)


def pair(
    network: Network,
    *,
    answers: Callable[[Party, Call], list[Effect]] = accept,
    transport: Transport = Transport.UDP,
    **others: Any,
) -> tuple[Party, Party]:
    """Return a caller and who answers, who know each other."""
    here = party(network, HERE, transport=transport, **others)
    there = party(network, THERE, answers=answers, transport=transport, **others)
    know(here, there)
    return here, there


def know(*parties: Party) -> None:
    """Have all reach all."""
    for each in parties:
        each.others = {other.address[0]: other for other in parties}
