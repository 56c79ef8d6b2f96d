"""What a legal hold is over. The database itself decides it, and refuses to delete it: see migration 0005."""

from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.store.tables import documents, faxes


def is_held() -> ColumnElement[bool]:
    """Return the condition on ``faxes`` that a hold is over them."""
    row = faxes.c
    return func.faxgw_held(row.tenant_id, row.id, row.box_id, row.from_number, row.to_number, row.created_at)


def is_held_document() -> ColumnElement[bool]:
    """Return the condition on ``documents`` that a hold is over a fax that was made of them."""
    return func.faxgw_document_held(documents.c.tenant_id, documents.c.id, documents.c.created_at)


async def no_new_hold(connection: AsyncConnection, tenant_id: UUID) -> None:
    """Keep new holds of a tenant waiting until this transaction has ended: it is about to delete something."""
    await connection.execute(select(func.pg_advisory_xact_lock_shared(_lock(tenant_id))))


async def no_shredding(connection: AsyncConnection, tenant_id: UUID) -> None:
    """Wait until nobody is deleting faxes of a tenant, and keep it so: what a hold finds then is what it keeps."""
    await connection.execute(select(func.pg_advisory_xact_lock(_lock(tenant_id))))


def _lock(tenant_id: UUID) -> ColumnElement[int]:
    return func.hashtextextended(f"faxgw holds of {tenant_id}", 0)
