"""What the torture messages of RFC 4475 are about, in messages of our own: each is told apart as the RFC asks."""

import pytest

from drivers.sip.grammar import SipMalformed
from drivers.sip.messages import Request, Response, SipRefused, parse
from tests.drivers.sip.wire import SDP, wire

TORTUOUS = (
    b"INVITE sip:faxes@gw.example.com;odd SIP/2.0\r\n"
    b"tO :\r\n sip:faxes@gw.example.com ;   tag    = 191n\r\n"
    b'fRoM   : "A \\\\\\""       <sip:caller@example.com>\r\n  ;\r\n  tag = 98a\r\n'
    b"mAx-FoRwArDs: 0068\r\n"
    b"I: 7.tortuous@192.0.2.7\r\n"
    b"CSEQ: 0009\r\n  INVITE\r\n"
    b"vIa  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=old\r\n"
    b"s :\r\n"
    b"X-New:   one line\r\n and one that goes on;;,,;;,;\r\n"
    b"c: application/sdp\r\n"
    b"Route:\r\n <sip:p.example.com;lr;odd=~!'*>\r\n"
    b"v:  SIP  / 2.0  / TCP     hop.example.com   ;\r\n  branch  =   z9hG4bKa  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bKb\r\n"
    b'm:"Quoted \\"\\"" <sip:caller@example.com> ; new =\r\n      value ;\r\n  second ; q = 0.33\r\n\r\n'
) + SDP


def read(octets: bytes) -> Request:
    message = parse(octets)
    assert isinstance(message, Request)
    return message


def status(octets: bytes) -> int:
    """Return what a request is refused with."""
    with pytest.raises(SipRefused) as caught:
        parse(octets)
    return caught.value.status


def test_a_tortuous_invite() -> None:
    invite = read(TORTUOUS)
    assert [(via.transport, via.host, via.branch) for via in invite.vias] == [
        ("UDP", "192.0.2.2", "old"),
        ("TCP", "hop.example.com", "z9hG4bKa"),
        ("UDP", "192.168.255.111", "z9hG4bKb"),
    ]
    assert (invite.from_.display, invite.from_.tag, invite.to.tag) == ('A \\"', "98a", "191n")
    assert (invite.cseq.number, invite.headers.get("Max-Forwards"), invite.headers.get("Subject")) == (9, "0068", "")
    assert invite.headers.get("X-New") == "one line and one that goes on;;,,;;,;"
    assert invite.contacts[0].display == 'Quoted ""'
    assert invite.contacts[0].params.get("q") == "0.33"
    assert invite.body == SDP
    assert parse(invite.octets()) == invite


def test_every_character_that_is_allowed_somewhere() -> None:
    method = "!Odd-Method0123456789_*+`.%indeed'~"
    uri = "sip:1_odd~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,pa$wo~d_too.(yes)@example.com"
    message = read(
        wire(
            f"{method} {uri} SIP/2.0",
            {
                "CSeq": f"1 {method}",
                "To": f'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <{uri}>',
                "From": "token1~` token2'+_ token3*%!.- <sip:a@b>;fromParam''~+*_!.-%=\"\\\"Ж\";tag=_t*'+-.",
                "Call-ID": "word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
                "extensionHeader-!.%*+_`'~": "大停電",
            },
        )
    )
    assert message.method == method
    assert str(message.uri) == uri
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.tag == "_t*'+-."
    assert message.headers.get("EXTENSIONHEADER-!.%*+_`'~") == "大停電"
    assert parse(message.octets()) == message


def test_escapes_in_addresses() -> None:
    message = read(
        wire(
            "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
            {"From": "<sip:null-%00-null@example.com>;tag=1", "To": "<sip:%E5%A4%A7@example.com>"},
        )
    )
    assert message.uri.plain_user == "sips:user@example.com"
    assert message.uri.host == "example.net"
    assert message.from_.uri.plain_user == "null-\0-null"
    assert message.to.uri.plain_user == "大"


def test_a_percent_sign_where_it_escapes_nothing() -> None:
    message = read(wire("RE%47IST%45R sip:h SIP/2.0", {"CSeq": "1 RE%47IST%45R", "From": '"%Z%45" <sip:a@b>;tag=1'}))
    assert (message.method, message.from_.display) == ("RE%47IST%45R", "%Z%45")


def test_no_space_between_name_and_address() -> None:
    assert read(wire(fields={"From": "caller<sip:caller@example.com>;tag=323"})).from_.display == "caller"


def test_very_long_fields() -> None:
    name = "I have a long name " * 200
    vias = ", ".join(f"SIP/2.0/UDP h{number}.example.com;branch=z9hG4bK{'long' * 30}{number}" for number in range(50))
    message = read(wire(fields={"To": f'"{name}" <sip:{"user" * 300}@example.com>', "Via": vias}))
    assert (message.to.display, len(message.vias)) == (name, 50)


def test_what_follows_the_body_of_a_datagram_is_left_out() -> None:
    assert parse(wire(body=SDP) + wire("REGISTER sip:h SIP/2.0")) == parse(wire(body=SDP))


def test_semicolons_in_the_user() -> None:
    uri = read(wire("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", {"CSeq": "8 OPTIONS"})).uri
    assert (uri.user, uri.host, uri.params.pairs) == ("user;par=u%40example.net", "example.com", ())


def test_transports_nobody_knows() -> None:
    via = ", ".join(f"SIP/2.0/{name} t.example.com;branch=z9hG4bK{name}" for name in ("UDP", "SCTP", "UNKNOWN", "TLS"))
    assert [each.transport for each in read(wire(fields={"Via": via})).vias] == ["UDP", "SCTP", "UNKNOWN", "TLS"]


def test_a_body_of_many_parts_with_any_octets() -> None:
    body = b"--7a9\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9\r\n\r\n" + bytes(range(256)) + b"\r\n--7a9--\r\n"
    message = read(wire(fields={"Content-Type": "multipart/mixed;boundary=7a9"}, body=body))
    assert (message.body, message.content_type) == (body, "multipart/mixed")


@pytest.mark.parametrize("reason", ["= 2**3 * 5**2 но сто девяносто девять - простое", "", " "])
def test_unusual_reasons(reason: str) -> None:
    response = parse(wire(f"SIP/2.0 200 {reason}"))
    assert isinstance(response, Response)
    assert response.reason == reason.strip()


@pytest.mark.parametrize(
    ("octets", "refused_with"),
    [
        (wire(fields={"Via": "SIP/2.0/UDP 192.0.2.15;;,;,,"}), 400),
        (wire(length="9999", body=SDP), 400),
        (wire(length="-999", body=SDP), 400),
        (wire(fields={"CSeq": "36893488147419103232 INVITE"}), 400),
        (wire(fields={"Max-Forwards": "300"}), 400),
        (wire(fields={"To": '"Mr. J. User <sip:j.user@example.com>'}), 400),
        (wire("INVITE sip:user@example.com; lr SIP/2.0"), 400),
        (wire("OPTIONS sip:a@b SIP/7.0", {"CSeq": "1 OPTIONS", "Via": "SIP/7.0/UDP h;branch=z9hG4bKx"}), 505),
        (wire("OPTIONS sip:a@b SIP/2.0"), 400),
        (wire("NEWMETHOD sip:a@b SIP/2.0", {"CSeq": "8 INVITE"}), 400),
        (wire(fields={"F": "<sip:other@example.com>;tag=2", "i": "two"}), 400),
        (wire(fields={"l": "5"}, body=SDP), 400),
    ],
    ids=[
        *("extraneous separators", "too long", "negative length", "CSeq", "Max-Forwards", "quote", "space in URI"),
        *("version", "method and CSeq", "unknown method and CSeq", "twice", "two lengths"),
    ],
)
def test_an_invalid_request_is_refused(octets: bytes, refused_with: int) -> None:
    assert status(octets) == refused_with


@pytest.mark.parametrize(
    "octets",
    [
        wire("SIP/2.0 503 Overlarge", {"CSeq": "9292394834772304023312 OPTIONS"}),
        wire("SIP/2.0 4294967301 better not break the receiver"),
        wire(fields={"From": None}),
        wire(fields={"To": None, "Call-ID": None, "CSeq": None}),
    ],
    ids=["CSeq of a response", "status", "no From", "three missing"],
)
def test_what_is_invalid_and_cannot_be_answered_is_dropped(octets: bytes) -> None:
    with pytest.raises(SipMalformed) as caught:
        parse(octets)
    assert not isinstance(caught.value, SipRefused)


@pytest.mark.parametrize(
    "start",
    [
        "INVITE <sip:user@example.com> SIP/2.0",
        "INVITE  sip:user@example.com  SIP/2.0",
        "INVITE sip:user@example.com SIP/2.0  ",
    ],
)
def test_what_may_be_forgiven_is(start: str) -> None:
    assert str(read(wire(start)).uri) == "sip:user@example.com"


def test_headers_in_the_address_of_a_request_are_no_headers() -> None:
    message = read(wire("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"))
    assert "Route" not in message.headers
    assert message.uri.without_headers() == read(wire("INVITE sip:user@example.com SIP/2.0")).uri


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Date", "Fri, 01 Jan 2010 16:00:00 EST"),
        ("Contact", "sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
        ("To", '"Watson, Thomas" < sip:t.watson@example.org >'),
        ("From", "Bell, Alexander <sip:a.g.bell@example.com>;tag=43"),
        ("Authorization", "NoOneKnowsThisScheme opaque-data=here"),
        ("Via", "SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK"),
        ("Require", "nothingSupportsThis, nothingSupportsThisEither"),
        ("Max-Forwards", "0"),
        ("Contact", '"name" <sip:user@example.com;unknown=yes>;expires=99999999999'),
        ("To", "isbn:2983792873"),
        ("Via", "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa"),
    ],
)
def test_what_is_for_the_layers_above_to_judge_is_read(field: str, value: str) -> None:
    assert read(wire(fields={field: value})).headers.all(field)


@pytest.mark.parametrize("uri", ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002"])
def test_schemes_nobody_knows(uri: str) -> None:
    scheme, _, rest = uri.partition(":")
    target = read(wire(f"OPTIONS {uri} SIP/2.0", {"CSeq": "1 OPTIONS"})).uri
    assert (target.scheme, target.opaque) == (scheme.lower(), rest)


def test_an_invite_as_rfc_2543_had_it() -> None:
    message = read(
        b"INVITE sip:UserB@example.com SIP/2.0\r\nVia: SIP/2.0/UDP iftgw.example.com\r\nFrom: <sip:+13035551111@h>\r\n"
        b"Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\r\nTo: sip:+16505552222@h\r\nCall-ID: 1\r\n"
        b"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n" + SDP
    )
    assert (message.via.branch, message.from_.tag, message.body) == ("", None, SDP)
