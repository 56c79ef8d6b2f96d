"""Dialogs: what both ends remember of each other, through proxies, forks and moves."""

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, lists, sampled_from

from drivers.sip.dialogs import MOST_EARLY, Dialog, Forks, opening
from drivers.sip.grammar import SipMalformed
from drivers.sip.headers import NameAddr, Via
from drivers.sip.matching import dialog_key
from drivers.sip.messages import Request, Response, parse
from drivers.sip.transactions import acknowledgement, cancellation
from drivers.sip.uri import Uri

HERE = NameAddr.parse("<sip:front@192.0.2.1:5060>")
THERE = NameAddr.parse("<sip:5550100@192.0.2.9:5070;transport=tcp>")
VIA = Via.parse("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnext")


def read(octets: bytes) -> Request:
    message = parse(octets)
    assert isinstance(message, Request)
    return message


def invite(*routes: str) -> Request:
    request = read(
        b"INVITE sip:5550100@example.com SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\n"
        b'From: "Front, \\"desk\\"" <sip:front@example.com>;tag=caller\r\n'
        b"To: <sip:5550100@example.com>\r\n"
        b"Call-ID: a84b4c76e66710\r\n"
        b"CSeq: 7 INVITE\r\n"
        b"Contact: <sip:front@192.0.2.1:5060>\r\n"
        b"Proxy-Authorization: Digest username=front\r\n\r\n"
    )
    request.headers.set("Record-Route", *routes)
    return request


def ringing(request: Request, tag: str = "called", *, status: int = 180) -> Response:
    return opening(request, status, tag=tag, contact=THERE)


def accepted(request: Request, tag: str = "called") -> Response:
    return ringing(request, tag, status=200)


def sent(request: Request) -> list[str]:
    """Return what a request says of its way."""
    return [str(request.uri), *request.headers.all("Route")]


# Making.


@given(routes=lists(sampled_from(["<sip:192.0.2.5;lr>", "<sip:192.0.2.6:5062;lr>;x=1", "<sips:[2001:db8::1];lr>"])))
def test_both_ends_make_the_same_dialog_and_see_the_proxies_from_their_side(routes: list[str]) -> None:
    request = invite(*routes)
    response = accepted(request)
    ours, theirs = Dialog.calling(request, response), Dialog.called(request, response)
    assert (ours.call_id, ours.local_tag, ours.remote_tag) == (theirs.call_id, theirs.remote_tag, theirs.local_tag)
    assert [str(route) for route in theirs.routes] == routes
    assert ours.routes == theirs.routes[::-1]
    assert (str(ours.target), str(theirs.target)) == (str(THERE.uri), str(HERE.uri))
    assert (ours.local_cseq, ours.remote_cseq, theirs.local_cseq, theirs.remote_cseq) == (7, None, 0, 7)
    assert (ours.ours, theirs.ours) == (True, False)
    for dialog, other in ((ours, theirs), (theirs, ours)):
        bye = read(dialog.request("BYE", via=VIA).octets())
        assert sent(bye) == [str(dialog.target), *(str(route) for route in dialog.routes)]
        assert dialog.next_hop == (dialog.routes[0].uri if routes else dialog.target)
        assert dialog_key(bye) == other.key
        assert dialog_key(bye.answer(200)) == dialog.key
        assert other.takes(bye)


def test_a_request_in_a_dialog_says_what_rfc_3261_asks_for() -> None:
    request = invite("<sip:192.0.2.5;lr>")
    dialog = Dialog.calling(request, accepted(request))
    again = dialog.request("INVITE", via=VIA, contact=HERE)
    assert again.octets().decode().split("\r\n") == [
        "INVITE sip:5550100@192.0.2.9:5070;transport=tcp SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnext",
        "Max-Forwards: 70",
        "Route: <sip:192.0.2.5;lr>",
        'From: "Front, \\"desk\\"" <sip:front@example.com>;tag=caller',
        "To: <sip:5550100@example.com>;tag=called",
        "Call-ID: a84b4c76e66710",
        "CSeq: 8 INVITE",
        "Contact: <sip:front@192.0.2.1:5060>",
        "Content-Length: 0",
        "",
        "",
    ]
    assert str(dialog.request("BYE", via=VIA).cseq) == "9 BYE"


def test_the_response_that_opens_a_dialog_repeats_the_record_routes_in_their_order() -> None:
    response = ringing(invite("<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"))
    assert response.headers.all("Record-Route") == ["<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"]
    assert (response.to.tag, response.headers.get("Contact")) == ("called", str(THERE))


def test_a_first_proxy_without_lr_is_the_request_uri_and_the_target_comes_last() -> None:
    request = invite("<sip:192.0.2.6;lr>", "<sip:192.0.2.5>")
    dialog = Dialog.calling(request, accepted(request))
    assert sent(dialog.request("BYE", via=VIA)) == ["sip:192.0.2.5", "<sip:192.0.2.6;lr>", f"<{THERE.uri}>"]
    assert str(dialog.next_hop) == "sip:192.0.2.5"


@pytest.mark.parametrize("contact", [None, "*", "<sip:", "not an address"])
def test_who_does_not_say_where_it_is_is_reached_where_it_was_or_says_it_is_from(contact: str | None) -> None:
    request = invite()
    response = accepted(request)
    for message in (request, response):
        message.headers.set("Contact", *([contact] if contact else []))
    assert str(Dialog.calling(request, response).target) == "sip:5550100@example.com"
    assert str(Dialog.called(request, response).target) == "sip:front@example.com"


def test_a_contact_s_headers_and_method_do_not_get_into_a_request_line() -> None:
    request = invite()
    response = accepted(request)
    response.headers.set("Contact", "<sip:fax@192.0.2.9;method=BYE;transport=tcp?Replaces=x>;q=0.5")
    bye = Dialog.calling(request, response).request("BYE", via=VIA)
    assert str(bye.uri) == "sip:fax@192.0.2.9;transport=tcp"


def test_a_peer_from_before_rfc_3261_has_no_tag() -> None:
    request = invite()
    response = request.answer(200)
    dialog = Forks(request).heard(response)
    assert dialog is not None
    assert dialog.key == dialog_key(response) == ("a84b4c76e66710", "caller", "")
    request.headers.set("From", "<sip:front@example.com>")
    assert Dialog.called(request, accepted(request)).key == ("a84b4c76e66710", "called", "")


def test_a_record_route_that_cannot_be_read_makes_no_dialog() -> None:
    request = invite("<sip:")
    with pytest.raises(SipMalformed):
        Dialog.called(request, accepted(request))
    with pytest.raises(SipMalformed):
        Forks(request).heard(accepted(request))


# Forks.


def test_each_tag_that_answers_is_a_dialog_of_its_own_and_numbers_its_requests_by_itself() -> None:
    forks = Forks(invite())
    one, other = forks.heard(ringing(invite(), "one")), forks.heard(ringing(invite(), "other", status=183))
    assert one is not None
    assert other is not None
    assert forks.heard(ringing(invite(), "one", status=183)) is one
    assert forks.dialogs == [one, other]
    assert (one.confirmed, other.confirmed) == (False, False)
    assert [one.request("PRACK", via=VIA).cseq.number for _ in range(2)] == [8, 9]
    assert other.request("PRACK", via=VIA).cseq.number == 8
    assert forks.heard(accepted(invite(), "other")) is other
    assert (one.confirmed, other.confirmed) == (False, True)
    assert forks.heard(accepted(invite(), "third")) is forks.dialogs[2]


@pytest.mark.parametrize("status", [100, 302, 486, 603])
def test_a_response_that_opens_nothing_makes_no_dialog(status: int) -> None:
    forks = Forks(invite())
    assert forks.heard(invite().answer(status, tag="called")) is None
    assert forks.heard(invite().answer(180)) is None
    assert forks.dialogs == []


def test_a_peer_that_invents_tags_is_remembered_up_to_a_limit_but_can_still_accept() -> None:
    forks = Forks(invite())
    for number in range(MOST_EARLY * 2):
        forks.heard(ringing(invite(), f"tag{number}"))
    assert len(forks.dialogs) == MOST_EARLY
    assert forks.heard(ringing(invite(), "tag0")) is forks.dialogs[0]
    assert forks.heard(accepted(invite(), "late")) is forks.dialogs[MOST_EARLY]


def test_the_2xx_says_the_way_and_the_place_anew_once() -> None:
    forks = Forks(invite())
    dialog = forks.heard(ringing(invite("<sip:192.0.2.5;lr>")))
    assert dialog is not None
    response = accepted(invite("<sip:192.0.2.6;lr>", "<sip:192.0.2.7;lr>"))
    response.headers.set("Contact", "<sip:moved@192.0.2.10>")
    forks.heard(response)
    way = ["sip:moved@192.0.2.10", "<sip:192.0.2.7;lr>", "<sip:192.0.2.6;lr>"]
    assert sent(dialog.request("UPDATE", via=VIA)) == way
    forks.heard(accepted(invite()))
    assert sent(dialog.request("BYE", via=VIA)) == way


def test_our_2xx_confirms_the_dialog_of_an_invite_of_theirs_and_changes_nothing_else() -> None:
    request = invite("<sip:192.0.2.5;lr>")
    dialog = Dialog.called(request, ringing(request))
    early = dialog.confirmed
    dialog.confirm(accepted(request))
    assert (early, dialog.confirmed) == (False, True)
    assert sent(dialog.request("BYE", via=VIA)) == [str(HERE.uri), "<sip:192.0.2.5;lr>"]


# ACK.


def test_the_ack_of_a_2xx_has_the_number_and_credentials_of_its_invite_and_goes_the_dialog_s_way() -> None:
    request = invite("<sip:192.0.2.5;lr>")
    response = accepted(request)
    dialog = Dialog.calling(request, response)
    dialog.request("INFO", via=VIA)
    ack = dialog.ack(request, via=VIA)
    assert (ack.method, str(ack.cseq), str(ack.via)) == ("ACK", "7 ACK", str(VIA))
    assert sent(ack) == [str(THERE.uri), "<sip:192.0.2.5;lr>"]
    assert ack.headers.get("Proxy-Authorization") == "Digest username=front"
    assert ack.to.tag == "called"
    assert dialog.ack_again(response) is ack
    assert str(dialog.request("BYE", via=VIA).cseq) == "9 BYE"


def test_only_the_last_ack_is_sent_again() -> None:
    request = invite()
    dialog = Dialog.calling(request, accepted(request))
    assert dialog.ack_again(accepted(request)) is None
    dialog.ack(request, via=VIA)
    again = dialog.request("INVITE", via=VIA, contact=HERE)
    second = dialog.ack(again, via=VIA)
    assert dialog.ack_again(again.answer(200)) is second
    assert dialog.ack_again(accepted(request)) is None


# Order, and moves.


def test_a_request_with_a_number_that_was_there_is_out_of_order_and_changes_nothing() -> None:
    request = invite()
    dialog = Dialog.called(request, accepted(request))
    for number in (7, 3):
        late = invite()
        late.headers.set("CSeq", f"{number} INVITE")
        late.headers.set("Contact", "<sip:elsewhere@192.0.2.66>")
        assert not dialog.takes(late)
    assert (dialog.remote_cseq, str(dialog.target)) == (7, str(HERE.uri))
    later = invite()
    later.headers.set("CSeq", "100 INVITE")
    assert dialog.takes(later)
    assert not dialog.takes(later)


def test_the_first_request_of_a_called_peer_may_have_any_number() -> None:
    request = invite()
    ours, theirs = Dialog.calling(request, accepted(request)), Dialog.called(request, accepted(request))
    first = theirs.request("INVITE", via=VIA, contact=THERE)
    assert first.cseq.number == 1
    assert ours.takes(first)
    assert not ours.takes(first)


def test_ack_and_cancel_have_the_number_of_their_invite_and_are_in_order() -> None:
    request = invite()
    dialog = Dialog.called(request, accepted(request))
    assert dialog.takes(acknowledgement(request, accepted(request)))
    assert dialog.takes(cancellation(request))
    assert dialog.remote_cseq == 7


@given(from_us=booleans(), method=sampled_from(["INVITE", "UPDATE", "OPTIONS", "INFO", "BYE"]))
def test_only_invite_and_update_move_a_peer_in_either_direction(from_us: bool, method: str) -> None:
    request = invite()
    ours, theirs = Dialog.calling(request, accepted(request)), Dialog.called(request, accepted(request))
    moved = NameAddr(Uri.parse("sip:moved@192.0.2.99"))
    if from_us:
        assert theirs.takes(ours.request(method, via=VIA, contact=moved))
        watched, before = theirs, HERE.uri
    else:
        answer = ours.request(method, via=VIA, contact=HERE).answer(200)
        answer.headers.set("Contact", str(moved))
        ours.heard(answer)
        watched, before = ours, THERE.uri
    assert watched.target == (moved.uri if method in {"INVITE", "UPDATE"} else before)


@pytest.mark.parametrize("status", [180, 301, 302, 488, 491])
def test_a_response_that_is_not_2xx_does_not_move_a_peer(status: int) -> None:
    request = invite()
    dialog = Dialog.calling(request, accepted(request))
    answer = dialog.request("INVITE", via=VIA, contact=HERE).answer(status)
    answer.headers.set("Contact", "<sip:moved@192.0.2.99>")
    dialog.heard(answer)
    assert dialog.target == THERE.uri
