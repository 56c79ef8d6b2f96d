"""What a ``sip:`` URL may say, and what it is told when it says something else."""

from pathlib import Path

import pytest

from drivers.g711.law import Law
from drivers.registry import LineUrl
from drivers.sip.options import OPTIONS, TrunkOptions
from drivers.sip.switching import Begins
from drivers.sip.ways import Transport
from drivers.t38.udptl import Protection
from t30.line import LineError


def options(text: str) -> TrunkOptions:
    return TrunkOptions.of(LineUrl.parse(text))


def test_a_host_is_enough() -> None:
    given = options("sip:192.0.2.1")
    assert (given.user, given.host, given.port, given.transport) == ("", "192.0.2.1", None, Transport.UDP)
    assert (given.begins, given.version, given.protection) == (Begins.REINVITE, 0, Protection(3))
    assert not given.register


def test_everything_can_be_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRUNK", "secret")
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    given = options(
        f"sip:4930123@sip.example.com:5071?transport=tls&local=192.0.2.9:5061&auth_user=u&password_env=TRUNK&t38=offer"
        f"&t38_after=2.5&version=3&fec=3&max_datagram=400&tcf=local&law=pcma&ports=6000-6099&allow=192.0.2.0/24,2001:db8::/32"
        f"&session_expires=0&ring=30&ca={ca}&advertise=198.51.100.1&proxy=edge.example.com:5062&options=30&expires=60"
        f"&media_from=203.0.113.0/24"
    )
    assert (given.user, given.host, given.port) == ("4930123", "sip.example.com", 5071)
    assert given.register, "a user registers"
    assert given.account is not None
    assert (given.account.username, given.account.password) == ("u", "secret")
    assert "secret" not in repr(given)
    assert (given.begins, given.begins_after, given.version) == (Begins.OFFER, 2.5, 3)
    assert given.protection == Protection(0, 3)
    assert (given.laws, given.ports, given.local_tcf) == ((Law.PCMA,), (6000, 6099), True)
    assert [str(each) for each in given.allow] == ["192.0.2.0/24", "2001:db8::/32"]
    assert str(given.proxy) == "sip:edge.example.com:5062"
    assert str(given.to("+49 30 1")) == "sip:+49%2030%201@sip.example.com:5071"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sip:a@", r"it is sip:\[USER@\]HOST"),
        ("sip:h?transport=sctp", "transport=sctp is none of udp, tcp, tls"),
        ("sip:h?colour=red", "there is no option colour; there are transport"),
        ("sip:h?ring=5&ring=6", "more than once"),
        ("sip:h?t38=off", "need soft modems, which faxgw does not have yet"),
        ("sip:h?t38=later", "none of reinvite, offer, answer"),
        ("sip:h?version=4", "whole number from 0 to 3"),
        ("sip:h?redundancy=x", "whole number from 0 to 7"),
        ("sip:h?ports=4000", "LOW-HIGH"),
        ("sip:h?ports=4001-4000", "two ports"),
        ("sip:h?ports=4001-4002", "the first of them even"),
        ("sip:h?session_expires=89", "0, or 90 at least"),
        ("sip:me:secret@h", "a password does not stand in a URL; password_env names it"),
        ("sip:h?from=", "from=: it is a number"),
        ("sip:h?allow=everybody", "allow=everybody"),
        ("sip:h?auth_user=me", "auth_user needs password_env"),
        ("sip:me@h?password_env=NOT_THERE", "no such environment variable"),
        ("sip:h?ca=/nowhere&transport=tls", "ca=/nowhere"),
        ("sip:h?cert=/dev/null", "of no use without transport=tls"),
        ("sip:h?key=/dev/null&transport=tls", "key needs cert"),
        ("sip:h?local=:5060", "local=:5060"),
        ("sip:h?law=g729", "pcmu, pcma or both"),
        ("sip:h?t38_after=soon", "0 to 30"),
        ("sip:h?max_datagram=10", "72 to 65507"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(text: str, words: str) -> None:
    with pytest.raises(LineError, match=words) as caught:
        options(text)
    assert caught.value.code == "usage"


def test_every_option_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "x")
    for name in OPTIONS:
        with pytest.raises(LineError, match=name):
            options(f"sip:h?{name}=\x00")


def test_every_option_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "trunks.md").read_text()
    for name, option in OPTIONS.items():
        assert f"| `{name}` | {option.default} | {option.meaning} |" in page
