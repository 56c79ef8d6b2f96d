"""Sessions: somebody is signed in, in one tenant at a time. The token holds the way to their key; the server does not.

The slot of a session is sealed under the secret of its token, so the row alone opens nothing; it ends with the session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.ids import new_id
from faxgw.keys.slots import SessionSecret
from faxgw.keys.tokens import ServerKeys, SessionToken
from faxgw.keys.wraps import KeyPair
from faxgw.people.keys import put_slot
from faxgw.rules.policy import TenantPolicy
from faxgw.store.database import notify
from faxgw.store.tables import people, person_slots, sessions, tenants, users

Row = Mapping[Any, Any]

CHANNEL = "faxgw_keys"
"""Notifications of API keys and sessions that changed; the payload is whose."""
NOTED = timedelta(seconds=30)
"""How exactly it is written down when a session was last used; a quarter of the idle time, where that is less."""
BY_PASSWORD = ("password", "recovery")
"""Ways to sign in for which something was known, not only had."""
MOST_SESSIONS = 50
"""Of one person; the oldest ends when there is one more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session of a tenant may be idle, and may last."""

    idle: timedelta
    whole: timedelta
    second_factor: bool
    passkey_alone: bool

    @classmethod
    def of(cls, policy: Mapping[str, Any] | None) -> "Limits":
        """Return what a tenant's policy says; None: of a session that is in no tenant yet."""
        said = TenantPolicy.model_validate(policy or {})
        return cls(
            timedelta(minutes=said.session_idle_minutes),
            timedelta(hours=said.session_hours),
            said.require_second_factor,
            said.passkey_alone,
        )

    def over(self, row: Row, now: datetime) -> bool:
        """Tell whether a session is over; ``row``: of ``sessions``."""
        return bool(row["seen_at"] + self.idle <= now or row["created_at"] + self.whole <= now)

    def to_be_noted(self, seen_at: datetime, now: datetime) -> bool:
        """Tell whether a use is to be written down."""
        return now - seen_at >= min(NOTED, self.idle / 4)


async def begin_session(
    connection: AsyncConnection,
    server_keys: ServerKeys,
    *,
    person_id: UUID,
    key_pair: KeyPair | None,
    user_id: UUID | None,
    second_factor: bool,
    address: str,
    agent: str,
    now: datetime,
    way: str = "password",
    provider: str | None = None,
) -> SessionToken:
    """Begin a session; ``connection`` is the dispatcher's, as everywhere here.

    Without a ``key_pair`` it is signed in, and locked: it opens no content until ``unlock``.
    """
    token = SessionToken.generate(new_id())
    row = {
        "id": token.id,
        "person_id": person_id,
        "user_id": user_id,
        "mac": server_keys.mac(token.secret),
        "second_factor": second_factor,
        "way": way,
        "provider": provider,
        "password": way in BY_PASSWORD,
        "address": address,
        "agent": agent[:200],
        "created_at": now,
        "seen_at": now,
    }
    await connection.execute(insert(sessions).values(row))
    if key_pair is not None:
        await put_slot(connection, person_id, key_pair, SessionSecret(token.secret), session_id=token.id)
    newest = select(sessions.c.id).where(sessions.c.person_id == person_id).order_by(sessions.c.id.desc())
    await _end(connection, (sessions.c.person_id == person_id) & sessions.c.id.not_in(newest.limit(MOST_SESSIONS)))
    return token


async def find_session(connection: AsyncConnection, session_id: UUID) -> Row | None:
    """Return a session with its slot, its person, and the membership and tenant that it is in; see ``_FIND``."""
    return (await connection.execute(_FIND, {"session": session_id})).mappings().one_or_none()


async def note_use(connection: AsyncConnection, session_id: UUID, *, now: datetime) -> None:
    """Write down that a session is being used."""
    this = (sessions.c.id == session_id) & (sessions.c.seen_at < now)
    await connection.execute(update(sessions).where(this).values(seen_at=now))


async def switch(connection: AsyncConnection, session_id: UUID, user_id: UUID) -> None:
    """Have a session go on in another tenant: as the person's membership there."""
    await connection.execute(update(sessions).where(sessions.c.id == session_id).values(user_id=user_id))
    await tell_of(connection, session_id)


async def unlock(
    connection: AsyncConnection,
    person_id: UUID,
    token: SessionToken,
    key_pair: KeyPair,
    *,
    password: bool,
    second: bool,
) -> None:
    """Have a session open content from now on.

    ``password``: whether that, or the recovery code, was given; ``second``: whether a second factor was shown.
    """
    this = sessions.c.id == token.id
    shown = {"password": sessions.c.password | password, "second_factor": sessions.c.second_factor | second}
    await connection.execute(update(sessions).where(this).values(shown))
    await connection.execute(delete(person_slots).where(person_slots.c.session_id == token.id))
    await put_slot(connection, person_id, key_pair, SessionSecret(token.secret), session_id=token.id)
    await tell_of(connection, token.id)


async def forget_second_factor(connection: AsyncConnection, person_id: UUID) -> None:
    """Take note that none of a person's sessions has a second factor any more: there is none."""
    mine = sessions.c.person_id == person_id
    await connection.execute(update(sessions).where(mine).values(second_factor=False))
    await tell_of(connection, person_id)


async def end_sessions(
    connection: AsyncConnection, person_id: UUID, *, only: UUID | None = None, but: UUID | None = None
) -> int:
    """End a person's sessions: all of them, ``only`` one, or all ``but`` one; return how many."""
    which = sessions.c.person_id == person_id
    if only is not None:
        which &= sessions.c.id == only
    if but is not None:
        which &= sessions.c.id != but
    return await _end(connection, which)


async def end_sessions_in(connection: AsyncConnection, user_id: UUID) -> int:
    """End the sessions that are in a tenant as one membership, and say how many."""
    return await _end(connection, sessions.c.user_id == user_id)


async def sessions_of(connection: AsyncConnection, person_id: UUID, *, now: datetime) -> Sequence[Row]:
    """Return a person's sessions that go on, newest first, with the tenant's name as ``tenant``."""
    found = (
        select(
            sessions,
            users.c.tenant_id,
            tenants.c.name.label("tenant"),
            tenants.c.policy,
            person_slots.c.id.is_not(None).label("unlocked"),
        )
        .outerjoin(person_slots, person_slots.c.session_id == sessions.c.id)
        .outerjoin(users, users.c.id == sessions.c.user_id)
        .outerjoin(tenants, tenants.c.id == users.c.tenant_id)
        .where(sessions.c.person_id == person_id)
        .order_by(sessions.c.id.desc())
    )
    rows = (await connection.execute(found)).mappings().all()
    return [row for row in rows if not Limits.of(row["policy"]).over(row, now)]


async def delete_over(connection: AsyncConnection, *, now: datetime) -> int:
    """Delete sessions that are over, and with them their slots; return how many."""
    found = (
        select(sessions.c.id, sessions.c.seen_at, sessions.c.created_at, tenants.c.policy)
        .outerjoin(users, users.c.id == sessions.c.user_id)
        .outerjoin(tenants, tenants.c.id == users.c.tenant_id)
    )
    rows = (await connection.execute(found)).mappings().all()
    over = [row["id"] for row in rows if Limits.of(row["policy"]).over(row, now)]
    return await _end(connection, sessions.c.id.in_(over)) if over else 0


async def tell_of(connection: AsyncConnection, whose: UUID) -> None:
    """Have every node read credentials anew, once this transaction is committed.

    ``whose``: the id of an API key or a session; or of a membership or a person, for all of theirs.
    """
    await notify(connection, CHANNEL, str(whose))


async def _end(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    ended = (await connection.execute(delete(sessions).where(which).returning(sessions.c.id))).scalars().all()
    for session_id in ended:
        await tell_of(connection, session_id)
    return len(ended)


_FIND = (
    select(
        sessions,
        people.c.email,
        people.c.public_key.label("person_key"),
        people.c.key_id.label("person_key_id"),
        people.c.totp.is_not(None).label("has_totp"),
        person_slots.c.kind.label("slot_kind"),
        person_slots.c.parameters.label("slot_parameters"),
        person_slots.c.blob.label("slot_blob"),
        users.c.tenant_id,
        users.c.role,
        users.c.key_id,
        users.c.public_key,
        users.c.key_wrap,
        tenants.c.name.label("tenant"),
        tenants.c.policy,
    )
    .join(people, people.c.id == sessions.c.person_id)
    .outerjoin(person_slots, person_slots.c.session_id == sessions.c.id)
    .outerjoin(users, (users.c.id == sessions.c.user_id) & users.c.deactivated_at.is_(None))
    .outerjoin(tenants, tenants.c.id == users.c.tenant_id)
    .where(sessions.c.id == bindparam("session"))
)
"""Everything that a request of a session needs, and nothing that opens anything without the token."""
