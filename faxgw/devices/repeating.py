"""The same handed in again by the same device, which never heard the answer: it is no second fax.

What was handed in is known again by an HMAC under the server's key, and only for a time: somebody who wants the same
sent once more has it sent once more.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, Insert, LargeBinary, Uuid, bindparam, case
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.devices.device import Device
from faxgw.keys.tokens import ServerKeys
from faxgw.store.tables import submissions

NAMED = timedelta(days=5)
"""How long what has a name of its own (a Message-ID) is known: so long mail servers try to hand a message over."""
NAMELESS = timedelta(minutes=15)
"""How long anything else is known: a machine that heard nothing for ten minutes, the longest that SMTP asks it to wait,
tries again some minutes later; a person who wants the same sent again most often comes later, and with another scan."""


class Repeated(Exception):
    """The same was handed in before; ``became`` is the fax, or batch, that it became then."""

    def __init__(self, became: UUID) -> None:
        super().__init__("this was handed in before")
        self.became = became


def mark_of(keys: ServerKeys, kind: str, said: Iterable[str | bytes]) -> bytes:
    """Return what all of what is handed in is known by; ``kind`` keeps ways of handing in apart.

    Each of ``said`` stands for itself: ``("a", "b")`` is another thing than ``("ab",)``.
    """
    digest = hashlib.sha256()
    for each in (kind, *said):
        octets = each if isinstance(each, bytes) else each.encode("utf-8", "surrogateescape")
        digest.update(len(octets).to_bytes(8) + octets)
    return keys.mac(b"handed in 1" + digest.digest())


async def note(connection: AsyncConnection, device: Device, mark: bytes, *, became: UUID, known_for: timedelta) -> None:
    """Note what is handed in, and what it is about to become; the same at the same time waits for how that ends.

    Args:
        connection: the transaction of the device's tenant in which it becomes that.
        device: who hands it in.
        mark: what it is known by.
        became: the id of the fax, or batch, that is about to be.
        known_for: how long the same counts as the same.

    Raises:
        Repeated: if it was handed in before, and is still known.
    """
    now = datetime.now(UTC)
    of = {"tenant": device.tenant_id, "device": device.id, "mark": mark, "became": became}
    first = await connection.scalar(_NOTE, {**of, "now": now, "until": now + known_for})
    if first != became:
        raise Repeated(UUID(str(first)))


def _noting() -> Insert:
    row = insert(submissions).values(
        tenant_id=bindparam("tenant", type_=Uuid),
        device_id=bindparam("device", type_=Uuid),
        mark=bindparam("mark", type_=LargeBinary),
        became=bindparam("became", type_=Uuid),
        expires_at=bindparam("until", type_=DateTime(timezone=True)),
    )
    is_over = submissions.c.expires_at <= bindparam("now", type_=DateTime(timezone=True))
    kept = {name: case((is_over, row.excluded[name]), else_=submissions.c[name]) for name in ("became", "expires_at")}
    key = ["device_id", "mark", "tenant_id"]
    return row.on_conflict_do_update(index_elements=key, set_=kept).returning(submissions.c.became)


_NOTE = _noting()
