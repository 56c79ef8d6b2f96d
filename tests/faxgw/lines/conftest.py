"""A gateway without its API: real database, real keys, real lines of the simulated exchange, one tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select

from faxgw.actor import SCOPES, Actor
from faxgw.config import Config, LineSettings
from faxgw.config.model import DatabaseSettings, DispatchSettings
from faxgw.faxes.accepting import accept
from faxgw.faxes.requests import FaxRequest
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import PublicKey
from faxgw.lines.dispatcher import recover
from faxgw.model import State
from faxgw.service import open_gateway, run_all, telephony
from faxgw.setup import SetUp, make_tenant
from faxgw.store.database import Database
from faxgw.store.tables import attempts, confirmations, documents, events, faxes, users

SPEED = 200
PASSWORD = "correct horse battery"


@dataclass
class Office:
    """A gateway that is at work, and one tenant of it."""

    gateway: Gateway
    tenant: SetUp

    @property
    def actor(self) -> Actor:
        return Actor(
            tenant_id=self.tenant.tenant,
            tenant="acme",
            user_id=self.tenant.user,
            role="owner",
            api_key_id=ApiKey.parse(self.tenant.api_key).id,
            scopes=frozenset(SCOPES),
            secret=self.tenant.api_key,
        )

    async def upload(self, octets: bytes, pages: int) -> UUID:
        """Store a document as an upload does."""
        gateway, document = self.gateway, new_id()
        stored = await gateway.objects.put(octets, tenant=self.tenant.tenant, kind="document")
        async with gateway.database.tenant(self.tenant.tenant) as connection:
            own = select(users.c.public_key).where(users.c.id == self.tenant.user)
            owner = PublicKey.from_octets((await connection.execute(own)).scalar_one())
            await write_down(connection, [stored], owner=owner, spool=gateway.spool)
            await connection.execute(
                documents.insert().values(
                    id=document,
                    tenant_id=self.tenant.tenant,
                    user_id=self.tenant.user,
                    object_id=stored.id,
                    media_type="image/tiff",
                    sha256=stored.sha256,
                    size=stored.length,
                    pages=pages,
                )
            )
        return document

    async def send(self, to: str, document: UUID, **wishes: Any) -> UUID:
        """Have a fax accepted."""
        request = FaxRequest.model_validate({"to": to, "documents": [document], **wishes})
        async with self.gateway.database.tenant(self.tenant.tenant) as connection:
            return (await accept(connection, self.gateway, self.actor, request)).id

    async def fax(self, fax_id: UUID) -> Any:
        """Return a fax's row."""
        return (await self.rows(select(faxes).where(faxes.c.id == fax_id)))[0]

    async def rows(self, statement: Any) -> Any:
        """Return what a query finds."""
        async with self.gateway.database.tenant(self.tenant.tenant) as connection:
            return (await connection.execute(statement)).all()

    async def ended(self, fax_id: UUID, within: float = 30.0) -> Any:
        """Return a fax's row when nothing more will happen to it."""

        async def ended() -> Any:
            fax = await self.fax(fax_id)
            return State(fax.state).final and fax

        return await seen(ended, within=within)

    async def in_state(self, fax_id: UUID, state: State, within: float = 30.0) -> Any:
        """Return a fax's row when it is in that state."""

        async def there() -> Any:
            fax = await self.fax(fax_id)
            return fax.state == state.value and fax

        return await seen(there, within=within)

    async def received(self, count: int = 1, within: float = 30.0) -> list[Any]:
        """Return the incoming faxes when so many have ended, oldest first."""
        ended = select(faxes).where(faxes.c.direction == "in", faxes.c.finished_at.is_not(None)).order_by(faxes.c.id)

        async def there() -> Any:
            found = await self.rows(ended)
            return len(found) >= count and found

        return list(await seen(there, within=within))

    async def told(self, fax_id: UUID) -> list[str]:
        """Return the types of a fax's events, in order."""
        found = await self.rows(select(events.c.type).where(events.c.fax_id == fax_id).order_by(events.c.id))
        return [row.type for row in found]

    async def calls(self, fax_id: UUID) -> list[Any]:
        """Return a fax's attempts, in order."""
        return list(await self.rows(select(attempts).where(attempts.c.fax_id == fax_id).order_by(attempts.c.index)))

    async def confirmed(self, fax_id: UUID) -> list[Any]:
        """Return a fax's confirmations, in order."""
        own = confirmations.c.fax_id == fax_id
        return list(await self.rows(select(confirmations).where(own).order_by(confirmations.c.index)))


async def seen(look: Callable[..., Awaitable[Any]], *about: Any, within: float = 30.0) -> Any:
    """Look again and again until there is something to see; return it."""
    async with asyncio.timeout(within):
        while not (found := await look(*about)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def _idle(gateway: Gateway) -> bool:
    return all(line.up for line in gateway.board.states())


def sim_line(name: str, number: str, **more: Any) -> LineSettings:
    return LineSettings(name=name, url=f"sim:{number}?speed={SPEED}", ident="+1 555 0199", **more)


def config_for(database: Database, folder: Path, lines: tuple[LineSettings, ...]) -> Config:
    urls = database.urls
    return Config(
        data_dir=folder / "data",
        database=DatabaseSettings(url=urls.app, owner_url=urls.owner, dispatcher_url=urls.dispatcher),
        lines=lines,
        dispatch=DispatchSettings(lease=6, renew=0.5),
    )


@asynccontextmanager
async def working(gateway: Gateway) -> AsyncIterator[None]:
    """Have a gateway draw and call and answer meanwhile."""
    await recover(gateway)
    stop = asyncio.Event()
    running = asyncio.create_task(run_all(telephony(gateway), stop.wait))
    try:
        await seen(_idle, gateway)
        yield
    finally:
        stop.set()
        await running


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    """Return the lines of the gateway; tests may parametrize it."""
    return (sim_line("one", "15550199"),)


@pytest_asyncio.fixture
async def office(database: Database, tmp_path: Path, lines: tuple[LineSettings, ...]) -> AsyncIterator[Office]:
    """Return a gateway at work, with one tenant."""
    config = config_for(database, tmp_path, lines)
    async with open_gateway(config, database.urls) as gateway:
        async with gateway.database.dispatcher() as connection:
            tenant = await make_tenant(
                connection,
                gateway.server_keys,
                name="acme",
                email="owner@acme.example",
                password=PASSWORD,
                lines=config.lines,
            )
        async with working(gateway):
            yield Office(gateway, tenant)
