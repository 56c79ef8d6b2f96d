"""One-time codes of an authenticator (RFC 6238): each is taken once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import pyotp
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.keys.tokens import ServerKeys, same
from faxgw.store.tables import people

ISSUER = "faxgw"
STEP = 30
"""Seconds for which a code stands."""
TOLERANCE = 1
"""Steps by which an authenticator's clock may differ."""


def new_secret() -> str:
    """Return a new secret: 160 bits in base 32."""
    return pyotp.random_base32(32)


def uri(secret: str, *, email: str) -> str:
    """Return what an authenticator reads, mostly as a QR code."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=email, issuer_name=ISSUER)


def sealed(server_keys: ServerKeys, person_id: UUID, secret: str) -> bytes:
    """Return a secret as it is stored; the server must read it, so whoever has its keys can, too."""
    return server_keys.seal_small(secret.encode(), context=_context(person_id))


async def take_code(
    connection: AsyncConnection,
    server_keys: ServerKeys,
    person: Mapping[Any, Any],
    code: str,
    *,
    now: datetime,
    column: str = "totp",
) -> bool:
    """Take a code, if it is right and was not taken before; nor is any older one afterwards.

    ``person`` is a row of ``people``, in which the secret is in the column ``totp`` or ``totp_new``.
    """
    secret = server_keys.open_small(person[column], context=_context(person["id"])).decode()
    step = _step_of(secret, code, now)
    if step is None:
        return False
    # The condition is looked at when the row is locked: of two who give the same code at once, one gets in.
    fresh = (people.c.id == person["id"]) & (people.c.totp_step < step)
    return (await connection.execute(update(people).where(fresh).values(totp_step=step))).rowcount == 1


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the step that a code is of, the newest if of several; None: it is wrong."""
    given = "".join(code.split()).encode()
    at, totp = int(now.timestamp()) // STEP, pyotp.TOTP(secret, interval=STEP)
    right = [step for step in range(at - TOLERANCE, at + TOLERANCE + 1) if same(totp.at(step * STEP).encode(), given)]
    return max(right, default=None)


def _context(person_id: UUID) -> bytes:
    return b"one-time codes of " + person_id.bytes
