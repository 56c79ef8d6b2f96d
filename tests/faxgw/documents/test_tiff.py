import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faxgw.documents.coded import CodedPage, coded_page
from faxgw.documents.tiff import TiffFile
from t30.pages import USUAL_CODINGS, Coding, Resolution, Width
from t30.t4 import Bitmap
from tests.faxgw.documents.making import Pels, text_like, tiff_pages


def coded(
    pels: Pels, coding: Coding = Coding.MMR, *, resolution: Resolution = Resolution.FINE, bad_rows: int = 0
) -> CodedPage:
    width = next(one for one in Width if resolution.pels(one) == pels.shape[1])
    return coded_page(
        Bitmap.from_pels(pels), width=width, resolution=resolution, coding=coding, bad_rows=bad_rows, longest_bad_run=2
    )


def equal(path: Path, pages: list[Pels]) -> bool:
    read = tiff_pages(path)
    return len(read) == len(pages) and all(map(np.array_equal, read, pages))


@pytest.fixture
def tiff(tmp_path: Path) -> TiffFile:
    return TiffFile(tmp_path / "fax.tif")


@pytest.mark.parametrize("resolution", Resolution)
@pytest.mark.parametrize("width", Width)
def test_libtiff_reads_every_coding_of_every_width(tmp_path: Path, width: Width, resolution: Resolution) -> None:
    pages = [text_like(300, resolution.pels(width), seed) for seed in range(3)]
    tiff = TiffFile(tmp_path / "fax.tif")
    for index, (page, coding) in enumerate(zip(pages, sorted(USUAL_CODINGS, key=str), strict=True)):
        tiff.put(index, coded(page, coding, resolution=resolution))
    tiff.close()
    assert equal(tmp_path / "fax.tif", pages)


@pytest.mark.parametrize("page", [np.zeros((5, 1728), np.uint8), np.ones((5, 1728), np.uint8)], ids=["white", "black"])
@pytest.mark.parametrize("coding", sorted(USUAL_CODINGS, key=str))
def test_blank_and_black_pages_are_filed(tiff: TiffFile, tmp_path: Path, page: Pels, coding: Coding) -> None:
    tiff.put(0, coded(page, coding))
    assert equal(tmp_path / "fax.tif", [page])


def test_the_tags_are_those_of_tiff_f(tiff: TiffFile, tmp_path: Path) -> None:
    tiff.put(0, coded(text_like(100, 1728), Coding.MR, resolution=Resolution.STANDARD))
    tiff.put(1, coded(text_like(110, 1728), bad_rows=5))
    with Image.open(tmp_path / "fax.tif") as image:
        first = dict(image.tag_v2)  # type: ignore[attr-defined]
        image.seek(1)
        second = dict(image.tag_v2)  # type: ignore[attr-defined]
    common = {254: 2, 256: 1728, 258: (1,), 262: 0, 266: 1, 274: 1, 277: 1, 282: 204.0, 296: 2, 305: "faxgw"}
    assert first == first | common | {257: 100, 278: 100, 259: 3, 292: 1, 283: 98.0, 297: (0, 0), 327: 0}
    assert second == second | common | {257: 110, 278: 110, 259: 4, 293: 0, 283: 196.0, 297: (1, 0), 327: 1}
    assert (second[326], second[328]) == (5, 2)
    assert 326 not in first


def test_tiffinfo_and_tiffcp_accept_it(tiff: TiffFile, tmp_path: Path, peer: Callable[[str], Path]) -> None:
    pages = [text_like(300, 1728, seed) for seed in range(3)]
    for index, coding in enumerate(sorted(USUAL_CODINGS, key=str)):
        tiff.put(index, coded(pages[index], coding))
    info = subprocess.run([peer("tiffinfo"), "-D", tmp_path / "fax.tif"], capture_output=True, text=True, check=True)
    assert (info.stdout.count("TIFF directory"), info.stderr) == (3, "")
    copy = tmp_path / "copy.tif"
    done = subprocess.run([peer("tiffcp"), "-c", "lzw", tmp_path / "fax.tif", copy], capture_output=True, check=True)
    assert done.stderr == b""
    assert equal(copy, pages)


def test_every_page_put_is_in_the_file_at_once(tiff: TiffFile, tmp_path: Path) -> None:
    pages = [text_like(50, 1728, seed) for seed in range(6)]
    for index in range(6):
        tiff.put(index, coded(pages[index]))
        assert equal(tmp_path / "fax.tif", pages[: index + 1])


def test_there_is_no_file_before_the_first_page(tiff: TiffFile, tmp_path: Path) -> None:
    tiff.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("again", [0, 1, 2])
def test_a_page_put_again_replaces_what_was_there(tiff: TiffFile, tmp_path: Path, again: int) -> None:
    pages = [text_like(50, 1728, seed) for seed in range(3)]
    for index in range(3):
        tiff.put(index, coded(pages[index]))
    pages[again] = text_like(80, 1728, seed=9)
    tiff.put(again, coded(pages[again]))
    assert equal(tmp_path / "fax.tif", pages)
    assert tiff.page(again) == coded(pages[again])


def test_pages_are_in_order_of_their_numbers_though_some_are_missing(tiff: TiffFile, tmp_path: Path) -> None:
    pages = {index: text_like(50, 1728, index) for index in (4, 1, 7)}
    for index, page in pages.items():
        tiff.put(index, coded(page))
    assert tiff.pages() == [1, 4, 7]
    assert equal(tmp_path / "fax.tif", [pages[1], pages[4], pages[7]])


def test_a_page_cut_off_anywhere_leaves_the_pages_before_it(tiff: TiffFile, tmp_path: Path) -> None:
    """A machine that stops while a page is appended leaves some of its octets and the old pointer."""
    pages = [text_like(40, 1728, seed) for seed in range(3)]
    tiff.put(0, coded(pages[0]))
    tiff.put(1, coded(pages[1]))
    before = (tmp_path / "fax.tif").read_bytes()
    tiff.put(2, coded(pages[2]))
    after = (tmp_path / "fax.tif").read_bytes()
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    assert changed[-1] - changed[0] < 4, "nothing but one pointer may change in place"
    cut = tmp_path / "cut.tif"
    for length in range(len(before), len(after) + 1, 97):
        cut.write_bytes(before + after[len(before) : length])
        assert equal(cut, pages[:2])


PUTTING = """
import sys
from pathlib import Path
from faxgw.documents.tiff import TiffFile
from tests.faxgw.documents.making import text_like
from tests.faxgw.documents.test_tiff import coded
pages = [coded(text_like(60, 1728, seed)) for seed in range(400)]
print("ready", flush=True)
tiff = TiffFile(Path(sys.argv[1]))
for index, page in enumerate(pages):
    tiff.put(index, page)
    print(index, flush=True)
"""


def test_every_page_that_was_put_survives_a_kill(tmp_path: Path, soak: bool, soak_seed: int) -> None:
    random = np.random.default_rng(soak_seed)
    for number in range(20 if soak else 2):
        path = tmp_path / f"{number}.tif"
        after = int(random.integers(1, 60))
        with subprocess.Popen(
            [sys.executable, "-c", PUTTING, path], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
        ) as child:
            assert child.stdout is not None
            for _ in range(after + 1):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            put = after + len([line for line in child.stdout.read().split("\n") if line])
        found = tiff_pages(path)
        assert len(found) in (put, put + 1)
        for seed, page in enumerate(found):
            assert np.array_equal(page, text_like(60, 1728, seed))


FILLING = """
import resource, sys
from pathlib import Path
from faxgw.documents.tiff import TiffFile
from tests.faxgw.documents.making import text_like
from tests.faxgw.documents.test_tiff import coded
tiff = TiffFile(Path(sys.argv[1]))
tiff.put(0, coded(text_like(60, 1728, 0)))
most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + 201, most[1]))
try:
    tiff.put(1, coded(text_like(60, 1728, 1)))
except OSError as error:
    print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, most)
tiff.put(1, coded(text_like(60, 1728, 1)))
"""


def test_a_full_disk_loses_no_page_and_the_next_try_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "fax.tif"
    child = [sys.executable, "-c", FILLING, str(path)]
    done = subprocess.run(child, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout == "full\n"
    assert equal(path, [text_like(60, 1728, 0), text_like(60, 1728, 1)])
    octets = path.read_bytes()
    first = int.from_bytes(octets[4:8], "little")
    second = int.from_bytes(octets[first + 2 + 12 * octets[first] :][:4], "little")
    assert (first % 2, second % 2) == (0, 0), "directories begin on a word boundary"


def test_a_folder_that_is_gone_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    tiff = TiffFile(tmp_path / "gone" / "fax.tif")
    with pytest.raises(FileNotFoundError):
        tiff.put(0, coded(text_like(50, 1728)))
    (tmp_path / "gone").mkdir()
    tiff.put(0, coded(text_like(50, 1728)))
    assert len(tiff) == 1
    assert [path.name for path in (tmp_path / "gone").iterdir()] == ["fax.tif"]


def test_whatever_is_written_is_flushed_before_more_is_written_and_before_put_returns(
    tiff: TiffFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            done.append(name)
            return real(*arguments)

        return call

    for name in ("pwrite", "rename", "fsync"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    for index in range(2):
        tiff.put(index, coded(text_like(100, 1728)))
    assert done == ["pwrite", "fsync"] * 3 + ["rename", "fsync"] + ["pwrite", "fsync"] * 2
