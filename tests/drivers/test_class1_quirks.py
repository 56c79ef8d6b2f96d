"""Each quirk matters: with a modem that misbehaves so, the right quirks work and the standard ones do not."""

import asyncio
from dataclasses import replace

import pytest

from drivers.class1.dle import END
from drivers.class1.modem import Class1Line
from drivers.class1.quirks import Flow
from drivers.class1.setup import Options
from simulators.cable import Cable
from simulators.circuit import TRAINING, CarrierOff, End, Gone, Octets
from simulators.modem import Firmware, lying
from simulators.modem.firmware import Flow as ModemFlow
from t30.line import (
    CarrierLost,
    Content,
    DataReceived,
    FrameReceived,
    LineEvent,
    ListenData,
    ListenFrame,
    Quiet,
    SendData,
    WrongCarrier,
)
from t30.rates import Modulation
from tests.drivers.rig import in_call, say

V21, V29, V17 = Modulation.V21, Modulation.V29_9600, Modulation.V17_14400
MPS = bytes.fromhex("FF 13 4F")
AWKWARD = bytes(range(256)) * 8 + b"\x10" * 33 + b"\x10\x03\x10\x1a"


async def receive(line: Class1Line, end: End, octets: bytes, modulation: Modulation = V29) -> list[LineEvent]:
    """Let the far end send octets, and listen until the carrier is lost or did not come."""

    async def send() -> None:
        await asyncio.sleep(0.2)
        end.carrier_on(modulation)
        await asyncio.sleep(TRAINING[modulation])
        for start in range(0, len(octets), 120):
            end.octets(octets[start : start + 120])
            await asyncio.sleep(0.1)
        end.carrier_off()

    sending = asyncio.create_task(send())
    events: list[LineEvent] = []
    while not events or isinstance(events[-1], DataReceived):
        events.append(await line.perform(ListenData(modulation, Content.PAGE, 3.0)))
    await sending
    return events


async def received_by(end: End) -> bytes:
    """Return the octets of the next fast signal that an end hears."""
    octets = b""
    while True:
        match await end.heard(30.0):
            case Octets(more):
                octets += more
            case CarrierOff() | Gone() if octets:
                return octets


def octets_of(events: list[LineEvent]) -> bytes:
    return b"".join(event.octets for event in events if isinstance(event, DataReceived))


@pytest.mark.case("R21")
@pytest.mark.parametrize(("quirks", "late"), [("standard", True), ("careful", False)])
def test_a_modem_without_ok_after_an_abort_is_asked_at_once_if_that_is_known(quirks: str, late: bool) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        for _ in range(3):
            before = line.clock.now()
            assert await line.perform(ListenFrame(V29, 1.0)) == Quiet()
            assert (line.clock.now() - before > 1.3) is late
        asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(say(end, MPS)))
        assert await line.perform(ListenFrame(V21, 3.0)) == FrameReceived(MPS, True)

    in_call(body, firmware=lying("no-abort-ok"), options=Options(quirks=quirks))


@pytest.mark.case("R21")
@pytest.mark.parametrize(("quirks", "whole"), [("standard", False), ("bare-dle", True)])
def test_a_modem_that_doubles_no_dle_is_read_whole_if_that_is_known(quirks: str, whole: bool) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        events = await receive(line, end, AWKWARD)
        assert (octets_of(events) == AWKWARD) is whole
        assert isinstance(events[-1], CarrierLost)

    in_call(body, firmware=lying("bare-dle"), options=Options(quirks=quirks))


@pytest.mark.case("R21")
@pytest.mark.parametrize(("quirks", "whole"), [("standard", False), ("lucent", True), ("mainpine", True)])
def test_a_modem_that_connects_too_early_gets_its_data_later_if_that_is_known(quirks: str, whole: bool) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        hearing = asyncio.create_task(received_by(end))
        await line.perform(SendData(V17, AWKWARD, Content.PAGE, 0.075))
        heard = await hearing
        assert (heard.lstrip(b"\xff") == AWKWARD) is whole

    in_call(body, firmware=lying("early-connect"), options=Options(quirks=quirks))


@pytest.mark.case("R21")
@pytest.mark.parametrize(
    ("lies", "quirks", "retried"), [(2, "standard", True), (3, "standard", False), (3, "lucent", True)]
)
def test_an_fcerror_that_comes_too_early_is_not_believed_so_often(lies: int, quirks: str, retried: bool) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        events = await receive(line, end, AWKWARD)
        assert (octets_of(events) == AWKWARD) is retried
        assert isinstance(events[-1], CarrierLost if retried else WrongCarrier)

    in_call(body, firmware=replace(Firmware(), false_fcerrors=lies), options=Options(quirks=quirks))


@pytest.mark.parametrize(("lies", "which"), [((), V21), (("no-far",), None)])
def test_v21_instead_of_a_page_is_told_and_received_with_and_without_adaptive_reception(
    lies: tuple[str, ...], which: Modulation | None
) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(say(end, MPS)))
        assert await line.perform(ListenData(V17, Content.PAGE, 6.0)) == WrongCarrier(which)
        assert await line.perform(ListenFrame(V21, 3.0)) == FrameReceived(MPS, True)
        assert line.modem.adaptive is (which is V21)

    in_call(body, firmware=lying(*lies))


@pytest.mark.parametrize(
    ("firmware", "quirks", "service_class"),
    [
        (Firmware(), "", "1.0"),
        (Firmware(), "usrobotics", "1"),
        (lying("no-class-1.0"), "", "1"),
        (Firmware(information={0: "5601", 3: "U.S. Robotics 56K FAX EXT"}), "", "1"),
    ],
)
def test_class_1_0_is_used_where_the_modem_has_it_and_it_works(
    firmware: Firmware, quirks: str, service_class: str
) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        assert line.modem.service_class == service_class
        assert cable.modem.settings.fax_class == service_class

    in_call(body, firmware=firmware, options=Options(quirks=quirks))


@pytest.mark.parametrize("command", ["+IFC", "&K", "\\Q"])
def test_flow_control_is_set_by_whichever_command_the_modem_has(command: str) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        assert cable.modem.dte.software_flow

    firmware = Firmware(flow=ModemFlow.HARDWARE, flow_commands=(command,))
    in_call(body, firmware=firmware, options=Options(flow=Flow.XONXOFF))


def test_a_make_with_flow_commands_of_its_own_is_recognised_and_given_them() -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        assert line.modem.quirks_name == "usrobotics"
        assert cable.modem.dte.software_flow

    firmware = Firmware(manufacturer="U.S. Robotics", flow=ModemFlow.HARDWARE, flow_commands=("&H",))
    in_call(body, firmware=firmware, options=Options(flow=Flow.XONXOFF))


@pytest.mark.parametrize(("flow", "overrun"), [(Flow.XONXOFF, False), (Flow.NONE, True)])
def test_xoff_keeps_a_small_modem_buffer_from_overrunning(flow: Flow, overrun: bool) -> None:
    page = b"\x10" * 8000  # doubled, half a second of it is more than the buffer

    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        hearing = asyncio.create_task(received_by(end))
        sending = asyncio.create_task(line.perform(SendData(V17, page, Content.PAGE, 0.075)))
        most = 0
        while not sending.done():
            await asyncio.sleep(0.001)
            most = max(most, cable.pending)
        heard = await hearing
        assert (heard == page) is not overrun
        assert bool(cable.modem.dte.overrun) is overrun
        if flow is Flow.XONXOFF:
            assert most <= 256 + len(END)

    in_call(body, firmware=Firmware(buffer=1536), options=Options(flow=flow), hardware_flow=False)


def test_the_writer_is_half_a_second_ahead_of_the_line_and_no_more() -> None:
    page = bytes(14400 // 8 * 20)

    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(V21, 3.0))
        hearing = asyncio.create_task(received_by(end))
        sending = asyncio.create_task(line.perform(SendData(V17, page, Content.PAGE, 0.075)))
        await asyncio.sleep(5.0)
        held: list[int] = []
        for _ in range(1000):
            await asyncio.sleep(0.01)
            held.append(len(cable.modem.dte.inbox) + cable.pending)
        assert min(held) > 0.25 * 14400 / 8
        assert max(held) < 0.75 * 14400 / 8
        await sending
        assert await hearing == page

    in_call(body)
