"""Our T.30 engine and codec against libspandsp's, with no modem between: a call at signal level in virtual time.

Run as a program, because a crash in C must not end pytest. Each line of standard input is one call, as JSON::

    {"way": "send" or "receive", "file": TIFF, "polled": false, "ecm": "on", "compression": "mh,mr", "modems": "v29",
     "station": {"max_bps": 9600}, "faults": {"seed": 1, "lost": 0.1, "lose": [7], "untrainable": ["V17_14400"]}}

(all but the first two may be missing; where ``polled`` is true, who receives has called) and is answered by one JSON
object on standard output: ``ours``, the outcome of our engine, ``theirs``, that of libspandsp, and ``differences``
between the pages that our engine calls confirmed and those that arrived. A call takes milliseconds, so that every
setting can be tried.

    our engine -- simulated fax line -- circuit -- this bridge -- libspandsp's T.30 engine -- TIFF

What it does not model: analogue modems. A carrier is understood whole or not at all; a wrong rate is not understood.
HDLC framing is ours on both sides here; ``spandsp_t31.py`` holds it against libspandsp's.
"""

import argparse
import asyncio
import ctypes as c
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from faxgw.bench.libspandsp import RATE, Machine, SendHdlc, SetModem, add_machine_options, load
from faxgw.calls import result, run_call
from simulators import clock as virtual
from simulators.circuit import TRAINING, CarrierOff, CarrierOn, End, Frame, Gone, Octets
from simulators.faults import Faults
from simulators.line import CircuitLine
from simulators.switch import Switch
from simulators.tray import Sheet, Tray
from t30.answering import answering
from t30.calling import calling, polling
from t30.capabilities import Offer, Station
from t30.exchange import Procedure
from t30.hdlc import Deframer, stuffed
from t30.line import LineClock, Tone
from t30.outcome import Outcome
from t30.pages import Resolution
from t30.rates import Family, Modulation
from t30.session import Session
from t30.t4 import Bitmap
from t30.timers import FAST_FLAGS
from tests.interop.pages import Pels, differences, read_pages

NONE, PAUSE, CED, CNG, V21, V27TER, V29, V17, V34, DONE = range(10)
FAMILIES = {V21: Family.V21, V27TER: Family.V27TER, V29: Family.V29, V17: Family.V17}
SEND_STEP_COMPLETE = 0
CARRIER_DOWN, CARRIER_UP, TRAINING_SUCCEEDED, TRAINING_FAILED, FRAMING_OK = -1, -2, -4, -5, -6
CED_SECONDS = 2.875
TICK = 0.02
CHUNK = 256
OURS, THEIRS = "5550199", "5550100"


def main() -> None:
    """Make the calls that standard input asks for."""
    library = load()
    parser = argparse.ArgumentParser()
    add_machine_options(parser)
    for line in sys.stdin:
        wanted = json.loads(line)
        words = [f"--{name}={wanted[name]}" for name in ("ecm", "compression", "modems") if name in wanted]
        options = parser.parse_args([*words, *sys.argv[1:]])
        print(json.dumps(virtual.run(call(library, options, wanted))), flush=True)


async def call(library: c.CDLL, options: argparse.Namespace, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make one call in virtual time."""
    clock = LineClock(asyncio.get_running_loop().time)
    switch = Switch(clock, faults=faults(**wanted.get("faults", {})))
    ours, theirs = switch.attach(OURS), switch.attach(THEIRS)
    file, we_send = Path(wanted["file"]), wanted["way"] == "send"
    stored = file.with_suffix(".stored.tif")
    stored.unlink(missing_ok=True)
    sheets = [Sheet(Bitmap.from_pels(page.astype("uint8")), resolution=Resolution.FINE) for page in read_pages(file)]
    pages = Tray(sheets if we_send else [])
    we_call = we_send != wanted.get("polled", False)
    session = Session(procedure(station(wanted), we_call=we_call, we_send=we_send))
    machine = SpandspMachine(
        library, options, calls=not we_call, sends=None if we_send else file, stores=stored if we_send else None
    )

    async def their_side() -> None:
        if we_call:
            await theirs.ringing()
            end = theirs.answer()
        else:
            end = await theirs.dial(OURS)  # type: ignore[assignment]
        assert isinstance(end, End)
        await machine.run(end)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(their_side())
        outcome = await run_call(session, CircuitLine(ours, clock), pages)
    confirmed = [page.index for page in outcome.pages if page.confirmed]
    sent = read_pages(file)
    received = (read_pages(stored) if stored.exists() else []) if we_send else arrived(pages)
    return {
        "ours": result(outcome),
        "theirs": machine.machine.report(),
        "differences": differences(sent[: len(confirmed)], received[: len(confirmed)]),
    }


def arrived(tray: Tray) -> list[Pels]:
    """Return what our side received, page by page."""
    pages = (page.decoded for _, page in sorted(tray.received.items()))
    return [page.bitmap.pels().astype(bool) for page in pages if page is not None]


def station(wanted: dict[str, Any]) -> Station:
    """Return our side; ``station`` in a request overrides single settings by name, with plain values."""
    return Station(ident="+1 555 0199", **wanted.get("station", {}))


def procedure(station: Station, *, we_call: bool, we_send: bool) -> Procedure[Outcome]:
    """Return what our side does."""
    if we_call:
        return (calling if we_send else polling)(station, THEIRS)
    return answering(replace(station, receives=False, offer=Offer()) if we_send else station)


def faults(*, lose: Sequence[int] = (), untrainable: Sequence[str] = (), **probabilities: Any) -> Faults:
    """Return what goes wrong on the line."""
    names = frozenset(Modulation[name] for name in untrainable)
    return Faults(lose=frozenset(lose), untrainable=names, **probabilities)


class SpandspMachine:
    """libspandsp's T.30 engine at the end of a circuit: its wishes become signals, and signals its callbacks."""

    def __init__(
        self, library: c.CDLL, options: argparse.Namespace, *, calls: bool, sends: Path | None, stores: Path | None
    ) -> None:
        self._library = library
        self._wishes: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self._receiver = (NONE, 0, 0, 0)
        self._handlers = (
            SetModem(lambda _, *modem: setattr(self, "_receiver", modem)),
            SetModem(lambda _, *modem: self._wishes.put_nowait(modem)),
            SendHdlc(lambda _, octets, length: self._wishes.put_nowait((octets[:length] if length > 0 else [],))),
        )
        receive, transmit, send = self._handlers
        self._t30 = library.t30_init(None, int(calls), receive, None, transmit, None, send, None)
        self.machine = Machine(library, self._t30, options, sends=sends, stores=stores)

    async def run(self, end: End) -> None:
        """Take part in one call until either side ends it."""
        while not self._wishes.empty():  # what it wished for before it was told its settings
            self._wishes.get_nowait()
        self._library.t30_restart(self._t30)
        async with asyncio.TaskGroup() as tasks:
            works = [tasks.create_task(work) for work in (self._speak(end), self._tick(end))]
            await self._hear(end)
            for work in works:
                work.cancel()
        self.machine.cut_off()
        end.hang_up()

    async def _tick(self, end: End) -> None:
        """Let its timers run; hang up when it has ended the call."""
        while self.machine.result is None or not self._wishes.empty():
            await asyncio.sleep(end.clock.real(TICK))
            self._library.t30_timer_update(self._t30, round(TICK * RATE))
            self._library.span_log_bump_samples(self.machine.log, round(TICK * RATE))
        end.hang_up()

    # ---------------------------------------------------------------------------------------------------- speaking

    async def _speak(self, end: End) -> None:
        modulation: Modulation | None = None
        early: list[bytes] = []  # a response is handed over before the carrier that it answers is down
        flags = 0
        while True:
            match await self._wishes.get():
                case (kind, _, milliseconds, _) if kind == PAUSE:
                    await asyncio.sleep(milliseconds / 1000)
                case (kind, *_) if kind == CED:
                    end.tone(Tone.CED)
                    await asyncio.sleep(CED_SECONDS)
                case (kind, *_) if kind == CNG:
                    end.tone(Tone.CNG)
                    continue
                case (kind, rate, short, framed) if kind in FAMILIES:
                    modulation = named(kind, rate, short)
                    end.carrier_off()  # it may change its mind in mid signal
                    end.carrier_on(modulation)
                    await asyncio.sleep(TRAINING[modulation])
                    flags = round(FAST_FLAGS * modulation.bps / 8)
                    if not framed:
                        await self._say_data(end, modulation)
                        modulation = None
                    elif early:
                        await self._say_frame(end, modulation, early.pop(), flags)
                        flags = 1
                    else:
                        continue
                case ([],):
                    end.carrier_off()
                    modulation = None
                case (list() as frame,) if not modulation:
                    early.append(bytes(frame))
                    continue
                case (list() as frame,) if modulation:
                    await self._say_frame(end, modulation, bytes(frame), flags)
                    flags = 1
                case _:
                    continue
            self._library.t30_front_end_status(self._t30, SEND_STEP_COMPLETE)

    async def _say_frame(self, end: End, modulation: Modulation, frame: bytes, flags: int) -> None:
        if modulation is Modulation.V21:
            await asyncio.sleep((len(frame) + 3) * 8 / modulation.bps)
            end.frame(frame)
            return
        octets = stuffed([frame], flags_first=flags)
        await asyncio.sleep(len(octets) * 8 / modulation.bps)
        end.octets(octets)

    async def _say_data(self, end: End, modulation: Modulation) -> None:
        chunk = c.create_string_buffer(CHUNK)
        length = CHUNK
        while length == CHUNK:
            length = max(0, self._library.t30_non_ecm_get_chunk(self._t30, chunk, CHUNK))
            await asyncio.sleep(length * 8 / modulation.bps)
            end.octets(chunk.raw[:length])
        end.carrier_off()

    # ----------------------------------------------------------------------------------------------------- hearing

    async def _hear(self, end: End) -> None:
        carrier: Modulation | None = None
        framed = False
        deframer = Deframer()
        while not isinstance(heard := await end.heard(), Gone):
            match heard:
                case CarrierOn(modulation, whole):
                    kind, rate, short, use_hdlc = self._receiver
                    wanted = named(kind, rate, short) if kind in FAMILIES else None
                    framed = modulation is Modulation.V21 or bool(use_hdlc)
                    carrier = modulation if whole and modulation in (Modulation.V21, wanted) else None
                    deframer = Deframer()
                    self._tell(CARRIER_UP, framed=framed)
                    self._tell(TRAINING_SUCCEEDED if carrier else TRAINING_FAILED, framed=framed)
                    if framed and carrier:
                        self._tell(FRAMING_OK, framed=True)
                case Frame(octets, good) if carrier:
                    self._library.t30_hdlc_accept(self._t30, octets, len(octets), int(good))
                case Octets(octets) if carrier and framed:
                    for frame in deframer.feed(octets):
                        self._library.t30_hdlc_accept(self._t30, frame.octets, len(frame.octets), int(frame.good))
                case Octets(octets) if carrier:
                    self._library.t30_non_ecm_put_chunk(self._t30, octets, len(octets))
                case CarrierOff():
                    self._tell(CARRIER_DOWN, framed=framed)
                    carrier = None

    def _tell(self, status: int, *, framed: bool) -> None:
        if framed:
            self._library.t30_hdlc_accept(self._t30, None, status, 1)
        else:
            self._library.t30_non_ecm_put_bit(self._t30, status)


def named(kind: int, rate: int, short: int) -> Modulation:
    """Return the modulation that libspandsp means."""
    family = FAMILIES[kind]
    same = [one for one in Modulation if one.family is family and (one.bps == rate or family is Family.V21)]
    return same[0].short if short else same[0].long


if __name__ == "__main__":
    main()
