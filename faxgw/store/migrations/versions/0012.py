"""References stay within a tenant: foreign keys, which look over row-level security, name it as well."""

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"

_REFERENCES = (
    ("api_keys", "user_id", "users", "CASCADE"),
    ("attempts", "fax_id", "faxes", "CASCADE"),
    ("attempts", "trace_id", "objects", None),
    ("batches", "user_id", "users", None),
    ("box_keys", "box_id", "boxes", "CASCADE"),
    ("box_wraps", "key_id", "box_keys", "CASCADE"),
    ("box_wraps", "user_id", "users", "CASCADE"),
    ("boxes", "owner_id", "users", None),
    ("certificates", "erasure_id", "erasures", "SET NULL"),
    ("confirmations", "fax_id", "faxes", "CASCADE"),
    ("confirmations", "attempt_id", "attempts", "CASCADE"),
    ("deliveries", "webhook_id", "webhooks", "CASCADE"),
    ("deliveries", "event_id", "events", "CASCADE"),
    ("documents", "user_id", "users", None),
    ("documents", "object_id", "objects", None),
    ("documents", "page_set_id", "page_sets", "SET NULL"),
    ("erasures", "user_id", "users", None),
    ("events", "fax_id", "faxes", "CASCADE"),
    ("faxes", "user_id", "users", None),
    ("faxes", "api_key_id", "api_keys", "SET NULL"),
    ("faxes", "box_id", "boxes", None),
    ("faxes", "batch_id", "batches", None),
    ("faxes", "page_set_id", "page_sets", None),
    ("faxes", "private_id", "objects", "SET NULL"),
    ("faxes", "forwarded_from", "faxes", "SET NULL"),
    ("faxes", "drawn_with", "faxes", None),
    ("forwarding_rules", "box_id", "boxes", "CASCADE"),
    ("forwarding_rules", "to_box_id", "boxes", "CASCADE"),
    ("forwarding_rules", "created_by", "users", "SET NULL"),
    ("grants", "box_id", "boxes", "CASCADE"),
    ("grants", "user_id", "users", "CASCADE"),
    ("grants", "granted_by", "users", "SET NULL"),
    ("held_faxes", "hold_id", "holds", "CASCADE"),
    ("held_faxes", "fax_id", "faxes", "CASCADE"),
    ("holds", "user_id", "users", None),
    ("holds", "released_by", "users", None),
    ("key_slots", "user_id", "users", "CASCADE"),
    ("key_slots", "api_key_id", "api_keys", "CASCADE"),
    ("numbers", "box_id", "boxes", None),
    ("page_sets", "user_id", "users", None),
    ("pages", "page_set_id", "page_sets", "CASCADE"),
    ("pages", "object_id", "objects", None),
    ("retired_keys", "user_id", "users", "CASCADE"),
    ("set_up_codes", "user_id", "users", "CASCADE"),
    ("webhooks", "user_id", "users", None),
    ("wraps", "object_id", "objects", "CASCADE"),
)
"""Table, column, the table that it names rows of, what becomes of it when such a row is deleted."""

_KEYS = {"box_keys": "key_id"}
"""Table -> what its rows are named by; others have an ``id``."""

_LISTED = {"batches": "batches_tenant", "erasures": "erasures_tenant", "events": "events_tenant"} | {
    "faxes": "faxes_list",
    "webhooks": "webhooks_tenant",
}
"""Table -> an index on tenant and id, which the constraint that makes them unique replaces."""

_WITHIN = {
    "attempts_fax_id_index_key": ("attempts", "fax_id", "index"),
    "box_wraps_pkey": ("box_wraps", "key_id", "to_key"),
    "confirmations_pkey": ("confirmations", "fax_id", "index"),
    "copies_key": ("copies", "fax_id", "kind", "location", "sha256"),
    "forwarding_rules_box_id_prefix_to_box_id_key": ("forwarding_rules", "box_id", "prefix", "to_box_id"),
    "grants_box_id_user_id_key": ("grants", "box_id", "user_id"),
    "held_faxes_pkey": ("held_faxes", "hold_id", "fax_id"),
    "idempotency_pkey": ("idempotency", "api_key_id", "key"),
    "pages_pkey": ("pages", "page_set_id", "index"),
    "set_up_codes_user_id_key": ("set_up_codes", "user_id"),
    "wraps_pkey": ("wraps", "object_id", "kind", "key_id"),
}
"""Constraint -> table and columns that were unique, and are from now on within a tenant.

They are looked at before foreign keys are, and would tell that another tenant has such a row.
"""

_FOUND_BY = {
    "attempts_trace": ("attempts", "trace_id"),
    "events_fax": ("events", "fax_id", "id"),
    "faxes_drawn_with": ("faxes", "drawn_with"),
    "faxes_forwarded": ("faxes", "forwarded_from"),
    "faxes_page_set": ("faxes", "page_set_id"),
    "faxes_private": ("faxes", "private_id"),
}
"""Index by which rows are found that name one that is deleted -> table and columns; the tenant comes second."""


def upgrade() -> None:
    """Change the database."""
    tables = sorted({each for table, _, to, _ in _REFERENCES for each in (table, to)})
    for table in tables:  # the rows that are there are looked at
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    for table, column, _, _ in _REFERENCES:
        op.drop_constraint(f"{table}_{column}_fkey", table, type_="foreignkey")
    _change_indexes()
    for table, column, to, action in _REFERENCES:
        op.create_foreign_key(
            f"{table}_tenant_id_{column}_fkey",
            table,
            to,
            ["tenant_id", column],
            ["tenant_id", _KEYS.get(to, "id")],
            ondelete=f"SET NULL ({column})" if action == "SET NULL" else action,
        )
    for table in tables:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _change_indexes() -> None:
    for table in sorted({to for _, _, to, _ in _REFERENCES}):
        if table in _LISTED:
            op.drop_index(_LISTED[table], table_name=table)
        key = _KEYS.get(table, "id")
        op.create_unique_constraint(f"{table}_tenant_id_{key}_key", table, ["tenant_id", key])
    for name, (table, *columns) in _WITHIN.items():
        op.drop_constraint(name, table)
        columns.append("tenant_id")
        if name.endswith("_pkey"):
            op.create_primary_key(name, table, columns)
        else:
            op.create_unique_constraint(name if name == "copies_key" else f"{name[:-4]}_tenant_id_key", table, columns)
    for name, (table, column, *rest) in _FOUND_BY.items():
        op.drop_index(name, table_name=table)
        partial = None if name in ("events_fax", "faxes_page_set") else text(f"{column} is not null")
        op.create_index(name, table, [column, "tenant_id", *rest], postgresql_where=partial)
    op.execute("DROP INDEX box_keys_present")
    op.execute("CREATE UNIQUE INDEX box_keys_present ON box_keys (box_id, tenant_id) WHERE retired_at IS NULL")
