"""Calls between two agents over a network that loses, delays and repeats: how they begin, change and end."""

import pytest

from drivers.sip.effects import Accepted, Progress
from drivers.sip.negotiation import Stream
from tests.drivers.sip.agents import image, pair, ring_then_accept, sound
from tests.drivers.sip.ends import Network


def test_a_call_is_made_and_ended() -> None:
    network = Network(1)
    here, there = pair(network, answers=ring_then_accept)
    call = here.call(there)
    network.after(10.0, lambda: here.do(call.hang_up(network.now)))
    network.run(here, there)
    assert here.story == ["accepted sound", "over 200 hung up here"]
    assert there.story == ["accepted sound", "over 200 hung up there"]
    assert [each.status for each in here.told(Progress)] == [180]
    assert here.told(Accepted)[0].agreement.port == 4002
    assert there.told(Accepted)[0].agreement.port == 4001
    assert here.agent.idle and there.agent.idle


@pytest.mark.parametrize("ours", [True, False])
def test_a_fax_call_goes_from_sound_to_t38_and_back(ours: bool) -> None:
    network = Network(2)
    here, there = pair(network)
    call = here.call(there)
    changer = here if ours else there

    def change(stream: Stream) -> None:
        one = next(iter(changer.agent.calls))
        changer.do(one.offer((stream,), network.now))

    network.after(1.0, lambda: change(image(changer.address)))
    network.after(5.0, lambda: change(sound(changer.address)))
    network.after(9.0, lambda: here.do(call.hang_up(network.now)))
    network.run(here, there, until=100)
    mine, other = (here, there) if ours else (there, here)
    assert mine.story[:3] == ["accepted sound", "changed image here", "changed sound here"]
    assert other.story[:3] == ["accepted sound", "changed image there", "changed sound there"]
    assert here.agent.idle and there.agent.idle
