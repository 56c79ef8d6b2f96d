"""UDPTL (T.38 clause 9): IFP packets in numbered datagrams, each with what repairs the loss of those before it.

Redundancy repeats the last packets whole. Parity sends, for each of some interleaved rows of packets, their
exclusive-or, from which one missing of a row comes back; its length is not told, so zeros may follow it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_REDUNDANCY, MOST_SPAN, MOST_ROWS = 7, 5, 5
NUMBERS = 1 << 16
RESTART = 2000
"""A number further away than that begins anew."""
NEAR = 64
"""So far ahead a number is believed by itself; two seconds of packets."""
WINDOW = 16
"""So many datagrams are held while one before them is missing."""
IN_A_ROW = 3
"""How far a datagram may be after the one before it, for both to be of the same stream from another place."""
KEPT = 2 * MOST_SPAN * MOST_ROWS + WINDOW
"""So many of the last packets are kept, to repair others by parity."""
_LONGEST = 0x3FFF
_REDUNDANCY, _PARITY = 0x00, 0x80


class UdptlMalformed(ValueError):
    """Octets that are no UDPTL packet."""


class Parity(NamedTuple):
    """What repairs packets by exclusive-or: ``span`` packets go into each of the rows."""

    span: int
    rows: tuple[bytes, ...]


class Datagram(NamedTuple):
    """One UDPTL packet.

    Attributes:
        number: 0 to 65535.
        primary: the IFP packet that is new.
        secondaries: those before it, the last first.
        parity: instead of them.
    """

    number: int
    primary: bytes
    secondaries: tuple[bytes, ...] = ()
    parity: Parity | None = None


# -------------------------------------------------------------------------------------------------------------- octets


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    if length <= _LONGEST:
        return bytes((0x80 | length >> 8, length & 0xFF))
    raise ValueError(f"{length} octets are more than a datagram holds")


def encode(datagram: Datagram) -> bytes:
    """Write a UDPTL packet.

    Raises:
        ValueError: if something in it is too long.
    """
    number, primary, secondaries, parity = datagram
    parts = [number.to_bytes(2, "big"), _length(len(primary)), primary]
    if parity is None:
        parts.append(bytes((_REDUNDANCY, len(secondaries))))
        for each in secondaries:
            parts += (_length(len(each)), each)
    else:
        parts.append(bytes((_PARITY, 1, parity.span, len(parity.rows))))
        for each in parity.rows:
            parts += (_length(len(each)), each)
    return b"".join(parts)


def decode(octets: bytes) -> Datagram:
    """Read a UDPTL packet.

    Raises:
        UdptlMalformed: if it is none.
    """
    try:
        at, primary = _octets(octets, 2)
        parity = None
        secondaries: tuple[bytes, ...] = ()
        if octets[at] & _PARITY:
            at, parity = _parity(octets, at + 1)
        else:
            at, secondaries = _several(octets, at + 1)
    except IndexError:
        raise UdptlMalformed("cut off") from None
    if at != len(octets):  # a slice that reaches beyond the end is short, and says nothing
        raise UdptlMalformed(f"{len(octets)} octets where there should be {at}")
    return Datagram(octets[0] << 8 | octets[1], primary, secondaries, parity)


def _octets(octets: bytes, at: int) -> tuple[int, bytes]:
    """Read octets with their length before them; return where they end, and them."""
    size = octets[at]
    at += 1
    if size >= 0x80:
        if size >= 0xC0:
            raise UdptlMalformed("a length that cannot be")
        size = (size & 0x3F) << 8 | octets[at]
        at += 1
    end = at + size
    return end, octets[at:end]


def _several(octets: bytes, at: int) -> tuple[int, tuple[bytes, ...]]:
    count = octets[at]
    if count >= 0x80:
        raise UdptlMalformed("a count that cannot be")
    at += 1
    found = []
    for _ in range(count):
        size = octets[at]
        if size < 0x80:
            end = at + 1 + size
            found.append(octets[at + 1 : end])
        else:
            end, each = _octets(octets, at)
            found.append(each)
        at = end
    return at, tuple(found)


def _parity(octets: bytes, at: int) -> tuple[int, Parity]:
    at, span = _octets(octets, at)
    if len(span) != 1 or not 0 < span[0] < 0x80:
        raise UdptlMalformed("parity over no packets")
    at, rows = _several(octets, at)
    return at, Parity(span[0], rows)


# ------------------------------------------------------------------------------------------------------------- sending


@dataclass(frozen=True, slots=True)
class Protection:
    """How packets are protected: by so many repeated ones, or by so many rows of parity over ``span`` packets each."""

    redundancy: int = 3
    span: int = 0
    rows: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.redundancy <= MOST_REDUNDANCY:
            raise ValueError(f"redundancy is 0 to {MOST_REDUNDANCY}")
        if not (0 <= self.span <= MOST_SPAN and 1 <= self.rows <= MOST_ROWS):
            raise ValueError(f"parity spans up to {MOST_SPAN} packets in 1 to {MOST_ROWS} rows")


class Numbering:
    """Numbers packets, and adds what repairs those before."""

    def __init__(self, protection: Protection, *, most: int, first: int = 0) -> None:
        """Begin.

        Args:
            protection: how packets are protected.
            most: octets that a datagram may have; what repairs others is left out where it would be longer.
            first: number of the first packet.
        """
        self.protection = protection
        self.most = most
        self._next = first
        self._last: deque[bytes] = deque(maxlen=protection.redundancy)
        """The last packets as they are repeated, with their lengths; the last first."""
        self._members: deque[bytes] = deque(maxlen=protection.span * protection.rows)
        """Those that parity is made of; the last first."""

    def datagram(self, primary: bytes) -> bytes:
        """Return the next datagram, which brings ``primary``."""
        number = self._next.to_bytes(2, "big")
        self._next = (self._next + 1) % NUMBERS
        coded = _length(len(primary)) + primary
        if self.protection.span:
            repair = self._parity(self.most - len(coded) - 2)
            self._members.appendleft(primary)
            return number + coded + repair
        last = self._fitting(self.most - len(coded) - 4)
        self._last.appendleft(coded)
        return b"".join((number, coded, _COUNTS[len(last)], *last))

    def _fitting(self, room: int) -> Sequence[bytes]:
        """Return the last packets, as far as there is room for them."""
        if sum(map(len, self._last)) <= room:
            return tuple(self._last)
        fitting = []
        for each in self._last:
            room -= len(each)
            if room < 0:
                break
            fitting.append(each)
        return fitting

    def _parity(self, room: int) -> bytes:
        """Return the parity of the last packets; none while there are too few of them, or where it does not fit."""
        span, rows = self.protection.span, min(self.protection.rows, len(self._members) // self.protection.span)
        # Counted back from the packet to come, row ``r`` has those ``rows - r``, ``2 * rows - r``, ... before it.
        made = [xor([self._members[each * rows - row - 1] for each in range(1, span + 1)]) for row in range(rows)]
        coded = b"".join((bytes((_PARITY, 1, span, rows)), *(_length(len(each)) + each for each in made)))
        return coded if rows and len(coded) <= room else _COUNTS[0]


_COUNTS = tuple(bytes((_REDUNDANCY, each)) for each in range(MOST_REDUNDANCY + 1))


def xor(packets: Sequence[bytes]) -> bytes:
    """Return the exclusive-or of packets, as long as the longest."""
    length = max(len(each) for each in packets)
    value = 0
    for each in packets:
        value ^= int.from_bytes(each.ljust(length, b"\0"), "big")
    return value.to_bytes(length, "big")


# ----------------------------------------------------------------------------------------------------------- receiving


class Arrived(NamedTuple):
    """A packet, in its turn.

    Attributes:
        octets: the IFP packet.
        repaired: it came back from parity, so zeros may follow it.
    """

    octets: bytes
    repaired: bool = False


class Missing(NamedTuple):
    """So many packets in a row are lost for good."""

    packets: int


@dataclass(slots=True)
class Counts:
    """What came of the datagrams of a call."""

    received: int = 0
    malformed: int = 0
    repeated: int = 0
    """That came a second time, or too late."""
    repaired: int = 0
    lost: int = 0
    restarts: int = 0
    implausible: int = 0
    """That came alone, with a number far from all others."""


class Ordering:
    """Puts packets in order, repairs what it can, drops what came before, and tells what is lost.

    It waits for a missing packet while up to ``WINDOW`` later ones are held; ``give_up`` ends the wait.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self._next: int | None = None
        self._held: dict[int, Arrived] = {}
        self._kept: dict[int, bytes] = {}
        self._rows: deque[tuple[int, Parity]] = deque(maxlen=WINDOW)
        self._stray: Datagram | None = None
        """The last datagram, if its number is far from the others': it counts once another follows it."""
        self._elsewhere: int | None = None
        """The number of the last datagram from elsewhere, if nothing came from where the others did since."""

    @property
    def waits(self) -> bool:
        """Whether something is held because one before it is missing."""
        return bool(self._held)

    def take(self, octets: bytes) -> list[Arrived | Missing]:
        """Take a datagram; return what is to be delivered now, in order.

        One that is malformed is counted, and nothing comes of it.
        """
        try:
            datagram = decode(octets)
        except UdptlMalformed:
            self.counts.malformed += 1
            return []
        self.counts.received += 1
        self._elsewhere = None
        number, primary, _, parity = datagram
        if number == self._next and primary and parity is None and not self._held and not self._rows:
            self._keep(number, primary)  # as it nearly always is
            self._next = (number + 1) % NUMBERS
            self._stray = None
            return [Arrived(primary)]
        return self._taken(datagram)

    def _taken(self, datagram: Datagram) -> list[Arrived | Missing]:
        number = datagram.number
        if self._next is None:
            self._next = number
        if not self._is_near(number):
            return self._far(datagram)
        self._stray = None
        if _ahead(number, self._next) < 0:
            self.counts.repeated += 1
            return []
        return self._accepted(datagram)

    def _is_near(self, number: int) -> bool:
        """Tell whether a number is one of those that may come next."""
        if self._next is None:
            return True
        furthest = max((_ahead(each, self._next) for each in self._held), default=0)
        return -RESTART <= _ahead(number, self._next) <= furthest + NEAR

    def _far(self, datagram: Datagram) -> list[Arrived | Missing]:
        """Take a datagram far from the others: anybody's, or the first after long silence or after a restart."""
        stray, self._stray = self._stray, datagram
        if stray is None or not 0 <= _ahead(datagram.number, stray.number) <= WINDOW:
            self.counts.implausible += 1
            return []
        assert self._next is not None
        self.counts.implausible -= 1
        self._stray = None
        again = not -RESTART <= _ahead(stray.number, self._next) <= RESTART
        events = self._restarted(stray) if again else self._accepted(stray)
        return events + self._taken(datagram) if datagram.number != stray.number else events

    def _accepted(self, datagram: Datagram) -> list[Arrived | Missing]:
        number = datagram.number
        if self._skips_zero(datagram):
            self._next = number
        elif number in self._held:
            self.counts.repeated += 1
        self._hold(number, datagram.primary)
        for back, each in enumerate(datagram.secondaries, 1):
            self._hold((number - back) % NUMBERS, each, late=True)
        if datagram.parity is not None:
            self._rows.append((number, datagram.parity))
        if self._rows:
            self._repair()
        return self._delivered()

    def fits(self, octets: bytes) -> bool:
        """Tell whether a datagram from elsewhere goes on with what came before, as the second one in a row.

        Before there is anything to go on with, the first one does. Two by chance are not in a row: what comes between
        them begins anew.
        """
        before, self._elsewhere = self._elsewhere, None
        try:
            number = decode(octets).number
        except UdptlMalformed:
            return False
        if self._next is None:
            return True
        if _ahead(number, self._next) < 0 or not self._is_near(number):
            return False
        self._elsewhere = number
        return before is not None and 0 <= _ahead(number, before) <= IN_A_ROW

    def give_up(self) -> list[Arrived | Missing]:
        """Wait no longer for what is missing; return what is to be delivered now."""
        return self._skipped() + self._delivered() if self._held else []

    def _restarted(self, datagram: Datagram) -> list[Arrived | Missing]:
        """Go on with another number, far away: the sender has begun anew."""
        self.counts.restarts += 1
        held = self.give_up()
        while self._held:
            held += self.give_up()
        self._kept.clear()
        self._rows.clear()
        self._next = datagram.number
        return held + self._taken(datagram)

    def _skips_zero(self, datagram: Datagram) -> bool:
        """Tell whether this is number 1 after 65535 from a sender that has no 0: it repeats 65535 and 65534."""
        repeated = datagram.secondaries[:2]
        last = (self._kept.get(NUMBERS - 1), self._kept.get(NUMBERS - 2))
        return self._next == 0 and datagram.number == 1 and bool(repeated) and repeated == last[: len(repeated)]

    def _hold(self, number: int, octets: bytes, *, late: bool = False) -> None:
        assert self._next is not None
        if not octets or not 0 <= _ahead(number, self._next) <= RESTART or number in self._held:
            return
        self.counts.repaired += late
        self._held[number] = Arrived(octets)

    def _delivered(self) -> list[Arrived | Missing]:
        """Return what is next without a gap; a gap is waited for until too many are held after it."""
        assert self._next is not None
        ready: list[Arrived | Missing] = []
        while self._held:
            arrived = self._held.pop(self._next, None)
            if arrived is None:
                if len(self._held) <= WINDOW:
                    break
                ready += self._skipped()
                continue
            ready.append(arrived)
            self._keep(self._next, arrived.octets)
            self._next = (self._next + 1) % NUMBERS
        return ready

    def _skipped(self) -> list[Arrived | Missing]:
        """Go on with the first that is held; what is missing before it is lost."""
        assert self._next is not None
        first = min(self._held, key=lambda number: _ahead(number, self._next or 0))
        count = _ahead(first, self._next)
        if not count:
            return []
        self.counts.lost += count
        self._next = first
        return [Missing(count)]

    def _keep(self, number: int, octets: bytes) -> None:
        self._kept[number] = octets
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    # ------------------------------------------------------------------------------------------------ repair by parity

    def _repair(self) -> None:
        """Bring packets back of whose row only one is missing, as long as that brings more of them back."""
        while any(
            self._repaired(number, parity, row) for number, parity in self._rows for row in range(len(parity.rows))
        ):
            pass

    def _repaired(self, number: int, parity: Parity, row: int) -> bool:
        assert self._next is not None
        rows = len(parity.rows)
        members = [(number - (each * rows - row)) % NUMBERS for each in range(1, parity.span + 1)]
        unknown = [each for each in members if each not in self._kept and each not in self._held]
        if len(unknown) != 1 or not 0 <= _ahead(unknown[0], self._next) <= RESTART:
            return False
        known = [
            self._kept[each] if each in self._kept else self._held[each].octets
            for each in members
            if each not in unknown
        ]
        octets = xor([parity.rows[row], *known])
        if not any(octets):
            return False
        self._held[unknown[0]] = Arrived(octets, repaired=True)
        self.counts.repaired += 1
        return True


def _ahead(number: int, of: int) -> int:
    """Return how far a number is after another, modulo 65536: negative if it is before."""
    return (number - of + NUMBERS // 2) % NUMBERS - NUMBERS // 2
