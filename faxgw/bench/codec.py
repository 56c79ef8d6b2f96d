"""``faxgw bench codec``: pages coded and decoded on one thread, beside libtiff in the same run."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faxgw.bench import damage, machine, threads
from faxgw.bench.drawn import drawn_pages
from faxgw.bench.figures import CannotMeasure, Figure, rounded
from faxgw.bench.libtiff import Strip
from t30.pages import Coding
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.transcode import as_mmr

CHARTS = Path(__file__).parents[3] / "shared" / "charts"
"""Where the eight ITU charts lie if they do: beside the checkout."""

ROWS, WIDTH = 2376, 1728

TARGETS = {
    ("mmr", "decode"): 3.0,
    ("mmr", "encode"): 6.0,
    ("mr", "decode"): 3.0,
    ("mr", "encode"): 5.0,
    ("mh", "decode"): 3.0,
    ("mh", "encode"): 4.0,
    ("mh", "to_mmr"): 3.0,
}
BLANK_TARGET = 20.0

TRIES = 5
"""Repetitions of one work in a round; the best counts."""

Work = Callable[[], object]


@dataclass(slots=True)
class Race:
    """One work done by libtiff and by faxgw in turns.

    Attributes:
        libtiff: what libtiff does.
        faxgw: what faxgw does.
        rounds: seconds of both, round by round.
    """

    libtiff: Work
    faxgw: Work
    rounds: list[tuple[float, float]] = field(default_factory=list)

    def run(self) -> None:
        """Do both once more."""
        self.rounds.append((_best(self.libtiff), _best(self.faxgw)))

    @property
    def best(self) -> tuple[float, float]:
        """The least seconds of both: what the machine's other work disturbed least."""
        return min(each for each, _ in self.rounds), min(each for _, each in self.rounds)

    @property
    def ratio(self) -> float:
        """How many times libtiff's speed faxgw has."""
        libtiff, faxgw = self.best
        return libtiff / faxgw


def measure(*, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every coding both ways, blank pages, MH to MMR, two threads, and the map of damage.

    The shape is that of ``--json``. Where there is only one core, nothing is said of threads.

    Raises:
        CannotMeasure: if there is no libtiff, or it and faxgw do not agree.
    """
    said: dict[str, Any] = {}
    pages, said["pages"] = chart_pages()
    blank = Bitmap(WIDTH, np.zeros((ROWS, WIDTH // 64), np.uint64))
    blanks = {}
    for coding in (Coding.MMR, Coding.MR, Coding.MH):
        name = coding.name.lower()
        say(coding.name)
        races = [_races(page, coding) for page in [*pages, blank]]
        races[-1]["look"] = Race(races[-1]["encode"].libtiff, partial(blank.words.tobytes().find, b"\x01"))
        for _ in range(rounds):
            for page_races in races:
                for race in page_races.values():
                    race.run()
        charts = races[:-1]
        said[name] = {way: _summary([each[way] for each in charts]) for way in charts[0]}
        blanks[name] = {way: _summary([race]) for way, race in races[-1].items()}
    if machine.cores():
        say("threads")
        said["threads"] = threads.measure(pages, rounds=rounds)
    say("damage")
    said["damage_map"] = damage.measure(pages, rounds=rounds)
    return {**said, "blank": blanks}


def figures(said: dict[str, Any]) -> list[Figure]:
    """Return what was measured beside its targets."""
    ways = {"decode": "decoded", "encode": "coded", "to_mmr": "turned into MMR"}
    found = [
        Figure(
            f"{name}.{way}", f"{name.upper()} {ways[way]}", said[name][way]["ratio"], "x", target, more_is_better=True
        )
        for (name, way), target in TARGETS.items()
    ]
    found += [
        Figure(
            f"threads.{way}",
            f"pages {ways[way]}, gain of two threads by that of two libtiffs",
            each["ratio"],
            "x",
            threads.TARGET,
            True,
        )
        for way, each in said.get("threads", {}).items()
    ]
    found.append(Figure("damage_map", "map of damage on good pages", said["damage_map"]["percent"], "%", damage.TARGET))
    return found + [
        Figure(
            f"blank.{name}.{way}",
            f"blank page, {name.upper()} {ways[way]}",
            each[way]["ratio"],
            "x",
            BLANK_TARGET,
            True,
        )
        for name, each in said["blank"].items()
        for way in ("decode", "encode")
    ]


def chart_pages() -> tuple[list[Bitmap], str]:
    """Return the eight charts, else pages drawn here, and which they are."""
    paths = sorted(CHARTS.glob("itu*.tif"))
    if not paths:
        return drawn_pages(WIDTH, ROWS), "drawn"
    images = (np.asarray(Image.open(path).convert("1"), np.bool_) for path in paths)
    return [Bitmap.from_pels((image == 0).view(np.uint8)) for image in images], "ITU charts"


def _races(page: Bitmap, coding: Coding) -> dict[str, Race]:
    """Set up one page; both sides must agree on it."""
    strip = Strip(page, coding)
    octets = _encoded(page, coding)
    strip.decode()
    if octets != strip.octets or not strip.decoded or _decoded(octets, coding, page.width) != page:
        raise CannotMeasure(f"libtiff and faxgw do not agree on a page in {coding.name}.")
    races = {
        "decode": Race(strip.decode, partial(_decoded, octets, coding, page.width)),
        "encode": Race(strip.encode, partial(_encoded, page, coding)),
    }
    if coding is Coding.MH:
        other = Strip(page, Coding.MMR)
        step = len(octets)
        races["to_mmr"] = Race(
            partial(_in_turn, strip.decode, other.encode), partial(as_mmr, octets, coding, WIDTH, step)
        )
    return races


def _encoded(page: Bitmap, coding: Coding) -> bytes:
    return encode(page, coding, end_of_page=coding is Coding.MMR)


def _decoded(octets: bytes, coding: Coding, width: int) -> Bitmap:
    decoder = Decoder(coding, width)
    decoder.feed(octets)
    return decoder.finish().bitmap


def _in_turn(*works: Work) -> None:
    for work in works:
        work()


def _best(work: Work) -> float:
    best = math.inf
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def _summary(races: Sequence[Race]) -> dict[str, Any]:
    """Return the geometric mean over pages, the least and the most that single rounds gave, and each page."""
    by_round = [
        _mean([libtiff / faxgw for libtiff, faxgw in pages])
        for pages in zip(*(race.rounds for race in races), strict=True)
    ]
    return {
        "ratio": rounded(_mean([race.ratio for race in races])),
        "spread": [rounded(min(by_round)), rounded(max(by_round))],
        "per_chart": [rounded(race.ratio) for race in races],
        "libtiff_us": [rounded(race.best[0] * 1e6) for race in races],
        "faxgw_us": [rounded(race.best[1] * 1e6) for race in races],
    }


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))
