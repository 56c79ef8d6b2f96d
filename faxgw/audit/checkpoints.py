"""What is signed of a tenant's log: checkpoints, each only if the log still has what was signed last."""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit.notes import Checkpoint, NoteRefused, Verifier, origin_of
from faxgw.audit.tree import AuditAltered, root_of, size_of
from faxgw.keys.tokens import ServerKeys
from faxgw.store.database import Database
from faxgw.store.tables import audit_checkpoints, audit_rows, tenants

log = structlog.get_logger(__name__)


def verifier_of(keys: ServerKeys, tenant_id: UUID) -> Verifier:
    """Return the public key by which a tenant's checkpoints are checked."""
    return Verifier(origin_of(tenant_id), keys.audit_signing.public_key().public_bytes_raw())


async def signed(connection: AsyncConnection, keys: ServerKeys, *, tenant_id: UUID, now: datetime) -> str:
    """Return a checkpoint of the log as it is now, signed now if need be.

    Raises:
        AuditAltered: if the log does not begin with what was signed last.
    """
    size = await size_of(connection, tenant_id)
    last = await _last(connection, keys, tenant_id)
    if last is not None:
        note, checkpoint = last
        if size < checkpoint.size or await root_of(connection, tenant_id, checkpoint.size) != checkpoint.root:
            raise AuditAltered(f"the log does not begin with the {checkpoint.size} rows that were signed")
        if size == checkpoint.size:
            return note
    made = Checkpoint(origin_of(tenant_id), size, await root_of(connection, tenant_id, size))
    note = made.signed(keys.audit_signing)
    row = {"tenant_id": tenant_id, "size": size, "note": note, "created_at": now}
    await connection.execute(upsert(audit_checkpoints).values(row).on_conflict_do_nothing())
    return note


async def sign_all(database: Database, keys: ServerKeys, *, now: datetime) -> int:
    """Sign the log of every tenant that has grown since; return of how many."""
    async with database.dispatcher() as connection:
        grown = (await connection.scalars(select(tenants.c.id).where(_grown()))).all()
    return sum([await sign(database, keys, tenant_id, now=now) for tenant_id in grown])


async def sign(database: Database, keys: ServerKeys, tenant_id: UUID, *, now: datetime) -> bool:
    """Sign a tenant's log; false, and told, where it is not what was signed before."""
    try:
        async with database.dispatcher() as connection:
            await signed(connection, keys, tenant_id=tenant_id, now=now)
    except AuditAltered as fault:
        log.error("an audit log was altered: nothing more of it is signed", tenant=str(tenant_id), fault=str(fault))
        return False
    return True


async def last_note(connection: AsyncConnection, tenant_id: UUID) -> str:
    """Return what was signed last of a tenant's log, as it stands there; empty: nothing."""
    mine = select(audit_checkpoints.c.note).where(audit_checkpoints.c.tenant_id == tenant_id)
    newest = mine.order_by(audit_checkpoints.c.size.desc()).limit(1)
    found: str | None = (await connection.execute(newest)).scalar()
    return found or ""


async def _last(connection: AsyncConnection, keys: ServerKeys, tenant_id: UUID) -> tuple[str, Checkpoint] | None:
    note = await last_note(connection, tenant_id)
    if not note:
        return None
    try:
        return note, Checkpoint.opened(note, verifier_of(keys, tenant_id))
    except NoteRefused as refused:
        raise AuditAltered(f"the last checkpoint is not what was signed: {refused}") from None


def _grown() -> ColumnElement[bool]:
    rows = select(func.max(audit_rows.c.seq) + 1).where(audit_rows.c.tenant_id == tenants.c.id)
    known = select(func.max(audit_checkpoints.c.size)).where(audit_checkpoints.c.tenant_id == tenants.c.id)
    return rows.scalar_subquery() > func.coalesce(known.scalar_subquery(), 0)
