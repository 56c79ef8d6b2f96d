"""HylaFAX, started here with a spool of its own, faxes through ``faxgw simulate modem`` on a pseudo-terminal.

All calls are under way at once, each with a modem and a HylaFAX to itself, since most of a call is waiting. They are
at real time, where HylaFAX's own pauses are what they were made for.
"""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.interop.hylafax import DONE, HylaFax, private_hylafax
from tests.interop.pages import differences, read_pages, text_page, write_pages
from tests.interop.simulated_modem import SimulatedModem, simulated_modem

pytestmark = [pytest.mark.interop, pytest.mark.alone]

NUMBER = "+1 555 0199"
TAKES = 120.0
"""Seconds of real time that a call may take, setting up included; 60 is usual."""
SLOWER = 0.5
"""Line speed where HylaFAX receives without error correction: then it takes note of each answer of the modem 100 ms
late, when the far machine has been training for 25 ms, and a busy machine makes more of that than a receiver may miss.
HylaFAX then confirms the page that it has not heard."""
PAGES = [text_page(400, title=f"HylaFAX {number}") for number in (1, 2)]


@dataclass(frozen=True)
class Way:
    """How HylaFAX and our machine are to fax: our machine's options, and what they ought to come to."""

    sends: bool
    coding: str
    ecm: bool = True

    @property
    def options(self) -> tuple[object, ...]:
        """What our machine is told: it can do this coding and those below it."""
        codings = {"T.85": "mh,mr,mmr,t85", "MMR": "mh,mr,mmr", "MR": "mh,mr"}[self.coding]
        speed = 1 if self.sends or self.ecm else SLOWER
        return ("--speed", speed, "--coding", codings, "--ecm", "on" if self.ecm else "off")


SENDS = [Way(sends=True, coding="T.85"), Way(sends=True, coding="MMR"), Way(sends=True, coding="MR")]
RECEIVES = [Way(sends=False, coding="T.85"), Way(sends=False, coding="MMR"), Way(sends=False, coding="MR")]
SENDS_PLAIN, RECEIVES_PLAIN = Way(sends=True, coding="MR", ecm=False), Way(sends=False, coding="MR", ecm=False)


@dataclass(frozen=True)
class Both:
    """A call under way: HylaFAX, and the modem with our machine at its far end."""

    hylafax: HylaFax
    modem: SimulatedModem
    stored: Path
    """Where our machine keeps what it receives."""
    ends_by: float
    """On the clock of this program: all calls are under way at once, and one that hangs is not waited for six times."""

    @property
    def left(self) -> float:
        """Seconds that are left for it."""
        return max(1.0, self.ends_by - monotonic())

    def call(self, verdict: str) -> dict[str, Any]:
        """Wait for the end of the call, tell what both sides say of it, and return what it came to for us."""
        try:
            (call,) = self.modem.calls(within=self.left)
        finally:
            print(self.hylafax.told())
        print(call)
        assert (call["outcome"], call["remote_id"], call["rate"]) == (verdict, NUMBER, 14400)
        assert [page["bad_rows"] for page in call["pages"]] == [0] * len(PAGES)
        return call


@pytest.fixture(scope="module")
def calls(unpacked: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Way, Both]]:
    """Begin all calls."""
    programs, base = unpacked("hylafax"), tmp_path_factory.mktemp("calls")
    with ExitStack() as until_end:

        def begin(way: Way) -> Both:
            folder = base / f"{way.sends}-{way.coding}-{way.ecm}"
            folder.mkdir()
            stored = folder / "received.tif"
            ours = ("--answer", stored) if way.sends else ("--call-with", write_pages(folder / "sent.tif", PAGES))
            modem = until_end.enter_context(simulated_modem(*ours, "--calls", 1, *way.options))
            hylafax = until_end.enter_context(
                private_hylafax(programs, modem.path, number=NUMBER, jbig=way.coding == "T.85")
            )
            if way.sends:
                hylafax.send(PAGES, "5550100")
            else:
                hylafax.answer()
            return Both(hylafax, modem, stored, monotonic() + TAKES)

        ways = (*SENDS, *RECEIVES, SENDS_PLAIN, RECEIVES_PLAIN)
        with ThreadPoolExecutor() as threads:  # each modem takes seconds to start
            begun = list(threads.map(begin, ways))
        yield dict(zip(ways, begun, strict=True))


def coding(way: Way) -> str:
    return way.coding


@pytest.mark.parametrize("way", SENDS, ids=coding)
def test_hylafax_sends_pages_with_error_correction_and_they_come_as_they_were(calls: dict[Way, Both], way: Way) -> None:
    both = calls[way]
    call = both.call("received")
    assert (call["ecm"], [page["coding"] for page in call["pages"]]) == (True, [way.coding] * len(PAGES))
    assert differences(PAGES, read_pages(both.stored)) == []
    job = both.hylafax.sent(both.left)
    assert (int(job["state"]), int(job["npages"])) == (DONE, len(PAGES))


@pytest.mark.parametrize("way", RECEIVES, ids=coding)
def test_hylafax_receives_pages_with_error_correction_as_they_were(
    calls: dict[Way, Both], way: Way, peer: Callable[[str], Path], tmp_path: Path
) -> None:
    both = calls[way]
    call = both.call("delivered")
    assert (call["ecm"], [page["coding"] for page in call["pages"]]) == (True, [way.coding] * len(PAGES))
    plain = tmp_path / "plain.tif"  # it files JBIG as it came, and only libtiff's own programs read that
    subprocess.run([peer("tiffcp"), "-c", "none", both.hylafax.received(both.left), plain], check=True)
    assert differences(PAGES, read_pages(plain)) == []


def test_hylafax_sends_pages_without_error_correction(calls: dict[Way, Both]) -> None:
    both = calls[SENDS_PLAIN]
    call = both.call("received")
    assert (call["ecm"], [page["coding"] for page in call["pages"]]) == (False, ["MR"] * len(PAGES))
    assert differences(PAGES, read_pages(both.stored)) == []
    assert int(both.hylafax.sent(both.left)["state"]) == DONE


def test_hylafax_receives_pages_without_error_correction(calls: dict[Way, Both]) -> None:
    both = calls[RECEIVES_PLAIN]
    call = both.call("delivered")
    assert (call["ecm"], [page["coding"] for page in call["pages"]]) == (False, ["MR"] * len(PAGES))
    assert differences(PAGES, read_pages(both.hylafax.received(both.left))) == []
