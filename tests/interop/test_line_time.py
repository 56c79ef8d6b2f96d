"""How long a call takes through a modem that nobody here wrote, in samples, beside libspandsp's own two machines."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop

FAXGW = Path(sys.executable).with_name("faxgw")
ALONE = (25.3, 21.2, 31.7, 58.0, 33.6, 24.7, 57.9, 26.0)
"""Seconds that libspandsp's machines take for each chart: what is measured must be that, or the rig is another."""


@pytest.fixture(scope="module")
def pages() -> list[Path]:
    """Return the eight ITU charts where this checkout has them beside it; else the benchmark makes its own pages."""
    return sorted((Path(__file__).parents[3] / "shared" / "charts").glob("itu*.tif"))


@pytest.fixture(scope="module")
def measured(peer_library: Callable[[str], str], pages: list[Path]) -> dict[str, Any]:
    peer_library("spandsp")
    words = [str(word) for word in (FAXGW, "bench", "modem", "--json", *pages)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)["figures"]
    print(json.dumps(figures, indent=1))
    return figures


def test_every_page_came_whole_whichever_machine_sent_it(measured: dict[str, Any]) -> None:
    calls = measured["modem.sends"]["calls"]
    assert len(calls) == 8
    assert all(each["whole"] for each in calls)


def test_charts_take_libspandsp_as_long_alone_as_they_always_did(measured: dict[str, Any], pages: list[Path]) -> None:
    if not pages:
        pytest.skip("no ../shared/charts beside the repository")
    assert [each["alone"] for each in measured["modem.sends"]["calls"]] == pytest.approx(ALONE, abs=0.1)


def test_eight_pages_take_at_most_0_95_of_the_line_time_that_libspandsp_takes_alone(measured: dict[str, Any]) -> None:
    assert measured["modem.sends"]["value"] <= 0.95
    assert measured["modem.sends"]["met"]


def test_receiving_takes_no_longer_than_libspandsp_does(measured: dict[str, Any]) -> None:
    assert measured["modem.receives"]["value"] <= 1.0
    assert measured["modem.receives"]["met"]
