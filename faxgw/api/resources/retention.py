"""Deletion of faxes, certificates, what a change of the policy would purge, and records of processing."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import ok
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import one
from faxgw.api.resources.policy import WholePolicy, check_escrow
from faxgw.api.resources.rows import fax_with
from faxgw.api.retention_shapes import (
    CertificateShape,
    PreviewShape,
    ProcessingRecordsShape,
    ProvenCertificateShape,
)
from faxgw.audit.tree import AuditAltered
from faxgw.retention import Shredded, Why, remove, shred
from faxgw.retention.certificates import Certificate, of_row, shape
from faxgw.retention.preview import preview, processing_records
from faxgw.retention.proving import proof_of
from faxgw.store.tables import certificates

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["retention"])


@router.delete("/faxes/{fax_id:uuid}", response_model=CertificateShape)
async def delete_fax(
    call: Caller,
    fax_id: UUID,
    record: Annotated[bool, Query(description="Delete the record of the fax, too: then it is not there.")] = False,
) -> Response:
    """Delete what is in a fax that has ended, for good: nothing brings it back. Its content answers 410 from then on.

    The answer is a certificate, which names what was deleted. A minimal record stays, unless `record` is true.
    """
    why = Why("deleted", record="none" if record else "minimal")
    async with call.transaction() as connection:
        await fax_with(connection, call, fax_id, "manage")
        done = await shred(connection, call.gateway, [fax_id], why=why, by=call.actor, now=datetime.now(UTC))
        _refuse(fax_id, done)
        given = done.certificates[0] if done.certificates else await _last(connection, fax_id)
    await remove(call.gateway, done.objects)
    return ok(shape(given))


def _refuse(fax_id: UUID, done: Shredded) -> None:
    if done.running:
        raise Problem("fax.running", f"The fax {fax_id} has not ended; cancel it first, or wait.")
    if done.held:
        raise Problem(
            "hold.active", f"A legal hold is over the fax {fax_id}; nobody can delete it until it is released."
        )


async def _last(connection: AsyncConnection, fax_id: UUID) -> Certificate:
    """Return the certificate of a fax that was shredded before."""
    own = select(certificates).where(certificates.c.fax_id == fax_id).order_by(certificates.c.id.desc()).limit(1)
    return of_row(await one(connection, own))


@router.get("/certificates/{certificate_id:uuid}", response_model=ProvenCertificateShape)
async def get_certificate(call: Caller, certificate_id: UUID) -> Response:
    """Give a certificate of deletion, with the proof that the audit log says the same."""
    async with call.transaction() as connection:
        row = await one(connection, select(certificates).where(certificates.c.id == certificate_id))
        return ok(await proven(connection, of_row(row)))


async def proven(connection: AsyncConnection, certificate: Certificate) -> dict[str, Any]:
    """Return a certificate with its proof, as it is answered.

    Raises:
        Problem: ``audit.altered``.
    """
    try:
        proof = await proof_of(connection, certificate)
    except AuditAltered as fault:
        raise Problem("audit.altered", f"{str(fault).capitalize()}.") from None
    return {**shape(certificate), "audit": proof}


@router.post("/policy:preview", response_model=PreviewShape)
async def preview_policy(call: Caller, asked: WholePolicy) -> Response:
    """Say what the policy would purge if it were this one. Nothing is changed."""
    async with call.transaction() as connection:
        await check_escrow(connection, call, asked)
        return ok(await preview(connection, call.actor.tenant_id, asked, now=datetime.now(UTC)))


@router.get("/processing-records", response_model=ProcessingRecordsShape)
async def get_processing_records(call: Caller) -> Response:
    """Give the records of processing: every box with its data class, purpose, lawful basis, recipients and retention.

    They are made from the configuration as it is; what is missing in it is named.
    """
    async with call.transaction() as connection:
        found = await processing_records(connection, call.actor.tenant_id, now=datetime.now(UTC))
        await note(connection, call, "processing_records.read", call.actor.tenant_id)
    return ok(found)
