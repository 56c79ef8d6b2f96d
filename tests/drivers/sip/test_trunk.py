"""A trunk and its channels: how many calls at once, who is let in, what is left when a call has ended in some way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest

from drivers.sip.effects import NotRegistered, Registered
from drivers.sip.line import SipLine
from drivers.sip.ports import Pair
from drivers.sip.resolving import Resolver
from drivers.sip.sdp import Description
from drivers.sip.standing import LOOKED_UP_EVERY
from drivers.sip.switching import End
from drivers.sip.trunk import HELD
from drivers.sip.uri import Uri
from drivers.sip.ways import Target, Transport
from simulators.clock import run
from simulators.lan import Lan
from simulators.machine import Machine
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import Answer, AwaitCall, Cause, Connected, Dial, HangUp, LineError, NotConnected, Ringing
from tests.drivers.sip.calls import OURS, THEIRS, line, trunk
from tests.simulators.calls import sheet

HERE, THERE = f"sip:{THEIRS}:5060?local={OURS}:5060", f"sip:{OURS}:5060?local={THEIRS}:5060"


def on_lan(story: Callable[[Lan], Awaitable[None]]) -> None:
    """Run a story on a network, and hold that no port and no task is left behind."""
    lan = Lan()

    async def told() -> None:
        async with asyncio.timeout(600):
            await story(lan)
        assert not lan._bound, f"ports that nobody released: {sorted(lan._bound)}"
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    run(told(), lan=lan)


async def close(*lines: SipLine) -> None:
    await asyncio.gather(*(each.close() for each in lines))


def test_calls_both_ways_share_the_channels_and_the_next_one_is_busy() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = [line(near) for _ in range(3)], [line(far) for _ in range(2)]
        rings = [asyncio.create_task(each.perform(AwaitCall())) for each in (theirs[0], ours[0])]
        calls = [
            asyncio.create_task(caller.perform(Dial(number))) for caller, number in ((ours[1], "1"), (theirs[1], "2"))
        ]
        assert [await each for each in rings] == [Ringing("", "1"), Ringing("", "2")]
        answers = [asyncio.create_task(each.perform(Answer())) for each in (theirs[0], ours[0])]
        assert [await each for each in (*calls, *answers)] == [Connected()] * 4
        assert await ours[2].perform(Dial("3")) == NotConnected(Cause.BUSY, detail="486 Busy Here")
        await close(*ours, *theirs)

    on_lan(story)


@pytest.mark.slow
def test_ten_faxes_at_once_go_through_ten_channels() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        trays = [Tray() for _ in range(10)]
        receivers = [Machine(Station(), line(far), tray) for tray in trays]
        senders = [Machine(Station(), line(near), Tray([sheet(number)])) for number in range(10)]
        receiving = [asyncio.create_task(each.receive()) for each in receivers]
        sent = await asyncio.gather(*(each.send(str(number)) for number, each in enumerate(senders)))
        assert {each.verdict for each in sent} == {"delivered"}
        assert {(await each).verdict for each in receiving} == {"received"}
        arrived = [page.decoded.bitmap for tray in trays for page in tray.received.values() if page.decoded]
        assert sorted(map(repr, arrived)) == sorted(repr(sheet(number).bitmap) for number in range(10))
        await close(*(each.line for each in (*senders, *receivers)))  # type: ignore[arg-type]

    on_lan(story)


def test_nobody_answers_within_the_time_that_a_call_may_ring() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"{HERE}&ring=7"), await trunk(THERE)
        ours, theirs = line(near), line(far)
        ringing = asyncio.create_task(theirs.perform(AwaitCall()))
        began = near.now()
        assert await ours.perform(Dial("1")) == NotConnected(Cause.NO_ANSWER)
        assert near.now() - began == pytest.approx(7.0)
        assert await ringing == Ringing("", "1")
        await asyncio.sleep(0.1)
        assert await theirs.perform(Answer()) == NotConnected(Cause.NO_CARRIER, detail="canceled there"), (
            "it still rang"
        )
        await close(ours, theirs)

    on_lan(story)


def test_a_call_that_is_given_up_while_it_rings_is_taken_back() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        ringing = asyncio.create_task(theirs.perform(AwaitCall()))
        dialling = asyncio.create_task(ours.perform(Dial("1")))
        await ringing
        dialling.cancel()
        await asyncio.wait([dialling])
        await ours.perform(HangUp())
        assert isinstance(await theirs.perform(Answer()), NotConnected)
        again = asyncio.create_task(theirs.perform(AwaitCall()))
        calling = asyncio.create_task(ours.perform(Dial("2")))
        assert await again == Ringing("", "2")
        await theirs.perform(HangUp())
        assert await calling == NotConnected(Cause.NO_ANSWER, detail="480 Temporarily Unavailable")
        await close(ours, theirs)

    on_lan(story)


def test_a_ring_seen_while_the_waiting_is_cancelled_is_not_lost() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        ringing = asyncio.create_task(theirs.perform(AwaitCall()))

        def seen(sender: object, to: object, octets: bytes) -> None:
            if octets.startswith(b"SIP/2.0 180"):
                # It runs after the call was handed to the line, and before the line knows.
                asyncio.get_running_loop().call_soon(ringing.cancel)

        lan.seen = seen
        dialling = asyncio.create_task(ours.perform(Dial("1")))
        await asyncio.wait([ringing])
        assert ringing.cancelled()
        assert await theirs.perform(AwaitCall()) == Ringing("", "1")
        dialling.cancel()
        await close(ours, theirs)

    on_lan(story)


def test_a_call_for_a_line_that_is_between_two_calls_rings_until_it_is_back_or_the_caller_is_told() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        dialling = asyncio.create_task(ours.perform(Dial("1")))
        await asyncio.sleep(HELD / 2)
        assert await theirs.perform(AwaitCall()) == Ringing("", "1")
        await theirs.perform(HangUp())
        assert isinstance(await dialling, NotConnected)
        began = near.now()
        assert isinstance(await ours.perform(Dial("2")), NotConnected)
        assert near.now() - began == pytest.approx(HELD, abs=0.2)
        await close(ours, theirs)

    on_lan(story)


def test_who_hangs_up_in_mid_fax_drops_the_line_of_the_other_and_ports_are_released() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        tray = Tray()
        sender = Machine(Station(), ours, Tray([sheet(1)]))
        receiving = asyncio.create_task(Machine(Station(), theirs, tray).receive())
        sending = asyncio.create_task(sender.send("1"))
        await asyncio.sleep(12.0)
        await theirs.perform(HangUp())
        got, sent = await receiving, await sending
        assert got.reason.code.startswith("line."), got
        assert sent.reason.code == "line.dropped", sent
        await close(ours, theirs)

    on_lan(story)


def test_a_trunk_that_is_not_there_is_found_out_and_the_line_says_so() -> None:
    async def story(lan: Lan) -> None:
        near = await trunk(f"{HERE}&options=10")
        ours = line(near)
        with pytest.raises(LineError, match="the trunk does not answer") as caught:
            await ours.perform(AwaitCall())
        assert caught.value.code == "line.unavailable"
        assert near.now() > 10.0
        with pytest.raises(LineError, match="does not answer"):
            await ours.perform(Dial("1"))
        await close(ours)

    on_lan(story)


def test_a_trunk_that_answers_is_not_held_to_be_down() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"{HERE}&options=10"), await trunk(THERE)
        ours, theirs = line(near), line(far)
        waiting = asyncio.create_task(ours.perform(AwaitCall()))
        await asyncio.sleep(100.0)
        assert not waiting.done()
        waiting.cancel()
        await close(ours, theirs)

    on_lan(story)


def test_who_cannot_register_has_no_line_to_be_called_on() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"sip:me@{THEIRS}:5060?local={OURS}:5060"), await trunk(THERE)
        ours, theirs = line(near), line(far)
        with pytest.raises(LineError, match="does not register us: 405") as caught:
            await ours.perform(AwaitCall())
        assert caught.value.code == "line.unavailable"
        await close(ours, theirs)

    on_lan(story)


@pytest.mark.parametrize("when", [0.0, 0.5])
def test_a_registration_that_was_broken_off_before_it_began_is_begun_by_the_next_who_waits(when: float) -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"sip:me@{THEIRS}:5060?local={OURS}:5060"), await trunk(THERE)
        ours, theirs = line(near), line(far)
        found = near._place.targets

        async def slowly() -> tuple[Target, ...]:
            await asyncio.sleep(1.0)
            return await found()

        near._place.targets = slowly  # type: ignore[method-assign]
        waiting = asyncio.create_task(ours.perform(AwaitCall()))
        await asyncio.sleep(when)
        waiting.cancel()
        began = near.now()
        with pytest.raises(LineError, match="does not register us: 405"):
            await ours.perform(AwaitCall())
        assert near.now() - began < 2.0
        await close(ours, theirs)

    on_lan(story)


def test_a_trunk_that_is_alive_but_does_not_register_us_any_more_stays_unavailable() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"{HERE}&options=10"), await trunk(THERE)
        ours, theirs = line(near), line(far)
        waiting = asyncio.create_task(ours.perform(AwaitCall()))
        await asyncio.sleep(15.0)
        near._standing.take(NotRegistered(503, "Full", 30.0))
        with pytest.raises(LineError, match="does not register us: 503 Full"):
            await waiting
        await asyncio.sleep(25.0)
        with pytest.raises(LineError, match="does not register us: 503 Full"):
            await ours.perform(Dial("1"))
        near._standing.take(Registered(300.0))
        waiting = asyncio.create_task(ours.perform(AwaitCall()))
        await asyncio.sleep(25.0)
        assert not waiting.done()
        waiting.cancel()
        await close(ours, theirs)

    on_lan(story)


@pytest.mark.parametrize(
    ("options", "number", "rings"),
    [
        ("", "+49 (30) 12-34", Ringing("", "+49301234")),
        ("", "0,030/1234", Ringing("", "00301234")),
        ("", "*31#5550100", Ringing("", "*31#5550100")),
        ("", "front desk", Ringing("", "front desk")),
        ("&from=%2B49 30 99", "1", Ringing("+493099", "1")),
    ],
)
def test_a_number_is_called_and_shown_without_what_people_write_between_digits(
    options: str, number: str, rings: Ringing
) -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"{HERE}{options}"), await trunk(THERE)
        ours, theirs = line(near), line(far)
        ringing = asyncio.create_task(theirs.perform(AwaitCall()))
        dialling = asyncio.create_task(ours.perform(Dial(number)))
        assert await ringing == rings
        dialling.cancel()
        await close(ours, theirs)

    on_lan(story)


def test_nothing_is_called_where_there_is_no_number() -> None:
    async def story(lan: Lan) -> None:
        ours = line(await trunk(HERE))
        with pytest.raises(LineError, match="' - ' is not a number") as caught:
            await ours.perform(Dial(" - "))
        assert caught.value.code == "usage"
        await close(ours)

    on_lan(story)


def test_a_call_that_is_given_up_before_its_invite_is_never_made() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        ringing = asyncio.create_task(theirs.perform(AwaitCall()))
        found = near._place.targets

        async def slowly() -> tuple[Target, ...]:
            await asyncio.sleep(1.0)
            return await found()

        near._place.targets = slowly  # type: ignore[method-assign]
        dialling = asyncio.create_task(ours.perform(Dial("1")))
        await asyncio.sleep(0.5)
        await ours.perform(HangUp())
        assert await dialling == NotConnected(Cause.NO_CARRIER)
        await asyncio.sleep(5.0)
        assert not ringing.done()
        ringing.cancel()
        await close(ours, theirs)

    on_lan(story)


def test_who_answers_every_offer_with_port_0_is_not_asked_for_ever() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(f"{HERE}&t38_after=1"), await trunk(f"{THERE}&t38=answer")
        ours, theirs = line(near), line(far)
        offers = []
        ringing = asyncio.create_task(theirs.perform(AwaitCall()))
        dialling = asyncio.create_task(ours.perform(Dial("1")))
        await ringing
        answering = asyncio.create_task(theirs.perform(Answer()))
        await asyncio.sleep(0.5)
        assert theirs._leg is not None

        def refused(offer: bytes, *_: object) -> bytes:
            offers.append(offer)
            lines = Description.parse(offer)
            return replace(lines, media=tuple(each.refused() for each in lines.media)).octets()

        theirs._leg._negotiation.answer = refused  # type: ignore[method-assign]
        assert await dialling == NotConnected(Cause.NO_T38, detail=End.REFUSED.value)
        assert len(offers) == 2, "T.38, and sound once more"
        assert await answering == NotConnected(Cause.NO_CARRIER, detail="hung up there")
        await close(ours, theirs)

    on_lan(story)


def test_nothing_is_sent_to_who_says_no_address_until_something_comes_from_there() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        far._place.media_host = "0.0.0.0"
        sent_to = set()
        lan.seen = lambda _, to, __: sent_to.add(to[0])
        ours, theirs = line(near), line(far)
        receiving = asyncio.create_task(Machine(Station(), theirs, Tray()).receive())
        assert (await Machine(Station(), ours, Tray([sheet(1)])).send("1")).verdict == "delivered"
        assert (await receiving).verdict == "received"
        assert sent_to == {OURS, THEIRS}
        await close(ours, theirs)

    on_lan(story)


def test_a_call_that_comes_while_the_trunk_closes_is_refused_and_leaves_nothing() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        opened = far._place.ports.pair

        async def slowly() -> Pair:
            await asyncio.sleep(0.5)
            return await opened()

        far._place.ports.pair = slowly  # type: ignore[method-assign]
        dialling = asyncio.create_task(ours.perform(Dial("1")))
        await asyncio.sleep(0.2)
        await theirs.close()
        assert await dialling == NotConnected(Cause.NO_ANSWER, detail="480 Temporarily Unavailable")
        await asyncio.sleep(0)
        assert not far._legs
        await close(ours)

    on_lan(story)


@pytest.mark.case("R15")
def test_a_far_end_that_vanishes_ends_the_call_by_the_clock() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        receiving = asyncio.create_task(Machine(Station(), theirs, Tray()).receive())
        sending = asyncio.create_task(Machine(Station(), ours, Tray([sheet(1)])).send("1"))
        await asyncio.sleep(12.0)
        lan.silence(THEIRS)
        sent = await sending
        assert sent.reason.code == "fax.no_response", sent
        await receiving
        await close(ours, theirs)

    on_lan(story)


@pytest.mark.case("R14")
def test_strangers_cannot_speak_in_a_call() -> None:
    async def story(lan: Lan) -> None:
        near, far = await trunk(HERE), await trunk(THERE)
        ours, theirs = line(near), line(far)
        receiving = asyncio.create_task(Machine(Station(), theirs, Tray()).receive())
        sending = asyncio.create_task(Machine(Station(), ours, Tray([sheet(1)])).send("1"))
        await asyncio.sleep(8.0)
        ports = [address for address in lan._bound if address[1] != 5060]
        for _ in range(1000):
            for port in ports:
                lan.send(b"\x00\x01\x01\x06\x00\x00", ("10.0.0.66", 4000), port)
                lan.send(b"", ("10.0.0.66", 4000), port)
        assert (await sending).verdict == "delivered"
        assert (await receiving).verdict == "received"
        await close(ours, theirs)

    on_lan(story)


def test_a_trunk_whose_name_leads_elsewhere_now_is_listened_to_there() -> None:
    async def story(lan: Lan) -> None:
        near = await trunk(HERE)
        ours = line(near)
        waiting = asyncio.create_task(ours.perform(AwaitCall()))
        looked_up = near.hosts
        moved = Target(Transport.UDP, ("10.0.0.9", 5060), "trunk")

        class Moved(Resolver):
            async def targets(self, uri: Uri, transport: Transport | None) -> list[Target]:  # noqa: ARG002
                return [moved]

        near._place._resolver = Moved(Random(1))
        await asyncio.sleep(LOOKED_UP_EVERY + 1)
        assert (looked_up, near.hosts) == (frozenset({THEIRS}), frozenset({"10.0.0.9"}))
        assert near._place._guard.trusts("10.0.0.9")
        waiting.cancel()
        await close(ours)

    on_lan(story)
