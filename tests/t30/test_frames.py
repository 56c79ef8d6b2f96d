"""Frames, their codes, identities, and the arithmetic of error correction mode."""

from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from, sets, text

from t30 import ecm
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import decoded, encoded


def test_codes_are_those_seen_on_the_wire() -> None:
    seen = {0x80: Fcf.DIS, 0x83: Fcf.DCS, 0x43: Fcf.TSI, 0x84: Fcf.CFR, 0x2F: Fcf.EOP, 0x8C: Fcf.MCF, 0xFB: Fcf.DCN}
    assert {octet: Fcf.of(octet) for octet in seen} == seen


def test_no_two_codes_are_the_same() -> None:
    assert len({fcf.code for fcf in Fcf}) == len(Fcf)


@given(fcf=sampled_from(Fcf), fif=binary(max_size=40))
def test_a_frame_is_read_as_it_was_built(fcf: Fcf, fif: bytes) -> None:
    for x in (False, True):
        frame = Frame.of(fcf, fif, x=x, final=x)
        assert Frame.parse(frame.octets) == frame
        assert frame.fcf is fcf


@given(octets=binary(max_size=40))
def test_any_octets_are_a_frame_or_none(octets: bytes) -> None:
    frame = Frame.parse(octets)
    assert frame is None or frame.octets == octets


@given(name=text(alphabet=[chr(code) for code in range(0x21, 0x7F)], max_size=20))
def test_an_identity_survives_the_wire(name: str) -> None:
    assert decoded(encoded(name)) == name


@given(fif=binary(max_size=60))
def test_any_identity_can_be_shown(fif: bytes) -> None:
    assert decoded(fif).isprintable()


@given(octets=binary(max_size=600), frame_octets=sampled_from([64, 256]))
def test_partial_pages_hold_the_whole_page(octets: bytes, frame_octets: int) -> None:
    blocks = list(ecm.partial_pages(octets * 200, frame_octets))
    assert all(len(piece) == frame_octets for block in blocks for piece in block)
    assert all(len(block) == ecm.FRAMES_PER_BLOCK for block in blocks[:-1])
    joined = b"".join(piece for block in blocks for piece in block)
    assert joined.rstrip(b"\0") == (octets * 200).rstrip(b"\0")
    assert len(joined) - len(octets * 200) < frame_octets or not octets


@given(held=sets(integers(0, 255)), frames=integers(1, 256))
def test_ppr_asks_for_what_is_not_held(held: set[int], frames: int) -> None:
    asked = ecm.requested(ecm.ppr(held), frames)
    assert asked == [number for number in range(frames) if number not in held]


def test_ppr_marks_frames_that_do_not_exist_as_wanted() -> None:
    assert ecm.ppr(range(8)).hex() == "00" + "ff" * 31


def test_only_the_last_frame_of_a_block_may_be_short() -> None:
    held = {0: bytes(256), 1: bytes(10), 2: bytes(10)}
    assert ecm.missing(held, 3, 256) == [1]
