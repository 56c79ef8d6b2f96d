"""The numbered steps by which the database comes to be as this version of the program needs it."""

from alembic import op
from procrastinate.schema import SchemaManager

from faxgw.store.roles import table_protection, task_protection


def protect(table: str, *, tenants: bool) -> None:
    """Within a migration, set the rights on a table, and its wall where it holds rows of tenants."""
    for statement in table_protection(table, tenants=tenants):
        op.execute(statement)


def make_task_tables() -> None:
    """Within a migration, make procrastinate's tables as its installed version has them, and set the rights on them."""
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    for statement in task_protection():
        op.execute(statement)
