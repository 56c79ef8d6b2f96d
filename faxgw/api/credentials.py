"""Whose request it is: which API key or session it carries. What is revoked is refused from the next request on.

What was found is remembered for a few seconds. A change is told to all nodes by a notification; a node that does not
listen remembers nothing. A browser carries its session in a cookie, and then shows that no other site sent it.
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
from starlette.requests import Request

from faxgw.actor import SCOPES, Actor, Session
from faxgw.api.addresses import address_of
from faxgw.api.problems import Problem
from faxgw.api.throttle import Buckets
from faxgw.config import Config
from faxgw.gateway import Gateway
from faxgw.keys.slots import Slot
from faxgw.keys.tokens import ApiKey, KeyMalformed, SessionToken, Token
from faxgw.metrics import REFUSED
from faxgw.people.oidc_reach import may_enter
from faxgw.people.sessions import CHANNEL, Limits, find_session, note_use, tell_of
from faxgw.store.tables import api_keys, tenants, users

__all__ = ["CHANNEL", "COOKIE", "Credentials", "tell_of"]

log = structlog.get_logger(__name__)

REMEMBERED = 5.0
"""Seconds for which a credential is remembered at the most, also where a notification was lost."""
MOST_REMEMBERED = 10_000
COOKIE = "__Host-faxgw"
"""The cookie of a session; by this prefix, browsers take it over TLS only, and from no other host."""
OWN_HEADER = "x-faxgw-session"
"""With the cookie, requests that change something have this header, which no page of another site can send."""
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOBODY = bytes(32)
_NOWHERE = UUID(int=0)

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class _Known:
    """A row of api_keys with its user and tenant, or a session's, as read ``at`` (seconds of the clock)."""

    row: Row
    actor: Actor
    at: float
    limits: Limits | None = None

    def valid(self, now: datetime) -> bool:
        """Tell whether it is good at that time."""
        if self.limits is not None:
            return not self.limits.over(self.row, now)
        expires = self.row["expires_at"]
        return self.row["revoked_at"] is None and (expires is None or expires > now)

    def of(self, whose: UUID) -> bool:
        """Tell whether it is one of that user or person."""
        return whose in (self.actor.user_id, self.actor.session and self.actor.session.person_id)


class Credentials:
    """Checks API keys and sessions."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._known: dict[UUID, _Known] = {}
        self._changes = 0
        self._failures = Buckets(gateway.config.api.failures_per_minute, 60.0, clock)
        self.hears = False
        """Whether notifications arrive, so that something may be remembered."""
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        """The time by which credentials expire."""

    async def actor_of(self, request: Request, *, used: bool = True) -> Actor:
        """Return whose request it is; ``used``: whether it counts as a use of their session.

        Raises:
            Problem: as ``actor``; ``auth.csrf``, for a cookie without the proof that no other site sent it.
        """
        given, cookie = request.headers.get("authorization"), request.cookies.get(COOKIE)
        if given is None and cookie:
            _check_site(request)
            given = f"Bearer {cookie}"
        return await self.actor(given, address_of(request.scope), used=used)

    async def actor(self, authorization: str | None, address: str, *, used: bool = True) -> Actor:
        """Return who carries this header.

        Args:
            authorization: the header ``Authorization``.
            address: where the request comes from; too many wrong keys from there are throttled.
            used: whether it counts as a use of the session.

        Raises:
            Problem: ``auth.missing``, ``auth.invalid_key`` or ``auth.throttled``.
            DatabaseUnavailable: if it cannot be known now.
        """
        self.check_address(address)
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise Problem("auth.missing", "Send the header `Authorization: Bearer KEY` with an API key, or sign in.")
        try:
            token = _parsed(text.strip())
        except KeyMalformed:
            raise self._refused(address) from None
        known = await self._look_up(token)
        # The same work, and the same answer, whether the id is unknown or the secret wrong.
        genuine = self._gateway.server_keys.matches(token.secret, known.row["mac"] if known else _NOBODY)
        if known is None or not genuine or not known.valid(self.now()):
            raise self._refused(address)
        if used and known.limits is not None:
            known = await self._use(token.id, known, known.limits)
        return replace(known.actor, secret=text.strip())

    def check_address(self, address: str) -> None:
        """Let an address try a secret.

        Raises:
            Problem: ``auth.throttled``, if too many were wrong.
        """
        if (wait := self._failures.left(address).wait) > 0:
            raise Problem("auth.throttled", headers={"retry-after": str(int(wait) + 1)})

    def failed(self, address: str) -> None:
        """Count a wrong secret from an address."""
        self._failures.take(address)

    def forget(self, whose: UUID | None = None) -> None:
        """Read credentials anew when they come next: one, or all of a user or person; None: all."""
        self._changes += 1
        if whose is None:
            self._known.clear()
        elif self._known.pop(whose, None) is None:
            for each in [key for key, known in self._known.items() if known.of(whose)]:
                del self._known[each]

    def _refused(self, address: str) -> Problem:
        self.failed(address)
        REFUSED.labels("key").inc()
        log.warning("request with a wrong API key", address=address)
        return Problem("auth.invalid_key", "This API key or session is not valid: unknown, revoked, over or mistyped.")

    async def _look_up(self, token: Token) -> _Known | None:
        known = self._known.get(token.id)
        fresh = known is not None and self.hears and self._clock() - known.at < REMEMBERED
        if fresh and known is not None and known.valid(self.now()):
            return known  # one that has expired meanwhile may have been used on another node
        changes = self._changes
        async with self._gateway.database.dispatcher() as connection:
            found = await self._read(connection, token)
        if found is None or changes != self._changes:  # perhaps it was read just before it was changed
            self._known.pop(token.id, None)
            return found
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[token.id] = found
        return found

    async def _read(self, connection: AsyncConnection, token: Token) -> _Known | None:
        if isinstance(token, SessionToken):
            row = await find_session(connection, token.id)
            limits = Limits.of(row["policy"]) if row else None
            if row is None or limits is None:
                return None
            return _Known(row, _signed_in(row, limits, self._gateway.config), self._clock(), limits)
        row = (await connection.execute(_FIND, {"key": token.id})).mappings().one_or_none()
        return _Known(row, _actor(row), self._clock()) if row else None

    async def _use(self, session_id: UUID, known: _Known, limits: Limits) -> _Known:
        """Write down, now and then, that a session is being used."""
        now = self.now()
        if not limits.to_be_noted(known.row["seen_at"], now):
            return known
        async with self._gateway.database.dispatcher() as connection:
            await note_use(connection, session_id, now=now)
        used = replace(known, row={**known.row, "seen_at": now})
        if session_id in self._known:
            self._known[session_id] = used
        return used


def _parsed(text: str) -> Token:
    return SessionToken.parse(text) if text.startswith(f"{SessionToken.prefix}_") else ApiKey.parse(text)


def _check_site(request: Request) -> None:
    """Refuse what another site may have had a browser send.

    Raises:
        Problem: ``auth.csrf``.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin != f"https://{request.headers.get('host', '')}":
        raise Problem("auth.csrf", "A session's cookie is taken from pages of this gateway only.")
    if request.method not in _HARMLESS and OWN_HEADER not in request.headers:
        raise Problem("auth.csrf", "With a session's cookie, send the header `X-Faxgw-Session: 1`.")


def _signed_in(row: Row, limits: Limits, config: Config) -> Actor:
    session = Session(
        id=row["id"],
        person_id=row["person_id"],
        email=row["email"],
        slot=Slot(row["slot_kind"], row["slot_parameters"], row["slot_blob"]) if row["slot_kind"] else None,
        person_key=row["person_key"],
        key_id=row["key_id"] or "",
        key_wrap=row["key_wrap"],
        second_factor=row["second_factor"],
        provider=row["provider"],
    )
    inside = row["tenant_id"] is not None
    hindrance = "" if inside else "session.no_tenant"
    if inside and not may_enter(config, row["provider"], row["tenant"]):
        hindrance = "session.provider"
    if limits.second_factor and not row["second_factor"]:
        hindrance = hindrance or "auth.second_factor"
    if not limits.passkey_alone and row["way"] == "passkey" and not row["password"]:
        hindrance = hindrance or "auth.password_needed"
    return Actor(
        tenant_id=row["tenant_id"] or _NOWHERE,
        tenant=row["tenant"] or "",
        user_id=row["user_id"] if inside else _NOWHERE,
        role=row["role"] or "",
        api_key_id=None,
        scopes=frozenset(SCOPES),
        public_key=row["public_key"] or b"",
        session=session,
        hindrance=hindrance,
    )


def _actor(row: Row) -> Actor:
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
    .join(users, (users.c.id == api_keys.c.user_id) & users.c.deactivated_at.is_(None))
    .join(tenants, tenants.c.id == api_keys.c.tenant_id)
    .where(api_keys.c.id == bindparam("key"))
)
