"""DLE stuffing, fed whole, in pieces and with rubbish after it."""

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, sampled_from

from drivers.class1.dle import END, Unstuffer, stuffed

DLE_RICH = lists(sampled_from([0x00, 0x03, 0x0D, 0x10, 0x11, 0x13, 0x1A, 0xFF]), max_size=60).map(bytes)
RESULT = b"\r\nNO CARRIER\r\n"


def undone(stream: bytes, *, doubled: bool, size: int) -> tuple[bytes, bytes, bool]:
    """Feed a stream in pieces; return the data, what came after its end, and whether that was seen."""
    unstuffer = Unstuffer(doubled=doubled)
    data = b""
    for start in range(0, len(stream), size):
        more, rest = unstuffer.feed(stream[start : start + size])
        data += more
        if unstuffer.ended:
            return data, rest + stream[start + size :], True
        assert rest == b""
    return data, b"", False


@given(octets=DLE_RICH | binary(max_size=60), size=integers(1, 70), rubbish=binary(max_size=20))
def test_what_was_stuffed_comes_back_whatever_the_chunking_and_what_follows(
    octets: bytes, size: int, rubbish: bytes
) -> None:
    assert undone(stuffed(octets) + END + rubbish, doubled=True, size=size) == (octets, rubbish, True)


@given(stream=DLE_RICH, size=integers(1, 70))
def test_any_chunking_of_anything_gives_the_same(stream: bytes, size: int) -> None:
    for doubled in (True, False):
        assert undone(stream, doubled=doubled, size=size) == undone(stream, doubled=doubled, size=len(stream) or 1)


@given(octets=DLE_RICH.filter(lambda octets: b"\x10\x03\x0d" not in octets + b"\x10\x03"), size=integers(1, 70))
def test_a_modem_that_doubles_no_dle_is_understood_up_to_its_result_code(octets: bytes, size: int) -> None:
    assert undone(octets + END + RESULT, doubled=False, size=size) == (octets, RESULT, True)


def test_dle_sub_stands_for_two_dle() -> None:
    assert undone(bytes.fromhex("01 10 1A 02 10 03"), doubled=True, size=9) == (bytes.fromhex("01 10 10 02"), b"", True)


@pytest.mark.parametrize("message", [b"\x1c", b"q", b"\x00"])
def test_what_else_follows_a_dle_is_no_data(message: bytes) -> None:
    assert undone(b"a\x10" + message + b"b\x10\x03", doubled=True, size=1) == (b"ab", b"", True)
