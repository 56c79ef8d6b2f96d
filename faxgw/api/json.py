"""JSON as the API speaks it: times in UTC, ids and octets as text; from plain values, without a model in between."""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel


def dumped(value: Any) -> bytes:
    """Return ``value`` as JSON in UTF-8.

    >>> dumped({"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "sha256": bytes(2)})
    b'{"at":"2026-01-02T03:04:05Z","sha256":"0000"}'
    """
    return _ENCODER.encode(value).encode()


def plain(value: Any) -> Any:
    """Return a value that JSON does not know as one that it knows.

    Raises:
        TypeError: if it is of a kind that no answer has.
    """
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes | memoryview):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_ENCODER = json.JSONEncoder(default=plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
