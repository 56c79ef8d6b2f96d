"""That a backup was made, or restored, stands in the audit log of every tenant."""

from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import select

from faxgw.audit import record
from faxgw.store.database import Database
from faxgw.store.migrating import head
from faxgw.store.roles import Urls
from faxgw.store.tables import tenants


async def note(urls: Urls, action: str, data: Mapping[str, Any]) -> None:
    """Write a row into the log of every tenant; a database of an older version than this program has no log yet.

    Args:
        urls: of the database.
        action: ``backup.created`` or ``backup.restored``.
        data: plain values, nothing of a person.
    """
    if _version(urls) != head():
        return
    database = Database(urls, seals=None, pool=1, dispatcher_pool=1)
    try:
        async with database.dispatcher() as connection:
            for tenant_id in (await connection.scalars(select(tenants.c.id))).all():
                await record(
                    connection, tenant_id=tenant_id, actor="operator", action=action, object="backup", data=data
                )
    finally:
        await database.close()


def _version(urls: Urls) -> str:
    with psycopg.connect(urls.owner) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""
