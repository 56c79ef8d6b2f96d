"""Boxes: where faxes lie."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import ColumnElement, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, nothing, ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import change_noted, note, note_new
from faxgw.api.resources.editing import Asked, IfMatch, Row, one, refused, remove
from faxgw.api.shapes import BoxShape, Page
from faxgw.boxes.access import RIGHTS, has_any, may
from faxgw.escrow.covering import by_escrow
from faxgw.ids import new_id
from faxgw.rules.retention import Days
from faxgw.store.tables import boxes

DataClass = Annotated[str, Field(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]

router = APIRouter(prefix="/v1/boxes", route_class=GuardedRoute, tags=["boxes"])

_NAME = {"boxes_tenant_id_name_key": ("box.name", "There is a box of that name in the tenant; choose another one.")}
CLASSIFIED = ("data_class", "purpose", "lawful_basis", "retention_days")
RULES = {"data_class", "retention_days", "shared"}
_IN_USE = ("box.in_use", "There are faxes in the box, or a number or a device leads to it.")
_KEPT_BY = tuple(f"{table}_tenant_id_box_id_fkey" for table in ("faxes", "numbers", "devices"))


class BoxRequest(Asked):
    """A box as it is to be."""

    name: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="Its name.", examples=["Sales"]
    )
    data_class: DataClass = Field(
        default="", description="What kind of data it has; only admins set it.", examples=["medical"]
    )
    purpose: str = Field(default="", max_length=500, description="What it is for.")
    lawful_basis: str = Field(default="", max_length=500, description="By what right its data are processed.")
    shared: bool = Field(default=False, description="It is the tenant's, and not a person's; only admins set it.")
    retention_days: Days | None = Field(
        default=None, description="Keep its faxes so many days; only admins set it. null: no rule of its own."
    )

    @property
    def given(self) -> dict[str, Any]:
        """What the request says; the rest is to stay as it is."""
        return self.model_dump(include=self.model_fields_set)


@router.get("", response_model=Page[BoxShape])
async def list_boxes(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List one's own boxes and those that one was given rights to; an owner or admin with `admin` sees everybody's."""
    statement = newest_first(_boxes(call, _visible(call)), boxes.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.post("", status_code=201, response_model=BoxShape)
async def create_box(call: Caller, asked: BoxRequest) -> Response:
    """Make a box of one's own."""

    async def work(connection: AsyncConnection) -> Answer:
        actor = call.actor
        _check_rules(call, asked.given)
        row = {"id": new_id(), "tenant_id": actor.tenant_id, "owner_id": actor.user_id, **asked.given}
        with refused(**_NAME):
            made = (await connection.execute(insert(boxes).values(row).returning(boxes))).mappings().one()
        await note_new(connection, call, "box.created", made)
        made = await one(connection, _boxes(call, boxes.c.id == made["id"]))
        return Answer(201, _shape(made), {"location": f"/v1/boxes/{made['id']}", "etag": version_tag(made["version"])})

    return await call.once(work)


@router.get("/{box_id:uuid}", response_model=BoxShape)
async def get_box(call: Caller, box_id: UUID) -> Response:
    """Say what a box is."""
    async with call.transaction() as connection:
        row = await one(connection, _boxes(call, _this(call, box_id)), "box.unknown")
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.put("/{box_id:uuid}", response_model=BoxShape)
async def change_box(call: Caller, box_id: UUID, asked: BoxRequest, if_match: IfMatch = None) -> Response:
    """Change a box: its name and, where they are given, what is in it, for what purpose, and for how long."""
    mine = _this(call, box_id)
    async with call.transaction() as connection:
        before = await _changeable(connection, call, box_id)
        _check_rules(call, {name: value for name, value in asked.given.items() if value != before[name]})
        with refused(**_NAME):
            await change_noted(connection, call, "box.changed", boxes, mine, if_match=if_match, **asked.given)
        row = await one(connection, _boxes(call, mine))
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.delete("/{box_id:uuid}", status_code=204, response_class=Response)
async def delete_box(call: Caller, box_id: UUID) -> Response:
    """Delete an empty box that no number leads to; the tenant's default box stays."""
    in_use = dict.fromkeys(_KEPT_BY, _IN_USE)
    async with call.transaction() as connection:
        found = await _changeable(connection, call, box_id)
        if found["is_default"]:
            raise Problem(
                "box.default", "This is the tenant's default box, and it stays; give it another name instead."
            )
        with refused(**in_use):
            await remove(connection, boxes, _this(call, box_id))
        await note(connection, call, "box.deleted", box_id)
    return nothing()


def _check_rules(call: Call, changes: Mapping[str, Any]) -> None:
    """Have only admins share boxes, and say how long faxes are kept, which follows from their class, too.

    Raises:
        Problem: ``access.role``.
    """
    if RULES & changes.keys() and not sees_all(call.actor):
        reason = "Only an owner or admin with the scope admin makes shared boxes, and says how long faxes are kept."
        raise Problem("access.role", reason)


def _visible(call: Call) -> ColumnElement[bool]:
    if sees_all(call.actor):
        return boxes.c.tenant_id == call.actor.tenant_id
    return has_any(call.actor.user_id)


def _boxes(call: Call, where: ColumnElement[bool]) -> Select[Any]:
    rights = (may(call.actor.user_id, right).label(right) for right in RIGHTS)
    return select(boxes, *rights, by_escrow().label("escrow")).where(where)


async def _changeable(connection: AsyncConnection, call: Call, box_id: UUID) -> Row:
    """Return a box that whoever asks may change, locked.

    Raises:
        Problem: ``box.unknown``, or ``access.not_yours`` for somebody who has other rights to it.
    """
    row = await one(connection, _boxes(call, _this(call, box_id)).with_for_update(of=boxes), "box.unknown")
    if not (row["manage"] or sees_all(call.actor)):
        raise Problem("access.not_yours", "It takes the right `manage` to the box.")
    return row


def _this(call: Call, box_id: UUID) -> ColumnElement[bool]:
    return _visible(call) & (boxes.c.id == box_id)


def _shape(row: Row) -> dict[str, Any]:
    same = ("id", "name", "is_default", "shared", *CLASSIFIED, "escrow", "version", "created_at")
    rights = [right for right in RIGHTS if row[right]]
    return {**{name: row[name] for name in same}, "owner": row["owner_id"], "rights": rights}
