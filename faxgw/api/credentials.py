"""Which API key a request carries, and whose it is. A key that is revoked is refused from the next request on.

What was found is remembered for a few seconds. A change of a key is told to all nodes by a notification; a node that
does not listen remembers nothing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.api.problems import Problem
from faxgw.api.throttle import Buckets
from faxgw.gateway import Gateway
from faxgw.keys.tokens import ApiKey, KeyMalformed
from faxgw.store.database import notify
from faxgw.store.tables import api_keys, tenants, users

log = structlog.get_logger(__name__)

CHANNEL = "faxgw_keys"
"""Notifications of keys that changed; the payload is the key's id."""
REMEMBERED = 5.0
"""Seconds for which a key is remembered at the most, also where a notification was lost."""
MOST_REMEMBERED = 10_000
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class _Known:
    """A row of api_keys with its user and tenant, as read ``at`` (seconds of the clock)."""

    row: Mapping[Any, Any]
    actor: Actor
    at: float


class Credentials:
    """Checks API keys."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._known: dict[UUID, _Known] = {}
        self._failures = Buckets(gateway.config.api.failures_per_minute, 60.0, clock)
        self.hears = False
        """Whether notifications arrive, so that something may be remembered."""

    async def actor(self, authorization: str | None, address: str) -> Actor:
        """Return who carries this header.

        Args:
            authorization: the header ``Authorization``.
            address: where the request comes from; too many wrong keys from there are throttled.

        Raises:
            Problem: ``auth.missing``, ``auth.invalid_key`` or ``auth.throttled``.
            DatabaseUnavailable: if it cannot be known now.
        """
        if (wait := self._failures.left(address).wait) > 0:
            raise Problem("auth.throttled", headers={"retry-after": str(int(wait) + 1)})
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise Problem("auth.missing", "Send the header `Authorization: Bearer KEY` with an API key.")
        try:
            key = ApiKey.parse(text.strip())
        except KeyMalformed:
            raise self._refused(address) from None
        known = await self._look_up(key.id)
        # The same work, and the same answer, whether the id is unknown or the secret wrong.
        genuine = self._gateway.server_keys.matches(key.secret, known.row["mac"] if known else _NOBODY)
        if known is None or not genuine or not _valid(known.row):
            raise self._refused(address)
        return replace(known.actor, secret=text.strip())

    def forget(self, key_id: UUID | None = None) -> None:
        """Read a key anew when it comes next; None: all."""
        if key_id is None:
            self._known.clear()
        else:
            self._known.pop(key_id, None)

    def _refused(self, address: str) -> Problem:
        self._failures.take(address)
        log.warning("request with a wrong API key", address=address)
        return Problem("auth.invalid_key", "This API key is not valid: unknown, revoked, expired or mistyped.")

    async def _look_up(self, key_id: UUID) -> _Known | None:
        known = self._known.get(key_id)
        if known is not None and self.hears and self._clock() - known.at < REMEMBERED:
            return known
        async with self._gateway.database.dispatcher() as connection:
            row = (await connection.execute(_FIND, {"key": key_id})).mappings().one_or_none()
        if row is None:
            self._known.pop(key_id, None)
            return None
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        known = self._known[key_id] = _Known(row, _actor(row), self._clock())
        return known


async def tell_of(connection: AsyncConnection, key_id: UUID) -> None:
    """Have every node read a key anew, once this transaction is committed."""
    await notify(connection, CHANNEL, str(key_id))


def _valid(row: Mapping[Any, Any]) -> bool:
    expires = row["expires_at"]
    return row["revoked_at"] is None and (expires is None or expires > datetime.now(UTC))


def _actor(row: Mapping[Any, Any]) -> Actor:
    return Actor(
        tenant_id=row["tenant_id"],
        tenant=row["tenant"],
        user_id=row["user_id"],
        role=row["role"],
        api_key_id=row["id"],
        scopes=frozenset(row["scopes"]),
        public_key=row["public_key"],
    )


_FIND = (
    select(
        api_keys.c.id,
        api_keys.c.tenant_id,
        api_keys.c.user_id,
        api_keys.c.scopes,
        api_keys.c.mac,
        api_keys.c.expires_at,
        api_keys.c.revoked_at,
        users.c.role,
        users.c.public_key,
        tenants.c.name.label("tenant"),
    )
    .join(users, users.c.id == api_keys.c.user_id)
    .join(tenants, tenants.c.id == api_keys.c.tenant_id)
    .where(api_keys.c.id == bindparam("key"))
)
