"""A capture of all that goes over loopback, and of what each side of each connection said, in its order."""

import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

ALL, LOOPBACK = 0x0003, "lo"
OUTGOING = 4
"""Of a packet on loopback, the first of the two times that it is seen."""
SOL_PACKET, STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
ROOM = 1 << 28
"""Octets that may wait in the kernel."""
TCP, UDP = 6, 17


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of one connection: ports, and both addresses as octets."""

    source: bytes
    source_port: int
    to: bytes
    to_port: int


@dataclass
class Capture:
    """Everything that goes over loopback while it is open; needs the right to look (root).

    Raises:
        PermissionError: without it.
    """

    segments: dict[Way, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    datagrams: list[tuple[Way, bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(0.05)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        _, lost = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, STATISTICS, 8))
        self._socket.close()
        assert kind or not lost, f"{lost} packets were not captured"

    def said(self, port: int | None = None) -> Iterator[bytes]:
        """Go through what each side of each connection said, whole; only to or from a port, if one is given."""
        for way, segments in self.segments.items():
            if port is None or port in (way.source_port, way.to_port):
                yield _in_order(segments)
        for way, octets in self.datagrams:
            if port is None or port in (way.source_port, way.to_port):
                yield octets

    def sent_to(self, port: int) -> bytes:
        """Return all that was said to a port."""
        return b"".join(_in_order(segments) for way, segments in self.segments.items() if way.to_port == port)

    def _take(self) -> None:
        while True:
            try:
                octets, (_, _, kind, _, _) = self._socket.recvfrom(1 << 17)
            except TimeoutError:
                if self._ends.is_set():
                    return
                continue
            if kind != OUTGOING:
                self._note(octets[14:])

    def _note(self, packet: bytes) -> None:
        """Take note of an IP packet; loopback has no fragments and no extension headers."""
        if packet[0] >> 4 == 4:
            kind, begin, source, to = packet[9], 4 * (packet[0] & 15), packet[12:16], packet[16:20]
            packet = packet[: struct.unpack_from("!H", packet, 2)[0] or None]
        else:
            kind, begin, source, to = packet[6], 40, packet[8:24], packet[24:40]
        if kind not in (TCP, UDP):
            return
        ports = struct.unpack_from("!HH", packet, begin)
        way = Way(source, ports[0], to, ports[1])
        if kind == UDP:
            self.datagrams.append((way, packet[begin + 8 :]))
            return
        payload = packet[begin + 4 * (packet[begin + 12] >> 4) :]
        if payload:
            self.segments[way][struct.unpack_from("!I", packet, begin + 4)[0]] = payload


def _in_order(segments: dict[int, bytes]) -> bytes:
    """Put segments one behind the other; what was sent twice is there once."""
    first = next(iter(segments))
    placed = sorted(((number - first + (1 << 31)) % (1 << 32), octets) for number, octets in segments.items())
    found, at = bytearray(), placed[0][0]
    for place, octets in placed:
        found += octets[max(0, at - place) :]
        at = max(at, place + len(octets))
    return bytes(found)
