"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from faxgw.store.migrations import make_task_tables, protect

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Change the database."""
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("nodes_pkey")),
        comment="gateway processes",
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tenants_pkey")),
        sa.UniqueConstraint("name", name=op.f("tenants_name_key")),
        comment="one organisation each; policy is a TenantPolicy",
    )
    op.create_table(
        "counters",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="tenant, or key:ID"),
        sa.Column("hour", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("calls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("counters_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "scope", "hour", name=op.f("counters_pkey")),
        comment="for quotas: what was accepted, by the hour",
    )
    op.create_table(
        "destinations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column(
            "station_ids", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("learned", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("override", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("destinations_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "number", name=op.f("destinations_pkey")),
        comment="what is known of a number: who answered there, and what it takes to get a fax through",
    )
    op.create_table(
        "lines",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="scheme of the line URL"),
        sa.Column("sends", sa.Boolean(), nullable=False),
        sa.Column("receives", sa.Boolean(), nullable=False),
        sa.Column("tenants", postgresql.ARRAY(sa.Text()), nullable=False, comment="names; empty: every tenant"),
        sa.Column("state", sa.Text(), nullable=False, comment="idle, busy or down"),
        sa.Column("fault", sa.Text(), server_default="", nullable=False),
        sa.Column("health", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["node"], ["nodes.id"], name=op.f("lines_node_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("node", "name", name=op.f("lines_pkey")),
        comment="lines as their node last saw them",
    )
    op.create_table(
        "number_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False, comment="a prefix of an E.164 number, or a whole one"),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("action in ('allow', 'deny')", name=op.f("number_rules_action")),
        sa.CheckConstraint("direction in ('out', 'in')", name=op.f("number_rules_direction")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("number_rules_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("number_rules_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "direction", "pattern", name=op.f("number_rules_tenant_id_direction_pattern_key")
        ),
        comment="allow and deny lists",
    )
    op.create_table(
        "objects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="document, page or trace"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="octets as sealed"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("objects_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("objects_pkey")),
        comment="what lies in the object store",
    )
    op.create_index("objects_tenant", "objects", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "routes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False, comment="of the E.164 number; empty: every number"),
        sa.Column("lines", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("cost", sa.Float(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("routes_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("routes_pkey")),
        sa.UniqueConstraint("tenant_id", "prefix", "cost", name=op.f("routes_tenant_id_prefix_cost_key")),
        comment="which lines a tenant's calls take",
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role in ('owner', 'admin', 'member')", name=op.f("users_role")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("users_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("users_tenant_id_email_key")),
        comment="a person; the public key seals what is theirs",
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False, comment="HMAC of the secret under the server key"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("api_keys_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("api_keys_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        comment="credentials of programs; the secret itself is not here",
    )
    op.create_index("api_keys_user", "api_keys", ["user_id"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state in ('running', 'paused', 'canceled')", name=op.f("batches_state")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("batches_tenant_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("batches_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("batches_pkey")),
        comment="one document to many numbers",
    )
    op.create_index("batches_tenant", "batches", ["tenant_id", "id"], unique=False)
    op.create_table(
        "boxes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("boxes_owner_id_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("boxes_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("boxes_pkey")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("boxes_tenant_id_name_key")),
        comment="where faxes lie; what arrives in one is sealed to its owner",
    )
    op.create_index("boxes_one_default", "boxes", ["tenant_id"], unique=True, postgresql_where=sa.text("is_default"))
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("documents_object_id_fkey")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("documents_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("documents_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("documents_pkey")),
        comment="an upload, until its time is up",
    )
    op.create_index("documents_expiry", "documents", ["expires_at"], unique=False)
    op.create_table(
        "page_sets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("page_sets_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("page_sets_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("page_sets_pkey")),
        comment="fax pages in order: drawn from documents, or received",
    )
    op.create_index("page_sets_expiry", "page_sets", ["expires_at"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False, comment="types or prefixes such as fax.*"),
        sa.Column("signature", sa.Text(), nullable=False, comment="v1 (HMAC) or v1a (Ed25519)"),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="sealed under the server's key"),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "full", sa.Boolean(), server_default="false", nullable=False, comment="numbers in the payload, not ids only"
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("signature in ('v1', 'v1a')", name=op.f("webhooks_signature")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("webhooks_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("webhooks_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
        comment="where events are sent",
    )
    op.create_index("webhooks_tenant", "webhooks", ["tenant_id", "id"], unique=False)
    op.create_table(
        "wraps",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="owner or spool"),
        sa.Column("key_id", sa.Text(), nullable=False, comment="the public key, or the spool epoch"),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("wraps_object_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("wraps_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("object_id", "kind", "key_id", name=op.f("wraps_pkey")),
        comment="who can read an object is which rows are here",
    )
    op.create_index("wraps_spool", "wraps", ["key_id"], unique=False, postgresql_where=sa.text("kind = 'spool'"))
    op.create_table(
        "faxes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("box_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("page_set_id", sa.Uuid(), nullable=True),
        sa.Column("private_id", sa.Uuid(), nullable=True),
        sa.Column("from_number", sa.Text(), server_default="", nullable=False),
        sa.Column("to_number", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "remote_id", sa.Text(), server_default="", nullable=False, comment="what the other machine calls itself"
        ),
        sa.Column("line", sa.Text(), server_default="", nullable=False),
        sa.Column("pages", sa.Integer(), nullable=True, comment="how many there are; unknown while they come"),
        sa.Column("pages_done", sa.Integer(), server_default="0", nullable=False, comment="confirmed, or received"),
        sa.Column("priority", sa.SmallInteger(), server_default="50", nullable=False, comment="0 goes first"),
        sa.Column(
            "request",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="documents, cover and the rest",
        ),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("reason_code", sa.Text(), server_default="", nullable=False),
        sa.Column("reason_text", sa.Text(), server_default="", nullable=False),
        sa.Column("mark", sa.Text(), server_default="", nullable=False, comment="junk, or why it is held"),
        sa.Column("dials", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_call_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("cancel_wanted", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("drawer", sa.Text(), server_default="", nullable=False, comment="node that draws its pages"),
        sa.Column("draw_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drawn_with", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("direction in ('out', 'in')", name=op.f("faxes_direction")),
        sa.CheckConstraint(
            "state in ('accepted', 'canceled', 'converting', 'delivered', 'dialing', 'failed', 'held', "
            "'partially_received', 'partially_sent', 'queued', 'ready', 'received', 'receiving', "
            "'ringing', 'scheduled', 'sending', 'waiting_retry')",
            name=op.f("faxes_state"),
        ),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("faxes_api_key_id_fkey"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("faxes_batch_id_fkey")),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("faxes_box_id_fkey")),
        sa.ForeignKeyConstraint(["drawn_with"], ["faxes.id"], name=op.f("faxes_drawn_with_fkey")),
        sa.ForeignKeyConstraint(["page_set_id"], ["page_sets.id"], name=op.f("faxes_page_set_id_fkey")),
        sa.ForeignKeyConstraint(
            ["private_id"], ["objects.id"], name=op.f("faxes_private_id_fkey"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("faxes_tenant_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("faxes_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("faxes_pkey")),
        comment="one fax to, or from, one number",
    )
    op.create_index(
        "faxes_batch", "faxes", ["batch_id", "id"], unique=False, postgresql_where=sa.text("batch_id is not null")
    )
    op.create_index("faxes_box", "faxes", ["box_id", "direction", "id"], unique=False)
    op.create_index(
        "faxes_drawn_with", "faxes", ["drawn_with"], unique=False, postgresql_where=sa.text("drawn_with is not null")
    )
    op.create_index(
        "faxes_due",
        "faxes",
        ["next_call_at", "priority"],
        unique=False,
        postgresql_where=sa.text("state in ('queued', 'scheduled', 'waiting_retry')"),
    )
    op.create_index("faxes_list", "faxes", ["tenant_id", "id"], unique=False)
    op.create_index("faxes_page_set", "faxes", ["page_set_id"], unique=False)
    op.create_index(
        "faxes_private", "faxes", ["private_id"], unique=False, postgresql_where=sa.text("private_id is not null")
    )
    op.create_index("faxes_state", "faxes", ["tenant_id", "state", "id"], unique=False)
    op.create_index(
        "faxes_to_draw",
        "faxes",
        ["priority", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('accepted', 'converting')"),
    )
    op.create_index("faxes_to_number", "faxes", ["tenant_id", "to_number", "id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False, comment="hash of method, path and body"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("idempotency_api_key_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("idempotency_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("api_key_id", "key", name=op.f("idempotency_pkey")),
        comment="answers to give again",
    )
    op.create_index("idempotency_age", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "key_slots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="password, recovery or api_key"),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("blob", sa.LargeBinary(), nullable=False, comment="the private key, sealed under the slot's secret"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("key_slots_api_key_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("key_slots_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("key_slots_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("key_slots_pkey")),
        comment="the ways to a user's private key",
    )
    op.create_index("key_slots_api_key", "key_slots", ["api_key_id"], unique=False)
    op.create_index("key_slots_user", "key_slots", ["user_id"], unique=False)
    op.create_table(
        "numbers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False, comment="E.164; empty: whatever comes in on the line"),
        sa.Column("subaddress", sa.Text(), server_default="", nullable=False),
        sa.Column("line", sa.Text(), server_default="", nullable=False, comment="only on this line; empty: on any"),
        sa.Column("box_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("numbers_box_id_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("numbers_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("numbers_pkey")),
        sa.UniqueConstraint("number", "subaddress", "line", name="numbers_key"),
        comment="which incoming call belongs to which box",
    )
    op.create_table(
        "pages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("page_set_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of the pels, whatever the coding"),
        sa.Column("width", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("bad_rows", sa.Integer(), server_default="0", nullable=False),
        sa.Column("longest_bad_run", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("pages_object_id_fkey")),
        sa.ForeignKeyConstraint(
            ["page_set_id"], ["page_sets.id"], name=op.f("pages_page_set_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("pages_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("page_set_id", "index", name=op.f("pages_pkey")),
        comment="one page: sealed in MMR",
    )
    op.create_index("pages_object", "pages", ["object_id"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("fax_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("state", sa.Text(), server_default="live", nullable=False),
        sa.Column("destination", sa.Text(), nullable=False, comment="the number dialled; empty when we were called"),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column(
            "token",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="fencing: writes of an older one are refused",
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("route", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "adjustments", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "cause", sa.Text(), server_default="", nullable=False, comment="reason code; empty when it went well"
        ),
        sa.Column("cause_text", sa.Text(), server_default="", nullable=False),
        sa.Column("remote_id", sa.Text(), server_default="", nullable=False),
        sa.Column("rate", sa.Integer(), nullable=True),
        sa.Column("modulation", sa.Text(), nullable=True),
        sa.Column("ecm", sa.Boolean(), nullable=True),
        sa.Column("first_page", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False, comment="confirmed in this call"),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("trace_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("state in ('live', 'ended')", name=op.f("attempts_state")),
        sa.ForeignKeyConstraint(["fax_id"], ["faxes.id"], name=op.f("attempts_fax_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("attempts_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["trace_id"], ["objects.id"], name=op.f("attempts_trace_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("attempts_pkey")),
        sa.UniqueConstraint("fax_id", "index", name=op.f("attempts_fax_id_index_key")),
        comment="one call for a fax",
    )
    op.create_index("attempts_ended", "attempts", ["tenant_id", "ended_at"], unique=False)
    op.create_index(
        "attempts_live", "attempts", ["node", "lease_until"], unique=False, postgresql_where=sa.text("state = 'live'")
    )
    op.create_index(
        "attempts_one_call_per_line",
        "attempts",
        ["node", "line"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_index(
        "attempts_one_call_per_number",
        "attempts",
        ["destination"],
        unique=True,
        postgresql_where=sa.text("state = 'live' and destination <> ''"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("fax_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(["fax_id"], ["faxes.id"], name=op.f("events_fax_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("events_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        comment="what happened, for those who follow; written in the transaction of the change",
    )
    op.create_index("events_fax", "events", ["fax_id", "id"], unique=False)
    op.create_index("events_tenant", "events", ["tenant_id", "id"], unique=False)
    op.create_table(
        "confirmations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("fax_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of the pels that were sent"),
        sa.Column("width", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("coding", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False, comment="on the wire"),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("confirmations_attempt_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["fax_id"], ["faxes.id"], name=op.f("confirmations_fax_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("confirmations_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("fax_id", "index", name=op.f("confirmations_pkey")),
        comment="a page that the other machine has confirmed; it is never sent again",
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status of the last try"),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('waiting', 'succeeded', 'failed')", name=op.f("deliveries_state")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("deliveries_event_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("deliveries_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("deliveries_webhook_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        comment="one event on its way to one webhook",
    )
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["webhook_id", "next_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("deliveries_event", "deliveries", ["event_id"], unique=False)
    op.create_index("deliveries_webhook", "deliveries", ["webhook_id", "id"], unique=False)
    protect("nodes", tenants=False)
    protect("tenants", tenants=False)
    protect("counters", tenants=True)
    protect("destinations", tenants=True)
    protect("lines", tenants=False)
    protect("number_rules", tenants=True)
    protect("objects", tenants=True)
    protect("routes", tenants=True)
    protect("users", tenants=True)
    protect("api_keys", tenants=True)
    protect("batches", tenants=True)
    protect("boxes", tenants=True)
    protect("documents", tenants=True)
    protect("page_sets", tenants=True)
    protect("webhooks", tenants=True)
    protect("wraps", tenants=True)
    protect("faxes", tenants=True)
    protect("idempotency", tenants=True)
    protect("key_slots", tenants=True)
    protect("numbers", tenants=True)
    protect("pages", tenants=True)
    protect("attempts", tenants=True)
    protect("events", tenants=True)
    protect("confirmations", tenants=True)
    protect("deliveries", tenants=True)
    make_task_tables()
