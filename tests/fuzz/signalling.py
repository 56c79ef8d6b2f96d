"""SIP and SDP under any octets: messages, streams of them, descriptions, and what is answered to those."""

from contextlib import suppress

from drivers.sip.grammar import SipMalformed
from drivers.sip.headers import Headers
from drivers.sip.messages import LARGEST, MOST_FIELDS, Framer, Request, Response, SipRefused, parse
from drivers.sip.negotiation import Image, Negotiation, Sound
from drivers.sip.sdp import Description
from drivers.sip.t38 import T38, Correction
from drivers.sip.uri import Uri
from tests.fuzz.target import Reader, Target

HOST = "192.0.2.7"
SOUND = Sound(40000)
IMAGE = Image(40002, T38(version=3, fill_bit_removal=True, max_datagram=1400, correction=Correction.REDUNDANCY))
ROOM = 2048
"""Octets that a message can grow by when it is written as it should be."""


# ------------------------------------------------------------------------------------------------------------------ SIP


def check_sip(octets: bytes) -> None:
    """Read a message, and write it so that it is read back; then a stream, whole and in pieces."""
    choices = Reader(octets)
    opened, step = choices.number(2) == 1, 1 + choices.number(256)
    stream = choices.rest()
    check_message(stream)
    whole, cut = Framer(opened=opened), Framer(opened=opened)
    found = whole.feed(stream)
    again = [each for at in range(0, len(stream), step) for each in cut.feed(stream[at : at + step])]
    assert found == again
    assert bool(whole.lost) == bool(cut.lost)
    assert max(len(whole._held), len(cut._held)) <= LARGEST + len(stream)
    for message in found[:8]:
        if isinstance(message, bytes):
            check_message(message)


def check_message(octets: bytes) -> None:
    """Read a message; whatever it is, it can be answered, or written again, or is refused by name."""
    try:
        message = parse(octets)
    except SipRefused as refused:
        # What they said of themselves goes back as it was, even if nobody can read it.
        response = refused.request.answer(refused.status, tag="t").octets()
        assert len(response) > LARGEST - ROOM or Framer(opened=True).feed(response) == [response]
        return
    except SipMalformed:
        return
    assert message.via.host and message.vias and message.call_id and message.cseq.method
    assert str(message.from_) and str(message.to) and message.content_type is not None
    message.content("application/sdp")
    with suppress(SipMalformed):
        assert all(map(str, message.contacts))
    if not _fits(message):
        return
    for compact in (False, True):
        _same(parse(message.octets(compact=compact)), message)
    if isinstance(message, Request):
        answer = parse(message.answer(200, tag="t").octets())
        assert isinstance(answer, Response) and answer.to.tag


def _fits(message: Request | Response) -> bool:
    return len(message.octets()) <= LARGEST - ROOM and len(message.headers) < MOST_FIELDS


def _same(one: Request | Response, other: Request | Response) -> None:
    assert type(one) is type(other)
    assert (one.headers, one.body) == (other.headers, other.body)
    if isinstance(one, Request) and isinstance(other, Request):
        assert (one.method, one.uri) == (other.method, other.uri)
    if isinstance(one, Response) and isinstance(other, Response):
        assert one.status == other.status and other.reason in {"", one.reason}


def sip_corpus() -> list[bytes]:
    """Return requests and responses, short and long, alone and in a row."""
    headers = Headers(
        [
            ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776;rport"),
            ("Max-Forwards", "70"),
            ("From", '"Fax, one" <sip:fax@gw.example.com>;tag=19'),
            ("To", "<sip:+15550100@trunk.example.com;user=phone>"),
            ("Call-ID", "a84b4c76e66710@192.0.2.1"),
            ("CSeq", "314159 INVITE"),
            ("Contact", "<sip:fax@[2001:db8::1]:5060;transport=tcp>"),
            ("Record-Route", "<sip:192.0.2.9;lr>, <sip:192.0.2.10;lr>"),
            ("Content-Type", "application/sdp"),
        ]
    )
    request = Request("INVITE", Uri.parse("sip:+15550100@trunk.example.com"), headers, sdp_corpus()[0])
    messages = [request.octets(), request.octets(compact=True), request.answer(200, tag="x").octets()]
    messages += [request.answer(status, tag="y").octets() for status in (100, 488)]
    return [b"\0\xff" + each for each in messages] + [b"\1\7" + b"\r\n\r\n" + b"\r\n".join(messages)]


# ------------------------------------------------------------------------------------------------------------------ SDP


def check_sdp(octets: bytes) -> None:
    """Read a description, write it again, answer it, and take it for an answer."""
    with suppress(SipMalformed):
        read = Description.parse(octets)
        written = Description.parse(read.octets())
        assert [each.kind for each in written.media] == [each.kind for each in read.media]
        assert [each.port for each in written.media] == [each.port for each in read.media]
        assert [T38.of(each) for each in written.media] == [T38.of(each) for each in read.media]
        _check_answer(octets, read)
    ours = Negotiation(host=HOST, session=2)
    ours.offer(SOUND, IMAGE)
    with suppress(SipMalformed):
        agreed = ours.accept(octets)
        assert agreed is None or (agreed.port and agreed.host)


def _check_answer(octets: bytes, offer: Description) -> None:
    ours = Negotiation(host=HOST, session=1)
    answer = ours.answer(octets, SOUND, IMAGE)
    assert (answer is None) == (ours.agreed is None)
    if answer is None:
        return
    assert answer == ours.answer(octets, SOUND, IMAGE)
    said = Description.parse(answer).media
    assert len(said) == len(offer.media)
    assert [each.port for each in said if each.port] == [ours.agreed.ours.port]  # type: ignore[union-attr]
    assert all(each.host == HOST for each in said)
    theirs = Negotiation(host=HOST, session=3)
    theirs.offer(SOUND, IMAGE)
    assert theirs.accept(answer) is not None or len(answer) > LARGEST


def sdp_corpus() -> list[bytes]:
    """Return offers of sound, of T.38, of both, and their answers."""
    offers = [Negotiation(host=HOST, session=9).offer(*streams) for streams in ((SOUND,), (IMAGE,), (SOUND, IMAGE))]
    answers = [Negotiation(host=HOST, session=8).answer(offer, SOUND, IMAGE) for offer in offers]
    return [*offers, *filter(None, answers)]


TARGETS = (Target("sip", check_sip, sip_corpus), Target("sdp", check_sdp, sdp_corpus))
