"""What every ``FaxLine`` must do, as tests: subclass ``LineContract``, say how to put such a line on a switch.

The far side is a bare end of a circuit, so that what is on the line can be seen, and timed, signal by signal.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from simulators import clock
from simulators.circuit import (
    NO_FAULTS,
    TRAINING,
    CarrierOff,
    CarrierOn,
    End,
    Faults,
    Frame,
    Gone,
    Heard,
    Octets,
    ToneHeard,
)
from simulators.switch import SETUP, Port, Switch
from t30.hdlc import Deframer, stuffed
from t30.line import (
    Answer,
    AwaitCall,
    CarrierLost,
    Cause,
    Connected,
    Content,
    DataReceived,
    Dial,
    FaxLine,
    FrameReceived,
    HangUp,
    LineError,
    LineEvent,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    Tone,
    WrongCarrier,
)
from t30.rates import Modulation

V21, V29, V17, SHORT = Modulation.V21, Modulation.V29_9600, Modulation.V17_14400, Modulation.V17_14400_SHORT
SLOW = Modulation.V27TER_2400
CSI = bytes.fromhex("FF 03 40") + b"21 43 65 87 9+       "
DIS = bytes.fromhex("FF 13 80 00 CE 78")
DCS = bytes.fromhex("FF 13 83 00 06 78")
CFR = bytes.fromhex("FF 13 84")
TURNAROUND = 0.075
TOLERANCE = 0.020
OURS, THEIRS = "100", "200"


@dataclass(frozen=True, slots=True)
class Rig:
    """A line under test, and the port of the far side on the same switch."""

    line: FaxLine
    far: Port

    @property
    def switch(self) -> Switch:
        return self.far.switch


class LineContract(ABC):
    """The contract. ``THEIRS`` is the far side's number, ``OURS`` that of the line."""

    latency: ClassVar[float] = 0.0
    """Seconds by which the line may be later than the circuit is, for what is between it and its modem."""
    notices_a_drop: ClassVar[bool] = True
    """Whether the line can tell a dropped call from silence."""
    causes: ClassVar[tuple[Cause, ...]] = tuple(Cause)
    """Why a call may not come about, as far as the line can tell."""

    @abstractmethod
    def rig(self, faults: Faults) -> AbstractAsyncContextManager[Rig]:
        """Put a line at number ``OURS`` of a new switch, whose calls have these faults, and a port at ``THEIRS``."""

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test; in virtual time unless the line needs another loop."""
        clock.run(test)

    def on_rig(self, body: Callable[[Rig], Coroutine[Any, Any, None]], faults: Faults = NO_FAULTS) -> None:
        async def test() -> None:
            async with self.rig(faults) as rig:
                await body(rig)

        self.run(test())

    def answered(self, body: "Callable[[Call], Coroutine[Any, Any, None]]", faults: Faults = NO_FAULTS) -> None:
        """Run a test on a call that the line has answered, with its first signal (number 0) out."""

        async def test(rig: Rig) -> None:
            dialling = asyncio.create_task(rig.far.dial(OURS))
            assert isinstance(await rig.line.perform(AwaitCall()), Ringing)
            assert isinstance(await rig.line.perform(Answer()), Connected)
            far = await dialling
            assert isinstance(far, End)
            assert isinstance(await rig.line.perform(SendTone(Tone.CED)), Sent)
            assert isinstance(await rig.line.perform(SendFrames(V21, (DIS,), TURNAROUND)), Sent)
            await pause(rig, 0.1)  # until the far side, too, has heard the end of it
            await body(Call(rig, far, self.latency))
            assert isinstance(await rig.line.perform(HangUp()), Sent)

        self.on_rig(test, faults)

    # ------------------------------------------------------------------------------------------------ phase A and E

    def test_a_call_rings_is_answered_and_the_first_signal_goes_out(self) -> None:
        async def body(rig: Rig) -> None:
            dialling = asyncio.create_task(rig.far.dial(OURS))
            ringing = await rig.line.perform(AwaitCall())
            assert isinstance(ringing, Ringing)
            assert ringing.caller in (THEIRS, "")
            answering = asyncio.create_task(answer(rig.line))
            far = await dialling
            assert isinstance(far, End)
            signals = await all_heard(far, until=CarrierOff)
            assert signals == [ToneHeard(Tone.CED), CarrierOn(V21), Frame(CSI), Frame(DIS), CarrierOff()]
            await answering

        async def answer(line: FaxLine) -> None:
            assert isinstance(await line.perform(Answer()), Connected)
            assert isinstance(await line.perform(SendTone(Tone.CED)), Sent)
            assert isinstance(await line.perform(SendFrames(V21, (CSI, DIS), TURNAROUND)), Sent)

        self.on_rig(body)

    def test_a_dialled_call_hears_the_answerers_first_frame(self) -> None:
        async def body(rig: Rig) -> None:
            async def answer() -> None:
                await rig.far.ringing()
                end = rig.far.answer()
                assert end is not None
                end.tone(Tone.CED)
                await pause(rig, 3.075)
                await Call(rig, end, 0.0).say(CSI, DIS)

            far = asyncio.create_task(answer())
            assert isinstance(await rig.line.perform(Dial(THEIRS)), Connected)
            frames = [await rig.line.perform(ListenFrame(V21, 10.0)) for _ in range(3)]
            assert plain(frames) == [FrameReceived(CSI, True), FrameReceived(DIS, True), CarrierLost()]
            await far

        self.on_rig(body)

    @pytest.mark.parametrize("cause", Cause)
    def test_a_call_that_does_not_come_about_says_why(self, cause: Cause) -> None:
        async def body(rig: Rig) -> None:
            rig.switch.fail("300", cause)
            event = await rig.line.perform(Dial("300"))
            assert isinstance(event, NotConnected)
            assert event.cause is cause or cause not in self.causes
            assert isinstance(await rig.line.perform(HangUp()), Sent)

        self.on_rig(body)

    def test_a_ring_while_waiting_is_cancelled_is_not_lost(self) -> None:
        async def body(rig: Rig) -> None:
            waiting = asyncio.create_task(rig.line.perform(AwaitCall()))
            dialling = asyncio.create_task(rig.far.dial(OURS))
            await pause(rig, SETUP)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert isinstance(await rig.line.perform(AwaitCall()), Ringing)
            dialling.cancel()

        self.on_rig(body)

    def test_hanging_up_at_any_time_and_again_does_no_harm(self) -> None:
        async def body(call: Call) -> None:
            for _ in range(2):
                assert isinstance(await call.line.perform(HangUp()), Sent)
            assert Gone() in await all_heard(call.far, until=Gone)
            with pytest.raises(LineError):
                await call.line.perform(SendFrames(V21, (CFR,), TURNAROUND))

        async def no_call(rig: Rig) -> None:
            assert isinstance(await rig.line.perform(HangUp()), Sent)

        self.answered(body)
        self.on_rig(no_call)

    def test_the_line_takes_another_call_after_one(self) -> None:
        async def body(call: Call) -> None:
            await call.line.perform(HangUp())
            call.far.hang_up()
            dialling = asyncio.create_task(call.rig.far.dial(OURS))
            assert isinstance(await call.line.perform(AwaitCall()), Ringing)
            assert isinstance(await call.line.perform(Answer()), Connected)
            assert isinstance(await dialling, End)
            assert isinstance(await call.line.perform(SendFrames(V21, (DIS,), TURNAROUND)), Sent)

        self.answered(body)

    def test_a_dropped_call_is_an_error_whatever_is_going_on(self) -> None:
        for action in (
            ListenFrame(V21, 5.0),
            ListenData(V29, Content.PAGE, 5.0),
            SendFrames(V21, (CFR,) * 20, TURNAROUND),
            SendData(V29, bytes(6000), Content.PAGE, TURNAROUND),
        ):

            async def body(call: Call, action: Any = action) -> None:
                performing = asyncio.create_task(call.line.perform(action))
                await pause(call.rig, 2.0)
                began = call.line.clock.now()
                call.far.hang_up()
                if self.notices_a_drop:
                    with pytest.raises(LineError) as error:
                        await performing
                    assert error.value.code == "line.dropped"
                    assert call.line.clock.now() - began <= 1.0 + self.latency
                else:
                    assert isinstance(await performing, Sent | Quiet | CarrierLost)

            self.answered(body)

    # ------------------------------------------------------------------------------------------------------- sending

    @pytest.mark.parametrize("modulation", [m for m in Modulation if m is not V21], ids=str)
    def test_data_goes_out_whole_at_its_rate(self, modulation: Modulation) -> None:
        octets = bytes(range(256)) * (modulation.bps * 3 // 2048)

        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                heard = tasks.create_task(timed(call.far, until=CarrierOff))
                sent = await call.line.perform(SendData(modulation, octets, Content.PAGE, TURNAROUND))
            assert isinstance(sent, Sent)
            assert heard.result()[0][1] == CarrierOn(modulation)
            assert octets_of(thing for _, thing in heard.result()) == octets
            seconds = heard.result()[-1][0] - heard.result()[0][0]
            assert seconds == pytest.approx(
                TRAINING[modulation] + len(octets) * 8 / modulation.bps, abs=0.1 + self.latency
            )

        self.answered(body)

    def test_v21_frames_go_out_in_one_signal_after_a_preamble(self) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                heard = tasks.create_task(timed(call.far, until=CarrierOff))
                await call.line.perform(SendFrames(V21, (CSI, DIS), TURNAROUND))
            times, things = zip(*heard.result(), strict=True)
            assert things == (CarrierOn(V21), Frame(CSI), Frame(DIS), CarrierOff())
            first = times[1] - times[0] - (len(CSI) + 3) * 8 / 300
            assert first == pytest.approx(1.0, abs=0.15 + self.latency)

        self.answered(body)

    @pytest.mark.parametrize("after", [TURNAROUND, 0.5])
    def test_own_signals_are_apart_by_the_silence_asked_for(self, after: float) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                heard = tasks.create_task(timed(call.far, until=CarrierOff, times=2))
                await call.line.perform(SendFrames(V21, (DCS,), TURNAROUND))
                await call.line.perform(SendData(V29, bytes(900), Content.TCF, after))
            off = next(at for at, thing in heard.result() if thing == CarrierOff())
            on = next(at for at, thing in heard.result() if thing == CarrierOn(V29))
            assert after - TOLERANCE <= on - off <= after + TOLERANCE + self.latency

        self.answered(body)

    def test_an_answer_waits_for_the_end_of_the_signal_and_the_silence_asked_for(self) -> None:
        async def body(call: Call) -> None:
            offs: list[float] = []

            async def command() -> None:
                await call.say(DCS, tail=0.2)
                offs.append(call.line.clock.now())

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(command())
                assert plain([await call.line.perform(ListenFrame(V21, 3.0))]) == [FrameReceived(DCS, True)]
                heard = tasks.create_task(timed(call.far, until=CarrierOff))
                await call.line.perform(SendFrames(V21, (CFR,), TURNAROUND))
            silence = heard.result()[0][0] - offs[0]
            assert TURNAROUND - TOLERANCE <= silence <= TURNAROUND + TOLERANCE + self.latency

        self.answered(body)

    @pytest.mark.parametrize("modulation", [V29, V17, SHORT, SLOW], ids=str)
    def test_fast_frames_go_out_as_hdlc_with_flags_first(self, modulation: Modulation) -> None:
        frames = tuple(bytes((0xFF, 0x03, 0x06, number)) + bytes([number ^ 0xFF]) * 64 for number in range(5))

        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                heard = tasks.create_task(all_heard(call.far, until=CarrierOff))
                await call.line.perform(SendFrames(modulation, frames, TURNAROUND))
            assert heard.result()[0] == CarrierOn(modulation)
            octets = octets_of(heard.result())
            found = Deframer().feed(octets)
            assert [frame.octets for frame in found] == list(frames)
            assert all(frame.good for frame in found)
            flags = len(octets) - len(octets.lstrip(b"\x7e"))
            assert 0.19 <= flags * 8 / modulation.bps <= 0.3

        self.answered(body)

    # ----------------------------------------------------------------------------------------------------- listening

    def test_frames_come_one_by_one_and_then_the_carrier_is_lost(self) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.say(CSI, DCS))
                events = [await call.line.perform(ListenFrame(V21, 3.0)) for _ in range(3)]
            assert plain(events) == [FrameReceived(CSI, True), FrameReceived(DCS, True), CarrierLost()]

        self.answered(body)

    def test_a_frame_that_comes_before_it_is_asked_for_is_kept(self) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.say(CSI, DCS, CFR))
                events = [await call.line.perform(ListenFrame(V21, 3.0))]
                await pause(call.rig, 0.15)  # the next frame ends in this time, the one after it later
                events += [await call.line.perform(ListenFrame(V21, 3.0)) for _ in range(2)]
            assert plain(events) == [FrameReceived(frame, True) for frame in (CSI, DCS, CFR)]

        self.answered(body)

    def test_a_damaged_frame_is_given_as_bad(self) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.say(DCS))
                event = await call.line.perform(ListenFrame(V21, 3.0))
            assert isinstance(event, FrameReceived)
            assert not event.good

        self.answered(body, Faults(corrupt=frozenset({1})))

    @pytest.mark.parametrize("within", [0.5, 3.0])
    @pytest.mark.parametrize("what", ["frame", "fast frame", "data"])
    def test_silence_is_quiet_at_the_time_asked_for(self, what: str, within: float) -> None:
        async def body(call: Call) -> None:
            began = call.line.clock.now()
            event = await call.line.perform(
                ListenData(V29, Content.TCF, within)
                if what == "data"
                else ListenFrame(V21 if what == "frame" else V29, within)
            )
            assert isinstance(event, Quiet)
            assert call.line.clock.now() - began == pytest.approx(within, abs=0.1 + self.latency)

        self.answered(body)

    def test_a_carrier_that_comes_in_time_is_waited_out(self) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.say(DCS))
                event = await call.line.perform(ListenFrame(V21, 0.3))
            assert plain([event]) == [FrameReceived(DCS, True)]

        self.answered(body)

    @pytest.mark.parametrize("modulation", [V29, V17, SHORT, SLOW], ids=str)
    def test_data_comes_in_chunks_and_the_last_is_followed_by_carrier_lost(self, modulation: Modulation) -> None:
        octets = bytes(range(256)) * (modulation.bps * 5 // 2048)

        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.send(modulation, octets))
                chunks: list[bytes] = []
                while isinstance(event := await call.line.perform(listen(modulation)), DataReceived):
                    chunks.append(event.octets)
            assert isinstance(event, CarrierLost)
            assert b"".join(chunks) == octets
            assert all(0 < len(chunk) <= 8192 for chunk in chunks)
            assert max(map(len, chunks)) * 8 / modulation.bps <= 1.05 + self.latency
            assert len(chunks) <= 10

        self.answered(body)

    @pytest.mark.parametrize("modulation", [V29, V17, SHORT, SLOW], ids=str)
    def test_fast_frames_come_one_by_one_and_then_the_carrier_is_lost(self, modulation: Modulation) -> None:
        frames = [bytes((0xFF, 0x03, 0x06, number)) + bytes([number ^ 0xFF]) * 256 for number in range(9)]

        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.send(modulation, stuffed(frames, flags_first=modulation.bps // 40)))
                events: list[LineEvent] = []
                while isinstance(event := await call.line.perform(ListenFrame(modulation, 3.0)), FrameReceived):
                    events.append(event)
            assert isinstance(event, CarrierLost)
            assert plain(events) == [FrameReceived(frame, True) for frame in frames]

        self.answered(body)

    def test_a_training_check_is_heard_after_the_frame_before_it(self) -> None:
        async def body(call: Call) -> None:
            async def train() -> None:
                await call.say(DCS)
                await pause(call.rig, TURNAROUND)
                await call.send(V17, bytes(2700))

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(train())
                assert plain([await call.line.perform(ListenFrame(V21, 3.0))]) == [FrameReceived(DCS, True)]
                received = b""
                while isinstance(event := await call.line.perform(listen(V17, Content.TCF)), DataReceived):
                    received += event.octets
            assert isinstance(event, CarrierLost)
            assert received == bytes(2700)

        self.answered(body)

    def test_v21_in_place_of_a_fast_carrier_is_told_and_its_frame_kept(self) -> None:
        for action in (ListenData(V29, Content.PAGE, 3.0), ListenFrame(V29, 3.0)):

            async def body(call: Call, action: Any = action) -> None:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(call.say(DCS))
                    wrong = await call.line.perform(action)
                    assert isinstance(wrong, WrongCarrier)
                    assert wrong.which in (V21, None)
                    assert plain([await call.line.perform(ListenFrame(V21, 3.0))]) == [FrameReceived(DCS, True)]

            self.answered(body)

    def test_a_fast_carrier_in_place_of_v21_does_not_hide_the_v21_after_it(self) -> None:
        async def body(call: Call) -> None:
            async def page_then_command() -> None:
                await call.send(V29, bytes(2400))
                await pause(call.rig, TURNAROUND)
                await call.say(DCS)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(page_then_command())
                events = [await call.line.perform(ListenFrame(V21, 6.0))]
                while isinstance(events[-1], WrongCarrier | CarrierLost | Quiet) and len(events) < 4:
                    events.append(await call.line.perform(ListenFrame(V21, 6.0)))
            assert plain(events[-1:]) == [FrameReceived(DCS, True)]

        self.answered(body)

    # -------------------------------------------------------------------------------------------------- cancellation

    @pytest.mark.parametrize(
        "action",
        [SendData(V29, bytes(12000), Content.PAGE, TURNAROUND), SendFrames(V21, (CSI,) * 10, TURNAROUND)],
        ids=["data", "frames"],
    )
    def test_a_cancelled_signal_stops_within_a_second_and_the_call_goes_on(self, action: SendData | SendFrames) -> None:
        async def body(call: Call) -> None:
            heard = asyncio.create_task(timed(call.far, until=CarrierOff))
            sending = asyncio.create_task(call.line.perform(action))
            await pause(call.rig, 3.0)
            cancelled = call.line.clock.now()
            await cancel(sending)
            assert call.line.clock.now() - cancelled <= 1.0 + self.latency
            assert (await heard)[-1][0] - cancelled <= 1.0 + self.latency
            await call.goes_on()

        self.answered(body)

    @pytest.mark.parametrize(
        "action", [ListenFrame(V21, 35.0), ListenFrame(V29, 35.0), ListenData(V29, Content.PAGE, 35.0)], ids=str
    )
    def test_a_cancelled_reception_stops_within_a_second_and_the_call_goes_on(
        self, action: ListenFrame | ListenData
    ) -> None:
        for busy in (False, True):

            async def signal(call: Call) -> None:
                if action.modulation is V21:
                    await call.say(CSI)
                else:
                    await call.send(V29, stuffed([bytes(1000)], flags_first=30))

            async def body(call: Call, busy: bool = busy) -> None:
                signalling = asyncio.create_task(signal(call) if busy else pause(call.rig, 0.0))
                listening = asyncio.create_task(call.line.perform(action))
                await pause(call.rig, 0.5)
                cancelled = call.line.clock.now()
                await cancel(listening)
                assert call.line.clock.now() - cancelled <= 1.0 + self.latency
                await signalling
                await pause(call.rig, 0.1)  # until the line, too, has heard the end of it
                await call.goes_on()

            self.answered(body)

    def test_a_cancelled_call_attempt_leaves_the_line_free(self) -> None:
        async def body(rig: Rig) -> None:
            dialling = asyncio.create_task(rig.line.perform(Dial(THEIRS)))
            await rig.far.ringing()
            await cancel(dialling)
            assert isinstance(await rig.line.perform(HangUp()), Sent)
            await pause(rig, 1.0)
            assert rig.far.ring is None
            calling = asyncio.create_task(rig.far.dial(OURS))
            assert isinstance(await rig.line.perform(AwaitCall()), Ringing)
            await cancel(calling)

        self.on_rig(body)


# -------------------------------------------------------------------------------------------------------- the far side


@dataclass(frozen=True, slots=True)
class Call:
    """A call between the line under test and a bare end."""

    rig: Rig
    far: End
    latency: float

    @property
    def line(self) -> FaxLine:
        return self.rig.line

    async def say(self, *frames: bytes, tail: float = 0.0) -> None:
        """Send one V.21 signal, with ``tail`` seconds of flags after the last frame."""
        self.far.carrier_on(V21)
        await pause(self.rig, TRAINING[V21])
        for frame in frames:
            await pause(self.rig, (len(frame) + 3) * 8 / 300)
            self.far.frame(frame)
        await pause(self.rig, tail)
        self.far.carrier_off()

    async def send(self, modulation: Modulation, octets: bytes) -> None:
        """Send one fast signal, 20 ms at a time."""
        # What listens is to be there first: nobody trains on a carrier that came before he listened.
        await pause(self.rig, self.latency)
        self.far.carrier_on(modulation)
        await pause(self.rig, TRAINING[modulation])
        size = modulation.bps // 400
        for start in range(0, len(octets), size):
            await pause(self.rig, size * 8 / modulation.bps)
            self.far.octets(octets[start : start + size])
        self.far.carrier_off()

    async def goes_on(self) -> None:
        """Check that both sides can still talk, and that hanging up ends the call."""
        assert not self.far.gone
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.say(DCS))
            assert plain([await self.line.perform(ListenFrame(V21, 3.0))]) == [FrameReceived(DCS, True)]
        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(all_heard(self.far, until=CarrierOff))
            await self.line.perform(SendFrames(V21, (CFR,), TURNAROUND))
        assert heard.result() == [CarrierOn(V21), Frame(CFR), CarrierOff()]
        await self.line.perform(HangUp())
        assert await self.far.heard(2.0) == Gone()


async def timed(end: End, *, until: type[Heard], times: int = 1) -> list[tuple[float, Heard]]:
    """Return what an end hears and when, until it has heard ``until`` so many times."""
    things: list[tuple[float, Heard]] = []
    while times:
        thing = await end.heard(30.0)
        assert thing is not None, f"nothing for 30 s after {things}"
        things.append((end.clock.now(), thing))
        times -= isinstance(thing, until)
    return things


async def all_heard(end: End, *, until: type[Heard]) -> list[Heard]:
    """Return what an end hears until it hears ``until``."""
    return [thing for _, thing in await timed(end, until=until)]


async def pause(rig: Rig, seconds: float) -> None:
    """Let so many seconds of the line pass."""
    await asyncio.sleep(rig.line.clock.real(seconds))


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def listen(modulation: Modulation, content: Content = Content.PAGE) -> ListenData:
    return ListenData(modulation, content, 5.0)


def octets_of(things: Iterable[Heard]) -> bytes:
    return b"".join(thing.octets for thing in things if isinstance(thing, Octets))


def plain(events: Sequence[LineEvent]) -> list[LineEvent]:
    """Return the events without their times."""
    return [replace(event, at=0.0) for event in events]
