"""``faxgw codec`` against libtiff's own programs, over files, as somebody outside would use it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.interop.pages import Pels, differences, read_pages, text_page, write_pages

pytestmark = pytest.mark.interop

FAXGW = Path(sys.executable).with_name("faxgw")
CHARTS = (1, 4, 7)  # all eight go through libtiff in tests/t30/t4
READS = {"mh": ["-3", "-1"], "mr": ["-3", "-2"], "mmr": ["-4"]}
"""What fax2tiff must be told to read each coding."""
WRITES = {"mh": "g3:1d", "mr": "g3:2d", "mmr": "g4"}
"""What tiffcp must be told to write each coding."""

Peer = Callable[[str], Path]


@pytest.mark.parametrize("chart", CHARTS)
def test_t6_of_a_chart_is_what_libtiff_writes_octet_for_octet(
    peer: Peer, charts: Path, tmp_path: Path, chart: int
) -> None:
    codec("encode", "--coding", "mmr", charts / f"itu{chart}.tif", tmp_path / "ours.g4")
    assert (tmp_path / "ours.g4").read_bytes() == strip(peer, charts / f"itu{chart}.tif", tmp_path, coding="mmr")


@pytest.mark.parametrize("coding", READS)
def test_libtiff_reads_what_faxgw_codes(peer: Peer, tmp_path: Path, pages: list[Pels], coding: str) -> None:
    for page in pages:
        coded, read = tmp_path / "coded", tmp_path / "read.tif"
        codec("encode", "--coding", coding, write_pages(tmp_path / "page.tif", [page]), coded)
        run(peer("fax2tiff"), *READS[coding], "-M", "-8", "-X", page.shape[1], "-o", read, coded)
        (came,) = read_pages(read)
        # fax2tiff 4.5 makes a row of the EOFB, also of one that libtiff wrote
        assert differences([page], [came[: len(page)] if coding == "mmr" else came]) == []


@pytest.mark.parametrize("coding", WRITES)
def test_faxgw_reads_what_libtiff_codes(peer: Peer, tmp_path: Path, pages: list[Pels], coding: str) -> None:
    for page in pages:
        coded, read = tmp_path / "coded", tmp_path / "read.pbm"
        negative = write_pages(tmp_path / "page.tif", [~page])  # Pillow's 0 is black, a fax's 0 is white
        coded.write_bytes(strip(peer, negative, tmp_path, coding=coding))
        told = codec("decode", "--coding", coding, "--width", page.shape[1], "--json", coded, read)
        result = json.loads(told)
        assert (result["rows"], result["damaged_rows"], result["longest_damaged_run"]) == (len(page), 0, 0)
        assert differences([page], [np.asarray(Image.open(read)) == 0]) == []


@pytest.fixture
def pages() -> list[Pels]:
    random = np.random.default_rng(1)
    return [
        text_page(300),
        np.ones((20, 4864), bool),
        random.random((30, 7)) < 0.5,
    ]


def strip(peer: Peer, image: Path, folder: Path, *, coding: str) -> bytes:
    """Return libtiff's coding of a whole page as one strip, most significant bit first."""
    written = folder / "libtiff.tif"
    run(peer("tiffcp"), "-c", WRITES[coding], "-f", "msb2lsb", "-r", 100_000, image, written)
    with Image.open(written) as file:
        (offset,), (length,) = file.tag_v2[273], file.tag_v2[279]  # type: ignore[attr-defined]
    return written.read_bytes()[offset : offset + length]


def codec(*words: object) -> str:
    return run(FAXGW, "codec", *words)


def run(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
