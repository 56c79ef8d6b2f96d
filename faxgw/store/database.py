"""The database as the gateway uses it: transactions of one tenant or of all, notifications; heals after a break."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg
import structlog
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import Executable, RowMapping, exc, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from faxgw.errors import RequestError
from faxgw.keys.values import ValueSeals
from faxgw.store.roles import APP, DISPATCHER, OWNER, TENANT, Urls
from faxgw.store.sealed_columns import give_seals

log = structlog.get_logger(__name__)

CONNECT_LIMIT = 2
POOL_LIMIT = 5.0
TRANSACTION_LIMIT = 30.0
LISTEN_PROBE = 10.0
"""Seconds for a connection to be made; for one of the pool to come free; for a transaction, unless it asks for more;
between looks whether a silent connection for notifications is alive."""

PAUSE = 0.25
"""Seconds between tries to listen again."""

_BEGIN = f"BEGIN; SELECT set_config('{TENANT}', '{{}}', true)"

UNAVAILABLE = ("08", "40", "53", "57P", "58")
"""SQLSTATE of what is no statement's fault: no connection; undone for another one's sake, such as a deadlock; no room,
on the disk too; the server goes down or up; a fault of its machine."""


C = TypeVar("C")


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or cannot write: nothing was changed, unless the break came in mid-commit.

    Attributes:
        reason: what the database or the system said.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification; or, with ``missed``, word that some may have been missed: look at the tables."""

    channel: str = ""
    payload: str = ""
    missed: bool = False


class Database:
    """The pools of connections, one of the app role and one of the dispatcher; connections are made when needed."""

    def __init__(
        self,
        urls: Urls,
        *,
        seals: ValueSeals | None,
        pool: int = 10,
        dispatcher_pool: int = 6,
        patience: float = POOL_LIMIT,
    ) -> None:
        """Take the URLs of the roles, how many connections each of two has, and how many seconds to wait for one.

        ``seals`` open personal values (``ServerKeys.values``); None: whoever asks for one is refused.

        Raises:
            RequestError: ``database.roles``, when a URL is of another role than it should be: the walls between tenants
                hold for the app role.
        """
        for url, role in ((urls.owner, OWNER), (urls.app, APP), (urls.dispatcher, DISPATCHER)):
            if (user := make_url(url).username) != role:
                raise RequestError("database.roles", f"A database URL is of the role {user}, where {role} is needed.")
        self.urls = urls
        self.seals = seals
        self._app = _engine(urls.app, pool, patience, seals)
        self._dispatcher = _engine(urls.dispatcher, dispatcher_pool, patience, seals)

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID, *, within: float = TRANSACTION_LIMIT) -> AsyncGenerator[AsyncConnection]:
        """Open one transaction that sees and changes the rows of one tenant only; committed when the block ends well.

        Args:
            tenant_id: whose.
            within: seconds, after which the connection is cut.

        Raises:
            DatabaseUnavailable: at any point of the block.
        """
        async with self._transaction(self._app, str(tenant_id), within) as connection:
            yield connection

    @asynccontextmanager
    async def dispatcher(self, *, within: float = TRANSACTION_LIMIT) -> AsyncGenerator[AsyncConnection]:
        """Open one transaction over all tenants; otherwise as ``tenant``."""
        async with self._transaction(self._dispatcher, "", within) as connection:
            yield connection

    async def look(self, statement: Executable, values: Mapping[str, Any]) -> RowMapping | None:
        """Return what one statement finds over all tenants, one row or none; it changes nothing.

        It is a transaction by itself, of one round trip in place of three.

        Raises:
            DatabaseUnavailable: if it cannot be asked.
        """
        with _told_as_unavailable():
            connection = await _whole(self._dispatcher.connect(), AsyncConnection.close)
            try:
                with _Limit(CONNECT_LIMIT, await driver(connection)):
                    return (await connection.execute(statement, values)).mappings().one_or_none()
            except (exc.DBAPIError, DatabaseUnavailable) as error:
                if isinstance(error, exc.DBAPIError) and _why_unavailable(error) is None:
                    raise
            finally:
                await asyncio.shield(connection.close())
        async with self.dispatcher() as connection:  # which throws away those that have died in the pool
            return (await connection.execute(statement, values)).mappings().one_or_none()

    @asynccontextmanager
    async def listen(self, *channels: str) -> AsyncGenerator[AsyncIterator[Notice]]:
        """Listen to channels on a connection of its own, through every break.

        The first notice is a ``missed`` one, and so is the first after each break.
        """
        notices = self._notices(channels)
        try:
            yield notices
        finally:
            await notices.aclose()

    async def fault(self) -> str | None:
        """Return why the database is not there at the moment, in one sentence; None when it answers within 2 s."""
        try:
            connection = await _connected(self.urls.dispatcher)  # not of the pool: that may be busy
            await connection.close()
        except psycopg.OperationalError as error:
            return _first_line(error)
        return None

    async def close(self) -> None:
        """Close every connection."""
        await self._app.dispose()
        await self._dispatcher.dispose()

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine, tenant: str, within: float) -> AsyncGenerator[AsyncConnection]:
        with _told_as_unavailable():
            connection = await _begun(engine, tenant)
            try:
                raw = await driver(connection)
                with _Limit(within, raw):
                    yield connection
                    _refuse_overlooked_failure(raw)
                    await connection.commit()
            finally:
                await asyncio.shield(connection.close())

    async def _notices(self, channels: tuple[str, ...]) -> AsyncGenerator[Notice]:
        told = False
        while True:
            try:
                connection = await _connected(self.urls.dispatcher)
                try:
                    for channel in channels:
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    told = False
                    yield Notice(missed=True)
                    while True:
                        async for each in connection.notifies(timeout=LISTEN_PROBE):
                            yield Notice(each.channel, each.payload)
                        with _Limit(CONNECT_LIMIT, connection):
                            await connection.execute("SELECT")
                finally:
                    await connection.close()
            except (psycopg.OperationalError, DatabaseUnavailable) as error:
                if not told:
                    log.warning("no notifications from the database for now", reason=_first_line(error))
                told = True
                await asyncio.sleep(PAUSE)


async def driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """Return the psycopg connection of a transaction, for instance for ``task.configure(connection=...)``."""
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, psycopg.AsyncConnection)
    return raw


async def notify(connection: AsyncConnection, channel: str, payload: str = "") -> None:
    """Send a notification when, and if, the transaction commits; at most 7999 octets."""
    await connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})


def _engine(url: str, pool: int, patience: float, seals: ValueSeals | None) -> AsyncEngine:
    made = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=patience,
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",  # that is: BEGIN is ours, see ``_opened``; commit and rollback are as ever
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_LIMIT, "application_name": "faxgw"},
    )
    give_seals(made.sync_engine, seals)
    return made


async def _begun(engine: AsyncEngine, tenant: str) -> AsyncConnection:
    """Return a connection in a transaction of the tenant.

    Its first statement shows, too, whether the connection lives: those that died in the pool while the database was
    away are thrown away, one by one, until one lives or a new one cannot be made.
    """
    while True:
        connection = await _whole(engine.connect(), AsyncConnection.close)
        try:
            if await _opened(connection, tenant):
                return connection
        except BaseException:
            await asyncio.shield(connection.close())
            raise
        await connection.close()


async def _opened(connection: AsyncConnection, tenant: str) -> bool:
    """Begin the transaction; False when the connection is an old one that turns out to be dead."""
    old = connection.info.setdefault("old", False)
    connection.info["old"] = True
    await connection.begin()
    raw = await driver(connection)
    with _Limit(CONNECT_LIMIT, raw) as limit:
        try:
            # One round trip in place of two, and past SQLAlchemy, which would take 150 us more of every transaction.
            await raw.execute(_BEGIN.format(tenant).encode())
            return True
        except psycopg.OperationalError:
            await connection.invalidate()
            if limit.passed or not old:
                raise
            return False


def _refuse_overlooked_failure(raw: psycopg.AsyncConnection[Any]) -> None:
    """Refuse to commit what cannot be: PostgreSQL would take the word, and roll back without one."""
    if raw.closed:
        raise DatabaseUnavailable("the connection broke within the transaction")
    if raw.info.transaction_status == TransactionStatus.INERROR:
        raise RuntimeError("A statement of this transaction failed: nothing was changed.")


async def _connected(url: str) -> psycopg.AsyncConnection[Any]:
    connecting = psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_LIMIT, application_name="faxgw"
    )
    return await _whole(connecting, psycopg.AsyncConnection.close)


async def _whole(opening: Awaitable[C], close: Callable[[C], Awaitable[None]]) -> C:
    """Open a connection; one that nobody waits for any more is opened to its end, which is soon, and closed.

    Cut off half way it would stay open: on our side until it is found, and on the server's for a minute.
    """
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await asyncio.shield(close(task.result()))
        raise


class _Limit:
    """Cuts a connection from our side when its time is up; whoever waits on it then gets an error at once.

    Cancelling the wait instead would not do: the driver would ask the server to cancel, and wait for its answer.
    """

    def __init__(self, seconds: float, connection: psycopg.AsyncConnection[Any]) -> None:
        self.passed = False
        self._seconds = seconds
        self._connection = connection
        self._handle = asyncio.get_running_loop().call_later(seconds, self._cut)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._handle.cancel()
        if self.passed and isinstance(error, exc.SQLAlchemyError | psycopg.Error | DatabaseUnavailable):
            raise DatabaseUnavailable(f"no answer within {self._seconds:g} s") from error

    def _cut(self) -> None:
        self.passed = True
        if not self._connection.closed:
            with socket.socket(fileno=os.dup(self._connection.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)


@contextmanager
def _told_as_unavailable() -> Generator[None]:
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError, psycopg.Error) as error:
        if (reason := _why_unavailable(error)) is None:
            raise
        raise DatabaseUnavailable(reason) from error


def _why_unavailable(error: Exception) -> str | None:
    if isinstance(error, exc.TimeoutError):
        return "every connection to the database is busy"
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    if cause.sqlstate is None or cause.sqlstate.startswith(UNAVAILABLE):
        return _first_line(cause)
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
