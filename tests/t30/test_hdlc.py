"""HDLC framing against known vectors, against its own inverse, and against a reader that goes bit by bit."""

from collections.abc import Iterable
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis.strategies import DataObject, binary, builds, data, integers, lists

from t30.hdlc import FLAG, LONGEST, Deframed, Deframer, fcs, stuffed

FRAMES = lists(binary(min_size=2, max_size=40) | builds(lambda n: b"\xff" * n, integers(2, 40)), max_size=6)


@pytest.mark.parametrize(
    ("octets", "check"),
    [
        (b"123456789", 0x906E),  # the check value of CRC-16/X.25 in the catalogue of CRCs
        (bytes.fromhex("03 3F"), 0xEC5B),  # the worked SABM frame of ISO 3309: 03 3F 5B EC
        (b"", 0x0000),
    ],
)
def test_fcs_agrees_with_published_values(octets: bytes, check: int) -> None:
    assert fcs(octets) == check


@given(octets=binary(max_size=300))
def test_fcs_is_the_remainder_of_a_shift_register(octets: bytes) -> None:
    register = 0xFFFF
    for bit in wire(octets):
        register = register >> 1 ^ (0x8408 if (register ^ int(bit)) & 1 else 0)
    assert fcs(octets) == register ^ 0xFFFF


def test_frame_goes_out_least_significant_bit_first_between_flags() -> None:
    sent = stuffed([bytes.fromhex("03 3F")], flags_first=2, flags_last=1)
    # 5 ones of 3F get a zero behind them, and so has every run of 5 in the FCS.
    expected = FLAG * 2 + "11000000" + "11111010" + "0" + "11011010" + "00110111" + FLAG
    assert wire(sent).startswith(expected)
    assert FLAG.startswith(wire(sent)[len(expected) :])


@pytest.mark.parametrize(("first", "last"), [(0, 2), (1, 0), (-1, 1)])
def test_frame_without_a_flag_on_either_side_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="flag"):
        stuffed([b"\xff\x13\x83"], flags_first=first, flags_last=last)


def test_no_frames_are_flags_only() -> None:
    assert stuffed([], flags_first=3, flags_last=2) == b"\x7e" * 4


@given(frames=FRAMES, first=integers(1, 4), last=integers(1, 3))
def test_what_is_stuffed_is_found_again(frames: list[bytes], first: int, last: int) -> None:
    deframer = Deframer()
    assert deframer.feed(stuffed(frames, flags_first=first, flags_last=last)) == good(frames)
    assert deframer.flags_seen


@given(frames=FRAMES)
def test_stuffed_bits_never_imitate_a_flag(frames: list[bytes]) -> None:
    *bodies, _ = wire(stuffed(frames, flags_first=1, flags_last=1)).split(FLAG)
    assert len(bodies) == len(frames) + 1
    assert not any("111111" in body for body in bodies)


@pytest.mark.parametrize("offset", range(8))
def test_frames_are_found_at_any_bit_offset(offset: int) -> None:
    frames = [bytes.fromhex("FF C0 02"), bytes(range(256)), b"\xff" * 64]
    sent = wire(stuffed(frames, flags_first=2))
    assert Deframer().feed(octets("1" * offset + sent)) == good(frames)
    assert Deframer().feed(octets("0" * offset + sent)) == good(frames)


@given(data=data(), stream=binary(max_size=200), frames=FRAMES)
def test_any_chunking_gives_the_same_frames(data: DataObject, stream: bytes, frames: list[bytes]) -> None:
    stream = stream + stuffed(frames, flags_first=1) + stream
    cuts = sorted(data.draw(lists(integers(0, len(stream)), max_size=12)))
    deframer = Deframer()
    found = [frame for start, end in pairwise([0, *cuts, len(stream)]) for frame in deframer.feed(stream[start:end])]
    assert found == Deframer().feed(stream)
    assert octet_by_octet(stream) == found


@given(octets=binary(max_size=400))
@example(b"\x7e\x7e\x3f\x7e")
@example(b"\xff" * 9 + b"\x7e\x00\x00\x00\x00\x7e")
@example(bytes.fromhex("7E FF C0 02 E0 7F 7E FF C0 02 7E"))
def test_noise_gives_what_a_reader_bit_by_bit_finds(octets: bytes) -> None:
    assert Deframer().feed(octets) == naive(wire(octets))


def test_every_pattern_near_a_flag_is_read_as_bit_by_bit() -> None:
    for parts in product(("111", "11111", "1", "0", FLAG), repeat=5):
        bits = FLAG + "00000101" * 5 + "".join(parts) + "00000101" * 5 + FLAG
        bits += "0" * (-len(bits) % 8)
        assert octet_by_octet(octets(bits)) == naive(bits), parts


def test_flags_may_share_their_zero() -> None:
    frame = stuffed_bits(b"\xff\xc0\x02")
    shared = FLAG + FLAG[1:] + FLAG[1:] + frame + FLAG + FLAG[1:] + frame + FLAG + "0000000"
    assert Deframer().feed(octets(shared)) == good([b"\xff\xc0\x02"] * 2)


def test_abort_drops_the_frame_and_the_next_one_arrives() -> None:
    frame = stuffed_bits(b"\xff\xc0\x02")
    for ones in (7, 8, 15, 200):
        bits = FLAG + frame[:20] + "0" + "1" * ones + "0" + frame + FLAG + frame + FLAG
        assert octet_by_octet(octets(bits)) == good([b"\xff\xc0\x02"]), f"{ones} ones"


def test_idle_line_of_ones_opens_no_frame() -> None:
    for ones in range(7, 40):
        bits = "1" * ones + "0" + stuffed_bits(b"\xff\xc0\x02") + FLAG
        assert octet_by_octet(octets(bits)) == [], f"{ones} ones"


def test_frame_with_a_wrong_bit_is_bad_but_told() -> None:
    sent = bytearray(stuffed([bytes.fromhex("FF C0 02 00")], flags_first=1))
    sent[3] ^= 0x04  # its second bit, since FF took one more
    (frame,) = Deframer().feed(bytes(sent))
    assert frame == Deframed(bytes.fromhex("FF C0 00 00"), False)


def test_frame_that_is_not_whole_octets_is_bad() -> None:
    frame = stuffed_bits(b"\xff\xc0\x02")
    found = Deframer().feed(octets(FLAG + frame + "0" + FLAG))
    assert found == [Deframed(b"\xff\xc0\x02", False)]


@pytest.mark.parametrize("content", [b"", b"\xff"])
def test_frame_shorter_than_address_control_and_fcs_is_noise(content: bytes) -> None:
    assert Deframer().feed(stuffed([content, b"\xff\xc0"], flags_first=1)) == good([b"\xff\xc0"])


def test_line_that_never_sends_a_flag_holds_little_and_the_next_frame_arrives() -> None:
    deframer = Deframer()
    after = stuffed([b"\xff\xc0\x02"], flags_first=2)
    for noise in (b"\x55" * 50_000, b"\xff" * 50_000, b"\x7e" + b"\x55" * 50_000):
        for start in range(0, len(noise), 100):
            assert deframer.feed(noise[start : start + 100]) == []
            assert len(deframer._pending) < 2 * 8 * LONGEST  # the memory is what is promised
        assert deframer.feed(after) == good([b"\xff\xc0\x02"])


@pytest.mark.parametrize("filling", [b"\x00", b"\x55", b"\xff"])
def test_longest_frame_passes_and_a_longer_one_is_dropped_in_any_chunking(filling: bytes) -> None:
    longest, longer = filling * (LONGEST - 2), filling * (LONGEST - 1)
    stream = stuffed([longest, longer, longest], flags_first=1)
    assert Deframer().feed(stream) == good([longest, longest])
    assert octet_by_octet(stream) == good([longest, longest])


def test_flags_are_not_seen_before_one_arrives() -> None:
    deframer = Deframer()
    deframer.feed(b"\x00\xff\xff\x00\x55")
    assert not deframer.flags_seen
    deframer.feed(b"\x7e\x00")
    assert deframer.flags_seen


def naive(bits: str) -> list[Deframed]:
    """Find frames the slow way: one bit at a time, a list of the bits since the last flag."""
    found: list[Deframed] = []
    since: list[str] | None = None
    ones = 0
    for bit in bits:
        if since is not None:
            since.append(bit)
        if bit == "1":
            ones += 1
            continue
        if ones == 6:
            if since is not None:
                found += judged(since[:-8])
            since = []
        elif ones > 6:
            since = None
        ones = 0
    return found


def judged(bits: list[str]) -> Iterable[Deframed]:
    kept: list[str] = []
    ones = 0
    for bit in bits:
        if ones != 5:
            kept.append(bit)
        ones = ones + 1 if bit == "1" else 0
    whole = [sum(int(bit) << place for place, bit in enumerate(kept[n : n + 8])) for n in range(0, len(kept) - 7, 8)]
    if len(whole) >= 4:
        content = bytes(whole[:-2])
        yield Deframed(content, len(kept) % 8 == 0 and fcs(content) == whole[-2] | whole[-1] << 8)


def good(frames: list[bytes]) -> list[Deframed]:
    return [Deframed(frame, True) for frame in frames]


def octet_by_octet(stream: bytes) -> list[Deframed]:
    deframer = Deframer()
    return [frame for octet in stream for frame in deframer.feed(bytes([octet]))]


def stuffed_bits(frame: bytes) -> str:
    return wire(stuffed([frame], flags_first=1, flags_last=1)).partition(FLAG)[2].partition(FLAG)[0]


def wire(octets: bytes) -> str:
    return "".join(f"{octet:08b}"[::-1] for octet in octets)


def octets(bits: str) -> bytes:
    bits += FLAG[: -len(bits) % 8]
    return bytes(int(bits[n : n + 8][::-1], 2) for n in range(0, len(bits), 8))
