"""efax, a program that nobody here wrote, faxes through ``faxgw simulate modem`` on a pseudo-terminal."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.interop.pages import Pels, differences, read_pages, text_page, write_pages
from tests.interop.simulated_modem import SimulatedModem, simulated_modem

pytestmark = [pytest.mark.interop, pytest.mark.real_time]

SENDING, RECEIVING = 4, 6
"""Line speeds, as multiples of real time. efax has pauses of its own in real time: the second before a page that it
sends must stay below the 5 s of line time that a modem waits. It was seen to receive at 8, three times of three."""
ROWS = 400
"""efax divides by a page's whole seconds: one of less than a second kills it by SIGFPE."""
EFAX_HEADER_ROWS = 20
"""Blank rows that efax puts before each page even when the header has no text."""
EFAX_TAKES = 90
"""Seconds that efax may take for a call."""

PAGES = [text_page(ROWS, title="efax 1"), text_page(ROWS, title="efax 2")]


@pytest.fixture
def start_modem() -> Iterator[Callable[..., SimulatedModem]]:
    """Return a function that starts a modem with the options given."""
    with ExitStack() as until_end:
        yield lambda *options: until_end.enter_context(simulated_modem(*options))


def run_efax(efax: Path, path: str, *options: object) -> None:
    """Run efax on a terminal; it must end well."""
    command = [efax, "-d", path, "-o1", "-v", "ewinch", "-l", "+1 555 0199", *options]
    efax_says = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=EFAX_TAKES, check=False
    )
    print(efax_says.stdout, efax_says.stderr)
    assert efax_says.returncode == 0


def as_pbm(pages: list[Pels], folder: Path) -> list[Path]:
    """Write each page to a file of its own."""
    files = []
    for number, page in enumerate(pages):
        files.append(folder / f"{number}.pbm")
        Image.fromarray(np.where(page, 0, 255).astype(np.uint8)).convert("1").save(files[-1])
    return files


def test_efax_sends_through_the_simulated_modem(
    start_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    modem = start_modem("--speed", SENDING, "--answer", tmp_path / "received.tif", "--calls", 1)
    run_efax(efax, modem.path, "-h", "", "-t", "5550100", *as_pbm(PAGES, tmp_path))
    (call,) = modem.calls()
    assert (call["outcome"], call["remote_id"], call["ecm"]) == ("received", "+1 555 0199", False)
    assert [page["bad_rows"] for page in call["pages"]] == [0, 0]
    received = [page[EFAX_HEADER_ROWS:] for page in read_pages(tmp_path / "received.tif")]
    assert differences(PAGES, received) == []


def test_efax_receives_through_the_simulated_modem(
    start_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    modem = start_modem("--speed", RECEIVING, "--call-with", write_pages(tmp_path / "sent.tif", PAGES), "--calls", 1)
    run_efax(efax, modem.path, "-r", tmp_path / "page")
    (call,) = modem.calls()
    assert (call["outcome"], call["remote_id"], call["ecm"]) == ("delivered", "+1 555 0199", False)
    received = [read_pages(file)[0] for file in sorted(tmp_path.glob("page.0*"))]
    assert differences(PAGES, received) == []


def test_efax_waits_for_the_bell_and_one_modem_takes_call_after_call(
    start_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    page = PAGES[:1]
    modem = start_modem("--speed", RECEIVING, "--call-with", write_pages(tmp_path / "sent.tif", page))
    for name in ("first", "second"):
        run_efax(efax, modem.path, "-jS0=1", "-w", "-r", tmp_path / name)
        assert differences(page, [read_pages(file)[0] for file in tmp_path.glob(f"{name}.0*")]) == []
    modem.process.send_signal(signal.SIGINT)
    assert [call["outcome"] for call in modem.calls()] == ["delivered", "delivered"]


def test_efax_falls_back_to_the_rate_that_trains(
    start_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    modem = start_modem(
        "--speed",
        RECEIVING,
        "--call-with",
        write_pages(tmp_path / "sent.tif", PAGES[:1]),
        "--no-train",
        14400,
        "--calls",
        1,
    )
    run_efax(efax, modem.path, "-r", tmp_path / "page")
    (call,) = modem.calls()
    assert (call["outcome"], call["rate"]) == ("delivered", 12000)
    assert differences(PAGES[:1], [read_pages(file)[0] for file in tmp_path.glob("page.0*")]) == []
