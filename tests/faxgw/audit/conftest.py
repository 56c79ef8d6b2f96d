"""A tenant's log in a database."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from faxgw.audit import pseudonym, record
from faxgw.audit.canonical import read
from faxgw.audit.checkpoints import signed, verifier_of
from faxgw.audit.export import exported
from faxgw.audit.sequencing import sequence
from faxgw.audit.verify import Verified, verify
from faxgw.keys.tokens import ServerKeys
from faxgw.store.database import Database
from faxgw.store.tables import audit_rows

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class Book:
    """The log of one tenant; its clock goes on by a second with every row."""

    database: Database
    tenant: UUID
    keys: ServerKeys
    clock: Any

    async def note(self, action: str = "content.read", *, subject: str = "", **data: Any) -> None:
        """Record a row in a transaction of its own."""
        if subject:
            data["to"] = pseudonym(self.keys, tenant_id=self.tenant, subject=subject)
        at = NOW + timedelta(seconds=next(self.clock))
        async with self.database.tenant(self.tenant) as connection:
            await record(connection, tenant_id=self.tenant, actor="service", action=action, data=data, now=at)

    async def sequence(self) -> int:
        """Give numbers to all that waits."""
        return await sequence(self.database, self.keys, now=NOW)

    async def rows(self) -> list[dict[str, Any]]:
        """Return all rows with a number."""
        mine = select(audit_rows.c.entry).where(audit_rows.c.tenant_id == self.tenant).order_by(audit_rows.c.seq)
        async with self.database.tenant(self.tenant) as connection:
            return [read(entry.encode()) for entry in (await connection.scalars(mine)).all()]

    async def checkpoint(self) -> str:
        """Sign it as it is now."""
        async with self.database.tenant(self.tenant) as connection:
            return await signed(connection, self.keys, tenant_id=self.tenant, now=NOW)

    async def export(self) -> bytes:
        """Return it as a file."""
        note, verifier = await self.checkpoint(), verifier_of(self.keys, self.tenant)
        lines = exported(self.database, self.tenant, note=note, verifier=verifier)
        return b"".join([each async for each in lines])

    async def verified(self, earlier: Sequence[str] = ()) -> Verified:
        """Check an export of it."""
        raw = self.keys.audit_signing.public_key().public_bytes_raw()
        return verify(io.BytesIO(await self.export()), keys=[raw], earlier=earlier)


@pytest.fixture
def keys(tmp_path: Path) -> ServerKeys:
    return ServerKeys(tmp_path / "server_keys")


@pytest.fixture
def book(database: Database, tenant: UUID, keys: ServerKeys) -> Book:
    return Book(database, tenant, keys, count())
