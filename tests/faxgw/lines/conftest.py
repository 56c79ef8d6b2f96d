"""A gateway without its API: real database, real keys, real lines of the simulated exchange, one tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from faxgw.actor import SCOPES, Actor
from faxgw.config import Config, LineSettings
from faxgw.config.model import DatabaseSettings, DispatchSettings
from faxgw.faxes.accepting import accept, accept_batch
from faxgw.faxes.actions import cancel
from faxgw.faxes.requests import BatchRequest, FaxRequest
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import Password
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import PublicKey
from faxgw.lines.leases import recover
from faxgw.model import State
from faxgw.service import open_gateway, run_all, telephony
from faxgw.setup import SetUp, make_tenant
from faxgw.store.database import Database
from faxgw.store.tables import (
    attempts,
    confirmations,
    documents,
    events,
    faxes,
    number_rules,
    objects,
    pages,
    tenants,
    users,
    wraps,
)
from simulators.sandbox import sandbox
from tests.faxgw.lines.far_ends import FarEnd

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

    async def send(self, to: str, document: UUID | None, **wishes: Any) -> UUID:
        """Have a fax accepted."""
        request = FaxRequest.model_validate({"to": to, "documents": [document] if document else [], **wishes})
        async with self.gateway.database.tenant(self.tenant.tenant) as connection:
            return (await accept(connection, self.gateway, self.actor, request)).id

    async def batch(self, to: list[str], document: UUID, **wishes: Any) -> UUID:
        """Have a batch accepted."""
        request = BatchRequest.model_validate({"to": to, "documents": [document], **wishes})
        async with self.gateway.database.tenant(self.tenant.tenant) as connection:
            return (await accept_batch(connection, self.gateway, self.actor, request)).id

    async def do(self, action: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Have a user do something to a fax, in a transaction of its own."""
        async with self.gateway.database.tenant(self.tenant.tenant) as connection:
            return await action(connection, *arguments)

    async def cancel(self, fax_id: UUID) -> State:
        """Cancel a fax."""
        state: State = await self.do(cancel, fax_id)
        return state

    async def change_policy(self, **fields: Any) -> None:
        """Lay something down for the tenant."""
        own = tenants.c.id == self.tenant.tenant
        async with self.gateway.database.dispatcher() as connection:
            policy = (await connection.execute(select(tenants.c.policy).where(own))).scalar_one() | fields
            await connection.execute(update(tenants).where(own).values(policy=policy, version=tenants.c.version + 1))

    async def deny(self, pattern: str, *, direction: str = "out", action: str = "deny") -> None:
        """Put a number on the tenant's lists."""
        row = {"id": new_id(), "tenant_id": self.tenant.tenant, "direction": direction, "action": action}
        async with self.gateway.database.dispatcher() as connection:
            await connection.execute(number_rules.insert().values(**row, pattern=pattern))

    async def again(self, fax_id: UUID) -> None:
        """Have a fax that waits called now, and return when it was."""
        dials = (await self.fax(fax_id)).dials
        past = {"next_call_at": func.now() - timedelta(seconds=1)}
        async with self.gateway.database.dispatcher() as connection:
            await connection.execute(update(faxes).where(faxes.c.id == fax_id).values(past))
            await connection.execute(text("SELECT pg_notify('faxgw_work', 'call')"))

        async def dialled() -> Any:
            fax = await self.fax(fax_id)
            return fax.dials > dials and fax

        await seen(dialled)

    async def waits(self, fax_id: UUID) -> Any:
        """Return a fax's row when it waits for its next call."""
        return await self.in_state(fax_id, State.WAITING_RETRY)

    async def spooled(self, fax_id: UUID) -> set[str]:
        """Return the kinds of object of a fax, and of its documents, that the gateway can open."""
        fax = await self.fax(fax_id)
        named = [UUID(each) for each in fax.request.get("documents", [])]
        drawn = select(pages.c.object_id).where(pages.c.page_set_id == fax.page_set_id)
        uploaded = select(documents.c.object_id).where(documents.c.id.in_(named))
        mine = wraps.c.object_id.in_(drawn.union_all(uploaded))
        kinds = (
            select(objects.c.kind).join(wraps, wraps.c.object_id == objects.c.id).where(wraps.c.kind == "spool", mine)
        )
        return {row.kind for row in await self.rows(kinds)}

    async def hashes(self, fax_id: UUID) -> list[bytes]:
        """Return the hashes of a fax's pages as they were drawn."""
        fax = await self.fax(fax_id)
        drawn = select(pages.c.sha256).where(pages.c.page_set_id == fax.page_set_id).order_by(pages.c.index)
        return [row.sha256 for row in await self.rows(drawn)]

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


def sim_line(name: str, number: str, *, speed: float = SPEED, **more: Any) -> LineSettings:
    return LineSettings(name=name, url=f"sim:{number}?speed={speed}", ident="+1 555 0199", **more)


def config_for(database: Database, folder: Path, lines: tuple[LineSettings, ...]) -> Config:
    urls = database.urls
    return Config(
        data_dir=folder / "data",
        database=DatabaseSettings(
            url=SecretStr(urls.app), owner_url=SecretStr(urls.owner), dispatcher_url=SecretStr(urls.dispatcher)
        ),
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


@asynccontextmanager
async def gateway_of(config: Config, database: Database) -> AsyncIterator[Gateway]:
    """Return a gateway that is at work."""
    async with open_gateway(config, database.urls) as gateway, working(gateway):
        yield gateway


async def new_tenant(gateway: Gateway, name: str, lines: tuple[LineSettings, ...]) -> SetUp:
    async with gateway.database.dispatcher() as connection:
        return await make_tenant(
            connection,
            gateway.server_keys,
            name=name,
            email=f"owner@{name}.example",
            password=PASSWORD,
            lines=lines,
            stretched=lambda text: Password(text, memory=64, passes=1),
        )


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    """Return the lines of the gateway; tests may parametrize it."""
    return (sim_line("one", "15550199"), sim_line("two", "15550198"))


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    """Return machines of the test's own on the simulated exchange; tests may parametrize it."""
    return ()


@pytest_asyncio.fixture
async def office(
    database: Database, tmp_path: Path, lines: tuple[LineSettings, ...], far_ends: tuple[FarEnd, ...]
) -> AsyncIterator[Office]:
    """Return a gateway at work, with one tenant."""
    sandbox().numbers = {**sandbox().numbers, **{each.number: each.far for each in far_ends}}
    config = config_for(database, tmp_path, lines)
    async with open_gateway(config, database.urls) as gateway:
        tenant = await new_tenant(gateway, "acme", lines)
        async with working(gateway):
            yield Office(gateway, tenant)
