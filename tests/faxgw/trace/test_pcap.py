"""The capture file: read here octet by octet; ``tests/interop/test_tshark.py`` has Wireshark's own decoder read it."""

import ipaddress
import struct
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.t38.media import Agreed
from drivers.witness import Seen, Wire
from faxgw import cli
from faxgw.trace.pcap import pcap, reading
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder, Trace
from t30.capabilities import Station
from t30.outcome import Direction
from tests.faxgw.trace.calls import t38_calls

OFFER = b"INVITE sip:1@192.0.2.2 SIP/2.0\r\n\r\nv=0\r\nm=image 4000 udptl t38\r\n"


@dataclass(frozen=True)
class Packet:
    """What a capture file says of a packet."""

    at: float
    source: tuple[str, int]
    target: tuple[str, int]
    octets: bytes


def packets_of(capture: bytes) -> list[Packet]:
    """Read a capture file; every length and checksum in it must be right."""
    magic, major, minor, zone, accuracy, longest, link = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor, zone, accuracy, longest, link) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    packets, at = [], 24
    while at < len(capture):
        seconds, micros, kept, length = struct.unpack_from("<IIII", capture, at)
        assert kept == length
        packets.append(_packet(seconds + micros / 1e6, capture[at + 16 : at + 16 + length]))
        at += 16 + length
    return packets


def _packet(at: float, octets: bytes) -> Packet:
    if octets[0] >> 4 == 4:
        assert octets[0] == 0x45 and octets[9] == 17 and _sum(octets[:20]) == 0xFFFF
        assert int.from_bytes(octets[2:4], "big") == len(octets)
        ends, udp = octets[12:20], octets[20:]
    else:
        assert octets[6] == 17 and int.from_bytes(octets[4:6], "big") == len(octets) - 40
        ends, udp = octets[8:40], octets[40:]
    from_port, to_port, length, checksum = struct.unpack_from("!HHHH", udp)
    assert length == len(udp) and checksum
    assert _sum(ends + struct.pack("!HH", 17, length) + udp) == 0xFFFF
    half = len(ends) // 2
    hosts = [str(ipaddress.ip_address(each)) for each in (ends[:half], ends[half:])]
    return Packet(at, (hosts[0], from_port), (hosts[1], to_port), udp[8:])


def _sum(octets: bytes) -> int:
    total = sum(int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(octets), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def trace_of(folder: Path, *seen: Seen) -> Trace:
    """Return the trace of a call in which nothing happened but this."""
    path = folder / "call.jsonl"
    with Recorder(path, direction=Direction.OUT, line="sip:", station=Station()):
        pass
    return Trace(read(path).header, (), None, seen, datetime(2026, 3, 1, 12, 0, tzinfo=UTC))


def sip(octets: bytes, *, at: float = 0.0, sent: bool = True, peer: str = "192.0.2.2", transport: str = "UDP") -> Seen:
    return Seen(at, Wire.SIP, sent, ("192.0.2.1", 5060), (peer, 5061), octets, transport)


def test_a_packet_is_what_was_seen(tmp_path: Path) -> None:
    seen = (sip(OFFER, at=-1.5, transport="TLS"), sip(b"odd", sent=False), sip(b"", at=61.25))
    first, second, third = packets_of(pcap(trace_of(tmp_path, *seen)))
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
    here, there = ("192.0.2.1", 5060), ("192.0.2.2", 5061)
    assert first == Packet(noon - 1.5, here, there, OFFER)
    assert second == Packet(noon, there, here, b"odd")
    assert third == Packet(noon + 61.25, here, there, b"")


@pytest.mark.parametrize(
    ("local", "peer", "hosts"),
    [
        ("2001:db8::1", "2001:db8::2", ("2001:db8::1", "2001:db8::2")),
        ("fe80::1%eth0", "fe80::2", ("fe80::1", "fe80::2")),
        ("192.0.2.1", "2001:db8::2", ("::ffff:c000:201", "2001:db8::2")),
        ("", "192.0.2.2", ("0.0.0.0", "192.0.2.2")),
    ],
)
def test_any_address_can_be_written(tmp_path: Path, local: str, peer: str, hosts: tuple[str, str]) -> None:
    seen = Seen(0.0, Wire.SIP, True, (local, 1), (peer, 2), b"x")
    (packet,) = packets_of(pcap(trace_of(tmp_path, seen)))
    expected = tuple(str(ipaddress.ip_address(each)) for each in hosts)
    assert (packet.source[0], packet.target[0]) == expected


@pytest.mark.parametrize("length", [1, 2, 65507, 65535])
def test_any_length_can_be_written(tmp_path: Path, length: int) -> None:
    octets = bytes(range(1, 256)) * 257
    for peer in ("192.0.2.2", "2001:db8::2"):
        (packet,) = packets_of(pcap(trace_of(tmp_path, sip(octets[:length], peer=peer))))
        assert packet.octets == octets[: min(length, 65507)]


@pytest.mark.parametrize("version", [0, 2])
def test_a_call_without_signalling_says_how_it_is_decoded(tmp_path: Path, version: int) -> None:
    for path in t38_calls(tmp_path, [bytes(500)], agreed=Agreed(version)):
        trace = read(path)
        assert len(packets_of(pcap(trace))) == len(trace.seen)
        syntax = ["-o t38.use_pre_corrigendum_asn1_specification:FALSE"] if version else []
        assert reading(trace) == ["-d udp.port==4000,t38", *syntax]


def test_a_call_whose_signalling_names_t38_needs_no_port(tmp_path: Path) -> None:
    datagram = Seen(1.0, Wire.UDPTL, True, ("192.0.2.1", 4000), ("192.0.2.2", 4000), b"\0\0\1\0\0\0")
    assert reading(trace_of(tmp_path, sip(OFFER), datagram)) == []
    assert reading(trace_of(tmp_path, sip(b"INVITE sip:x SIP/2.0"), datagram)) == ["-d udp.port==4000,t38"]


def faxgw(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["faxgw", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_writes_the_file_and_says_how_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = t38_calls(tmp_path, [bytes(500)], agreed=Agreed(3))
    file = tmp_path / "call.pcap"
    assert faxgw(monkeypatch, "trace", path, "--pcap", file) == 0
    assert packets_of(file.read_bytes())
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"to be read with: wireshark -r {file} -d udp.port==4000,t38 "
        "-o t38.use_pre_corrigendum_asn1_specification:FALSE\n"
    )
    assert faxgw(monkeypatch, "trace", path, "--pcap", tmp_path / "none" / "call.pcap") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_modem_call_is_written_and_said_to_be_made_up(
    small_call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "call.pcap"
    assert faxgw(monkeypatch, "trace", small_call, "--pcap", file) == 0
    assert len(packets_of(file.read_bytes())) > 200
    said = capsys.readouterr().err
    assert said == (
        f"{file}: SIP, addresses and packets are made up by faxgw from the recording of a modem call; "
        "page data are zeros\n"
    )


def test_a_recording_without_a_call_cannot_be_a_capture_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trace_of(tmp_path)
    assert faxgw(monkeypatch, "trace", tmp_path / "call.jsonl", "--pcap", tmp_path / "call.pcap") == 2
    assert "ends before the call began" in capsys.readouterr().err
    assert not (tmp_path / "call.pcap").exists()
