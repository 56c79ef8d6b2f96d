"""Numbers: which incoming calls lead to which box, and which numbers are allowed or denied.

The most exact entry wins when a call comes in, so no tenant may have one that could win over another tenant's.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import ColumnElement, and_, func, insert, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import change_noted, note, note_new
from faxgw.api.resources.editing import Asked, IfMatch, Row, one, refused, remove
from faxgw.api.resources.routing import usable_by
from faxgw.api.shapes import NumberRuleShape, NumberShape, Page
from faxgw.faxes.policies import tenant_of
from faxgw.ids import new_id
from faxgw.numbers import normalised
from faxgw.rules.patterns import NumberPattern
from faxgw.store.tables import boxes, lines, number_rules, numbers

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["numbers"])

_TAKEN = {"numbers_key": ("number.taken", "That number leads to a box already, on this line and subaddress.")}
_ELSEWHERE = "Such calls belong to somebody else on this gateway already; choose another number or line."
_FOREIGN = "No call on that line is for you: its setting `tenants` names others only."
_ALL_FOREIGN = "No call is for you: the setting `tenants` of every line that takes calls names others only."
_LOCK = (0x6661786E, 1)
"""Of PostgreSQL's advisory locks, the one of whoever changes which calls lead where."""
_EXISTS = {
    "number_rules_tenant_id_direction_pattern_key": (
        "rule.exists",
        "There is a rule for these numbers and this direction already.",
    )
}


class NumberRequest(Asked):
    """Which incoming calls are to lead to a box; all that is given must fit."""

    number: Annotated[
        str, Field(max_length=64, description="The number dialled; empty: any.", examples=["+15550199"])
    ] = ""
    subaddress: Annotated[
        str, Field(max_length=20, pattern=r"^[0-9*#]*$", description="The subaddress; empty: any.")
    ] = ""
    line: Annotated[
        str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="Only on this line; empty: any.")
    ] = ""
    box: UUID = Field(description="Where the fax goes.")


class NumberRuleRequest(Asked):
    """Numbers to be allowed or denied."""

    direction: Literal["out", "in"] = Field(description="Of which calls it speaks.")
    action: Literal["allow", "deny"] = Field(description="What holds for them.")
    pattern: NumberPattern
    note: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$", description="Why.")] = ""


@router.get("/numbers", response_model=Page[NumberShape])
async def list_numbers(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List which incoming calls lead where."""
    return await _listed(call, numbers, _number, limit=limit, cursor=cursor)


@router.post("/numbers", status_code=201, response_model=NumberShape)
async def create_number(call: Caller, asked: NumberRequest) -> Response:
    """Have incoming calls lead to a box."""

    async def work(connection: AsyncConnection) -> Answer:
        values = await _values(connection, call, asked)
        row = {"id": new_id(), "tenant_id": call.actor.tenant_id, **values}
        with refused(**_TAKEN):
            made = (await connection.execute(insert(numbers).values(row).returning(numbers))).mappings().one()
        await note_new(connection, call, "number.created", made)
        return Answer(
            201, _number(made), {"location": f"/v1/numbers/{made['id']}", "etag": version_tag(made["version"])}
        )

    return await call.once(work)


@router.get("/numbers/{number_id:uuid}", response_model=NumberShape)
async def get_number(call: Caller, number_id: UUID) -> Response:
    """Say where calls lead."""
    async with call.transaction() as connection:
        row = await one(connection, select(numbers).where(_this(call, numbers, number_id)))
    return ok(_number(row), etag=version_tag(row["version"]))


@router.put("/numbers/{number_id:uuid}", response_model=NumberShape)
async def change_number(call: Caller, number_id: UUID, asked: NumberRequest, if_match: IfMatch = None) -> Response:
    """Have calls lead elsewhere."""
    async with call.transaction() as connection:
        await one(connection, select(numbers.c.id).where(_this(call, numbers, number_id)))
        values = await _values(connection, call, asked)
        with refused(**_TAKEN):
            this = _this(call, numbers, number_id)
            row = await change_noted(connection, call, "number.changed", numbers, this, if_match=if_match, **values)
    return ok(_number(row), etag=version_tag(row["version"]))


@router.delete("/numbers/{number_id:uuid}", status_code=204, response_class=Response)
async def delete_number(call: Caller, number_id: UUID) -> Response:
    """Have calls lead nowhere any more."""
    async with call.transaction() as connection:
        await remove(connection, numbers, _this(call, numbers, number_id))
        await note(connection, call, "number.deleted", number_id)
    return nothing()


@router.get("/number-rules", response_model=Page[NumberRuleShape])
async def list_number_rules(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List which numbers are allowed or denied."""
    return await _listed(call, number_rules, _rule, limit=limit, cursor=cursor)


@router.post("/number-rules", status_code=201, response_model=NumberRuleShape)
async def create_number_rule(call: Caller, asked: NumberRuleRequest) -> Response:
    """Allow or deny numbers. The most exact rule wins; of two as exact, the one that allows."""

    async def work(connection: AsyncConnection) -> Answer:
        row = {"id": new_id(), "tenant_id": call.actor.tenant_id, **asked.model_dump()}
        with refused(**_EXISTS):
            made = (await connection.execute(insert(number_rules).values(row).returning(number_rules))).mappings().one()
        await note_new(connection, call, "number_rule.created", made)
        return Answer(201, _rule(made), {"location": f"/v1/number-rules/{made['id']}"})

    return await call.once(work)


@router.get("/number-rules/{rule_id:uuid}", response_model=NumberRuleShape)
async def get_number_rule(call: Caller, rule_id: UUID) -> Response:
    """Say what holds for some numbers."""
    async with call.transaction() as connection:
        return ok(_rule(await one(connection, select(number_rules).where(_this(call, number_rules, rule_id)))))


@router.delete("/number-rules/{rule_id:uuid}", status_code=204, response_class=Response)
async def delete_number_rule(call: Caller, rule_id: UUID) -> Response:
    """Let no rule hold for some numbers any more."""
    async with call.transaction() as connection:
        await remove(connection, number_rules, _this(call, number_rules, rule_id))
        await note(connection, call, "number_rule.deleted", rule_id)
    return nothing()


async def _listed(call: Call, table: Any, shape: Any, *, limit: int, cursor: str | None) -> Response:
    statement = select(table).where(table.c.tenant_id == call.actor.tenant_id)
    async with call.transaction() as connection:
        rows = await connection.execute(newest_first(statement, table.c.id, limit=limit, cursor=cursor))
        return ok(page(rows.mappings().all(), shape, limit=limit))


async def _values(connection: AsyncConnection, call: Call, asked: NumberRequest) -> dict[str, Any]:
    number = asked.number
    if number:
        number = normalised(number, (await tenant_of(connection, call.actor.tenant_id)).numbering)
    elif not asked.line:
        raise Problem("request.invalid", "Give a number, a line, or both.", extra={"errors": []})
    own = (boxes.c.id == asked.box) & (boxes.c.tenant_id == call.actor.tenant_id)
    await one(connection, select(boxes.c.id).where(own), "box.unknown")
    await _check_line(connection, call, asked.line)
    await _check_free(connection, call, number=number, line=asked.line)
    return {"number": number, "subaddress": asked.subaddress, "line": asked.line, "box_id": asked.box}


async def _check_line(connection: AsyncConnection, call: Call, line: str) -> None:
    """Refuse an entry that no call could come by: its line, or every line that takes calls, is for other tenants only.

    A line of which nothing is known is none of them: it may be yet to come.

    Raises:
        Problem: ``number.line``.
    """
    asked = lines.c.receives & (lines.c.name == line if line else true())
    usable = select(func.bool_or(usable_by(call.actor.tenant))).where(asked)
    if (await connection.execute(usable)).scalar_one() is False:
        raise Problem("number.line", _FOREIGN if line else _ALL_FOREIGN)


async def _check_free(connection: AsyncConnection, call: Call, *, number: str, line: str) -> None:
    """Refuse an entry that could take calls from another tenant.

    The lock is kept until the entry is committed, so that of two tenants who ask at once the later sees the earlier's.

    Raises:
        Problem: ``number.taken``.
    """
    await connection.execute(select(func.pg_advisory_xact_lock(*_LOCK)))
    theirs = (numbers.c.tenant_id != call.actor.tenant_id) & _rivals(number, line)
    async with call.gateway.database.dispatcher() as everybody:
        found = (await everybody.execute(select(numbers.c.id).where(theirs).limit(1))).one_or_none()
    if found is not None:
        raise Problem("number.taken", _ELSEWHERE)


def _rivals(number: str, line: str) -> ColumnElement[bool]:
    """Return the condition on entries that may hold for the same calls as one for this number on this line."""
    meet = numbers.c.line.in_(["", line]) if line else true()
    if not number:
        return meet
    return or_(numbers.c.number == number, and_(numbers.c.number == "", meet))


def _this(call: Call, table: Any, row_id: UUID) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = (table.c.tenant_id == call.actor.tenant_id) & (table.c.id == row_id)
    return mine


def _number(row: Row) -> dict[str, Any]:
    same = {name: row[name] for name in ("id", "number", "subaddress", "line", "version", "created_at")}
    return {**same, "box": row["box_id"]}


def _rule(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "direction", "action", "pattern", "note", "created_at")}
