"""Header fields: names, lists, and the views of those that steer a message."""

import re
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis.strategies import text

from drivers.sip.grammar import Params, SipMalformed, quoted, split, unquoted
from drivers.sip.headers import COMPACT, CSeq, Headers, NameAddr, Via
from drivers.sip.uri import Uri


def test_names_are_the_same_in_any_case_and_length() -> None:
    headers = Headers([("i", "1"), ("CONTACT", "<sip:a>"), ("X-Own", "y")])
    assert headers.get("Call-ID") == headers.get("call-id") == headers.get("I") == "1"
    assert list(headers.lines()) == ["Call-ID: 1", "Contact: <sip:a>", "X-Own: y"]
    assert list(headers.lines(compact=True)) == ["i: 1", "m: <sip:a>", "X-Own: y"]
    assert "m" in headers and "x-own" in headers and "Via" not in headers


def test_each_short_name_stands_for_one_long_name() -> None:
    assert len(set(COMPACT.values())) == len(COMPACT)
    assert all(len(short) == 1 for short in COMPACT.values())


def test_values_are_parted_at_commas_where_the_name_allows_it_and_nowhere_else() -> None:
    headers = Headers()
    headers.add("Contact", '"Fax, Main" <sip:a,b@example.com>;x="1,2", sip:c@example.com')
    headers.add("m", "<sip:d>")
    headers.add("Subject", "one, two")
    headers.add("WWW-Authenticate", 'Digest realm="a", nonce="b"')
    assert headers.all("Contact") == ['"Fax, Main" <sip:a,b@example.com>;x="1,2"', "sip:c@example.com", "<sip:d>"]
    assert headers.all("subject") == ["one, two"]
    assert headers.all("WWW-Authenticate") == ['Digest realm="a", nonce="b"']
    assert headers.get("Contact") == '"Fax, Main" <sip:a,b@example.com>;x="1,2"'
    assert headers.get("Route") is None


def test_setting_keeps_the_place_and_removing_takes_all() -> None:
    headers = Headers([("Via", "1"), ("To", "x"), ("Via", "2"), ("From", "y")])
    headers.set("v", "3", "4")
    headers.set("Expires", "0")
    assert list(headers) == [("Via", "3"), ("Via", "4"), ("To", "x"), ("From", "y"), ("Expires", "0")]
    other = headers.copy()
    other.remove("Via")
    other.add_first("Route", "<sip:p>")
    assert [name for name, _ in other] == ["Route", "To", "From", "Expires"]
    assert len(headers) == 5
    assert headers != other
    assert other.copy() == other


@pytest.mark.parametrize(("name", "value"), [("A b", "x"), ("", "x"), ("A:", "x"), ("A", "x\r\nB: y"), ("A", "x\ny")])
def test_no_value_becomes_a_second_field(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"no name|a line end"):
        Headers().add(name, value)
    with pytest.raises(ValueError, match=r"no name|a line end"):
        Headers().set(name, value)


def test_options_are_words_in_any_case() -> None:
    assert Headers([("k", "Timer, 100rel"), ("Supported", "TIMER,,")]).options("Supported") == {"timer", "100rel"}


@pytest.mark.parametrize(
    ("field", "via"),
    [
        ("SIP/2.0/UDP 192.0.2.1", Via("UDP", "192.0.2.1")),
        (
            "SIP / 2.0 / tcp   a.example.com : 5070 ;branch=z9",
            Via("TCP", "a.example.com", 5070, Params.parse("branch=z9")),
        ),
        ("SIP/2.0/TLS [2001:db8::1]:5061;rport", Via("TLS", "2001:db8::1", 5061, Params((("rport", None),)))),
        ("sip/2.0/UDP\th;a", Via("UDP", "h", None, Params((("a", None),)))),
        ("SIP/2.0/UDP 2001:db8::1;branch=x", Via("UDP", "2001:db8::1", None, Params.parse("branch=x"))),
    ],
)
def test_a_via_is_read(field: str, via: Via) -> None:
    assert Via.parse(field) == via
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    "field", ["", "SIP/2.0 h", "SIP/2.0/UDP", "SIP/2.0/UDP ;branch=x", "HTTP/1.1/UDP h", ";", "SIP/2.0/UDP a b"]
)
def test_what_is_no_via_is_refused(field: str) -> None:
    with pytest.raises(SipMalformed):
        Via.parse(field)


def test_a_via_is_told_where_its_request_came_from() -> None:
    asked = Via.parse("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa").from_source("192.0.2.9", 40000)
    assert (asked.received, asked.rport, asked.branch) == ("192.0.2.9", 40000, "z9hG4bKa")
    assert str(asked) == "SIP/2.0/UDP 10.0.0.1:5060;rport=40000;branch=z9hG4bKa;received=192.0.2.9"
    assert Via.parse("SIP/2.0/UDP 192.0.2.9;rport").from_source("192.0.2.9", 5060).received == "192.0.2.9"
    same = Via.parse("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa")
    assert same.from_source("192.0.2.9", 5060) == same
    assert same.from_source("192.0.2.8", 5060).received == "192.0.2.8"
    assert same.rport is None and not same.asks_rport
    assert Via.parse("SIP/2.0/UDP h;rport=x;received=[::1]").rport is None
    assert Via.parse("SIP/2.0/UDP h;received=[::1]").received == "::1"


@pytest.mark.parametrize(
    ("field", "display", "uri", "params"),
    [
        ('"A. G. Bell" <sip:agb@example.com> ;tag=a48s', "A. G. Bell", "sip:agb@example.com", ";tag=a48s"),
        ("caller<sip:c@example.com>;tag=323", "caller", "sip:c@example.com", ";tag=323"),
        ("Anonymous <sip:c8oqz84@example.com;x=1>", "Anonymous", "sip:c8oqz84@example.com;x=1", ""),
        ("sip:+12125551212@example.com;tag=887s", "", "sip:+12125551212@example.com", ";tag=887s"),
        (r'"a \"b\" \\" < sip:a@b >', r'a "b" \ '.strip(), "sip:a@b", ""),
        ("Bell, Alexander: Fax <sip:a@b>;tag=43", "Bell, Alexander: Fax", "sip:a@b", ";tag=43"),
        ("<tel:+15550100>", "", "tel:+15550100", ""),
        ("<sip:John Smith@b>;tag=1", "", "sip:John%20Smith@b", ";tag=1"),
        ('sip:a@b;x="<y>"', "", "sip:a@b", ';x="<y>"'),
        ('<sip:a@b>;+sip.instance="<urn:uuid:0>"', "", "sip:a@b", ';+sip.instance="<urn:uuid:0>"'),
    ],
)
def test_an_address_is_read(field: str, display: str, uri: str, params: str) -> None:
    parsed = NameAddr.parse(field)
    assert (parsed.display, str(parsed.uri), str(parsed.params)) == (display, uri, params)
    assert NameAddr.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "field", ["", '"A <sip:a@b>', "<sip:a@b", "<sip:a@b> x", '"A" sip:a@b', "<>", '<sip:a@b>;x="y']
)
def test_what_is_no_address_is_refused(field: str) -> None:
    with pytest.raises(SipMalformed):
        NameAddr.parse(field)


def test_a_tag_is_added_and_others_stay() -> None:
    address = NameAddr(Uri("sip", "a", "b"), "Fax; Main\r\nBcc: x").with_("x", "y z").with_tag("1")
    assert str(address) == '"Fax; Main Bcc: x" <sip:a@b>;x="y z";tag=1'
    assert address.with_tag("2").tag == "2"
    assert address.without("TAG".lower()).tag is None
    assert address.params.get("x") == "y z"


@pytest.mark.parametrize(
    "field", ["1", "INVITE 1", "-1 INVITE", "4294967296 INVITE", "1 INVITE 2", "١ INVITE", "1 IN(VITE"]
)
def test_what_is_no_cseq_is_refused(field: str) -> None:
    with pytest.raises(SipMalformed):
        CSeq.parse(field)


def test_a_cseq_is_read() -> None:
    assert CSeq.parse(" 0009  \t INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(4294967295, "ACK")) == "4294967295 ACK"


@given(text())
def test_any_text_survives_quoting_but_for_its_line_ends(words: str) -> None:
    assert unquoted(quoted(words)) == re.sub(r"[\r\n]+", " ", words)


@given(text(alphabet='a",;<>\\ ', max_size=60))
def test_parting_loses_nothing_but_separators_and_spaces(noise: str) -> None:
    pieces = split(noise, ",")
    assert "".join("".join(pieces).split()).replace(",", "") == "".join(noise.split()).replace(",", "")


@pytest.mark.parametrize(
    "noise", ['"' * 60000, "<" * 60000, "\\" * 60000, '"\\' * 30000, ";" * 60000, "a=" * 30000, " " * 60000]
)
def test_no_text_takes_long(noise: str) -> None:
    readers: tuple[Callable[[str], object], ...] = (Params.parse, NameAddr.parse, Via.parse, CSeq.parse, Uri.parse)
    split(noise, ",")
    began = perf_counter()
    for read in readers:
        with suppress(SipMalformed):
            read(noise)
    assert perf_counter() - began < 1
