"""What a modem gives before a page begins."""

from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from

from t30.pages import Coding
from t30.t4 import Decoder, encode
from t30.t4.raster import Bitmap
from tests.t30.t4.samples import text

PAGE: Bitmap = text(512, 40)


def shifted(octets: bytes, bits: int) -> bytes:
    """Return the octets ``bits`` later on the wire, ones before them."""
    number = int.from_bytes(octets, "little") << bits | (1 << bits) - 1
    return number.to_bytes(len(octets) + 1, "little")


@given(coding=sampled_from([Coding.MH, Coding.MR]), ones=integers(0, 60), bits=integers(0, 7), cut=integers(1, 50))
def test_ones_before_the_first_eol_are_no_rows(coding: Coding, ones: int, bits: int, cut: int) -> None:
    octets = b"\xff" * ones + shifted(encode(PAGE, coding), bits)
    decoder = Decoder(coding, PAGE.width, from_first_eol=True)
    for start in range(0, len(octets), cut):
        decoder.feed(octets[start : start + cut])
    assert decoder.page_ended
    page = decoder.finish()
    assert page.bitmap == PAGE
    assert page.bad_rows == 0


@given(noise=binary(max_size=300))
def test_a_signal_without_an_eol_is_no_page(noise: bytes) -> None:
    bits = "".join(f"{octet:08b}"[::-1] for octet in noise)
    decoder = Decoder(Coding.MH, 1728, from_first_eol=True)
    decoder.feed(noise)
    assert "0" * 11 + "1" in bits or decoder.finish().rows == 0


def test_mmr_begins_with_its_first_bit() -> None:
    decoder = Decoder(Coding.MMR, PAGE.width, from_first_eol=True)
    decoder.feed(encode(PAGE, Coding.MMR))
    assert decoder.finish().bitmap == PAGE
