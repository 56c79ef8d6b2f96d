"""A run of faxes while something is going wrong: what was accepted, and what both sides say of it afterwards."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from faxgw.documents.tiff import tiff_octets
from faxgw.store.server import urls_for_another_node
from tests.faxgw.far_ends import Exchange
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.serving import Service, send, upload

PAGES, ROWS = 2, 100
DELIVERED_WITHIN = 300.0
"""Seconds for what is left, once nothing goes wrong any more."""


@dataclass
class Run:
    """Faxes that were accepted.

    Attributes:
        database: a URL of the dispatcher's; empty: the service's private PostgreSQL.
    """

    service: Service
    exchange: Exchange
    faxes: Sequence[str]
    database: str = ""

    def now(self) -> None:
        """Have every retry made at once: the run is not to wait for them."""
        with self.connect() as database:
            database.execute("UPDATE faxes SET next_call_at = now() WHERE state = 'waiting_retry'")

    def states(self) -> Counter[str]:
        """Count the faxes by state."""
        with self.connect() as database:
            found = database.execute("SELECT state FROM faxes WHERE id = ANY(%s::uuid[])", (list(self.faxes),))
            return Counter(row[0] for row in found)

    def until(self, *states: str, within: float = DELIVERED_WITHIN) -> None:
        """Wait until one of the faxes at least is in one of these states."""
        end = time.monotonic() + within
        while not (found := self.states()).keys() & set(states):
            assert time.monotonic() < end, f"{found}; {self.service.last_words()}"
            time.sleep(0.02)

    def until_delivered(self) -> None:
        """Wait until every fax is delivered."""
        end = time.monotonic() + DELIVERED_WITHIN
        while (states := self.states()) != {"delivered": len(self.faxes)}:
            assert not states.keys() & {"failed", "partially_sent", "canceled"}, f"{states}; {self.causes()}"
            assert time.monotonic() < end, f"{states}; {self.causes()}; {self.service.last_words()}"
            self.now()
            time.sleep(0.2)

    def causes(self) -> Counter[str]:
        """Count what calls came to; empty: whole."""
        with self.connect() as database:
            return Counter(row[0] for row in database.execute("SELECT cause FROM attempts"))

    def nodes(self) -> list[str]:
        """Return which node made each call."""
        with self.connect() as database:
            return [row[0] for row in database.execute("SELECT node FROM attempts")]

    def check(self, *, interruptions: int) -> int:
        """Check that nothing was lost and nothing sent again that was recorded; return how many pages came twice."""
        recorded = self._recorded()
        assert len(recorded) == len(self.faxes) * PAGES
        times = dict(recorded)
        assert len(times) == len(recorded), "two pages of this run look the same"
        received = self.exchange.told("page")
        assert {page["sha256"] for page in received} == times.keys()
        # A page takes longer: one whose confirmation was recorded before, and that is confirmed again, was sent again.
        again = [page for page in received if page["at"] > times[page["sha256"]] + 0.05]
        assert not again, f"sent although their confirmation was recorded: {again}"
        repeats = len(received) - len(times)
        assert repeats <= interruptions * len(self.exchange.lines), self.causes()
        return repeats

    def check_order(self) -> None:
        """Check that each confirmation was recorded before the next command: the far end heard that one later.

        Holds as long as the database was there all the time.
        """
        received = self.exchange.told("page")
        # Where the line was dropped there was no next command: a commit on its way then may be done after it.
        calls = {call["call"]: call["at"] for call in self.exchange.told("call") if not dropped(call)}
        times = dict(self._recorded())
        for page in received:
            later = [each["at"] for each in received if each["call"] == page["call"] and each["index"] > page["index"]]
            recorded = times[page["sha256"]]
            # One that was lost by a kill was recorded when the page came again.
            again = any(each["sha256"] == page["sha256"] and each["at"] > page["at"] for each in received)
            before = min([*later, calls.get(page["call"], math.inf)])
            assert again or recorded < before, f"recorded at {recorded}, late: {page}"

    def _recorded(self) -> list[tuple[str, float]]:
        """Return hash and time of each confirmation that was recorded."""
        with self.connect() as database:
            rows = database.execute("SELECT sha256, extract(epoch FROM confirmed_at)::float8 FROM confirmations")
            return [(row[0].hex(), row[1]) for row in rows]

    def connect(self) -> psycopg.Connection:
        """Connect to the database, past the service."""
        return psycopg.connect(self.database or urls_for_another_node(self.service.data / "postgres").dispatcher)


def accepted(service: Service, exchange: Exchange, count: int, *, first: int = 0) -> list[str]:
    """Have so many faxes accepted, each with pages of its own, to the numbers of the exchange in turn."""
    faxes = []
    with service.api() as api:
        for number in range(first, first + count):
            document = upload(api, tiff_octets(fax_pages(PAGES, rows=ROWS, seed=number)))
            faxes.append(send(api, f"+{exchange.numbers[number % len(exchange.numbers)]}", document))
    return faxes


def dropped(call: Mapping[str, Any]) -> bool:
    """Tell whether a far end's call ended without a word."""
    return bool(call["reason"]["code"] == "line.dropped")
