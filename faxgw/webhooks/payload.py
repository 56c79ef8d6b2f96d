"""What a webhook is told: the Standard Webhooks body of an event, thin unless it asked for more."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from faxgw.faxes.told import whole

THIN = ("state", "page", "pages", "pages_done", "request", "box")
"""Of what the event itself says, all that a thin message has; who sent what to whom stays with the API."""


def message_body(row: RowMapping) -> bytes:
    """Return the JSON body of a claimed delivery; the same for every try, as it says what was, not what is."""
    said = whole(row)
    data: dict[str, Any] = {"event": row["event_id"]}
    if row["fax_id"] is not None:
        data |= _fax(row)
    data |= said if row["full"] else {key: said[key] for key in THIN if key in said}
    body = {"type": row["type"], "timestamp": _time(row["at"]), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _fax(row: RowMapping) -> dict[str, Any]:
    batch = None if row["batch_id"] is None else str(row["batch_id"])
    ids = {"fax": str(row["fax_id"]), "direction": row["direction"], "box": str(row["box_id"]), "batch": batch}
    if not row["full"]:
        return ids
    numbers = {"from": row["from_number"], "to": row["to_number"], "remote_id": row["remote_id"]}
    reason = {"code": row["reason_code"], "text": row["reason_text"]}
    return {**ids, **numbers, "reason": reason, "labels": row["labels"]}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
