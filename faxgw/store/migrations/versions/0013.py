"""Personal values are sealed."""

import sqlalchemy as sa
from alembic import op

from faxgw.store.migrations.sealing import Column, seal_columns

revision = "0013"
down_revision = "0012"

NUMBER, STATION, EMAIL = "number", "station", "email"
HELD = """CREATE FUNCTION faxgw_held(tenant uuid, fax uuid, box uuid, sender bytea, receiver bytea, made timestamptz)
    RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN
        RETURN EXISTS (
            SELECT 1 FROM holds h WHERE h.tenant_id = tenant AND h.released_at IS NULL AND CASE
                WHEN h.by_fax THEN EXISTS (SELECT 1 FROM held_faxes f WHERE f.hold_id = h.id AND f.fax_id = fax)
                ELSE (cardinality(h.boxes) = 0 OR box = ANY (h.boxes))
                    AND (cardinality(h.numbers) = 0 OR sender = ANY (h.numbers) OR receiver = ANY (h.numbers))
                    AND (h.since IS NULL OR made >= h.since) AND (h.until IS NULL OR made < h.until)
            END
        );
    END $$"""
PLAIN = (
    "ARRAY['state', 'page', 'pages', 'pages_done', 'at', 'seconds', 'bad_rows', 'attempt', 'line', 'fax', 'again',"
    " 'forwarded_from', 'to']"
)
"""What an event of a fax says in clear; of a reason its code, too."""
SAID = f"""data = CASE WHEN fax_id IS NULL THEN data ELSE
    (SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(data) WHERE key = ANY ({PLAIN}))
    || CASE WHEN data ? 'reason' THEN jsonb_build_object('reason', data -> 'reason' || '{{"text": ""}}') ELSE '{{}}' END
    END"""


def upgrade() -> None:
    """Change the database."""
    _seal_faxes()
    _seal_settings()
    _seal_people()


def _seal_faxes() -> None:
    seal_columns(
        "faxes",
        Column("from_number", NUMBER, findable=True),
        Column("to_number", NUMBER, findable=True),
        Column("remote_id", STATION, findable=True, comment="what the other machine calls itself"),
        Column("subaddress", "faxes.subaddress", read="request ->> 'subaddress'", comment="which is asked for"),
        Column("labels", "faxes.labels", read="labels::text"),
        Column("reason_text", "faxes.reason_text"),
        Column("mark", "faxes.mark", comment="junk, or why it is held"),
        also="request = request - ARRAY['sender', 'subaddress']",
    )
    op.execute("COMMENT ON COLUMN faxes.request IS 'documents and how they are sent'")
    op.create_index("faxes_to_number", "faxes", ["tenant_id", "to_number", "id"])
    seal_columns(
        "attempts",
        Column(
            "destination", NUMBER, findable=True, needed=True, comment="the number dialled; empty when we were called"
        ),
        Column("remote_id", STATION, findable=True),
        Column("cause_text", "attempts.cause_text"),
        Column("route", "attempts.route", read="route::text"),
    )
    op.create_index(
        "attempts_one_call_per_number",
        "attempts",
        ["destination"],
        unique=True,
        postgresql_where=sa.text("state = 'live' and destination <> ''"),
    )
    personal = f"CASE WHEN fax_id IS NULL THEN NULL ELSE (data - {PLAIN})::text END"
    seal_columns(
        "events", Column("personal", "events.personal", read=personal, comment="the rest of the data"), also=SAID
    )
    station_ids = "(SELECT array_agg(each) FROM jsonb_array_elements_text(station_ids -> 'ids') AS each)"
    seal_columns(
        "destinations",
        Column("number", NUMBER, findable=True, needed=True),
        Column("station_ids", STATION, findable=True, many=True, read=station_ids),
    )
    op.create_primary_key(op.f("destinations_pkey"), "destinations", ["tenant_id", "number"])
    seal_columns("documents", Column("name", "documents.name"))
    seal_columns("batches", Column("name", "batches.name"))
    seal_columns("idempotency", Column("body", "idempotency.body", needed=True))


def _seal_settings() -> None:
    seal_columns("boxes", Column("name", "boxes.name", findable=True, needed=True))
    op.create_unique_constraint(op.f("boxes_tenant_id_name_key"), "boxes", ["tenant_id", "name"])
    seal_columns("number_rules", Column("note", "number_rules.note"))
    seal_columns(
        "holds",
        Column("name", "holds.name", needed=True),
        Column("reason", "holds.reason"),
        Column("numbers", NUMBER, findable=True, many=True, comment="empty: any"),
    )
    # The triggers and functions that call it find it by its name.
    op.execute("DROP FUNCTION faxgw_held(uuid, uuid, uuid, text, text, timestamptz)")
    op.execute(HELD)
    seal_columns(
        "copies",
        Column("location", "copies.location", findable=True, needed=True, comment="who has it, or where it lies"),
    )
    op.create_unique_constraint("copies_key", "copies", ["fax_id", "kind", "location", "sha256", "tenant_id"])
    seal_columns(
        "erasures",
        Column(
            "subject",
            "erasures.subject",
            read="subject::text",
            nullable=True,
            comment="whose data; forgotten when nothing of it is left",
        ),
        Column("reason", "erasures.reason"),
    )


def _seal_people() -> None:
    seal_columns("people", Column("email", EMAIL, findable=True, needed=True))
    op.create_unique_constraint(op.f("people_email_key"), "people", ["email"])
    seal_columns("users", Column("email", EMAIL, findable=True, needed=True))
    op.create_unique_constraint(op.f("users_tenant_id_email_key"), "users", ["tenant_id", "email"])
    seal_columns(
        "sessions",
        Column("address", "sessions.address", comment="where it was begun"),
        Column("agent", "sessions.agent", comment="what the program called itself"),
    )
    seal_columns("passkeys", Column("name", "passkeys.name", needed=True))
