"""The first tables, the walls between tenants, and the tables of the tasks."""

from alembic import op

from faxgw.store.migrations import make_task_tables, protect
from faxgw.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    metadata.create_all(op.get_bind())
    for table in metadata.sorted_tables:
        protect(table.name, tenants="tenant_id" in table.columns)
    make_task_tables()
