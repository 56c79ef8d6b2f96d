"""The first tables, the walls between tenants, and the tables of the tasks."""

from alembic import op
from procrastinate.schema import SchemaManager

from faxgw.store.roles import protection, task_protection
from faxgw.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    connection = op.get_bind()
    metadata.create_all(connection)
    for statement in protection(metadata):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    for statement in task_protection():
        connection.exec_driver_sql(statement)
