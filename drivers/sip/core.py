"""What all parts of a user agent share: its transactions, dialogs, timers and tokens, and the effects they have."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drivers.sip.alarms import Alarms
from drivers.sip.dialogs import Dialog
from drivers.sip.digest import Digest
from drivers.sip.effects import Effect, Transmit, Way
from drivers.sip.grammar import Params, as_host
from drivers.sip.headers import Headers, NameAddr, Via
from drivers.sip.matching import COOKIE, Key, client_key, server_key
from drivers.sip.messages import Request, Response, tagged
from drivers.sip.profile import Profile
from drivers.sip.transactions import (
    MAX_FORWARDS,
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
    State,
    Why,
    cancellation,
)
from drivers.sip.uri import Uri
from drivers.sip.ways import Flow

if TYPE_CHECKING:
    from drivers.sip.call import Call

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE"
"""The methods that are served."""
SUPPORTED = "100rel, timer"
"""The extensions that may be required."""

STATUS = {Why.NO_RESPONSE: 408, Why.NO_ACK: 408, Why.UNDELIVERABLE: 503}
"""What a failure counts as (RFC 3261 8.1.3.1)."""


class RandomLike(Protocol):
    """Where tokens and pauses come from: ``random.SystemRandom`` in earnest, ``random.Random`` in tests."""

    def getrandbits(self, bits: int, /) -> int:
        """Return a number of so many bits."""

    def uniform(self, a: float, b: float) -> float:
        """Return a number between two."""


class Asker(Protocol):
    """Whose request it is."""

    def heard(self, response: Response) -> None:
        """Take a response, each once."""

    def heard_again(self, response: Response) -> None:
        """Take a copy of a 2xx to INVITE."""

    def failed(self, why: Why) -> None:
        """There is no response, and none will come."""


@dataclass(slots=True, eq=False)
class Asked:
    """A request of ours that goes on, where it went, and whose it is."""

    machine: ClientInvite | ClientOther
    to: Way
    asker: Asker


@dataclass(slots=True, eq=False)
class Served:
    """A request of theirs that goes on, and who is to know what becomes of it."""

    machine: ServerInvite | ServerOther
    flow: Flow
    acknowledged: Callable[[Request], None] | None = None
    unacknowledged: Callable[[], None] | None = None
    canceled: Callable[[], None] | None = None

    @property
    def request(self) -> Request:
        """The request."""
        return self.machine.request


class Core:
    """The shared middle of a user agent. Whatever is called sets ``now`` first and takes the effects at the end.

    Attributes:
        now: the time, in seconds.
        calls: those that are not over.
        dialogs: those in which requests may come, early ones too, each with its call.
        waiting: requests of ours that have no final response.
    """

    def __init__(self, profile: Profile, *, random: RandomLike) -> None:
        self.profile = profile
        self.random = random
        self.now = 0.0
        self.alarms = Alarms()
        self.calls: set[Call] = set()
        self.dialogs: dict[Key, tuple[Call, Dialog]] = {}
        self.asked: dict[Key, Asked] = {}
        self.served: dict[Key, Served] = {}
        self.digest = Digest(profile.account, cnonce=self.token) if profile.account else None
        self.contact = NameAddr(profile.contact)
        self.waiting: set[Asked] = set()
        self._merged: dict[Key, Key] = {}
        self._accepted: dict[str, list[ServerInvite]] = {}
        self._secret = self.token().encode()
        self._effects: list[Effect] = []

    @property
    def leftovers(self) -> int:
        """How many keys there are of what should be in other tables; 0 where nothing is going on."""
        return len(self._merged) + len(self._accepted)

    def emit(self, effect: Effect) -> None:
        """Have something done or told."""
        self._effects.append(effect)

    def taken(self) -> list[Effect]:
        """Return what is to be done and told since the last time."""
        effects, self._effects = self._effects, []
        return effects

    def token(self) -> str:
        """Return a text that nobody guesses: 80 bits."""
        return f"{self.random.getrandbits(80):020x}"

    def via(self) -> Via:
        """Return the Via of a new request of ours."""
        host, port = self.profile.sent_by
        params = Params((("rport", None), ("branch", COOKIE + self.token())))
        return Via(self.profile.transport.value, host, port, params)

    def tag_of(self, request: Request) -> str:
        """Return the tag for an answer that leaves nothing behind: the same for each copy of the request."""
        text = "\n".join(request.headers.get(name) or "" for name in ("Call-ID", "From", "CSeq"))
        octets = text.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(octets, key=self._secret, digest_size=8).hexdigest()

    def request(self, method: str, uri: Uri, *, from_: NameAddr, to: NameAddr, call_id: str = "") -> Request:
        """Return a new request outside dialogs; From gets a tag if it has none."""
        headers = Headers([("Via", str(self.via())), ("Max-Forwards", MAX_FORWARDS)])
        headers.set("Route", *(str(each) for each in self.profile.route))
        headers.add("From", str(from_ if from_.tag else from_.with_tag(self.token())))
        headers.add("To", str(to))
        headers.add("Call-ID", call_id or f"{self.token()}@{as_host(self.profile.sent_by[0])}")
        headers.add("CSeq", f"1 {method}")
        return Request(method, uri, headers)

    def introduce(self, message: Request | Response) -> None:
        """Say what we are and can do, in an INVITE or UPDATE, or the answer to one."""
        message.headers.set("Allow", ALLOW)
        message.headers.set("Supported", SUPPORTED)

    def ask(self, request: Request, to: Way, asker: Asker) -> None:
        """Send a request of ours, any but ACK."""
        if self.profile.product:
            request.headers.set("User-Agent", self.profile.product)
        kind = ClientInvite if request.method == "INVITE" else ClientOther
        machine = kind(request, reliable=self.profile.transport.reliable)
        asked = self.asked[client_key(request)] = Asked(machine, to, asker)
        self._ask(asked, machine.start(self.now))

    def cancel(self, invite: Request) -> bool:
        """Send the CANCEL of an INVITE of ours; return whether it can be sent now."""
        asked = self.asked.get(client_key(invite))
        if asked is None or not isinstance(asked.machine, ClientInvite) or not asked.machine.cancellable:
            return False
        asked.machine.canceled(self.now)
        self._ask(asked, [])
        self.ask(cancellation(invite), asked.to, Nobody())
        return True

    def heard(self, response: Response) -> None:
        """Take a response from outside; one to nothing that we asked is dropped."""
        asked = self.asked.get(client_key(response))
        if asked is not None:
            self._ask(asked, asked.machine.received(response, self.now))

    def undeliverable(self, request: Request) -> None:
        """Give a request of ours up that the transport could not deliver."""
        asked = self.asked.get(client_key(request))
        if asked is not None and request.method != "ACK":
            self._ask(asked, asked.machine.undeliverable())

    def serve(self, request: Request, flow: Flow) -> Served:
        """Begin to serve a request of theirs, any but ACK, that is no copy."""
        kind = ServerInvite if request.method == "INVITE" else ServerOther
        machine = kind(request, reliable=flow.transport.reliable)
        key = server_key(request)
        served = self.served[key] = Served(machine, flow)
        if request.to.tag is None:
            self._merged[_merging(request)] = key
        machine.start(self.now)
        self._serve(served, [])
        return served

    def merged(self, request: Request) -> bool:
        """Whether a request outside dialogs came by another way, too, and is served there (8.2.2.2)."""
        return self._merged.get(_merging(request), server_key(request)) != server_key(request)

    def respond(self, served: Served, response: Response) -> None:
        """Answer a request of theirs; what follows a final answer is left out."""
        self._finish(response)
        if isinstance(served.machine, ServerInvite) and 200 <= response.status < 300:
            self._accepted.setdefault(response.call_id, []).append(served.machine)
        self._serve(served, served.machine.respond(response, self.now))

    def respond_statelessly(self, request: Request, response: Response, flow: Flow) -> None:
        """Answer a request and keep nothing: a copy of it is answered anew, with the same tag."""
        response.headers.set("To", tagged(response.headers.get("To") or "", self.tag_of(request)))
        self._finish(response)
        self.emit(Transmit(response, flow))

    def settle(self, served: Served) -> None:
        """Repeat a 2xx to an INVITE no more, since its dialog is over."""
        if isinstance(served.machine, ServerInvite):
            served.machine.settle()
            self._serve(served, [])

    def copied(self, request: Request) -> bool:
        """Take a request that is a copy of one that is served, or its ACK; return whether it is."""
        key = server_key(request)
        if request.method == "ACK" and key not in self.served:
            accepted = (
                each.request for each in self._accepted.get(request.call_id, ()) if each.acknowledged_by(request)
            )
            key = next(map(server_key, accepted), key)
        served = self.served.get(key)
        if served is not None:
            self._serve(served, served.machine.received(request, self.now))
        return served is not None

    def remember(self, dialog: Dialog, call: "Call") -> None:
        """Have the requests in a dialog given to a call."""
        self.dialogs[dialog.key] = (call, dialog)

    def forget(self, dialog: Dialog) -> None:
        """Know nothing of a dialog any more."""
        self.dialogs.pop(dialog.key, None)

    def _finish(self, response: Response) -> None:
        if self.profile.product and response.status > 100:
            response.headers.set("Server", self.profile.product)

    def _ask(self, asked: Asked, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(message):
                    self.emit(Transmit(message, asked.to))
                case Pass(Response() as response):
                    asked.asker.heard(response)
                case Again(response):
                    asked.asker.heard_again(response)
                case Failed(why):
                    asked.asker.failed(why)
                case Ended():
                    self.asked.pop(client_key(asked.machine.request), None)
                case _:
                    pass
        if asked.machine.state in {State.TRYING, State.PROCEEDING}:
            self.waiting.add(asked)
        else:
            self.waiting.discard(asked)
        self.alarms.set(asked, asked.machine.wakes, lambda: self._ask(asked, asked.machine.timer(self.now)))

    def _serve(self, served: Served, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(message):
                    self.emit(Transmit(message, served.flow))
                case Pass(Request() as ack) if served.acknowledged is not None:
                    served.acknowledged(ack)
                case Failed() if served.unacknowledged is not None:
                    served.unacknowledged()
                case Ended():
                    self._served_enough(served)
                case _:
                    pass
        self.alarms.set(served, served.machine.wakes, lambda: self._serve(served, served.machine.timer(self.now)))

    def _served_enough(self, served: Served) -> None:
        self.served.pop(server_key(served.request), None)
        self._merged.pop(_merging(served.request), None)
        call_id = served.request.call_id
        others = [each for each in self._accepted.pop(call_id, ()) if each is not served.machine]
        if others:
            self._accepted[call_id] = others


class Nobody:
    """Asks what nobody waits for."""

    def heard(self, response: Response) -> None:
        """Take a response and do nothing."""

    def heard_again(self, response: Response) -> None:
        """Take a copy and do nothing."""

    def failed(self, why: Why) -> None:
        """Do nothing."""


def _merging(request: Request) -> Key:
    return (request.from_.tag or "", request.call_id, str(request.cseq))
