"""A gateway on a database of the test's own, and clients that speak to its API: in this process, or over TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from faxgw.api import create_app, serve
from faxgw.config import Config
from faxgw.config.model import ApiSettings
from faxgw.gateway import Gateway
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.tls import ServerTls
from tests.faxgw.api.people import Person, add_person

Client = httpx.AsyncClient
Connect = Callable[[Person | None], Client]
Serve = Callable[[], AbstractAsyncContextManager[Connect]]


@pytest.fixture
def settings() -> ApiSettings:
    """Return the settings of the API; a test module that wants others has a fixture of this name."""
    return ApiSettings(port=0, failures_per_minute=1000, requests_per_second=10_000)


@pytest_asyncio.fixture
async def gateway(database: Database, settings: ApiSettings, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Return a gateway of which nothing runs: no line, no dispatcher, no drawer."""
    config = Config(data_dir=tmp_path / "data", api=settings, lines=())
    async with open_gateway(config, database.urls) as found:
        yield found


@pytest.fixture
def app(gateway: Gateway) -> FastAPI:
    return create_app(gateway)


@pytest_asyncio.fixture
async def connect(app: FastAPI) -> AsyncIterator[Connect]:
    """Return a function that gives a client in this process for somebody, or for nobody."""
    clients: list[Client] = []

    def client(person: Person | None) -> Client:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.1", 50000))
        made = Client(transport=transport, base_url="https://gateway", headers=person.headers if person else {})
        clients.append(made)
        return made

    yield client
    for each in clients:
        await each.aclose()


@pytest_asyncio.fixture
async def owner(gateway: Gateway) -> Person:
    """Return the owner of a tenant, with a key that may do everything."""
    return await add_person(gateway)


@pytest.fixture
def client(connect: Connect, owner: Person) -> Client:
    """Return the owner's client."""
    return connect(owner)


@pytest.fixture
def serving(gateway: Gateway, app: FastAPI) -> Serve:
    """Return a function that serves the API over TLS, and gives clients for it."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Connect]:
        tls = ServerTls(gateway.config.api, gateway.config.data_dir)
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(gateway, app, tls=tls, started=port.set_result))
        context = ssl.create_default_context(cafile=str(tls.certificate))
        clients: list[Client] = []

        def client(person: Person | None) -> Client:
            base = f"https://localhost:{port.result()}"
            made = Client(base_url=base, verify=context, headers=person.headers if person else {}, timeout=10)
            clients.append(made)
            return made

        try:
            both: set[asyncio.Future[Any]] = {port, task}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield client
        finally:
            for each in clients:
                await each.aclose()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run
