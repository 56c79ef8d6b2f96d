"""Calls from foreign peers: what is answered, what is refused and how, and how they end before they are up."""

import pytest

from drivers.sip.digest import Account
from tests.drivers.sip.agents import HERE, ring, sound
from tests.drivers.sip.far import CHALLENGE, FLOW, IMAGE, NOTHING, SOUND, VIDEO, ends, far, hang_up, media
from tests.drivers.sip.wire import wire


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
    request = there.request("INVITE", body or b"", {}, tag="")
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
    there.invite = there.request("INVITE", b"", {}, tag="")
    request = there.request(method, b"", {"To": "<sip:x@192.0.2.1>;tag=unknown"})
    there.say(request)
    response = there.response(method)
    assert response.status == status
    assert ("Allow" in response.headers) == (status in {405, 501})
    assert there.agent.idle


def test_an_agent_is_busy_until_its_last_request_has_been_answered() -> None:
    there = far()
    busy = [there.agent.busy]
    there.up()
    busy.append(there.agent.busy)
    hang_up(there)
    busy.append(there.agent.busy)
    there.respond(200, to="BYE")
    busy.append(there.agent.busy)
    assert busy == [False, True, True, False]
    assert not there.agent.idle


def test_a_scheme_that_nobody_knows_and_a_request_outside_its_call_are_refused() -> None:
    there = far()
    there.raw(wire("INVITE mailto:fax@example.com SIP/2.0", body=SOUND))
    there.say(there.request("BYE", b"", {}, tag=""))
    assert there.sent() == ["416 INVITE", "481 BYE"]
    assert there.agent.idle


def test_options_are_answered_in_and_outside_calls() -> None:
    there = far()
    there.say(there.request("OPTIONS", b"", {}, tag=""))
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
    request = there.request("OPTIONS", b"", {"Via": "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKq;rport"}, tag="")
    there.say(request)
    via = there.response("OPTIONS").via
    assert (via.host, via.received, via.rport) == ("10.0.0.9", "192.0.2.2", 5060)


def test_without_rport_a_response_goes_to_the_port_that_via_says() -> None:
    there = far()
    for via, port in (("192.0.2.2:5070", 5070), ("192.0.2.2", 5060)):
        request = there.request("OPTIONS", b"", {"Via": f"SIP/2.0/UDP {via};branch=z9hG4bKq"}, tag="")
        effects = there.agent.received(request, FLOW, 0.0)
        assert effects[0].to.peer == ("192.0.2.2", port)  # type: ignore[union-attr]


def test_a_call_that_comes_by_two_ways_is_served_once() -> None:
    there = far(answers=ring)
    there.calls()
    other = there.request("INVITE", SOUND, {"CSeq": f"{there.cseq} INVITE"}, tag="")
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
    fields = {"Via": str(there.invite.via), "CSeq": f"{there.cseq} CANCEL", "Require": "what nobody knows"}
    there.say(there.request("CANCEL", b"", fields, tag=""))
    assert there.sent() == ["180 INVITE", "200 CANCEL", "487 INVITE"]
    assert there.here.story == ["over 487 canceled there"]
    there.ack()
    there.wait_for_all()
    assert there.agent.idle
    there = far()
    there.calls()
    assert there.invite is not None
    there.say(there.request("CANCEL", b"", {"Via": str(there.invite.via), "CSeq": f"{there.cseq} CANCEL"}, tag=""))
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
