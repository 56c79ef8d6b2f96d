"""What people take with them: a box with all its faxes, records of calls, evidence of how data is kept."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response, StreamingResponse

from faxgw import audit, copies
from faxgw.api.access import sees_all
from faxgw.api.call import Call, Caller
from faxgw.api.export_shapes import CallRecordsShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.opening import opener
from faxgw.api.paging import Time
from faxgw.api.problems import Problem
from faxgw.api.resources.usage import period
from faxgw.boxes.access import may
from faxgw.errors import RequestError
from faxgw.exports import boxes as box_exports
from faxgw.exports import calls
from faxgw.exports.evidence import evidence
from faxgw.faxes.content import unlock
from faxgw.model import State
from faxgw.store.tables import attempts, boxes, faxes, pages

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["content"])

BATCH = 100
"""Faxes that are looked up at a time."""
ZIP = "application/zip"

_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"description": "A ZIP.", "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}
}
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_ENDED = [state.value for state in State if state.final]
_RECORD = (
    "direction",
    "state",
    "from_number",
    "to_number",
    "remote_id",
    "pages",
    "pages_done",
    "created_at",
    "finished_at",
)

After = Annotated[Time | None, Query(description="Only what ended from then on.")]
Before = Annotated[Time | None, Query(description="Only what ended before that.")]


@router.get("/boxes/{box_id:uuid}/archive", response_class=Response, responses=_ZIP)
async def export_box(call: Caller, box_id: UUID, after: After = None, before: Before = None) -> Response:
    """Give all faxes of a box as one ZIP: PDF and TIFF of each, and a manifest with the SHA-256 of every file.

    It is made while it is sent, opened with the key of whoever asks. One that broke off has no end: ask again.
    """
    async with call.transaction() as connection:
        mine = (boxes.c.id == box_id) & may(call.actor.user_id, "read")
        box = (await connection.execute(select(boxes.c.id, boxes.c.name).where(mine))).mappings().one_or_none()
        if box is None:
            raise Problem("box.unknown", "There is no such box of yours.")
        await unlock(connection, call.actor)
        await _recorded(connection, call, "box.exported", "box", box_id)
    conditions = [faxes.c.box_id == box_id, faxes.c.state.in_(_ENDED)]
    conditions += [faxes.c.finished_at >= after] if after else []
    conditions += [faxes.c.finished_at < before] if before else []
    octets = box_exports.box_archive(dict(box), _faxes(call, conditions), at=datetime.now(UTC))
    return _download(octets, ZIP, f"box-{box_id}.zip")


@router.get("/usage/calls", response_model=CallRecordsShape, responses=_CSV)
async def list_calls(
    call: Caller,
    format: Annotated[Literal["csv", "json"], Query(description="As what.")] = "json",
    after: Annotated[Time | None, Query(description="Calls that ended from then on; 31 days ago.")] = None,
    before: Annotated[Time | None, Query(description="Calls that ended before that; now.")] = None,
) -> Response:
    """Give a record of every call of one's own boxes; an owner or admin with `admin` gets everybody's.

    In CSV, what a spreadsheet would take for a formula has an apostrophe before it.
    """
    start, end = period(after, before)
    conditions = [
        attempts.c.tenant_id == call.actor.tenant_id,
        attempts.c.ended_at >= start,
        attempts.c.ended_at < end,
    ]
    if not sees_all(call.actor):
        conditions.append(call.own())
    async with call.transaction() as connection:
        await _recorded(connection, call, "calls.exported", "calls", None)
    if format == "csv":
        return _download(_csv(call, conditions), "text/csv; charset=utf-8", "calls.csv")
    return StreamingResponse(_json(call, conditions), media_type="application/json")


@router.get("/exports/evidence", response_class=Response, responses=_ZIP)
async def export_evidence(call: Caller) -> Response:
    """Give how this tenant's data is kept, as a signed ZIP: policy, keys, retention, audit, versions, tests.

    There is no content in it, no telephone number and no address of a person.
    """
    async with call.transaction() as connection:
        await _recorded(connection, call, "evidence.exported", "tenant", call.actor.tenant_id)
    return _download(_evidence(call), ZIP, "evidence.zip")


async def _evidence(call: Call) -> AsyncIterator[bytes]:
    gateway = call.gateway
    async with gateway.database.tenant(call.actor.tenant_id, within=600.0) as connection:
        made = evidence(
            connection,
            call.actor.tenant_id,
            state=gateway.advisories.state,
            key=gateway.server_keys.signing,
            at=datetime.now(UTC),
        )
        async for piece in made:
            yield piece


async def _faxes(call: Call, conditions: list[ColumnElement[bool]]) -> AsyncIterator[box_exports.ExportedFax]:
    last: UUID | None = None
    while True:
        more = [] if last is None else [faxes.c.id > last]
        async with call.transaction() as connection:
            found = select(faxes).where(*conditions, *more).order_by(faxes.c.id).limit(BATCH)
            rows = (await connection.execute(found)).mappings().all()
        for row in rows:
            record = {"id": str(row["id"]), **{name: row[name] for name in _RECORD}}
            yield box_exports.ExportedFax(row["id"], record, await _pages(call, row["id"], row["page_set_id"]))
            last = row["id"]
        if len(rows) < BATCH:
            return


async def _pages(call: Call, fax_id: UUID, page_set_id: UUID | None) -> list[Any] | None:
    """Return what is on a fax; None when it is gone, or was never kept for whoever asks."""
    async with call.transaction() as connection:
        found = select(pages).where(pages.c.page_set_id == page_set_id).order_by(pages.c.index)
        rows = (await connection.execute(found)).mappings().all()
        if not rows:
            return []
        try:
            sealed = await opener(connection, call, [row["object_id"] for row in rows])
        except RequestError as refused:
            if refused.code != "content.gone":
                raise
            return None
        await copies.note(connection, fax_id=fax_id, kind="export", to=f"user:{call.actor.user_id}")
    return [await sealed.page(row) for row in rows]


async def _batches(call: Call, conditions: list[ColumnElement[bool]]) -> AsyncIterator[list[Any]]:
    last: tuple[datetime, Any] | None = None
    while True:
        async with call.transaction() as connection:
            statement = calls.batch_after(last, *conditions)
            rows = list((await connection.execute(statement)).mappings())
        if rows:
            last = (rows[-1]["ended_at"], rows[-1]["id"])
            yield rows
        if len(rows) < calls.BATCH:
            return


async def _csv(call: Call, conditions: list[ColumnElement[bool]]) -> AsyncIterator[bytes]:
    yield calls.csv_head()
    async for rows in _batches(call, conditions):
        yield calls.csv_lines(rows)


async def _json(call: Call, conditions: list[ColumnElement[bool]]) -> AsyncIterator[bytes]:
    before = b'{"items":['
    async for rows in _batches(call, conditions):
        yield before + b",".join(calls.json_records(rows))
        before = b","
    yield b"]}" if before == b"," else before + b"]}"


async def _recorded(connection: AsyncConnection, call: Call, action: str, kind: str, what: UUID | None) -> None:
    await audit.record(
        connection, tenant_id=call.actor.tenant_id, actor=call.actor, action=action, object=kind, object_id=what
    )


def _download(octets: AsyncIterator[bytes], media_type: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(octets, media_type=media_type, headers=headers)
