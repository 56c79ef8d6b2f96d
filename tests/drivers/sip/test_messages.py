"""Requests and responses: what is read, what is written, and where a stream is cut."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis.strategies import DrawFn, binary, composite, integers, lists, sampled_from

from drivers.sip.grammar import SipMalformed
from drivers.sip.headers import CSeq, Headers
from drivers.sip.messages import LARGEST, MOST_FIELDS, REASONS, Framer, KeepAlive, Request, Response, SipRefused, parse
from drivers.sip.uri import Uri
from tests.drivers.sip.wire import COMMON, SDP, wire


def request(octets: bytes) -> Request:
    message = parse(octets)
    assert isinstance(message, Request)
    return message


def refused(octets: bytes) -> SipRefused:
    with pytest.raises(SipRefused) as caught:
        parse(octets)
    return caught.value


def test_a_request_is_read_whole() -> None:
    invite = request(wire(fields={"Content-Type": "Application/SDP ; x=y"}, body=SDP))
    assert (invite.method, invite.uri) == ("INVITE", Uri("sip", "+15550100", "trunk.example.com"))
    assert (invite.via.branch, invite.call_id, invite.cseq) == (
        "z9hG4bK776asdhds",
        "a84b4c76e66710@192.0.2.1",
        CSeq(314159, "INVITE"),
    )
    assert (invite.from_.display, invite.from_.tag, invite.to.tag) == ("Fax", "1928301774", None)
    assert [str(each) for each in invite.contacts] == ["<sip:fax@192.0.2.1>"]
    assert (invite.content_type, invite.body) == ("application/sdp", SDP)


def test_a_message_is_written_as_it_was_read() -> None:
    octets = wire(fields={"Content-Type": "application/sdp"}, body=SDP)
    assert request(octets).octets() == octets
    short = request(octets).octets(compact=True)
    assert b"\r\nv: SIP/2.0/UDP" in short and b"\r\nl: %d\r\n" % len(SDP) in short
    assert parse(short) == parse(octets)


def test_a_response_is_read_and_written() -> None:
    octets = wire("SIP/2.0 183 Läutet noch", {"CSeq": "1 INVITE"})
    response = parse(octets)
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.final) == (183, "Läutet noch", False)
    assert response.octets() == octets
    assert Response(200).octets() == b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert Response(599).octets().startswith(b"SIP/2.0 599 Unknown\r\n")
    assert Response(200).final


@pytest.mark.parametrize("status", [99, 700])
def test_what_is_no_status_is_not_written(status: int) -> None:
    with pytest.raises(ValueError, match="no status"):
        Response(status).octets()


def test_no_reason_and_no_method_breaks_a_line() -> None:
    with pytest.raises(ValueError, match="no status"):
        Response(200, "OK\r\nVia: x").octets()
    with pytest.raises(ValueError, match="no method"):
        Request("INVITE x", Uri("sip", None, "h")).octets()


def test_an_answer_copies_what_finds_the_way_back() -> None:
    invite = request(
        wire(fields={"Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb, SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKa"})
    )
    ringing = invite.answer(180, tag="314")
    assert [via.branch for via in ringing.vias] == ["z9hG4bKb", "z9hG4bKa"]
    assert ringing.headers.get("To") == "<sip:+15550100@trunk.example.com>;tag=314"
    assert {name for name, _ in ringing.headers} == {"Via", "From", "To", "Call-ID", "CSeq"}
    assert parse(ringing.octets()) == Response(180, "Ringing", ringing.headers)


def test_trying_has_no_tag_and_a_tag_that_is_there_stays() -> None:
    assert request(wire()).answer(100, tag="1").to.tag is None
    assert request(wire(fields={"To": "<sip:a@b>;tag=theirs"})).answer(200, tag="1").to.tag == "theirs"


@pytest.mark.parametrize(
    "octets",
    [
        wire().replace(b"\r\n", b"\n"),
        b"\r\n\r\n" + wire(),
        wire().replace(b"Call-ID:", b"Call-ID :"),
        wire().replace(b"Max-Forwards: 70\r\n", b"Max-Forwards:\r\n  70\r\n"),
        wire().replace(b"INVITE sip:", b"INVITE   sip:").replace(b" SIP/2.0\r\nVia", b"  SIP/2.0 \r\nVia"),
        wire().replace(b"sip:+15550100@trunk.example.com SIP", b"<SIP:+15550100@trunk.example.com> sip"),
        wire(length=None),
        wire() + b"trailing rubbish",
        wire()[:-2],
        wire(fields={"Odd name": "x"}),
        wire().replace(b"Contact", b"no-colon\r\n: no name\r\nContact"),
    ],
)
def test_a_sloppy_message_is_read_as_what_was_meant(octets: bytes) -> None:
    assert parse(octets) == parse(wire())


def test_a_response_is_not_lost_for_what_nobody_needs() -> None:
    octets = wire("SIP/2.0 200 OK", {"Max-Forwards": "999", "Contact": "rubbish", "X": '"'})
    assert isinstance(parse(octets), Response)


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP; charset=utf-8", ""])
def test_the_content_is_found_by_its_type(kind: str) -> None:
    invite = request(wire(fields={"Content-Type": kind}, body=SDP))
    assert invite.content("application/sdp") == SDP
    assert request(wire()).content("application/sdp") is None


@pytest.mark.parametrize("boundary", ["b1", '"b1"'])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_the_content_is_found_among_many_parts(boundary: str, end: bytes) -> None:
    parts = (
        b"preamble",
        b"--b1",
        b"Content-Type: application/isup;version=itu",
        b"",
        bytes(range(14, 256)) + b"--b1 is no mark",
        b"--b1",
        b"Content-Type: application/sdp",
        b"Content-Disposition: session",
        b"",
        SDP + b"--b1--",
        b"",
    )
    fields = {"Content-Type": f"multipart/mixed; x=y; Boundary={boundary}"}
    invite = request(wire(fields=fields, body=end.join(parts)))
    # The last line end of SDP is taken for the one that belongs to the mark.
    assert invite.content("application/sdp") == SDP[:-2]
    assert invite.content("text/plain") is None
    assert request(wire(fields={"Content-Type": "multipart/mixed"}, body=SDP)).content("application/sdp") is None


def test_octets_that_are_no_utf_8_survive() -> None:
    octets = wire().replace(b'"Fax"', b'"B\xfcro"')
    assert request(octets).octets() == octets
    assert request(octets).answer(200).octets().count(b"B\xfcro") == 1


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"INVITE",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SIP/2.0 200\xa0OK\r\n\r\n",
        wire("SIP/3.0 200 OK"),
        wire("SIP/2.0 4294967301 better not break the receiver"),
        wire("SIP/2.0 99 Low"),
        wire("SIP/2.0 200 OK", {"CSeq": "x INVITE"}),
        wire("SIP/2.0 200 OK", length="10"),
        wire(fields={"Via": "rubbish"}),
        wire("ACK sip:a@b SIP/2.0"),
        b"INVITE sip:a@b SIP/2.0\r\n" + b"A: b\r\n" * (MOST_FIELDS + 1) + wire().partition(b"\r\n")[2],
        wire(body=b" " * LARGEST),
    ],
)
def test_what_cannot_be_answered_is_told_from_what_can(octets: bytes) -> None:
    with pytest.raises(SipMalformed) as caught:
        parse(octets)
    assert not isinstance(caught.value, SipRefused)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (wire(length="500", body=SDP), 400),
        (wire(length="-1"), 400),
        (wire(length="1, 2"), 400),
        (wire(fields={"l": "7"}, body=SDP), 400),
        (wire("OPTIONS sip:a@b SIP/2.0"), 400),
        (wire("INVITE sip:a b@c SIP/2.0"), 400),
        (wire("INVITE sip:a@b SIP/7.0"), 505),
        (wire(fields={"CSeq": "36893488147419103232 INVITE"}), 400),
        (wire(fields={"Max-Forwards": "300"}), 400),
        (wire(fields={"To": '"Mr. J. User <sip:a@b>'}), 400),
        (wire(fields={"f": "<sip:second@b>"}), 400),
    ],
)
def test_a_wrong_request_can_be_refused(octets: bytes, status: int) -> None:
    error = refused(octets)
    assert error.status == status
    assert error.reason
    answer = error.request.answer(error.status, tag="x")
    assert answer.octets().startswith(b"SIP/2.0 %d " % status)
    assert answer.via.branch == "z9hG4bK776asdhds"
    assert [name for name, _ in answer.headers] == ["Via", "From", "To", "Call-ID", "CSeq"]


@composite
def damaged(draw: DrawFn) -> bytes:
    """Return a message with some octets changed, taken out or put in."""
    octets = bytearray(wire(fields={"Content-Type": "application/sdp"}, body=SDP))
    for _ in range(draw(integers(1, 6))):
        place = draw(integers(0, len(octets) - 1))
        taken = draw(integers(0, 3))
        octets[place : place + taken] = draw(sampled_from(SPLINTERS))
    return bytes(octets)


SPLINTERS = [
    b"",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"=",
    b"@",
    b"\\",
    b"%",
    b"\xff",
]
SPLINTERS += [b"\r\n\r\n", b"\xc3\xa9", b"[", b"9" * 30, b"SIP/2.0", b"*"]


@given(damaged())
def test_whatever_is_read_is_written_so_that_it_is_read_the_same(octets: bytes) -> None:
    try:
        message = parse(octets)
    except SipMalformed as error:
        assert error.reason.isascii() and error.reason.isprintable()
        if isinstance(error, SipRefused):
            error.request.answer(error.status, tag="x").octets()
        return
    assert parse(message.octets()) == message
    assert parse(message.octets(compact=True)) == message
    assert message.via == message.vias[0]
    assert message.call_id and message.from_ and message.to and message.cseq


@given(binary(max_size=200))
def test_no_octets_do_harm(octets: bytes) -> None:
    for noise in (octets, b"INVITE sip:a SIP/2.0\r\n" + octets, b"SIP/2.0 200 OK\r\nVia:" + octets):
        try:
            parse(noise)
        except SipMalformed:
            continue


HOSTILE = [
    b"a:" + b" " * 60000,
    b"a:" + b"\r\n " * 20000,
    b"Via: " + b"SIP/2.0/UDP h," * 4000,
    b"Via: " + b"," * 60000,
    b"To: " + b'"\\' * 30000,
    b"Contact: " + b"<" * 60000,
    b":" * 60000,
    b"\r" * 60000,
    b"CSeq: " + b"9" * 60000,
    b"Content-Length: " + b"9" * 60000,
]


@pytest.mark.parametrize("field", HOSTILE)
def test_no_message_takes_long(field: bytes) -> None:
    octets = b"INVITE sip:a@b SIP/2.0\r\n" + field + b"\r\n\r\n"
    began = perf_counter()
    for _ in range(2):
        with pytest.raises(SipMalformed):
            parse(octets)
    assert perf_counter() - began < 1


# -------------------------------------------------------------------------------------------------------------- streams


@given(pieces=lists(integers(1, 300), min_size=1, max_size=40))
def test_a_stream_is_cut_into_the_same_messages_whatever_the_pieces(pieces: list[int]) -> None:
    one, other = wire(body=SDP), wire("SIP/2.0 200 OK", length=None)
    stream = (
        b"\r\n\r\n" + one + b"\r\n\r\n\r\n\r\n" + other + one.replace(b"\r\n", b"\n").replace(b"\n" + SDP[:1], b"\nv")
    )
    sloppy = one[: -len(SDP)].replace(b"\r\n", b"\n") + SDP
    sloppy = one[: -len(SDP)].replace(b"\r\n", b"\n") + SDP
    stream = b"\r\n\r\n" + one + b"\r\n\r\n\r\n\r\n" + other + sloppy + b"\r\n\r\n"
    framer, found = Framer(opened=False), []
    for size in (*pieces, len(stream)):
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == [KeepAlive.PING, one, KeepAlive.PING, KeepAlive.PING, other, sloppy, KeepAlive.PING]
    assert framer.lost == ""


def test_on_a_connection_that_we_opened_line_ends_are_answers() -> None:
    framer = Framer(opened=True)
    assert framer.feed(b"\r\n") == [KeepAlive.PONG]
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n" + wire()) == [KeepAlive.PONG, wire()]


def test_line_ends_before_and_after_a_message_are_no_ping_together() -> None:
    assert Framer(opened=False).feed(b"\r\n" + wire() + b"\r\n") == [wire()]


@pytest.mark.parametrize(
    "octets",
    [
        b"a" * (LARGEST + 1),
        wire(length=str(LARGEST)),
        wire(length="-1"),
        wire(length="x"),
        wire(fields={"l": "5"}),
        b"INVITE sip:a@b SIP/2.0\r\n" + b"A: b\r\n" * (MOST_FIELDS + 1) + b"\r\n",
    ],
)
def test_a_stream_that_cannot_be_cut_any_more_is_lost_and_holds_nothing(octets: bytes) -> None:
    framer = Framer(opened=False)
    assert framer.feed(wire() + octets) == [wire()]
    assert framer.lost
    assert framer.feed(wire()) == []
    assert not framer._held


def test_octets_that_come_one_by_one_are_worked_through_once() -> None:
    framer = Framer(opened=False)
    began = perf_counter()
    for _ in range(40000):
        framer.feed(b"a")
    assert perf_counter() - began < 2
    assert not framer.lost


@given(lists(binary(max_size=50), max_size=10))
def test_no_stream_does_harm(pieces: list[bytes]) -> None:
    framer = Framer(opened=False)
    for piece in pieces:
        framer.feed(piece)


def test_each_status_has_a_reason_of_one_line() -> None:
    for status in REASONS:
        assert parse(wire(Response(status).octets().partition(b"\r\n")[0].decode()))


def test_headers_of_two_messages_are_not_the_same_object() -> None:
    assert Request("BYE", Uri("sip", None, "h")).headers is not Response(200).headers
    assert Headers(COMMON.items()) == parse(wire()).headers
