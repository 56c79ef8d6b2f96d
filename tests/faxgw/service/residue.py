"""What a started service leaves behind: rows, files, and marks of content wherever something may have been written."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import psycopg

from faxgw.documents.coded import TURNED, CodedPage, bitmap_of, coded_page, packed
from faxgw.store.server import urls_for_another_node
from t30.pages import Resolution, Width
from t30.t4 import Bitmap
from tests.faxgw.serving import Service

TABLES = (
    "documents", "objects", "wraps", "faxes", "page_sets", "pages", "attempts", "events", "batches", "boxes",
    "idempotency", "counters", "number_rules", "routes", "webhooks", "api_keys", "key_slots", "procrastinate_jobs",
)  # fmt: skip
LONG_ENOUGH = 24
"""Octets of a mark that nothing has by chance."""


def noise(seed: int, *, rows: int = 40) -> CodedPage:
    """Return a page of noise: no two have anything in common, in whatever form."""
    pels = np.random.default_rng(seed).integers(0, 2, (rows, Width.A4.value), np.uint8)
    return coded_page(Bitmap.from_pels(pels), width=Width.A4, resolution=Resolution.FINE)


def marks_of(name: str, page: CodedPage) -> dict[str, bytes]:
    """Return what gives a page away: pieces of it as coded, in either order of bits, and of its pels."""
    middle = len(page.octets) // 2
    coded = page.octets[middle : middle + LONG_ENOUGH]
    row = packed(bitmap_of(page))[page.rows // 2].tobytes()[:LONG_ENOUGH]
    turned = bytes(octet ^ 0xFF for octet in row)
    return {
        f"{name}, coded": coded,
        f"{name}, coded, bits turned": coded.translate(TURNED),
        f"{name}, pels": row,
        f"{name}, pels, black is 0": turned,
        f"{name}, one octet per pel": bytes(np.unpackbits(np.frombuffer(row, np.uint8))),
        f"{name}, grey": bytes(255 * np.unpackbits(np.frombuffer(turned, np.uint8))),
    }


def left_behind(service: Service) -> dict[str, object]:
    """Return how many rows each table has, and every file of the archive."""
    with psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher) as database:
        rows = {name: database.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in TABLES}
    return {**rows, "files": sorted(path.name for path in (service.data / "objects").rglob("*") if path.is_file())}


def places(service: Service) -> Iterator[Path]:
    """Go through every file that the service may have written: its folders, its temporary files and its log."""
    return (path for path in service.folder.rglob("*") if path.is_file() and not path.is_symlink())


def found(marks: dict[str, bytes], files: Iterable[Path]) -> Counter[str]:
    """Count the files in which each mark is found, as it is; in logs, as hexadecimal digits, too."""
    seen: Counter[str] = Counter()
    for path in files:
        try:
            octets = path.read_bytes()
        except FileNotFoundError:  # PostgreSQL removes some of its own
            continue
        for name, mark in marks.items():
            assert len(mark) >= LONG_ENOUGH
            if mark in octets or ("log" in path.name and mark.hex().encode() in octets):
                seen[f"{name} in {path}"] += 1
    return seen


def wait_for(condition: Callable[[], bool], within: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
