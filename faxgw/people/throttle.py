"""Tries to sign in, counted by account on all nodes together, whether anybody has the account or not."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.keys.tokens import ServerKeys
from faxgw.store.tables import sign_in_failures

FREE = 5
"""Tries that may fail before the account is locked for a while."""
FIRST_LOCK = timedelta(seconds=30)
LONGEST_LOCK = timedelta(minutes=15)
"""The lock after the sixth failure in a row, twice as long after each more, and the longest."""
FORGOTTEN = timedelta(hours=6)
"""Failures that are older count no more."""


class Locked(RequestError):
    """Too many tries to sign in failed; ``wait`` is how many seconds are left."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("auth.locked", "Too many tries to sign in failed; wait, then try again.")
        self.wait = max(1, int(wait.total_seconds() + 0.999))


def account_of(server_keys: ServerKeys, email: str) -> bytes:
    """Return under what the tries of an address are counted: nobody without the server's keys can tell whose."""
    return server_keys.mac(b"account " + email.encode())


async def take_try(connection: AsyncConnection, account: bytes, *, now: datetime) -> None:
    """Count one try as failed, before its password is looked at; ``succeeded`` takes it back.

    So tries at the same time are no way around the limit. Call it in a transaction of its own.

    Raises:
        Locked: if the account is locked; that try does not count.
    """
    empty = insert(sign_in_failures).values(account=account, failures=0, last_at=now).on_conflict_do_nothing()
    await connection.execute(empty)
    this = sign_in_failures.c.account == account
    row = (await connection.execute(select(sign_in_failures).where(this).with_for_update())).one()
    if row.locked_until is not None and row.locked_until > now:
        raise Locked(row.locked_until - now)
    failures = 1 if row.last_at + FORGOTTEN < now else row.failures + 1
    until = now + _lock_after(failures) if failures >= FREE else None
    counted = sign_in_failures.update().where(this).values(failures=failures, last_at=now, locked_until=until)
    await connection.execute(counted)


async def succeeded(connection: AsyncConnection, account: bytes) -> None:
    """Forget the failures of an account."""
    await connection.execute(delete(sign_in_failures).where(sign_in_failures.c.account == account))


async def forget_old(connection: AsyncConnection, *, now: datetime) -> None:
    """Delete failures that count no more."""
    await connection.execute(delete(sign_in_failures).where(sign_in_failures.c.last_at < now - FORGOTTEN))


async def locks_of(
    connection: AsyncConnection, server_keys: ServerKeys, emails: dict[UUID, str], *, now: datetime
) -> dict[UUID, datetime]:
    """Return until when accounts are locked, of those that are; ``emails``: who -> their address."""
    accounts = {account_of(server_keys, email): who for who, email in emails.items()}
    found = select(sign_in_failures).where(
        sign_in_failures.c.account.in_(list(accounts)), sign_in_failures.c.locked_until > now
    )
    return {accounts[bytes(row.account)]: row.locked_until for row in await connection.execute(found)}


def _lock_after(failures: int) -> timedelta:
    doublings = min(failures - FREE, 10)
    return min(LONGEST_LOCK, FIRST_LOCK * (1 << doublings))
