"""What was deleted after the backup is deleted again, and what was under way then is ended, before anything serves."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from faxgw.backup.rows import Connection
from faxgw.backup.tombstones import FILE, Tombstone, line
from faxgw.keys.values import ValueSeals

RESTORED, RESTORED_TEXT = "service.restored", "the gateway was restored from a backup made while the fax was under way"

# With whose they are: what a tenant says that it deleted, it deleted of its own.
_FAXES = "SELECT tenant_id, id FROM tombstones WHERE kind = 'fax'"
_OBJECTS = "SELECT tenant_id, id FROM tombstones WHERE kind = 'object'"

_UNTIE = f"UPDATE faxes SET drawn_with = NULL WHERE (tenant_id, drawn_with) IN ({_FAXES})"
_DELETE = (
    f"DELETE FROM faxes WHERE (tenant_id, id) IN ({_FAXES})",
    f"DELETE FROM documents WHERE (tenant_id, object_id) IN ({_OBJECTS})",
    f"DELETE FROM wraps WHERE (tenant_id, object_id) IN ({_OBJECTS})",
)

_END = (
    "DELETE FROM wraps WHERE kind IN ('spool', 'link')",
    "DELETE FROM links",  # one that was revoked or used up since must not be good again
    "DELETE FROM sessions",  # the same
    # What was on its way may have arrived since; what is to be deleted at a target may be so twice.
    "UPDATE parcels SET state = 'canceled', code = %(code)s, ended_at = now(), next_at = NULL"
    " WHERE state IN ('waiting', 'held_no_tls') AND kind <> 'delete'",
    "UPDATE attempts SET state = 'ended', lease_until = NULL, ended_at = now(), cause = 'call.interrupted',"
    " cause_text = %(cause_text)s WHERE state = 'live'",
)
_END_FAXES = f"""
WITH ended AS (
  UPDATE faxes SET
    state = CASE WHEN state = 'receiving' THEN 'partially_received'
                 WHEN direction = 'out' AND pages > 0 AND pages_done >= pages THEN 'delivered'
                 WHEN direction = 'out' AND pages_done > 0 THEN 'partially_sent' ELSE 'failed' END,
    reason_code = '{RESTORED}', reason_text = %(reason_text)s, finished_at = now(), next_call_at = NULL,
    drawer = '', draw_until = NULL, version = version + 1
  WHERE finished_at IS NULL RETURNING id, tenant_id, state, direction
), audited AS (
  INSERT INTO audit_waiting (tenant_id, entry)
  SELECT tenant_id, jsonb_build_object(
    'action', 'fax.' || state, 'actor', 'service', 'object', 'fax',
    'object_id', id::text, 'outcome', 'ok', 'source', '', 'tenant', tenant_id::text,
    'data', jsonb_build_object('direction', direction, 'reason', '{RESTORED}'),
    'time', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text FROM ended
)
INSERT INTO events (tenant_id, fax_id, type, data)
SELECT tenant_id, id, 'fax.' || state,
  jsonb_build_object('reason', jsonb_build_object('code', '{RESTORED}', 'text', '{RESTORED_TEXT}')) FROM ended
"""
_ALL = "SELECT id, tenant_id, kind, deleted_at, signature FROM tombstones ORDER BY deleted_at, id"


def replay(connection: Connection) -> int:
    """Delete what the tombstones name; return how many faxes, documents and wraps there were of it."""
    with connection.transaction():
        connection.execute(_UNTIE)
        return sum(connection.execute(each).rowcount for each in _DELETE)


def end_what_was_under_way(connection: Connection, seals: ValueSeals) -> int:
    """End calls and faxes that were under way: what was sent after the backup must not be sent again.

    The keys that could open their pages for sending were in no backup; ``seals`` are for what is said of it.
    """
    contexts = {"cause_text": "attempts.cause_text", "reason_text": "faxes.reason_text"}
    said: dict[str, Any] = {"code": RESTORED}
    said |= {name: seals.seal(RESTORED_TEXT.encode(), context=context) for name, context in contexts.items()}
    with connection.transaction():
        for statement in _END:
            connection.execute(statement, said)
        return connection.execute(_END_FAXES, said).rowcount


def is_wanted(connection: Connection, object_id: UUID) -> bool:
    """Tell whether a sealed object is to be there: one without a wrap opens for nobody."""
    found = connection.execute("SELECT EXISTS (SELECT FROM wraps WHERE object_id = %s)", (object_id,)).fetchone()
    return bool(found and found[0])


def keep_log(connection: Connection, data_dir: Path) -> None:
    """Write all tombstones into the log of the new data directory: an older backup may be restored another day."""
    with os.fdopen(os.open(data_dir / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        with connection.transaction(), connection.cursor(name="tombstones") as cursor:
            at: datetime
            for stone, tenant_id, kind, at, signature in cursor.execute(_ALL):
                file.write(line(Tombstone(stone, tenant_id, kind, at), signature))
        file.flush()
        os.fsync(file.fileno())
