"""RTP packets, whatever comes in, and blocks in order out of them."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.g711 import rtp
from drivers.g711.reordering import HELD, JUMP, LONGEST, PAUSE, Reordering
from drivers.g711.rtp import Packet, RtpMalformed, after, decode, encode

SILENCE = 0xD5
PACKETS = st.builds(
    Packet,
    st.integers(0, 127).filter(lambda kind: not 64 <= kind < 96),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=200),
    st.booleans(),
)


@given(PACKETS)
def test_a_packet_survives_the_wire(packet: Packet) -> None:
    assert decode(encode(packet)) == packet


@given(PACKETS, st.integers(0, 15), st.none() | st.integers(0, 9), st.integers(0, 255))
def test_sources_extension_and_padding_are_taken_off(packet: Packet, sources: int, words: int | None, pad: int) -> None:
    octets = bytearray(encode(packet))
    payload = bytes(octets[12:])
    del octets[12:]
    octets[0] |= sources | (0x10 if words is not None else 0) | (0x20 if pad else 0)
    octets += b"\xee" * (4 * sources)
    if words is not None:
        octets += b"\xbe\xde" + words.to_bytes(2, "big") + b"\xee" * (4 * words)
    octets += payload + (bytes(pad - 1) + bytes((pad,)) if pad else b"")
    assert decode(bytes(octets)) == packet


def cut(header: str, *, rest: int = 0) -> bytes:
    return bytes.fromhex(header) + bytes(rest)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        cut("80 08 00 01 00 00 00 A0 00 00 00"),
        cut("40 08 00 01 00 00 00 A0 00 00 00 01", rest=160),
        cut("80 C8 00 06 00 00 00 A0 00 00 00 01", rest=16),
        cut("83 08 00 01 00 00 00 A0 00 00 00 01", rest=8),
        cut("90 08 00 01 00 00 00 A0 00 00 00 01 BE DE"),
        cut("90 08 00 01 00 00 00 A0 00 00 00 01 BE DE 00 09", rest=32),
        cut("A0 08 00 01 00 00 00 A0 00 00 00 01", rest=160),
        cut("A0 08 00 01 00 00 00 A0 00 00 00 01 D5 03"),
        cut("A0 08 00 01 00 00 00 A0 00 00 00 00"),
    ],
)
def test_what_is_no_rtp_is_refused(octets: bytes) -> None:
    with pytest.raises(RtpMalformed):
        decode(octets)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda octets: b"\xb3" + octets))
def test_anything_is_a_packet_or_is_refused(octets: bytes) -> None:
    try:
        packet = decode(octets)
    except RtpMalformed:
        return
    assert len(packet.payload) <= len(octets) - 12


def test_our_numbers_wrap() -> None:
    class Last(Random):
        def randrange(self, *limits: int) -> int:  # type: ignore[override]
            return limits[0] - 1

    numbering = rtp.Numbering(8, Last())
    packets = [decode(numbering.packet(bytes(160))) for _ in range(3)]
    assert [each.sequence for each in packets] == [0xFFFF, 0, 1]
    assert [each.timestamp for each in packets] == [0xFFFFFFFF, 159, 319]
    assert after(packets[1].timestamp, packets[0].timestamp) == 160
    assert after(packets[0].timestamp, packets[1].timestamp) == -160


# ---------------------------------------------------------------------------------------------------------- reordering


def stream(samples: int, *, size: int = 160, first: int = 0, source: int = 7) -> list[Packet]:
    """Return packets whose octets tell their place."""
    return [
        Packet(
            8, at // size & 0xFFFF, first + at & 0xFFFFFFFF, source, bytes(each % 199 for each in range(at, at + size))
        )
        for at in range(0, samples, size)
    ]


def sound(samples: int) -> bytes:
    return bytes(each % 199 for each in range(samples))


def heard(packets: list[Packet], order: Reordering | None = None) -> bytes:
    order = order or Reordering(SILENCE)
    blocks = [block for packet in packets for block in order.take(packet)]
    assert {len(block) for block in blocks} <= {160}
    return b"".join(blocks)


@pytest.mark.parametrize("first", [0, 0xFFFFFFFF - 500, 0x7FFFFFFF - 500])
@pytest.mark.parametrize("size", [80, 160, 240, 320, 480, 1])
def test_packets_of_any_size_become_blocks_of_20_ms(size: int, first: int) -> None:
    assert heard(stream(4800, size=size, first=first)) == sound(4800)


@given(st.integers(0, 2**32 - 1), st.randoms(use_true_random=False), st.sampled_from([80, 160, 240]))
def test_order_and_doubles_within_a_tenth_of_a_second_make_no_difference(first: int, random: Random, size: int) -> None:
    packets = stream(7200, size=size, first=first)
    near = HELD // size - 1
    late = sorted(range(1, len(packets)), key=lambda at: at + random.uniform(0, near))
    mixed = [packets[0]]
    for at in late:
        mixed += [packets[at]] * random.choice((1, 1, 2))
    assert heard(mixed) == sound(7200)


def test_what_never_comes_is_silence_of_its_length() -> None:
    packets = stream(8000, first=0xFFFFFFFF - 2000)
    order = Reordering(SILENCE)
    got = heard(packets[:10] + packets[13:20] + packets[21:], order)
    expected = bytearray(sound(8000))
    expected[1600:2080] = bytes((SILENCE,)) * 480
    expected[3200:3360] = bytes((SILENCE,)) * 160
    assert got == bytes(expected)
    assert order.filled == 640


def test_what_comes_after_its_place_was_filled_is_late() -> None:
    packets = stream(4800)
    order = Reordering(SILENCE)
    got = heard([*packets[:3], *packets[4:20], packets[3], *packets[20:]], order)
    assert got[480:640] == bytes((SILENCE,)) * 160
    assert len(got) == 4800
    assert order.late == 1


def test_packets_that_overlap_are_joined_at_the_right_sample() -> None:
    one, two = stream(480, size=240), stream(480, size=160)
    assert heard([one[0], two[1], two[2]]) == sound(480)


def test_another_source_is_followed_from_its_second_packet_on() -> None:
    ours, theirs = stream(1600), stream(1600, first=99999, source=8)
    assert heard([*ours[:5], theirs[0], *ours[5:]]) == sound(1600)
    assert heard([*ours[:5], *theirs]) == sound(800) + sound(1600)[160:]


@pytest.mark.parametrize("jump", [JUMP + 1, 1 << 31, 5_000_000])
def test_a_jump_forward_is_a_pause_and_never_fills_more_than_that(jump: int) -> None:
    got = heard([*stream(800), *stream(1600, first=800 + jump)])
    assert got == sound(800) + (bytes((SILENCE,)) * PAUSE if jump < 1 << 31 else b"") + sound(1600)


@pytest.mark.parametrize("back", [JUMP + 800, JUMP - 800, 400])
def test_a_stream_that_begins_anew_in_the_past_is_taken_again_soon(back: int) -> None:
    got = heard([*stream(16000), *stream(16000, first=16000 - back)])
    assert got.startswith(sound(16000))
    assert len(got) >= 32000 - 5 * 160


def test_packets_with_more_than_anybody_sends_or_with_nothing_are_none() -> None:
    order = Reordering(SILENCE)
    assert order.take(Packet(8, 0, 0, 7, bytes(LONGEST + 1))) == order.take(Packet(8, 0, 0, 7, b"")) == []
    assert order.source is None
    assert order.take(Packet(8, 0, 160, 7, bytes(160))) == [bytes(160)]


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 2000)), max_size=60))
def test_it_holds_little_whatever_comes(junk: list[tuple[int, int, int]]) -> None:
    order = Reordering(SILENCE)
    for timestamp, source, size in junk:
        given_out = order.take(Packet(8, 0, timestamp % 20000 if timestamp % 2 else timestamp, source, bytes(size)))
        assert sum(map(len, given_out)) <= JUMP + HELD + 2 * LONGEST
        assert sum(map(len, order._held.values())) <= 2 * (HELD + LONGEST)
        assert len(order._ready) < 160
