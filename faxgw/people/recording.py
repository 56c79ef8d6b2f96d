"""What the audit log and the log say of signing in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.audit import pseudonym, record
from faxgw.config.oidc import OidcSettings
from faxgw.gateway import Gateway
from faxgw.metrics import REFUSED
from faxgw.people.accounts import memberships, person_of
from faxgw.store.tables import tenants

log = structlog.get_logger(__name__)

Row = Mapping[Any, Any]


async def began(
    connection: AsyncConnection,
    user: Row,
    session_id: UUID,
    *,
    now: datetime,
    switched: bool = False,
    **said: str | bool,
) -> None:
    """Record that somebody signed in, or came over from another tenant.

    Args:
        connection: the dispatcher's.
        user: their membership.
        session_id: of the session.
        now: the time.
        switched: they came over.
        **said: how they signed in (``way``), and whether that opened their private key (``unlocked``).
    """
    await record(
        connection,
        tenant_id=user["tenant_id"],
        actor=f"user:{user['id']}",
        action="session.switched" if switched else "session.begun",
        object="session",
        object_id=session_id,
        source=f"session:{session_id}",
        data=said,
        now=now,
    )


async def ended(connection: AsyncConnection, actor: Actor, sessions: int) -> None:
    """Record that somebody ended sessions, if they are in a tenant."""
    if actor.tenant:
        await record(
            connection,
            tenant_id=actor.tenant_id,
            actor=actor,
            action="session.ended",
            object="user",
            object_id=actor.user_id,
            data={"sessions": sessions},
        )


async def own_account(connection: AsyncConnection, actor: Actor, action: str, **data: object) -> None:
    """Record what somebody did to their own account, in the log of each tenant that they belong to."""
    assert actor.session is not None
    for user in await memberships(connection, actor.session.person_id):
        await record(
            connection,
            tenant_id=user["tenant_id"],
            actor=f"user:{user['id']}",
            action=action,
            object="user",
            object_id=user["id"],
            source=f"session:{actor.session.id}",
            data=data,
        )


def not_let_in(gateway: Gateway, email: str, code: str, *, address: str) -> None:
    """Log that somebody was not let in, and record it in the tenants of that account, if it is one.

    The record is made after the answer, so that the time it takes does not tell whether there is an account.
    """
    REFUSED.labels("sign_in").inc()
    log.warning("sign-in failed", address=address, code=code)
    gateway.afterwards.do(_recorded(gateway, email, code), name="record of a failed sign-in")


async def invited(connection: AsyncConnection, user: Row, provider: str) -> None:
    """Record that somebody was invited since an identity provider vouched for their address."""
    await record(
        connection,
        tenant_id=user["tenant_id"],
        actor="service",
        action="user.invited",
        object="user",
        object_id=user["id"],
        data={"role": user["role"], "provider": provider},
    )


def not_vouched_for(gateway: Gateway, provider: OidcSettings, code: str, *, email: str, address: str) -> None:
    """Log that a sign-in by an identity provider was refused, and record it in all of the provider's tenants."""
    REFUSED.labels("sign_in").inc()
    log.warning("sign-in failed", address=address, code=code, provider=provider.name)
    gateway.afterwards.do(_recorded_of(gateway, provider, email, code), name="record of a failed sign-in")


async def _recorded_of(gateway: Gateway, provider: OidcSettings, email: str, code: str) -> None:
    async with gateway.database.dispatcher() as connection:
        found = select(tenants.c.id).where(tenants.c.name.in_(provider.tenants))
        for tenant_id in (await connection.execute(found)).scalars().all():
            who = pseudonym(gateway.server_keys, tenant_id=tenant_id, subject=email) if email else "service"
            await record(
                connection,
                tenant_id=tenant_id,
                actor=who,
                action="session.begun",
                object="provider",
                object_id=None,
                outcome="refused",
                data={"code": code, "provider": provider.name},
            )


async def _recorded(gateway: Gateway, email: str, code: str) -> None:
    async with gateway.database.dispatcher() as connection:
        person = await person_of(connection, email)
        for user in await memberships(connection, person["id"]) if person else []:
            await record(
                connection,
                tenant_id=user["tenant_id"],
                actor=pseudonym(gateway.server_keys, tenant_id=user["tenant_id"], subject=email),
                action="session.begun",
                object="user",
                object_id=user["id"],
                outcome="refused",
                data={"code": code},
            )
