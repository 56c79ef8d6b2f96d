"""Whole faxes through two drivers, two simulated modems and a simulated telephone line, in virtual time."""

import asyncio
import tracemalloc
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.circuit import Faults
from simulators.clock import run
from simulators.machine import Machine
from simulators.modem import Firmware, lying
from simulators.switch import Switch
from simulators.tray import Sheet, Tray
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.line import Dial, HangUp, LineClock, LineError, Sent, stamped
from t30.outcome import Outcome
from t30.pages import (
    AdmitPoller,
    Admitted,
    Coding,
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageAction,
    PageEvent,
    PageFormat,
    PageReady,
    Resolution,
    Verdict,
    Width,
)
from t30.rates import Family, Modulation
from t30.session import Session
from t30.t4.raster import Bitmap
from tests.drivers.rig import modem_line
from tests.simulators.calls import FIVE_WAYS

WARM = 5
"""Pages after which memory has what it needs."""
PAGE = bytes(range(256)) * 24
CAREFUL = lying("no-abort-ok", "early-connect", "early-fcerror", "no-far", "no-class-1.0")


@dataclass
class Fax:
    """What a call came to, at both ends."""

    sent: Outcome
    received: Outcome
    lines: tuple[Class1Line, Class1Line]
    tray: Tray = field(default_factory=Tray)


def pages(count: int = 2) -> list[Bitmap]:
    random = np.random.default_rng(1)
    return [Bitmap.from_pels((random.random((120, 1728)) < 0.05).astype(np.uint8)) for _ in range(count)]


def fax(
    bitmaps: list[Bitmap],
    station: Station,
    *,
    firmware: tuple[Firmware, Firmware] = (Firmware(), Firmware()),
    options: Options | tuple[Options, Options] | None = None,
    faults: Faults | None = None,
    delays: tuple[float, float] = (0.0, 0.0),
) -> Fax:
    """Send pages from one driver to another."""

    async def call() -> Fax:
        switch = Switch(LineClock(asyncio.get_running_loop().time), faults=faults or Faults())
        tray = Tray()
        known = options if isinstance(options, tuple) else (options, options)
        async with AsyncExitStack() as rig:
            ours, theirs = [
                (await rig.enter_async_context(modem_line(switch, number, firmware=make, options=how, delay=delay)))[0]
                for number, make, how, delay in zip(("100", "200"), firmware, known, delays, strict=True)
            ]
            sender, receiver = (
                Machine(station, ours, Tray([Sheet(page) for page in bitmaps])),
                Machine(station, theirs, tray),
            )
            async with asyncio.timeout(3600):
                receiving = asyncio.create_task(receiver.receive())
                sent = await sender.send("200")
                received = await receiving
            return Fax(sent, received, (ours, theirs), tray)

    return run(call())


def bitmaps_of(tray: Tray) -> list[Bitmap]:
    return [page.decoded.bitmap for _, page in sorted(tray.received.items()) if page.decoded is not None]


@pytest.mark.parametrize(("coding", "ecm"), FIVE_WAYS)
def test_pages_arrive_pel_for_pel(coding: Coding, ecm: bool) -> None:
    sheets = pages()
    done = fax(sheets, Station(ident="+1 555 0100", ecm=ecm, codings=frozenset({Coding.MH, coding})))
    assert (done.sent.verdict, done.received.verdict) == ("delivered", "received")
    assert {page.format.coding for page in done.sent.pages} == {coding}
    assert (done.sent.ecm, done.sent.modulation and done.sent.modulation.bps) == (ecm, 14400)
    assert bitmaps_of(done.tray) == sheets


@pytest.mark.parametrize("ecm", [False, True])
@pytest.mark.parametrize(("families", "bps"), [({Family.V29, Family.V27TER}, 9600), ({Family.V27TER}, 4800)])
def test_pages_arrive_with_every_family_of_modems(families: set[Family], bps: int, ecm: bool) -> None:
    sheets = pages(1)
    done = fax(sheets, Station(families=frozenset(families), ecm=ecm))
    assert (done.sent.verdict, done.sent.modulation and done.sent.modulation.bps) == ("delivered", bps)
    assert bitmaps_of(done.tray) == sheets


@pytest.mark.parametrize("ecm", [False, True])
def test_pages_arrive_through_modems_that_lie_as_much_as_they_can(ecm: bool) -> None:
    sheets = pages()
    done = fax(sheets, Station(ecm=ecm), firmware=(CAREFUL, CAREFUL), options=Options(quirks="careful"))
    assert (done.sent.verdict, done.received.verdict) == ("delivered", "received")
    assert bitmaps_of(done.tray) == sheets


@pytest.mark.parametrize("quirks", ["lucent", "careful"])
@pytest.mark.parametrize("ecm", [False, True])
def test_a_pause_before_the_data_costs_no_rate_with_a_modem_that_does_not_need_it(ecm: bool, quirks: str) -> None:
    sheets = pages()
    done = fax(sheets, Station(ecm=ecm), options=(Options(quirks=quirks), Options()))
    assert (done.sent.verdict, done.sent.modulation) == ("delivered", Modulation.V17_14400)
    assert bitmaps_of(done.tray) == sheets


def test_a_driver_is_never_late_by_itself() -> None:
    done = fax(pages(), Station())
    assert all(line.worst_reaction < 0.01 for line in done.lines)


@pytest.mark.parametrize("drop_at", [5.0, 9.0, 14.0, 20.0, 24.0])
@pytest.mark.parametrize("ecm", [False, True])
def test_a_line_that_drops_ends_both_calls_and_what_was_confirmed_is_kept(drop_at: float, ecm: bool) -> None:
    sheets = pages(3)
    done = fax(sheets, Station(ecm=ecm), faults=Faults(drop_at=drop_at))
    assert not done.sent.complete
    confirmed = sum(page.confirmed for page in done.sent.pages)
    assert bitmaps_of(done.tray)[:confirmed] == sheets[:confirmed]
    assert done.sent.reason.code


@pytest.mark.slow
@pytest.mark.parametrize("ecm", [False, True])
@pytest.mark.parametrize("ours", [True, False], ids=["sender", "receiver"])
@pytest.mark.parametrize("firmware", [Firmware(), CAREFUL], ids=["honest", "lying"])
def test_a_call_cancelled_at_any_moment_is_hung_up_soon_and_the_line_is_free_again(
    ecm: bool, ours: bool, firmware: Firmware
) -> None:
    options = Options(quirks="careful" if firmware is CAREFUL else "")

    async def call(moment: float) -> None:
        clock = LineClock(asyncio.get_running_loop().time)
        switch = Switch(clock)
        async with AsyncExitStack() as rig:
            lines = [
                (await rig.enter_async_context(modem_line(switch, number, firmware=firmware, options=options)))[0]
                for number in ("100", "200")
            ]
            calls = [
                asyncio.create_task(run_call(calling(Station(ecm=ecm), "200"), lines[0], Stack(PAGE, copies=2))),
                asyncio.create_task(run_call(answering(Station(ecm=ecm)), lines[1], Stack(PAGE))),
            ]
            await asyncio.sleep(moment)
            line, canceled = (lines[0], calls[0]) if ours else (lines[1], calls[1])
            began = clock.now()
            canceled.cancel()
            await asyncio.wait([canceled])
            assert clock.now() - began <= 1.0
            assert await line.perform(HangUp()) == Sent()
            assert clock.now() - began <= 3.0, f"cancelled after {moment} s"
            _, idle = await asyncio.wait(calls, timeout=300.0)
            for one in idle:  # it was never called
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            for other in lines:
                assert await other.perform(HangUp()) == Sent()
            port = switch.attach("300")
            dialling = asyncio.create_task(line.perform(Dial("300")))
            await asyncio.wait_for(port.ringing(), 20.0)
            dialling.cancel()
            await asyncio.wait([dialling])

    for moment in range(1, 34):
        run(call(moment + moment / 34))


def test_a_modem_unplugged_in_mid_page_is_reported_and_hanging_up_does_not_hang() -> None:
    async def call() -> None:
        switch = Switch(LineClock(asyncio.get_running_loop().time))
        async with AsyncExitStack() as rig:
            ours, cable = await rig.enter_async_context(modem_line(switch, "100"))
            theirs, _ = await rig.enter_async_context(modem_line(switch, "200"))
            receiving = asyncio.create_task(Machine(Station(), theirs, Tray()).receive())
            sending = asyncio.create_task(Machine(Station(), ours, Tray([Sheet(p) for p in pages()])).send("200"))
            asyncio.get_running_loop().call_later(30.0, cable.unplug)
            sent = await sending
            assert (sent.verdict, sent.reason.code) == ("partial", "line.unavailable")
            assert "the modem is gone" in sent.reason.text
            with pytest.raises(LineError, match="the modem is gone"):
                await ours.perform(HangUp())
            await ours.close()
            assert (await receiving).verdict == "partial"

    run(call())


@pytest.mark.soak
def test_no_fault_of_the_line_wedges_a_modem_or_confirms_a_page_that_is_not_there(soak: bool, soak_seed: int) -> None:
    sheets = pages()
    for seed in range(soak_seed, soak_seed + (500 if soak else 25)):
        random = Random(seed)
        lying = random.random() < 0.5
        faults = Faults(
            seed=seed,
            lost=random.choice((0.0, 0.1)),
            corrupted=random.choice((0.0, 0.1)),
            delayed=random.choice((0.0, 0.1)),
            echoed=random.choice((0.0, 0.1)),
            dropouts=random.choice((0.0, 0.1)),
            drop_at=random.choice((None, None, random.uniform(3.0, 50.0))),
        )
        done = fax(
            sheets,
            Station(ecm=random.random() < 0.5),
            firmware=(CAREFUL, CAREFUL) if lying else (Firmware(), Firmware()),
            options=Options(quirks="careful" if lying else ""),
            faults=faults,
        )
        reasons = {done.sent.reason.code, done.received.reason.code}
        assert not reasons & {"line.unavailable", "line.dropped"}, f"seed {seed}: {reasons}"
        confirmed = sum(page.confirmed for page in done.sent.pages)
        if done.sent.ecm:
            assert bitmaps_of(done.tray)[:confirmed] == sheets[:confirmed], f"seed {seed}"
        assert max(line.worst_reaction for line in done.lines) <= 0.055, f"seed {seed}"


class Stack:
    """So many copies of one page to send, or a place for them that keeps no more than the one that is coming."""

    def __init__(self, page: bytes, copies: int = 0) -> None:
        self.page = page
        self.copies = copies
        self.whole = 0
        self.warm = asyncio.Event()
        self._coming = b""

    async def perform(self, action: PageAction) -> PageEvent:
        match action:
            case FetchPage(index) if index < self.copies:
                format = PageFormat(Width.A4, Length.A4, Resolution.STANDARD, action.limits.coding, action.limits.ecm)
                return PageReady(format, self.page, 1000)
            case FetchPage():
                return NoMorePages()
            case NoteConfirmed():
                return Noted()
            case AdmitPoller():
                return Admitted(True)
            case KeepData(_, _, octets):
                self._coming += octets
                return Kept(len(self._coming) >= len(self.page))
            case JudgePage():
                self.whole += self._coming.startswith(self.page) and len(self._coming) <= len(self.page) + 256
                self._coming = b""
                if self.whole == WARM:
                    self.warm.set()
                return Verdict(1000, 0, 0, durable=True)


async def run_call(procedure: Procedure[Outcome], line: Class1Line, pages: Stack) -> Outcome:
    """Run one end of a call without any record; cancelled, it leaves the line in the midst of what it was doing."""
    session = Session(procedure)
    while session.action is not None:
        action = session.action
        event = await (pages.perform(action) if isinstance(action, PageAction) else line.perform(action))
        session.handle(stamped(event, line.clock.now()))
    assert session.outcome is not None
    return session.outcome


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("ecm", [False, True])
def test_a_document_of_many_pages_goes_through_with_flat_memory(ecm: bool, soak: bool) -> None:
    count, page = (200, bytes(range(256)) * 120) if soak else (50, bytes(range(256)) * 16)
    tray = Stack(page)

    async def call() -> tuple[Outcome, int, int]:
        switch = Switch(LineClock(asyncio.get_running_loop().time))
        async with AsyncExitStack() as rig:
            ours, _ = await rig.enter_async_context(modem_line(switch, "100"))
            theirs, _ = await rig.enter_async_context(modem_line(switch, "200"))
            receiving = asyncio.create_task(run_call(answering(Station(ecm=ecm)), theirs, tray))
            sending = asyncio.create_task(run_call(calling(Station(ecm=ecm), "200"), ours, Stack(page, copies=count)))
            await tray.warm.wait()
            tracemalloc.start()
            sent = await sending
            left, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            await receiving
            return sent, left, peak

    sent, left, peak = run(call())
    assert (sent.verdict, len(sent.pages), tray.whole) == ("delivered", count, count)
    print(f"{left / 1e6:.1f} MB more after {count - WARM} pages, {peak / 1e6:.1f} MB at most")
    assert left < 1_000_000
    assert peak < 5_000_000
