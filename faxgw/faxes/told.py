"""What an event says, in two parts: in clear what a fax is at, and sealed what is about people."""

from collections.abc import Mapping
from typing import Any

PLAIN = frozenset(
    {
        *("state", "page", "pages", "pages_done", "at", "seconds", "bad_rows", "attempt", "line"),
        *("fax", "again", "forwarded_from", "to"),
        *("request", "box", "by", "notified"),
        *("parcel", "target", "kind"),
    }
)
"""What may lie in clear, ``to`` being a box, ``by`` and ``notified`` members, ``target`` and ``parcel`` ids; of
a reason its code does, too.

Whatever else is said is sealed.
"""


def parted(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is written in clear and what is sealed of what an event says.

    >>> parted({"state": "failed", "remote_id": "+1 555", "reason": {"code": "call.busy", "text": "+1 555 is busy"}})[0]
    {'state': 'failed', 'reason': {'code': 'call.busy', 'text': ''}}
    """
    plain = {name: value for name, value in data.items() if name in PLAIN}
    personal = {name: value for name, value in data.items() if name not in PLAIN}
    if "reason" in personal:
        plain["reason"] = personal["reason"] | {"text": ""}
    return plain, personal


def whole(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return all that an event says: of a row with ``data`` and ``personal``."""
    return {**row["data"], **row["personal"]}
