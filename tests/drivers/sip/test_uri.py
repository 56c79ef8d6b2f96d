"""URIs: what is read, what is written, what means the same."""

import pytest
from hypothesis import given
from hypothesis.strategies import text

from drivers.sip.grammar import SipMalformed
from drivers.sip.uri import Uri, escaped_user

SAME = [
    ("sip:alice@example.com", "SIP:alice@EXAMPLE.com"),
    ("sip:%61lice@example.com;transport=TCP", "sip:alice@example.com;Transport=tcp"),
    ("sip:carol@example.com", "sip:carol@example.com;newparam=5"),
    ("sip:a@example.com;x=1;y=2", "sip:a@example.com;y=2;x=1"),
    ("sip:a@example.com?subject=x&priority=y", "sip:a@example.com?Priority=y&subject=x"),
    ("sip:j%3bx@example.com", "sip:j%3Bx@example.com"),
]
OTHERS = [
    ("sip:alice@example.com", "sip:Alice@example.com"),
    ("sip:bob@example.com", "sips:bob@example.com"),
    ("sip:bob@example.com", "sip:bob@example.com:5060"),
    ("sip:bob@example.com", "sip:bob@example.com;transport=udp"),
    ("sip:bob@example.com;user=phone", "sip:bob@example.com"),
    ("sip:bob@example.com", "sip:bob@192.0.2.4"),
    ("sip:bob@example.com;x=1", "sip:bob@example.com;x=2"),
    ("sip:bob@example.com", "sip:bob@example.com?subject=x"),
    ("sip:bob@example.com", "sip:example.com"),
    ("sip:bob:secret@example.com", "sip:bob:other@example.com"),
    ("tel:+15550100", "tel:+15550101"),
    ("urn:a:b", "urn:a:c"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_differs_in_spelling_alone_matches(one: str, other: str) -> None:
    assert Uri.parse(one).matches(Uri.parse(other))
    assert Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_what_means_another_place_does_not_match(one: str, other: str) -> None:
    assert not Uri.parse(one).matches(Uri.parse(other))
    assert not Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(
    "uri",
    [
        "sip:example.com",
        "sips:user:pass@host.example.com:5061;transport=tls;lr?subject=hello",
        "sip:[2001:db8::1]:5070",
        "sip:+15550100;phone-context=example.com@gw.example.com;user=phone",
        "sip:*31%2315550100@192.0.2.1",
        "tel:+1-555-0100;phone-context=example.com",
        "http://www.example.com/a?b=c",
    ],
)
def test_a_correct_uri_is_written_as_it_was_read(uri: str) -> None:
    assert str(Uri.parse(uri)) == uri


def test_the_parts_are_told_apart() -> None:
    uri = Uri.parse("sip:user;par=u%40example.net:pw@[2001:db8::9]:5070;transport=TCP;lr?Route=%3Csip:x%3E")
    assert (uri.user, uri.password, uri.host, uri.port) == ("user;par=u%40example.net", "pw", "2001:db8::9", 5070)
    assert (uri.transport, "lr" in uri.params, uri.plain_user) == ("tcp", True, "user;par=u@example.net")
    assert uri.headers == (("Route", "%3Csip:x%3E"),)
    assert str(uri.without_headers()) == "sip:user;par=u%40example.net:pw@[2001:db8::9]:5070;transport=TCP;lr"


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+1-555.0100;npdi=yes@h;user=phone", "+15550100"),
        ("tel:(555)%200100", "5550100"),
        ("sip:*31%2315550100@h", "*31#15550100"),
        ("sip:j.smith@h", "j.smith"),
        ("sip:h", ""),
    ],
)
def test_the_number_is_what_would_be_dialled(uri: str, number: str) -> None:
    assert Uri.parse(uri).number == number


@pytest.mark.parametrize(
    ("sloppy", "strict"),
    [
        ("sip:*31#123@192.0.2.1", "sip:*31%23123@192.0.2.1"),
        ("sip:fax@corp@gw.example.com;x=1", "sip:fax%40corp@gw.example.com;x=1"),
        ("sip:bob@host?Replaces=a@b", "sip:bob@host?Replaces=a%40b"),
        ("sip:50%@host", "sip:50%25@host"),
        ("sip:@host", "sip:host"),
        ("sip:user@2001:db8::1", "sip:user@[2001:db8::1]"),
        (" sip:gw_1.example.com: ", "sip:gw_1.example.com"),
    ],
)
def test_a_sloppy_uri_is_read_and_written_correctly(sloppy: str, strict: str) -> None:
    assert str(Uri.parse(sloppy)) == strict


@pytest.mark.parametrize(
    "text_",
    [
        *("", "example.com", "sip:", "sip:a@", "sip:a@b:99999", "sip:a@b:0", "sip:a@b:x", "sip:a b@c", "sip:[::1"),
        *("1:x", "sip:a@b;=1", "sip:a\r\n@b", "sip:<a@b>", "sip:[::1]x"),
    ],
)
def test_what_is_no_uri_is_refused(text_: str) -> None:
    with pytest.raises(SipMalformed):
        Uri.parse(text_)


@given(text(min_size=1))
def test_any_text_can_be_a_user(plain: str) -> None:
    uri = Uri("sip", escaped_user(plain), "example.com")
    assert Uri.parse(str(uri)) == uri
    assert uri.plain_user == plain


@given(text(alphabet='sip:tel@;?=&%aA1.[]:<>" \x00é\udcff,/#', max_size=40))
def test_whatever_is_read_is_written_so_that_it_is_read_the_same(noise: str) -> None:
    for scheme in ("sip:", "tel:", "x:"):
        try:
            uri = Uri.parse(scheme + noise)
        except SipMalformed:
            continue
        assert Uri.parse(str(uri)) == uri
        assert uri.matches(uri)
