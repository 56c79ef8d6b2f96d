"""Two ends of a bad network in virtual time: transaction machines behind tables, fed octets, with simple users."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from drivers.sip.matching import Key, canceled_key, client_key, server_key
from drivers.sip.messages import Request, Response, parse
from drivers.sip.transactions import (
    Again,
    ClientInvite,
    ClientOther,
    Ended,
    Failed,
    Output,
    Pass,
    Send,
    ServerInvite,
    ServerOther,
    cancellation,
)

Client = ClientInvite | ClientOther
Server = ServerInvite | ServerOther

TAG = "called"


class Ticking(Protocol):
    """What has timers."""

    @property
    def wakes(self) -> list[float]: ...

    def tick(self) -> None: ...


@dataclass(slots=True)
class Network:
    """Delays, loses and repeats datagrams by a seed; also keeps the time of everything else that is to happen."""

    seed: int
    loss: float = 0.0
    duplicates: float = 0.0
    delay: tuple[float, float] = (0.01, 0.01)
    now: float = 0.0
    sent: list[tuple[float, str]] = field(default_factory=list)
    _random: random.Random = field(init=False)
    _order: Iterator[int] = field(default_factory=itertools.count)
    _coming: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def send(self, octets: bytes, to: Callable[[bytes], None]) -> None:
        self.sent.append((round(self.now, 3), octets.split(b"\r\n")[0].decode()))
        for _ in range(1 + (self._random.random() < self.duplicates)):
            if self._random.random() >= self.loss:
                self.after(self._random.uniform(*self.delay), lambda: to(octets))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (self.now + seconds, next(self._order), what))

    def run(self, *ends: Ticking, until: float = 10_000.0) -> None:
        """Let things happen in their order until nothing is left to happen."""
        while True:
            wakes = [wake for end in ends for wake in end.wakes]
            coming = self._coming[0][0] if self._coming else None
            if coming is None and not wakes:
                return
            due = min([*wakes, *([] if coming is None else [coming])])
            assert due <= until, "something never ends"
            self.now = max(self.now, due)
            if coming is not None and coming <= due:
                heapq.heappop(self._coming)[2]()
            else:
                for end in ends:
                    end.tick()


@dataclass(slots=True)
class Seen:
    """What happened to one transaction, and to its user."""

    passed: list[Request | Response] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    ended: int = 0
    came: Counter[str] = field(default_factory=Counter)
    """What was delivered while the transaction lived: ``final``, ``ACK``, ``request``."""

    @property
    def finals(self) -> list[int]:
        return [one.status for one in self.passed if isinstance(one, Response) and one.final]

    def count(self, method: str) -> int:
        return sum(isinstance(one, Request) and one.method == method for one in self.passed)


@dataclass(slots=True)
class End:
    """One end: its transactions and their users.

    Attributes:
        answers: what its user answers requests with: (seconds after the request, status), the last one final.
        patience: how long its user lets an INVITE ring before it sends CANCEL.
    """

    network: Network
    reliable: bool = False
    answers: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    patience: float = 100.0
    other: "End | None" = None
    clients: dict[Key, Client] = field(default_factory=dict)
    servers: dict[Key, Server] = field(default_factory=dict)
    seen: dict[Key, list[Seen]] = field(default_factory=dict)
    _acks: dict[Key, Request] = field(default_factory=dict)

    @property
    def wakes(self) -> list[float]:
        machines = (*self.clients.values(), *self.servers.values())
        return [machine.wakes for machine in machines if machine.wakes is not None]

    def tick(self) -> None:
        for table in (self.clients, self.servers):
            for key, machine in list(table.items()):
                self._do(key, machine, machine.timer(self.network.now))

    def call(self, request: Request) -> Key:
        """Send a request of this end's user."""
        key = client_key(request)
        kind = ClientInvite if request.method == "INVITE" else ClientOther
        machine: Client = kind(request, reliable=self.reliable)
        self.clients[key] = machine
        self.seen[key] = [Seen()]
        self._do(key, machine, machine.start(self.network.now))
        if isinstance(machine, ClientInvite):
            self.network.after(self.patience, lambda: self._give_up(machine))
        return key

    def receive(self, octets: bytes) -> None:
        message = parse(octets)
        if isinstance(message, Response):
            self._response(message)
        elif message.method == "ACK":
            self._ack(message)
        else:
            self._request(message)

    def _response(self, response: Response) -> None:
        key = client_key(response)
        if key in self.clients:
            self.seen[key][-1].came["final"] += response.final
            machine = self.clients[key]
            self._do(key, machine, machine.received(response, self.network.now))

    def _ack(self, ack: Request) -> None:
        for key, machine in list(self.servers.items()):
            if isinstance(machine, ServerInvite) and (key == server_key(ack) or machine.acknowledged_by(ack)):
                self.seen[key][-1].came["ACK"] += 1
                self._do(key, machine, machine.received(ack, self.network.now))

    def _request(self, request: Request) -> None:
        key = server_key(request)
        if key in self.servers:
            machine = self.servers[key]
            self._do(key, machine, machine.received(request, self.network.now))
            return
        kind = ServerInvite if request.method == "INVITE" else ServerOther
        machine = self.servers[key] = kind(request, reliable=self.reliable)
        self.seen.setdefault(key, []).append(Seen())
        self._do(key, machine, machine.start(self.network.now))

    def _do(self, key: Key, machine: Client | Server, outputs: list[Output]) -> None:
        seen = self.seen[key][-1]
        for output in outputs:
            match output:
                case Send(message):
                    self._send(message)
                case Pass(Request() as request):
                    seen.passed.append(request)
                    self._passed(request, machine)
                case Pass(message) | Again(message):
                    if isinstance(output, Pass):
                        seen.passed.append(message)
                    if isinstance(machine, ClientInvite) and isinstance(message, Response):
                        self._acknowledge(machine.request, message)
                case Failed():
                    seen.failed.append(output)
                case Ended():
                    seen.ended += 1
                    (self.servers if isinstance(machine, ServerInvite | ServerOther) else self.clients).pop(key)

    def _passed(self, request: Request, machine: Client | Server) -> None:
        assert isinstance(machine, ServerInvite | ServerOther)
        if request.method == "CANCEL":
            invite = self.servers.get(canceled_key(request))
            self._respond(machine, 200 if invite else 481)
            if invite is not None:
                self._respond(invite, 487)
            return
        for seconds, status in self.answers.get(request.method, []):
            self.network.after(seconds, lambda status=status: self._respond(machine, status))  # type: ignore[misc]

    def _respond(self, machine: Server, status: int) -> None:
        response = machine.request.answer(status, tag=TAG)
        self._do(server_key(machine.request), machine, machine.respond(response, self.network.now))

    def _acknowledge(self, invite: Request, response: Response) -> None:
        """Do what a dialog does for a 2xx: send its ACK, with a branch of its own."""
        if 200 <= response.status < 300:
            ack = Request("ACK", invite.uri, response.headers.copy())
            ack.headers.set("CSeq", f"{invite.cseq.number} ACK")
            ack.headers.set("Via", str(invite.via.with_("branch", invite.via.branch + "ack")))
            self._send(ack)

    def _give_up(self, machine: ClientInvite) -> None:
        if machine.cancellable:
            machine.canceled(self.network.now)
            self.call(cancellation(machine.request))

    def _send(self, message: Request | Response) -> None:
        assert self.other is not None
        self.network.send(message.octets(), self.other.receive)


def pair(network: Network, answers: dict[str, list[tuple[float, int]]], *, reliable: bool = False) -> tuple[End, End]:
    """Return a caller and who answers it."""
    caller = End(network, reliable=reliable)
    called = End(network, reliable=reliable, answers=answers, other=caller)
    caller.other = called
    return caller, called
