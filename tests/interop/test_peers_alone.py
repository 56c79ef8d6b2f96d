"""The peers against each other, with nothing of ours between: what fails here is the harness, not faxgw."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.interop.conftest import SpandspLine
from tests.interop.pages import differences, read_pages, text_page, write_pages

pytestmark = pytest.mark.interop

SPEED = 4
ROWS = 400  # efax 0.9a divides by the page's whole seconds: a page shorter than one second kills it by SIGFPE
EFAX_HEADER_ROWS = 20  # efax puts them before each page even when the header has no text

Start = Callable[..., SpandspLine]


def test_efax_sends_through_the_spandsp_modem(spandsp_line: Start, peer: Callable[[str], Path], tmp_path: Path) -> None:
    pages = [text_page(ROWS, title="efax 1"), text_page(ROWS, title="efax 2")]
    files = []
    for number, page in enumerate(pages):
        Image.fromarray(np.where(page, 0, 255).astype(np.uint8)).convert("1").save(tmp_path / f"{number}.pbm")
        files.append(tmp_path / f"{number}.pbm")
    line = spandsp_line("--answer", tmp_path / "received.tif", "--speed", SPEED)
    run([peer("efax"), "-d", line.path, "-o1", "-h", "", "-l", "+1 555 0199", "-t", "5550100", *files])
    report = line.report()
    assert (report["text"], report["pages"], report["ecm"]) == ("OK", 2, False)
    assert report["dialled"] == "5550100"
    received = [page[EFAX_HEADER_ROWS:] for page in read_pages(tmp_path / "received.tif")]
    assert differences(pages, received) == []


def test_efax_receives_through_the_spandsp_modem(
    spandsp_line: Start, peer: Callable[[str], Path], tmp_path: Path
) -> None:
    pages = [text_page(ROWS, title="spandsp 1"), text_page(ROWS, title="spandsp 2")]
    line = spandsp_line("--call-with", write_pages(tmp_path / "sent.tif", pages), "--speed", SPEED)
    run([peer("efax"), "-d", line.path, "-o1", "-l", "+1 555 0199", "-r", tmp_path / "page"])
    report = line.report()
    assert (report["text"], report["pages"], report["remote_id"]) == ("OK", 2, "+1 555 0199")
    received = [read_pages(file)[0] for file in sorted(tmp_path.glob("page.0*"))]
    assert differences(pages, received) == []


def run(command: list[object]) -> None:
    finished = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)
    print(finished.stdout, finished.stderr)
    assert finished.returncode == 0
