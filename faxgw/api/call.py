"""One request, as the resources see it: who asks, a transaction of their tenant, and answers that are given once."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.actor import Actor
from faxgw.api.access import sees_all
from faxgw.api.answers import Answer
from faxgw.api.credentials import Credentials
from faxgw.api.following import Hub
from faxgw.api.idempotency import Once
from faxgw.api.throttle import Buckets
from faxgw.boxes.access import Right, faxes_with, seen_by
from faxgw.gateway import Gateway
from faxgw.people.oidc_provider import Provider
from faxgw.people.signing_in import Door

LOOK_UPS = 20
"""Colleagues that a member may look up in a minute."""


class Api:
    """What all requests share; ``app.state.api``."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.credentials = Credentials(gateway)
        self.rates = Buckets(gateway.config.api.requests_per_second, 1.0)
        self.look_ups = Buckets(LOOK_UPS, 60.0)
        """How many colleagues each member may look up."""
        self.hub = Hub()
        self.door = Door(gateway)
        self.providers: dict[str, Provider] = {}
        """Identity providers that somebody has used, by name."""
        self.long_uploads = asyncio.Semaphore(gateway.config.rendering.workers)
        """So many long uploads are held in memory at once."""
        self.long_contents = asyncio.Semaphore(gateway.config.rendering.workers)
        """So many long contents are opened, and made into a file, at once."""
        self.room_seen = -math.inf
        """When there was room on the disk, by the loop's clock."""


class Call:
    """A request whose API key or session was checked."""

    def __init__(self, request: Request, api: Api, actor: Actor) -> None:
        self.request = request
        self.api = api
        self.gateway = api.gateway
        self.actor = actor
        self._once: Once | None = None

    def is_once(self, body: bytes) -> None:
        """Take note of an Idempotency-Key, if there is one; ``body`` is what came with it, or its hash.

        Raises:
            Problem: ``idempotency.key``.
        """
        key = self.request.headers.get("idempotency-key")
        if key is not None:
            url = self.request.url
            self._once = Once.of(self.actor, key, self.request.method, url.path, url.query, body=body)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction of the actor's tenant."""
        async with self.gateway.database.tenant(self.actor.tenant_id) as connection:
            yield connection

    async def once(self, work: Callable[[AsyncConnection], Awaitable[Answer]]) -> Response:
        """Do what is asked and keep its answer in the same transaction; or give the answer that was kept.

        When this returns, all of it is committed.
        """
        async with self.transaction() as connection:
            earlier = await self.earlier(connection)
            if earlier is not None:
                return earlier
            answer = await work(connection)
            await self.keep(connection, answer)
        return answer.response()

    async def once_around(self, work: Callable[[], Awaitable[Answer]]) -> Response:
        """Do what takes its time, in transactions of its own or none, and keep its answer afterwards.

        Cut off in between, it may be done a second time: only for what does no harm then.
        """
        async with self.transaction() as connection:
            earlier = await self.earlier(connection)
        if earlier is not None:
            return earlier
        answer = await work()
        if self._once:
            async with self.transaction() as connection:
                await self.keep(connection, answer)
        return answer.response()

    async def earlier(self, connection: AsyncConnection) -> Response | None:
        """Return the answer that was given before to this request; see ``Once.earlier``."""
        return await self._once.earlier(connection) if self._once else None

    async def keep(self, connection: AsyncConnection, answer: Answer) -> None:
        """Keep the answer to this request; see ``Once.keep``."""
        if self._once:
            await self._once.keep(connection, answer)

    def visible(self) -> ColumnElement[bool] | None:
        """Return the condition on faxes that this actor may see; None: all of the tenant's."""
        return None if sees_all(self.actor) else seen_by(self.actor.user_id)

    def own(self, right: Right = "read") -> ColumnElement[bool]:
        """Return the condition on faxes that lie in boxes to which the actor has a right, their own among them."""
        return faxes_with(self.actor.user_id, right)


async def _call_of(request: Request) -> Call:
    # Not waiting for anything; but what is no coroutine FastAPI runs in a thread.
    call: Call = request.state.call
    return call


Caller = Annotated[Call, Depends(_call_of)]
"""A parameter of every operation that is not public."""
