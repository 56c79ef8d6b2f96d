"""A recorded call as a capture file (pcap, the classic format) for Wireshark: what the line showed of its network.

Everything is written as UDP over IP. What travelled by TCP or TLS is, too: so it can be read without keys. A modem's
call, which has no network, is written as the packets that it would have been: see ``synthesis``.
"""

import ipaddress
import struct
from collections.abc import Iterator
from datetime import datetime

from drivers.t38 import udptl
from drivers.t38.ifp import Form, IfpMalformed, decode
from drivers.t38.udptl import UdptlMalformed
from drivers.witness import Seen, Wire
from faxgw.trace.record import Trace
from faxgw.trace.synthesis import synthesised

RAW = 101
"""LINKTYPE_RAW: packets begin with their IP header."""
SYNTAX = "t38.use_pre_corrigendum_asn1_specification"
"""Wireshark's preference for the form of T.38 packets; TRUE unless it is told otherwise."""

_MAGIC = 0xA1B2C3D4
_LARGEST = 65535
_UDP, _LIFE = 17, 64


def pcap(trace: Trace) -> bytes:
    """Return the capture file, with a packet for each message and datagram in the order of time."""
    seen = trace.seen or synthesised(trace)
    began = trace.began or datetime.fromisoformat(trace.header.started)
    start = began.timestamp()
    head = struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _LARGEST, RAW)
    return head + b"".join(_records(seen, start))


def _records(seen: tuple[Seen, ...], start: float) -> Iterator[bytes]:
    for number, each in enumerate(seen):
        microseconds = max(0, round((start + each.at) * 1e6))
        packet = _packet(each, number & 0xFFFF)
        length = len(packet)
        yield struct.pack("<IIII", *divmod(microseconds, 1_000_000), length, length) + packet


def _packet(seen: Seen, number: int) -> bytes:
    local, peer = _host(seen.local[0]), _host(seen.peer[0])
    if local.version != peer.version:
        local, peer = _as_v6(local), _as_v6(peer)
    ports = seen.local[1], seen.peer[1]
    source, target = (local, peer) if seen.sent else (peer, local)
    from_port, to_port = ports if seen.sent else reversed(ports)
    octets = seen.octets[: _LARGEST - 28]
    length = len(octets) + 8
    pseudo = source.packed + target.packed + struct.pack("!HBBH", 0, 0, _UDP, length)
    udp = struct.pack("!HHHH", from_port, to_port, length, 0)
    checksum = _checksum(pseudo + udp + octets) or 0xFFFF
    udp = struct.pack("!HHHH", from_port, to_port, length, checksum) + octets
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, length, _UDP, _LIFE) + source.packed + target.packed + udp
    fixed = struct.pack("!BBHHHBB", 0x45, 0, length + 20, number, 0, _LIFE, _UDP)
    ends = source.packed + target.packed
    return fixed + struct.pack("!H", _checksum(fixed + b"\0\0" + ends)) + ends + udp


def _checksum(octets: bytes) -> int:
    """Return the checksum of the Internet protocols."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _host(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address; that of nobody for what is none."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ipaddress.IPv4Address(0)


def _as_v6(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    return host if isinstance(host, ipaddress.IPv6Address) else ipaddress.IPv6Address(f"::ffff:{host}")


# ----------------------------------------------------------------------------------------------------- how to read it


def reading(trace: Trace) -> list[str]:
    """Return the options that Wireshark and tshark need to decode the file fully, each with its value."""
    options = []
    if not any(each.wire is Wire.SIP and _promises_t38(each.octets) for each in trace.seen):
        ports = sorted({each.local[1] for each in trace.seen if each.wire is Wire.UDPTL})
        options += [f"-d udp.port=={port},t38" for port in ports]
    if _form(trace) is Form.OF_2002:
        options.append(f"-o {SYNTAX}:FALSE")
    return options


def _promises_t38(message: bytes) -> bool:
    return b"udptl" in message.lower()


def _form(trace: Trace) -> Form | None:
    """Return how packets are written, by those that make sense in one form only; None if there are none."""
    for each in trace.seen:
        if each.wire is not Wire.UDPTL:
            continue
        try:
            packet = udptl.decode(each.octets).primary
        except UdptlMalformed:
            continue
        fitting = [form for form in Form if _fits(packet, form)]
        if len(fitting) == 1:
            return fitting[0]
    return None


def _fits(packet: bytes, form: Form) -> bool:
    try:
        decode(packet, form)
    except IfpMalformed:
        return False
    return True
