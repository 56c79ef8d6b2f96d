"""Indexes for the queue of each tenant, and for what is due without what is queued already."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Change the database."""
    op.create_index(
        "faxes_queue",
        "faxes",
        ["tenant_id", "priority", "next_call_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index("faxes_due", table_name="faxes")
    op.create_index(
        "faxes_due",
        "faxes",
        ["next_call_at", "priority"],
        unique=False,
        postgresql_where=sa.text("state in ('scheduled', 'waiting_retry')"),
    )
