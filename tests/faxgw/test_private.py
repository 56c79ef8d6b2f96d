"""The private listener: live, ready, metrics; what checks say, how long they may take, how often they are asked."""

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from faxgw import metrics
from faxgw.config.model import PrivateSettings
from faxgw.errors import RequestError
from faxgw.health import Degraded, Finding, Health, NotReady
from faxgw.metrics import CALLS, METRICS, REGISTRY, sample_loop_lag
from faxgw.private import private_listener


async def well() -> str:
    return "all is well"


async def broken() -> str:
    raise NotReady("PostgreSQL does not answer; is it running?")


async def surprised() -> str:
    raise RuntimeError("no sentence for this")


async def dated() -> str:
    raise Degraded("this version has a known fault: install another")


async def silent() -> str:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def client(health: Health) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        private_listener(PrivateSettings(port=0), health) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def test_a_service_whose_checks_are_well_is_ready(client: httpx.AsyncClient, health: Health) -> None:
    health.register("database", well)
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    said = {"ok": True, "degraded": False, "text": "all is well", "seconds": 0}
    assert answer.json()["checks"]["database"] | {"seconds": 0} == said
    assert answer.headers["cache-control"] == "no-store"


async def test_one_check_that_is_not_well_makes_it_not_ready_and_the_others_still_speak(
    client: httpx.AsyncClient, health: Health
) -> None:
    health.register("lines", well)
    health.register("database", broken)
    health.register("disk", surprised)
    health.register("objects", silent, within=0.01)
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    said = {name: (check["ok"], check["text"]) for name, check in answer.json()["checks"].items()}
    assert answer.json()["ready"] is False
    assert said == {
        "lines": (True, "all is well"),
        "database": (False, "PostgreSQL does not answer; is it running?"),
        "disk": (False, "the check itself failed (RuntimeError); the log has more"),
        "objects": (False, "no answer within 0.01 s"),
    }
    assert (await client.get("/health/live")).json() == {"live": True}


@pytest.mark.requirement("XM-23")
async def test_a_degraded_service_says_why_and_stays_ready(client: httpx.AsyncClient, health: Health) -> None:
    health.register("database", well)
    assert (await client.get("/health/ready")).json()["degraded"] is False
    other = Health()
    other.register("version", dated)
    async with (
        private_listener(PrivateSettings(port=0), other) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as asking,
    ):
        answer = await asking.get("/health/ready")
    assert (answer.status_code, answer.json()["ready"], answer.json()["degraded"]) == (200, True, True)
    assert answer.json()["checks"]["version"]["text"] == "this version has a known fault: install another"


async def test_checks_are_asked_once_a_second_however_many_want_to_know(health: Health) -> None:
    asked = 0
    go = asyncio.Event()

    async def counted() -> str:
        nonlocal asked
        asked += 1
        await go.wait()
        return "well"

    health.register("counted", counted)
    askers = [asyncio.create_task(health.findings()) for _ in range(20)]
    await asyncio.sleep(0)
    askers[0].cancel()
    go.set()
    answers: list[object] = await asyncio.gather(*askers, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(each, dict) and each["counted"].ok for each in answers[1:])
    await health.findings()
    assert asked == 1


async def test_a_finding_is_not_kept_for_longer_than_a_second(health: Health) -> None:
    state: list[Finding] = []
    health.register("database", broken)
    state.append((await health.findings())["database"])
    health.register("database", well)
    async with asyncio.timeout(5):
        while not state[-1].ok:
            await asyncio.sleep(0.05)
            state.append((await health.findings())["database"])
    assert not state[0].ok


async def test_metrics_are_what_prometheus_reads(client: httpx.AsyncClient) -> None:
    CALLS.labels("out", "delivered").inc()
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert re.search(r'^faxgw_calls_total\{direction="out",outcome="delivered"\} \d', answer.text, re.MULTILINE)
    assert "process_resident_memory_bytes" in answer.text
    assert "faxgw_build_info" in answer.text


async def test_nothing_else_is_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/docs")).status_code == 404
    assert (await client.post("/health/ready")).status_code == 405


def test_every_metric_is_in_the_table_and_has_no_label_that_names_anybody() -> None:
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("faxgw_")}
    assert ours == {family.name for metric in METRICS for family in metric.describe()}
    labels = {label for metric in METRICS for label in metric._labelnames}
    assert not labels & {"number", "to", "from", "tenant", "user", "key", "address", "fax", "box"}


def test_the_documentation_has_every_metric() -> None:
    page = Path(metrics.__file__).parents[1] / "docs" / "monitoring.md"
    assert page.read_text().endswith(metrics.table()), "put faxgw.metrics.table() there"


def test_every_metric_is_fed_by_something() -> None:
    ours = Path(metrics.__file__).parent
    code = "\n".join(path.read_text() for path in ours.rglob("*.py"))
    names = [name for name, value in vars(metrics).items() if value in METRICS]
    assert len(names) == len(METRICS)
    assert not [name for name in names if not re.search(rf"\b{name}\.(labels|inc|set|observe|set_function)\b", code)]


async def test_a_loop_that_is_held_up_shows_in_the_metrics() -> None:
    def slow() -> float:
        return REGISTRY.get_sample_value("faxgw_loop_lag_seconds_sum") or 0.0

    before = slow()
    sampler = asyncio.create_task(sample_loop_lag())
    await asyncio.sleep(0)
    threading.Event().wait(0.25)
    async with asyncio.timeout(5):
        while slow() - before < 0.15:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    sampler.cancel()


async def test_a_request_that_hangs_does_not_keep_the_service_from_stopping(health: Health) -> None:
    health.register("silent", silent, within=3600)
    async with asyncio.timeout(10), private_listener(PrivateSettings(port=0), health) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{port}/health/live")
    writer.close()


async def test_a_port_that_is_taken_is_said_so_with_the_way_out(health: Health) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RequestError, match=f"port {port} of 127.0.0.1 is in use.*FAXGW_PRIVATE_PORT"):
            async with private_listener(PrivateSettings(port=port), health):
                pass


async def test_an_address_of_another_machine_is_said_so(health: Health) -> None:
    with pytest.raises(RequestError, match=r"192\.0\.2\.1 is no address of this machine"):
        async with private_listener(PrivateSettings(host="192.0.2.1", port=0), health):
            pass
