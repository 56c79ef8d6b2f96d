"""What a gateway lives on goes away in mid-call: its lines, its PostgreSQL, its disk. No accepted fax is lost.

The service is a process of its own and so are the far ends. Under ``FAXGW_SOAK=1`` the outages are as long as they are
in life. Printed: how long each was, and how many pages came more than once.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from faxgw.documents.tiff import tiff_octets
from faxgw.store.roles import Urls
from faxgw.store.server import PrivateServer
from tests.faxgw.far_ends import Exchange
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.run import PAGES, ROWS, Run, accepted
from tests.faxgw.service.residue import noise, wait_for
from tests.faxgw.serving import Service, reachable_folder, send, upload

LINES = tuple(f"line-{digit}" for digit in range(4))
NUMBERS = tuple(f"1555012{digit}" for digit in range(8))
FAXES = 8
AWAY, SHORTLY = 20.0, 4.0
"""Seconds of an outage: the whole figure, and the short one."""


@pytest.fixture
def place() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


# --------------------------------------------------------------------------------------------------------------- lines


@pytest.mark.slow
@pytest.mark.soak
def test_with_every_line_unplugged_it_says_so_and_sends_when_they_are_back(soak: bool, place: Path) -> None:
    exchange = Exchange(place, lines=LINES[:2], numbers=NUMBERS)
    with exchange, Service(place, config=exchange.config()) as service:
        service.start()
        service.set_up()
        run = Run(service, exchange, accepted(service, exchange, 3))
        run.until("sending")
        exchange.stop()
        wait_for(lambda: not service.health()[0])
        began = time.monotonic()
        run.faxes = [*run.faxes, *accepted(service, exchange, 3, first=3)]
        wait_for(lambda: "No line can be used" in service.health()[1]["lines"]["text"])
        checks = service.health()[1]
        assert {name for name, check in checks.items() if not check["ok"]} == {"lines"}
        for line in exchange.lines:
            assert f"{line}: " in checks["lines"]["text"]
            wait_for(partial(_says, service, str(place / line)))
        time.sleep(max(0, began + (AWAY if soak else 0) - time.monotonic()))
        exchange.start()
        service.until_ready(within=60)
        run.until_delivered()
        repeats = run.check(interruptions=1)
    print(f"\n{len(run.faxes)} faxes, every line unplugged in mid-call: none lost, {repeats} pages came twice")


def _says(service: Service, path: str) -> bool:
    return path in service.health()[1]["lines"]["text"]


# ----------------------------------------------------------------------------------------------------------- PostgreSQL


class Postgres:
    """A PostgreSQL of the test's own, for a service that is told its URLs; stopped and started at will."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner = asyncio.Runner()
        self._server = PrivateServer(folder)

    @property
    def urls(self) -> Urls:
        return self._server.urls

    def start(self) -> None:
        self._server = PrivateServer(self._folder)
        self._runner.run(self._server.start())

    def stop(self) -> None:
        """Shut it down: connections are cut, transactions rolled back."""
        self._runner.run(self._server.stop())

    def freeze(self) -> None:
        """Stop every one of its processes, with all connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        self.stop()
        self._runner.close()

    def config(self) -> str:
        return (
            f'[database]\nurl = "{self.urls.app}"\nowner_url = "{self.urls.owner}"\n'
            f'dispatcher_url = "{self.urls.dispatcher}"\n'
        )

    def _signal(self, number: signal.Signals) -> None:
        """Tell all of its processes: they are one session each, with the server as their parent."""
        server = self._server.pid
        if server is None:
            return
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in (server, *map(int, children)):
            with suppress(ProcessLookupError):  # a connection's own, which has ended
                os.kill(pid, number)


@pytest.mark.slow
@pytest.mark.soak
def test_with_postgresql_away_in_mid_call_nothing_accepted_is_lost(soak: bool, place: Path) -> None:
    exchange = Exchange(place, lines=LINES, numbers=NUMBERS)
    with ExitStack() as ends:
        postgres = Postgres(place / "postgres")
        ends.callback(postgres.close)
        postgres.start()
        ends.enter_context(exchange)
        service = ends.enter_context(Service(place, config=postgres.config() + exchange.config()))
        service.start()
        service.set_up()
        run = Run(service, exchange, [], postgres.urls.dispatcher)
        ends.callback(postgres.thaw)
        for stop, start in ((postgres.stop, postgres.start), (postgres.freeze, postgres.thaw)):
            run.faxes = [*run.faxes, *accepted(service, exchange, FAXES, first=len(run.faxes))]
            run.until("sending")
            stop()
            began = time.monotonic()
            told = said_within(service, began)
            refused_by(service, exchange)
            time.sleep(max(0, began + (AWAY if soak else SHORTLY) - time.monotonic()))
            start()
            service.until_ready()
            print(f"\nPostgreSQL away for {time.monotonic() - began:.1f} s in mid-call, told after {told:.1f} s")
            run.until_delivered()
        repeats = run.check(interruptions=2)
    print(f"{len(run.faxes)} faxes, none lost, {repeats} pages came twice")


@pytest.mark.slow
@pytest.mark.soak
def test_with_its_own_postgresql_killed_in_mid_call_nothing_accepted_is_lost(soak: bool, place: Path) -> None:
    kills = 10 if soak else 2
    exchange = Exchange(place, lines=LINES, numbers=NUMBERS)
    with exchange, Service(place, config=exchange.config()) as service:
        service.start()
        service.set_up()
        run = Run(service, exchange, accepted(service, exchange, FAXES))
        for _ in range(kills):
            run.until("sending", "delivered")
            killed = (service.data / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
            os.kill(int(killed), signal.SIGKILL)
            wait_for(partial(_runs_anew, service, killed))
            run.now()
        run.until_delivered()
        repeats = run.check(interruptions=kills)
    print(f"\nPostgreSQL killed {kills} times in mid-call: {FAXES} faxes, none lost, {repeats} pages came twice")


def _runs_anew(service: Service, killed: str) -> bool:
    """Tell whether its PostgreSQL, by what it says of itself, is another process than the killed one, and is ready."""
    try:
        said = (service.data / "postgres" / "data" / "postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return "ready" in said and killed not in said


def said_within(service: Service, began: float) -> float:
    """Wait until the service says that its database is away, and nothing else; return after how many seconds it did."""
    wait_for(lambda: not service.health()[0])
    told = time.monotonic() - began
    assert {name for name, check in service.health()[1].items() if not check["ok"]} == {"database"}
    return told


def refused_by(service: Service, exchange: Exchange) -> None:
    """Check that requests are refused for now, in the documented form."""
    fax = {"to": f"+{exchange.numbers[0]}", "documents": ["018f3f3e-0000-7000-8000-000000000000"]}
    with service.api() as api:
        for answer in (
            api.post("/v1/faxes", json=fax),
            api.post("/v1/documents", content=b"x", headers={"Content-Type": "text/plain"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
            assert answer.json()["retryable"]
            assert int(answer.headers["retry-after"]) > 0


# ---------------------------------------------------------------------------------------------------------------- disk


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """Return a data directory of 64 MiB."""
    folder = place / "data"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0711", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounts a file system, which takes root with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.interop
@pytest.mark.soak
def test_with_its_disk_full_it_confirms_nothing_that_it_cannot_keep(place: Path, small_disk: Path) -> None:
    exchange = Exchange(place, lines=("bell", "caller", "out"), numbers=NUMBERS)
    pages = [noise(seed, rows=150) for seed in (41, 42, 43)]
    (place / "sheets.tif").write_bytes(tiff_octets(pages))
    config = exchange.config(("out",)) + exchange.config(("bell",), use="receive").split("\n", 3)[3]
    ballast = Ballast(small_disk)
    with exchange, Service(place, config=config) as service:
        service.start()
        box = service.set_up()["box"]
        with service.api() as api:
            assert api.post("/v1/numbers", json={"line": "bell", "box": box}).status_code == 201
            document = upload(api, tiff_octets(fax_pages(PAGES, rows=ROWS, seed=99)))
        run = Run(service, exchange, accepted(service, exchange, 4))
        call = exchange.calling("caller", "bell", place / "sheets.tif")
        wait_for(lambda: received(run) == [("receiving", 1)])
        ballast.leave(0)
        assert [page["confirmed"] for page in call.outcome()["pages"]].count(True) == 1
        refuses(service, document)

        ballast.leave(2 << 20)
        refuses(service, document)
        unanswered = exchange.calling("caller", "bell", place / "sheets.tif").outcome()
        assert (unanswered["pages"], unanswered["outcome"]) == ([], "failed"), unanswered

        ballast.leave(None)
        service.until_ready()
        with service.api() as api:
            run.faxes = [*run.faxes, send(api, f"+{NUMBERS[0]}", document)]
            run.until_delivered()
            assert received(run) == [("partially_received", 1)]
            (came,) = api.get("/v1/faxes", params={"direction": "in"}).json()["items"]
            assert pages[0].octets in api.get(f"/v1/faxes/{came['id']}/content?format=tiff").content
        repeats = run.check(interruptions=1)
    print(f"\nThe disk full in mid-call: {len(run.faxes)} faxes sent, none lost, {repeats} pages came twice")


class Ballast:
    """A file that takes the room on a disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def leave(self, octets: int | None) -> None:
        """Take all room but so many octets; None: give all of it back."""
        self._path.unlink(missing_ok=True)
        if octets is None:
            return
        with self._path.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                file.truncate(max(0, file.tell() - octets))


def refuses(service: Service, document: str) -> None:
    """Check that the service takes nothing new, and says why."""
    wait_for(lambda: not service.health()[0])
    wait_for(lambda: "make room" in service.health()[1]["disk"]["text"])
    with service.api() as api:
        taken = [
            api.post("/v1/documents", content=b"x", headers={"Content-Type": "text/plain"}),
            api.post("/v1/faxes", json={"to": f"+{NUMBERS[0]}", "documents": [document]}),
            api.post("/v1/batches", json={"to": [f"+{NUMBERS[0]}"], "documents": [document]}),
            api.post("/v1/documents:render", json={"documents": [document]}),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in taken] == [(507, "storage.full")] * 4
    assert all(answer.json()["retryable"] for answer in taken)


def received(run: Run) -> list[tuple[str, int]]:
    """Return state and pages of each fax that came in."""
    with run.connect() as database:
        return [
            (row[0], row[1]) for row in database.execute("SELECT state, pages_done FROM faxes WHERE direction = 'in'")
        ]
