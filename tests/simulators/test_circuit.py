import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulators.circuit import (
    MISSABLE,
    NO_FAULTS,
    TRAINING,
    CarrierOff,
    CarrierOn,
    Circuit,
    End,
    Faults,
    Frame,
    Gone,
    Heard,
    Octets,
    ToneHeard,
)
from simulators.clock import run
from t30.line import LineClock, Tone
from t30.rates import Modulation

V21, V29, V17, SHORT = Modulation.V21, Modulation.V29_9600, Modulation.V17_14400, Modulation.V17_14400_SHORT
DIS = bytes.fromhex("FF 13 80 00 CE 78")


def on_circuit(
    body: Callable[[Circuit], Awaitable[None]], *, faults: Faults = NO_FAULTS, delay: float = 0.0, slack: float = 0.0
) -> None:
    async def call() -> None:
        clock = LineClock(asyncio.get_running_loop().time)
        await body(Circuit(clock, faults=faults, delay=delay, slack=slack))

    run(call())


async def say_frame(end: End, frame: bytes = DIS) -> None:
    end.carrier_on(V21)
    await asyncio.sleep(TRAINING[V21])
    end.frame(frame)
    end.carrier_off()


async def say_octets(end: End, modulation: Modulation, octets: bytes, *, piece: int = 100) -> None:
    end.carrier_on(modulation)
    await asyncio.sleep(TRAINING[modulation])
    for start in range(0, len(octets), piece):
        part = octets[start : start + piece]
        await asyncio.sleep(len(part) * 8 / modulation.bps)
        end.octets(part)
    end.carrier_off()


async def all_heard(end: End, within: float = 5.0) -> list[Heard]:
    things: list[Heard] = []
    while (thing := await end.heard(within)) is not None and thing != Gone():
        things.append(thing)
    return things


def test_a_listener_hears_a_signal_in_order_and_then_the_far_end_gone() -> None:
    async def body(circuit: Circuit) -> None:
        async def far() -> None:
            circuit.answerer.tone(Tone.CED)
            await asyncio.sleep(3.0)
            await say_frame(circuit.answerer)
            await say_octets(circuit.answerer, V29, b"abc", piece=2)
            circuit.answerer.hang_up()

        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(all_heard(circuit.caller))
            await asyncio.sleep(0)
            tasks.create_task(far())
        assert heard.result() == [
            ToneHeard(Tone.CED),
            CarrierOn(V21),
            Frame(DIS),
            CarrierOff(),
            CarrierOn(V29),
            Octets(b"ab"),
            Octets(b"c"),
            CarrierOff(),
        ]
        assert [await circuit.caller.heard(1.0) for _ in range(2)] == [Gone(), Gone()]

    on_circuit(body)


def test_nothing_in_time_is_none_at_that_time() -> None:
    async def body(circuit: Circuit) -> None:
        assert await circuit.caller.heard(3.0) is None
        assert circuit.clock.now() == pytest.approx(3.0)

    on_circuit(body)


def test_what_nobody_listens_to_is_gone() -> None:
    async def body(circuit: Circuit) -> None:
        await say_frame(circuit.caller)
        circuit.caller.tone(Tone.CNG)
        assert await circuit.answerer.heard(1.0) is None
        await say_frame(circuit.caller)
        circuit.answerer.discard()
        assert await circuit.answerer.heard(1.0) is None

    on_circuit(body)


def test_v21_is_caught_in_mid_preamble() -> None:
    async def body(circuit: Circuit) -> None:
        task = asyncio.create_task(say_frame(circuit.caller))
        await asyncio.sleep(0.9)
        assert circuit.answerer.present is V21
        assert await all_heard(circuit.answerer) == [CarrierOn(V21), Frame(DIS), CarrierOff()]
        await task

    on_circuit(body)


@pytest.mark.parametrize("modulation", [m for m in Modulation if m is not V21], ids=str)
@pytest.mark.parametrize(("late", "slack", "whole"), [(-0.001, 0.0, True), (0.001, 0.0, False), (0.019, 0.02, True)])
def test_a_fast_carrier_is_received_only_from_the_start_of_its_training(
    modulation: Modulation, late: float, slack: float, whole: bool
) -> None:
    async def body(circuit: Circuit) -> None:
        task = asyncio.create_task(say_octets(circuit.caller, modulation, b"page"))
        await asyncio.sleep(MISSABLE[modulation] + late)
        assert circuit.answerer.present is modulation
        expected: list[Heard] = [CarrierOn(modulation, whole), *([Octets(b"page")] if whole else []), CarrierOff()]
        assert await all_heard(circuit.answerer) == expected
        await task

    on_circuit(body, slack=slack)


def test_delay_keeps_order_and_the_last_words_before_a_hang_up() -> None:
    async def body(circuit: Circuit) -> None:
        circuit.caller.carrier_on(V21)
        for number in range(50):
            circuit.caller.frame(bytes([number]))
        circuit.caller.hang_up()
        assert await circuit.answerer.heard(0.24) is None
        heard = await all_heard(circuit.answerer, 0.02)
        assert circuit.clock.now() == pytest.approx(0.25)
        assert heard == [CarrierOn(V21), *(Frame(bytes([number])) for number in range(50)), CarrierOff()]
        assert circuit.answerer.gone

    on_circuit(body, delay=0.25)


def test_a_dropped_call_is_gone_for_both_at_that_time() -> None:
    async def body(circuit: Circuit) -> None:
        assert await circuit.caller.heard() == Gone()
        assert circuit.clock.now() == pytest.approx(12.5)
        assert circuit.answerer.gone
        assert not circuit.answerer.hung_up

    on_circuit(body, faults=Faults(drop_at=12.5))


def test_hanging_up_twice_is_hanging_up_once() -> None:
    async def body(circuit: Circuit) -> None:
        calls: list[str] = []
        circuit.caller.on_hang_up = lambda: calls.append("on hook")
        circuit.caller.hang_up()
        circuit.caller.hang_up()
        assert calls == ["on hook"]
        with pytest.raises(RuntimeError, match="caller"):
            circuit.caller.frame(DIS)

    on_circuit(body)


def test_a_lost_signal_is_not_heard_and_the_next_one_is() -> None:
    async def body(circuit: Circuit) -> None:
        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(all_heard(circuit.answerer))
            await say_frame(circuit.caller, b"first")
            await say_frame(circuit.caller, b"second")
        assert heard.result() == [CarrierOn(V21), Frame(b"second"), CarrierOff()]

    on_circuit(body, faults=Faults(lose=frozenset({0})))


def test_a_share_of_signals_is_lost() -> None:
    assert octets_of(page_through(Faults(lost=1.0), V29, bytes(2000))) == b""
    assert octets_of(page_through(Faults(lost=0.0), V29, bytes(2000))) == bytes(2000)


def test_a_corrupted_frame_is_bad_and_different() -> None:
    async def body(circuit: Circuit) -> None:
        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(all_heard(circuit.answerer))
            await say_frame(circuit.caller, DIS * 10)
        on, frame, off = heard.result()
        assert (on, off) == (CarrierOn(V21), CarrierOff())
        assert isinstance(frame, Frame)
        assert not frame.good
        assert frame.octets != DIS * 10

    on_circuit(body, faults=Faults(corrupt=frozenset({0})))


def page_through(faults: Faults, modulation: Modulation, octets: bytes, *, piece: int = 100) -> list[Heard]:
    heard: list[Heard] = []

    async def body(circuit: Circuit) -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(all_heard(circuit.answerer))
            await say_octets(circuit.caller, modulation, octets, piece=piece)
        heard.extend(task.result())

    on_circuit(body, faults=faults)
    return heard


def octets_of(heard: list[Heard]) -> bytes:
    return b"".join(thing.octets for thing in heard if isinstance(thing, Octets))


def test_a_rate_that_does_not_train_gives_noise_of_the_same_length_in_both_trainings() -> None:
    faults = Faults(untrainable=frozenset({V17}))
    for modulation in (V17, SHORT):
        received = octets_of(page_through(faults, modulation, bytes(1000)))
        assert len(received) == 1000
        assert received.count(0) < 30
    assert octets_of(page_through(faults, V29, bytes(1000))) == bytes(1000)


def test_corrupted_octets_keep_their_number_and_most_of_their_values() -> None:
    received = octets_of(page_through(Faults(corrupted=1.0, error_density=0.01), V29, bytes(20000)))
    assert len(received) == 20000
    assert 120 < 20000 - received.count(0) < 290


@pytest.mark.parametrize("seed", range(40))
def test_a_dropout_garbles_a_stretch_or_ends_the_signal(seed: int) -> None:
    heard = page_through(Faults(seed=seed, dropouts=1.0), V29, bytes(6000))
    received = octets_of(heard)
    assert heard[-1] == CarrierOff()
    assert heard.count(CarrierOff()) == 1
    damaged = [place for place, octet in enumerate(received) if octet]
    if len(received) == 6000:
        assert 1 <= len(damaged) <= damaged[-1] - damaged[0] + 1 <= 0.2 * 1200 + 2
    else:
        assert not damaged


def test_a_dropout_of_v21_damages_a_frame_or_ends_the_signal() -> None:
    endings = set()
    for seed in range(40):
        heard: list[Heard] = []

        async def body(circuit: Circuit, heard: list[Heard] = heard) -> None:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(all_heard(circuit.answerer))
                await asyncio.sleep(0)
                circuit.caller.carrier_on(V21)
                for number in range(20):
                    circuit.caller.frame(bytes([number] * 10))
                circuit.caller.carrier_off()
            heard.extend(task.result())

        on_circuit(body, faults=Faults(seed=seed, dropouts=1.0))
        frames = [thing for thing in heard if isinstance(thing, Frame)]
        good = [frame.octets[0] for frame in frames if frame.good]
        assert heard == [CarrierOn(V21), *frames, CarrierOff()]
        if len(frames) == len(good):
            assert good == list(range(len(good)))
            assert len(good) < 20
            endings.add("lost")
        else:
            assert len(frames) == 20
            assert len(good) in (18, 19)
            endings.add("damaged")
    assert endings == {"lost", "damaged"}


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_gives_the_same_line_whatever_the_pieces(seed: int) -> None:
    faults = Faults(seed=seed, lost=0.2, corrupted=0.0, dropouts=0.7)
    lengths = {len(octets_of(page_through(faults, V29, bytes(4000), piece=piece))) for piece in (7, 100, 4000)}
    assert len(lengths) == 1
    assert page_through(faults, V29, bytes(4000)) == page_through(faults, V29, bytes(4000))


def test_a_delayed_signal_is_whole_and_late() -> None:
    async def body(circuit: Circuit) -> None:
        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(all_heard(circuit.answerer))
            await say_frame(circuit.caller)
        assert heard.result() == [CarrierOn(V21), Frame(DIS), CarrierOff()]
        assert 6.1 <= circuit.clock.now() <= 7.2

    on_circuit(body, faults=Faults(delayed=1.0))


def test_a_sender_hears_its_own_echo_when_the_other_side_is_silent() -> None:
    async def body(circuit: Circuit) -> None:
        await say_frame(circuit.caller)
        assert await all_heard(circuit.caller) == [CarrierOn(V21), Frame(DIS), CarrierOff()]

    on_circuit(body, faults=Faults(echoed=1.0))


@pytest.mark.parametrize("begins", [0.0, 1.0])
def test_the_other_sides_carrier_drowns_the_echo(begins: float) -> None:
    async def body(circuit: Circuit) -> None:
        async def answer() -> None:
            await circuit.answerer.heard()
            await asyncio.sleep(begins)
            await say_frame(circuit.answerer, b"answer")

        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(all_heard(circuit.caller))
            tasks.create_task(answer())
            await asyncio.sleep(0)
            await say_frame(circuit.caller, b"question")
        before: list[Heard] = [] if begins == 0.0 else [CarrierOn(V21), CarrierOff()]
        assert heard.result() == [*before, CarrierOn(V21), Frame(b"answer"), CarrierOff()]

    on_circuit(body, faults=Faults(echoed=1.0, seed=3))
