"""Digest authentication: the arithmetic by the examples of the RFCs, the rest by servers that are hard to please."""

from collections.abc import Iterator
from itertools import count, repeat
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis.strategies import text

from drivers.sip.digest import MOST_STALE, Account, Challenge, Digest, Parameters
from drivers.sip.grammar import SipMalformed
from drivers.sip.messages import Request, Response
from drivers.sip.uri import Uri

# By openssl dgst -sha512-256 and -md5, of user:realm:password, method:uri, and both with the nonce between.
SHA_512_256 = "7e152934f4628ada9cca5c19ad26c81b18760783ba303e3d6bd3bd09bdddd06c"
OLD_FORM = "9fc89272b71706c3065fdf02c28ae02e"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
PROXY, SERVER = ("Proxy-Authenticate", 407), ("WWW-Authenticate", 401)


def invite() -> Request:
    return Request("INVITE", Uri.parse("sip:+15550100@trunk.example.com"))


def client(*, realm: str | None = None) -> Digest:
    numbers = count(1)
    return Digest(Account("fax", "se:cret", realm), cnonce=lambda: f"c{next(numbers)}")


def asks(*challenges: str, by: tuple[str, int] = SERVER) -> Response:
    response = Response(by[1])
    for each in challenges:
        response.headers.add(by[0], each)
    return response


def credentials(request: Request, name: str = "Authorization") -> list[Parameters]:
    return [each for value in request.headers.all(name) for each in Parameters.parse_all(value)]


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_comes_out(algorithm: str, response: str) -> None:
    digest = Digest(Account("Mufasa", "Circle of Life"), cnonce=lambda: CNONCE)
    request = Request("GET", Uri("", None, "", opaque="/dir/index.html"))
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert digest.challenged(request, asks(challenge))
    digest.authorize(request)
    (sent,) = credentials(request)
    assert (sent.get("response"), sent.get("nc"), sent.get("qop")) == (response, "00000001", "auth")
    assert sent.get("opaque") == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    assert sent.get("algorithm") == algorithm


def test_sha_512_256_is_the_truncated_one_and_not_half_of_sha_512() -> None:
    digest, request = client(), invite()
    assert digest.challenged(request, asks('Digest realm="r", nonce="n", algorithm=SHA-512-256'))
    digest.authorize(request)
    assert credentials(request)[0].get("response") == SHA_512_256


def test_a_server_that_names_no_quality_gets_the_old_form() -> None:
    digest, request = client(), invite()
    assert digest.challenged(request, asks('Digest realm="r", nonce="n"'))
    digest.authorize(request)
    (sent,) = credentials(request)
    assert [name for name, _ in sent.values] == ["username", "realm", "nonce", "uri", "response"]
    assert sent.get("response") == OLD_FORM


def test_the_topmost_challenge_that_is_understood_is_answered_in_each_realm() -> None:
    digest, request = client(), invite()
    response = asks(
        'Digest realm="a", nonce="1", algorithm=SHA-512-256-sess',
        'Digest realm="a", nonce="2", algorithm=sha-256, qop="auth"',
        'Digest realm="a", nonce="3", algorithm=MD5, qop="auth"',
        'Basic realm="a"',
        "NTLM",
        'Digest realm="b, c", nonce="4", qop="auth-int,auth"',
        by=PROXY,
    )
    assert digest.challenged(request, response)
    digest.authorize(request)
    sent = credentials(request, "Proxy-Authorization")
    assert {(each.get("realm"), each.get("nonce")) for each in sent} == {("a", "2"), ("b, c", "4")}
    assert credentials(request) == []


def test_several_challenges_in_one_field_are_told_apart() -> None:
    text_ = 'Digest realm="a,b", nonce="1", qop="auth,auth-int" , Digest realm=c,nonce="Digest realm=",stale=TRUE,'
    assert Challenge.parse_all(text_) == [
        Challenge("a,b", "1", auth=True),
        Challenge("c", "Digest realm=", stale=True),
    ]


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Basic realm="r"',
        "Negotiate",
        'Digest realm="r, nonce=',
        "",
    ],
)
def test_a_challenge_that_cannot_be_answered_ends_it(challenge: str) -> None:
    assert not client().challenged(invite(), asks(challenge))


def test_only_the_realm_of_the_account_gets_an_answer() -> None:
    digest = client(realm="ours")
    assert not digest.challenged(invite(), asks('Digest realm="theirs", nonce="n"'))
    assert digest.challenged(invite(), asks('Digest realm="ours", nonce="n"'))


def test_a_wrong_password_is_tried_once() -> None:
    digest, request = client(), invite()
    assert digest.challenged(request, asks('Digest realm="r", nonce="1", qop="auth"'))
    digest.authorize(request)
    assert not digest.challenged(request, asks('Digest realm="r", nonce="2", qop="auth"'))


@pytest.mark.parametrize("qop", ["", ', qop="auth"'])
@pytest.mark.parametrize("nonces", [count(), repeat(7)], ids=["new nonces", "one nonce"])
@pytest.mark.parametrize("together", [False, True])
def test_many_requests_at_once_with_a_wrong_password_come_to_an_end(
    qop: str, nonces: Iterator[int], together: bool
) -> None:
    digest = client()
    waiting = [invite() for _ in range(5)]
    for _ in range(10):
        again = []
        for request in waiting:
            if digest.challenged(request, asks(f'Digest realm="r", nonce="{next(nonces)}"{qop}')):
                again.append(request)
                if not together:
                    digest.authorize(request)
        for request in again if together else []:
            digest.authorize(request)
        waiting = again
    assert waiting == []


def test_a_stale_nonce_is_replaced_though_it_was_new_but_not_for_ever() -> None:
    digest, request = client(), invite()
    assert digest.challenged(request, asks('Digest realm="r", nonce="0", qop="auth"'))
    for number in range(MOST_STALE):
        digest.authorize(request)
        assert digest.challenged(request, asks(f'Digest realm="r", nonce="s{number}", qop="auth", stale=true'))
    digest.authorize(request)
    assert not digest.challenged(request, asks('Digest realm="r", nonce="last", qop="auth", stale=true'))


def test_later_requests_are_authorized_at_once_and_counted() -> None:
    digest, first, second = client(), invite(), invite()
    digest.authorize(first)
    assert "Authorization" not in first.headers
    digest.challenged(first, asks('Digest realm="r", nonce="1", qop="auth"'))
    digest.authorize(first)
    digest.authorize(second)
    assert [credentials(each)[0].get("nc") for each in (first, second)] == ["00000001", "00000002"]
    assert [credentials(each)[0].get("cnonce") for each in (first, second)] == ["c1", "c2"]
    # A nonce that served before has run out, though the server does not say that it is stale.
    assert digest.challenged(second, asks('Digest realm="r", nonce="2", qop="auth"'))
    digest.authorize(second)
    assert [(each.get("nonce"), each.get("nc")) for each in credentials(second)] == [("2", "00000001")]


def test_a_proxy_and_a_server_are_both_answered() -> None:
    digest, request = client(), invite()
    assert digest.challenged(request, asks('Digest realm="p", nonce="1"', by=PROXY))
    digest.authorize(request)
    assert digest.challenged(request, asks('Digest realm="s", nonce="2"'))
    digest.authorize(request)
    assert len(credentials(request)) == len(credentials(request, "Proxy-Authorization")) == 1


def test_the_password_is_not_shown() -> None:
    assert "se:cret" not in repr(Account("fax", "se:cret"))


@given(text(alphabet='Digest realm="x",=\\ \t', max_size=80))
def test_no_challenge_does_harm(noise: str) -> None:
    Challenge.parse_all(noise)
    Challenge.parse_all('Digest realm="r", ' + noise)


@pytest.mark.parametrize(
    "noise", ["a" * 60000, "a=b," * 15000, "a " * 30000, 'Digest a="' + "\\" * 60000, "Digest " + " " * 60000]
)
def test_no_challenge_takes_long(noise: str) -> None:
    began = perf_counter()
    Challenge.parse_all(noise)
    assert perf_counter() - began < 1


def test_broken_credentials_are_told() -> None:
    with pytest.raises(SipMalformed):
        Parameters.parse_all('realm="no scheme"')
