"""Retention, holds, copies and erasures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from faxgw.store.migrations import protect

revision = "0005"
down_revision = "0004"

HELD = [
    # In PL/pgSQL, which plans a query once, since a trigger asks for every row.
    """CREATE FUNCTION faxgw_held(tenant uuid, fax uuid, box uuid, sender text, receiver text, made timestamptz)
    RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN
        RETURN EXISTS (
            SELECT 1 FROM holds h WHERE h.tenant_id = tenant AND h.released_at IS NULL AND CASE
                WHEN h.by_fax THEN EXISTS (SELECT 1 FROM held_faxes f WHERE f.hold_id = h.id AND f.fax_id = fax)
                ELSE (cardinality(h.boxes) = 0 OR box = ANY (h.boxes))
                    AND (cardinality(h.numbers) = 0 OR sender = ANY (h.numbers) OR receiver = ANY (h.numbers))
                    AND (h.since IS NULL OR made >= h.since) AND (h.until IS NULL OR made < h.until)
            END
        );
    END $$""",
    """CREATE FUNCTION faxgw_document_held(tenant uuid, document uuid, made timestamptz)
    RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM holds h WHERE h.tenant_id = tenant AND h.released_at IS NULL) THEN
            RETURN false;
        END IF;
        RETURN EXISTS (
            SELECT 1 FROM faxes f WHERE f.tenant_id = tenant
                -- Ids begin with their time: a fax of a document is younger than it; ten minutes for wrong clocks.
                AND f.id >= (lpad(to_hex(greatest(0, (extract(epoch FROM made) * 1000)::bigint - 600000)), 12, '0')
                    || repeat('0', 20))::uuid
                AND f.request -> 'documents' ? document::text AND f.shredded_at IS NULL
                AND faxgw_held(f.tenant_id, f.id, f.box_id, f.from_number, f.to_number, f.created_at)
        );
    END $$""",
    """CREATE FUNCTION faxgw_object_held(tenant uuid, object uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM holds h WHERE h.tenant_id = tenant AND h.released_at IS NULL) THEN
            RETURN false;
        END IF;
        RETURN EXISTS (
            SELECT 1 FROM faxes f WHERE f.id IN (
                SELECT id FROM faxes WHERE private_id = object
                UNION ALL SELECT x.id FROM pages p JOIN faxes x ON x.page_set_id = p.page_set_id
                    WHERE p.object_id = object
                UNION ALL SELECT fax_id FROM attempts WHERE trace_id = object
            ) AND f.finished_at IS NOT NULL
            AND faxgw_held(f.tenant_id, f.id, f.box_id, f.from_number, f.to_number, f.created_at)
        ) OR EXISTS (
            SELECT 1 FROM documents d
            WHERE d.object_id = object AND faxgw_document_held(d.tenant_id, d.id, d.created_at)
        );
    END $$""",
    """CREATE FUNCTION faxgw_veto_fax() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF faxgw_held(OLD.tenant_id, OLD.id, OLD.box_id, OLD.from_number, OLD.to_number, OLD.created_at) THEN
            RAISE EXCEPTION 'a legal hold is over the fax %', OLD.id USING ERRCODE = 'FX001';
        END IF;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END $$""",
    """CREATE FUNCTION faxgw_veto_document() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF faxgw_document_held(OLD.tenant_id, OLD.id, OLD.created_at) THEN
            RAISE EXCEPTION 'a legal hold is over the document %', OLD.id USING ERRCODE = 'FX001';
        END IF;
        RETURN OLD;
    END $$""",
    """CREATE FUNCTION faxgw_veto_object() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF faxgw_object_held(OLD.tenant_id, OLD.id) THEN
            RAISE EXCEPTION 'a legal hold is over the object %', OLD.id USING ERRCODE = 'FX001';
        END IF;
        RETURN OLD;
    END $$""",
    """CREATE FUNCTION faxgw_veto_page() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF faxgw_object_held(OLD.tenant_id, OLD.object_id) THEN
            RAISE EXCEPTION 'a legal hold is over the object %', OLD.object_id USING ERRCODE = 'FX001';
        END IF;
        RETURN OLD;
    END $$""",
    # The last lasting wrap stays; others may go, so that a delegate can be removed and a key be replaced.
    """CREATE FUNCTION faxgw_veto_wrap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF faxgw_object_held(OLD.tenant_id, OLD.object_id) AND NOT EXISTS (
            SELECT 1 FROM wraps w WHERE w.object_id = OLD.object_id AND w.kind NOT IN ('spool', 'delegate')
                AND (w.kind, w.key_id) <> (OLD.kind, OLD.key_id)
        ) THEN
            RAISE EXCEPTION 'a legal hold is over the object %', OLD.object_id USING ERRCODE = 'FX001';
        END IF;
        RETURN OLD;
    END $$""",
    """CREATE TRIGGER held_delete BEFORE DELETE ON faxes FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL)
    EXECUTE FUNCTION faxgw_veto_fax()""",
    """CREATE TRIGGER held_update BEFORE UPDATE OF shredded_at, page_set_id, private_id ON faxes FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL AND (OLD.shredded_at IS NULL AND NEW.shredded_at IS NOT NULL
        OR OLD.page_set_id IS DISTINCT FROM NEW.page_set_id OR OLD.private_id IS DISTINCT FROM NEW.private_id))
    EXECUTE FUNCTION faxgw_veto_fax()""",
    """CREATE TRIGGER held_delete BEFORE DELETE ON documents FOR EACH ROW EXECUTE FUNCTION faxgw_veto_document()""",
    """CREATE TRIGGER held_delete BEFORE DELETE ON objects FOR EACH ROW EXECUTE FUNCTION faxgw_veto_object()""",
    """CREATE TRIGGER held_delete BEFORE DELETE ON pages FOR EACH ROW EXECUTE FUNCTION faxgw_veto_page()""",
    """CREATE TRIGGER held_delete BEFORE DELETE ON wraps FOR EACH ROW WHEN (OLD.kind NOT IN ('spool', 'delegate'))
    EXECUTE FUNCTION faxgw_veto_wrap()""",
]
"""What a legal hold is over, and that nobody deletes it, whatever the statement: SQLSTATE FX001."""


def upgrade() -> None:
    """Change the database."""
    op.create_table(
        "copies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("fax_id", sa.Uuid(), nullable=False, comment="not a reference: the ledger outlives the fax"),
        sa.Column("kind", sa.Text(), nullable=False, comment="download, export, forward, webhook, mail, folder"),
        sa.Column("location", sa.Text(), nullable=False, comment="who has it, or where it lies"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of what left; empty: unknown"),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("copies_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("copies_pkey")),
        sa.UniqueConstraint("fax_id", "kind", "location", "sha256", name="copies_key"),
        comment="every copy of a fax that left the archive",
    )
    op.create_index("copies_tenant", "copies", ["tenant_id", "id"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "subject",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="whose data; forgotten when nothing of it is left",
        ),
        sa.Column("pseudonym", sa.LargeBinary(), nullable=False, comment="HMAC of the subject under the server key"),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('running', 'waiting', 'done')", name=op.f("erasures_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("erasures_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("erasures_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("erasures_pkey")),
        comment="erasure of all that is about a number, a station or some faxes",
    )
    op.create_index("erasures_open", "erasures", ["id"], unique=False, postgresql_where=sa.text("state <> 'done'"))
    op.create_index("erasures_tenant", "erasures", ["tenant_id", "id"], unique=False)
    op.create_table(
        "holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "by_fax",
            sa.Boolean(),
            nullable=False,
            comment="over the faxes of held_faxes; else over whatever fits the rest",
        ),
        sa.Column(
            "boxes", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False, comment="empty: any"
        ),
        sa.Column(
            "numbers", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False, comment="empty: any"
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["released_by"], ["users.id"], name=op.f("holds_released_by_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("holds_tenant_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("holds_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("holds_pkey")),
        comment="legal holds; triggers refuse to delete what one is over",
    )
    op.create_index(
        "holds_active", "holds", ["tenant_id"], unique=False, postgresql_where=sa.text("released_at is null")
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("fax_id", sa.Uuid(), nullable=True, comment="what was deleted; not a reference"),
        sa.Column("erasure_id", sa.Uuid(), nullable=True),
        sa.Column(
            "said",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="what, when, why, by whom; no content, no numbers",
        ),
        sa.Column(
            "signature", sa.LargeBinary(), nullable=False, comment="Ed25519 over what is said, in canonical form"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasures.id"], name=op.f("certificates_erasure_id_fkey"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("certificates_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("certificates_pkey")),
        comment="that something was deleted for good",
    )
    op.create_index(
        "certificates_erasure",
        "certificates",
        ["erasure_id"],
        unique=False,
        postgresql_where=sa.text("erasure_id is not null"),
    )
    op.create_index(
        "certificates_fax", "certificates", ["fax_id"], unique=False, postgresql_where=sa.text("fax_id is not null")
    )
    op.create_index("certificates_tenant", "certificates", ["tenant_id", "id"], unique=False)
    op.create_table(
        "held_faxes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("fax_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["fax_id"], ["faxes.id"], name=op.f("held_faxes_fax_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("held_faxes_hold_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("held_faxes_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hold_id", "fax_id", name=op.f("held_faxes_pkey")),
        comment="what a hold over single faxes is over",
    )
    op.create_index("held_faxes_fax", "held_faxes", ["fax_id"], unique=False)
    op.create_index(
        "attempts_trace", "attempts", ["trace_id"], unique=False, postgresql_where=sa.text("trace_id is not null")
    )
    op.add_column(
        "boxes",
        sa.Column("data_class", sa.Text(), server_default="", nullable=False, comment="what kind of data arrives here"),
    )
    op.add_column("boxes", sa.Column("purpose", sa.Text(), server_default="", nullable=False))
    op.add_column("boxes", sa.Column("lawful_basis", sa.Text(), server_default="", nullable=False))
    op.add_column("boxes", sa.Column("retention_days", sa.Integer(), nullable=True, comment="the box's own rule"))
    op.create_index("confirmations_attempt", "confirmations", ["attempt_id"], unique=False)
    op.create_index("documents_object", "documents", ["object_id"], unique=False)
    op.add_column(
        "faxes",
        sa.Column(
            "storage",
            sa.Text(),
            server_default="archive",
            nullable=False,
            comment="none: nothing is kept after its end",
        ),
    )
    op.add_column("faxes", sa.Column("erase_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("faxes", sa.Column("shredded_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "faxes_kept", "faxes", ["box_id", "created_at"], unique=False, postgresql_where=sa.text("shredded_at is null")
    )
    op.create_index(
        "faxes_own_rule",
        "faxes",
        ["erase_at"],
        unique=False,
        postgresql_where=sa.text("erase_at is not null and shredded_at is null"),
    )
    op.create_index(
        "faxes_unstored",
        "faxes",
        ["id"],
        unique=False,
        postgresql_where=sa.text("storage = 'none' and shredded_at is null"),
    )
    protect("copies", tenants=True)
    protect("erasures", tenants=True)
    protect("holds", tenants=True)
    protect("certificates", tenants=True)
    protect("held_faxes", tenants=True)
    op.create_check_constraint("retention_days", "boxes", "retention_days > 0")
    op.create_check_constraint("storage", "faxes", "storage in ('archive', 'none')")
    for statement in HELD:
        op.execute(statement)
