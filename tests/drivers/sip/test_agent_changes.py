"""What changes in calls with foreign peers: T.38 and back, refreshes, offers that meet, requests out of order."""

from typing import Any

import pytest

from drivers.g711.law import Law
from drivers.sip.call import CallState
from drivers.sip.digest import Account
from drivers.sip.effects import Changed, NotChanged
from drivers.sip.negotiation import Sound
from tests.drivers.sip.agents import HERE, Party, ring, sound
from tests.drivers.sip.far import CHALLENGE, IMAGE, NOTHING, SOUND, ends, far, hang_up, media, offer


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
        ({"Supported": "timer", "Min_SE": "odd"}, "1800;refresher=uac"),
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


def test_a_reinvite_before_the_ack_of_the_last_one_acknowledges_it() -> None:
    there = far()
    there.calls()
    there.ask("INVITE", IMAGE)
    there.ask("INVITE", IMAGE)
    assert there.here.statuses("INVITE") == [200, 200, 200]
    there.ack()
    there.sent()
    there.wait(40.0)
    assert there.sent() == []
    assert ends(there)


def test_a_reinvite_while_our_offer_waits_for_their_answer_comes_too_early() -> None:
    there = far()
    there.calls()
    there.ask("INVITE")
    first = there.response("INVITE")
    there.ask("INVITE", IMAGE)
    assert (there.response("INVITE").status, "Retry-After" in there.response("INVITE").headers) == (500, True)
    there.say(there.request("ACK", SOUND, {"CSeq": f"{first.cseq.number} ACK"}))
    there.ask("INVITE", IMAGE)
    assert there.response("INVITE").status == 200


@pytest.mark.case("R09")
def test_an_ack_without_the_answer_to_our_offer_leaves_all_as_it_was() -> None:
    there = far()
    there.calls()
    there.ask("INVITE")
    there.ack()
    there.ask("INVITE", IMAGE)
    assert there.response("INVITE").status == 200
    assert there.here.story == ["accepted sound", "changed image there"]


def test_a_refresh_that_meets_an_offer_is_made_again() -> None:
    there = far(session_expires=100)
    there.called()
    there.respond(200, SOUND, Session_Expires="100;refresher=uac", Allow="UPDATE")
    there.wait(50.0)
    there.respond(491, to="UPDATE")
    there.wait(4.1)
    assert len(there.here.requests("UPDATE")) == 2


def test_an_offer_whose_session_is_too_short_asks_for_a_longer_one() -> None:
    there = far(session_expires=100)
    there.up()
    offer(there)
    there.respond(422, Min_SE="700")
    assert there.last("INVITE").headers.get("Session-Expires") == "700"
    there.respond(200, IMAGE)
    assert there.here.story == ["accepted sound", "changed image here"]


def test_no_session_is_asked_for_where_none_is_wanted() -> None:
    there = far(session_expires=0)
    there.up()
    offer(there)
    there.respond(200, IMAGE)
    assert not any("Session-Expires" in one.headers for one in there.here.requests("INVITE"))
    there.wait(10_000.0)
    assert len(there.agent.calls) == 1


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
