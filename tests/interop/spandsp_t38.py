"""Our T.38 line against libspandsp's T.38 terminal: IFP packets in UDPTL over a simulated network, in virtual time.

Run as a program, because a crash in C must not end pytest. Each line of standard input is one call, as JSON::

    {"way": "send" or "receive", "file": TIFF, "ecm": "on", "compression": "mh,mr", "modems": "v29", "version": 0,
     "tcf": "transferred", "scan-time": 20, "fill": true, "station": {"max_bps": 9600}, "weather": {"loss": 0.05}}

(all but the first two may be missing), answered by one JSON object as ``spandsp_t30.py`` describes it, with ``octets``:
how many we sent. libspandsp has no UDPTL of its own: on its side, too, numbering and repair are ours, and what it
sends and hears are IFP packets.

A line ``{"packets": 1000, "version": 0, "seed": 1, "tpkt": false}`` has so many random packets written and read by both
instead, with TPKT around them or without; it is answered by ``{"differences": [...]}``.
"""

import argparse
import asyncio
import ctypes as c
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

from drivers.t38.ifp import (
    DataPacket,
    DataType,
    Field,
    FieldType,
    Form,
    Indicator,
    IndicatorPacket,
    Packet,
    decode,
    encode,
)
from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed
from drivers.t38.options import Options
from drivers.t38.tpkt import Unframer, framed
from drivers.t38.udptl import Arrived, Numbering, Ordering, Protection
from drivers.witness import Seen
from faxgw.bench.libspandsp import (
    BLOCK,
    RATE,
    Machine,
    T38Data,
    T38Indicator,
    T38Missing,
    T38Packet,
    add_machine_options,
    load,
)
from faxgw.calls import result, run_call
from simulators import clock as virtual
from simulators.network import Plug, Weather, pair
from simulators.tray import Sheet, Tray
from t30.answering import answering
from t30.calling import calling
from t30.line import LineClock
from t30.pages import Resolution
from t30.session import Session
from t30.t4 import Bitmap
from tests.interop.pages import differences, read_pages
from tests.interop.spandsp_t30 import arrived, station

LOCAL_TCF, TRANSFERRED_TCF = 1, 2
UDPTL, TCP_TPKT = 0, 3
NOWHERE = ("", 0)
LONGEST = 1800.0
MOST = 1400


def main() -> None:
    """Make the calls that standard input asks for."""
    library = load()
    parser = argparse.ArgumentParser()
    add_machine_options(parser)
    for line in sys.stdin:
        wanted = json.loads(line)
        if "packets" in wanted:
            print(json.dumps({"differences": compare(library, **wanted)}), flush=True)
            continue
        words = [f"--{name}={wanted[name]}" for name in ("ecm", "compression", "modems", "scan-time") if name in wanted]
        options = parser.parse_args([*words, *sys.argv[1:]])
        print(json.dumps(virtual.run(call(library, options, wanted))), flush=True)


async def call(library: c.CDLL, options: argparse.Namespace, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make one call in virtual time."""
    clock = LineClock(asyncio.get_running_loop().time)
    weather = Weather(**wanted.get("weather", {}))
    ours, theirs = pair(weather, weather, clock)
    file, we_send = Path(wanted["file"]), wanted["way"] == "send"
    stored = file.with_suffix(".stored.tif")
    stored.unlink(missing_ok=True)
    sheets = [Sheet(Bitmap.from_pels(page.astype("uint8")), resolution=Resolution.FINE) for page in read_pages(file)]
    pages = Tray(sheets if we_send else [])
    agreed = Agreed(
        wanted.get("version", 0),
        Protection(3),
        MOST,
        local_tcf=wanted.get("tcf") == "local",
        fill_bit_removal=wanted.get("fill", False),
    )
    line = UdptlLine(ours, Options(NOWHERE, NOWHERE, calls=we_send, agreed=agreed))
    octets = 0

    def witness(seen: Seen) -> None:
        nonlocal octets
        octets += len(seen.octets) if seen.sent else 0

    line.witness = witness
    session = Session(calling(station(wanted), "1") if we_send else answering(station(wanted)))
    terminal = Terminal(
        library, theirs, options, agreed, sends=None if we_send else file, stores=stored if we_send else None
    )
    running = asyncio.create_task(terminal.run(clock))
    async with asyncio.timeout(LONGEST):
        outcome = await run_call(session, line, pages)
    await asyncio.wait([running], timeout=10)
    running.cancel()
    terminal.machine.cut_off()
    await line.close()
    confirmed = [page.index for page in outcome.pages if page.confirmed]
    sent = read_pages(file)
    received = (read_pages(stored) if stored.exists() else []) if we_send else arrived(pages)
    return {
        "ours": result(outcome),
        "theirs": terminal.machine.report(),
        "octets": octets,
        "differences": differences(sent[: len(confirmed)], received[: len(confirmed)]),
    }


class Terminal:
    """libspandsp's T.38 terminal at the other end of the network."""

    def __init__(
        self,
        library: c.CDLL,
        plug: Plug,
        options: argparse.Namespace,
        agreed: Agreed,
        *,
        sends: Path | None,
        stores: Path | None,
    ) -> None:
        self._library = library
        self._plug = plug
        self._numbering = Numbering(Protection(3), most=MOST)
        self._ordering = Ordering()
        self._number = 0
        self._handler = T38Packet(self._packet)
        self._terminal = library.t38_terminal_init(None, 1 if sends else 0, self._handler, None)
        self._core = library.t38_terminal_get_t38_core_state(self._terminal)
        library.t38_set_t38_version(self._core, agreed.version)
        method = LOCAL_TCF if agreed.local_tcf else TRANSFERRED_TCF
        library.t38_set_data_rate_management_method(self._core, method)
        t30 = library.t38_terminal_get_t30_state(self._terminal)
        self.machine = Machine(library, t30, options, sends=sends, stores=stores)
        plug.receiver = self._take

    async def run(self, clock: LineClock) -> None:
        """Let its time pass until it has ended the call and said all that it had to say."""
        while not self._library.t38_terminal_send_timeout(self._terminal, BLOCK) or self.machine.result is None:
            self._library.span_log_bump_samples(self.machine.log, BLOCK)
            await asyncio.sleep(clock.real(BLOCK / RATE))

    def _packet(self, _core: int, _data: int, octets: Any, length: int, count: int) -> int:
        datagram = self._numbering.datagram(bytes(octets[:length]))
        for _ in range(count):
            self._plug.send(datagram)
        return 0

    def _take(self, datagram: bytes) -> None:
        for event in self._ordering.take(datagram):
            if isinstance(event, Arrived):
                self._library.t38_core_rx_ifp_packet(self._core, event.octets, len(event.octets), self._number)
                self._number = (self._number + 1) % 65536
            else:
                self._number = (self._number + event.packets) % 65536


# ------------------------------------------------------------------------------------------------- packet by packet


def compare(library: c.CDLL, packets: int, version: int, seed: int, tpkt: bool = False) -> list[str]:
    """Have random packets written by each side and read by the other; return those on which they do not agree."""
    core = _Core(library, version, tpkt=tpkt)
    random, form = Random(seed), Form.of_version(version)
    found = []
    for _ in range(packets):
        packet = random_packet(random)
        theirs, ours = core.written(packet), encode(packet, form)
        ours = framed(ours) if tpkt else ours
        (bare,) = Unframer().feed(theirs) if tpkt else (theirs,)
        if theirs != ours or decode(bare, form) != packet or core.read(theirs) != packet:
            found.append(f"{packet}: {theirs.hex()}, not {ours.hex()}")
    return found


def random_packet(random: Random) -> Packet:
    """Return a packet of one of the types that libspandsp's API can write: an indicator, or one field."""
    if random.random() < 0.3:
        return IndicatorPacket(random.choice(list(Indicator)[: Indicator.V8_ANSAM]))
    kind = random.choice(list(FieldType)[: FieldType.CM_MESSAGE])
    carries = kind in {FieldType.HDLC_DATA, FieldType.T4_NON_ECM_DATA, FieldType.T4_NON_ECM_SIG_END}
    length = random.randrange(1, 90) if carries else 0
    carried = random.choice(list(DataType)[: DataType.V8])
    return DataPacket(carried, (Field(kind, random.randbytes(length)),))


class _Core:
    """libspandsp's packet layer by itself."""

    def __init__(self, library: c.CDLL, version: int, *, tpkt: bool) -> None:
        self._library = library
        self._written = b""
        self._read: list[Packet] = []
        self._number = 0
        self._handlers = (
            T38Indicator(lambda _, __, indicator: self._heard(IndicatorPacket(Indicator(indicator)))),
            T38Data(self._heard_data),
            T38Missing(lambda *_: 0),
            T38Packet(self._wrote),
        )
        indicator, data, missing, packet = self._handlers
        self._core = library.t38_core_init(None, indicator, data, missing, None, packet, None)
        library.t38_set_t38_version(self._core, version)
        library.t38_set_data_transport_protocol(self._core, TCP_TPKT if tpkt else UDPTL)
        self._take = library.t38_core_rx_ifp_stream if tpkt else library.t38_core_rx_ifp_packet

    def written(self, packet: Packet) -> bytes:
        """Return what it writes for a packet."""
        if isinstance(packet, IndicatorPacket):
            # It does not repeat one that is on already, so another is sent before.
            other = Indicator.CNG if packet.indicator is Indicator.NO_SIGNAL else Indicator.NO_SIGNAL
            self._library.t38_core_send_indicator(self._core, int(other))
            self._library.t38_core_send_indicator(self._core, int(packet.indicator))
        else:
            ((kind, octets),) = packet.fields
            turned = octets.translate(TURNED)
            self._library.t38_core_send_data(self._core, int(packet.type), int(kind), turned, len(turned), 1)
        return self._written

    def read(self, octets: bytes) -> Packet | None:
        """Return the packet that it reads."""
        self._read.clear()
        self._take(self._core, octets, len(octets), self._number)
        self._number = (self._number + 1) % 65536
        return self._read[0] if len(self._read) == 1 else None

    def _wrote(self, _core: int, _data: int, octets: Any, length: int, _count: int) -> int:
        self._written = bytes(octets[:length])
        return 0

    def _heard(self, packet: Packet) -> int:
        self._read.append(packet)
        return 0

    def _heard_data(self, _core: int, _data: int, carried: int, kind: int, octets: Any, length: int) -> int:
        field = Field(FieldType(kind), bytes(octets[:length]).translate(TURNED) if length else b"")
        return self._heard(DataPacket(DataType(carried), (field,)))


TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


if __name__ == "__main__":
    main()
