"""Escrow: whether there is one, and emergency access to boxes by several trustees together."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, nothing, ok
from faxgw.api.call import Call, Caller
from faxgw.api.escrow_shapes import CoveredShape, EscrowOpenedShape, EscrowRequestShape, EscrowShape, Ground
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one, refused
from faxgw.api.resources.grants import managed
from faxgw.api.shapes import Page
from faxgw.boxes.access import may
from faxgw.escrow import policy, requests
from faxgw.escrow.approvals import approve, open_box
from faxgw.escrow.covering import cover_noted, uncovered
from faxgw.escrow.overdue import end_overdue
from faxgw.escrow.telling import tell_concerned, tell_everybody
from faxgw.faxes.content import unlock
from faxgw.keys.wraps import KeyPair
from faxgw.model import EventType
from faxgw.store.tables import box_keys, boxes, escrow_answers, escrow_requests, escrow_trustees, grants

router = APIRouter(prefix="/v1/escrow", route_class=GuardedRoute, tags=["escrow"])
of_boxes = APIRouter(prefix="/v1/boxes", route_class=GuardedRoute, tags=["escrow"])

_AT_ONCE = {"escrows_tenant_id_key": ("escrow.changed", "Somebody else has just set the escrow up: read it again.")}
_ANSWERS = ("approved_by", "denied_by")
_SAME = ("id", "ground", "reason", "hours", "threshold", "created_at", "expires_at", "ended_at", "grant")


class EscrowRequest(Asked):
    """An escrow as it is to be."""

    trustees: Annotated[list[UUID], Field(min_length=2, max_length=policy.MOST)] = Field(
        description="Who: active members of the tenant, by their ids; they learn nothing from it."
    )
    threshold: int = Field(ge=2, le=policy.MOST, description="How many of them, besides whoever asks, must approve.")


class AccessRequest(Asked):
    """Somebody needs to read a box."""

    box: UUID = Field(description="Which one.")
    ground: Ground = Field(description="What for; this stands in the audit log for good.")
    reason: str = Field(
        min_length=10,
        max_length=1000,
        description="Why, in words, for the trustees and the box's readers; the audit log has a pseudonym of it.",
    )
    hours: int = Field(default=24, ge=1, le=requests.LONGEST, description="How long the box is to be read.")


# ---------------------------------------------------------------------------------------------------------- the policy


@router.get("", response_model=EscrowShape)
async def get_escrow(call: Caller) -> Response:
    """Say whether boxes can be opened in an emergency, by whom, and how many boxes are not covered yet."""
    async with call.transaction() as connection:
        return ok(await policy.said(connection, call.actor.tenant_id))


@router.put("", response_model=EscrowShape)
async def set_escrow(call: Caller, asked: EscrowRequest) -> Response:
    """Name the trustees. All shares of before are deleted: boxes wait until somebody who reads them opens them.

    Only owners do this. All members are told, by the event `escrow.changed`.
    """
    _check_owner(call)
    actor = call.actor
    async with call.transaction() as connection:
        with refused(**_AT_ONCE):
            old, new = await policy.set_up(
                connection,
                tenant_id=actor.tenant_id,
                trustees=asked.trustees,
                threshold=asked.threshold,
                by=actor.user_id,
                now=call.api.credentials.now(),
            )
        if old is not new:
            await _changed(connection, call, old, new)
        return ok(await policy.said(connection, actor.tenant_id))


@router.delete("", status_code=204, response_class=Response)
async def end_escrow(call: Caller) -> Response:
    """Do without: all shares of all boxes are deleted. Only owners do this; all members are told."""
    _check_owner(call)
    async with call.transaction() as connection:
        now = call.api.credentials.now()
        await _changed(connection, call, await policy.switch_off(connection, call.actor.tenant_id, now=now), None)
    return nothing()


@of_boxes.post("/{box_id:uuid}:escrow", response_model=CoveredShape)
async def escrow_box(call: Caller, box_id: UUID) -> Response:
    """Split the keys of a box among the trustees now, and not when somebody opens a fax in it next."""

    async def work(connection: AsyncConnection) -> Answer:
        await managed(connection, call, box_id)
        if not (await policy.said(connection, call.actor.tenant_id))["on"]:
            raise policy.off()
        key = await unlock(connection, call.actor)
        done = await cover_noted(connection, key, box_id, actor=call.actor)
        counted = select(func.count()).select_from(box_keys).where(box_keys.c.box_id == box_id, uncovered())
        return Answer(200, {"covered": done, "left": (await connection.execute(counted)).scalar_one()})

    return await call.once(work)


# ------------------------------------------------------------------------------------------------------------ requests


@router.get("/requests", response_model=Page[EscrowRequestShape])
async def list_escrow_requests(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List the requests that concern one: as a trustee, a reader of the box, by oneself; owners and admins see all."""
    statement = newest_first(_requests(call), escrow_requests.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, lambda row: _shape(call, row), limit=limit))


@router.post("/requests", status_code=201, response_model=EscrowRequestShape)
async def create_escrow_request(call: Caller, asked: AccessRequest) -> Response:
    """Ask for a box. The trustees, the box's owner and its readers are told; approvals are good for 24 hours."""

    async def work(connection: AsyncConnection) -> Answer:
        actor = call.actor
        wanted = requests.Asked(asked.box, asked.ground, asked.reason, asked.hours)
        key = await unlock(connection, actor)
        now = call.api.credentials.now()
        await end_overdue(connection, now=now, tenant_id=actor.tenant_id)
        row = await requests.ask(connection, wanted, user_id=actor.user_id, key=key, now=now)
        said = {"box": asked.box, "ground": asked.ground, "hours": asked.hours, "note": asked.reason}
        await note(connection, call, "escrow.requested", row["id"], **said)
        await tell_concerned(connection, row, EventType.ESCROW_REQUESTED, by=actor.user_id)
        body = await _shown(connection, call, row["id"])
        return Answer(201, body, {"location": f"/v1/escrow/requests/{row['id']}"})

    return await call.once(work)


@router.get("/requests/{request_id:uuid}", response_model=EscrowRequestShape)
async def get_escrow_request(call: Caller, request_id: UUID) -> Response:
    """Say who asks for which box and why, and who has approved."""
    async with call.transaction() as connection:
        return ok(await _shown(connection, call, request_id))


@router.post("/requests/{request_id:uuid}:approve", response_model=EscrowRequestShape)
async def approve_escrow_request(call: Caller, request_id: UUID) -> Response:
    """Approve, as a trustee: one's shares of this box's keys are wrapped to whoever asks. Not of one's own request."""

    async def work(connection: AsyncConnection) -> Answer:
        await _shown(connection, call, request_id)
        key, me, now = await unlock(connection, call.actor), call.actor.user_id, call.api.credentials.now()
        row = await approve(connection, request_id, user_id=me, key=key, now=now)
        return await _done(connection, call, row, EventType.ESCROW_APPROVED)

    return await call.once(work)


@router.post("/requests/{request_id:uuid}:deny", response_model=EscrowRequestShape)
async def deny_escrow_request(call: Caller, request_id: UUID) -> Response:
    """Deny, as a trustee, also after having approved. With too few left who could approve, the request is over."""

    async def work(connection: AsyncConnection) -> Answer:
        await _shown(connection, call, request_id)
        me, now = call.actor.user_id, call.api.credentials.now()
        row = await requests.deny(connection, request_id, user_id=me, now=now)
        return await _done(connection, call, row, EventType.ESCROW_DENIED)

    return await call.once(work)


@router.post("/requests/{request_id:uuid}:withdraw", response_model=EscrowRequestShape)
async def withdraw_escrow_request(call: Caller, request_id: UUID) -> Response:
    """Take one's own request back; what trustees gave for it is deleted."""

    async def work(connection: AsyncConnection) -> Answer:
        await _shown(connection, call, request_id)
        me, now = call.actor.user_id, call.api.credentials.now()
        row = await requests.withdraw(connection, request_id, user_id=me, now=now)
        return await _done(connection, call, row, EventType.ESCROW_ENDED)

    return await call.once(work)


@router.post("/requests/{request_id:uuid}:open", response_model=EscrowOpenedShape)
async def open_escrow_request(call: Caller, request_id: UUID) -> Response:
    """Open the box that one asked for, once enough trustees have approved: one reads it for the hours asked for."""

    async def work(connection: AsyncConnection) -> Answer:
        await _shown(connection, call, request_id)
        key: KeyPair = await unlock(connection, call.actor)
        me, now = call.actor.user_id, call.api.credentials.now()
        done = await open_box(connection, request_id, user_id=me, key=key, now=now)
        row = await one(connection, select(escrow_requests).where(escrow_requests.c.id == request_id))
        await _done(connection, call, row, EventType.ESCROW_OPENED, grant=done.grant["id"], keys=done.keys)
        same = {"grant": done.grant["id"], "expires_at": done.grant["expires_at"], "box": row["box_id"]}
        return Answer(200, {**same, "keys": done.keys, "closed": done.closed})

    return await call.once(work)


# --------------------------------------------------------------------------------------------------------- what is said


def _check_owner(call: Call) -> None:
    if call.actor.role != "owner":
        raise Problem("access.role", "Only owners say whether there is an escrow.")


async def _changed(connection: AsyncConnection, call: Call, old: policy.Facts, new: policy.Facts) -> None:
    await note(connection, call, "escrow.changed", call.actor.tenant_id, old=old, new=new)
    await tell_everybody(connection, call.actor.tenant_id, on=new is not None)


async def _done(connection: AsyncConnection, call: Call, row: Row, event: EventType, **more: Any) -> Answer:
    """Write down what somebody did to a request, tell of it, and answer with what it is now."""
    action = "escrow.withdrawn" if event is EventType.ESCROW_ENDED else event.value
    said = {"box": row["box_id"], "requested_by": row["user_id"], "ground": row["ground"], "hours": row["hours"]}
    await note(connection, call, action, row["id"], **said, state=row["state"], **more)
    await tell_concerned(connection, row, event, by=call.actor.user_id)
    return Answer(200, await _shown(connection, call, row["id"]))


async def _shown(connection: AsyncConnection, call: Call, request_id: UUID) -> dict[str, Any]:
    """Return a request that whoever asks may see.

    Raises:
        Problem: ``escrow.unknown``.
    """
    statement = _requests(call).where(escrow_requests.c.id == request_id)
    return _shape(call, await one(connection, statement, "escrow.unknown"))


def _requests(call: Call) -> Select[Any]:
    columns = (_answered(yes=True).label("approved_by"), _answered(yes=False).label("denied_by"))
    given = select(grants.c.id).where(grants.c.request_id == escrow_requests.c.id).scalar_subquery()
    statement = select(escrow_requests, *columns, given.label("grant"))
    return statement.where(escrow_requests.c.tenant_id == call.actor.tenant_id, _concerns(call))


def _answered(*, yes: bool) -> Any:
    theirs = (escrow_answers.c.request_id == escrow_requests.c.id) & (escrow_answers.c.approved.is_(yes))
    ids = func.array_agg(aggregate_order_by(escrow_answers.c.user_id, escrow_answers.c.created_at))
    return select(ids).where(theirs).scalar_subquery()


def _concerns(call: Call) -> ColumnElement[bool]:
    me = call.actor.user_id
    if sees_all(call.actor):
        return escrow_requests.c.tenant_id == call.actor.tenant_id
    trustee = exists().where(
        escrow_trustees.c.escrow_id == escrow_requests.c.escrow_id, escrow_trustees.c.user_id == me
    )
    read = escrow_requests.c.box_id.in_(select(boxes.c.id).where(may(me, "read")))
    return or_(escrow_requests.c.user_id == me, trustee, read)


def _shape(call: Call, row: Row) -> dict[str, Any]:
    over = row["state"] == requests.PENDING and row["expires_at"] <= call.api.credentials.now()
    return {
        **{name: row[name] for name in _SAME},
        "box": row["box_id"],
        "requested_by": row["user_id"],
        "state": requests.EXPIRED if over else row["state"],
        **{name: row[name] or [] for name in _ANSWERS},
    }
