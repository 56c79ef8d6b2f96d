"""A tombstone for each tenant: none stands in another's way."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Change the database."""
    op.drop_constraint("tombstones_pkey", "tombstones", type_="primary")
    op.create_primary_key("tombstones_pkey", "tombstones", ["id", "kind", "tenant_id"])
