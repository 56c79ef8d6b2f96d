"""What a trace shows of SIP: all but what lets somebody in."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sip.digest import Account, Digest
from drivers.sip.headers import Headers
from drivers.sip.messages import Request, Response, parse
from drivers.sip.uri import Uri
from faxgw.trace.messages import LONGEST, shown_message

CHALLENGE = 'Digest realm="trunk.example", nonce="dcd98b7102dd", qop="auth", algorithm=SHA-256, opaque="5ccc069c"'


def authorized(status: int, challenge: str = CHALLENGE) -> Request:
    """Return a REGISTER with credentials of ours."""
    headers = Headers()
    for name, value in (
        ("Via", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1"),
        ("From", "<sip:+49301234567@trunk.example>;tag=1"),
        ("To", "<sip:+49301234567@trunk.example>"),
        ("Call-ID", "1@192.0.2.1"),
        ("CSeq", "1 REGISTER"),
        ("Max-Forwards", "70"),
    ):
        headers.add(name, value)
    request = Request("REGISTER", Uri.parse("sip:trunk.example"), headers)
    asked = Response(status)
    asked.headers.add("WWW-Authenticate" if status == 401 else "Proxy-Authenticate", challenge)
    digest = Digest(Account("fax", "K4n4rienvogel"), cnonce=lambda: "0a4f113b")
    assert digest.challenged(request, asked)
    digest.authorize(request)
    return request


@pytest.mark.parametrize("status", [401, 407])
def test_what_is_made_from_a_password_is_masked_and_the_rest_is_as_it_was(status: int) -> None:
    request = authorized(status)
    name = "Authorization" if status == 401 else "Proxy-Authorization"
    whole, shown = request.octets(), shown_message(request.octets())
    said = request.headers.get(name) or ""
    response = said.partition('response="')[2][:64]
    assert whole.replace(response.encode(), b"*" * 64).replace(b"0a4f113b", b"*" * 8) == shown
    assert isinstance(parse(shown), Request)


CREDENTIALS = [
    ("response=abc", "response=***"),
    ('realm="r",\r\n response="abc",\r\n\turi="sip:x"', 'realm="r",\r\n response="***",\r\n\turi="sip:x"'),
    ('realm="a\\", x", response="abc"', 'realm="a\\", x", response="***"'),
    ('realm="r" response="abc', 'realm="r" response=****'),
    ('a=1,Response = "a b", realm="r"', 'a=*,Response = "* *", realm="r"'),
    ("abcdef", "******"),
]
OTHERS = [
    ("authorization : digest response=abc", "authorization : digest response=***"),
    ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ************"),
    ("Proxy-Authorization: Bearer ey.Jh", "Proxy-Authorization: Bearer *****"),
    ('Authentication-Info: rspauth="abc", nextnonce="n"', 'Authentication-Info: rspauth="***", nextnonce="n"'),
    ('WWW-Authenticate: Digest realm="r", nonce="n"', 'WWW-Authenticate: Digest realm="r", nonce="n"'),
    ("m: <sip:fax:p@ss@192.0.2.1>, <sips:fax:word@x>", "m: <sip:fax:****@192.0.2.1>, <sips:fax:****@x>"),
    ("Contact: <sip:fax:word@192.0.2.1:5060>", "Contact: <sip:fax:****@192.0.2.1:5060>"),
    ("Route: <sip:192.0.2.1:5060;lr;x=a@b>", "Route: <sip:192.0.2.1:5060;lr;x=a@b>"),
    ("INVITE sip:+4930:pass@h:5060 SIP/2.0", "INVITE sip:+4930:****@h:5060 SIP/2.0"),
    ("To: <sip:+49301@h:5060>;tag=a", "To: <sip:+49301@h:5060>;tag=a"),
    ("Refer-To: <sip:a@b?Authorization=Digest%20x&x=1>", "Refer-To: <sip:a@b?Authorization=**********&x=1>"),
    ("a=crypto:1 AES_80 inline:d0RmdmcmV|2^20", "a=crypto:1 AES_80 *********************"),
    ("a=crypto:d0RmdmcmVCspeEc3", "a=crypto:****************"),
    ("v=0\r\n k = clear:word\r\ns=k=a", "v=0\r\n k = **********\r\ns=k=a"),
    ("k=base64:QQ==", "k=***********"),
    ("a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-pwd:**********************"),
    ("a=key-mgmt:mikey AQAFgM", "a=key-mgmt:***** ******"),
    ("a=T38FaxVersion:3", "a=T38FaxVersion:3"),
]
_DIGEST = "Authorization: Digest "


@pytest.mark.parametrize(
    ("message", "shown"), [*((_DIGEST + said, _DIGEST + shown) for said, shown in CREDENTIALS), *OTHERS]
)
def test_secrets_are_masked_wherever_they_stand(message: str, shown: str) -> None:
    for before in ("INVITE sip:x SIP/2.0\r\n", ""):
        assert shown_message(f"{before}{message}\r\n".encode()) == f"{before}{shown}\r\n".encode()


@given(octets=st.binary(max_size=300))
def test_any_octets_keep_their_length(octets: bytes) -> None:
    assert len(shown_message(octets)) == len(octets)


@pytest.mark.parametrize(
    "piece",
    [
        *(b"sip:a:", b"@sip:a:", b"sip:a:;", b"sip:a:@"),
        *(b'Authorization: Digest a="', b"Authorization: Digest a=\\", b'"\\', b"a=1,", b"?authorization="),
        *(b" ", b"k=", b"\r\n "),
    ],
)
def test_no_message_takes_long(piece: bytes) -> None:
    message = b"@ Authorization: Digest @" + piece * (65535 // len(piece))
    began = time.process_time()
    for each in (message, message[2:], message[2:] + b"@", message[2 : LONGEST - 9], message.replace(b"Auth", b"")):
        shown_message(each)
    assert time.process_time() - began < 1.0


def test_credentials_are_masked_however_they_are_written() -> None:
    chance = random.Random(7)
    for _ in range(300):
        said = ['username="fax"', 'response="c4nary"', "cnonce=c4nary", "nc=00000001", "qop=auth", 'uri="sip:a,b"']
        chance.shuffle(said)
        blank = chance.choice(("", " ", "\r\n ", "\r\n\t "))
        field = f"Authorization:{blank} Digest {f'{blank},{blank}'.join(said)}\r\nTo: <sip:c4nary@x>\r\n\r\n"
        shown = shown_message(field.encode())
        assert shown.count(b"c4nary") == 1
        assert shown.count(b"sip:a,b") == 1
