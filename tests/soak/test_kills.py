"""Fifty faxes during which the service is killed again and again; the far ends are another process.

Printed: the seed, how often it was killed, how long the run took, and how many pages came more than once.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faxgw.documents.tiff import tiff_octets
from faxgw.store.server import urls_for_another_node
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.serving import FINAL, Service, reachable_folder, send, upload

FAXES, PAGES = 50, 2
KILLS, SHORT = 100, 10
LINES = ("one", "two")
NUMBERS = tuple(f"1555012{digit}" for digit in range(5))
SPEED = 10
LONGEST_LIFE = 3.0
"""Seconds between being ready and being killed, at most."""
ENDS_WITHIN = 240.0
"""Seconds for the rest, once nobody kills it any more."""
FAXGW = str(Path(sys.executable).with_name("faxgw"))


@contextmanager
def exchange(folder: Path) -> Iterator[Path]:
    """Run a telephone exchange with a modem for each line and fax machines at every number; give its log."""
    log = folder / "calls.jsonl"
    command = [FAXGW, "simulate", "exchange", "--speed", str(SPEED), "--log", str(log)]
    for digit, line in enumerate(LINES):
        command += ["--modem", f"{folder / line}=1555019{digit}"]
    for number in NUMBERS:
        (folder / number).mkdir()
        command += ["--machine", f"{number}={folder / number}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 30
            while not all((folder / line).exists() for line in LINES):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            yield log
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def config(folder: Path, lines: tuple[str, ...] = LINES) -> str:
    """Return a configuration with the modems of the exchange as lines for sending, and short leases."""
    text = "[dispatch]\nlease = 6\nrenew = 1\n"
    for line in lines:
        text += f'[[lines]]\nname = "{line}"\nurl = "class1:{folder / line}?speed={SPEED}"\nuse = "send"\n'
    return text


@dataclass
class Run:
    """What was accepted, and what both sides say of it."""

    service: Service
    log: Path
    faxes: dict[str, int]

    def now(self) -> None:
        """Have every retry made at once: the run is not to wait for them."""
        with psycopg.connect(urls_for_another_node(self.service.data / "postgres").dispatcher) as database:
            database.execute("UPDATE faxes SET next_call_at = now() WHERE state = 'waiting_retry'")

    def states(self) -> Counter[str]:
        """Count the faxes by state."""
        with self.service.api() as api:
            return Counter(api.get(f"/v1/faxes/{fax}").json()["state"] for fax in self.faxes)

    def until_ended(self) -> None:
        """Wait until nothing more will happen."""
        end = time.monotonic() + ENDS_WITHIN
        while not (states := self.states()).keys() <= FINAL:
            assert time.monotonic() < end, f"{states}; {self.service.last_words()}"
            self.now()
            time.sleep(0.5)

    def causes(self) -> Counter[str]:
        """Count what calls came to; empty: whole."""
        with psycopg.connect(urls_for_another_node(self.service.data / "postgres").dispatcher) as database:
            return Counter(f"{row[0]} {row[1]}" for row in database.execute("SELECT cause, cause_text FROM attempts"))

    def received(self) -> list[dict[str, Any]]:
        """Return the pages that the far ends confirmed, in time."""
        told = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return sorted((each for each in told if each["event"] == "page"), key=lambda each: each["at"])

    def confirmations(self) -> list[tuple[bytes, float]]:
        """Return hash and time of each confirmation that was recorded."""
        with psycopg.connect(urls_for_another_node(self.service.data / "postgres").dispatcher) as database:
            found = database.execute("SELECT sha256, extract(epoch FROM confirmed_at)::float8 FROM confirmations")
            return [(row[0], row[1]) for row in found]

    def check(self, *, interruptions: int) -> int:
        """Check that nothing was lost and nothing sent again that was recorded; return how many pages came twice."""
        assert self.states() == {"delivered": len(self.faxes)}, self.causes()
        recorded = self.confirmations()
        assert len(recorded) == len(self.faxes) * PAGES
        times = {sha256.hex(): at for sha256, at in recorded}
        assert len(times) == len(recorded), "two pages of this run look the same"
        received = self.received()
        assert {page["sha256"] for page in received} == times.keys()
        # A page takes seconds: one whose confirmation was recorded before and that is confirmed again was sent again.
        again = [page for page in received if page["at"] > times[page["sha256"]] + 0.05]
        assert not again, f"sent although their confirmation was recorded: {again}"
        repeats = len(received) - len(times)
        assert repeats <= interruptions * len(LINES)
        return repeats


def accepted(service: Service, count: int) -> dict[str, int]:
    """Have so many faxes accepted, each with pages of its own."""
    faxes = {}
    with service.api() as api:
        for number in range(count):
            document = upload(api, tiff_octets(fax_pages(PAGES, seed=number)))
            faxes[send(api, f"+{NUMBERS[number % len(NUMBERS)]}", document)] = number
    return faxes


@pytest.mark.soak
def test_no_fax_is_lost_however_often_the_service_is_killed(soak: bool, soak_seed: int) -> None:
    kills = KILLS if soak else SHORT
    chance = random.Random(soak_seed)
    began = time.monotonic()
    with reachable_folder() as folder, exchange(folder) as log, Service(folder, config=config(folder)) as service:
        service.start()
        service.set_up()
        run = Run(service, log, accepted(service, FAXES))
        killed = 0
        while killed < kills:
            time.sleep(chance.uniform(0, LONGEST_LIFE))
            service.kill()
            killed += 1
            service.start()
            run.now()
        busy = run.states()
        run.until_ended()
        repeats = run.check(interruptions=killed)
    seconds = time.monotonic() - began
    print(
        f"\n{FAXES} faxes of {PAGES} pages, {killed} kills in {seconds:.0f} s, {busy['delivered']} delivered by the "
        f"last one; none lost, {repeats} pages came twice, none after its confirmation was recorded"
    )


@pytest.mark.soak
def test_two_services_share_the_work_and_killing_either_loses_nothing(soak: bool, soak_seed: int) -> None:
    faxes = FAXES if soak else 12
    chance = random.Random(soak_seed)
    with reachable_folder() as folder, exchange(folder) as log:
        with Service(folder, config=config(folder, LINES[:1])) as first:
            first.start()
            first.set_up()
            with reachable_folder() as other, Service(other, config=_second(first, folder)) as second:
                second.start()
                second.account = first.account
                run = Run(first, log, accepted(first, faxes))
                victims = [first, second] * (5 if soak else 1)
                for victim in victims:
                    time.sleep(chance.uniform(1, LONGEST_LIFE))
                    victim.kill()
                    time.sleep(chance.uniform(0, 2))
                    victim.start()
                run.until_ended()
                repeats = run.check(interruptions=len(victims))
                nodes = Counter(_nodes(first))
        print(f"\n{faxes} faxes, calls by node: {sorted(nodes.values())}; {len(victims)} kills, {repeats} pages twice")
        assert len(nodes) == len(LINES), "one node made every call"


def _second(first: Service, folder: Path) -> str:
    """Return the configuration of another node beside ``first``: the same database, objects and keys."""
    urls = urls_for_another_node(first.data / "postgres")
    shared = (
        f'spool_keys = "{first.data}.spool_keys"\nserver_keys = "{first.data}/server_keys"\n'
        f'[database]\nurl = "{urls.app}"\nowner_url = "{urls.owner}"\ndispatcher_url = "{urls.dispatcher}"\n'
        f'[objects]\nurl = "file://{first.data}/objects"\n'
    )
    return shared + config(folder, LINES[1:])


def _nodes(service: Service) -> list[str]:
    with psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher) as database:
        return [row[0] for row in database.execute("SELECT node FROM attempts")]
