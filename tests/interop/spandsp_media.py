"""libspandsp as the media of a call that somebody else signals: sound in RTP, then T.38 in UDPTL, at real time.

Run as a program, because a crash in C must not end pytest. It opens two UDP ports of 127.0.0.1 and prints ``ready``. On
the sound port libspandsp's audio fax machine is heard (CNG or CED, then its V.21) by whoever sends RTP there, until the
first datagram comes to the other port: then its T.38 terminal begins, which sends one page or stores what it gets. When
standard input ends it prints what it has seen and heard, as one JSON object::

    {"machine": libspandsp's report, or null where T.38 never began, "sound": {"packets", "largest", "from", "faults"},
     "image": {"packets", "largest", "from", "lost"}}

Numbering and redundancy of UDPTL, RTP and the mu-law are written here once more, so that nothing of ours is at this
end.
"""

import argparse
import asyncio
import ctypes as c
import json
import struct
import sys
from collections import deque
from pathlib import Path
from typing import Any, cast

from faxgw.bench.libspandsp import BLOCK, RATE, Machine, Samples, T38Packet, add_machine_options, load

HOST = "127.0.0.1"
LONGEST = 300.0
SECONDARIES = 3
HALF = 1 << 15
RTP = struct.Struct("!BBHII")
PCMU = 0
SILENCE = b"\xff" * BLOCK

Address = tuple[str, int]


def main() -> None:
    """Run until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sound", type=int, required=True, help="UDP port for RTP")
    parser.add_argument("--image", type=int, required=True, help="UDP port for UDPTL")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--send", type=Path, help="TIFF to send: this end calls")
    which.add_argument("--store", type=Path, help="TIFF to store: this end is called")
    parser.add_argument("--silent", action="store_true", help="do not let the machine be heard in the sound")
    add_machine_options(parser)
    print(json.dumps(asyncio.run(run(parser.parse_args()))), flush=True)


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Be the media of one call."""
    library = load()
    sound, image = Sound(library, options), Image(library, options)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: sound, local_addr=(HOST, options.sound))
    await loop.create_datagram_endpoint(lambda: image, local_addr=(HOST, options.image))
    print("ready", flush=True)
    over = loop.run_in_executor(None, sys.stdin.read)
    ticks = loop.time()
    while not over.done() and loop.time() < ticks + LONGEST:
        (image if image.began else sound).tick()
        ticks += BLOCK / RATE
        await asyncio.sleep(max(0.0, ticks - loop.time()))
    return {"machine": image.report(), "sound": sound.report(), "image": image.told}


class _End(asyncio.DatagramProtocol):
    """A port that answers to where it was last heard from."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {"packets": 0, "largest": 0, "from": []}
        self.peer: Address | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.peer = addr
        self.told["packets"] += 1
        self.told["largest"] = max(len(data), self.told["largest"])
        if list(addr) not in self.told["from"]:
            self.told["from"].append(list(addr))
        self.take(data)

    def take(self, datagram: bytes) -> None:
        """Read a datagram."""
        raise NotImplementedError

    def send(self, datagram: bytes) -> None:
        """Send one, if it is known where to."""
        if self._transport and self.peer:
            self._transport.sendto(datagram, self.peer)


class Sound(_End):
    """libspandsp's audio fax machine behind RTP. It hears nothing: it is there to be heard."""

    def __init__(self, library: c.CDLL, options: argparse.Namespace) -> None:
        super().__init__()
        self._library = library
        self._fax = library.fax_init(None, 1 if options.send else 0)
        library.fax_set_transmit_on_idle(self._fax, 1)
        t30 = library.fax_get_t30_state(self._fax)
        self._machine = Machine(library, t30, options, sends=options.send, stores=None)
        self._samples, self._quiet = Samples(), Samples()
        self._silent = options.silent
        self._sent = 0
        self._last: tuple[int, int] | None = None
        self.told["faults"] = []

    def tick(self) -> None:
        """Send 20 ms."""
        if self.peer is None:
            return
        self._library.fax_tx(self._fax, self._samples, BLOCK)
        self._library.fax_rx(self._fax, self._quiet, BLOCK)
        header = RTP.pack(0x80, PCMU, self._sent % 65536, self._sent * BLOCK, 0xFA4)
        self.send(header + (SILENCE if self._silent else bytes(map(mu_law, self._samples))))
        self._sent += 1

    def take(self, datagram: bytes) -> None:
        """Check a packet against the one before it."""
        if len(datagram) < RTP.size or datagram[0] != 0x80:
            self.told["faults"].append(f"no plain RTP: {datagram[:16].hex(' ')}")
            return
        _, kind, number, time, _ = RTP.unpack_from(datagram)
        if kind & 0x7F != PCMU or len(datagram) != RTP.size + BLOCK:
            self.told["faults"].append(f"payload type {kind & 0x7F}, {len(datagram) - RTP.size} octets")
        if self._last:
            # Who was late leaves time out; never does it run backwards, or by parts of a packet.
            ahead = (time - self._last[1]) % 2**32
            if number != (self._last[0] + 1) % 65536 or ahead % BLOCK or not 0 < ahead < RATE:
                self.told["faults"].append(f"number {number}, time {time} after {self._last}")
        self._last = number, time

    def report(self) -> dict[str, Any]:
        """Return what was heard."""
        self._machine.cut_off()
        return self.told


class Image(_End):
    """libspandsp's T.38 terminal behind UDPTL."""

    def __init__(self, library: c.CDLL, options: argparse.Namespace) -> None:
        super().__init__()
        self._library = library
        self._handler = T38Packet(self._packet)
        self._terminal = library.t38_terminal_init(None, 1 if options.send else 0, self._handler, None)
        self._core = library.t38_terminal_get_t38_core_state(self._terminal)
        t30 = library.t38_terminal_get_t30_state(self._terminal)
        self._machine = Machine(library, t30, options, sends=options.send, stores=options.store)
        self._number = 0
        self._earlier: deque[bytes] = deque(maxlen=SECONDARIES)
        self._next: int | None = None
        self.began = False
        self.told["lost"] = 0

    def tick(self) -> None:
        """Let 20 ms pass."""
        self._library.t38_terminal_send_timeout(self._terminal, BLOCK)
        self._library.span_log_bump_samples(self._machine.log, BLOCK)

    def take(self, datagram: bytes) -> None:
        """Hand over the packets of a datagram that are new."""
        self.began = True
        number, packets = udptl(datagram)
        if self._next is None:
            self._next = number
        ahead = (number - self._next + HALF) % (2 * HALF) - HALF
        if ahead < 0:
            return
        missing = min(ahead, len(packets) - 1)
        self.told["lost"] += ahead - missing
        for back in range(missing, -1, -1):
            at = (number - back) % (2 * HALF)
            self._library.t38_core_rx_ifp_packet(self._core, packets[back], len(packets[back]), at)
        self._next = (number + 1) % (2 * HALF)

    def report(self) -> dict[str, Any] | None:
        """Return the outcome as libspandsp sees it; None if T.38 never began."""
        self._machine.cut_off()
        return self._machine.report() if self.began else None

    def _packet(self, _core: int, _data: int, octets: Any, length: int, count: int) -> int:
        packet = bytes(octets[:length])
        said = b"".join([counted(packet), b"\x00", bytes([len(self._earlier)]), *map(counted, self._earlier)])
        for _ in range(count):
            self.send(self._number.to_bytes(2, "big") + said)
        self._number = (self._number + 1) % (2 * HALF)
        self._earlier.appendleft(packet)
        return 0


def udptl(datagram: bytes) -> tuple[int, list[bytes]]:
    """Return the number of a datagram and its packets, the primary one first, then the earlier ones."""
    packet, rest = uncounted(datagram[2:])
    packets = [packet]
    if rest[:1] == b"\x00":
        count, rest = rest[1], rest[2:]
        for _ in range(count):
            packet, rest = uncounted(rest)
            packets.append(packet)
    return int.from_bytes(datagram[:2], "big"), packets


def counted(octets: bytes) -> bytes:
    """Return the octets behind their number."""
    length = len(octets)
    return (bytes([length]) if length < 128 else (0x8000 | length).to_bytes(2, "big")) + octets


def uncounted(octets: bytes) -> tuple[bytes, bytes]:
    """Return the octets that are counted, and what comes after them."""
    long = octets[0] >= 128
    length = int.from_bytes(octets[:2], "big") & 0x3FFF if long else octets[0]
    start = 2 if long else 1
    return octets[start : start + length], octets[start + length :]


def mu_law(sample: int) -> int:
    """Return a linear sample as G.711 has it in North America."""
    size = min(abs(sample), 32635) + 132
    segment = size.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | segment << 4 | (size >> (segment + 3)) & 0x0F) & 0xFF


if __name__ == "__main__":
    main()
