import asyncio

import pytest

from simulators.circuit import Circuit, Faults
from simulators.clock import run
from simulators.line import CircuitLine
from simulators.machine import Machine
from simulators.switch import Switch
from simulators.tray import Tray
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import Cause, LineClock, ListenFrame, SendFrames
from t30.outcome import Direction, Outcome
from t30.pages import Coding, FetchPage, JudgePage, Length, PageLimits, Resolution, Verdict, Width
from t30.rates import Family, Modulation
from tests.simulators.calls import FIVE_WAYS, call, sheet, station

V17 = frozenset({Modulation.V17_14400, Modulation.V17_12000, Modulation.V17_9600, Modulation.V17_7200})
V29 = frozenset({Modulation.V29_9600, Modulation.V29_7200})


def said(machine: Machine) -> list[Fcf | None]:
    """Return the final frame of every V.21 signal that a machine sent."""
    actions = [step.action for step in machine.transcript]
    signals = [a for a in actions if isinstance(a, SendFrames) and a.modulation is Modulation.V21]
    frames = [Frame.parse(signal.frames[-1]) for signal in signals]
    return [frame.fcf if frame else None for frame in frames]


@pytest.mark.parametrize(("coding", "ecm"), FIVE_WAYS, ids=str)
def test_three_pages_arrive_pel_for_pel(coding: Coding, ecm: bool) -> None:
    pages = [sheet(number, rows=200) for number in range(3)]
    done = call(pages, sender=station(coding, ecm=ecm))
    assert done.sent.verdict == "delivered", done.told()
    assert done.got.verdict == "received", done.told()
    for index, page in enumerate(pages):
        assert done.arrived(index) == page.bitmap
        assert done.tray.received[index].format.coding is coding
        assert done.tray.received[index].format.ecm is ecm
    assert done.got.remote_id == "+49 30 1234567"
    assert done.sent.remote_id == "+1 555 0100"


def test_a_page_of_another_size_goes_through_a_new_negotiation_at_the_same_rate() -> None:
    pages = [sheet(1), sheet(2, width=Width.B4), sheet(3)]
    done = call(pages)
    assert done.sent.verdict == "delivered", done.told()
    assert [done.arrived(index) == page.bitmap for index, page in enumerate(pages)] == [True] * 3
    assert [done.tray.received[index].format.width for index in range(3)] == [Width.A4, Width.B4, Width.A4]
    assert said(done.sender).count(Fcf.DCS) == 3
    assert said(done.receiver).count(Fcf.FTT) == 0
    assert done.sent.modulation is not None
    assert done.sent.modulation.long is Modulation.V17_14400


@pytest.mark.parametrize("frame_octets", [64, 256])
def test_a_page_of_several_partial_pages_arrives(frame_octets: int) -> None:
    page = sheet(5, rows=1500 if frame_octets == 64 else 2300)
    done = call([page], sender=station(Coding.MH, frame_octets=frame_octets))
    assert done.sent.verdict == "delivered", done.told()
    assert done.arrived(0) == page.bitmap
    assert said(done.sender).count(Fcf.PPS) > 1


@pytest.mark.parametrize(
    ("untrainable", "settled"),
    [(V17, Modulation.V29_9600), (V17 | V29, Modulation.V27TER_4800)],
    ids=["no V.17", "neither V.17 nor V.29"],
)
@pytest.mark.parametrize("ecm", [False, True])
def test_a_rate_that_does_not_train_makes_them_step_down(
    untrainable: frozenset[Modulation], settled: Modulation, ecm: bool
) -> None:
    done = call(sender=station(ecm=ecm), faults=Faults(untrainable=untrainable))
    assert done.sent.verdict == "delivered", done.told()
    assert done.sent.modulation is settled
    assert done.arrived(0) == sheet().bitmap


def test_a_line_that_carries_no_rate_ends_with_the_reason() -> None:
    done = call(faults=Faults(untrainable=frozenset(Modulation) - {Modulation.V21}))
    assert (done.sent.verdict, done.sent.reason.code) == ("failed", "fax.training"), done.told()
    assert done.got.verdict == "failed"
    assert not done.tray.received


def test_a_damaged_frame_is_asked_for_again() -> None:
    # Signals: 0 DIS, 1 DCS, 2 TCF, 3 CFR, 4 the partial page.
    done = call(faults=Faults(corrupt=frozenset({4})))
    assert done.sent.verdict == "delivered", done.told()
    assert Fcf.PPR in said(done.receiver)
    assert done.arrived(0) == sheet().bitmap


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("ecm", [False, True])
def test_any_one_lost_signal_is_made_good(number: int, ecm: bool) -> None:
    done = call([sheet(1), sheet(2)], sender=station(Coding.MR, ecm=ecm), faults=Faults(lose=frozenset({number})))
    assert done.sent.verdict == "delivered", done.told()
    assert done.got.verdict == "received", done.told()
    assert [done.arrived(index) for index in range(2)] == [sheet(1).bitmap, sheet(2).bitmap]


@pytest.mark.parametrize("ecm", [False, True])
def test_a_page_that_takes_long_to_store_is_confirmed_only_then(ecm: bool) -> None:
    done = call(sender=station(ecm=ecm), tray=lambda: Tray(slow=2))
    verdicts = [step.event for step in done.receiver.transcript if isinstance(step.action, JudgePage)]
    assert [verdict.durable for verdict in verdicts if isinstance(verdict, Verdict)] == [False, False, True]
    assert (said(done.receiver).count(Fcf.RNR), said(done.receiver).count(Fcf.MCF)) == ((2, 1) if ecm else (0, 1))
    assert done.sent.verdict == "delivered", done.told()


def test_a_dropped_line_ends_both_machines_at_once() -> None:
    for at in (0.5, 4.0, 9.0, 12.0, 13.5, 20.0):
        done = call([sheet(rows=1000)], faults=Faults(drop_at=at))
        assert {done.sent.reason.code, done.got.reason.code} == {"line.dropped"}, done.told()
        assert done.sent.seconds <= at + 1.0
        assert done.got.seconds <= at + 1.0


def on_switch(number: str, *, answering: bool = True) -> tuple[Outcome, Outcome | None]:
    async def both() -> tuple[Outcome, Outcome | None]:
        switch = Switch(LineClock(asyncio.get_running_loop().time))
        switch.fail("300", Cause.BUSY)
        sender = Machine(Station(), CircuitLine(switch.attach("100"), switch.clock), Tray([sheet()]))
        receiver = Machine(Station(), CircuitLine(switch.attach("200"), switch.clock), Tray())
        waiting = asyncio.create_task(receiver.receive()) if answering else None
        sent = await sender.send(number)
        if waiting and number == "200":
            return sent, await waiting
        if waiting:
            waiting.cancel()
        return sent, None

    return run(both())


def test_machines_call_each_other_through_a_switch() -> None:
    sent, got = on_switch("200")
    assert got is not None
    assert (sent.verdict, got.verdict) == ("delivered", "received")
    assert got.direction is Direction.IN
    assert got.seconds == pytest.approx(sent.seconds, abs=2.0)


@pytest.mark.parametrize(
    ("number", "answering", "code"),
    [("300", True, "call.busy"), ("200", False, "call.no_answer"), ("999", True, "call.rejected")],
)
def test_a_call_that_does_not_come_about_says_why(number: str, answering: bool, code: str) -> None:
    sent, _ = on_switch(number, answering=answering)
    assert (sent.verdict, sent.reason.code) == ("failed", code)


def test_a_cancelled_machine_goes_on_hook() -> None:
    async def body() -> None:
        switch = Switch(LineClock(asyncio.get_running_loop().time))
        port = switch.attach("100")
        machine = Machine(Station(), CircuitLine(port, switch.clock), Tray([sheet()]))
        other = switch.attach("200")
        sending = asyncio.create_task(machine.send("200"))
        await other.ringing()
        end = other.answer()
        await asyncio.sleep(5.0)
        in_use = [port.in_use]
        sending.cancel()
        await asyncio.wait([sending])
        assert [*in_use, port.in_use] == [True, False]
        assert end is not None
        assert end.gone

    run(body())


def test_a_procedure_that_goes_round_in_no_time_is_an_error_and_not_a_hang() -> None:
    def round_and_round() -> Procedure[Outcome]:
        while True:
            yield ListenFrame(Modulation.V21, 0.0)

    async def body() -> None:
        circuit = Circuit(LineClock(asyncio.get_running_loop().time))
        machine = Machine(Station(), CircuitLine(circuit.caller, circuit.clock), Tray())
        with pytest.raises(RuntimeError, match=r"actions at 0\.000 s"):
            await machine.run(round_and_round())
        assert circuit.caller.hung_up

    run(body())


def test_a_tray_refuses_to_scale() -> None:
    async def body() -> None:
        limits = PageLimits(Width.A4, Length.A4, frozenset({Resolution.STANDARD}), Coding.MH, ecm=False)
        with pytest.raises(ValueError, match="B4"):
            await Tray([sheet(width=Width.B4)]).perform(FetchPage(0, limits, 0))

    run(body())


def test_stations_without_a_common_rate_part_with_a_reason() -> None:
    done = call(sender=Station(families=frozenset({Family.V17})), receiver=Station(families=frozenset({Family.V29})))
    assert (done.sent.reason.code, done.got.verdict) == ("fax.incompatible", "failed"), done.told()
