"""Whatever comes, the agent neither stumbles nor keeps anything of it, and its calls go on."""

import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from drivers.sip.call import Call
from drivers.sip.digest import Account
from drivers.sip.effects import Accepted, Changed, Invited, Over, Refused, Transmit
from drivers.sip.grammar import SipMalformed
from drivers.sip.messages import Request, Response, parse
from drivers.sip.ways import Target, Transport
from tests.drivers.sip.agents import HERE, THERE, accept, image, method_of, ring, sound
from tests.drivers.sip.far import FLOW, IMAGE, NOTHING, SOUND, VIDEO, Far, far
from tests.drivers.sip.test_torture import TORTUOUS
from tests.drivers.sip.wire import SDP, wire

METHOD = "!Odd-Method0123456789_*+`.%indeed'~"

TORTURE = [
    TORTUOUS,
    wire(f"{METHOD} sip:1_odd~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,pa$wo~d@example.com SIP/2.0"),
    wire(f"{METHOD} sip:a@b SIP/2.0", {"CSeq": f"1 {METHOD}", "To": '"BEL:\\\x07 NUL:\\\x00" <sip:a@b>'}),
    wire("INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0", {"From": "<sip:null-%00@h>;tag=1"}, body=SDP),
    wire("RE%47IST%45R sip:h SIP/2.0", {"CSeq": "1 RE%47IST%45R"}),
    wire(fields={"From": "caller<sip:caller@example.com>;tag=323"}, body=SDP),
    wire(fields={"To": f'"{"I have a long name " * 200}" <sip:{"user" * 300}@example.com>'}, body=SDP),
    wire(body=SDP) + wire("REGISTER sip:h SIP/2.0"),
    wire("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", {"CSeq": "8 OPTIONS"}),
    wire(fields={"Via": "SIP/2.0/SCTP t.example.com;branch=z9hG4bKx, SIP/2.0/UNKNOWN t;branch=z9hG4bKy"}, body=SDP),
    wire(
        fields={"Content-Type": "multipart/mixed;boundary=7a9"},
        body=b"--7a9\r\n\r\n" + bytes(range(256)) + b"\r\n--7a9--",
    ),
    wire("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое"),
    wire(fields={"Via": "SIP/2.0/UDP 192.0.2.15;;,;,,"}),
    wire(length="9999", body=SDP),
    wire(length="-999", body=SDP),
    wire(fields={"CSeq": "36893488147419103232 INVITE"}),
    wire("SIP/2.0 503 Overlarge", {"CSeq": "9292394834772304023312 OPTIONS"}),
    wire(fields={"Max-Forwards": "300"}),
    wire(fields={"To": '"Mr. J. User <sip:j.user@example.com>'}),
    wire("INVITE sip:user@example.com; lr SIP/2.0"),
    wire("OPTIONS sip:a@b SIP/7.0", {"CSeq": "1 OPTIONS", "Via": "SIP/7.0/UDP h;branch=z9hG4bKx"}),
    wire("OPTIONS sip:a@b SIP/2.0"),
    wire("NEWMETHOD sip:a@b SIP/2.0", {"CSeq": "8 INVITE"}),
    wire(fields={"F": "<sip:other@example.com>;tag=2", "i": "two"}),
    wire("SIP/2.0 4294967301 better not break the receiver"),
    wire(fields={"To": None, "Call-ID": None, "CSeq": None}),
    wire("INVITE <sip:user@example.com> SIP/2.0", body=SDP),
    wire("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", body=SDP),
    wire(fields={"Contact": "sip:user@example.com?Route=%3Csip:sip.example.com%3E"}, body=SDP),
    wire(fields={"Authorization": "NoOneKnowsThisScheme opaque-data=here"}, body=SDP),
    wire(fields={"Via": "SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK"}, body=SDP),
    wire(fields={"Require": "nothingSupportsThis, nothingSupportsThisEither"}, body=SDP),
    wire(fields={"Max-Forwards": "0"}, body=SDP),
    wire(fields={"To": "isbn:2983792873"}, body=SDP),
    wire("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", {"CSeq": "1 OPTIONS"}),
    wire(fields={"Content-Type": "application/unknown"}, body=b"<audio/>"),
    wire("SIP/2.0 200 OK", {"Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx, SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKy"}),
    b"INVITE sip:UserB@example.com SIP/2.0\r\nVia: SIP/2.0/UDP iftgw.example.com\r\nFrom: <sip:+13035551111@h>\r\n"
    b"Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\r\nTo: sip:+16505552222@h\r\nCall-ID: 1\r\n"
    b"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n" + SDP,
]


def feed(there: Far, octets: bytes) -> None:
    try:
        there.raw(octets)
    except SipMalformed as error:  # what the transport drops
        assert error.reason


@pytest.mark.parametrize("seed", range(4))
def test_torture_before_in_and_after_a_call_leaves_the_call_and_nothing_else(seed: int) -> None:
    there = far(answers=ring if seed % 2 else accept)
    messages = random.Random(seed).sample(TORTURE, len(TORTURE))
    for octets in messages:
        feed(there, octets)
    call = there.called()
    for octets in messages:
        feed(there, octets)
    there.respond(200, SOUND)
    for octets in messages:
        feed(there, octets)
        there.wait(0.5)
    here = there.here
    here.do(call.offer((image(HERE),), here.network.now))
    there.respond(200, IMAGE)
    assert [each.call for each in here.told(Accepted) if each.call is call] == [call]
    assert [each.ours for each in here.told(Changed) if each.call is call] == [True]
    assert call in here.agent.calls
    here.do(call.hang_up(here.network.now))
    there.respond(200, to="BYE")
    for octets in messages:
        feed(there, octets)
    for each in here.agent.calls:
        here.do(each.hang_up(here.network.now))
    there.wait_for_all()
    assert here.agent.idle


@pytest.mark.parametrize("octets", TORTURE)
def test_a_tortuous_message_leaves_nothing_behind(octets: bytes) -> None:
    there = far(answers=lambda party, call: call.refuse(486, party.network.now))
    feed(there, octets)
    there.wait_for_all()
    assert there.agent.idle


def test_a_request_that_cannot_be_read_is_refused_and_forgotten() -> None:
    there = far()
    there.raw(wire(fields={"Max-Forwards": "300"}))
    there.raw(wire(fields={"To": '"Mr. J. User <sip:j.user@example.com>'}))
    assert there.sent() == ["400 INVITE"] * 2
    assert there.agent.idle


# Anything at any time


STATUSES = st.sampled_from(
    [100, 180, 183, 200, 200, 200, 202, 302, 401, 407, 408, 422, 423, 481, 486, 487, 488, 491, 500, 503, 603]
)
METHODS = st.sampled_from(
    ["INVITE", "INVITE", "UPDATE", "BYE", "PRACK", "OPTIONS", "INFO", "CANCEL", "ACK", "ACK", "ODD"]
)
BODIES = st.sampled_from([b"", SOUND, IMAGE, NOTHING, VIDEO, b"v=0\r\n", b"\xff" * 50])
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            *("Require", "Supported", "Session-Expires", "Min-SE", "RSeq", "RAck", "Record-Route", "Contact", "Allow"),
            *("Retry-After", "WWW-Authenticate", "Proxy-Authenticate", "Content-Type", "Min-Expires", "Expires"),
            "Reason",
        ]
    ),
    st.sampled_from(
        [
            *("100rel", "timer", "1800;refresher=uac", "90;refresher=uas", "1", "0", "7", "1 101 INVITE", "", "*", "x"),
            *("<sip:a@192.0.2.2;lr>", "<sip:broken", "INVITE, UPDATE", "application/sdp", '"', "4294967295"),
            'Digest realm="r", nonce="n"',
            'Q.850;cause=16;text="clear"',
        ]
    ),
    max_size=4,
)


class Anything(RuleBasedStateMachine):
    """A peer that sends anything, in order or not, and an owner that does anything at any time."""

    @initialize(answers=st.sampled_from([accept, ring]), account=st.booleans())
    def begin(self, answers: Any, account: bool) -> None:
        self.there = far(answers=answers, account=Account("u", "p") if account else None, session_expires=200)
        self.calls: list[Call] = []

    @property
    def now(self) -> float:
        return self.there.here.network.now

    @property
    def dialogs(self) -> list[tuple[str, str, str]]:
        """Those that its last messages show: Call-ID, the agent's tag, theirs."""
        found = set()
        for _, one in self.there.here.sent[-12:]:
            if isinstance(one, Request):
                found.add((one.call_id, one.from_.tag or "", one.to.tag or ""))
            elif method_of(one) == "INVITE" and one.status < 300:
                found.add((one.call_id, one.to.tag or "", one.from_.tag or ""))
        return sorted(found)

    def pick(self, number: int) -> Call | None:
        here = self.there.here
        known = [*self.calls, *(each.call for each in here.told(Invited) if each.call not in self.calls)]
        self.calls = known
        return known[number % len(known)] if known else None

    @rule()
    def we_call(self) -> None:
        self.calls.append(self.there.here.call(THERE, THERE))

    @rule(body=BODIES, fields=FIELDS)
    def they_call(self, body: bytes, fields: dict[str, str]) -> None:
        self.there.tag = f"far{self.there.cseq}"
        self.there.call_id = f"call{self.there.cseq}"
        self.there.call = None
        self.there.calls(body, ack=False, **fields)

    @rule(which=st.integers(0, 40), status=STATUSES, body=BODIES, fields=FIELDS, tag=st.sampled_from(["a", "b", ""]))
    def they_respond(self, which: int, status: int, body: bytes, fields: dict[str, str], tag: str) -> None:
        requests = [one for _, one in self.there.here.sent if isinstance(one, Request) and one.method not in {"ACK"}][
            -8:
        ]
        if requests:
            response = requests[which % len(requests)].answer(status, tag=tag)
            self.put(response, body, fields)

    @rule(
        which=st.integers(0, 40),
        method=METHODS,
        body=BODIES,
        fields=FIELDS,
        step=st.sampled_from([1, 1, 1, 0, -1, 1000]),
        known=st.sampled_from([True, True, True, False]),
    )
    def they_ask(self, *, which: int, method: str, body: bytes, fields: dict[str, str], step: int, known: bool) -> None:
        dialogs = self.dialogs
        there = self.there
        there.cseq = max(0, there.cseq + step)
        there.branches += bool(step)
        call_id, ours, theirs = dialogs[which % len(dialogs)] if dialogs and known else ("x", "y", "z")
        said = {
            "Via": f"SIP/2.0/UDP 192.0.2.2:5060;rport;branch=z9hG4bKfar{there.branches}",
            "From": f"<sip:+15550177@192.0.2.2>;tag={theirs}",
            "To": f"<sip:+15550101@192.0.2.1>;tag={ours}",
            "Call-ID": call_id,
            "CSeq": f"{there.cseq} {method}",
        }
        request = parse(wire(f"{method} sip:fax@192.0.2.1 SIP/2.0", said))
        self.put(request, body, fields)

    @rule(which=st.integers(0, 40))
    def they_acknowledge(self, which: int) -> None:
        answers = [one for _, one in self.there.here.sent if isinstance(one, Response) and one.status in {200, 487}]
        if answers:
            answer = answers[-1 - which % min(3, len(answers))]
            said = {
                "Via": str(answer.via),
                "From": str(answer.from_),
                "To": str(answer.to),
                "Call-ID": answer.call_id,
                "CSeq": f"{answer.cseq.number} ACK",
            }
            self.put(parse(wire("ACK sip:fax@192.0.2.1 SIP/2.0", said)), b"", {})

    @rule(which=st.integers(0, 200))
    def a_message_comes_again(self, which: int) -> None:
        if self.said:
            feed(self.there, self.said[which % len(self.said)])

    @rule(which=st.integers(0, 200), place=st.integers(0, 2000), octet=st.integers(0, 255))
    def a_message_comes_damaged(self, which: int, place: int, octet: int) -> None:
        if self.said:
            octets = bytearray(self.said[which % len(self.said)])
            octets[place % len(octets)] = octet
            feed(self.there, bytes(octets))

    @rule(which=st.integers(0, 20), what=st.sampled_from(["ring", "answer", "refuse", "offer", "sound", "hang_up"]))
    def the_owner_acts(self, which: int, what: str) -> None:
        call, here = self.pick(which), self.there.here
        if call is None:
            return
        match what:
            case "ring":
                here.do(call.ring(self.now))
            case "answer":
                here.do(call.answer(here.negotiation(), here.streams, self.now))
            case "refuse":
                here.do(call.refuse(486, self.now))
            case "offer":
                here.do(call.offer((image(HERE),), self.now))
            case "sound":
                here.do(call.offer((sound(HERE),), self.now))
            case _:
                here.do(call.hang_up(self.now))

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 20.0, 40.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.there.wait(seconds)

    @rule(which=st.integers(0, 40))
    def the_transport_fails(self, which: int) -> None:
        requests = [one for _, one in self.there.here.sent if isinstance(one, Request)][-5:]
        if requests:
            self.there.here.do(self.there.agent.undeliverable(requests[which % len(requests)], self.now))

    def teardown(self) -> None:
        if not hasattr(self, "there"):
            return
        here = self.there.here
        for call in list(here.agent.calls):
            here.do(call.hang_up(self.now))
        self.there.wait_for_all()
        assert here.agent.idle
        ended = [each.call for each in here.told(Over)] + [each.call for each in here.told(Refused)]
        assert len(ended) == len(set(map(id, ended)))
        self.pick(0)
        assert {id(each) for each in self.calls} == set(map(id, ended))
        for call in self.calls:
            told = [one for _, one in here.heard if getattr(one, "call", None) is call]
            assert [isinstance(one, Over | Refused) for one in told[-2:]] in ([True], [False, True])
        accepted = [each.call for each in here.told(Accepted)]
        assert len(accepted) == len(set(map(id, accepted)))

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []

    def put(self, message: Request | Response, body: bytes, fields: dict[str, str]) -> None:
        for name, value in fields.items():
            message.headers.set(name, value)
        if body:
            message.headers.set("Content-Type", "application/sdp")
            message.body = body
        octets = message.octets()
        self.said = [*self.said[-20:], octets]
        feed(self.there, octets)


TestAnything = Anything.TestCase
TestAnything.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


# What it costs


def test_an_invite_that_cannot_be_served_is_cheap() -> None:
    there = far(most_calls=0)
    octets = [
        wire(fields={"Via": f"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{number}", "Call-ID": str(number)}, body=SDP)
        for number in range(400)
    ]
    took = []
    for each in octets:
        begin = time.perf_counter()
        effects = there.agent.received(parse(each), FLOW, 0.0)
        assert isinstance(effects[0], Transmit)
        effects[0].message.octets()
        took.append(time.perf_counter() - begin)
    assert there.agent.idle
    print(f"median {sorted(took)[200] * 1e6:.0f} us, least {min(took) * 1e6:.0f} us")
    assert min(took) < 300e-6


def test_ten_thousand_messages_to_nothing_leave_nothing() -> None:
    there = far()
    response = parse(wire("SIP/2.0 200 OK"))
    for number in range(2000):
        there.agent.received(response, FLOW, float(number))
    assert there.agent.idle
    there.here.do(there.agent.probe((Target(Transport.UDP, THERE),), 0.0))
