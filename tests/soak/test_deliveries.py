"""A hundred deliveries to folders of a host that breaks connections off, by a service that is killed again and again.

Printed: the seed, how often it was killed, how often the host broke off, and how long the run took.
"""

import asyncio
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from faxgw.documents.tiff import tiff_octets
from faxgw.store.server import urls_for_another_node
from tests.faxgw.folders.sending import PASSWORD
from tests.faxgw.folders.ssh_server import Server, ssh_server
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.serving import Service, reachable_folder, upload

TARGETS = 5
FAXES, KILLS = 20, 40
SHORT_FAXES, SHORT_KILLS = 3, 3
OUR_NUMBER = "+15550199"
LONGEST_LIFE = 2.0
"""Seconds between being ready and being killed, at most."""
OPERATIONS_LEFT = 40
"""Of all connections together, before the host breaks one off, at most: a fax and its sidecar take about twenty."""
CONFIG = """
[delivery]
allow_private = ["127.0.0.0/8"]
"""


@pytest.mark.slow
@pytest.mark.soak
def test_every_delivery_ends_and_lies_there_once_and_whole_however_often_the_service_is_killed(
    soak: bool, soak_seed: int
) -> None:
    faxes, kills = (FAXES, KILLS) if soak else (SHORT_FAXES, SHORT_KILLS)
    chance, began = random.Random(soak_seed), time.monotonic()
    with (
        reachable_folder() as folder,
        _flaky_host(folder / "there", chance) as host,
        Service(folder, config=CONFIG) as service,
    ):
        service.start()
        service.set_up()
        _set_up_targets(service, host.server)
        _receive(service, faxes)
        for _ in range(kills):
            time.sleep(chance.uniform(0, LONGEST_LIFE))
            _die(service)
        early = _states(service)["delivered"]
        host.calm()
        _die(service)
        _until_delivered(service, faxes * TARGETS)
        _check(service, folder / "there", faxes)
    seconds = time.monotonic() - began
    print(
        f"\n{faxes * TARGETS} deliveries, {kills + 1} kills and {host.breaks} broken connections in {seconds:.0f} s, "
        f"{early} delivered by the last kill but one; each is there once and whole"
    )


class _Host:
    """An SFTP server in a thread of its own, whose connections break off at random operations until it is calm."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.server = Server(folder)
        self.breaks = 0
        self._chance, self._calm, self._end = chance, threading.Event(), threading.Event()
        self._ready = threading.Event()
        self._folder = folder
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def calm(self) -> None:
        self._calm.set()

    def end(self) -> None:
        self._end.set()
        self._thread.join(30)

    async def _run(self) -> None:
        async with ssh_server(self._folder) as self.server:
            self._ready.set()
            while not self._end.is_set():
                self._go_on()
                await asyncio.sleep(0.01)

    def _go_on(self) -> None:
        """Draw the operation at which the next connection breaks off, once the last one has."""
        server = self.server
        if self._calm.is_set():
            server.cut_at = None
        elif server.cut_at is None or server.done > server.cut_at:
            self.breaks += server.cut_at is not None
            server.done, server.cut_after = 0, self._chance.random() < 0.5
            server.cut_at = self._chance.randrange(OPERATIONS_LEFT)


@contextmanager
def _flaky_host(folder: Path, chance: random.Random) -> Iterator[_Host]:
    for number in range(TARGETS):
        (folder / str(number)).mkdir(parents=True)
    host = _Host(folder, chance)
    host.start()
    try:
        yield host
    finally:
        host.end()


def _set_up_targets(service: Service, server: Server) -> None:
    with service.api() as api:
        box = api.get("/v1/boxes").raise_for_status().json()["items"][0]["id"]
        for number in range(TARGETS):
            settings = server.settings | {"folder": str(number)}
            asked = {"name": f"folder {number}", "settings": settings, "secret": {"password": PASSWORD}}
            target = api.post("/v1/targets", json=asked).raise_for_status().json()["id"]
            api.post(f"/v1/boxes/{box}/delivery-rules", json={"target": target}).raise_for_status()


def _receive(service: Service, faxes: int) -> None:
    """Have so many faxes come in, each of another page."""
    with service.api() as api:
        for number in range(faxes):
            document = upload(api, tiff_octets(fax_pages(1, rows=100, seed=number)))
            end = time.monotonic() + 60
            while (
                answer := api.post("/v1/sandbox/calls", json={"to": OUR_NUMBER, "document": document})
            ).status_code == 409:
                assert time.monotonic() < end, answer.text
                time.sleep(0.05)
            answer.raise_for_status()
    end = time.monotonic() + 60
    while sum(_states(service).values()) < faxes * TARGETS:
        assert time.monotonic() < end, service.last_words()
        time.sleep(0.05)


def _die(service: Service) -> None:
    """Kill the service, and start it when all that it had under way is due, as if its leases had run out."""
    service.kill()
    with _connected(service) as database:
        database.execute("UPDATE parcels SET next_at = now(), tries = 0 WHERE state = 'waiting'")
    service.start()


def _until_delivered(service: Service, count: int) -> None:
    end = time.monotonic() + 120
    while (states := _states(service)) != {"delivered": count}:
        assert not states.keys() - {"waiting", "delivered"}, states
        assert time.monotonic() < end, f"{states}; {service.last_words()}"
        time.sleep(0.1)


def _states(service: Service) -> Counter[str]:
    with _connected(service) as database:
        return Counter(row[0] for row in database.execute("SELECT state FROM parcels WHERE kind = 'fax'"))


def _check(service: Service, there: Path, faxes: int) -> None:
    with _connected(service) as database:
        hashes = database.execute("SELECT sha256 FROM parcels WHERE kind = 'fax'").fetchall()
        copies = database.execute("SELECT sha256, deletable FROM copies WHERE kind = 'folder'").fetchall()
        spooled = database.execute(
            "SELECT count(*) FROM wraps w JOIN pages p USING (object_id) JOIN faxes f USING (page_set_id) "
            "WHERE w.kind = 'spool'"
        )
        assert spooled.fetchone() == (0,), "the gateway can still open what was delivered"
    found = []
    for number in range(TARGETS):
        names = sorted(each.name for each in (there / str(number)).iterdir())
        assert len(names) == faxes * 2, names
        for sidecar in (each for each in names if each.endswith(".json")):
            (said,) = json.loads((there / str(number) / sidecar).read_text())["files"]
            content = (there / str(number) / said["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == said["sha256"] and content.rstrip().endswith(b"%%EOF")
            found.append(hashlib.sha256(content).digest())
    assert sorted(found) == sorted(bytes(each) for (each,) in hashes)
    assert sorted(found) == sorted(bytes(sha256) for sha256, deletable in copies if deletable)


def _connected(service: Service) -> psycopg.Connection:
    return psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher)
