"""Targets over HTTP: mailboxes and folders outside that faxes are delivered to; secrets go in and never out."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.delivery_shapes import TargetShape, TriedShape, proof_shape
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import IfMatch, Row, change, one, refused
from faxgw.api.shapes import Page
from faxgw.delivery import setting_up
from faxgw.delivery.setting_up import TargetRequest
from faxgw.delivery.targets import Target, TargetSecret
from faxgw.keys.tokens import SmallSealBroken
from faxgw.store.tables import targets

router = APIRouter(prefix="/v1/targets", route_class=GuardedRoute, tags=["deliveries"])

_SAME = ("id", "name", "settings", "enabled", "created_by", "created_at", "version")
_NAME = {"targets_name": ("target.name", "There is a target of that name; choose another one.")}


@router.get("", response_model=Page[TargetShape])
async def list_targets(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List where faxes can be delivered."""
    statement = newest_first(select(targets).where(_present(call)), targets.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, lambda row: _shape(call, row), limit=limit))


@router.post("", status_code=201, response_model=TargetShape)
async def create_target(call: Caller, asked: TargetRequest) -> Response:
    """Set a mailbox or a folder up as a place that faxes can be delivered to. Plain FTP is refused."""

    async def work(connection: AsyncConnection) -> Answer:
        with refused(**_NAME):
            row = await setting_up.create(connection, call.gateway, call.actor, asked)
        await note(connection, call, "target.created", row["id"], new=_told(row))
        headers = {"location": f"/v1/targets/{row['id']}", "etag": version_tag(row["version"])}
        return Answer(201, _shape(call, row), headers)

    return await call.once(work)


@router.get("/{target_id:uuid}", response_model=TargetShape)
async def get_target(call: Caller, target_id: UUID) -> Response:
    """Say what a target is."""
    async with call.transaction() as connection:
        row = await _target(connection, call, target_id)
    return ok(_shape(call, row), etag=version_tag(row["version"]))


@router.put("/{target_id:uuid}", response_model=TargetShape)
async def change_target(call: Caller, target_id: UUID, asked: TargetRequest, if_match: IfMatch = None) -> Response:
    """Change a target; what waits goes there, too. What is left out has its default again, but for the secret."""
    async with call.transaction() as connection:
        before = await one(connection, select(targets).where(_this(call, target_id)).with_for_update())
        values = setting_up.values_of(call.gateway, before, asked)
        with refused(**_NAME):
            row = await change(connection, targets, _this(call, target_id), if_match=if_match, **values)
        said = {"old": _told(before), "new": _told(row), "secret_changed": "secret" in values}
        await note(connection, call, "target.changed", target_id, **said)
    return ok(_shape(call, row), etag=version_tag(row["version"]))


@router.delete("/{target_id:uuid}", status_code=204, response_class=Response)
async def delete_target(call: Caller, target_id: UUID) -> Response:
    """Deliver nothing there any more. While copies lie there, the gateway keeps what it needs to delete them."""
    async with call.transaction() as connection:
        await one(connection, select(targets.c.id).where(_this(call, target_id)).with_for_update())
        await setting_up.retire(connection, target_id)
        await note(connection, call, "target.deleted", target_id)
    return nothing()


@router.post("/{target_id:uuid}:test", response_model=TriedShape)
async def test_target(call: Caller, target_id: UUID) -> Response:
    """Try a target out: reach it, check who it is, sign in, put something small down and take it away again."""

    async def work() -> Answer:
        async with call.transaction() as connection:
            row = await _target(connection, call, target_id)
        try:
            target = Target.of(row, call.gateway.server_keys)
        except SmallSealBroken as broken:
            raise Problem("target.secret", "Its secret cannot be opened with this server's keys.") from broken
        tried = await setting_up.try_out(call.gateway, target)
        code = tried.fault.code if tried.fault else ""
        async with call.transaction() as connection:
            await note(connection, call, "target.tested", target_id, code=code)
        shown = {"host_key": tried.shown.line, "fingerprint": tried.shown.fingerprint} if tried.shown else {}
        proof = proof_shape(tried.proof.as_json() if tried.proof else None)
        answer: dict[str, Any] = {"ok": not code, "code": code, "text": str(tried.fault or ""), "proof": proof}
        return Answer(200, answer | {"host_key": None, "fingerprint": None} | shown)

    return await call.once_around(work)


async def _target(connection: AsyncConnection, call: Call, target_id: UUID) -> Row:
    return await one(connection, select(targets).where(_this(call, target_id)))


def _present(call: Call) -> ColumnElement[bool]:
    return (targets.c.tenant_id == call.actor.tenant_id) & targets.c.retired_at.is_(None)


def _this(call: Call, target_id: UUID) -> ColumnElement[bool]:
    return _present(call) & (targets.c.id == target_id)


def _shape(call: Call, row: Row) -> dict[str, Any]:
    try:
        secret = TargetSecret.opened(call.gateway.server_keys, row["id"], row["secret"])
    except SmallSealBroken:
        secret = TargetSecret()
    return {**{name: row[name] for name in _SAME}, "secrets": sorted(secret.model_dump(exclude_defaults=True))}


def _told(row: Row) -> dict[str, Any]:
    """Return what the audit log has of a target: nothing that says who has a mailbox or what a password is."""
    settings = row["settings"]
    said = {
        name: settings.get(name) for name in ("host", "port", "bucket", "protection", "attested") if name in settings
    }
    said |= {"email": settings["address"]} if "address" in settings else {}
    sealing = (settings.get("sealing") or {}).get("kind", "")
    return {"name": row["name"], "kind": row["kind"], "enabled": row["enabled"], "sealing": sealing, **said}
