"""The audit log of the tenant: read, proved, exported."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from faxgw.api.answers import json_response, ok
from faxgw.api.audit_shapes import AuditKeysShape, AuditProofShape, AuditRowShape, CheckpointShape
from faxgw.api.call import Api, Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.paging import USUAL, Cursor, Limit, cursor_of, read_cursor
from faxgw.api.problems import Problem
from faxgw.api.shapes import Page
from faxgw.audit import record
from faxgw.audit.checkpoints import last_note, signed, verifier_of
from faxgw.audit.export import exported
from faxgw.audit.merkle import HASH_OCTETS, Span, consistency_spans, inclusion_spans
from faxgw.audit.notes import Checkpoint, NoteRefused, encoded
from faxgw.audit.tree import AuditAltered, hashes_of, size_of
from faxgw.keys.jwk import jwk
from faxgw.store.tables import audit_rows

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["audit"])
published = APIRouter(route_class=GuardedRoute, tags=["audit"])

EXPORT = "application/jsonl"
LARGEST = 2**53 - 1

Size = Annotated[int | None, Query(ge=0, le=LARGEST, description="The size of the log; without it, as it is now.")]


@router.get("/audit", response_model=Page[AuditRowShape])
async def list_audit(
    call: Caller,
    *,
    limit: Limit = USUAL,
    cursor: Cursor = None,
    action: Annotated[str | None, Query(max_length=100, description="Only of this action.")] = None,
    actor: Annotated[str | None, Query(max_length=100, description="Only by this one.")] = None,
    object_id: Annotated[str | None, Query(max_length=100, description="Only about this thing.")] = None,
) -> Response:
    """List what was done, the newest first. A row is here a second or two after what it tells of."""
    wanted = {"action": action, "actor": actor, "object_id": object_id}
    statement = select(audit_rows).where(audit_rows.c.tenant_id == call.actor.tenant_id)
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(audit_rows.c[name] == value)
    if cursor is not None:
        statement = statement.where(audit_rows.c.seq < min(read_cursor(cursor).int, LARGEST))
    statement = statement.order_by(audit_rows.c.seq.desc()).limit(limit + 1)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    more = cursor_of(UUID(int=rows[limit - 1]["seq"])) if len(rows) > limit else None
    return ok({"items": [_row(each) for each in rows[:limit]], "next": more})


@router.get("/audit/checkpoint", response_model=CheckpointShape)
async def get_checkpoint(call: Caller) -> Response:
    """Give the log as it is now, signed: whoever keeps it can tell later whether anything before it was altered."""
    keys, tenant_id = call.gateway.server_keys, call.actor.tenant_id
    async with call.transaction() as connection:
        try:
            note = await signed(connection, keys, tenant_id=tenant_id, now=datetime.now(UTC))
        except AuditAltered as fault:
            raise _altered(fault) from None
    verifier = verifier_of(keys, tenant_id)
    checkpoint = Checkpoint.opened(note, verifier)
    return ok({"size": checkpoint.size, "root": encoded(checkpoint.root), "note": note, "key": verifier.text})


@router.get("/audit/proof", response_model=AuditProofShape)
async def get_audit_proof(
    call: Caller,
    seq: Annotated[int | None, Query(ge=0, le=LARGEST, description="The row that is in the log.")] = None,
    first: Annotated[int | None, Query(ge=0, le=LARGEST, description="The size that the log had before.")] = None,
    size: Size = None,
) -> Response:
    """Prove that row `seq` is in the log, or that the log began with what it had at size `first` (0: nothing)."""
    if seq is not None and first is not None:
        raise Problem("request.invalid", "Give either seq or first.", extra={"errors": []})
    async with call.transaction() as connection:
        present = await size_of(connection, call.actor.tenant_id)
        size, first = present if size is None else size, first or 0
        if size > present or first > size or (seq is not None and seq >= size):
            raise Problem("request.not_found", f"The log has {present} rows by now.")
        try:
            proof = await _proof(connection, call.actor.tenant_id, seq=seq, first=first, size=size)
        except AuditAltered as fault:
            raise _altered(fault) from None
    return ok(proof)


@router.get("/audit:export", response_class=Response)
async def export_audit(call: Caller) -> Response:
    """Give the whole log as one file, for `faxgw audit verify`. That it was given is recorded, too."""
    keys, tenant_id = call.gateway.server_keys, call.actor.tenant_id
    verifier = verifier_of(keys, tenant_id)
    async with call.transaction() as connection:
        note = await _note(connection, call)
        size = Checkpoint.opened(note, verifier).size
        await record(connection, tenant_id=tenant_id, actor=call.actor, action="audit.exported", data={"rows": size})
    lines = exported(call.gateway.database, tenant_id, note=note, verifier=verifier)
    name = f"audit-{tenant_id}-{size}.jsonl"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(lines, media_type=EXPORT, headers=headers)


@published.get("/.well-known/audit-keys.json", response_model=AuditKeysShape)
async def get_audit_keys(request: Request) -> Response:
    """Give the public keys by which audit logs are checked, as a JWK set."""
    api: Api = request.app.state.api
    keys = {"keys": [jwk(api.gateway.server_keys.audit_signing.public_key().public_bytes_raw())]}
    return json_response(dumped(keys), headers={"cache-control": "public, max-age=3600"})


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {**json.loads(row["entry"]), "leaf": encoded(row["hashes"][:HASH_OCTETS])}


async def _note(connection: AsyncConnection, call: Call) -> str:
    """Sign the log; one that was altered is given as it was signed last, so that others see what is wrong with it."""
    keys, tenant_id = call.gateway.server_keys, call.actor.tenant_id
    try:
        return await signed(connection, keys, tenant_id=tenant_id, now=datetime.now(UTC))
    except AuditAltered as fault:
        note = await last_note(connection, tenant_id)
        try:
            Checkpoint.opened(note, verifier_of(keys, tenant_id))
        except NoteRefused:
            raise _altered(fault) from None
        return note


async def _proof(
    connection: AsyncConnection, tenant_id: UUID, *, seq: int | None, first: int, size: int
) -> dict[str, Any]:
    """Prove that a row, or else an earlier tree, is in the tree of a size."""
    if seq is not None:
        spans = [Span(0, size), Span(seq, seq + 1), *inclusion_spans(seq, size)]
        kind, about = "inclusion", ("seq", "leaf")
    else:
        spans = [Span(0, size), Span(0, first), *consistency_spans(first, size)]
        kind, about = "consistency", ("first", "first_root")
    root, known, *hashes = [encoded(each) for each in await hashes_of(connection, tenant_id, spans)]
    nothing = dict.fromkeys(("seq", "leaf", "first", "first_root"))
    named = dict(zip(about, (first if seq is None else seq, known), strict=True))
    return {"kind": kind, "size": size, "root": root, "hashes": hashes, **nothing, **named}


def _altered(fault: AuditAltered) -> Problem:
    log.error("an audit log was altered", fault=str(fault))
    return Problem("audit.altered", f"{str(fault).capitalize()}.")
