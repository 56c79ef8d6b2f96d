"""Every table. Rows with a ``tenant_id`` are behind row-level security; the others belong to the gateway itself."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from faxgw.model import WAITING, State
from faxgw.store.sealed_columns import Findable, Sealed

NUMBER, STATION = "number", "station"
"""What is compared across tables: a telephone number, and what a machine calls itself."""

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s",
        "pk": "%(table_name)s_pkey",
    }
)


def _id() -> Column[object]:
    return Column("id", Uuid, primary_key=True)


def _tenant() -> Column[object]:
    return Column("tenant_id", Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def _time(name: str, *, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None)


def _reference(
    name: str, to: str, kind: type[TypeEngine[Any]] = Uuid, *, nullable: bool = False, ondelete: str | None = None
) -> tuple[Column[object], ForeignKeyConstraint]:
    """Return a column that names a row of the same tenant, and the constraint by which no other tenant's will do.

    Foreign keys look over row-level security, so the tenant is part of them. `to` is ``TABLE.KEY``, and that table is
    unique by tenant and key as well. Where rows that are named go by the thousand, the index by which their names are
    looked for has the tenant, too: else PostgreSQL takes one that begins with it, and reads all that the tenant has.
    """
    table, _, key = to.partition(".")
    action = f"SET NULL ({name})" if ondelete == "SET NULL" else ondelete  # not the tenant, too
    same = ForeignKeyConstraint(["tenant_id", name], [f"{table}.tenant_id", f"{table}.{key}"], ondelete=action)
    return Column(name, kind, nullable=nullable), same


def _reference_outside(name: str, to: str, *, nullable: bool = False, ondelete: str | None = None) -> Column[object]:
    """Return a column that names a row from or to a table that is no tenant's."""
    return Column(name, Uuid, ForeignKey(to, ondelete=ondelete), nullable=nullable)


def _json(name: str) -> Column[object]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'"))


def _states(states: frozenset[State]) -> str:
    return ", ".join(f"'{state.value}'" for state in sorted(states, key=lambda one: one.value))


# ------------------------------------------------------------------------------------------------- tenants and people

tenants = Table(
    "tenants",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _json("policy"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    comment="one organisation each; policy is a TenantPolicy",
)
# The tenants table has no tenant_id column; its own id is what row-level security looks at.

people = Table(
    "people",
    metadata,
    _id(),
    Column("email", Findable("email"), nullable=False, unique=True),
    Column("key_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("totp", LargeBinary, nullable=True, comment="secret of one-time codes, sealed under the server's key"),
    Column("totp_new", LargeBinary, nullable=True, comment="one that was not confirmed yet"),
    Column("totp_step", BigInteger, nullable=False, server_default="0", comment="of the last code that was taken"),
    _time("created_at", now=True),
    comment="who signs in; members of tenants by rows of users",
)

users = Table(
    "users",
    metadata,
    _id(),
    _tenant(),
    _reference_outside("person_id", "people.id", nullable=True),
    Column("email", Findable("email"), nullable=False),
    Column("role", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("key_wrap", LargeBinary, nullable=True, comment="the private key, wrapped to the person's public key"),
    Column("notices", JSONB, nullable=False, server_default=text("'{}'"), comment="kinds switched on or off"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("deactivated_at"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "email"),
    CheckConstraint("role in ('owner', 'admin', 'member')", name="role"),
    Index("users_person", "person_id"),
    comment="a person's membership in a tenant; the public key seals what is theirs there; no person yet: invited",
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("mac", LargeBinary, nullable=False, comment="HMAC of the secret under the server key"),
    _time("created_at", now=True),
    _time("expires_at"),
    _time("revoked_at"),
    UniqueConstraint("tenant_id", "id"),
    Index("api_keys_user", "user_id"),
    comment="credentials of programs; the secret itself is not here",
)

key_slots = Table(
    "key_slots",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("kind", Text, nullable=False, comment="api_key or set_up"),
    *_reference("api_key_id", "api_keys.id", nullable=True, ondelete="CASCADE"),
    _json("parameters"),
    Column("blob", LargeBinary, nullable=False, comment="the private key, sealed under the slot's secret"),
    _time("created_at", now=True),
    _time("told_at"),
    Index("key_slots_user", "user_id"),
    Index("key_slots_api_key", "api_key_id"),
    comment="the ways straight to a membership's private key; the others lead over the person's",
)

boxes = Table(
    "boxes",
    metadata,
    _id(),
    _tenant(),
    *_reference("owner_id", "users.id"),
    Column("name", Findable("boxes.name"), nullable=False),
    Column("is_default", Boolean, nullable=False, server_default="false"),
    Column("shared", Boolean, nullable=False, server_default="false", comment="the tenant's; its owner looks after it"),
    Column("data_class", Text, nullable=False, server_default="", comment="what kind of data arrives here"),
    Column("purpose", Text, nullable=False, server_default=""),
    Column("lawful_basis", Text, nullable=False, server_default=""),
    Column("retention_days", Integer, nullable=True, comment="the box's own rule"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("retention_days > 0", name="retention_days"),
    Index("boxes_one_default", "tenant_id", unique=True, postgresql_where=text("is_default")),
    comment="where faxes lie; what is in one is sealed to its key",
)

numbers = Table(
    "numbers",
    metadata,
    _id(),
    _tenant(),
    Column("number", Text, nullable=False, comment="E.164; empty: whatever comes in on the line"),
    Column("subaddress", Text, nullable=False, server_default=""),
    Column("line", Text, nullable=False, server_default="", comment="only on this line; empty: on any"),
    *_reference("box_id", "boxes.id"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    UniqueConstraint("number", "subaddress", "line", name="numbers_key"),
    comment="which incoming call belongs to which box",
)

number_rules = Table(
    "number_rules",
    metadata,
    _id(),
    _tenant(),
    Column("direction", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("pattern", Text, nullable=False, comment="a prefix of an E.164 number, or a whole one"),
    Column("note", Sealed("number_rules.note"), nullable=False, server_default=""),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "direction", "pattern"),
    CheckConstraint("direction in ('out', 'in')", name="direction"),
    CheckConstraint("action in ('allow', 'deny')", name="action"),
    comment="allow and deny lists",
)

# ------------------------------------------------------------------------------------------------------- sealed things

objects = Table(
    "objects",
    metadata,
    _id(),
    _tenant(),
    Column("kind", Text, nullable=False, comment="document, page or trace"),
    Column("size", BigInteger, nullable=False, comment="octets as sealed"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "id"),
    Index("objects_tenant", "tenant_id", "created_at"),
    comment="what lies in the object store",
)

wraps = Table(
    "wraps",
    metadata,
    _tenant(),
    *_reference("object_id", "objects.id", ondelete="CASCADE"),
    Column("kind", Text, nullable=False, comment="owner, box, link or spool"),
    Column("key_id", Text, nullable=False, comment="the public key, or the spool epoch"),
    Column("blob", LargeBinary, nullable=False),
    PrimaryKeyConstraint("object_id", "kind", "key_id", "tenant_id"),
    Index("wraps_spool", "key_id", postgresql_where=text("kind = 'spool'")),
    Index("wraps_box", "key_id", "object_id", postgresql_where=text("kind = 'box'")),
    Index("wraps_link", "key_id", "object_id", postgresql_where=text("kind = 'link'")),
    comment="who can read an object is which rows are here",
)

documents = Table(
    "documents",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id"),
    *_reference("object_id", "objects.id"),
    Column("name", Sealed("documents.name"), nullable=False, server_default=""),
    Column("media_type", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("pages", Integer, nullable=False),
    *_reference("page_set_id", "page_sets.id", nullable=True, ondelete="SET NULL"),
    _time("created_at", now=True),
    _time("expires_at"),
    Index("documents_expiry", "expires_at"),
    Index("documents_object", "object_id"),
    Index("documents_page_set", "page_set_id", postgresql_where=text("page_set_id is not null")),
    UniqueConstraint("tenant_id", "id"),
    comment="an upload, until its time is up",
)

page_sets = Table(
    "page_sets",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id"),
    Column("pages", Integer, nullable=False, server_default="0"),
    _time("created_at", now=True),
    _time("expires_at"),
    UniqueConstraint("tenant_id", "id"),
    Index("page_sets_expiry", "expires_at"),
    comment="fax pages in order: drawn from documents, or received",
)

pages = Table(
    "pages",
    metadata,
    _tenant(),
    *_reference("page_set_id", "page_sets.id", ondelete="CASCADE"),
    Column("index", Integer, nullable=False),
    *_reference("object_id", "objects.id"),
    Column("sha256", LargeBinary, nullable=False, comment="of the pels, whatever the coding"),
    Column("width", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("octets", Integer, nullable=False),
    Column("bad_rows", Integer, nullable=False, server_default="0"),
    Column("longest_bad_run", Integer, nullable=False, server_default="0"),
    _time("created_at", now=True),
    PrimaryKeyConstraint("page_set_id", "index", "tenant_id"),
    Index("pages_object", "object_id"),
    comment="one page: sealed in MMR",
)

# ---------------------------------------------------------------------------------------------------------------- faxes

batches = Table(
    "batches",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id"),
    Column("name", Sealed("batches.name"), nullable=False, server_default=""),
    Column("state", Text, nullable=False, server_default="running"),
    Column("size", Integer, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    CheckConstraint("state in ('running', 'paused', 'canceled')", name="state"),
    UniqueConstraint("tenant_id", "id"),
    comment="one document to many numbers",
)

faxes = Table(
    "faxes",
    metadata,
    _id(),
    _tenant(),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    *_reference("user_id", "users.id"),
    *_reference("api_key_id", "api_keys.id", nullable=True, ondelete="SET NULL"),
    *_reference("device_id", "devices.id", nullable=True, ondelete="SET NULL"),
    *_reference("box_id", "boxes.id"),
    *_reference("batch_id", "batches.id", nullable=True),
    *_reference("page_set_id", "page_sets.id", nullable=True),
    *_reference("private_id", "objects.id", nullable=True, ondelete="SET NULL"),
    *_reference("forwarded_from", "faxes.id", nullable=True, ondelete="SET NULL"),
    Column("from_number", Findable(NUMBER), nullable=False, server_default=""),
    Column("to_number", Findable(NUMBER), nullable=False, server_default=""),
    Column(
        "remote_id", Findable(STATION), nullable=False, server_default="", comment="what the other machine calls itself"
    ),
    Column("subaddress", Sealed("faxes.subaddress"), nullable=False, server_default="", comment="which is asked for"),
    Column("line", Text, nullable=False, server_default=""),
    Column("pages", Integer, nullable=True, comment="how many there are; unknown while they come"),
    Column("pages_done", Integer, nullable=False, server_default="0", comment="confirmed, or received"),
    Column("priority", SmallInteger, nullable=False, server_default="50", comment="0 goes first"),
    Column("request", JSONB, nullable=False, server_default=text("'{}'"), comment="documents and how they are sent"),
    Column("labels", Sealed("faxes.labels", "json"), nullable=False, server_default=""),
    Column("reason_code", Text, nullable=False, server_default=""),
    Column("reason_text", Sealed("faxes.reason_text"), nullable=False, server_default=""),
    Column("mark", Sealed("faxes.mark"), nullable=False, server_default="", comment="junk, or why it is held"),
    Column("dials", Integer, nullable=False, server_default="0"),
    _time("next_call_at"),
    _json("plan"),
    Column("cancel_wanted", Boolean, nullable=False, server_default="false"),
    Column("drawer", Text, nullable=False, server_default="", comment="node that draws its pages"),
    _time("draw_until"),
    *_reference("drawn_with", "faxes.id", nullable=True),
    Column("storage", Text, nullable=False, server_default="archive", comment="none: nothing is kept after its end"),
    _time("erase_at"),
    _time("shredded_at"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("finished_at"),
    CheckConstraint("direction in ('out', 'in')", name="direction"),
    CheckConstraint(f"state in ({_states(frozenset(State))})", name="state"),
    CheckConstraint("storage in ('archive', 'none')", name="storage"),
    UniqueConstraint("tenant_id", "id"),
    Index("faxes_state", "tenant_id", "state", "id"),
    Index("faxes_box", "box_id", "direction", "id"),
    Index("faxes_batch", "batch_id", "id", postgresql_where=text("batch_id is not null")),
    Index("faxes_page_set", "page_set_id", "tenant_id"),
    Index("faxes_private", "private_id", "tenant_id", postgresql_where=text("private_id is not null")),
    Index("faxes_device", "device_id", "tenant_id", postgresql_where=text("device_id is not null")),
    Index("faxes_forwarded", "forwarded_from", "tenant_id", postgresql_where=text("forwarded_from is not null")),
    Index("faxes_due", "next_call_at", "priority", postgresql_where=text(f"state in ({_states(WAITING)})")),
    Index("faxes_queue", "tenant_id", "priority", "next_call_at", "id", postgresql_where=text("state = 'queued'")),
    Index("faxes_to_draw", "priority", "id", postgresql_where=text("state in ('accepted', 'converting')")),
    Index("faxes_drawn_with", "drawn_with", "tenant_id", postgresql_where=text("drawn_with is not null")),
    Index("faxes_to_number", "tenant_id", "to_number", "id"),
    Index("faxes_kept", "box_id", "created_at", postgresql_where=text("shredded_at is null")),
    Index("faxes_own_rule", "erase_at", postgresql_where=text("erase_at is not null and shredded_at is null")),
    Index("faxes_unstored", "id", postgresql_where=text("storage = 'none' and shredded_at is null")),
    Index("faxes_records", "tenant_id", "shredded_at", postgresql_where=text("shredded_at is not null")),
    comment="one fax to, or from, one number",
)

attempts = Table(
    "attempts",
    metadata,
    _id(),
    _tenant(),
    *_reference("fax_id", "faxes.id", ondelete="CASCADE"),
    Column("index", Integer, nullable=False, comment="from 1"),
    Column("state", Text, nullable=False, server_default="live"),
    Column("destination", Findable(NUMBER), nullable=False, comment="the number dialled; empty when we were called"),
    Column("node", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("token", BigInteger, Identity(), nullable=False, comment="fencing: writes of an older one are refused"),
    _time("lease_until"),
    Column("route", Sealed("attempts.route", "json"), nullable=False, server_default=""),
    _json("adjustments"),
    _time("started_at", now=True),
    _time("connected_at"),
    _time("ended_at"),
    Column("cause", Text, nullable=False, server_default="", comment="reason code; empty when it went well"),
    Column("cause_text", Sealed("attempts.cause_text"), nullable=False, server_default=""),
    Column("remote_id", Findable(STATION), nullable=False, server_default=""),
    Column("rate", Integer, nullable=True),
    Column("modulation", Text, nullable=True),
    Column("ecm", Boolean, nullable=True),
    Column("first_page", Integer, nullable=False, server_default="0"),
    Column("pages", Integer, nullable=False, server_default="0", comment="confirmed in this call"),
    Column("seconds", Float, nullable=True),
    *_reference("trace_id", "objects.id", nullable=True),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("fax_id", "index", "tenant_id"),
    CheckConstraint("state in ('live', 'ended')", name="state"),
    Index(
        "attempts_one_call_per_number",
        "destination",
        unique=True,
        postgresql_where=text("state = 'live' and destination <> ''"),
    ),
    Index("attempts_one_call_per_line", "node", "line", unique=True, postgresql_where=text("state = 'live'")),
    Index("attempts_live", "node", "lease_until", postgresql_where=text("state = 'live'")),
    Index("attempts_ended", "tenant_id", "ended_at"),
    Index("attempts_trace", "trace_id", "tenant_id", postgresql_where=text("trace_id is not null")),
    comment="one call for a fax",
)

confirmations = Table(
    "confirmations",
    metadata,
    _tenant(),
    *_reference("fax_id", "faxes.id", ondelete="CASCADE"),
    Column("index", Integer, nullable=False),
    *_reference("attempt_id", "attempts.id", ondelete="CASCADE"),
    Column("sha256", LargeBinary, nullable=False, comment="of the pels that were sent"),
    Column("width", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Column("coding", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("octets", Integer, nullable=False, comment="on the wire"),
    Column("seconds", Float, nullable=False),
    _time("confirmed_at", now=True),
    PrimaryKeyConstraint("fax_id", "index", "tenant_id"),
    Index("confirmations_attempt", "attempt_id"),
    comment="a page that the other machine has confirmed; it is never sent again",
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _tenant(),
    *_reference("fax_id", "faxes.id", nullable=True, ondelete="CASCADE"),
    Column("type", Text, nullable=False),
    _time("at", now=True),
    _json("data"),
    Column(
        "personal", Sealed("events.personal", "json"), nullable=False, server_default="", comment="the rest of the data"
    ),
    Index("events_fax", "fax_id", "tenant_id", "id"),
    UniqueConstraint("tenant_id", "id"),
    comment="what happened, for those who follow; written in the transaction of the change",
)

destinations = Table(
    "destinations",
    metadata,
    _tenant(),
    Column("number", Findable(NUMBER), nullable=False),
    Column("station_ids", ARRAY(Findable(STATION)), nullable=False, server_default=text("'{}'")),
    _json("override"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("updated_at", now=True),
    PrimaryKeyConstraint("tenant_id", "number"),
    comment="what is known of a number: who answered there, and what an operator has laid down",
)

machines = Table(
    "machines",
    metadata,
    _id(),
    _tenant(),
    Column("direction", Text, nullable=False, comment="out: what answers at a number; in: what calls from there"),
    Column("number", Findable(NUMBER), nullable=False, server_default=""),
    Column("station", Findable(STATION), nullable=False, server_default="", comment="of callers without a number"),
    Column("seen", Sealed("machines.seen", "json"), nullable=False, server_default="", comment="its last calls"),
    _json("verdicts"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("seen_at"),
    UniqueConstraint("tenant_id", "direction", "number", "station", name="machines_key"),
    CheckConstraint("direction in ('out', 'in')", name="direction"),
    Index("machines_station", "tenant_id", "station", postgresql_where=text("station <> ''")),
    Index("machines_age", "seen_at"),
    comment="what calls have taught of the fax machine at the other end; verdicts are an operator's",
)

counters = Table(
    "counters",
    metadata,
    _tenant(),
    Column("scope", Text, nullable=False, comment="tenant, or key:ID"),
    _time("hour", now=True),
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("pages", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("tenant_id", "scope", "hour"),
    comment="for quotas: what was accepted, by the hour",
)

# ------------------------------------------------------------------------------------------------------ lines and nodes

routes = Table(
    "routes",
    metadata,
    _id(),
    _tenant(),
    Column("prefix", Text, nullable=False, comment="of the E.164 number; empty: every number"),
    Column("lines", ARRAY(Text), nullable=False),
    Column("cost", Float, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "prefix", "cost"),
    comment="which lines a tenant's calls take",
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    _time("started_at", now=True),
    _time("seen_at", now=True),
    comment="gateway processes",
)

lines = Table(
    "lines",
    metadata,
    Column("node", Text, ForeignKey("nodes.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="scheme of the line URL"),
    Column("sends", Boolean, nullable=False),
    Column("receives", Boolean, nullable=False),
    Column("tenants", ARRAY(Text), nullable=False, comment="names; empty: every tenant"),
    Column("state", Text, nullable=False, comment="idle, busy or down"),
    Column("fault", Text, nullable=False, server_default=""),
    _json("health"),
    _time("updated_at", now=True),
    PrimaryKeyConstraint("node", "name"),
    comment="lines as their node last saw them",
)

# ----------------------------------------------------------------------------------------------------- API and webhooks

idempotency = Table(
    "idempotency",
    metadata,
    _tenant(),
    Column("api_key_id", Uuid, nullable=False, comment="or a session's"),
    Column("key", Text, nullable=False),
    Column("request", LargeBinary, nullable=False, comment="hash of method, path and body"),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False, server_default=text("'{}'")),
    Column("body", Sealed("idempotency.body", "octets"), nullable=False),
    _time("created_at", now=True),
    PrimaryKeyConstraint("api_key_id", "key", "tenant_id"),
    Index("idempotency_age", "created_at"),
    comment="answers to give again",
)

webhooks = Table(
    "webhooks",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id"),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False, comment="types or prefixes such as fax.*"),
    Column("signature", Text, nullable=False, comment="v1 (HMAC) or v1a (Ed25519)"),
    Column("secret", LargeBinary, nullable=False, comment="sealed under the server's key"),
    Column("old_secret", LargeBinary, nullable=True),
    _time("old_secret_until"),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("full", Boolean, nullable=False, server_default="false", comment="numbers in the payload, not ids only"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("signature in ('v1', 'v1a')", name="signature"),
    comment="where events are sent",
)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    _tenant(),
    *_reference("webhook_id", "webhooks.id", ondelete="CASCADE"),
    *_reference("event_id", "events.id", BigInteger, ondelete="CASCADE"),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("tries", Integer, nullable=False, server_default="0"),
    _time("next_at"),
    Column("status", Integer, nullable=True, comment="HTTP status of the last try"),
    Column("error", Text, nullable=False, server_default=""),
    _time("created_at", now=True),
    _time("ended_at"),
    CheckConstraint("state in ('waiting', 'succeeded', 'failed')", name="state"),
    Index("deliveries_webhook", "webhook_id", "id"),
    Index("deliveries_due", "webhook_id", "next_at", postgresql_where=text("state = 'waiting'")),
    Index("deliveries_event", "event_id"),
    comment="one event on its way to one webhook",
)

# --------------------------------------------------------------------------------------------- devices, mail, folders

devices = Table(
    "devices",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    *_reference("box_id", "boxes.id"),
    Column("name", Findable("devices.name"), nullable=False),
    Column("login", Text, nullable=False, unique=True, comment="the name that it signs in with; no other tenant's"),
    Column("mac", LargeBinary, nullable=False, comment="HMAC of the secret under the server key"),
    Column("ssh_key", Text, nullable=False, server_default="", comment="public key for SFTP, beside the secret"),
    Column("networks", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="empty: from anywhere"),
    Column("numbers", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="prefixes; empty: any"),
    Column("faxes_per_day", Integer, nullable=True),
    Column("pages_per_day", Integer, nullable=True),
    Column("reply", Text, nullable=False, server_default="sender", comment="who is told of results by mail"),
    Column("cover", Boolean, nullable=False, server_default="false", comment="a mail's text goes onto a cover page"),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("seen_at"),
    Column("seen_address", Sealed("devices.seen_address"), nullable=False, server_default=""),
    Column("seen_tls", Text, nullable=False, server_default="", comment="version and cipher of its last connection"),
    _time("exposed_at"),
    _time("revoked_at"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("reply in ('sender', 'owner', 'none')", name="reply"),
    CheckConstraint("faxes_per_day > 0 and pages_per_day > 0", name="per_day"),
    Index("devices_user", "user_id"),
    Index("devices_box", "box_id"),
    comment="machines and programs that submit by mail or SFTP; exposed: it sent its secret in clear",
)

targets = Table(
    "targets",
    metadata,
    _id(),
    _tenant(),
    Column("name", Findable("targets.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("settings", Sealed("targets.settings", "json"), nullable=False, comment="where, and how it is protected"),
    Column("secret", LargeBinary, nullable=True, comment="password or key, sealed under the server's key"),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    *_reference("created_by", "users.id", nullable=True, ondelete="SET NULL"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("retired_at"),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("kind in ('mail', 'sftp', 'scp', 'ftps', 'local', 's3')", name="kind"),
    Index("targets_name", "tenant_id", "name", unique=True, postgresql_where=text("retired_at is null")),
    comment="mailboxes and folders that faxes go to; a retired one is kept while copies there are to be deleted",
)

delivery_rules = Table(
    "delivery_rules",
    metadata,
    _id(),
    _tenant(),
    *_reference("box_id", "boxes.id", ondelete="CASCADE"),
    *_reference("target_id", "targets.id", ondelete="CASCADE"),
    Column("prefix", Text, nullable=False, server_default="", comment="of the caller's number; empty: whoever calls"),
    Column("format", Text, nullable=False, server_default="pdf"),
    *_reference("created_by", "users.id", nullable=True, ondelete="SET NULL"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("box_id", "prefix", "target_id", "tenant_id"),
    CheckConstraint("format in ('pdf', 'tiff')", name="format"),
    Index("delivery_rules_target", "target_id"),
    comment="what comes into a box is delivered to a mailbox or a folder",
)

parcels = Table(
    "parcels",
    metadata,
    _id(),
    _tenant(),
    Column("kind", Text, nullable=False, comment="fax, delete, or a kind of notice"),
    *_reference("fax_id", "faxes.id", nullable=True, ondelete="CASCADE"),
    *_reference("target_id", "targets.id", nullable=True, ondelete="CASCADE"),
    Column("key", Text, nullable=False, comment="of the same tenant, kind and key there is one"),
    Column("format", Text, nullable=False, server_default=""),
    Column("recipient", Sealed("parcels.recipient"), nullable=False, server_default="", comment="of a notice"),
    Column("data", Sealed("parcels.data", "json"), nullable=False, server_default="", comment="what a notice says"),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("tries", Integer, nullable=False, server_default="0"),
    _time("next_at"),
    Column("code", Text, nullable=False, server_default="", comment="reason of the last try that went wrong"),
    Column("error", Sealed("parcels.error"), nullable=False, server_default=""),
    Column("proof", Sealed("parcels.proof", "json"), nullable=False, server_default="", comment="how it was protected"),
    Column("sha256", LargeBinary, nullable=False, server_default=text("''"), comment="of what was delivered"),
    _time("created_at", now=True),
    _time("ended_at"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "kind", "key"),
    CheckConstraint("state in ('waiting', 'held_no_tls', 'delivered', 'failed', 'canceled')", name="state"),
    Index("parcels_fax", "fax_id", "tenant_id", postgresql_where=text("fax_id is not null")),
    Index("parcels_target", "target_id", "tenant_id", postgresql_where=text("target_id is not null")),
    Index("parcels_due", "next_at", postgresql_where=text("state in ('waiting', 'held_no_tls')")),
    comment="one fax on its way to one target, one copy to be deleted there, or one notice on its way to somebody",
)

links = Table(
    "links",
    metadata,
    _id(),
    _tenant(),
    *_reference("fax_id", "faxes.id", ondelete="CASCADE"),
    *_reference("parcel_id", "parcels.id", nullable=True, ondelete="SET NULL"),
    Column("mac", LargeBinary, nullable=False, comment="HMAC of the secret under the server key"),
    Column("key_id", Text, nullable=False, comment="the public key that the pages are wrapped to"),
    _json("parameters"),
    Column("blob", LargeBinary, nullable=False, comment="the private key, sealed under the link's secret"),
    Column("most", Integer, nullable=False, comment="so many times it may be opened"),
    Column("opened", Integer, nullable=False, server_default="0"),
    _time("created_at", now=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _time("opened_at"),
    _time("revoked_at"),
    UniqueConstraint("tenant_id", "id"),
    Index("links_fax", "fax_id", "tenant_id"),
    Index("links_parcel", "parcel_id", "tenant_id", postgresql_where=text("parcel_id is not null")),
    Index("links_expiry", "expires_at", postgresql_where=text("revoked_at is null")),
    comment="links by which a fax is read without signing in, until they expire or are revoked",
)

drops = Table(
    "drops",
    metadata,
    _id(),
    _tenant(),
    *_reference("device_id", "devices.id", ondelete="CASCADE"),
    Column("kind", Text, nullable=False, comment="document or sidecar, which wait for each other; error; sent"),
    Column("stem", Findable("drops.stem"), nullable=False, comment="the name without its ending: what makes a pair"),
    Column("name", Sealed("drops.name"), nullable=False, server_default="", comment="as it was dropped"),
    Column("text", Sealed("drops.text"), nullable=False, server_default="", comment="of a sidecar, or what is wrong"),
    *_reference("document_id", "documents.id", nullable=True, ondelete="CASCADE"),
    *_reference("fax_id", "faxes.id", nullable=True, ondelete="CASCADE"),
    *_reference("batch_id", "batches.id", nullable=True, ondelete="CASCADE"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("device_id", "kind", "stem", "tenant_id"),
    CheckConstraint("kind in ('document', 'sidecar', 'error', 'sent')", name="kind"),
    Index("drops_document", "document_id", "tenant_id", postgresql_where=text("document_id is not null")),
    Index("drops_fax", "fax_id", "tenant_id", postgresql_where=text("fax_id is not null")),
    Index("drops_batch", "batch_id", "tenant_id", postgresql_where=text("batch_id is not null")),
    Index("drops_age", "created_at"),
    comment="what devices have dropped into their folders by SFTP, and what became of it",
)

submissions = Table(
    "submissions",
    metadata,
    _tenant(),
    *_reference("device_id", "devices.id", ondelete="CASCADE"),
    Column("mark", LargeBinary, nullable=False, comment="HMAC under the server key of all that was handed in"),
    Column("became", Uuid, nullable=False, comment="a fax or a batch, which may be gone by now"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("device_id", "mark", "tenant_id"),
    Index("submissions_age", "expires_at"),
    comment="what devices handed in lately, so that what comes again is not faxed again",
)

# ------------------------------------------------------------------------------------------------------- the audit log

audit_waiting = Table(
    "audit_waiting",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _tenant(),
    Column("entry", Text, nullable=False, comment="JSON, without its number"),
    Index("audit_waiting_tenant", "tenant_id", "id"),
    comment="rows of the log that have no number yet",
)

audit_rows = Table(
    "audit_rows",
    metadata,
    _tenant(),
    Column("seq", BigInteger, nullable=False, comment="its place: 0 and up, without a gap"),
    Column("entry", Text, nullable=False, comment="canonical JSON: what is hashed, to the octet"),
    Column("hashes", LargeBinary, nullable=False, comment="its leaf, then each whole subtree that it completes"),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "seq"),
    Index("audit_rows_object", "tenant_id", "object_id", "seq", postgresql_where=text("object_id <> ''")),
    Index("audit_rows_actor", "tenant_id", "actor", "seq"),
    Index("audit_rows_action", "tenant_id", "action", "seq"),
    comment="the log: rows are added and never changed; the last three columns are only to find them",
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    _tenant(),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False, comment="signed: origin, size, root"),
    _time("created_at", now=True),
    PrimaryKeyConstraint("tenant_id", "size"),
    comment="what was signed of the log",
)

audit_subjects = Table(
    "audit_subjects",
    metadata,
    _tenant(),
    Column("index", LargeBinary, nullable=False, comment="HMAC of the subject under the server's key"),
    Column("key", LargeBinary, nullable=False, comment="of its pseudonym; sealed under the server's key"),
    PrimaryKeyConstraint("tenant_id", "index"),
    comment="the keys of pseudonyms in the log; erasing a person deletes one",
)

# ----------------------------------------------------------------------------------------------------- what was deleted

tombstones = Table(
    "tombstones",
    metadata,
    Column("id", Uuid, nullable=False),
    # No foreign key: what a tenant deleted stays deleted, though the tenant itself has gone.
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False, comment="fax, object or subject"),
    _time("deleted_at", now=True),
    Column("signature", LargeBinary, nullable=False, comment="of the server's key, see backup/tombstones.py"),
    # The tenant is in it: else one could plant a row that stops the tombstone of another.
    PrimaryKeyConstraint("id", "kind", "tenant_id"),
    Index("tombstones_tenant", "tenant_id", "deleted_at"),
    comment="what a restore of an older backup must not bring back",
)

# ------------------------------------------------------------------------------------------------ retention and erasure

holds = Table(
    "holds",
    metadata,
    _id(),
    _tenant(),
    Column("name", Sealed("holds.name"), nullable=False),
    Column("reason", Sealed("holds.reason"), nullable=False, server_default=""),
    Column("by_fax", Boolean, nullable=False, comment="over the faxes of held_faxes; else over whatever fits the rest"),
    Column("boxes", ARRAY(Uuid), nullable=False, server_default=text("'{}'"), comment="empty: any"),
    Column("numbers", ARRAY(Findable(NUMBER)), nullable=False, server_default=text("'{}'"), comment="empty: any"),
    _time("since"),
    _time("until"),
    *_reference("user_id", "users.id"),
    Column("version", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("released_at"),
    *_reference("released_by", "users.id", nullable=True),
    UniqueConstraint("tenant_id", "id"),
    Index("holds_active", "tenant_id", postgresql_where=text("released_at is null")),
    comment="legal holds; triggers refuse to delete what one is over",
)

held_faxes = Table(
    "held_faxes",
    metadata,
    _tenant(),
    *_reference("hold_id", "holds.id", ondelete="CASCADE"),
    *_reference("fax_id", "faxes.id", ondelete="CASCADE"),
    PrimaryKeyConstraint("hold_id", "fax_id", "tenant_id"),
    Index("held_faxes_fax", "fax_id"),
    comment="what a hold over single faxes is over",
)

copies = Table(
    "copies",
    metadata,
    _id(),
    _tenant(),
    Column("fax_id", Uuid, nullable=False, comment="not a reference: the ledger outlives the fax"),
    Column("kind", Text, nullable=False, comment="download, export, forward, webhook, mail, folder, link"),
    Column("location", Findable("copies.location"), nullable=False, comment="who has it, or where it lies"),
    Column("sha256", LargeBinary, nullable=False, comment="of what left; empty: unknown"),
    Column("times", Integer, nullable=False, server_default="1"),
    _time("created_at", now=True),
    _time("last_at", now=True),
    _time("expires_at"),
    _time("deleted_at"),
    Column("deletable", Boolean, nullable=False, server_default="false", comment="the gateway can delete it there"),
    Column("target_id", Uuid, nullable=True, comment="where; not a reference: the ledger outlives it"),
    Column("path", Sealed("copies.path"), nullable=False, server_default="", comment="of the file, in that target"),
    _time("told_at"),
    UniqueConstraint("fax_id", "kind", "location", "sha256", "tenant_id", name="copies_key"),
    Index("copies_tenant", "tenant_id", "id"),
    Index("copies_target", "target_id", postgresql_where=text("target_id is not null and deleted_at is null")),
    comment="every copy of a fax that left the archive",
)

erasures = Table(
    "erasures",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id"),
    Column(
        "subject",
        Sealed("erasures.subject", "json"),
        nullable=True,
        comment="whose data; forgotten when nothing of it is left",
    ),
    Column("pseudonym", LargeBinary, nullable=False, comment="HMAC of the subject under the server key"),
    Column("reason", Sealed("erasures.reason"), nullable=False, server_default=""),
    Column("state", Text, nullable=False, server_default="running"),
    _json("report"),
    _time("created_at", now=True),
    _time("finished_at"),
    CheckConstraint("state in ('running', 'waiting', 'done')", name="state"),
    UniqueConstraint("tenant_id", "id"),
    Index("erasures_open", "id", postgresql_where=text("state <> 'done'")),
    comment="erasure of all that is about a number, a station or some faxes",
)

certificates = Table(
    "certificates",
    metadata,
    _id(),
    _tenant(),
    Column("fax_id", Uuid, nullable=True, comment="what was deleted; not a reference"),
    *_reference("erasure_id", "erasures.id", nullable=True, ondelete="SET NULL"),
    Column("said", JSONB, nullable=False, comment="what, when, why, by whom; no content, no numbers"),
    Column("signature", LargeBinary, nullable=False, comment="Ed25519 over what is said, in canonical form"),
    _time("created_at", now=True),
    Index("certificates_tenant", "tenant_id", "id"),
    Index("certificates_fax", "fax_id", postgresql_where=text("fax_id is not null")),
    Index("certificates_erasure", "erasure_id", postgresql_where=text("erasure_id is not null")),
    comment="that something was deleted for good",
)

# ---------------------------------------------------------------------------------------------------------- signing in

sessions = Table(
    "sessions",
    metadata,
    _id(),
    _reference_outside("person_id", "people.id", ondelete="CASCADE"),
    _reference_outside("user_id", "users.id", nullable=True, ondelete="CASCADE"),
    Column("mac", LargeBinary, nullable=False, comment="HMAC of the token's secret under the server key"),
    Column("second_factor", Boolean, nullable=False),
    Column("way", Text, nullable=False, server_default="password", comment="password, recovery, passkey or oidc"),
    Column("provider", Text, nullable=True, comment="the identity provider that vouched, by its name"),
    Column("password", Boolean, nullable=False, server_default="true", comment="whether that was given, too"),
    Column("address", Sealed("sessions.address"), nullable=False, server_default="", comment="where it was begun"),
    Column(
        "agent", Sealed("sessions.agent"), nullable=False, server_default="", comment="what the program called itself"
    ),
    _time("created_at", now=True),
    _time("seen_at", now=True),
    Index("sessions_person", "person_id"),
    Index("sessions_user", "user_id"),
    comment="who is signed in, and in which tenant they are at the moment",
)

person_slots = Table(
    "person_slots",
    metadata,
    _id(),
    _reference_outside("person_id", "people.id", ondelete="CASCADE"),
    Column("key_id", Text, nullable=False, comment="which key it holds: people.key_id, or one from before a reset"),
    Column("public_key", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False, comment="password, recovery, passkey or session"),
    _reference_outside("session_id", "sessions.id", nullable=True, ondelete="CASCADE"),
    _reference_outside("passkey_id", "passkeys.id", nullable=True, ondelete="CASCADE"),
    _json("parameters"),
    Column("blob", LargeBinary, nullable=False, comment="the private key, sealed under the slot's secret"),
    _time("created_at", now=True),
    Index("person_slots_person", "person_id"),
    Index("person_slots_session", "session_id"),
    Index("person_slots_passkey", "passkey_id", postgresql_where=text("passkey_id is not null")),
    comment="the ways to a person's private key, and so to those of their memberships",
)

passkeys = Table(
    "passkeys",
    metadata,
    _id(),
    _reference_outside("person_id", "people.id", ondelete="CASCADE"),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False, comment="in COSE form"),
    Column("sign_count", BigInteger, nullable=False, comment="of the last use; 0: the authenticator does not count"),
    Column("name", Sealed("passkeys.name"), nullable=False),
    Column("backed_up", Boolean, nullable=False, comment="whether it may be on several devices"),
    _time("created_at", now=True),
    _time("used_at"),
    Column(
        "retired_at",
        DateTime(timezone=True),
        nullable=True,
        comment="since a reset it lets nobody in, and opens what that has locked",
    ),
    Index("passkeys_person", "person_id"),
    comment="authenticators by which people sign in",
)

spent_challenges = Table(
    "spent_challenges",
    metadata,
    Column("challenge", LargeBinary, primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    comment="challenges of passkeys and states of identity providers that were answered, until they would be over",
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("account", LargeBinary, primary_key=True, comment="HMAC of the address, whether anybody has it or not"),
    Column("failures", Integer, nullable=False),
    _time("last_at", now=True),
    _time("locked_until"),
    comment="tries to sign in since the last that went well",
)

set_up_codes = Table(
    "set_up_codes",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("kind", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False, comment="HMAC of the code's secret under the server key"),
    _time("created_at", now=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("user_id", "tenant_id"),
    CheckConstraint("kind in ('invitation', 'reset')", name="kind"),
    comment="by which somebody sets a password, once",
)

retired_keys = Table(
    "retired_keys",
    metadata,
    _id(),
    _tenant(),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("key_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("person_key_id", Text, nullable=False, comment="the person's key of then, which person_slots still open"),
    Column(
        "key_wrap", LargeBinary, nullable=True, comment="the private key, wrapped to that one; null: it is that one"
    ),
    _time("retired_at", now=True),
    Index("retired_keys_user", "user_id"),
    comment="what a reset of the password has locked, until an older secret opens it",
)

# --------------------------------------------------------------------------------------------------------------- boxes

box_keys = Table(
    "box_keys",
    metadata,
    _tenant(),
    *_reference("box_id", "boxes.id", ondelete="CASCADE"),
    Column("key_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    _time("made_at", now=True),
    _time("retired_at"),
    PrimaryKeyConstraint("key_id"),
    UniqueConstraint("tenant_id", "key_id"),
    Index("box_keys_box", "box_id"),
    Index("box_keys_present", "box_id", "tenant_id", unique=True, postgresql_where=text("retired_at is null")),
    comment="key pairs of a box: the present one, which what comes is sealed to, and those of before",
)

box_wraps = Table(
    "box_wraps",
    metadata,
    _tenant(),
    *_reference("key_id", "box_keys.key_id", Text, ondelete="CASCADE"),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("to_key", Text, nullable=False, comment="the reader's public key"),
    Column("blob", LargeBinary, nullable=False, comment="the box's private key, wrapped to the reader"),
    PrimaryKeyConstraint("key_id", "to_key", "tenant_id"),
    Index("box_wraps_user", "user_id"),
    comment="who can open a box is which rows are here",
)

grants = Table(
    "grants",
    metadata,
    _id(),
    _tenant(),
    *_reference("box_id", "boxes.id", ondelete="CASCADE"),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("rights", ARRAY(Text), nullable=False, comment="of read, send and manage"),
    _time("expires_at"),
    *_reference("granted_by", "users.id", nullable=True, ondelete="SET NULL"),
    *_reference("request_id", "escrow_requests.id", nullable=True),
    _time("created_at", now=True),
    UniqueConstraint("box_id", "user_id", "tenant_id"),
    CheckConstraint("cardinality(rights) > 0 and rights <@ array['read', 'send', 'manage']::text[]", name="rights"),
    Index("grants_user", "user_id"),
    Index("grants_expiry", "expires_at", postgresql_where=text("expires_at is not null")),
    Index("grants_request", "request_id", postgresql_where=text("request_id is not null")),
    CheckConstraint("request_id is null or expires_at is not null", name="emergency_ends"),
    comment="who besides its owner may do what with a box",
)

forwarding_rules = Table(
    "forwarding_rules",
    metadata,
    _id(),
    _tenant(),
    *_reference("box_id", "boxes.id", ondelete="CASCADE"),
    Column("prefix", Text, nullable=False, server_default="", comment="of the caller's number; empty: whoever calls"),
    *_reference("to_box_id", "boxes.id", ondelete="CASCADE"),
    *_reference("created_by", "users.id", nullable=True, ondelete="SET NULL"),
    _time("created_at", now=True),
    UniqueConstraint("box_id", "prefix", "to_box_id", "tenant_id"),
    CheckConstraint("box_id <> to_box_id", name="elsewhere"),
    Index("forwarding_rules_to_box", "to_box_id"),
    comment="what comes into one box lies in another as well",
)

# -------------------------------------------------------------------------------------------------------------- escrow

escrows = Table(
    "escrows",
    metadata,
    _id(),
    _tenant(),
    Column("threshold", SmallInteger, nullable=False, comment="so many trustees open a box together"),
    Column("user_id", Uuid, nullable=False, comment="who has set it up; not a reference"),
    _time("created_at", now=True),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id"),
    CheckConstraint("threshold >= 2", name="threshold"),
    comment="tenants whose boxes can be opened in an emergency; no row: nobody can",
)

escrow_trustees = Table(
    "escrow_trustees",
    metadata,
    _id(),
    _tenant(),
    *_reference("escrow_id", "escrows.id", ondelete="CASCADE"),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("index", SmallInteger, nullable=False, comment="of their shares, from 1"),
    Column("key_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False, comment="theirs, since they became one; no reset changes it"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "escrow_id", "user_id"),
    UniqueConstraint("tenant_id", "escrow_id", "index"),
    Index("escrow_trustees_user", "user_id"),
    comment="who has a share of every box's key",
)

escrow_shares = Table(
    "escrow_shares",
    metadata,
    _tenant(),
    *_reference("trustee_id", "escrow_trustees.id", ondelete="CASCADE"),
    *_reference("key_id", "box_keys.key_id", Text, ondelete="CASCADE"),
    Column("commitment", LargeBinary, nullable=False, comment="by which the share is known again"),
    Column("blob", LargeBinary, nullable=False, comment="the share of the box's private key, wrapped to the trustee"),
    PrimaryKeyConstraint("key_id", "trustee_id", "tenant_id"),
    Index("escrow_shares_trustee", "trustee_id", "tenant_id"),
    comment="the private keys of boxes, split among trustees",
)

escrow_requests = Table(
    "escrow_requests",
    metadata,
    _id(),
    _tenant(),
    Column("escrow_id", Uuid, nullable=False, comment="not a reference: it outlives the escrow"),
    *_reference("box_id", "boxes.id", ondelete="CASCADE"),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("ground", Text, nullable=False),
    Column("reason", Sealed("escrow_requests.reason"), nullable=False),
    Column("hours", SmallInteger, nullable=False, comment="how long the box is to be read"),
    Column("threshold", SmallInteger, nullable=False, comment="of the escrow"),
    Column("key_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False, comment="of whoever asks, which shares are wrapped to"),
    Column("state", Text, nullable=False, server_default="pending"),
    _time("created_at", now=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _time("ended_at"),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("ground in ('absence', 'illness', 'safety', 'legal', 'other')", name="ground"),
    CheckConstraint("hours between 1 and 72", name="hours"),
    CheckConstraint("state in ('pending', 'opened', 'denied', 'withdrawn', 'expired', 'void')", name="state"),
    Index(
        "escrow_requests_one", "tenant_id", "box_id", "user_id", unique=True, postgresql_where=text("state = 'pending'")
    ),
    Index("escrow_requests_box", "box_id"),
    comment="emergencies: who asks for which box, and why",
)

escrow_answers = Table(
    "escrow_answers",
    metadata,
    _tenant(),
    *_reference("request_id", "escrow_requests.id", ondelete="CASCADE"),
    *_reference("user_id", "users.id", ondelete="CASCADE"),
    Column("approved", Boolean, nullable=False),
    Column("blob", LargeBinary, nullable=True, comment="shares, wrapped to whoever asks; gone when the request ends"),
    _time("created_at", now=True),
    PrimaryKeyConstraint("request_id", "user_id", "tenant_id"),
    comment="what trustees said",
)
