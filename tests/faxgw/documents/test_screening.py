import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faxgw.documents import screening
from faxgw.documents.screening import DOT_CELL, RIDGE, STEEP, THRESHOLD, Grey, Screen
from t30.pages import Resolution
from t30.t4 import greys
from t30.t4.greys import WHITE, Frame

Black = NDArray[np.bool_]


def black_and_white(grey: Grey, *, screen: Screen, resolution: Resolution) -> Black:
    return screening.black_and_white(grey, screen=screen, resolution=resolution).pels().astype(np.bool_)


def clustered(grey: Grey, resolution: Resolution) -> Black:
    return black_and_white(grey, screen=Screen.PICTURE, resolution=resolution)


@pytest.mark.parametrize("resolution", Resolution)
@pytest.mark.parametrize("grey", [32, 96, 128, 192, 224])
def test_dots_cover_as_much_as_the_grey_is_dark(resolution: Resolution, grey: int) -> None:
    page = clustered(np.full((480, 480), grey, np.uint8), resolution)
    assert page.mean() == pytest.approx(1 - grey / 255, abs=0.05)


@pytest.mark.parametrize("resolution", Resolution)
def test_dots_leave_white_white_and_black_black(resolution: Resolution) -> None:
    assert not clustered(np.full((64, 64), 250, np.uint8), resolution).any()
    assert clustered(np.zeros((64, 64), np.uint8), resolution).all()


@pytest.mark.parametrize("resolution", Resolution)
def test_dots_are_clustered_so_that_run_lengths_stay_long(resolution: Resolution) -> None:
    rows, pels = DOT_CELL[resolution]
    page = clustered(np.full((rows * 20, pels * 20), 128, np.uint8), resolution)
    changes_across = np.diff(page.astype(np.int8), axis=1).astype(bool).sum(axis=1).mean()
    assert changes_across <= 4 * 20  # two dots at most on a row of a cell, two changes each


def text_and_photo() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Small smoothed text in the upper half, a ramp with texture in a box below."""
    image = Image.new("L", (1728, 1600), 255)
    draw = ImageDraw.Draw(image)
    for line in range(20):
        draw.text((150, 100 + 32 * line), "The quick brown fox jumps over it. " * 3, 0, ImageFont.load_default(22))
    page = np.asarray(image).copy()
    across, down = np.meshgrid(np.arange(1000), np.arange(600))
    page[900:1500, 300:1300] = (60 + 130 * across / 1000 + 20 * np.sin(down / 9)).astype(np.uint8)
    return page


@pytest.mark.parametrize("resolution", [Resolution.STANDARD, Resolution.FINE])
def test_on_a_mixed_page_text_is_cut_at_the_threshold_and_the_picture_has_dots(resolution: Resolution) -> None:
    grey = text_and_photo()
    page = black_and_white(grey, screen=Screen.AUTO, resolution=resolution)
    text = black_and_white(grey, screen=Screen.TEXT, resolution=resolution)
    assert np.array_equal(page[:860], text[:860])
    assert np.array_equal(page[900:1500, 300:1300], clustered(grey, resolution)[900:1500, 300:1300])
    assert not np.array_equal(page[900:1500, 300:1300], text[900:1500, 300:1300])


def test_a_line_split_between_two_scan_lines_is_kept_as_one() -> None:
    grey = np.full((40, 200), 255, np.uint8)
    grey[10:12, 20:180] = 190
    page = black_and_white(grey, screen=Screen.TEXT, resolution=Resolution.STANDARD)
    assert page[:, 100].sum() == 1
    assert page[:, 20:180].any(axis=0).all()


def test_the_grey_paper_and_noise_of_a_scan_come_out_white() -> None:
    random = np.random.default_rng(7)
    grey = random.normal(215, 5, (800, 800)).clip(0, 255).astype(np.uint8)
    grey[300:310, 100:700] = 60
    page = black_and_white(grey, screen=Screen.AUTO, resolution=Resolution.FINE)
    assert page[300:310, 100:700].all()
    page[300:310, 100:700] = False
    assert not page.any()


def test_diffusion_is_there_on_request() -> None:
    page = black_and_white(np.full((64, 64), 128, np.uint8), screen=Screen.DIFFUSION, resolution=Resolution.FINE)
    assert page.mean() == pytest.approx(0.5, abs=0.03)
    assert np.diff(page.astype(np.int8), axis=1).astype(bool).mean() > 0.8


def test_nothing_is_left_to_be_compiled_in_a_call() -> None:
    code = """
from faxgw.documents import screening
from t30.t4 import greys, jit
screening.load()
ours = {name: kernel for kernel, compiled in jit._compiled.items() if kernel.__module__ == greys.__name__
        for name in [kernel.__name__] if kernel not in jit._parts and not compiled.signatures}
assert len(jit._compiled) > 8 and not ours, ours
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------ what is compiled, beside its definition


def text_of(grey: Grey) -> Black:
    """Do what ``greys.cut_text`` does, for all pels at once."""
    black = grey < THRESHOLD
    ink = np.pad(255 - grey, 2)
    rows, pels = grey.shape
    for axis in (0, 1):
        before, above, here, below, behind = (
            ink[at : at + rows, 2 : pels + 2] if axis == 0 else ink[2 : rows + 2, at : at + pels] for at in range(5)
        )
        stands_out = here >= np.maximum(np.minimum(np.maximum(before, behind), 255 - RIDGE) + RIDGE, below)
        black |= stands_out & (here > above)
    return black


def even_in(grey: Grey) -> Black:
    """Return the pels that differ little from all four neighbours."""
    even = np.ones(grey.shape, np.bool_)
    for axis in (0, 1):
        ahead, behind = (grey[1:], grey[:-1]) if axis == 0 else (grey[:, 1:], grey[:, :-1])
        flat = np.maximum(ahead, behind) - np.minimum(ahead, behind) < STEEP
        even[(slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))] &= flat
        even[(slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))] &= flat
    return even


@st.composite
def spotted(draw: st.DrawFn) -> Grey:
    """Draw a white page with spots of one grey, of a ramp, or of noise."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    grey = np.full((draw(st.integers(1, 60)), draw(st.integers(1, 200))), 255, np.uint8)
    for _ in range(draw(st.integers(0, 6))):
        top, left = int(chance.integers(0, grey.shape[0])), int(chance.integers(0, grey.shape[1]))
        spot = grey[top : top + int(chance.integers(1, 30)), left : left + int(chance.integers(1, 90))]
        spot[:] = chance.integers(0, 256, [(1, 1), spot.shape, (spot.shape[0], 1)][int(chance.integers(0, 3))])
    return grey


def put(work: Any, grey: Grey, left: int, *arguments: Any) -> Black:
    """Have a kernel put greys onto a page from ``left`` on; return that part, and see that the rest stays white."""
    words = np.zeros((grey.shape[0], -(-(left + grey.shape[1]) // 64)), np.uint64)
    frame = Frame.of(grey)
    work(frame.octets, frame.pels, frame.pitch, frame.inked(), *arguments, words, left)
    return within(words, left, grey.shape[1])


def within(words: NDArray[np.uint64], left: int, across: int) -> Black:
    """Return the pels from ``left`` on, and see that those around are white."""
    pels = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(np.bool_)
    assert not pels[:, :left].any() and not pels[:, left + across :].any()
    return pels[:, left : left + across]


@given(grey=spotted(), left=st.integers(0, 130))
def test_text_is_cut_as_it_is_defined_wherever_it_lies(grey: Grey, left: int) -> None:
    assert np.array_equal(put(greys.cut_text, grey, left, THRESHOLD, RIDGE), text_of(grey))
    assert np.array_equal(put(greys.cut, grey, left, THRESHOLD), grey < THRESHOLD)


@given(grey=spotted(), left=st.integers(0, 130), resolution=st.sampled_from(Resolution), seed=st.integers(0, 99))
def test_dots_are_put_in_place_of_text_where_there_is_a_picture(
    grey: Grey, left: int, resolution: Resolution, seed: int
) -> None:
    cell = screening._thresholds(DOT_CELL[resolution])
    (rows, pels), (down, across) = (2 * cell.shape[0], 2 * cell.shape[1]), grey.shape
    where = np.random.default_rng(seed).integers(0, 2, (-(-down // rows), -(-across // pels)), np.uint8)

    words = np.zeros((down, -(-(left + across) // 64)), np.uint64)
    frame = Frame.of(grey)
    screening.copy(frame, words, left=left, limit=THRESHOLD)
    screening._dot(frame, frame.inked(), words, pictures=where, left=left, resolution=resolution)
    wanted = where.astype(np.bool_).repeat(rows, axis=0).repeat(pels, axis=1)[:down, :across]
    dots = grey < np.tile(cell, (-(-down // cell.shape[0]), -(-across // cell.shape[1])))[:down, :across]
    assert np.array_equal(within(words, left, across), np.where(wanted, dots, grey < THRESHOLD))


@given(grey=spotted(), rows=st.integers(1, 32), pels=st.integers(1, 32))
def test_even_greys_are_counted_region_by_region(grey: Grey, rows: int, pels: int) -> None:
    down, across = -(-grey.shape[0] // rows), -(-grey.shape[1] // pels)
    light, mid = np.zeros((2, down, across), np.int32)
    frame = Frame.of(grey)
    bounds = (STEEP, 245, 40, 216, rows, pels)
    greys.count_even(frame.octets, frame.pels, frame.pitch, frame.inked(), *bounds, light, mid)
    even = even_in(grey)
    for counted, wanted in ((light, even & (grey < 245)), (mid, even & (grey > 40) & (grey < 216))):
        padded = np.pad(wanted, ((0, down * rows - grey.shape[0]), (0, across * pels - grey.shape[1])))
        assert np.array_equal(counted, padded.reshape(down, rows, across, pels).sum(axis=(1, 3)))


@given(grey=spotted())
def test_each_grey_is_counted(grey: Grey) -> None:
    tallies, frame = np.zeros((greys.TALLIES, 256), np.int32), Frame.of(grey)
    greys.count(frame.octets, frame.pels, frame.pitch, frame.inked(), tallies)
    assert np.array_equal(tallies.sum(axis=0), np.bincount(grey.ravel(), minlength=256))


@given(grey=spotted(), limits=st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_greys_darker_than_a_limit_are_counted(grey: Grey, limits: list[int]) -> None:
    counts, frame = np.zeros(len(limits), np.int32), Frame.of(grey)
    greys.count_darker(frame.octets, frame.pels, frame.pitch, frame.inked(), np.array(limits, np.int32), counts)
    assert counts.tolist() == [np.count_nonzero(grey < limit) for limit in limits]


@given(grey=spotted(), seed=st.integers(0, 99))
def test_each_grey_is_replaced_and_white_stays_around(grey: Grey, seed: int) -> None:
    instead = np.random.default_rng(seed).integers(0, 256, 256, np.uint8)
    instead[WHITE] = WHITE
    frame = Frame.of(grey)
    greys.replace(frame.octets, frame.pels, frame.pitch, frame.inked(), instead)
    assert np.array_equal(frame.octets, Frame.of(instead[grey]).octets)


@pytest.mark.parametrize("screen", [Screen.AUTO, Screen.TEXT, Screen.PICTURE])
def test_no_pel_beside_the_page_is_black_whatever_a_worker_has_drawn_there(screen: Screen) -> None:
    rows, pels = 40, 100
    frame = Frame(np.zeros(greys.size(rows, pels), np.uint8), rows, pels)
    words = np.zeros((rows, 3), np.uint64)
    screening.put(frame, words, left=20, screen=screen, resolution=Resolution.FINE)
    assert within(words, 20, pels).all()


@st.composite
def papers(draw: st.DrawFn) -> Grey:
    """Draw a page of a few greys near white, in all proportions, and of ink."""
    tones = st.sampled_from([200, 238, 239, 240, 246, 247, 254, 255]) | st.integers(150, 255)
    shares = draw(st.lists(st.tuples(tones, st.integers(1, 40)), min_size=1, max_size=4))
    ink = draw(st.integers(0, 20))
    return np.repeat(np.array([grey for grey, _ in shares] + [0], np.uint8), [share for _, share in shares] + [ink])[
        None
    ]


@given(grey=papers())
def test_paper_that_is_white_at_a_look_would_not_be_stretched(grey: Grey) -> None:
    counts = np.bincount(grey.ravel(), minlength=256)
    around = np.convolve(counts, np.ones(17), "same")
    peak = int(around[160:].argmax()) + 160
    near = np.arange(256)[peak - 8 : peak + 9]
    paper = round((counts[near] * near).sum() / max(1, counts[near].sum()))
    frame = Frame.of(grey)
    if screening._is_on_white(frame, frame.inked()):
        assert paper > 250 or counts[near].sum() < 0.4 * grey.size
    stretched = screening._made_paper_white(frame, frame.inked())
    assert stretched == (paper <= 250 and counts[near].sum() >= 0.4 * grey.size)
