"""What only a foreign peer does, one message at a time: forks, PRACK, challenges, odd answers, things out of order."""

from typing import Any

import pytest

from drivers.sip.call import CallState
from drivers.sip.digest import Account
from drivers.sip.effects import Accepted, Changed, NotChanged
from drivers.sip.headers import NameAddr
from drivers.sip.negotiation import Law, Sound
from drivers.sip.sdp import Description
from drivers.sip.uri import Uri
from tests.drivers.sip.agents import HERE, Party, image, ring, sound
from tests.drivers.sip.far import FLOW, IMAGE, NOTHING, SOUND, VIDEO, Far, far

CHALLENGE = 'Digest realm="trunk", nonce="{}", algorithm=MD5, qop="auth"'


def media(octets: bytes) -> list[tuple[str, int]]:
    return [(each.kind, each.port) for each in Description.parse(octets).media]


def offer(there: Far, *streams: object) -> None:
    assert there.call is not None
    here = there.here
    here.do(there.call.offer(streams or (image(HERE),), here.network.now))  # type: ignore[arg-type]


def hang_up(there: Far) -> None:
    assert there.call is not None
    there.here.do(there.call.hang_up(there.here.network.now))


def ends(there: Far) -> bool:
    """Hang up, answer the BYE, and let all timers run out; return whether nothing is left."""
    sent = len(there.here.requests("BYE"))
    hang_up(there)
    if len(there.here.requests("BYE")) > sent:
        there.respond(200, to="BYE")
    there.wait_for_all()
    return there.agent.idle


# Calls of ours


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
        there.respond(401, WWW_Authenticate=CHALLENGE.format(number) + ", stale=true", tag=f"t{number}")
    assert there.here.story == ["refused 401"]
    assert len(there.here.requests("INVITE")) <= 5
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


# PRACK


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


# Calls of theirs


def test_who_calls_whom() -> None:
    there = far(answers=ring)
    call = there.calls(P_Asserted_Identity='"Fax" <tel:+1-555-0142>')
    assert call is not None
    assert (call.caller, call.dialled, call.outgoing) == ("+15550142", "+15550101", False)


def test_a_call_without_an_offer_gets_ours_and_answers_in_its_ack() -> None:
    there = far()
    there.calls(b"", ack=False)
    assert media(there.response("INVITE").body) == [("audio", 4001), ("image", 4101)]
    there.ack(SOUND + IMAGE[IMAGE.index(b"m=") :])
    assert there.here.story == ["accepted image"]
    assert ends(there)
    there = far(answers=lambda party, call: call.answer(party.negotiation(), (sound(HERE),), 0.0))
    there.calls(b"", ack=False)
    there.ack(SOUND)
    assert there.here.story == ["accepted sound"]
    assert ends(there)


@pytest.mark.parametrize("body", [b"", VIDEO, b"nonsense"])
def test_a_call_whose_ack_has_no_answer_ends(body: bytes) -> None:
    there = far()
    there.calls(b"", ack=False)
    there.sent()
    there.ack(body)
    assert there.sent() == ["BYE"]
    assert there.here.story[0].startswith("over 488")
    there.respond(200, to="BYE")
    there.wait_for_all()
    assert there.agent.idle


@pytest.mark.parametrize(("body", "status"), [(VIDEO, 488), (NOTHING, 488), (b"nonsense", 488)])
def test_an_offer_without_use_is_refused(body: bytes, status: int) -> None:
    there = far()
    there.calls(body)
    assert there.response("INVITE").status == status
    assert there.here.story[0].startswith("over 488")
    there.ack()
    there.wait_for_all()
    assert there.agent.idle


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"Require": "100rel, replaces, x"}, 420, ("Unsupported", "replaces")),
        ({"Content_Type": "text/plain"}, 415, ("Accept", "application/sdp")),
        ({"Content_Encoding": "gzip"}, 415, ("Accept-Encoding", "identity")),
        ({"Supported": "timer", "Session_Expires": "60"}, 422, ("Min-SE", "90")),
        ({"Record_Route": "<sip:broken"}, 400, ("Server", "faxgw")),
        ({"CSeq": "101 REFER"}, 400, ("Server", "faxgw")),
    ],
)
def test_a_call_that_cannot_be_served_leaves_nothing_behind(
    fields: dict[str, str], status: int, says: tuple[str, str]
) -> None:
    there = far()
    body = b"" if "Content_Type" in fields else SOUND
    there.cseq = 100
    request = there._request("INVITE", body or b"", {}, tag="")
    for name, value in fields.items():
        request.headers.set(name.replace("_", "-"), value)
    request.body = body or b"x"
    there.raw(request.octets())
    response = there.here.sent[-1][1]
    assert (response.status, response.headers.get(says[0])) == (status, says[1])  # type: ignore[union-attr]
    assert response.to.tag
    assert there.agent.idle
    there.raw(request.octets())
    assert there.here.sent[-1][1].octets() == response.octets()


@pytest.mark.parametrize(
    ("method", "status"),
    [
        *(("REFER", 405), ("SUBSCRIBE", 405), ("NOTIFY", 405), ("INFO", 405), ("MESSAGE", 405), ("REGISTER", 405)),
        *(("FROBNICATE", 501), ("BYE", 481), ("UPDATE", 481), ("PRACK", 481), ("CANCEL", 481), ("OPTIONS", 481)),
        ("INVITE", 481),
    ],
)
def test_what_is_not_served_is_answered_and_forgotten(method: str, status: int) -> None:
    there = far()
    there.invite = there._request("INVITE", b"", {}, tag="")
    request = there._request(method, b"", {"To": "<sip:x@192.0.2.1>;tag=unknown"})
    there.say(request)
    response = there.response(method)
    assert response.status == status
    assert ("Allow" in response.headers) == (status in {405, 501})
    assert there.agent.idle


def test_options_are_answered_in_and_outside_calls() -> None:
    there = far()
    there.say(there._request("OPTIONS", b"", {}, tag=""))
    response = there.response("OPTIONS")
    assert response.status == 200
    assert response.headers.get("Accept") == "application/sdp"
    assert "invite" in response.headers.options("Allow")
    assert there.agent.idle
    there.calls()
    there.ask("OPTIONS")
    assert there.response("OPTIONS").status == 200
    assert ends(there)


def test_the_source_of_a_request_is_written_into_its_via() -> None:
    there = far()
    request = there._request("OPTIONS", b"", {"Via": "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKq;rport"}, tag="")
    there.say(request)
    via = there.response("OPTIONS").via
    assert (via.host, via.received, via.rport) == ("10.0.0.9", "192.0.2.2", 5060)


def test_without_rport_a_response_goes_to_the_port_that_via_says() -> None:
    there = far()
    for via, port in (("192.0.2.2:5070", 5070), ("192.0.2.2", 5060)):
        request = there._request("OPTIONS", b"", {"Via": f"SIP/2.0/UDP {via};branch=z9hG4bKq"}, tag="")
        effects = there.agent.received(request, FLOW, 0.0)
        assert effects[0].to.peer == ("192.0.2.2", port)  # type: ignore[union-attr]


def test_a_call_that_comes_by_two_ways_is_served_once() -> None:
    there = far(answers=ring)
    there.calls()
    other = there._request("INVITE", SOUND, {"CSeq": f"{there.cseq} INVITE"}, tag="")
    there.say(other)
    assert there.response("INVITE").status == 482
    assert len(there.agent.calls) == 1
    hang_up(there)
    there.ack()
    there.wait_for_all()
    assert there.agent.idle


def test_a_flood_of_requests_in_a_call_meets_its_limit_and_a_bye_does_not() -> None:
    there = far(most_transactions=5)
    there.calls()
    for _ in range(8):
        there.ask("UPDATE")
    assert there.here.statuses("UPDATE") == [200] * 4 + [503] * 4
    assert there.response("UPDATE").headers.get("Retry-After") == "10"
    there.ask("BYE")
    assert there.here.story == ["accepted sound", "over 200 hung up there"]
    there.wait_for_all()
    assert there.agent.idle


def test_a_cancel_ends_a_call_that_rings_and_none_that_was_answered() -> None:
    there = far(answers=ring)
    there.calls()
    assert there.invite is not None
    fields = {"Via": str(there.invite.via), "CSeq": f"{there.cseq} CANCEL"}
    there.say(there._request("CANCEL", b"", fields, tag=""))
    assert there.sent() == ["180 INVITE", "200 CANCEL", "487 INVITE"]
    assert there.here.story == ["over 487 canceled there"]
    there.ack()
    there.wait_for_all()
    assert there.agent.idle
    there = far()
    there.calls()
    assert there.invite is not None
    there.say(there._request("CANCEL", b"", {"Via": str(there.invite.via), "CSeq": f"{there.cseq} CANCEL"}, tag=""))
    assert there.response("CANCEL").status == 200
    assert there.here.story == ["accepted sound"]


def test_a_bye_before_the_answer_ends_the_call() -> None:
    there = far(answers=ring)
    there.calls()
    there.ask("BYE", Reason='Q.850;cause=16;text="Normal call clearing"')
    assert there.sent() == ["180 INVITE", "200 BYE", "487 INVITE"]
    assert there.here.story == ["over 200 Normal call clearing"]
    there.ack()
    there.wait_for_all()
    assert there.agent.idle


def test_a_bye_between_answer_and_ack_ends_the_call() -> None:
    there = far()
    there.calls(ack=False)
    there.ask("BYE")
    there.sent()
    there.wait_for_all()
    assert there.sent() == []
    assert there.here.story == ["over 200 hung up there"]
    assert there.agent.idle


def test_a_bye_of_theirs_is_answered_though_we_hung_up_before_their_ack() -> None:
    there = far()
    there.calls(ack=False)
    hang_up(there)
    there.ask("BYE")
    assert there.sent() == ["200 INVITE", "200 BYE"]
    there.wait_for_all()
    assert there.sent() == []
    assert there.here.story == ["over 200 hung up here"]
    assert there.agent.idle


def test_byes_that_cross_are_both_answered() -> None:
    there = far()
    there.up()
    hang_up(there)
    there.ask("BYE")
    assert there.response("BYE").status == 200
    there.respond(200, to="BYE")
    there.wait_for_all()
    assert there.agent.idle


def test_a_bye_that_is_challenged_is_sent_again() -> None:
    there = far(account=Account("u", "p"))
    there.up()
    hang_up(there)
    there.respond(407, to="BYE", Proxy_Authenticate=CHALLENGE.format("n1"))
    assert there.sent() == ["BYE", "BYE"]
    assert "Proxy-Authorization" in there.last("BYE").headers
    there.respond(200, to="BYE")
    there.wait_for_all()
    assert there.agent.idle


# Changes


@pytest.mark.case("R12")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refresh_that_repeats_the_offer_gets_the_same_answer_and_changes_nothing(method: str) -> None:
    there = far()
    there.calls()
    there.ask(method, IMAGE)
    first = there.response(method)
    if method == "INVITE":
        there.ack()
    there.ask(method, IMAGE, Session_Expires="1800;refresher=uac", Supported="timer")
    second = there.response(method)
    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body
    assert media(second.body) == [("image", 4101)]
    assert second.headers.get("Session-Expires") == "1800;refresher=uac"
    assert there.here.story == ["accepted sound", "changed image there"]


@pytest.mark.case("R12")
def test_our_refresh_offers_what_was_agreed_in_the_same_words() -> None:
    there = far(session_expires=100)
    there.called()
    there.respond(200, SOUND, Session_Expires="100;refresher=uac")
    offer(there)
    there.respond(200, IMAGE, Session_Expires="100;refresher=uac")
    before = there.last("INVITE")
    there.wait(50.0)
    refresh = there.last("INVITE")
    assert refresh is not before
    assert refresh.body == before.body
    assert refresh.headers.get("Session-Expires") == "100;refresher=uac"
    there.respond(200, IMAGE, Session_Expires="100;refresher=uac")
    assert there.here.story == ["accepted sound", "changed image here"]
    assert ends(there)


def test_a_refresh_goes_by_invite_where_they_refuse_update() -> None:
    there = far(session_expires=100)
    there.called()
    there.respond(200, SOUND, Session_Expires="100;refresher=uac", Allow="INVITE, UPDATE")
    there.wait(50.0)
    there.respond(405, to="UPDATE")
    assert media(there.last("INVITE").body) == [("audio", 4001)]
    there.respond(200, SOUND, Session_Expires="100;refresher=uac")
    there.wait(60.0)
    assert there.here.story == ["accepted sound"]


def test_a_refresh_goes_by_update_where_they_know_it() -> None:
    there = far(session_expires=100)
    there.called()
    there.respond(200, SOUND, Session_Expires="100;refresher=uac", Allow="INVITE, UPDATE")
    there.wait(50.0)
    update = there.last("UPDATE")
    assert (update.body, update.headers.get("Session-Expires")) == (b"", "100;refresher=uac")
    there.respond(200, to="UPDATE", Session_Expires="100;refresher=uac")
    there.wait(49.0)
    assert there.here.story == ["accepted sound"]
    there.wait_for_all()
    assert there.here.story[1].startswith("over 408")
    assert there.agent.idle


@pytest.mark.parametrize(
    ("theirs", "answer"),
    [
        ({"Session_Expires": "600;refresher=uac", "Supported": "timer"}, "600;refresher=uac"),
        ({"Session_Expires": "600;refresher=uas", "Supported": "timer"}, "600;refresher=uas"),
        ({"Session_Expires": "600", "Supported": "timer"}, "600;refresher=uac"),
        ({"Session_Expires": "600"}, "600;refresher=uas"),
        ({"Session_Expires": "60"}, "60;refresher=uas"),
        ({"Supported": "timer", "Min_SE": "3600"}, "3600;refresher=uac"),
        ({}, None),
        ({"Session_Expires": "odd", "Supported": "x"}, None),
    ],
)
def test_who_refreshes_a_call_of_theirs(theirs: dict[str, Any], answer: str | None) -> None:
    there = far()
    there.calls(**theirs)
    response = there.response("INVITE")
    assert response.headers.get("Session-Expires") == answer
    assert ("timer" in response.headers.options("Require")) == (answer is not None and "uac" in answer)
    there.wait(4000.0)
    if answer is None:
        assert there.here.story == ["accepted sound"]
    else:
        assert there.here.story[1].startswith("over 408")


@pytest.mark.case("R13")
def test_a_second_offer_of_t38_with_other_parameters_is_taken() -> None:
    there = far()
    there.calls()
    there.ask("INVITE", IMAGE)
    there.ack()
    there.ask("INVITE", IMAGE + b"a=T38FaxMaxDatagram:72\r\n")
    there.ack()
    assert there.here.story == ["accepted sound", "changed image there", "changed image there"]
    agreed = there.here.told(Changed)[-1].agreement
    assert agreed.t38 is not None and agreed.t38.max_datagram == 72


@pytest.mark.case("R07")
def test_t38_is_agreed_with_one_who_spells_it_in_another_way() -> None:
    there = far()
    there.calls()
    odd = IMAGE.replace(b"udptl", b"UDPTL").replace(
        b"a=T38FaxUdpEC:t38UDPRedundancy", b"a=t38faxudpec:T38UDPREDUNDANCY"
    )
    there.ask("INVITE", odd + b"a=T38FaxFillBitRemoval:0\r\na=T38FaxUdpEC:t38UDPFEC\r\n")
    agreed = there.here.told(Changed)[-1].agreement
    assert agreed.t38 is not None and agreed.t38.correction is not None
    assert (agreed.t38.correction.name, agreed.t38.fill_bit_removal) == ("REDUNDANCY", False)
    assert b"m=image 4101 UDPTL t38" in there.response("INVITE").body


@pytest.mark.case("R09")
@pytest.mark.parametrize("refused", [488, 415, 606])
def test_after_a_refusal_of_t38_the_call_goes_on_and_its_next_offer_is_answered(refused: int) -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(refused)
    assert there.here.told(NotChanged) == [NotChanged(there.call, refused)]  # type: ignore[arg-type]
    there.ask("INVITE", IMAGE)
    assert (there.response("INVITE").status, media(there.response("INVITE").body)) == (200, [("image", 4101)])
    there.ack()
    there.ask("INVITE", b"")
    assert (there.response("INVITE").status, media(there.response("INVITE").body)) == (200, [("image", 4101)])
    there.ack(IMAGE)
    assert there.here.story == ["accepted sound", f"not changed {refused}", "changed image there"]
    assert ends(there)


@pytest.mark.case("R09")
@pytest.mark.parametrize("body", [b"", b"nonsense"])
def test_an_answer_to_our_offer_that_says_nothing_leaves_all_as_it_was(body: bytes) -> None:
    there = far()
    call = there.up()
    offer(there)
    there.respond(200, body)
    assert there.sent() == ["INVITE", "ACK"]
    assert there.here.story == ["accepted sound", "not changed 200"]
    assert call.negotiation is not None and call.negotiation.agreed is not None
    assert call.negotiation.agreed.law is Law.PCMU
    there.ask("INVITE", IMAGE)
    assert there.response("INVITE").status == 200


@pytest.mark.case("R10")
def test_an_answer_that_refuses_t38_is_told_and_sound_can_be_offered_anew() -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(200, NOTHING)
    offer(there, sound(HERE))
    assert media(there.last("INVITE").body) == [("audio", 4001)]
    there.respond(200, SOUND)
    assert there.here.story == ["accepted sound", "not changed 200", "changed sound here"]


@pytest.mark.case("R10")
def test_of_an_offer_of_sound_and_t38_t38_is_taken() -> None:
    there = far()
    there.calls()
    there.ask("INVITE", SOUND + IMAGE[IMAGE.index(b"m=") :])
    assert media(there.response("INVITE").body) == [("audio", 0), ("image", 4101)]
    assert there.here.story[-1] == "changed image there"


def test_an_offer_that_is_not_granted_gets_488_and_changes_nothing() -> None:
    there = far()
    call = there.calls()
    assert call is not None
    call.takes = lambda: (Sound(4001),)
    there.ask("INVITE", IMAGE)
    assert there.response("INVITE").status == 488
    there.ack()
    there.ask("UPDATE", IMAGE)
    assert there.response("UPDATE").status == 488
    there.ask("INVITE", b"x=?", Content_Type="application/sdp")
    assert there.response("INVITE").status == 400
    assert there.here.story == ["accepted sound"]
    assert ends(there)


@pytest.mark.case("R11")
def test_an_offer_that_meets_ours_gets_491_and_ours_waits_after_491() -> None:
    there = far()
    there.up()
    offer(there)
    for body in (IMAGE, b""):
        there.ask("INVITE", body)
        assert there.response("INVITE").status == 491
        there.ack()
    there.ask("UPDATE", IMAGE)
    assert there.response("UPDATE").status == 491
    there.respond(491)
    there.sent()
    there.wait(2.0)
    assert there.sent() == []
    there.wait(2.1)
    assert len(there.here.requests("INVITE")) == 3


@pytest.mark.case("R11")
def test_after_491_their_offer_of_the_same_makes_ours_needless() -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(491)
    there.ask("INVITE", IMAGE)
    there.ack()
    there.sent()
    there.wait(10.0)
    assert there.sent() == []
    assert there.here.story == ["accepted sound", "changed image there"]


@pytest.mark.case("R11")
def test_an_endless_glare_is_given_up() -> None:
    there = far()
    there.up()
    offer(there)
    for _ in range(10):
        there.respond(491)
        there.wait(5.0)
    assert there.here.story == ["accepted sound", "not changed 491"]
    assert len(there.here.requests("INVITE")) == 7


@pytest.mark.parametrize("status", [500, 503])
def test_an_offer_is_put_off_for_as_long_as_they_say(status: int) -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(status, Retry_After="7 (busy)")
    there.sent()
    there.wait(6.9)
    assert there.sent() == []
    there.wait(0.2)
    assert there.sent() == ["INVITE"]
    there.respond(status)
    assert there.here.story == ["accepted sound", f"not changed {status}"]


@pytest.mark.parametrize("status", [408, 481])
def test_who_knows_nothing_of_the_call_ends_it(status: int) -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(status)
    assert there.here.story[1].startswith(f"over {status}")
    assert there.sent() == ["INVITE", "ACK", "BYE"]
    there.respond(481, to="BYE")
    there.wait_for_all()
    assert there.agent.idle


def test_an_offer_that_nobody_answers_ends_the_call() -> None:
    there = far()
    there.up()
    offer(there)
    there.wait_for_all()
    assert there.here.story == ["accepted sound", "over 408 no final response in time"]
    assert there.agent.idle


def test_an_offer_that_is_only_being_tried_is_canceled() -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(100, tag="")
    there.wait(33.0)
    there.respond(200, to="CANCEL")
    there.respond(487)
    assert "CANCEL" in there.sent()
    assert there.here.story == ["accepted sound", "not changed 487"]
    assert ends(there)


def test_an_offer_that_is_never_answered_is_forgotten_after_the_call() -> None:
    there = far()
    there.up()
    offer(there)
    there.respond(100, tag="")
    assert ends(there)


def test_a_challenge_in_the_call_is_answered() -> None:
    there = far(account=Account("u", "p"))
    there.up()
    offer(there)
    there.respond(407, Proxy_Authenticate=CHALLENGE.format("n1"))
    there.respond(200, IMAGE)
    assert there.here.story == ["accepted sound", "changed image here"]
    assert there.last("ACK").cseq.number == there.last("INVITE").cseq.number == 3
    assert "Proxy-Authorization" in there.last("ACK").headers


def test_an_offer_waits_for_the_ack_of_our_answer() -> None:
    there = far()
    there.calls()
    there.ask("INVITE", IMAGE)
    there.sent()
    offer(there, sound(HERE))
    assert there.sent() == []
    there.ack()
    assert there.sent() == ["INVITE"]


def test_a_reinvite_whose_ack_never_comes_ends_the_call() -> None:
    there = far()
    there.calls()
    there.ask("INVITE", IMAGE)
    there.wait(33.0)
    assert there.here.story[-1] == "over 408 no ACK"
    assert "BYE" in there.sent()


def test_a_reinvite_that_overtakes_the_ack_is_served() -> None:
    there = far()
    there.calls(ack=False)
    there.ask("INVITE", IMAGE)
    assert there.here.story == ["accepted sound", "changed image there"]
    there.ack()
    there.wait(40.0)
    assert there.here.story == ["accepted sound", "changed image there"]
    assert ends(there)


def test_an_update_with_an_offer_before_the_answer_comes_too_early() -> None:
    there = far(answers=ring)
    there.calls()
    there.ask("UPDATE", IMAGE)
    assert (there.response("UPDATE").status, "Retry-After" in there.response("UPDATE").headers) == (500, True)
    there.ask("UPDATE")
    assert there.response("UPDATE").status == 200
    there.ask("INVITE", IMAGE)
    assert there.response("INVITE").status == 491


def test_a_call_that_rings_has_no_session_that_could_expire() -> None:
    there = far(answers=ring)
    there.calls()
    there.ask("UPDATE", Session_Expires="90;refresher=uac", Supported="timer")
    assert "Session-Expires" not in there.response("UPDATE").headers
    there.wait(200.0)
    assert there.here.story == []
    assert len(there.agent.calls) == 1


def test_a_request_out_of_order_gets_500() -> None:
    there = far()
    there.calls()
    there.ask("OPTIONS", CSeq="90 OPTIONS")
    assert there.response("OPTIONS").status == 500
    there.ask("OPTIONS", CSeq="90000 OPTIONS")
    assert there.response("OPTIONS").status == 200


def test_a_request_of_theirs_may_say_where_they_are_now() -> None:
    there = far()
    there.calls()
    there.ask("UPDATE", Contact="<sip:moved@192.0.2.2:5099>")
    hang_up(there)
    assert str(there.last("BYE").uri) == "sip:moved@192.0.2.2:5099"


def test_a_copy_of_a_request_gets_the_same_answer_and_happens_once() -> None:
    there = far()
    there.calls()
    update = there.ask("UPDATE", IMAGE)
    first = there.response("UPDATE")
    there.say(update)
    assert there.response("UPDATE").octets() == first.octets()
    assert there.here.story == ["accepted sound", "changed image there"]


def test_the_owner_may_do_anything_at_any_time() -> None:
    there = far(answers=ring)
    call = there.calls()
    assert call is not None
    here: Party = there.here
    offer(there)
    here.answer(call)
    assert call.state is CallState.ANSWERED
    offer(there)
    here.do(call.refuse(486, 0.0))
    here.do(call.ring(0.0))
    here.answer(call)
    there.ack()
    assert there.sent()[-1] == "INVITE"
    hang_up(there)
    hang_up(there)
    offer(there)
    here.do(call.refuse(486, 0.0))
    here.answer(call)
    assert here.story == ["accepted sound", "over 200 hung up here"]
    there.respond(200, IMAGE, to="INVITE")
    there.respond(200, to="BYE")
    there.wait_for_all()
    assert there.agent.idle
