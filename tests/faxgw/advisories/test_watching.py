"""The gateway and its advisories: health, one event for each tenant, memory over restarts; by file and by address."""

import asyncio
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from faxgw.advisories.board import MEMORY, checked
from faxgw.advisories.feed import sign_feed
from faxgw.advisories.fetching import NotFetched, from_url
from faxgw.advisories.sbom import bill
from faxgw.advisories.telling import check
from faxgw.config import Config
from faxgw.config.model import AdvisorySettings
from faxgw.gateway import Gateway
from faxgw.health import Degraded, Health
from faxgw.store.tables import audit_waiting, events
from faxgw.webhooks.egress import Address
from tests.faxgw.advisories.test_feed import ADVISORY, KEY, NOW, payload
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person, add_person

Issue = Callable[..., None]
DAY = timedelta(days=1)


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    return tmp_path / "feed.json"


@pytest.fixture
def issue(feed: Path) -> Issue:
    def write(*, by: Ed25519PrivateKey = KEY, **changes: object) -> None:
        feed.write_bytes(sign_feed(payload(**changes), by))

    return write


@pytest.fixture
def config(tmp_path: Path, feed: Path) -> Config:
    (tmp_path / "data").mkdir(exist_ok=True)
    keys = (b64encode(KEY.public_key().public_bytes_raw()).decode(),)
    return Config(data_dir=tmp_path / "data", lines=(), advisories=AdvisorySettings(file=feed, keys=keys))


@pytest.fixture
def watched(gateway: Gateway, config: Config) -> Gateway:
    return replace(gateway, config=config)


async def told(gateway: Gateway) -> list[tuple[object, object]]:
    async with gateway.database.dispatcher() as connection:
        rows = await connection.execute(select(events).where(events.c.type == "service.advisory").order_by(events.c.id))
        return [(row.tenant_id, row.data["id"]) for row in rows]


@pytest.mark.requirement("XM-23", "WF-01")
async def test_without_a_configured_feed_nothing_is_looked_for(tmp_path: Path) -> None:
    state = await checked(Config(data_dir=tmp_path, lines=()), now=NOW)
    assert (state.source, state.is_degraded) == ("", False)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.requirement("XM-23")
async def test_an_advisory_about_this_version_is_told_to_every_tenant_once(watched: Gateway, issue: Issue) -> None:
    people = [await add_person(watched) for _ in range(2)]
    issue()
    assert (await check(watched, now=NOW, version="0.1.9")).advisories == ()
    assert await told(watched) == []
    for _ in range(2):
        state = await check(watched, now=NOW, version="0.1.3")
    assert state.is_degraded
    expected = {(each.tenant_id, "FAXGW-2026-001") for each in people}
    assert set(await told(watched)) == expected
    assert len(await told(watched)) == 2
    async with watched.database.dispatcher() as connection:
        entries = [json.loads(each) for each in await connection.scalars(select(audit_waiting.c.entry))]
    assert [each["action"] for each in entries] == ["advisory.found"] * 2


@pytest.mark.requirement("XM-23")
async def test_the_owner_reads_it_and_health_is_degraded_but_ready(
    gateway: Gateway, config: Config, issue: Issue, client: Client
) -> None:
    assert (await client.get("/v1/version")).json()["advisories"] == []
    issue(advisories=[ADVISORY | {"affected": [">=0"]}])
    watched = replace(gateway, config=config)
    await check(watched, now=NOW)
    said = (await client.get("/v1/version")).json()
    assert [each["id"] for each in said["advisories"]] == ["FAXGW-2026-001"]
    assert said["feed"]["serial"] == 7
    assert re.search(r"known faults .* install 0\.1\.4 or newer\.$", said["text"])
    listed = (await client.get("/v1/events", headers={"accept": "application/json"})).json()["items"]
    assert [each["type"] for each in listed] == ["service.advisory"]

    async def version() -> str:
        raise Degraded(said["text"])

    health = Health()
    health.register("version", version)
    found = (await health.findings())["version"]
    assert (found.ok, found.degraded, found.text) == (True, True, said["text"])


@pytest.mark.requirement("XM-23")
@pytest.mark.parametrize("what", ["forged", "expired", "rolled back", "gone"])
async def test_a_feed_that_is_not_believed_is_reported_and_what_was_known_stays_known(
    config: Config, issue: Issue, feed: Path, what: str
) -> None:
    issue(serial=9)
    assert (await checked(config, now=NOW, version="0.1.3")).fault == ""
    now, clean = NOW, dict[str, object](advisories=[])
    match what:
        case "forged":
            issue(by=Ed25519PrivateKey.generate(), serial=10, **clean)
        case "expired":
            issue(serial=10, **clean)
            now += 90 * DAY
        case "rolled back":
            issue(serial=8, **clean)
        case "gone":
            os.remove(feed)  # noqa: PTH107
    state = await checked(config, now=now, version="0.1.3")
    assert state.fault
    assert state.is_degraded
    assert (state.serial, [each.id for each in state.advisories]) == (9, ["FAXGW-2026-001"])


async def test_a_newer_feed_takes_an_advisory_back(config: Config, issue: Issue) -> None:
    issue(serial=9)
    await checked(config, now=NOW, version="0.1.3")
    issue(serial=10, advisories=[])
    assert not (await checked(config, now=NOW + DAY, version="0.1.3")).is_degraded


async def test_a_memory_that_was_tampered_with_is_not_believed(config: Config, issue: Issue) -> None:
    issue(serial=9)
    await checked(config, now=NOW)
    memory = config.data_dir / MEMORY
    forged = sign_feed(payload(serial=1000), Ed25519PrivateKey.generate()).decode()
    memory.write_text(json.dumps({"feed": forged}))
    assert (await checked(config, now=NOW)).serial == 9
    memory.write_text("{")
    assert (await checked(config, now=NOW)).serial == 9


async def test_a_feed_is_fetched_from_an_address_only_by_the_rules_for_webhooks() -> None:
    octets = sign_feed(payload(), KEY)
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(octets), octets))
        await writer.drain()
        writer.close()

    async def loopback(_host: str, _port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://feeds.example:{port}/advisories.json"
    async with server:
        allowed = [ip_network("127.0.0.0/8")]
        assert await from_url(url, allowed=allowed, resolve=loopback) == octets
        assert asked[0].startswith(b"GET /advisories.json HTTP/1.1\r\n")
        for refused in (url, url.replace("http:", "https:"), f"https://127.0.0.1:{port}/", "ftp://feeds.example/"):
            with pytest.raises(NotFetched):
                await from_url(refused, resolve=loopback)
    assert len(asked) == 1


@pytest.mark.requirement("XM-23")
async def test_the_bill_of_materials_names_what_is_installed(client: Client, owner: Person) -> None:
    answer = await client.get("/v1/version/sbom")
    assert answer.json() == json.loads(json.dumps(bill()))
    parts = {each["name"]: each for each in bill()["components"]}
    assert {"cryptography", "fastapi", "starlette", "SQLAlchemy", "psycopg-binary", "greenlet"} <= set(parts)
    assert not {"pytest", "moto", "faxgw"} & set(parts)
    assert parts["cryptography"]["purl"].startswith("pkg:pypi/cryptography@")
    refs = {each["bom-ref"] for each in bill()["components"]} | {bill()["metadata"]["component"]["bom-ref"]}
    assert {each["ref"] for each in bill()["dependencies"]} == refs
    assert {ref for each in bill()["dependencies"] for ref in each["dependsOn"]} < refs
