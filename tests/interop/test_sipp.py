"""faxgw on a trunk whose far end nobody here wrote: SIPp signals, libspandsp faxes. At real time, many calls at once.

What a scenario of SIPp is told to see is in ``scenarios/``; what was seen elsewhere is asked for here. All calls of the
tests that were chosen are made at once when the first test begins, since they mostly wait.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from tests.interop.sipp import HOST, Message
from tests.interop.sipp_calls import ACCOUNT, PASSWORD_ENV, Case, Told, make

pytestmark = [pytest.mark.interop, pytest.mark.alone]

AT_ONCE = 16
LONG = 1100
"""Rows of a page that is still being sent 12 s after T.38 began."""
NOWHERE = "Contact: <sip:far@127.0.0.1:9>"
WITH_ACCOUNT = f"&auth_user={ACCOUNT[0]}&password_env={PASSWORD_ENV}"
DIGESTS = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    peer: Callable[[str], Path],
    peer_library: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[int, "Future[Told]"]]:
    """Make the calls of all tests that were chosen; each is found by the identity of its ``Case``."""
    program, folder = peer("sipp"), tmp_path_factory.mktemp("sipp")
    peer_library("spandsp")
    chosen = [item for item in request.session.items if isinstance(item, pytest.Function)]
    cases = [cast("Case", item.callspec.params["told"]) for item in chosen if item.module is request.module]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {id(case): pool.submit(make, case, program, folder / str(at)) for at, case in enumerate(cases)}
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def told(request: pytest.FixtureRequest, running: dict[int, "Future[Told]"]) -> Told:
    """Return what became of the call of this test."""
    result = running[id(request.param)].result()
    print(result.story)
    return result


def call(**cases: Case) -> pytest.MarkDecorator:
    """Have a test made for each of these calls."""
    return pytest.mark.parametrize("told", cases.values(), ids=cases, indirect=True)


def check(told: Told) -> None:
    """Hold that the fax came through pel for pel, in a call as the scenario has it, by the ways that our SDP names."""
    check_signalling(told)
    assert told.ours["outcome"] == ("delivered" if told.case.sends else "received"), told.reason
    assert (told.code, told.ours["rate"]) == (0, 14400)
    assert told.media["machine"]["text"] == "OK"
    assert not told.wrong


def check_signalling(told: Told) -> None:
    """Hold that the call was as the scenario has it, and its sound and pages as our descriptions say."""
    assert not any(told.codes), "SIPp saw something that its scenario does not have"
    lines = [re.findall(r"m=(\w+) (\d+)", text) for text in told.descriptions()]
    named = {(kind, int(port)) for line in lines for kind, port in line if port != "0"}
    for kind, heard in (("audio", told.media["sound"]), ("image", told.media["image"])):
        assert all(host == HOST and (kind, port) in named for host, port in heard["from"]), (named, heard)
    assert not told.media["sound"]["faults"]
    assert not told.media["image"]["lost"]


def check_failed(told: Told, reason: str) -> None:
    """Hold that the fax came to nothing, with its own cause, in a call as the scenario has it."""
    check_signalling(told)
    assert (told.code, told.ours["outcome"], told.reason) == (1, "failed", reason)


def seconds_of_sound(told: Told) -> float:
    """Return how much of our sound came."""
    return float(told.media["sound"]["packets"]) / 50


# ------------------------------------------------------------------------------------------------- when T.38 begins


@call(
    we_call=Case(scenarios="answers", line="&t38=offer", keys={"answer": "image"}),
    they_call=Case(scenarios="calls", sends=False, keys={"offer": "image"}),
    we_call_over_tcp=Case(scenarios="answers", line="&t38=offer&transport=tcp", keys={"answer": "image"}),
    they_call_over_tcp=Case(scenarios="calls", sends=False, line="&transport=tcp", keys={"offer": "image"}),
)
def test_a_call_that_begins_with_t38_has_no_sound(told: Told) -> None:
    check(told)
    assert told.media["sound"]["packets"] == 0


@call(
    we_call_and_they_offer=Case(scenarios="answers_then_offers", keys={"offer": "image"}),
    they_call_and_they_offer=Case(
        scenarios="calls_then_offers", sends=False, line="&t38=answer", keys={"offer": "image"}
    ),
    we_call_and_offer=Case(scenarios="takes_reinvite", line="&t38_after=1", silent=True, keys={"answer": "image"}),
    they_call_and_we_offer=Case(
        scenarios="calls_and_takes", sends=False, line="&t38_after=2", keys={"answer": "image"}
    ),
)
def test_sound_runs_until_either_side_offers_t38(told: Told) -> None:
    check(told)
    assert 0.5 < seconds_of_sound(told) < 4


@call(ced=Case(scenarios="takes_reinvite", line="&t38_after=30", keys={"answer": "image"}))
def test_t38_is_offered_when_a_fax_machine_answers_in_the_sound(told: Told) -> None:
    check(told)
    assert seconds_of_sound(told) < 10


@pytest.mark.case("R10")
@call(
    in_the_call=Case(scenarios="calls", sends=False, keys={"offer": "sound and image"}),
    in_mid_call=Case(scenarios="answers_then_offers", keys={"offer": "sound and image"}),
    in_mid_call_instead_of_sound=Case(scenarios="answers_then_offers", keys={"offer": "no sound, but image"}),
)
def test_of_sound_and_image_the_image_is_taken_and_the_sound_is_not(told: Told) -> None:
    check(told)
    assert re.search(r"m=audio 0 .*m=image [1-9]", told.descriptions()[-1], re.DOTALL)


@call(late=Case(scenarios="calls_without_offer", sends=False, line="&t38=offer", keys={"answer": "image"}))
def test_a_call_without_an_offer_gets_ours(told: Told) -> None:
    check(told)


@pytest.mark.case("R07")
@pytest.mark.case("R03")
@call(
    in_their_answer=Case(scenarios="answers", line="&t38=offer", keys={"answer": "junk"}),
    in_their_offer=Case(scenarios="calls", sends=False, keys={"offer": "junk"}),
    in_their_second_offer=Case(scenarios="calls_then_offers", sends=False, line="&t38=answer", keys={"offer": "junk"}),
)
def test_misspelled_doubled_and_unknown_attributes_are_taken_for_what_they_mean(told: Told) -> None:
    check(told)
    assert told.media["image"]["largest"] <= 72


# ------------------------------------------------------------------------------------------------------ T.38 refused


@pytest.mark.case("R09")
@call(
    with_488=Case(scenarios="refuses_t38", line="&t38_after=1"),
    with_port_0=Case(
        scenarios="refuses_t38_by_port", line="&t38_after=1", keys={"answer": "no image", "offer": "sound again"}
    ),
    with_488_when_they_called=Case(scenarios="calls_and_refuses_t38", sends=False),
)
def test_where_t38_is_refused_the_call_is_kept_with_sound_and_ends_with_its_own_cause(told: Told) -> None:
    check_failed(told, "call.no_t38")
    assert seconds_of_sound(told) > 9
    assert told.media["machine"] is None


@pytest.mark.case("R09")
@call(theirs=Case(scenarios="refuses_t38_then_offers", line="&t38_after=1", keys={"offer": "image"}))
def test_their_own_offer_is_taken_after_they_refused_ours(told: Told) -> None:
    check(told)


@pytest.mark.case("R10")
@call(
    with_488=Case(scenarios="refuses", line="&t38=offer", keys={"refusal": "488 Not Acceptable Here"}),
    with_port_0=Case(scenarios="answers", line="&t38=offer", keys={"answer": "no image"}),
)
def test_a_call_with_t38_that_is_refused_ends_at_once(told: Told) -> None:
    check_failed(told, "call.no_t38")


@pytest.mark.case("R11")
@call(
    we_called=Case(scenarios="meets_their_offer", line="&t38_after=1", keys={"offer": "image", "answer": "image"}),
    they_called=Case(scenarios="calls_and_meets_their_offer", sends=False, keys={"offer": "image", "answer": "image"}),
)
def test_after_offers_that_cross_the_one_who_called_waits_longer(told: Told) -> None:
    check(told)
    (refused,) = told.sent("SIP/2.0 491")
    again = told.received("INVITE")[-1]
    least, most = (2.1, 4.0) if told.case.sends else (0.0, 2.0)
    assert least <= again.at - refused.at <= most + 1


# -------------------------------------------------------------------------------------------------------- in mid-fax


@pytest.mark.case("R12")
@call(
    by_reinvite=Case(scenarios="refreshes", line="&t38=offer", rows=LONG, keys={"answer": "image"}),
    by_reinvite_when_they_called=Case(scenarios="calls_and_refreshes", sends=False, rows=LONG, keys={"offer": "image"}),
    by_update=Case(scenarios="updates", line="&t38=offer", rows=LONG, keys={"answer": "image"}),
)
def test_a_session_that_they_refresh_in_mid_fax_stays_as_it_is(told: Told) -> None:
    check(told)
    assert len(set(told.descriptions())) == 1


@pytest.mark.case("R12")
@call(
    by_reinvite=Case(scenarios="wants_refreshes", line="&t38=offer", rows=LONG, pages=3, keys={"answer": "image"}),
    by_update=Case(scenarios="wants_updates", line="&t38=offer", rows=LONG, pages=3, keys={"answer": "image"}),
)
def test_a_session_is_refreshed_in_mid_fax_when_that_is_up_to_us(told: Told) -> None:
    check(told)
    assert len(set(told.descriptions())) == 1


@call(too_small=Case(scenarios="wants_longer_sessions", line="&t38=offer", keys={"answer": "image"}))
def test_a_longer_session_is_asked_for_when_they_want_it(told: Told) -> None:
    check(told)


@pytest.mark.case("R13")
@call(
    we_called=Case(
        scenarios="offers_again", line="&t38=offer", rows=LONG, keys={"answer": "image", "offer": "more image"}
    ),
    they_called=Case(
        scenarios="calls_and_offers_again", sends=False, rows=LONG, keys={"offer": "image", "answer": "more image"}
    ),
)
def test_a_second_offer_of_t38_with_more_attributes_does_not_disturb_the_fax(told: Told) -> None:
    check(told)


@call(
    we_called=Case(scenarios="hangs_up", line="&t38=offer", rows=LONG, keys={"answer": "image"}),
    they_called=Case(scenarios="calls_and_hangs_up", sends=False, rows=LONG, keys={"offer": "image"}),
)
def test_a_bye_in_mid_fax_ends_it_at_once(told: Told) -> None:
    check_failed(told, "line.dropped")
    assert told.ours["seconds"] < 25


# ------------------------------------------------------------------------------------------------------ lost messages


@call(
    their_200s=Case(scenarios="loses_200", line="&t38_after=1", sipp=("-nr",), keys={"answer": "image"}),
    our_ack=Case(scenarios="loses_ack", line="&t38=offer", sipp=("-nr",), keys={"answer": "image"}),
    our_200_and_their_ack=Case(scenarios="calls_and_loses_200", sends=False, sipp=("-nr",), keys={"offer": "image"}),
)
def test_lost_messages_are_repeated(told: Told) -> None:
    check(told)


# ------------------------------------------------------------------------------------------------------ authentication


def proves(request: Message, header: str) -> str:
    """Return the algorithm by which a request proves that it comes from who knows the password; "" if it does not."""
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', request.header(header))
    said = {name: quoted or bare for name, quoted, bare in found}
    user, password = ACCOUNT
    algorithm = said.get("algorithm", "MD5")

    def digest(*parts: str) -> str:
        return DIGESTS[algorithm](":".join(parts).encode()).hexdigest()

    who, what = digest(user, said["realm"], password), digest(request.start.split()[0], said["uri"])
    right = digest(who, said["nonce"], said["nc"], said["cnonce"], said["qop"], what) == said["response"]
    return algorithm if right and said["username"] == user else ""


PROXY = ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization")
SERVER = ("401 Unauthorized", "WWW-Authenticate", "Authorization")


def challenges(call: tuple[str, str, str], offer: tuple[str, str, str]) -> Case:
    """Return a call that is challenged, and so is our offer in it: status, header of theirs and of ours."""
    names = ("challenge", "question", "proof")
    keys = {f"call {name}": text for name, text in zip(names, call, strict=True)}
    keys |= {f"offer {name}": text for name, text in zip(names, offer, strict=True)}
    return Case(scenarios="challenges", line=f"&t38_after=1{WITH_ACCOUNT}", keys={"answer": "image"} | keys)


@call(by_proxy_then_server=challenges(PROXY, SERVER), by_server_then_proxy=challenges(SERVER, PROXY))
def test_a_call_and_its_offer_of_t38_are_authenticated_as_challenged(told: Told) -> None:
    check(told)
    assert proves(told.received("INVITE")[1], told.case.keys["call proof"]) == "MD5"
    assert proves(told.received("INVITE")[-1], told.case.keys["offer proof"]) == "SHA-256"


@call(twice=Case(scenarios="knows_another_password", line=WITH_ACCOUNT))
def test_a_wrong_password_is_tried_once(told: Told) -> None:
    check_failed(told, "call.rejected")


@call(ours=Case(scenarios="calls_and_challenges", sends=False, line=WITH_ACCOUNT, keys={"answer": "image"}))
def test_our_offer_of_t38_in_their_call_is_authenticated_as_challenged(told: Told) -> None:
    check(told)
    assert proves(told.received("INVITE")[-1], "Proxy-Authorization") == "MD5"


@call(
    once=Case(
        scenarios="registers calls unregisters",
        sends=False,
        user=ACCOUNT[0],
        line=f"&password_env={PASSWORD_ENV}",
        keys={"offer": "image"},
    )
)
def test_a_gateway_registers_is_called_and_unregisters(told: Told) -> None:
    check(told)
    assert proves(told.received("REGISTER")[1], "Authorization") == "MD5"


# ------------------------------------------------------------------------------------------ calls that come to nothing


@call(
    busy=Case(scenarios="refuses", keys={"refusal": "486 Busy Here"}),
    unallocated=Case(scenarios="refuses", keys={"refusal": "404 Not Found"}),
    congestion=Case(scenarios="refuses", keys={"refusal": "503 Service Unavailable"}),
    rejected=Case(scenarios="refuses", keys={"refusal": "603 Decline"}),
)
def test_a_refused_call_says_why(told: Told, request: pytest.FixtureRequest) -> None:
    check_failed(told, f"call.{request.node.callspec.id}")


@call(
    rings=Case(scenarios="rings", line="&ring=3"),
    answers_too_late=Case(scenarios="answers_as_they_cancel", line="&ring=3", keys={"answer": "sound"}),
)
def test_a_call_that_rings_too_long_is_cancelled_and_hung_up_if_it_is_answered_then(told: Told) -> None:
    check_failed(told, "call.no_answer")


@pytest.mark.case("R11")
@call(neither=Case(scenarios="answers", line="&t38=answer", keys={"answer": "sound"}))
def test_when_neither_side_offers_t38_the_call_ends_with_its_own_cause(told: Told) -> None:
    check_failed(told, "call.no_t38")


@call(at_once=Case(scenarios="calls_and_cancels", sends=False, wait=5, keys={"offer": "image"}))
def test_a_call_that_they_cancel_is_over(told: Told) -> None:
    check_failed(told, "call.none")


# ----------------------------------------------------------------------------------------------- what stands in the way


@call(
    we_call=Case(scenarios="routed", line="&t38=offer", keys={"answer": "image", "headers": NOWHERE}),
    they_call=Case(scenarios="calls_routed", sends=False, keys={"answer": "image", "headers": NOWHERE}),
)
def test_requests_go_through_the_proxy_that_asked_to_stay(told: Told) -> None:
    check(told)


@call(reliably=Case(scenarios="rings_reliably", line="&t38_after=1", keys={"answer": "image"}))
def test_a_reliable_provisional_response_is_acknowledged(told: Told) -> None:
    check(told)


@call(three=Case(scenarios="forks", line="&t38=offer", keys={"answer": "image"}))
def test_of_several_who_answer_all_but_the_first_are_left(told: Told) -> None:
    check(told)


@call(
    asked=Case(scenarios="asks calls", sends=False, keys={"offer": "image"}),
    asked_by_a_stranger=Case(scenarios="asks_in_vain@127.0.0.2 calls", sends=False, keys={"offer": "image"}),
)
def test_the_trunk_is_told_what_we_can_do_and_nobody_else_is_told_anything(told: Told) -> None:
    check(told)
