"""Many pages over two threads, beside two processes of libtiff that have half of the pages each.

What counts is the gain: seconds on one core by seconds on two, each side against itself. Both processes of libtiff are
there before, with their pages in memory; they begin together, and only their work is timed.
"""

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from faxgw.bench.figures import CannotMeasure, rounded
from faxgw.bench.libtiff import Strip
from t30.pages import Coding
from t30.t4 import Bitmap, encode
from t30.t4.batch import decode_pages, encode_pages

TARGET = 0.95
TWO = 2
COPIES = 16
"""How often each page is in a batch, half of them each process's: so many that starting threads counts no more than
starting processes, which are there before."""
CODINGS = (Coding.MMR, Coding.MR, Coding.MH)
WAYS = ("decode", "encode")


@dataclass(slots=True)
class Gain:
    """Seconds of the same work on one core and on two, round by round; the least of each counts."""

    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)

    @property
    def value(self) -> float:
        """How many times the speed of one core two have."""
        return min(self.one) / min(self.two)


@dataclass(slots=True)
class _Race:
    libtiff: Gain = field(default_factory=Gain)
    faxgw: Gain = field(default_factory=Gain)

    @property
    def ratio(self) -> float:
        return self.faxgw.value / self.libtiff.value


def measure(pages: Sequence[Bitmap], *, rounds: int) -> dict[str, Any]:
    """Measure every coding both ways, in turns with libtiff.

    Returns:
        By way: ``ratio``, the geometric mean of our gain by that of libtiff, and both gains by coding.

    Raises:
        CannotMeasure: if libtiff cannot be run.
    """
    races = {(coding, way): _Race() for way in WAYS for coding in CODINGS}
    ours = {(coding, way): _ours(pages, coding, way) for coding, way in races}
    with _processes(pages) as theirs:
        for _ in range(rounds):
            for (coding, way), race in races.items():
                race.libtiff.one.append(theirs(coding, way, 1))
                race.faxgw.one.append(_seconds(partial(ours[coding, way], threads=1)))
                race.libtiff.two.append(theirs(coding, way, TWO))
                race.faxgw.two.append(_seconds(partial(ours[coding, way], threads=TWO)))
    return {way: _summary({coding: races[coding, way] for coding in CODINGS}) for way in WAYS}


def _summary(races: dict[Coding, _Race]) -> dict[str, Any]:
    return {
        "ratio": rounded(math.prod(race.ratio for race in races.values()) ** (1 / len(races))),
        "libtiff_gain": {coding.name.lower(): rounded(race.libtiff.value) for coding, race in races.items()},
        "faxgw_gain": {coding.name.lower(): rounded(race.faxgw.value) for coding, race in races.items()},
    }


def _ours(pages: Sequence[Bitmap], coding: Coding, way: str) -> Callable[..., object]:
    if way == "encode":
        return partial(encode_pages, [*pages] * COPIES, coding)
    return partial(decode_pages, [encode(page, coding) for page in pages] * COPIES, coding, pages[0].width)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    kept = work()  # freed when the clock has stopped
    ended = time.perf_counter()
    del kept
    return ended - began


@contextmanager
def _processes(pages: Sequence[Bitmap]) -> Iterator[Callable[[Coding, str, int], float]]:
    """Start two processes; give what has one or both do all the pages, and returns the seconds that it took."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(TWO)
    pipes = [context.Pipe() for _ in range(TWO)]
    processes = [context.Process(target=_process, args=(there, together, pages), daemon=True) for _, there in pipes]
    for each in processes:
        each.start()
    ends = [here for here, there in pipes]
    for _, there in pipes:
        there.close()

    def did(coding: Coding, way: str, count: int) -> float:
        for end in ends[:count]:
            end.send((coding, way, count))
        try:
            times: list[tuple[float, float]] = [end.recv() for end in ends[:count]]
        except EOFError:
            raise CannotMeasure("A process of libtiff ended before its time.") from None
        return max(ended for _, ended in times) - min(began for began, _ in times)

    try:
        yield did
    finally:
        for end in ends:
            end.close()
        for each in processes:
            each.join()


def _process(orders: Connection, together: Barrier, pages: Sequence[Bitmap]) -> None:
    """Be one of the processes, until there are no more orders."""
    strips = {coding: [Strip(page, coding) for page in pages] for coding in CODINGS}
    while True:
        try:
            coding, way, count = orders.recv()
        except EOFError:
            return
        works = [getattr(strip, way) for strip in strips[coding]] * (COPIES // count)
        if count > 1:
            together.wait()
        began = time.perf_counter()
        for work in works:
            work()
        orders.send((began, time.perf_counter()))
