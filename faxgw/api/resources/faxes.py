"""Faxes: sent, listed, followed call by call, canceled, sent again, released."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, ok
from faxgw.api.call import Call, Caller
from faxgw.api.fax_shapes import AcceptedShape, AttemptShape, AttemptsShape, FaxShape, FaxSummary
from faxgw.api.guard import GuardedRoute, UploadRoute
from faxgw.api.paging import USUAL, Cursor, Limit, Time, created_between, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.rows import FAX_COLUMNS, attempt, attempts_of, fax_summary, fax_with, own_fax, visible_fax
from faxgw.api.shapes import Page
from faxgw.api.uploads import BODY, check_room, receive
from faxgw.boxes.access import has_any
from faxgw.faxes.accepting import Held, accept
from faxgw.faxes.actions import cancel, release, resend
from faxgw.faxes.requests import Accepted, FaxRequest, Number, Paper, Resolution, Screen, Storage
from faxgw.model import Direction, State
from faxgw.store.tables import attempts, boxes, faxes

router = APIRouter(prefix="/v1/faxes", route_class=GuardedRoute, tags=["faxes"])
uploads = APIRouter(prefix="/v1", route_class=UploadRoute, tags=["faxes"])

AttemptNumber = Annotated[int, Path(ge=1, le=100_000, description="Which call, from 1.")]


@router.post("", status_code=202, response_model=AcceptedShape)
async def create_fax(call: Caller, asked: FaxRequest) -> Response:
    """Send documents to one number. With 202 it is committed: it will not be forgotten."""
    await check_room(call)

    async def work(connection: AsyncConnection) -> Answer:
        return _accepted(await accept(connection, call.gateway, call.actor, asked))

    return await call.once(work)


class Wishes(BaseModel):
    """How a document that comes as the body is to be sent; the same words as in a fax."""

    model_config = ConfigDict(extra="forbid")

    to: Number
    box: UUID | None = Field(default=None, description="The box that the fax lies in; the user's own when left out.")
    name: str = Field(
        default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="What its sender calls it."
    )
    resolution: Resolution | None = Field(default=None, description="The tenant's policy says when this does not.")
    paper: Paper | None = Field(default=None, description="Make every page fill this paper.")
    screen: Screen = Field(default="auto", description="How grey becomes black and white.")
    header: bool | None = Field(default=None, description="A line with date, sender and page number above every page.")
    sender: str = Field(default="", max_length=20, pattern=r"^[\x20-\x7e]*$", description="Our station identity.")
    send_at: AwareDatetime | None = Field(default=None, description="Not before this time.")
    priority: int = Field(default=50, ge=0, le=100, description="0 goes first.")
    storage: Storage = None


@uploads.post("/faxes:send", status_code=202, response_model=AcceptedShape, openapi_extra=BODY)
async def send_document(call: Caller, wishes: Annotated[Wishes, Query()]) -> Response:
    """Send the document in the body to one number: an upload and a fax in one request, committed together."""

    async def send(connection: AsyncConnection, document: UUID, held: Held) -> Answer:
        asked = FaxRequest(documents=[document], **wishes.model_dump(exclude={"name"}))
        return _accepted(await accept(connection, call.gateway, call.actor, asked, new=held))

    drawn = wishes.resolution is not None or wishes.paper is not None or bool(wishes.header)
    owned = wishes.storage != "none"
    return await receive(call, name=wishes.name, then=send, drawn=drawn, owned=owned)


def _accepted(accepted: Accepted) -> Answer:
    return Answer(202, {"id": accepted.id, "state": accepted.state}, {"location": f"/v1/faxes/{accepted.id}"})


@router.get("", response_model=Page[FaxSummary])
async def list_faxes(
    call: Caller,
    *,
    box: Annotated[UUID | None, Query(description="Only those in this box.")] = None,
    direction: Annotated[Direction | None, Query(description="Only those that go out, or came in.")] = None,
    state: Annotated[list[State] | None, Query(max_length=20, description="Only those in one of these states.")] = None,
    batch: Annotated[UUID | None, Query(description="Only those of this batch.")] = None,
    device: Annotated[UUID | None, Query(description="Only those that this device submitted.")] = None,
    to: Annotated[str | None, Query(max_length=64, description="Only those to this number, in E.164 form.")] = None,
    created_after: Annotated[Time | None, Query(description="Only those from then on.")] = None,
    created_before: Annotated[Time | None, Query(description="Only those from before.")] = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Response:
    """List the faxes of one's own boxes, newest first; an owner or admin with the scope `admin` sees everybody's."""
    statement = select(*FAX_COLUMNS)
    if (visible := call.visible()) is not None:
        statement = statement.where(visible)
    if box is not None:
        statement = statement.where(faxes.c.box_id == box)
    if direction is not None:
        statement = statement.where(faxes.c.direction == direction.value)
    if state:
        statement = statement.where(faxes.c.state.in_([each.value for each in state]))
    if batch is not None:
        statement = statement.where(faxes.c.batch_id == batch)
    if device is not None:
        statement = statement.where(faxes.c.device_id == device)
    if to is not None:
        statement = statement.where(faxes.c.to_number == to)
    statement = statement.where(*created_between(faxes, created_after, created_before))
    statement = newest_first(statement, faxes.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        if box is not None:
            await _check_box(connection, call, box)
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, fax_summary, limit=limit))


@router.get("/{fax_id:uuid}", response_model=FaxShape)
async def get_fax(call: Caller, fax_id: UUID) -> Response:
    """Say where a fax is in its life."""
    async with call.transaction() as connection:
        row = await visible_fax(connection, call, fax_id)
        calls = await attempts_of(connection, fax_id)
    return ok({**fax_summary(row), "attempts": calls})


@router.post("/{fax_id:uuid}:cancel", status_code=202, response_model=AcceptedShape)
async def cancel_fax(call: Caller, fax_id: UUID) -> Response:
    """Cancel a fax in whatever state it is. One that is on the line is hung up in a moment; its events tell."""

    async def work(connection: AsyncConnection) -> Answer:
        await fax_with(connection, call, fax_id, "send")
        return Answer(202, {"id": fax_id, "state": (await cancel(connection, fax_id)).value})

    return await call.once(work)


@router.post("/{fax_id:uuid}:resend", status_code=202, response_model=AcceptedShape)
async def resend_fax(call: Caller, fax_id: UUID) -> Response:
    """Send a fax that has ended once more, as a new fax. Of one that was sent in part, only what was missing goes."""

    async def work(connection: AsyncConnection) -> Answer:
        await own_fax(connection, call, fax_id, faxes.c.id)
        await fax_with(connection, call, fax_id, "send")
        return _accepted(await resend(connection, call.gateway, call.actor, fax_id))

    return await call.once(work)


@router.post("/{fax_id:uuid}:release", status_code=202, response_model=AcceptedShape)
async def release_fax(call: Caller, fax_id: UUID) -> Response:
    """Let a held fax go on: whoever answers at its number is the right one."""

    async def work(connection: AsyncConnection) -> Answer:
        await fax_with(connection, call, fax_id, "send")
        return Answer(202, {"id": fax_id, "state": (await release(connection, fax_id)).value})

    return await call.once(work)


@router.get("/{fax_id:uuid}/attempts", response_model=AttemptsShape)
async def list_attempts(call: Caller, fax_id: UUID) -> Response:
    """List the calls for a fax."""
    async with call.transaction() as connection:
        await visible_fax(connection, call, fax_id, faxes.c.id)
        return ok({"items": await attempts_of(connection, fax_id)})


@router.get("/{fax_id:uuid}/attempts/{n:int}", response_model=AttemptShape)
async def get_attempt(call: Caller, fax_id: UUID, n: AttemptNumber) -> Response:
    """Say how a call went."""
    async with call.transaction() as connection:
        await visible_fax(connection, call, fax_id, faxes.c.id)
        where = (attempts.c.fax_id == fax_id) & (attempts.c.index == n)
        row = (await connection.execute(select(attempts).where(where))).mappings().one_or_none()
    if row is None:
        raise Problem("request.not_found", f"There was no call {n}.")
    return ok(attempt(row))


async def _check_box(connection: AsyncConnection, call: Call, box: UUID) -> None:
    wanted = boxes.c.id == box
    if call.visible() is not None:
        wanted &= has_any(call.actor.user_id)
    if (await connection.execute(select(boxes.c.id).where(wanted))).scalar_one_or_none() is None:
        raise Problem("box.unknown", f"There is no box {box} of yours.")
