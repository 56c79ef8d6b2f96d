"""A far end that does whatever a test says, message by message: what no agent of ours would send."""

from dataclasses import dataclass, field
from typing import Any

from drivers.sip.agent import Agent
from drivers.sip.call import Call
from drivers.sip.effects import Effect, Invited
from drivers.sip.headers import NameAddr
from drivers.sip.messages import Request, Response, parse
from drivers.sip.negotiation import Stream
from drivers.sip.sdp import Description
from drivers.sip.uri import Uri
from drivers.sip.ways import Flow, Transport
from tests.drivers.sip.agents import HERE, THERE, Party, image, method_of, party
from tests.drivers.sip.ends import Network
from tests.drivers.sip.wire import wire

SOUND = b"v=0\r\no=f 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"
IMAGE = (
    b"v=0\r\no=f 1 2 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=image 5002 udptl t38\r\n"
    b"a=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
)
NOTHING = b"v=0\r\no=f 1 3 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=image 0 udptl t38\r\n"
VIDEO = b"v=0\r\no=f 1 4 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=video 5004 RTP/AVP 31\r\n"


CHALLENGE = 'Digest realm="trunk", nonce="{}", algorithm=MD5, qop="auth"'
"""Asks for a password; to be filled with a nonce."""

FLOW = Flow(Transport.UDP, THERE, HERE)


@dataclass(slots=True)
class Far:
    """The far end of one agent.

    Attributes:
        here: the agent, its owner and what it sent.
        seen: how much of what it sent was looked at.
    """

    here: Party
    tag: str = "far"
    call_id: str = "far-call"
    cseq: int = 100
    branches: int = 0
    seen: int = 0
    call: Call | None = None
    invite: Request | None = None
    answered: Response | None = None
    told: list[Effect] = field(default_factory=list)

    @property
    def agent(self) -> Agent:
        return self.here.agent

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        network = self.here.network
        until = network.now + seconds
        while (wakes := self.agent.wakes) is not None and wakes <= until:
            network.now = max(network.now, wakes)
            self.here.tick()
        network.now = until

    def wait_for_all(self) -> None:
        """Let time pass until nothing is left to happen."""
        while self.agent.wakes is not None:
            assert self.here.network.now < 100_000, "something never ends"
            self.wait(max(0.0, self.agent.wakes - self.here.network.now))

    def sent(self) -> list[str]:
        """Return what was sent since the last time: ``INVITE``, ``200 INVITE``."""
        new = self.here.sent[self.seen :]
        self.seen = len(self.here.sent)
        return [f"{one.status} {method_of(one)}" if isinstance(one, Response) else one.method for _, one in new]

    def last(self, method: str) -> Request:
        """Return the last request of a method that was sent."""
        return next(one for _, one in reversed(self.here.sent) if isinstance(one, Request) and one.method == method)

    def response(self, method: str) -> Response:
        """Return the last response to a method that was sent."""
        return next(
            one for _, one in reversed(self.here.sent) if isinstance(one, Response) and method_of(one) == method
        )

    # It is called

    def called(self, **more: Any) -> Call:
        """Have the agent call; return the call."""
        self.call = self.here.call(THERE, **more)
        self.invite = self.last("INVITE")
        return self.call

    def respond(
        self, status: int, body: bytes = b"", *, to: str = "INVITE", tag: str | None = None, **fields: Any
    ) -> None:
        """Respond to the last request of a method."""
        request = self.last(to)
        response = request.answer(status, tag=self.tag if tag is None else tag)
        response.headers.set("Contact", "<sip:far@192.0.2.2>")
        _put(response, body, fields)
        self.say(response)

    def up(self) -> Call:
        """Have the agent call, and answer with sound."""
        call = self.called()
        self.respond(200, SOUND)
        self.sent()
        return call

    # It calls

    def calls(self, body: bytes = SOUND, *, ack: bool = True, **fields: Any) -> Call | None:
        """Call the agent; return the call if one comes of it. If it is answered at once, so is the answer."""
        before = len(self.here.heard)
        self.cseq += 1
        self.invite = self.request("INVITE", body, fields, tag="")
        self.say(self.invite)
        found = [one.call for _, one in self.here.heard[before:] if isinstance(one, Invited)]
        self.call = found[0] if found else None
        if ack and self.here.statuses("INVITE")[-1:] == [200]:
            self.ack()
        return self.call

    def ack(self, body: bytes = b"") -> None:
        """Acknowledge the last answer to an INVITE."""
        response = self.response("INVITE")
        fields = {"CSeq": f"{response.cseq.number} ACK"} | ({"Via": str(response.via)} if response.status > 299 else {})
        self.say(self.request("ACK", body, fields))

    def ask(self, method: str, body: bytes = b"", **fields: Any) -> Request:
        """Send a request in the call."""
        self.cseq += 1
        request = self.request(method, body, fields)
        self.say(request)
        return request

    def say(self, message: Request | Response, *, flow: Flow = FLOW) -> None:
        """Have a message arrive, as octets."""
        self.here.do(self.agent.received(parse(message.octets()), flow, self.here.network.now))

    def raw(self, octets: bytes) -> None:
        """Have octets arrive."""
        self.here.receive(octets, FLOW)

    def request(self, method: str, body: bytes, fields: dict[str, str], *, tag: str | None = None) -> Request:
        """Return a request in the call; with the tag "", one outside of it."""
        self.branches += 1
        if self.call is not None and self.call.outgoing and self.invite is not None:
            to, call_id = str(self.invite.from_), self.invite.call_id
            from_ = str(self.invite.to.with_tag(self.tag))
        else:
            ours = NameAddr(Uri.parse("sip:+15550101@192.0.2.1"))
            sent = self.here.statuses("INVITE")
            known = self.response("INVITE").to.tag if tag is None and sent else None
            to, call_id = str(ours.with_tag(known) if known else ours), self.call_id
            from_ = f"<sip:+15550177@192.0.2.2>;tag={self.tag}"
        said = {
            "Via": f"SIP/2.0/UDP 192.0.2.2:5060;rport;branch=z9hG4bKfar{self.branches}",
            "From": from_,
            "To": to,
            "Call-ID": call_id,
            "CSeq": f"{self.cseq} {method}",
            "Contact": "<sip:far@192.0.2.2>",
        }
        request = parse(wire(f"{method} sip:fax@192.0.2.1 SIP/2.0", said))
        assert isinstance(request, Request)
        _put(request, body, fields)
        return request


def far(**others: Any) -> Far:
    """Return the far end of a new agent, which answers calls at once unless told otherwise."""
    return Far(party(Network(7), **others))


def media(octets: bytes) -> list[tuple[str, int]]:
    """Return kinds and ports of the streams of a description."""
    return [(each.kind, each.port) for each in Description.parse(octets).media]


def offer(there: Far, *streams: Stream) -> None:
    """Have the agent offer streams in its call, T.38 if none are named."""
    assert there.call is not None
    here = there.here
    here.do(there.call.offer(streams or (image(HERE),), here.network.now))


def hang_up(there: Far) -> None:
    """Have the agent end its call."""
    assert there.call is not None
    there.here.do(there.call.hang_up(there.here.network.now))


def ends(there: Far) -> bool:
    """Hang up, answer the BYE, and let all timers run out; return whether nothing is left."""
    sent = len(there.here.requests("BYE"))
    hang_up(there)
    if len(there.here.requests("BYE")) > sent:
        there.respond(200, to="BYE")
    there.wait_for_all()
    return there.agent.idle


def _put(message: Request | Response, body: bytes, fields: dict[str, str]) -> None:
    for name, value in fields.items():
        message.headers.set(name.replace("_", "-"), value)
    if body:
        message.headers.set("Content-Type", "application/sdp")
        message.body = body
