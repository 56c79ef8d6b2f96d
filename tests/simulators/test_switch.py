import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulators.circuit import NO_FAULTS, CarrierOn, End, Faults, Gone
from simulators.clock import run
from simulators.switch import SETUP, Ring, Switch
from t30.line import Cause, LineClock
from t30.rates import Modulation


def on_switch(body: Callable[[Switch], Awaitable[None]], *, faults: Faults = NO_FAULTS, speed: float = 1.0) -> None:
    async def call() -> None:
        await body(Switch(LineClock(asyncio.get_running_loop().time, speed), faults=faults))

    run(call())


def test_a_call_rings_with_both_numbers_and_joins_two_ends() -> None:
    async def body(switch: Switch) -> None:
        alice, bob = switch.attach("100"), switch.attach("200")
        dialling = asyncio.create_task(alice.dial("200"))
        assert await bob.ringing() == Ring("100", "200")
        assert switch.clock.now() == pytest.approx(SETUP)
        answerer = bob.answer()
        caller = await dialling
        assert isinstance(caller, End)
        assert answerer is caller.opposite
        assert bob.ring is None
        caller.carrier_on(Modulation.V21)
        assert answerer is not None
        assert await answerer.heard() == CarrierOn(Modulation.V21)

    on_switch(body)


def test_times_follow_the_clock() -> None:
    async def body(switch: Switch) -> None:
        alice, bob = switch.attach("100"), switch.attach("200")
        assert await alice.dial("200", within=30.0) is Cause.NO_ANSWER
        assert switch.clock.now() == pytest.approx(SETUP + 30.0)
        assert asyncio.get_running_loop().time() == pytest.approx((SETUP + 30.0) / 10)
        assert bob.ring is None
        assert bob.answer() is None

    on_switch(body, speed=10.0)


@pytest.mark.parametrize("cause", Cause)
def test_a_number_that_fails_says_why(cause: Cause) -> None:
    async def body(switch: Switch) -> None:
        switch.fail("300", cause)
        assert await switch.attach("100").dial("300") is cause

    on_switch(body)


def test_a_number_nobody_has_is_rejected_and_a_taken_one_is_refused() -> None:
    async def body(switch: Switch) -> None:
        alice = switch.attach("100")
        assert await alice.dial("999") is Cause.REJECTED
        with pytest.raises(ValueError, match="100"):
            switch.attach("100")
        switch.detach(alice)
        switch.attach("100")

    on_switch(body)


def test_a_port_is_busy_until_it_hangs_up_itself() -> None:
    async def body(switch: Switch) -> None:
        alice, bob, carol = (switch.attach(number) for number in ("100", "200", "300"))
        first = asyncio.create_task(alice.dial("200"))
        await bob.ringing()
        assert await carol.dial("200") is Cause.BUSY
        called = bob.answer()
        caller = await first
        assert isinstance(caller, End)
        assert called is not None
        caller.hang_up()
        assert await called.heard() == Gone()
        assert await carol.dial("200") is Cause.BUSY
        called.hang_up()
        again = asyncio.create_task(carol.dial("200"))
        assert await bob.ringing() == Ring("300", "200")
        again.cancel()

    on_switch(body)


def test_a_number_with_two_lines_takes_two_calls_at_once_and_another_when_one_is_free() -> None:
    async def body(switch: Switch) -> None:
        answered: list[tuple[End, str]] = []
        switch.serve("200", lambda end, caller: answered.append((end, caller)), lines=2)
        alice, bob, carol = (switch.attach(number) for number in ("100", "101", "102"))
        ends = [await alice.dial("200"), await bob.dial("200")]
        assert [(end.opposite, caller) for end, caller in answered] == list(zip(ends, ("100", "101"), strict=True))
        assert await carol.dial("200") is Cause.BUSY
        answered[0][0].hang_up()
        assert isinstance(await carol.dial("200"), End)
        with pytest.raises(ValueError, match="200"):
            switch.attach("200")

    on_switch(body)


def test_a_port_with_two_numbers_hears_which_was_dialled() -> None:
    async def body(switch: Switch) -> None:
        alice, bob = switch.attach("100"), switch.attach("200")
        switch.forward("+200", bob)
        switch.forward("+200", bob)
        with pytest.raises(ValueError, match="100"):
            switch.forward("100", bob)
        dialling = asyncio.create_task(alice.dial("+200"))
        assert await bob.ringing() == Ring("100", "+200")
        switch.detach(bob)
        assert await dialling is Cause.NO_ANSWER
        assert switch.clock.now() == pytest.approx(SETUP)
        assert await alice.dial("+200") is Cause.REJECTED

    on_switch(body)


def test_a_caller_that_gives_up_stops_the_ringing() -> None:
    async def body(switch: Switch) -> None:
        alice, bob = switch.attach("100"), switch.attach("200")
        dialling = asyncio.create_task(alice.dial("200"))
        await bob.ringing()
        dialling.cancel()
        await asyncio.sleep(0)
        assert bob.answer() is None
        assert not alice.in_use

    on_switch(body)


def test_a_caller_that_gives_up_as_it_is_answered_leaves_nobody_talking_to_himself() -> None:
    async def body(switch: Switch) -> None:
        alice, bob = switch.attach("100"), switch.attach("200")
        dialling = asyncio.create_task(alice.dial("200"))
        await bob.ringing()
        end = bob.answer()
        dialling.cancel()
        assert end is not None
        assert await end.heard(1.0) == Gone()

    on_switch(body)


def test_no_dialtone_without_one_nor_while_ringing() -> None:
    async def body(switch: Switch) -> None:
        dead, bob = switch.attach("100", dialtone=False), switch.attach("200")
        assert await dead.dial("200") is Cause.NO_DIALTONE
        dialling = asyncio.create_task(switch.attach("300").dial("200"))
        await bob.ringing()
        assert await bob.dial("100") is Cause.NO_DIALTONE
        dialling.cancel()

    on_switch(body)


def test_each_call_has_faults_of_its_own() -> None:
    async def body(switch: Switch) -> None:
        alice, bob = switch.attach("100"), switch.attach("200")
        seeds = []
        for _ in range(3):
            dialling = asyncio.create_task(alice.dial("200"))
            await bob.ringing()
            bob.answer()
            end = await dialling
            assert isinstance(end, End)
            seeds.append(end.circuit.faults.seed)
            alice.hang_up()
            bob.hang_up()
        assert seeds == [7, 8, 9]

    on_switch(body, faults=Faults(seed=7))
