"""What the network did to the datagrams that came: which are missing, which of those came back, where it was silent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers.t38 import udptl
from drivers.t38.ifp import DataPacket, DataType, Form, IfpMalformed, decode
from drivers.t38.udptl import NUMBERS, RESTART, Datagram, UdptlMalformed
from drivers.witness import Seen, Wire

PAUSE = 0.3
"""Seconds between two datagrams of the same signal from which on they are told."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A datagram that did not come.

    Attributes:
        at: when the first one after it came.
        made_good: what it brought came with another.
    """

    at: float
    made_good: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """A time without datagrams in the middle of a signal."""

    at: float
    seconds: float


@dataclass(slots=True)
class Traffic:
    """What became of the datagrams of a call, as far as this end can tell."""

    sent: int = 0
    received: int = 0
    missing: list[Missing] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)


def traffic(seen: Iterable[Seen]) -> Traffic:
    """Return what became of datagrams, which are given in the order of time."""
    all_ = Traffic()
    ways: dict[object, _Way] = {}
    for each in seen:
        if each.wire is not Wire.UDPTL:
            continue
        if each.sent:
            all_.sent += 1
            continue
        all_.received += 1
        try:
            datagram = udptl.decode(each.octets)
        except UdptlMalformed:
            continue
        ways.setdefault((each.local, each.peer), _Way(all_)).take(datagram, each.at)
    for way in ways.values():
        way.close()
    all_.missing.sort(key=lambda one: one.at)
    return all_


class _Way:
    """The datagrams from one place; their numbers are counted on beyond the last one there is."""

    def __init__(self, into: Traffic) -> None:
        self._into = into
        self._last: int | None = None
        self._came: set[int] = set()
        self._missing: dict[int, float] = {}
        self._repeated: set[int] = set()
        self._rows: list[list[int]] = []
        self._signal: tuple[DataType | None, float] = (None, 0.0)

    def take(self, datagram: Datagram, at: float) -> None:
        number = self._counted(datagram.number, at)
        self._came.add(number)
        self._missing.pop(number, None)
        self._repeated.update(number - back for back, each in enumerate(datagram.secondaries, 1) if each)
        if datagram.parity is not None:
            span, rows = datagram.parity.span, len(datagram.parity.rows)
            self._rows += [[number - (each * rows - row) for each in range(1, span + 1)] for row in range(rows)]
        self._listen(datagram.primary, at)

    def close(self) -> None:
        """Tell what is missing for good."""
        there = self._came | self._repeated
        rows = [row for row in self._rows if not there.issuperset(row)]
        while found := [lacking[0] for row in rows if len(lacking := [one for one in row if one not in there]) == 1]:
            there.update(found)
        self._into.missing += [Missing(at, number in there) for number, at in self._missing.items()]
        self._came, self._repeated, self._rows, self._missing = set(), set(), [], {}

    def _counted(self, number: int, at: float) -> int:
        if self._last is None:
            self._last = number
        ahead = (number - self._last + NUMBERS // 2) % NUMBERS - NUMBERS // 2
        if abs(ahead) > RESTART:
            self.close()
            self._last = number
            return number
        number = self._last + ahead
        for between in range(self._last + 1, number):
            self._missing[between] = at
        self._last = max(self._last, number)
        return number

    def _listen(self, packet: bytes, at: float) -> None:
        before, since = self._signal
        self._signal = _carried(packet), at
        if before is not None and self._signal[0] is before and at - since >= PAUSE:
            self._into.pauses.append(Pause(since, at - since))


def _carried(packet: bytes) -> DataType | None:
    for form in Form:
        try:
            read = decode(packet, form)
        except IfpMalformed:
            continue
        return read.type if isinstance(read, DataPacket) else None
    return None
