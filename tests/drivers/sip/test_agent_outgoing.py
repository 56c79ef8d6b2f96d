"""Calls of ours to foreign peers: challenges, forks, PRACK, answers that are odd or come late."""

from typing import Any

import pytest

from drivers.sip.digest import Account
from drivers.sip.effects import Accepted
from drivers.sip.headers import NameAddr
from drivers.sip.uri import Uri
from tests.drivers.sip.agents import ring
from tests.drivers.sip.far import CHALLENGE, IMAGE, NOTHING, SOUND, VIDEO, ends, far, hang_up, media, offer


def test_an_invite_says_what_we_are_and_can_do() -> None:
    there = far(account=Account("u", "p"))
    there.called()
    invite = there.last("INVITE")
    assert str(invite.uri) == "sip:+15550199@trunk.example.com"
    assert invite.headers.options("Supported") == {"100rel", "timer"}
    assert {"update", "prack", "bye", "options"} <= invite.headers.options("Allow")
    assert (invite.headers.get("Session-Expires"), invite.headers.get("Min-SE")) == ("1800", "90")
    assert invite.headers.get("User-Agent") == "faxgw"
    assert invite.via.asks_rport
    assert media(invite.body) == [("audio", 4001)]


def test_an_invite_goes_through_the_proxies_of_the_profile() -> None:
    there = far(route=(NameAddr(Uri.parse("sip:edge.example.com;lr")),))
    there.called()
    assert there.last("INVITE").headers.all("Route") == ["<sip:edge.example.com;lr>"]


@pytest.mark.parametrize(("status", "asks", "answers"), [(401, "WWW", ""), (407, "Proxy", "Proxy-")])
def test_a_challenge_is_answered_in_the_same_call(status: int, asks: str, answers: str) -> None:
    there = far(account=Account("user", "secret"))
    there.called()
    first = there.last("INVITE")
    challenge: dict[str, Any] = {f"{asks}_Authenticate": CHALLENGE.format("n1")}
    there.respond(status, **challenge)
    second = there.last("INVITE")
    assert there.sent() == ["INVITE", "ACK", "INVITE"]
    assert 'username="user"' in (second.headers.get(f"{answers}Authorization") or "")
    assert (second.call_id, second.from_.tag, second.body) == (first.call_id, first.from_.tag, first.body)
    assert (second.cseq.number, second.via.branch == first.via.branch, second.to.tag) == (2, False, None)
    there.respond(200, SOUND)
    assert there.here.story == ["accepted sound"]
    assert ends(there)


def test_a_wrong_password_and_endless_challenges_are_given_up() -> None:
    there = far(account=Account("user", "wrong"))
    there.called()
    there.respond(401, WWW_Authenticate=CHALLENGE.format("n1"))
    there.respond(401, WWW_Authenticate=CHALLENGE.format("n2"))
    assert there.here.story == ["refused 401"]
    there = far(account=Account("user", "secret"))
    there.called()
    for number in range(9):
        there.respond(401, WWW_Authenticate=CHALLENGE.format("n").replace("trunk", f"realm {number}"))
    assert there.here.story == ["refused 401"]
    assert len(there.here.requests("INVITE")) == 5
    there.wait_for_all()
    assert there.agent.idle


def test_without_an_account_a_challenge_is_a_refusal() -> None:
    there = far()
    there.called()
    there.respond(407, Proxy_Authenticate=CHALLENGE.format("n1"))
    assert there.here.story == ["refused 407"]


def test_a_second_answer_of_a_fork_gets_ack_and_bye() -> None:
    there = far()
    there.called()
    there.respond(180, tag="one")
    there.respond(180, tag="two")
    there.respond(200, SOUND, tag="two")
    there.respond(200, SOUND, tag="one")
    there.respond(200, SOUND, tag="one")
    assert there.sent() == ["INVITE", "ACK", "ACK", "BYE", "ACK"]
    assert there.last("BYE").to.tag == "one"
    assert there.here.story == ["accepted sound"]
    there.respond(200, to="BYE", tag="one")
    there.tag = "two"
    there.ask("BYE")
    assert there.here.story[1:] == ["over 200 hung up there"]
    there.wait_for_all()
    assert there.agent.idle


def test_a_fork_that_lost_cannot_meddle_with_the_call() -> None:
    there = far()
    there.called()
    there.respond(180, tag="early")
    there.respond(200, SOUND, tag="won")
    there.respond(200, SOUND, tag="lost")
    for tag, status in (("early", 481), ("lost", 200)):
        there.tag = tag
        there.ask("UPDATE", IMAGE)
        assert there.response("UPDATE").status == 481
        there.ask("BYE")
        assert there.response("BYE").status == status
    assert there.here.story == ["accepted sound"]
    there.respond(481, to="BYE", tag="lost")
    assert ends(there)


def test_a_bye_of_one_that_rings_leaves_the_others_ringing() -> None:
    there = far()
    there.called()
    there.respond(180, tag="one")
    there.tag = "one"
    there.ask("BYE")
    assert there.response("BYE").status == 200
    there.respond(200, SOUND, tag="two")
    assert there.here.story == ["accepted sound"]
    assert ends(there)


def test_a_copy_of_the_answer_gets_its_ack_once_more_even_after_the_end() -> None:
    there = far()
    there.up()
    first = there.last("ACK")
    there.respond(200, SOUND)
    hang_up(there)
    there.respond(200, SOUND)
    assert there.sent() == ["ACK", "BYE", "ACK"]
    assert there.last("ACK") is first


def test_an_answer_that_crosses_the_cancel_is_ended_by_a_bye() -> None:
    there = far()
    there.called()
    there.respond(180)
    hang_up(there)
    there.respond(200, to="CANCEL")
    there.respond(200, SOUND)
    assert there.sent() == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert there.here.story == ["over 487 hung up here"]
    there.respond(200, to="BYE")
    there.wait_for_all()
    assert there.agent.idle


def test_a_cancel_waits_for_the_first_response_and_asks_no_further() -> None:
    there = far(account=Account("u", "p"))
    there.called()
    hang_up(there)
    assert there.sent() == ["INVITE"]
    there.respond(100, tag="")
    there.respond(100, tag="")
    assert there.sent() == ["CANCEL"]
    there.respond(401, WWW_Authenticate=CHALLENGE.format("n1"))
    assert there.sent() == ["ACK"]
    there.respond(481, to="CANCEL")
    there.wait_for_all()
    assert there.agent.idle


@pytest.mark.case("R10")
@pytest.mark.parametrize("body", [b"", NOTHING, VIDEO, b"nonsense"])
def test_an_answer_without_use_ends_the_call(body: bytes) -> None:
    there = far()
    there.called()
    there.respond(200, body)
    assert there.sent() == ["INVITE", "ACK", "BYE"]
    assert there.here.story == ["refused 488"]
    there.respond(200, to="BYE")
    there.wait_for_all()
    assert there.agent.idle


def test_an_answer_that_came_early_holds_when_the_last_one_says_nothing() -> None:
    there = far()
    there.called()
    there.respond(183, SOUND)
    there.respond(200)
    assert there.here.told(Accepted)[0].agreement.port == 5000


def test_an_answer_with_routes_that_cannot_be_read_is_a_call_refused() -> None:
    there = far()
    there.called()
    there.respond(200, SOUND, Record_Route="<sip:broken")
    assert there.here.story == ["refused 488"]
    there.wait_for_all()
    assert there.agent.idle


def test_requests_in_a_call_take_the_way_of_its_record() -> None:
    there = far()
    there.called()
    there.respond(200, SOUND, Record_Route="<sip:b.example.com;lr>, <sip:a.example.com;lr>")
    assert there.last("ACK").headers.all("Route") == ["<sip:a.example.com;lr>", "<sip:b.example.com;lr>"]
    offer(there)
    assert there.last("INVITE").headers.all("Route") == ["<sip:a.example.com;lr>", "<sip:b.example.com;lr>"]
    assert str(there.last("INVITE").uri) == "sip:far@192.0.2.2"


def test_a_session_that_is_too_short_is_asked_for_anew() -> None:
    there = far(session_expires=300)
    there.called()
    there.respond(422, Min_SE="900")
    invite = there.last("INVITE")
    assert (invite.headers.get("Session-Expires"), invite.headers.get("Min-SE")) == ("900", "900")
    there.respond(422, Min_SE="900", tag="again")
    assert there.here.story == ["refused 422"]


def test_a_provisional_response_that_asks_for_it_is_acknowledged_in_order() -> None:
    there = far()
    there.called()
    there.respond(183, SOUND, RSeq="7", Require="100rel")
    there.respond(183, SOUND, RSeq="7", Require="100rel")
    there.respond(180, RSeq="9", Require="100rel")
    there.respond(180, RSeq="8", Require="100rel")
    assert there.sent() == ["INVITE", "PRACK", "PRACK"]
    assert [one.headers.get("RAck") for one in there.here.requests("PRACK")] == ["7 1 INVITE", "8 1 INVITE"]
    assert [one.cseq.number for one in there.here.requests("PRACK")] == [2, 3]
    there.respond(200, to="PRACK")
    there.respond(200)
    assert there.here.story == ["accepted sound"]
    assert there.last("ACK").cseq.number == 1
    assert ends(there)


def test_ringing_is_reliable_where_that_is_required() -> None:
    there = far(answers=ring)
    there.calls(Require="100rel")
    ringing = there.response("INVITE")
    assert (ringing.status, ringing.headers.get("Require")) == (180, "100rel")
    there.wait(2.0)
    assert there.sent() == ["180 INVITE"] * 3
    there.ask("PRACK", RAck=f"1 {there.cseq} INVITE")
    there.ask("PRACK", RAck=f"{ringing.headers.get('RSeq')} 101 INVITE")
    there.wait(5.0)
    assert there.sent() == ["481 PRACK", "200 PRACK"]
    assert there.call is not None
    there.here.answer(there.call)
    assert there.sent() == ["200 INVITE"]
    there.ack()
    assert ends(there)


def test_reliable_responses_go_one_after_the_other() -> None:
    there = far(answers=ring)
    call = there.calls(Require="100rel")
    assert call is not None
    there.here.do(call.ring(0.0))
    assert there.sent() == ["180 INVITE"]
    number = int(there.response("INVITE").headers.get("RSeq") or "")
    there.ask("PRACK", RAck=f"{number} 101 INVITE")
    assert there.sent() == ["180 INVITE", "200 PRACK"]
    assert there.response("INVITE").headers.get("RSeq") == str(number + 1)


def test_ringing_that_nobody_acknowledges_ends_the_call() -> None:
    there = far(answers=ring)
    there.calls(Require="100rel")
    there.wait(40.0)
    assert there.here.story == ["over 504 no PRACK"]
    there.ack()
    there.wait_for_all()
    assert there.agent.idle


def test_where_the_offer_would_have_to_be_ours_nothing_rings_reliably() -> None:
    there = far(answers=ring)
    there.calls(b"", Require="100rel")
    assert there.sent() == []
