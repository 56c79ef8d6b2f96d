"""What the map of damage costs where nothing is damaged: the decoder beside itself without the map, in turns.

The decoder without it is made of the source of the real one, less the line that writes a good row into the map; its
``finish`` gives the pels alone. It is compiled when it is measured, and kept nowhere.
"""

import inspect
import math
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from faxgw.bench.figures import CannotMeasure, rounded
from t30.pages import Coding
from t30.t4 import Bitmap, careful, decode, encode, plain

TARGET = 3.0
"""Per cent of the time of a page."""
TRIES = 5
CODINGS = (Coding.MMR, Coding.MR, Coding.MH)

_WRITES_GOOD_ROW = re.compile(r"^ +damaged\[rows?\] = 0\n", re.MULTILINE)


def measure(pages: Sequence[Bitmap], *, rounds: int) -> dict[str, Any]:
    """Measure every page in every coding.

    Returns:
        ``percent``, by which the map makes decoding longer (geometric mean over pages and codings), and by coding.

    Raises:
        CannotMeasure: if the decoder cannot be had without the map.
    """
    bare = without_map()
    costs = {
        coding: [_cost(bare, encode(page, coding), coding, page.width, rounds) for page in pages] for coding in CODINGS
    }
    every = [cost for each in costs.values() for cost in each]
    return {
        "percent": _percent(every),
        "by_coding": {coding.name.lower(): _percent(each) for coding, each in costs.items()},
    }


def without_map() -> Callable[[bytes, Coding, int], Bitmap]:
    """Return what decodes whole pages and keeps no map.

    Raises:
        CannotMeasure: if the source has no such line any more, or is not there.
    """
    try:
        rows = _copy(plain)
        between = _copy(careful, take_plain_rows=rows.take_plain_rows)
        decoder: Any = _copy(decode, careful=between).Decoder
    except OSError as trouble:
        raise CannotMeasure(f"The source of the decoder is not there: {trouble}.") from None

    def decoded(octets: bytes, coding: Coding, width: int) -> Bitmap:
        page = decoder(coding, width)
        page.feed(octets)
        page._decode(b"", final=True)
        return Bitmap(width, page._page[: page.rows])

    return decoded


def _copy(module: ModuleType, **instead: object) -> Any:
    """Make a module anew, without the map, and with some of its names put for others."""
    source, lines = _WRITES_GOOD_ROW.subn("", inspect.getsource(module))
    if module is not decode and lines != 1:
        raise CannotMeasure(f"{module.__name__} writes good rows into the map in {lines} lines, not in one.")
    copy = ModuleType(module.__name__)
    exec(compile(source, f"<{module.__name__} without the map>", "exec"), copy.__dict__)
    copy.__dict__.update(instead)
    return copy


def _decoded(octets: bytes, coding: Coding, width: int) -> Bitmap:
    decoder = decode.Decoder(coding, width)
    decoder.feed(octets)
    return decoder.finish().bitmap


def _cost(
    bare: Callable[[bytes, Coding, int], Bitmap], octets: bytes, coding: Coding, width: int, rounds: int
) -> float:
    """Return how many times as long a page takes with the map."""
    both = [partial(each, octets, coding, width) for each in (_decoded, bare)]
    if both[0]() != both[1]():
        raise CannotMeasure("A page without the map of damage is another page.")
    best = [math.inf, math.inf]
    for _ in range(rounds * TRIES):
        for place, work in enumerate(both):
            began = time.perf_counter()
            work()
            best[place] = min(best[place], time.perf_counter() - began)
    return best[0] / best[1]


def _percent(costs: Sequence[float]) -> float:
    return rounded(100 * (math.prod(costs) ** (1 / len(costs)) - 1))
