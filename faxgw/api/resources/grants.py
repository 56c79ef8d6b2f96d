"""Grants: who besides its owner may do what with a box; and the keys that go with it."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, nothing, ok
from faxgw.api.box_shapes import BoxKeysShape, GrantShape, RewrappedShape
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one
from faxgw.api.shapes import Page
from faxgw.boxes import switches
from faxgw.boxes.access import Right, allowed, has_any, may, unexpired
from faxgw.boxes.grants import goes_with_key, grant, hand_over, revoke
from faxgw.boxes.keys import rotate
from faxgw.boxes.rewrapping import rewrap
from faxgw.escrow.covering import by_escrow, open_to_escrow
from faxgw.faxes.content import unlock
from faxgw.store.tables import box_keys, box_wraps, boxes, grants, users, wraps

router = APIRouter(prefix="/v1/boxes", route_class=GuardedRoute, tags=["boxes"])

_SAME = ("id", "rights", "expires_at", "granted_by", "created_at")


class GrantRequest(Asked):
    """What somebody is to be allowed."""

    user: UUID = Field(description="Who: a member of the tenant, by the id that POST /v1/colleagues:find gives.")
    rights: Annotated[list[Right], Field(min_length=1, max_length=3)] = Field(
        description="`read`: see faxes and open them. `send`: send from the box. `manage`: grant, revoke, make rules, "
        "change the box; the box's key goes with `read` and `manage`."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="Until when; null: until it is revoked.")


@router.get("/{box_id:uuid}/grants", response_model=Page[GrantShape])
async def list_grants(call: Caller, box_id: UUID, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List who besides the owner has which rights to a box."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        statement = newest_first(_grants(grants.c.box_id == box_id), grants.c.id, limit=limit, cursor=cursor)
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.post("/{box_id:uuid}/grants", status_code=201, response_model=GrantShape)
async def create_grant(call: Caller, box_id: UUID, asked: GrantRequest) -> Response:
    """Give a member rights to a box, in place of those that they had. One gives no more than one has."""

    async def work(connection: AsyncConnection) -> Answer:
        box = await managed(connection, call, box_id)
        await switches.check(connection, "allow_delegation", call.actor.tenant_id)
        await _check(connection, call, box, asked)
        key = await unlock(connection, call.actor) if goes_with_key(asked.rights) else None
        row = await grant(
            connection,
            box=box,
            user_id=asked.user,
            rights=asked.rights,
            expires_at=asked.expires_at,
            by=call.actor.user_id,
            key=key,
        )
        said = {"box": box_id, "user": asked.user, "rights": row["rights"], "expires_at": asked.expires_at}
        await note(connection, call, "grant.created", row["id"], **said)
        body = _shape({**row, "state": "active"})
        return Answer(201, body, {"location": f"/v1/boxes/{box_id}/grants/{row['id']}"})

    return await call.once(work)


@router.get("/{box_id:uuid}/grants/{grant_id:uuid}", response_model=GrantShape)
async def get_grant(call: Caller, box_id: UUID, grant_id: UUID) -> Response:
    """Say what somebody may do with a box."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        return ok(_shape(await _one(connection, box_id, grant_id)))


@router.delete("/{box_id:uuid}/grants/{grant_id:uuid}", status_code=204, response_class=Response)
async def revoke_grant(call: Caller, box_id: UUID, grant_id: UUID) -> Response:
    """Take rights away, at once. What comes into the box from now on is sealed to another key; see `:rewrap`."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        row = await _one(connection, box_id, grant_id)
        await revoke(connection, row)
        said = {"box": box_id, "user": row["user_id"], "rights": row["rights"]}
        await note(connection, call, "grant.revoked", grant_id, **said)
    return nothing()


class HandOverRequest(Asked):
    """Who is to own a box, or to look after it."""

    user: UUID = Field(description="Somebody who has the rights `read` and `manage` to it now.")


@router.post("/{box_id:uuid}:hand-over", status_code=204, response_class=Response)
async def hand_over_box(call: Caller, box_id: UUID, asked: HandOverRequest) -> Response:
    """Make somebody else the owner of a box; who was it until now keeps all rights, by a grant."""

    async def work(connection: AsyncConnection) -> Answer:
        box = await managed(connection, call, box_id)
        if box["owner_id"] != call.actor.user_id:
            raise Problem("access.not_yours", "Only the owner of a box hands it over.")
        await switches.check(connection, "allow_delegation", call.actor.tenant_id)
        await hand_over(connection, box, asked.user)
        await note(connection, call, "box.handed_over", box_id, old=box["owner_id"], new=asked.user)
        return Answer(204, None)

    return await call.once(work)


@router.get("/{box_id:uuid}/keys", response_model=BoxKeysShape)
async def list_box_keys(call: Caller, box_id: UUID) -> Response:
    """List the keys of a box, who holds them, and how much is wrapped to each."""
    held = select(func.array_agg(box_wraps.c.user_id.distinct())).where(box_wraps.c.key_id == box_keys.c.key_id)
    counted = select(func.count()).where(wraps.c.kind == "box", wraps.c.key_id == box_keys.c.key_id)
    columns = (box_keys.c.key_id, box_keys.c.made_at, box_keys.c.retired_at)
    statement = select(
        *columns,
        held.scalar_subquery().label("readers"),
        counted.scalar_subquery().label("objects"),
        open_to_escrow().label("escrow"),
    ).where(box_keys.c.box_id == box_id)
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        rows = (await connection.execute(statement.order_by(box_keys.c.made_at.desc()))).mappings().all()
        escrow = await connection.scalar(select(by_escrow()).where(boxes.c.id == box_id))
    return ok({"items": [{**row, "readers": row["readers"] or []} for row in rows], "escrow": escrow})


@router.post("/{box_id:uuid}:rotate", status_code=204, response_class=Response)
async def rotate_box(call: Caller, box_id: UUID) -> Response:
    """Give a box another key, for those who read it now. What is in it stays as it is; see `:rewrap`."""

    async def work(connection: AsyncConnection) -> Answer:
        await managed(connection, call, box_id)
        key = await rotate(connection, box_id)
        await note(connection, call, "box.rotated", box_id, key_id=key.key_id)
        return Answer(204, None)

    return await call.once(work)


@router.post("/{box_id:uuid}:rewrap", response_model=RewrappedShape)
async def rewrap_box(call: Caller, box_id: UUID) -> Response:
    """Wrap what is in a box to its present key, for some seconds: ask again until `left` is 0.

    Then a key that somebody kept from before opens nothing of it, even with the database in hand.
    """

    async def work() -> Answer:
        async with call.transaction() as connection:
            await managed(connection, call, box_id)
            key = await unlock(connection, call.actor)
        done = await rewrap(call.gateway, key, tenant_id=call.actor.tenant_id, box_id=box_id)
        async with call.transaction() as connection:
            await note(connection, call, "box.rewrapped", box_id, rewrapped=done.done, left=done.left)
        return Answer(200, {"rewrapped": done.done, "left": done.left})

    return await call.once_around(work)


async def managed(connection: AsyncConnection, call: Call, box_id: UUID, *, admins: bool = False) -> Row:
    """Return a box that whoever asks manages; with ``admins``, also one that they see as an owner or admin.

    Raises:
        Problem: ``box.unknown``, or ``access.not_yours`` for somebody who has other rights to it.
    """
    me = call.actor.user_id
    seen = has_any(me) if not sees_all(call.actor) else boxes.c.tenant_id == call.actor.tenant_id
    statement = select(boxes, may(me, "manage").label("managed")).where(boxes.c.id == box_id, seen)
    box = await one(connection, statement, "box.unknown")
    if not (box["managed"] or (admins and sees_all(call.actor))):
        raise Problem("access.not_yours", "Only those who manage the box may do this.")
    return {name: value for name, value in box.items() if name != "managed"}


async def _check(connection: AsyncConnection, call: Call, box: Row, asked: GrantRequest) -> None:
    me = call.actor.user_id
    mine = select(*(may(me, right).label(right) for right in asked.rights)).where(boxes.c.id == box["id"])
    if not all((await connection.execute(mine)).one()):
        raise Problem("access.not_yours", "One gives no more rights than one has.")
    if asked.user in (box["owner_id"], me):
        raise Problem("grant.needless", "The box's owner has every right, and nobody gives rights to themselves.")
    if asked.expires_at is not None and asked.expires_at <= datetime.now(UTC):
        raise Problem("grant.expired", "`expires_at` is in the past.")
    member = select(users.c.id).where(users.c.id == asked.user, users.c.deactivated_at.is_(None))
    await one(connection, member.with_for_update(read=True), "user.unknown")  # not one who is going


async def _one(connection: AsyncConnection, box_id: UUID, grant_id: UUID) -> Row:
    return await one(connection, _grants(grants.c.box_id == box_id, grants.c.id == grant_id))


def _grants(*where: ColumnElement[bool]) -> Any:
    columns = (unexpired().label("unexpired"), allowed("allow_delegation", grants.c.tenant_id).label("allowed"))
    return select(grants, *columns).where(*where)


def _state(row: Row) -> str:
    if "state" in row:
        return str(row["state"])
    if not row["unexpired"]:
        return "expired"
    return "active" if row["allowed"] or row["request_id"] else "suspended_by_policy"


def _shape(row: Row) -> dict[str, Any]:
    same = {name: row[name] for name in _SAME}
    return {**same, "box": row["box_id"], "user": row["user_id"], "request": row["request_id"], "state": _state(row)}
