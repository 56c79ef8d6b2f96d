"""Routes: which lines a tenant's calls take, and why; the lines themselves."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import ColumnElement, any_, func, insert, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.line_shapes import LinesShape, RouteShape, SimulationShape
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import change_noted, note, note_new
from faxgw.api.resources.editing import Asked, IfMatch, Row, one, refused, remove
from faxgw.api.shapes import Page
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import Number
from faxgw.ids import new_id
from faxgw.numbers import normalised
from faxgw.rules.routing import Health, LineState, Route, choose
from faxgw.store.tables import lines, routes

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["routes"])

_EXISTS = {"routes_tenant_id_prefix_cost_key": ("route.exists", "There is a route of this prefix and cost already.")}
MOST_LINES = 1000


class RouteRequest(Route):
    """Which lines are to take calls."""


class SimulateRequest(Asked):
    """A call to be thought through."""

    to: Number


@router.get("/routes", response_model=Page[RouteShape])
async def list_routes(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List which lines calls take."""
    statement = select(routes).where(routes.c.tenant_id == call.actor.tenant_id)
    async with call.transaction() as connection:
        rows = await connection.execute(newest_first(statement, routes.c.id, limit=limit, cursor=cursor))
        return ok(page(rows.mappings().all(), _shape, limit=limit))


@router.post("/routes", status_code=201, response_model=RouteShape)
async def create_route(call: Caller, asked: RouteRequest) -> Response:
    """Have calls to some numbers take some lines."""

    async def work(connection: AsyncConnection) -> Answer:
        await _check_lines(connection, call, asked)
        row = {"id": new_id(), "tenant_id": call.actor.tenant_id, **_values(asked)}
        with refused(**_EXISTS):
            made = (await connection.execute(insert(routes).values(row).returning(routes))).mappings().one()
        await note_new(connection, call, "route.created", made)
        return Answer(201, _shape(made), {"location": f"/v1/routes/{made['id']}", "etag": version_tag(made["version"])})

    return await call.once(work)


@router.post("/routes:simulate", response_model=SimulationShape)
async def simulate_routes(call: Caller, asked: SimulateRequest) -> Response:
    """Say which line a call to a number would take now, and why. Nothing is dialled."""
    async with call.transaction() as connection:
        tenant = await tenant_of(connection, call.actor.tenant_id)
        number = normalised(asked.to, tenant.numbering)
        own = await connection.execute(select(routes).where(routes.c.tenant_id == tenant.id))
        known = [Route(prefix=row.prefix, lines=tuple(row.lines), cost=row.cost) for row in own]
        seen = [_state(row) for row in await _lines(connection, call)]
    choice = choose(number, routes=known, lines=seen, tenant=tenant.name, now=datetime.now(UTC))
    return ok(
        {
            "number": number,
            "candidates": [
                {name: getattr(each, name) for name in ("line", "node", "idle", "prefix", "cost", "failures")}
                for each in choice.candidates
            ],
            "steps": [{"code": each.code, "text": each.text, "data": dict(each.data)} for each in choice.steps],
        }
    )


@router.get("/routes/{route_id:uuid}", response_model=RouteShape)
async def get_route(call: Caller, route_id: UUID) -> Response:
    """Say which lines some calls take."""
    async with call.transaction() as connection:
        row = await one(connection, select(routes).where(_this(call, route_id)))
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.put("/routes/{route_id:uuid}", response_model=RouteShape)
async def change_route(call: Caller, route_id: UUID, asked: RouteRequest, if_match: IfMatch = None) -> Response:
    """Have some calls take other lines."""
    async with call.transaction() as connection:
        await one(connection, select(routes.c.id).where(_this(call, route_id)))
        await _check_lines(connection, call, asked)
        with refused(**_EXISTS):
            mine, values = _this(call, route_id), _values(asked)
            row = await change_noted(connection, call, "route.changed", routes, mine, if_match=if_match, **values)
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.delete("/routes/{route_id:uuid}", status_code=204, response_class=Response)
async def delete_route(call: Caller, route_id: UUID) -> Response:
    """Take a route away."""
    async with call.transaction() as connection:
        await remove(connection, routes, _this(call, route_id))
        await note(connection, call, "route.deleted", route_id)
    return nothing()


@router.get("/lines", response_model=LinesShape)
async def list_lines(call: Caller) -> Response:
    """List the lines that this tenant may use, as they are now."""
    async with call.transaction() as connection:
        rows = await _lines(connection, call)
    same = ("name", "node", "kind", "sends", "receives", "state", "fault", "updated_at")
    return ok({"items": [{name: row[name] for name in same} for row in rows]})


def usable_by(tenant: str) -> ColumnElement[bool]:
    """Return the condition on lines that a tenant of this name may use."""
    return or_(func.cardinality(lines.c.tenants) == 0, literal(tenant) == any_(lines.c.tenants))


async def _lines(connection: AsyncConnection, call: Call) -> list[Row]:
    statement = select(lines).where(usable_by(call.actor.tenant)).order_by(lines.c.name, lines.c.node).limit(MOST_LINES)
    return list((await connection.execute(statement)).mappings())


async def _check_lines(connection: AsyncConnection, call: Call, asked: Route) -> None:
    known = {row["name"] for row in await _lines(connection, call)}
    for name in asked.lines:
        if name not in known:
            raise Problem("route.line", "One of the lines is not there; GET /v1/lines lists those that are.")


def _values(asked: Route) -> dict[str, Any]:
    return {"prefix": asked.prefix, "lines": list(asked.lines), "cost": asked.cost}


def _this(call: Call, route_id: UUID) -> ColumnElement[bool]:
    return (routes.c.tenant_id == call.actor.tenant_id) & (routes.c.id == route_id)


def _state(row: Row) -> LineState:
    return LineState(
        row["name"],
        sends=row["sends"],
        idle=row["state"] == "idle",
        up=row["state"] != "down",
        health=Health.model_validate(row["health"]),
        tenants=frozenset(row["tenants"]),
        node=row["node"],
    )


def _shape(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "prefix", "lines", "cost", "version", "created_at")}
