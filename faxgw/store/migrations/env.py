"""What Alembic runs: all migrations in one transaction, under a lock that lets two nodes start at once."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection, text

from faxgw.store.migrating import LOCK, ours
from faxgw.store.sealed_columns import SealedType
from faxgw.store.tables import metadata


def _rendered(kind: str, item: object, _: object) -> str | Literal[False]:
    """Write sealed columns into migrations as what the database knows of them."""
    return "sa.LargeBinary()" if kind == "type" and isinstance(item, SealedType) else False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        include_name=ours,
        compare_server_default=True,
        render_item=_rendered,
    )
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.run_migrations()


_run(context.config.attributes["connection"])
