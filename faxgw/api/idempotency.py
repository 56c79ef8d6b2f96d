"""A POST that is sent twice is done once: the answer is kept with the change, in its transaction, and given again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, select, text, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.actor import Actor
from faxgw.api.answers import Answer, json_response
from faxgw.api.problems import Problem
from faxgw.store.tables import idempotency

KEPT = "24 hours"
KEPT_HEADERS = ("location", "etag")


@dataclass(frozen=True, slots=True)
class Once:
    """One request under an Idempotency-Key.

    Attributes:
        key: as sent; a caller's own, so that others may use the same.
        request: hash of method, path, query and body.
    """

    tenant_id: UUID
    api_key_id: UUID
    key: str
    request: bytes

    @classmethod
    def of(cls, actor: Actor, key: str, *parts: str, body: bytes) -> "Once":
        """Return it for a request; ``body``: of the body, its hash will do.

        Raises:
            Problem: ``idempotency.key``.
        """
        if not (0 < len(key) <= 255 and all("!" <= letter <= "~" for letter in key)):
            raise Problem("idempotency.key", "An Idempotency-Key has 1 to 255 visible ASCII characters.")
        assert actor.credential_id is not None
        digest = hashlib.sha256("\0".join(parts).encode() + b"\0" + body).digest()
        return cls(actor.tenant_id, actor.credential_id, key, digest)

    async def earlier(self, connection: AsyncConnection) -> Response | None:
        """Return the answer that was given before; None: this is the first time, and the key is locked until commit.

        Raises:
            Problem: ``idempotency.mismatch`` or ``.in_progress``.
        """
        values = {"lock": self._lock, "api_key_id": self.api_key_id, "key": self.key}
        row = (await connection.execute(_FIND, values)).one()
        if row.status is None:
            if not row.locked:
                raise Problem("idempotency.in_progress", "The same request is under way; ask again in a second.")
            return None
        if row.request != self.request:
            raise Problem("idempotency.mismatch", "This Idempotency-Key was used with another request; use a new one.")
        return json_response(row.body, row.status, row.headers | {"idempotency-replayed": "true"})

    async def keep(self, connection: AsyncConnection, answer: Answer) -> None:
        """Keep an answer, in the transaction of what it tells of.

        Raises:
            Problem: ``idempotency.in_progress``, if another request has just kept its own.
        """
        headers: Mapping[str, str] = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        kept = {"status": answer.status, "headers": headers, "body": answer.octets(again=True), "request": self.request}
        row = {"tenant_id": self.tenant_id, "api_key_id": self.api_key_id, "key": self.key, **kept}
        stale = idempotency.c.created_at < func.now() - text(f"interval '{KEPT}'")
        statement = (
            insert(idempotency)
            .values(row)
            .on_conflict_do_update(
                index_elements=["api_key_id", "key", "tenant_id"], set_={**kept, "created_at": func.now()}, where=stale
            )
        )
        if (await connection.execute(statement.returning(idempotency.c.key))).one_or_none() is None:
            raise Problem("idempotency.in_progress", "The same request has just been done; ask again.")

    @property
    def _lock(self) -> int:
        return int.from_bytes(hashlib.sha256(self.api_key_id.bytes + self.key.encode()).digest()[:8], signed=True)


_FIND = select(
    func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)).label("locked"),
    idempotency.c.request,
    idempotency.c.status,
    idempotency.c.headers,
    idempotency.c.body,
).select_from(
    select(true())
    .subquery()
    .outerjoin(
        idempotency,
        (idempotency.c.api_key_id == bindparam("api_key_id"))
        & (idempotency.c.key == bindparam("key"))
        & (idempotency.c.created_at >= func.now() - text(f"interval '{KEPT}'")),
    )
)
