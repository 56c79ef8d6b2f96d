"""A modem call as the packets that it would have been over SIP and T.38: for Wireshark, which knows T.30 only in those.

Every frame, tone and training check is as recorded, at its time, good or damaged, in packets paced like those of a real
T.38 call. Made up are the addresses (of RFC 5737), the signalling around them, and page data: as many zeros as there
were octets. The signalling says so itself, in ``User-Agent`` and in the session's name.
"""

from collections.abc import Iterator
from urllib.parse import quote

from drivers.t38 import sending, udptl
from drivers.t38.ifp import DataPacket, Field, FieldType, Form, Packet, encode
from drivers.witness import Seen, Wire
from faxgw.trace.record import Step, Thrown, Trace
from faxgw.trace.signals import every_signal, party
from faxgw.trace.story import Kind, Party, Signal
from t30.line import Answer, AwaitCall, Cause, Connected, Dial, HangUp, NotConnected, Ringing, Tone

HOSTS = {Party.CALLER: "192.0.2.1", Party.ANSWERER: "192.0.2.2"}
SIP_PORT, T38_PORT = 5060, 4000
SAID = "made up by faxgw from the recording of a modem call"

_STATUS = {
    Cause.BUSY: "486 Busy Here",
    Cause.NO_ANSWER: "480 Temporarily Unavailable",
    Cause.NO_CARRIER: "488 Not Acceptable Here",
    Cause.REJECTED: "603 Decline",
    Cause.UNALLOCATED: "404 Not Found",
    Cause.CONGESTION: "503 Service Unavailable",
    Cause.NETWORK: "500 Server Internal Error",
    Cause.TIMEOUT: "408 Request Timeout",
    Cause.NO_T38: "488 Not Acceptable Here",
}


def synthesised(trace: Trace) -> tuple[Seen, ...]:
    """Return the messages and datagrams of a call that had none, in the order of time."""
    own = party(trace)
    made = [*_signalling(trace, own), *_datagrams(trace, own)]
    return tuple(sorted(made, key=lambda each: each.at))


# ---------------------------------------------------------------------------------------------------------- signalling


def _signalling(trace: Trace, own: Party) -> Iterator[Seen]:
    sip = _Sip(own, _number(trace))
    for step in trace.steps:
        match step.action, step.result:
            case (Dial(), _) | (AwaitCall(), Ringing()):
                yield sip.request("INVITE", Party.CALLER, step.until if own is Party.ANSWERER else step.at, offers=True)
                if own is Party.CALLER:
                    yield from _answered(sip, step)
            case Answer(), _:
                yield from _answered(sip, step)
            case HangUp(), _ if sip.stands:
                by = own.other if _was_dropped(trace, step) else own
                yield sip.request("BYE", by, step.at)
                yield sip.response("200 OK", "BYE", by.other, step.until)
                sip.stands = False


def _answered(sip: "_Sip", step: Step) -> Iterator[Seen]:
    """Yield what is said at the end of ringing."""
    match step.result:
        case Connected(at):
            sip.stands = True
            yield sip.response("200 OK", "INVITE", Party.ANSWERER, at, offers=True)
            yield sip.request("ACK", Party.CALLER, at)
        case NotConnected(cause, at) if isinstance(step.action, Dial):
            yield sip.response(_STATUS.get(cause, "480 Temporarily Unavailable"), "INVITE", Party.ANSWERER, at)
            yield sip.request("ACK", Party.CALLER, at)
        case NotConnected(at=at) | Thrown(at=at):
            yield sip.request("CANCEL", Party.CALLER, at)
            yield sip.response("200 OK", "CANCEL", Party.ANSWERER, at)
            yield sip.response("487 Request Terminated", "INVITE", Party.ANSWERER, at)
            yield sip.request("ACK", Party.CALLER, at)


def _was_dropped(trace: Trace, hung_up: Step) -> bool:
    """Tell whether the other side or the network ended the call before we did."""
    before = [step.result for step in trace.steps if step.line < hung_up.line]
    return any(isinstance(each, Thrown) and each.code == "line.dropped" for each in before)


def _number(trace: Trace) -> str:
    """Return the number that was called, as far as a SIP address can hold it."""
    for step in trace.steps[:1]:
        match step.action, step.result:
            case Dial(number), _:
                return quote(number.replace(" ", ""), safe="+*")
            case _, Ringing(dialled=dialled):
                return quote(dialled.replace(" ", ""), safe="+*")
    return ""


class _Sip:
    """The messages of one call.

    Attributes:
        stands: the call was answered, and not ended.
    """

    def __init__(self, own: Party, number: str) -> None:
        self.stands = False
        self._own = own
        self._number = f"{number}@" if number else ""
        self._sequence = 0

    def request(self, method: str, by: Party, at: float, *, offers: bool = False) -> Seen:
        """Return a request; with a description of T.38 if it ``offers`` that."""
        if method not in ("ACK", "CANCEL"):
            self._sequence += 1
        there = self._number if by is Party.CALLER else ""
        return self._message(f"{method} sip:{there}{HOSTS[by.other]} SIP/2.0", method, by, by, at, offers=offers)

    def response(self, status: str, to: str, by: Party, at: float, *, offers: bool = False) -> Seen:
        """Return a response to a request of this method."""
        return self._message(f"SIP/2.0 {status}", to, by, by.other, at, offers=offers)

    def _message(self, first: str, method: str, by: Party, asked_by: Party, at: float, *, offers: bool) -> Seen:
        caller, answerer = HOSTS[Party.CALLER], HOSTS[Party.ANSWERER]
        asks, asked = (f"<sip:{caller}>;tag=caller", f"<sip:{self._number}{answerer}>")
        if method != "INVITE" or by is Party.ANSWERER:
            asked += ";tag=answerer"
        ends = (asks, asked) if asked_by is Party.CALLER else (asked, asks)
        body = _description(HOSTS[by]) if offers else ""
        lines = [
            first,
            f"Via: SIP/2.0/UDP {HOSTS[asked_by]}:{SIP_PORT};branch=z9hG4bK{self._sequence}",
            f"From: {ends[0]}",
            f"To: {ends[1]}",
            f"Call-ID: recording@{caller}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:{HOSTS[by]}>",
            "Max-Forwards: 70",
            f"User-Agent: {SAID}",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        octets = "\r\n".join([*lines, "", body]).encode()
        local, peer = (HOSTS[self._own], SIP_PORT), (HOSTS[self._own.other], SIP_PORT)
        return Seen(at, Wire.SIP, by is self._own, local, peer, octets)


def _description(host: str) -> str:
    lines = (
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        f"s={SAID}",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=image {T38_PORT} udptl t38",
        "a=T38FaxVersion:0",
        "a=T38MaxBitRate:14400",
        "a=T38FaxRateManagement:transferredTCF",
        "a=T38FaxUdpEC:t38UDPRedundancy",
    )
    return "".join(f"{line}\r\n" for line in lines)


# ----------------------------------------------------------------------------------------------------------- datagrams


def _datagrams(trace: Trace, own: Party) -> Iterator[Seen]:
    numbers = dict.fromkeys(Party, 0)
    local, peer = (HOSTS[own], T38_PORT), (HOSTS[own.other], T38_PORT)
    for signal in every_signal(trace):
        for at, packet in _timed(signal):
            by = signal.by
            octets = udptl.encode(udptl.Datagram(numbers[by], encode(packet, Form.OF_1998), ()))
            numbers[by] = (numbers[by] + 1) % udptl.NUMBERS
            yield Seen(at, Wire.UDPTL, by is own, local, peer, octets)


def _timed(signal: Signal) -> Iterator[tuple[float, Packet]]:
    """Yield the packets of a signal, each at its time; closer together where it was shorter than it is as a rule."""
    steps = list(_steps(signal))
    seconds = sum(each.after for each in steps)
    pace = min(1.0, (signal.end - signal.start) / seconds) if seconds and signal.whole else 1.0
    at = signal.start
    for each in steps:
        at += each.after * pace
        if at > signal.end and not signal.whole:
            yield signal.end, sending.NO_SIGNAL
            return
        if each.packet is not None:
            yield at, each.packet


def _steps(signal: Signal) -> Iterator[sending.Step]:
    carried = signal.carried
    if signal.kind is Kind.TONE:
        yield from sending.tone(Tone[signal.lines[0].name])
    elif carried is None:
        return
    elif carried.content is not None:
        yield from sending.data(carried.modulation, carried.octets)
    else:
        frames = [each for each in carried.frames if each.octets]
        ends = iter(each.good for each in frames)
        for step in sending.frames(carried.modulation, [each.octets for each in frames]):
            is_end = isinstance(step.packet, DataPacket) and step.packet.fields[0].type is FieldType.HDLC_FCS_OK
            yield _bad(step) if is_end and not next(ends) else step


def _bad(step: sending.Step) -> sending.Step:
    """Return the end of a frame as that of a damaged one."""
    assert isinstance(step.packet, DataPacket)
    return step._replace(packet=step.packet._replace(fields=(Field(FieldType.HDLC_FCS_BAD),)))
