"""Registration, and whether the trunk is alive: what is asked for, when it is asked again, and when not any more."""

from typing import Any

import pytest

from drivers.sip.digest import Account
from drivers.sip.effects import Alive, NotRegistered, Registered
from drivers.sip.uri import Uri
from drivers.sip.ways import Target, Transport
from tests.drivers.sip.agents import THERE
from tests.drivers.sip.far import Far, far

TARGET = Target(Transport.UDP, THERE)
OTHER = Target(Transport.UDP, ("192.0.2.3", 5060))
CHALLENGE = 'Digest realm="trunk", nonce="{}", algorithm=MD5, qop="auth"'


def registrar(**others: Any) -> Far:
    return far(registrar=Uri.parse("sip:trunk.example.com"), account=Account("u", "p"), **others)


def register(there: Far, *targets: Target) -> None:
    there.here.do(there.agent.register(targets or (TARGET,), there.here.network.now))


def respond(there: Far, status: int, **fields: Any) -> None:
    fields.setdefault("Contact", "<sip:fax@192.0.2.1>;expires=300")
    there.respond(status, to="REGISTER", **fields)


def test_a_registration_says_who_and_where_and_for_how_long() -> None:
    there = registrar(expires=600)
    register(there)
    request = there.last("REGISTER")
    assert str(request.uri) == "sip:trunk.example.com"
    assert str(request.to) == "<sip:+15550101@trunk.example.com>"
    assert (request.from_.uri, request.from_.tag is None) == (request.to.uri, False)
    assert request.headers.all("Contact") == ["<sip:fax@192.0.2.1>"]
    assert request.headers.get("Expires") == "600"


def test_it_is_refreshed_before_it_ends_in_the_same_words_with_the_next_number() -> None:
    there = registrar()
    register(there)
    respond(there, 200, Contact="<sip:other@192.0.2.7>;expires=9, <sip:fax@192.0.2.1>;expires=120")
    assert there.here.told(Registered) == [Registered(120.0)]
    first = there.last("REGISTER")
    there.sent()
    there.wait(89.0)
    assert there.sent() == []
    there.wait(1.2)
    assert there.sent() == ["REGISTER"]
    second = there.last("REGISTER")
    assert (second.call_id, second.from_, second.cseq.number) == (first.call_id, first.from_, first.cseq.number + 1)
    respond(there, 200)
    assert there.here.told(Registered)[1:] == [Registered(300.0)]


@pytest.mark.parametrize(
    ("fields", "granted"),
    [
        ({"Contact": "<sip:fax@192.0.2.1>", "Expires": "77"}, 77.0),
        ({"Contact": "<sip:rewritten@198.51.100.1>;expires=66"}, 66.0),
        ({"Contact": "<sip:a@198.51.100.1>;expires=1, <sip:b@198.51.100.1>;expires=2"}, 300.0),
        ({"Contact": "nonsense", "Expires": "nonsense"}, 300.0),
    ],
)
def test_how_long_it_holds_where_the_registrar_says_it_in_another_way(fields: dict[str, str], granted: float) -> None:
    there = registrar()
    register(there)
    respond(there, 200, **fields)
    assert there.here.told(Registered) == [Registered(granted)]


def test_a_challenge_is_answered_and_the_next_refresh_needs_none() -> None:
    there = registrar()
    register(there)
    respond(there, 401, WWW_Authenticate=CHALLENGE.format("n1"))
    assert "Authorization" in there.last("REGISTER").headers
    respond(there, 200)
    there.wait(226.0)
    assert 'nonce="n1"' in (there.last("REGISTER").headers.get("Authorization") or "")
    assert "nc=00000002" in (there.last("REGISTER").headers.get("Authorization") or "")


def test_a_longer_time_is_asked_for_where_the_registrar_insists() -> None:
    there = registrar()
    register(there)
    respond(there, 423, Min_Expires="900")
    assert there.last("REGISTER").headers.get("Expires") == "900"
    for least in (901, 902, 903):
        respond(there, 423, Min_Expires=str(least))
    assert there.here.told(NotRegistered)[0].status == 423


@pytest.mark.parametrize("status", [403, 404])
def test_what_will_not_change_is_not_tried_again(status: int) -> None:
    there = registrar()
    register(there)
    respond(there, status)
    assert there.here.told(NotRegistered) == [NotRegistered(status, "Forbidden" if status == 403 else "Not Found")]
    there.wait_for_all()
    assert there.agent.idle


def test_a_wrong_password_is_tried_once() -> None:
    there = registrar()
    register(there)
    respond(there, 401, WWW_Authenticate=CHALLENGE.format("n1"))
    respond(there, 401, WWW_Authenticate=CHALLENGE.format("n2"))
    assert there.here.told(NotRegistered)[0].again_in is None
    there.wait(10_000.0)
    assert len(there.here.requests("REGISTER")) == 2


def test_a_registrar_that_is_down_is_tried_again_and_again_ever_more_seldom() -> None:
    there = registrar()
    register(there)
    there.wait(7200.0)
    assert [each.again_in for each in there.here.told(NotRegistered)] == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
    assert {each.status for each in there.here.told(NotRegistered)} == {408}
    there.wait(400.0)
    respond(there, 200)
    respond(there, 200)
    assert len(there.here.told(Registered)) == 1


def test_retry_after_is_honoured() -> None:
    there = registrar()
    register(there)
    respond(there, 503, Retry_After="300")
    assert there.here.told(NotRegistered)[0].again_in == 300


def test_the_next_registrar_is_tried() -> None:
    there = registrar()
    register(there, OTHER, TARGET)
    there.here.do(there.agent.undeliverable(there.last("REGISTER"), 0.0))
    respond(there, 200)
    assert there.here.told(Registered)
    assert len(there.here.requests("REGISTER")) == 2


def test_taking_the_contact_out_ends_it() -> None:
    there = registrar()
    register(there)
    respond(there, 200)
    there.here.do(there.agent.unregister(0.0))
    assert there.last("REGISTER").headers.get("Expires") == "0"
    respond(there, 200, Contact="<sip:other@192.0.2.7>;expires=9")
    assert there.here.told(NotRegistered)[0].status == 200
    there.wait_for_all()
    assert there.agent.idle


def test_what_is_wanted_meanwhile_waits_for_the_answer() -> None:
    there = registrar()
    register(there)
    there.here.do(there.agent.unregister(0.0))
    assert there.sent() == ["REGISTER"]
    respond(there, 200)
    assert there.sent() == ["REGISTER"]
    assert there.last("REGISTER").headers.get("Expires") == "0"
    assert not there.here.told(Registered)


def test_without_a_registrar_there_is_nothing_to_register_at() -> None:
    there = far()
    with pytest.raises(ValueError, match="no registrar"):
        there.agent.register((TARGET,), 0.0)


@pytest.mark.parametrize("status", [200, 404, 503])
def test_whoever_answers_is_alive(status: int) -> None:
    there = far()
    there.here.do(there.agent.probe((TARGET,), 0.0))
    there.respond(status, to="OPTIONS")
    assert there.here.told(Alive) == [Alive(status)]
    there.wait_for_all()
    assert there.agent.idle


def test_whoever_does_not_answer_is_not() -> None:
    there = far()
    there.here.do(there.agent.probe((TARGET, OTHER), 0.0))
    there.wait_for_all()
    assert there.here.told(Alive) == [Alive(None)]
    assert len(there.here.requests("OPTIONS")) == 2
    assert there.agent.idle
