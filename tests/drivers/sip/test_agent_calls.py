"""Calls between two agents over a network that loses, delays and repeats: how they begin, change and end."""

import itertools

import pytest

from drivers.sip.call import CallState
from drivers.sip.digest import Account
from drivers.sip.effects import Accepted, Changed, Over, Progress, Refused
from drivers.sip.messages import Response
from drivers.sip.negotiation import Stream
from drivers.sip.ways import Transport
from tests.drivers.sip.agents import (
    HERE,
    THERE,
    Party,
    image,
    know,
    pair,
    party,
    refuse,
    ring,
    ring_then_accept,
    sound,
)
from tests.drivers.sip.ends import Network

NOBODY = ("192.0.2.9", 5060)


def offer(one: Party, stream: Stream) -> None:
    for call in one.agent.calls:
        one.do(call.offer((stream,), one.network.now))


def hang_up(one: Party) -> None:
    for call in one.agent.calls:
        one.do(call.hang_up(one.network.now))


def left(*parties: Party) -> bool:
    return not all(one.agent.idle for one in parties)


def test_a_call_is_made_and_ended() -> None:
    network = Network(1)
    here, there = pair(network, answers=ring_then_accept)
    here.call(there)
    network.after(10.0, lambda: hang_up(here))
    network.run(here, there)
    assert here.story == ["accepted sound", "over 200 hung up here"]
    assert there.story == ["accepted sound", "over 200 hung up there"]
    assert [each.status for each in here.told(Progress)] == [180]
    assert here.told(Accepted)[0].agreement.port == 4002
    assert there.told(Accepted)[0].agreement.port == 4001
    assert not left(here, there)


@pytest.mark.parametrize("ours", [True, False])
def test_a_call_goes_from_sound_to_t38_and_back(ours: bool) -> None:
    network = Network(2)
    here, there = pair(network)
    here.call(there)
    mine, other = (here, there) if ours else (there, here)
    network.after(1.0, lambda: offer(mine, image(mine.address)))
    network.after(5.0, lambda: offer(mine, sound(mine.address)))
    network.after(9.0, lambda: hang_up(here))
    network.run(here, there)
    assert mine.story[:3] == ["accepted sound", "changed image here", "changed sound here"]
    assert other.story[:3] == ["accepted sound", "changed image there", "changed sound there"]
    assert not left(here, there)


@pytest.mark.case("R11")
@pytest.mark.parametrize("apart", [0.0, 0.005, 0.0101, 0.0199, 0.05])
def test_two_that_offer_t38_at_once_agree_on_it(apart: float) -> None:
    network = Network(3)
    here, there = pair(network)
    here.call(there)
    network.after(1.0, lambda: offer(here, image(HERE)))
    network.after(1.0 + apart, lambda: offer(there, image(THERE)))
    network.after(20.0, lambda: hang_up(there))
    network.run(here, there)
    for one in (here, there):
        changes = one.told(Changed)
        assert changes and all(each.agreement.t38 for each in changes)
        assert one.story[-1].startswith("over 200")
    assert not left(here, there)


@pytest.mark.case("R11")
def test_after_glare_the_side_that_made_the_call_waits_longer() -> None:
    network = Network(4)
    here, there = pair(network)
    here.call(there)
    network.after(1.0, lambda: offer(here, image(HERE)))
    network.after(1.0, lambda: offer(there, image(THERE)))
    network.after(20.0, lambda: hang_up(there))
    network.run(here, there)
    assert here.statuses("INVITE").count(491) == there.statuses("INVITE").count(491) == 1
    assert here.story[1:-1] == ["changed image there"]
    assert there.story[1:-1] == ["changed image here"]
    assert len(here.requests("INVITE")) == 2


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_a_fax_call_survives_a_bad_network(seed: int, transport: Transport) -> None:
    bad = 0.0 if transport.reliable else 0.2
    network = Network(seed, delay=(0.01, 0.4), loss=bad, duplicates=bad)
    here, there = pair(network, answers=ring_then_accept, transport=transport)
    here.call(there)
    network.after(30.0, lambda: offer(there, image(THERE)))
    network.after(30.5, lambda: offer(here, image(HERE)))
    network.after(100.0, lambda: hang_up(here if seed % 2 else there))
    network.run(here, there)
    for one in (here, there):
        assert one.story[0] == "accepted sound"
        assert set(one.story[1:-1]) <= {"changed image here", "changed image there"}
        assert one.story[1:-1]
        assert one.story[-1] in {"over 200 hung up here", "over 200 hung up there"}
    assert not left(here, there)


@pytest.mark.parametrize("seed", range(25))
def test_a_call_that_is_hung_up_at_any_time_ends_at_both_sides(seed: int) -> None:
    """CANCEL, and BYE, cross whatever they can: 100, 180, 200, ACK, re-INVITE and their answers."""
    network = Network(seed, loss=0.15, duplicates=0.1, delay=(0.01, 0.5))
    here, there = pair(network, answers=ring_then_accept)
    here.call(there)
    network.after(0.17 * seed, lambda: hang_up(here if seed % 3 else there))
    network.after(2.5, lambda: offer(here, image(HERE)))
    network.after(60.0, lambda: hang_up(there))
    network.after(61.0, lambda: hang_up(here))
    network.run(here, there)
    assert len(here.told(Over)) + len(here.told(Refused)) == 1
    assert len(there.told(Over)) <= 1
    assert not left(here, there)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.015, 0.5, 1.995, 2.005, 2.015, 2.025, 2.5])
def test_hanging_up_sends_what_fits(after: float) -> None:
    network = Network(5)
    here, there = pair(network, answers=ring_then_accept)
    call = here.call(there)
    network.after(after, lambda: hang_up(here))
    network.run(here, there)
    assert call.state is CallState.OVER
    assert len(here.told(Over)) == 1
    ended = (len(here.requests("CANCEL")), len(here.requests("BYE")))
    assert ended == ((1, 0) if after < 2.0 else (1, 1) if after < 2.02 else (0, 1))
    assert [len(there.told(Over)), len(there.told(Accepted))] == [1, int(after > 2.0)]
    assert not left(here, there)


@pytest.mark.parametrize("after", [2.001, 2.005, 2.015, 2.5])
def test_the_called_side_hangs_up_no_sooner_than_the_ack_is_there(after: float) -> None:
    network = Network(6)
    here, there = pair(network, answers=ring_then_accept)
    here.call(there)
    network.after(after + 0.01, lambda: hang_up(there))
    network.run(here, there)
    assert len(there.requests("BYE")) == 1
    bye = next(time for time, one in there.sent if not isinstance(one, Response))
    assert bye >= 2.03 - 1e-9
    assert here.story == ["accepted sound", "over 200 hung up there"]
    assert not left(here, there)


def test_a_call_that_is_refused() -> None:
    network = Network(7)
    here, there = pair(network, answers=refuse(486))
    here.call(there)
    network.run(here, there)
    assert (here.story, there.story) == (["refused 486"], ["over 486 refused here"])
    assert not left(here, there)


def test_a_call_that_nobody_picks_up_rings_until_it_is_canceled() -> None:
    network = Network(8)
    here, there = pair(network, answers=ring)
    here.call(there)
    network.after(120.0, lambda: hang_up(here))
    network.run(here, there)
    assert (here.story, there.story) == (["over 487 hung up here"], ["over 487 canceled there"])
    assert there.statuses("INVITE")[-1] == 487
    assert not left(here, there)


def test_a_call_to_nobody_fails_after_32_seconds() -> None:
    network = Network(9)
    here = party(network)
    here.call(NOBODY)
    network.run(here)
    assert here.heard[-1][0] == pytest.approx(32.0)
    assert here.story == ["refused 408"]
    assert not left(here)


def test_the_next_target_is_tried_where_nobody_answers() -> None:
    network = Network(10)
    here, there = pair(network)
    here.call(NOBODY, there)
    network.after(50.0, lambda: hang_up(here))
    network.run(here, there)
    invites = here.requests("INVITE")
    assert here.told(Accepted)
    assert len({one.via.branch for one in invites}) == 2
    assert len({(one.call_id, str(one.cseq), one.from_.tag) for one in invites}) == 1
    assert not left(here, there)


def test_the_next_target_is_tried_after_503_and_after_a_failure_of_the_transport() -> None:
    network = Network(11)
    here, there = pair(network)
    full = party(network, ("192.0.2.3", 5060), most_calls=0)
    know(here, there, full)
    call = here.call(NOBODY, full, there)
    here.do(here.agent.undeliverable(here.requests("INVITE")[0], network.now))
    network.after(5.0, lambda: hang_up(here))
    network.run(here, there, full)
    assert full.statuses("INVITE") == [503]
    assert here.story == ["accepted sound", "over 200 hung up here"]
    assert call.state is CallState.OVER
    assert not left(here, there, full)


def test_no_target_left_is_a_call_refused() -> None:
    network = Network(12)
    here, full = party(network), party(network, THERE, most_calls=0)
    know(here, full)
    here.call(full)
    here.call()
    network.run(here, full)
    assert here.story == ["refused 503", "refused 503"]
    assert isinstance(full.sent[0][1], Response) and full.sent[0][1].headers.get("Retry-After") == "10"
    assert not left(here, full)


def test_a_far_end_that_vanishes_is_noticed_by_the_session_timer() -> None:
    network = Network(13)
    here, there = pair(network, session_expires=120)
    here.call(there)

    def vanish() -> None:
        here.deaf = there.deaf = True

    network.after(300.0, vanish)
    network.run(here, there)
    assert [one.story[-1].split(" ", 2)[:2] for one in (here, there)] == [["over", "408"]] * 2
    assert all(300 < one.heard[-1][0] < 430 for one in (here, there))
    assert not left(here, there)


@pytest.mark.case("R12")
def test_a_session_is_refreshed_without_a_change_for_as_long_as_the_fax_takes() -> None:
    network = Network(14, loss=0.1)
    here, there = pair(network)
    here.call(there)
    network.after(20.0, lambda: offer(there, image(THERE)))
    network.after(3 * 3600.0, lambda: hang_up(here))
    network.run(here, there, until=20_000)
    assert here.story == ["accepted sound", "changed image there", "over 200 hung up here"]
    assert there.story == ["accepted sound", "changed image here", "over 200 hung up there"]
    assert len([*here.requests("UPDATE"), *there.requests("UPDATE")]) in range(10, 14)
    assert not left(here, there)


def test_an_answer_that_is_never_acknowledged_ends_with_a_bye() -> None:
    network = Network(15)
    here, there = pair(network)
    here.call(there)
    network.after(0.005, lambda: setattr(here, "deaf", True))
    network.after(1.0, lambda: hang_up(here))
    network.run(here, there)
    assert there.story == ["over 408 no ACK"]
    assert len(there.requests("BYE")) == 1
    assert 11 <= there.statuses("INVITE").count(200) <= 12
    assert not left(here, there)


def test_many_calls_at_once_up_to_the_limit() -> None:
    network = Network(16)
    here, there = party(network), party(network, THERE, most_calls=5, answers=ring_then_accept)
    know(here, there)
    for _ in range(8):
        here.call(there)
    network.after(10.0, lambda: hang_up(here))
    network.run(here, there)
    assert sorted(here.story) == ["accepted sound"] * 5 + ["over 200 hung up here"] * 5 + ["refused 503"] * 3
    assert not left(here, there)


def test_a_call_to_ourselves_comes_back_as_another_call() -> None:
    network = Network(18)
    here = party(network)
    know(here)
    here.call(here)
    network.after(10.0, lambda: hang_up(here))
    network.run(here)
    assert here.story[:2] == ["accepted sound", "accepted sound"]
    assert sorted(here.story[2:]) == ["over 200 hung up here"] * 2
    assert not left(here)


def test_tokens_are_never_the_same() -> None:
    network = Network(17)
    here, there = pair(network, account=Account("u", "p"))
    for _ in range(10):
        here.call(there)
    network.after(10.0, lambda: hang_up(here))
    network.run(here, there)
    invites = here.requests("INVITE")
    for tokens in (
        [one.via.branch for one in invites],
        [one.call_id for one in invites],
        [one.from_.tag for one in invites],
    ):
        assert len(set(tokens)) == len(list(itertools.chain(tokens))) == 10
