"""What a line showed of its network, as lines of a trace, and back: SIP messages, and T.38 datagrams many to a line.

    {"at": -0.2, "wire": "sip", "sent": true, "local": "...", "peer": "...", "transport": "UDP", "text": "INVITE ..."}
    {"at": 7.1, "wire": "udptl", ..., "datagrams": [[7.1, 412, "C001B00035+54", 3], [7.13, 413, "C001B00035+54", 3]]}

A datagram is its time, its number, its packet (``+54``: so many zeros follow), and how many of the packets before it it
repeats. A packet that was shown before under this number is null; of what is repeated, a list stands instead where
something of it was not shown before. With parity it is ``{"span": 3, "rows": [59, 59]}``: how long the rows are;
what they hold follows from the packets.
"""

import math
import re
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from drivers.t38 import udptl
from drivers.t38.udptl import NUMBERS, Datagram, Parity, xor
from drivers.witness import Seen, Wire
from faxgw.trace.datagrams import Masking, Shown
from faxgw.trace.messages import shown_message

LONGEST_LINE = 64
"""Datagrams in one line."""
WRITTEN_WITHIN = 1.0
"""Seconds that a line covers at most: so much is lost at the end of a recording that is cut off."""
BEFORE = 60.0
"""Seconds before a call of which it is written down what the line showed."""
MOST_BEFORE = 64
LARGEST = 65535
"""Octets of a message or datagram."""
MOST_IN_ALL = 1 << 28
"""Octets of a trace's messages and datagrams: a file that claims more must not make us allocate it."""
MOST_REPEATED = 127
"""Packets that a datagram repeats, or rows of parity."""

_PACKET = re.compile(r"((?:[0-9A-F]{2})*)(?:\+(\d{1,5}))?")

Address = tuple[str, int]
Way = tuple[bool, Address, Address, str]
"""Whether it was sent, from where or to where, and how: one direction of a call."""


class Prelude:
    """A witness that keeps the last things that a line showed, for whoever records the call that comes then."""

    def __init__(self) -> None:
        self.seen: deque[Seen] = deque(maxlen=MOST_BEFORE)

    def __call__(self, seen: Seen) -> None:
        """Keep one."""
        self.seen.append(seen)


class WireWriter:
    """Makes lines of what is shown.

    Args:
        write: takes a line.
        began: when the call began, on the clock of the line.
        moment: when that was; the first line says so.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None], *, began: float, moment: datetime) -> None:
        self._write = write
        self._began = began
        self._once = {"began": moment.astimezone().isoformat(timespec="milliseconds")}
        self._masking: dict[Way, Masking] = {}
        self._way: Way | None = None
        self._rows: list[list[Any]] = []

    def take(self, seen: Seen) -> None:
        """Write down what is shown; a datagram later, if it cannot be told yet what must be masked."""
        way = (seen.sent, seen.local, seen.peer, seen.transport)
        if seen.wire is Wire.UDPTL:
            shown = self._masking.setdefault(way, Masking()).take(seen.octets, seen.at)
            self._add(way, shown)
        elif seen.wire is Wire.SIP:
            self.flush()
            self._write(self._head(seen.wire, way, self._at(seen.at)) | _text(shown_message(seen.octets)))

    def flush(self) -> None:
        """Write the line that is not full yet."""
        if self._rows and self._way is not None:
            self._write(self._head(Wire.UDPTL, self._way, self._rows[0][0]) | {"datagrams": self._rows})
        self._rows = []

    def end(self) -> None:
        """Write everything."""
        for way, masking in self._masking.items():
            self._add(way, masking.end())
        self.flush()

    def _add(self, way: Way, shown: list[Shown]) -> None:
        for each in shown:
            row = self._row(each)
            if way != self._way or len(self._rows) == LONGEST_LINE or self._is_over(row[0]):
                self.flush()
            self._way = way
            self._rows.append(row)

    def _is_over(self, at: float) -> bool:
        return bool(self._rows) and at > self._rows[0][0] + WRITTEN_WITHIN

    def _row(self, shown: Shown) -> list[Any]:
        before: Any = len(shown.secondaries)
        if any(each is not None for each in shown.secondaries):
            before = [_packed(each) for each in shown.secondaries]
        if shown.parity is not None:
            before = {"span": shown.parity[0], "rows": list(shown.parity[1])}
        return [self._at(shown.at), shown.number, _packed(shown.primary), before]

    def _head(self, wire: Wire, way: Way, at: float) -> dict[str, Any]:
        sent, local, peer, transport = way
        ends = {"local": _joined(local), "peer": _joined(peer), "transport": transport}
        once, self._once = self._once, {}
        return {"at": at, "wire": wire.value, "sent": sent} | ends | once

    def _at(self, at: float) -> float:
        return round(at - self._began, 4)


def _text(octets: bytes) -> dict[str, Any]:
    try:
        return {"text": octets.decode()}
    except UnicodeDecodeError:
        return {"octets": octets.hex().upper()}


def _packed(octets: bytes | None) -> str | None:
    if octets is None:
        return None
    head = octets.rstrip(b"\0")
    zeros = len(octets) - len(head)
    return head.hex().upper() + (f"+{zeros}" if zeros else "")


def _joined(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# ----------------------------------------------------------------------------------------------------------- reading


class WireReader:
    """Makes what was shown of lines, in their order."""

    def __init__(self) -> None:
        self._known: dict[Way, dict[int, bytes]] = {}
        self._left = MOST_IN_ALL

    def read(self, given: dict[str, Any]) -> list[Seen]:
        """Read a line.

        Raises:
            ValueError, TypeError, KeyError: if it is none.
        """
        way = (bool(given["sent"]), _split(given["local"]), _split(given["peer"]), str(given["transport"]))
        sent, local, peer, transport = way
        wire = Wire(given["wire"])
        if wire is Wire.UDPTL:
            known = self._known.setdefault(way, {})
            rows = [(row[0], self._counted(_datagram(known, *row[1:]))) for row in given["datagrams"]]
        else:
            octets = given["text"].encode() if "text" in given else bytes.fromhex(given["octets"])
            rows = [(given["at"], self._counted(octets))]
        return [Seen(_seconds(at), wire, sent, local, peer, octets, transport) for at, octets in rows]

    def _counted(self, octets: bytes) -> bytes:
        self._left -= len(octets)
        if self._left < 0:
            raise ValueError(f"there are more than {MOST_IN_ALL} octets in all")
        return octets


def _datagram(known: dict[int, bytes], number: int | None, packet: str | None, before: Any) -> bytes:
    """Return a datagram; take note of the packets in it."""
    if number is None:
        return _unpacked(packet)
    if type(number) is not int or not 0 <= number < NUMBERS:
        raise ValueError(f"{number!r} is no number of a datagram")
    primary = _noted(known, number, packet)
    if isinstance(before, dict):
        return _checked(Datagram(number, primary, (), _parity(known, number, **before)))
    if isinstance(before, int) and not 0 <= before <= MOST_REPEATED:
        raise ValueError(f"{before} packets repeated")
    again = [None] * before if isinstance(before, int) else before
    secondaries = [_noted(known, (number - back) % NUMBERS, each) for back, each in enumerate(again, 1)]
    return _checked(Datagram(number, primary, tuple(secondaries)))


def _noted(known: dict[int, bytes], number: int, packet: str | None) -> bytes:
    if packet is not None:
        known[number] = _unpacked(packet)
    return known[number]


def _parity(known: dict[int, bytes], number: int, span: int, rows: list[int]) -> Parity:
    """Make the rows of packets as they are shown; one of which something was never seen, of zeros."""
    if not 0 < span <= MOST_REPEATED or len(rows) > MOST_REPEATED or not all(0 <= length <= LARGEST for length in rows):
        raise ValueError("no parity")
    made = []
    for row, length in enumerate(rows):
        members = [known.get((number - (each * len(rows) - row)) % NUMBERS) for each in range(1, span + 1)]
        packets = [each for each in members if each is not None]
        octets = xor(packets) if len(packets) == span else b""
        made.append(octets[:length].ljust(length, b"\0"))
    return Parity(span, tuple(made))


def _checked(datagram: Datagram) -> bytes:
    rows = datagram.parity.rows if datagram.parity else ()
    if sum(map(len, (datagram.primary, *datagram.secondaries, *rows))) > LARGEST:
        raise ValueError("a datagram that is too large")
    return udptl.encode(datagram)


def _unpacked(packet: Any) -> bytes:
    match = _PACKET.fullmatch(packet)
    if match is None or int(match[2] or 0) > LARGEST:
        raise ValueError(f"{packet!r:.40} is no packet")
    return bytes.fromhex(match[1]) + bytes(int(match[2] or 0))


def _split(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not 0 <= int(port) <= 65535:
        raise ValueError(f"{text!r:.80} is no address")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _seconds(at: Any) -> float:
    if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at):
        raise ValueError(f"{at!r} is no number of seconds")
    return float(at)
