"""efax, a program that nobody here wrote, faxes through ``faxgw simulate modem`` on a pseudo-terminal."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.interop.pages import Pels, differences, read_pages, text_page, write_pages

pytestmark = pytest.mark.interop

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


@dataclass
class SimulatedModem:
    """A ``faxgw simulate modem`` in a process of its own."""

    process: subprocess.Popen[str]
    path: str

    def calls(self) -> list[dict[str, Any]]:
        """Wait for its end and return what its calls came to."""
        told, errors = self.process.communicate(timeout=30)
        print(errors)
        assert self.process.returncode == 0
        calls: list[dict[str, Any]] = json.loads(told)["calls"]
        return calls


@pytest.fixture
def simulated_modem() -> Iterator[Callable[..., SimulatedModem]]:
    """Return a function that starts a modem with the options given."""
    running: list[subprocess.Popen[str]] = []

    def start(*options: object) -> SimulatedModem:
        command = [Path(sys.executable).with_name("faxgw"), "simulate", "modem", "--json", *options]
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stderr
        return SimulatedModem(process, process.stderr.readline().strip())

    yield start
    for process in running:
        process.kill()
        process.communicate()


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
    simulated_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    modem = simulated_modem("--speed", SENDING, "--answer", tmp_path / "received.tif", "--calls", 1)
    run_efax(efax, modem.path, "-h", "", "-t", "5550100", *as_pbm(PAGES, tmp_path))
    (call,) = modem.calls()
    assert (call["outcome"], call["remote_id"], call["ecm"]) == ("received", "+1 555 0199", False)
    assert [page["bad_rows"] for page in call["pages"]] == [0, 0]
    received = [page[EFAX_HEADER_ROWS:] for page in read_pages(tmp_path / "received.tif")]
    assert differences(PAGES, received) == []


def test_efax_receives_through_the_simulated_modem(
    simulated_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    modem = simulated_modem(
        "--speed", RECEIVING, "--call-with", write_pages(tmp_path / "sent.tif", PAGES), "--calls", 1
    )
    run_efax(efax, modem.path, "-r", tmp_path / "page")
    (call,) = modem.calls()
    assert (call["outcome"], call["remote_id"], call["ecm"]) == ("delivered", "+1 555 0199", False)
    received = [read_pages(file)[0] for file in sorted(tmp_path.glob("page.0*"))]
    assert differences(PAGES, received) == []


def test_efax_waits_for_the_bell_and_one_modem_takes_call_after_call(
    simulated_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    page = PAGES[:1]
    modem = simulated_modem("--speed", RECEIVING, "--call-with", write_pages(tmp_path / "sent.tif", page))
    for name in ("first", "second"):
        run_efax(efax, modem.path, "-jS0=1", "-w", "-r", tmp_path / name)
        assert differences(page, [read_pages(file)[0] for file in tmp_path.glob(f"{name}.0*")]) == []
    modem.process.send_signal(signal.SIGINT)
    assert [call["outcome"] for call in modem.calls()] == ["delivered", "delivered"]


def test_efax_falls_back_to_the_rate_that_trains(
    simulated_modem: Callable[..., SimulatedModem], peer: Callable[[str], Path], tmp_path: Path
) -> None:
    efax = peer("efax")
    modem = simulated_modem(
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
