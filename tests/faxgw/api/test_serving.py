"""The listener itself, over TLS: headers, broken bodies, what is logged, how it stops."""

import asyncio
import json
import ssl
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from faxgw.api import create_app, serve
from faxgw.api.hardening import HEADERS
from faxgw.config.model import ApiSettings
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.tls import ServerTls
from tests.faxgw.api.conftest import Client, Serve
from tests.faxgw.api.people import Person, tiff
from tests.faxgw.api.test_documents import nothing_is_left


async def raw(client: Client, octets: bytes, *, then_close: bool = False) -> bytes:
    """Send octets as they are, and return what comes back until the connection is closed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("localhost", client.base_url.port, ssl=context)
    writer.write(octets)
    await writer.drain()
    if then_close:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        return b""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_every_answer_is_hardened_and_says_nothing_of_the_server_xm_15(owner: Person, serving: Serve) -> None:
    async with serving() as connect:
        for path in ("/v1/version", "/v1/nothing", "/v1/faxes?x=1", "/openapi.json"):
            answer = await connect(owner).get(path)
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
            assert "server" not in answer.headers
            assert answer.headers["cache-control"] == "no-store"


async def test_it_speaks_tls_1_3_and_nothing_older_fp_10(owner: Person, serving: Serve, gateway: Gateway) -> None:
    async with serving() as connect:
        port = connect(None).base_url.port
        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", port, ssl=old)
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient() as plain:
                await plain.get(f"http://localhost:{port}/v1/version")


async def test_a_body_that_breaks_off_leaves_nothing(gateway: Gateway, owner: Person, serving: Serve) -> None:
    body = bytes(400_000)
    head = f"POST /v1/documents HTTP/1.1\r\nhost: x\r\nauthorization: {owner.headers['authorization']}\r\n"
    head += f"content-type: image/tiff\r\ncontent-length: {len(body) + 100_000}\r\n\r\n"
    async with serving() as connect:
        for part in (body[:1000], body):
            await raw(connect(None), head.encode() + part, then_close=True)
        assert (await connect(owner).get("/v1/version")).status_code == 200
    assert await nothing_is_left(gateway)


async def test_what_follows_a_body_is_a_request_or_refused(owner: Person, serving: Serve, tmp_path: Path) -> None:
    body = tiff(tmp_path)
    head = f"POST /v1/documents HTTP/1.1\r\nhost: x\r\nauthorization: {owner.headers['authorization']}\r\n"
    head += f"content-type: image/tiff\r\ncontent-length: {len(body)}\r\n\r\n"
    async with serving() as connect:
        answer = await raw(connect(None), head.encode() + body + b"and more than was announced")
    lines, _, problem = answer.partition(b"\r\n\r\n")
    assert lines.startswith(b"HTTP/1.1 400")
    assert b"content-type: application/problem+json" in lines
    assert json.loads(problem)["code"] == "request.http"


async def test_without_a_key_nothing_of_a_body_is_asked_for(serving: Serve) -> None:
    head = b"POST /v1/documents HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n"
    head += b"content-type: image/tiff\r\ncontent-length: 100000\r\n\r\n"
    async with serving() as connect:
        answer = await raw(connect(None), head)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"100 Continue" not in answer


async def test_the_log_of_requests_has_no_numbers_in_it(owner: Person, serving: Serve) -> None:
    with capture_logs() as logs:
        async with serving() as connect:
            await connect(owner).get("/v1/destinations/+4930123456")
            await connect(owner).get("/v1/faxes", params={"to": "+4930123456"})
            await connect(owner).get("/+4930123456")
    requests = [each for each in logs if each["event"] == "request"]
    assert [each["path"] for each in requests] == ["/v1/destinations/{number}", "/v1/faxes", ""]
    assert "4930123456" not in str(logs)


async def test_requests_under_way_are_answered_when_it_stops(gateway: Gateway, owner: Person, serving: Serve) -> None:
    async with serving() as connect:
        async with gateway.database.dispatcher() as connection:
            await connection.exec_driver_sql("lock table boxes in access exclusive mode")
            asked = asyncio.create_task(connect(owner).get("/v1/boxes"))
            await asyncio.sleep(0.2)  # it waits for the lock now; nothing tells
        answer = await asked
    assert answer.status_code == 200


async def test_a_port_in_use_is_told_in_words(gateway: Gateway, owner: Person, serving: Serve) -> None:
    async with serving() as connect:
        taken = ApiSettings(port=connect(None).base_url.port or 0)
        gateway.config = gateway.config.model_copy(update={"api": taken})
        tls = ServerTls(taken, gateway.config.data_dir)
        with pytest.raises(RequestError, match="in use"):
            await serve(gateway, create_app(gateway), tls=tls)


@pytest.mark.parametrize(
    ("allowed", "address", "status"),
    [
        ([], "192.0.2.1", 200),
        (["192.0.2.0/24"], "192.0.2.1", 200),
        (["192.0.2.0/24"], "::ffff:192.0.2.1", 200),
        (["192.0.2.0/24"], "198.51.100.1", 403),
        (["2001:db8::/32"], "192.0.2.1", 403),
    ],
)
async def test_only_allowed_networks_connect_wf_03(
    gateway: Gateway, owner: Person, *, allowed: list[str], address: str, status: int
) -> None:
    limited = ApiSettings.model_validate({"allowed": allowed})
    gateway.config = gateway.config.model_copy(update={"api": limited})
    transport = httpx.ASGITransport(create_app(gateway), client=(address, 50000))
    async with httpx.AsyncClient(transport=transport, base_url="https://gateway", headers=owner.headers) as client:
        assert (await client.get("/v1/version")).status_code == status
        assert (await client.get("/openapi.json")).status_code == status
