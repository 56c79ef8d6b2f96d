"""Faxes of two pages through modems whose firmware lies (R21), both ways, with error correction and without."""

import asyncio
from dataclasses import replace

import pytest

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.cable import Cable
from simulators.circuit import End, Faults
from simulators.modem import Firmware, lying
from t30.capabilities import Station
from t30.line import Dial, FrameReceived, LineError, ListenFrame, SendFrames
from t30.rates import Modulation
from tests.drivers.rig import in_call
from tests.drivers.scripted import CONNECT, NO_CARRIER, ScriptedModem, play
from tests.drivers.test_class1_calls import Fax, bitmaps_of, fax, pages

HONEST = Firmware()
MCF, DCN = (bytes.fromhex(frame) for frame in ("FF 13 8C", "FF 13 FB"))


def through(firmware: Firmware, *, ecm: bool, ours: bool, quirks: str = "") -> Fax:
    """Send two pages with the lying modem at the sender's end or at the receiver's."""
    ends, known = (firmware, HONEST), (Options(quirks=quirks), Options())
    if not ours:
        ends, known = ends[::-1], known[::-1]
    return fax(pages(), Station(ecm=ecm), firmware=ends, options=known)


def whole(done: Fax) -> None:
    """Hold that both ends say that all went well, and that it did."""
    assert (done.sent.verdict, done.received.verdict) == ("delivered", "received"), (done.sent, done.received)
    assert bitmaps_of(done.tray) == pages()


both_ways = pytest.mark.parametrize("ours", [True, False], ids=["sends", "receives"])
with_and_without = pytest.mark.parametrize("ecm", [False, True], ids=["plain", "ecm"])


@pytest.mark.case("R21")
@both_ways
@with_and_without
@pytest.mark.parametrize(
    "lie", ["any-carrier", "early-ok", "early-no-carrier", "false-busy", "false-ring", "false-no-carrier"]
)
def test_r21_a_fax_goes_both_ways_through_a_modem_that_lies(lie: str, ecm: bool, ours: bool) -> None:
    whole(through(lying(lie), ecm=ecm, ours=ours))


@pytest.mark.case("R21")
@with_and_without
def test_r21_two_modems_that_take_any_carrier_for_theirs_let_no_rubbish_be_confirmed(ecm: bool) -> None:
    """Frames are lost, so that a page is awaited while V.21 comes; a page may come twice, but none is damaged."""
    lies = lying("any-carrier", "no-far")
    for seed in range(8):
        done = fax(pages(), Station(ecm=ecm), firmware=(lies, lies), faults=Faults(seed=seed, lost=0.15))
        confirmed = sum(page.confirmed for page in done.sent.pages)
        got = bitmaps_of(done.tray)
        assert all(page in got for page in pages()[:confirmed]), f"seed {seed}"
        assert done.sent.reason.code not in ("line.unavailable", "line.dropped"), f"seed {seed}"


@pytest.mark.case("R21")
@with_and_without
def test_r21_ok_and_no_carrier_before_the_carrier_is_off_at_both_ends(ecm: bool) -> None:
    lies = lying("early-ok", "early-no-carrier")
    whole(fax(pages(), Station(ecm=ecm), firmware=(lies, lies)))


@pytest.mark.case("R21")
@pytest.mark.parametrize("hangs", [0.0, 0.2, 0.6])
def test_r21_ok_is_no_silence_and_nothing_is_said_before_the_carrier_is_off(hangs: float) -> None:
    """The far carrier stays on for a while after the frame that the modem has answered with OK."""

    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(Modulation.V21, 3.0))
        end.carrier_on(Modulation.V21)
        listening = asyncio.create_task(line.perform(ListenFrame(Modulation.V21, 3.0)))
        await asyncio.sleep(1.0)
        end.frame(MCF)
        off = line.clock.now() + hangs
        asyncio.get_running_loop().call_later(hangs, end.carrier_off)
        assert await listening == FrameReceived(MCF, good=True)
        sending = asyncio.create_task(line.perform(SendFrames(Modulation.V21, (DCN,), 0.075)))
        await end.heard(5.0)
        assert off + 0.055 <= line.clock.now() <= off + 0.095
        await sending

    in_call(body)


@pytest.mark.case("R21")
@both_ways
@with_and_without
@pytest.mark.parametrize(("lies", "quirks"), [(1, ""), (2, ""), (3, "lucent"), (5, "careful")])
def test_r21_a_fax_goes_both_ways_through_a_modem_that_says_fcerror_several_times(
    lies: int, quirks: str, ecm: bool, ours: bool
) -> None:
    early = 0.4 if quirks else 0.0
    firmware = replace(HONEST, false_fcerrors=lies, deaf_after_connect=early)
    whole(through(firmware, ecm=ecm, ours=ours, quirks=quirks))


@pytest.mark.case("R21")
@both_ways
@with_and_without
def test_r21_a_fax_goes_both_ways_through_a_modem_that_doubles_no_dle(ecm: bool, ours: bool) -> None:
    whole(through(lying("bare-dle"), ecm=ecm, ours=ours, quirks="bare-dle"))


@pytest.mark.case("R21")
@with_and_without
def test_r21_a_modem_that_doubles_no_dle_and_is_not_known_to_gets_no_page_confirmed(ecm: bool) -> None:
    done = through(lying("bare-dle"), ecm=ecm, ours=False)
    assert done.sent.reason.code == "fax.page_refused"
    assert not any(page.confirmed for page in done.sent.pages)


@pytest.mark.case("R21")
@pytest.mark.parametrize(("says", "times"), [(b"\r\nBUSY\r\n", 1), (NO_CARRIER, 2)], ids=["busy", "no-carrier"])
def test_r21_a_modem_that_says_the_truth_about_the_hook_is_believed_in_the_end(says: bytes, times: int) -> None:
    async def body(line: Class1Line, modem: ScriptedModem) -> None:
        await line.perform(Dial("1"))
        began = line.clock.now()
        with pytest.raises(LineError, match="the call is gone") as gone:
            await line.perform(SendFrames(Modulation.V21, (DCN,), 0.0))
        assert gone.value.code == "line.dropped"
        assert line.clock.now() - began < 6.0

    asked = (b"AT+FTH=3\r", says)
    play(body, (b"ATDT1\r", CONNECT), (b"\x18", b"\r\nOK\r\n"), *(asked,) * times)
