"""A trace as signals with those of its network: SIP's messages, where T.38 begins, what of its datagrams is missing.

The ladder and the listing both show these.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from drivers.sip.grammar import SipMalformed
from drivers.sip.messages import REASONS, Request, Response, parse
from drivers.sip.sdp import CONTENT_TYPE, Description, Media
from drivers.sip.t38 import T38, Correction, TcfMethod
from drivers.witness import Seen, Wire
from faxgw.trace import words
from faxgw.trace.losses import Missing, Pause, Traffic, traffic
from faxgw.trace.record import Trace
from faxgw.trace.signals import party, signals
from faxgw.trace.story import Kind, Line, Party, Signal

CHALLENGES = frozenset({401, 407})
"""Refusals that are no fault: the request comes again with credentials."""
BEFORE, AFTER = 1.5, 0.5
"""Seconds around a signal in which what is missing belongs to it: its indicator comes before its training."""

_PROTECTION = {Correction.NONE: "no protection", Correction.REDUNDANCY: "redundancy", Correction.FEC: "parity"}


def with_network(trace: Trace) -> list[Signal]:
    """Return all that went by, in the order of the recording; of the network, in the order of time."""
    own, found = party(trace), signals(trace)
    if any(each.wire is Wire.SIP for each in trace.seen):
        # Then its messages are what travels when a call begins or ends.
        found = [replace(each, kind=Kind.NOTE, travels=False) if each.kind is Kind.CALL else each for each in found]
    found = _with_losses(found, traffic(trace.seen), own)
    network = sorted([*_messages(trace.seen, own), *_beginnings(trace.seen, own)], key=lambda each: each.start)
    return list(_merged(found, network))


def datagrams(trace: Trace) -> str:
    """Say in one line what became of the datagrams; "" if there were none."""
    network = traffic(trace.seen)
    if not network.sent and not network.received:
        return ""
    went = f"{words.counted(network.sent, 'datagram')} sent, {network.received:,} received"
    return f"T.38: {went}, {_missing(network.missing) or 'none missing'}"


@dataclass(frozen=True, slots=True)
class _Message:
    """A message, and how often it went by: what is not answered is sent again."""

    seen: Seen
    parsed: Request | Response | None
    times: int = 1


def _messages(seen: Iterable[Seen], own: Party) -> list[Signal]:
    """Return the messages of the call; one that comes again only the first time."""
    found: dict[tuple[bool, bytes], _Message] = {}
    for each in seen:
        if each.wire is not Wire.SIP:
            continue
        key = each.sent, each.octets
        before = found.get(key)
        found[key] = replace(before, times=before.times + 1) if before else _Message(each, _parsed(each.octets))
    calls = {_call_id(each) for each in found.values() if isinstance(each.parsed, Request) and _invites(each.parsed)}
    # A line may also register and be asked whether it is alive: that is of no call.
    wanted = [each for each in found.values() if not calls or each.parsed is None or _call_id(each) in calls]
    return [_signal(each, own) for each in wanted]


def _beginnings(seen: Iterable[Seen], own: Party) -> list[Signal]:
    """Return a mark where the first datagram of T.38 goes by; one for each pair of ports."""
    marks: dict[object, Signal] = {}
    for each in seen:
        if each.wire is Wire.UDPTL and (each.local, each.peer) not in marks:
            ends = f"{_place(each.local)} and {_place(each.peer)}"
            line = Line("T.38", f"begins between {ends}")
            marks[each.local, each.peer] = Signal(Kind.MARK, own, each.at, each.at, (line,), travels=False)
    return list(marks.values())


def _with_losses(found: list[Signal], network: Traffic, own: Party) -> list[Signal]:
    """Return the signals, and under each that was heard what of it is missing."""
    told: dict[int, list[Missing | Pause]] = {}
    what: list[Missing | Pause] = [*network.missing, *network.pauses]
    for each in what:
        place = _heard_at(found, each.at, own)
        if place is not None:
            told.setdefault(place, []).append(each)
    return [
        replace(signal, lines=(*signal.lines, *_told(told[place]))) if place in told else signal
        for place, signal in enumerate(found)
    ]


def _merged(found: list[Signal], network: list[Signal]) -> Iterator[Signal]:
    """Put each of the network before the first signal that begins after it."""
    place = 0
    for signal in found:
        while place < len(network) and network[place].start < signal.start:
            yield network[place]
            place += 1
        yield signal
    yield from network[place:]


def _heard_at(found: list[Signal], at: float, own: Party) -> int | None:
    for place in reversed(range(len(found))):
        signal = found[place]
        heard = signal.travels and signal.by is not own and signal.kind not in (Kind.SIP, Kind.CALL)
        if heard and signal.start - BEFORE <= at <= signal.end + AFTER:
            return place
    return None


def _told(what: list[Missing | Pause]) -> Iterable[Line]:
    missing = [each for each in what if isinstance(each, Missing)]
    if missing:
        yield Line("", _missing(missing), bad=not all(each.made_good for each in missing))
    for each in what:
        if isinstance(each, Pause):
            yield Line("", f"no datagram came for {words.seconds(each.seconds)}", bad=True)


def _missing(missing: list[Missing]) -> str:
    if not missing:
        return ""
    good = sum(each.made_good for each in missing)
    of_them = "" if good == len(missing) else f" {good:,} of them"
    return (
        words.counted(len(missing), "datagram") + " missing" + (f",{of_them} made good by later ones" if good else "")
    )


# ------------------------------------------------------------------------------------------------------------ messages


def _parsed(octets: bytes) -> Request | Response | None:
    try:
        return parse(octets)
    except SipMalformed:
        return None


def _call_id(message: _Message) -> str:
    return message.parsed.call_id if message.parsed is not None else ""


def _invites(request: Request) -> bool:
    return request.method == "INVITE"


def _signal(message: _Message, own: Party) -> Signal:
    seen, parsed = message.seen, message.parsed
    if parsed is None:
        name, said, bad = "SIP", "a message that cannot be read", True
    elif isinstance(parsed, Request):
        name, said, bad = parsed.method, _of_request(parsed, seen.transport), False
    else:
        reason = parsed.reason or REASONS.get(parsed.status, "")
        name, said = f"{parsed.status} {reason}".strip(), _of_response(parsed)
        bad = parsed.status >= 300 and parsed.status not in CHALLENGES
    again = [f"sent {message.times} times"] if message.times > 1 else []
    line = Line(name, ", ".join([*([said] if said else []), *again]), bad)
    return Signal(Kind.SIP, own if seen.sent else own.other, seen.at, seen.at, (line,))


def _of_request(request: Request, transport: str) -> str:
    said = []
    if request.method == "INVITE" and request.to.tag is None:
        called = request.uri.user or request.to.uri.user or ""
        caller = request.from_.uri.user or ""
        said.append(f"{called and f'to {called} '}{caller and f'from {caller} '}over {transport}")
    said += [f"with {reason}" for reason in request.headers.all("Reason")]
    said += _streams(request)
    return "; ".join(said)


def _of_response(response: Response) -> str:
    return "; ".join([f"to {response.cseq.method}", *_streams(response)])


def _streams(message: Request | Response) -> list[str]:
    body = message.content(CONTENT_TYPE)
    if not body:
        return []
    try:
        return [_stream(each) for each in Description.parse(body).media]
    except SipMalformed:
        return ["a description that cannot be read"]


def _stream(media: Media) -> str:
    kinds = {"audio": "sound", "image": "T.38"}
    name = kinds.get(media.kind, media.kind)
    if media.port == 0:
        return f"no {name}"
    said = [f"{name} at {_place((media.host, media.port))}"]
    if media.kind == "image":
        fax = T38.of(media)
        said += [f"version {fax.version}", _PROTECTION[fax.correction or Correction.REDUNDANCY]]
        said += ["training checks made locally"] if fax.tcf is TcfMethod.LOCAL else []
    return ", ".join(said)


def _place(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
