import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from faxgw.documents import screening
from faxgw.documents.screening import DOT_CELL, Screen, black_and_white, clustered
from t30.pages import Resolution


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


@pytest.mark.parametrize("seed", range(8))
def test_a_page_comes_out_the_same_worked_on_in_bands_and_whole(seed: int) -> None:
    chance = np.random.default_rng(seed)
    grey = np.full((int(chance.integers(1, 5 * screening.BAND)), 90), 255, np.uint8)
    for _ in range(seed):
        top, left = int(chance.integers(0, len(grey))), int(chance.integers(0, 90))
        spot = grey[top : top + 30, left : left + 40]
        spot[:] = chance.integers(0, 256, spot.shape if seed % 2 else (1, 1))
    assert np.array_equal(screening._text(grey), screening._text_in(grey))
    assert np.array_equal(screening._even(grey), screening._even_in(grey))
