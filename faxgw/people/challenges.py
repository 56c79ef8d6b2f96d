"""What is sent out to be answered once, soon: nothing is stored until the answer comes, and then only that it came."""

import os
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.keys.tokens import ServerKeys
from faxgw.store.tables import spent_challenges

GOOD_FOR = timedelta(minutes=5)
_CHANCE, _TIME = 16, 8


class NoChallenge(Exception):
    """It is none of ours, for something else, over, or was answered before."""


def make_challenge(server_keys: ServerKeys, purpose: bytes, *, now: datetime) -> bytes:
    """Return a new challenge: chance, until when it is good, and the proof that it is ours."""
    head = os.urandom(_CHANCE) + int((now + GOOD_FOR).timestamp()).to_bytes(_TIME, "big")
    return head + server_keys.mac(_said(purpose, head))


def check_challenge(server_keys: ServerKeys, purpose: bytes, challenge: bytes, *, now: datetime) -> None:
    """Make sure that a challenge is ours, for this purpose, and not over.

    Raises:
        NoChallenge: if not.
    """
    head, proof = challenge[: _CHANCE + _TIME], challenge[_CHANCE + _TIME :]
    ours = server_keys.matches(_said(purpose, head), proof)
    if not ours or int.from_bytes(head[_CHANCE:], "big") <= now.timestamp():
        raise NoChallenge


async def spend(connection: AsyncConnection, challenge: bytes, *, now: datetime) -> None:
    """Take note that a challenge was answered, in the transaction of what it was answered for.

    Raises:
        NoChallenge: if it was answered before.
    """
    until = now.astimezone(UTC) + GOOD_FOR
    spent = insert(spent_challenges).values(challenge=challenge, expires_at=until).on_conflict_do_nothing()
    if (await connection.execute(spent.returning(spent_challenges.c.expires_at))).one_or_none() is None:
        raise NoChallenge


async def forget_spent(connection: AsyncConnection, *, now: datetime) -> None:
    """Delete what is over by itself."""
    await connection.execute(delete(spent_challenges).where(spent_challenges.c.expires_at <= now))


def _said(purpose: bytes, head: bytes) -> bytes:
    return b"challenge " + purpose + b"\0" + head
