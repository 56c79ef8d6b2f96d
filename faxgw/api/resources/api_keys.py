"""API keys: credentials of programs, made by whoever has one already, with no more than that one may do."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.actor import SCOPES
from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, nothing, ok
from faxgw.api.call import Call, Caller
from faxgw.api.credentials import tell_of
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one
from faxgw.api.shapes import ApiKeyShape, NewApiKey, Page
from faxgw.faxes.content import unlock
from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, make_slot
from faxgw.keys.tokens import ApiKey
from faxgw.store.tables import api_keys, key_slots

router = APIRouter(prefix="/v1/api-keys", route_class=GuardedRoute, tags=["api keys"])

Scope = Literal[
    "faxes:read", "faxes:send", "content", "boxes", "numbers", "routes", "webhooks", "usage", "sandbox", "admin"
]


class ApiKeyRequest(Asked):
    """An API key to be made."""

    name: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="What it is for.", examples=["ERP"]
    )
    scopes: list[Scope] = Field(
        min_length=1, max_length=len(SCOPES), description="What it may do.", examples=[["faxes:send", "faxes:read"]]
    )
    expires_at: AwareDatetime | None = Field(None, description="From when on it is refused; null: never.")


@router.get("", response_model=Page[ApiKeyShape])
async def list_api_keys(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List one's own keys, revoked ones too; an owner or admin sees everybody's."""
    statement = newest_first(select(api_keys).where(_visible(call)), api_keys.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, shape, limit=limit))


@router.post("", status_code=201, response_model=NewApiKey)
async def create_api_key(call: Caller, asked: ApiKeyRequest) -> Response:
    """Make a key of one's own; it is shown this once. With `content` it opens what the key in use opens."""
    _check(call, asked)

    async def work(connection: AsyncConnection) -> Answer:
        await _check_life(connection, call, asked.expires_at)
        key = ApiKey.generate(new_id())
        values = {
            "id": key.id,
            "tenant_id": call.actor.tenant_id,
            "user_id": call.actor.user_id,
            "name": asked.name,
            "scopes": sorted(set(asked.scopes)),
            "mac": call.gateway.server_keys.mac(key.secret),
            "expires_at": asked.expires_at,
        }
        made = (await connection.execute(insert(api_keys).values(values).returning(api_keys))).mappings().one()
        if "content" in asked.scopes:
            await _give_slot(connection, call, key)
        facts = {"scopes": made["scopes"], "expires_at": made["expires_at"], "user_id": made["user_id"]}
        await note(connection, call, "api_key.created", key.id, new={"name": asked.name, **facts})
        body = {**shape(made), "key": key.text}
        return Answer(201, body, {"location": f"/v1/api-keys/{key.id}"}, secret=frozenset({"key"}))

    return await call.once(work)


@router.get("/{key_id:uuid}", response_model=ApiKeyShape)
async def get_api_key(call: Caller, key_id: UUID) -> Response:
    """Say what a key may do."""
    async with call.transaction() as connection:
        return ok(shape(await one(connection, select(api_keys).where(_visible(call), api_keys.c.id == key_id))))


@router.delete("/{key_id:uuid}", status_code=204, response_class=Response)
async def revoke_api_key(call: Caller, key_id: UUID) -> Response:
    """Revoke a key: it is refused from now on, and opens nothing any more."""
    if key_id == call.actor.api_key_id:
        raise Problem("keys.last", "A key cannot revoke itself; use another one.")
    async with call.transaction() as connection:
        await one(connection, select(api_keys.c.id).where(_visible(call), api_keys.c.id == key_id))
        now = func.coalesce(api_keys.c.revoked_at, func.now())
        await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now))
        await connection.execute(key_slots.delete().where(key_slots.c.api_key_id == key_id))
        await tell_of(connection, key_id)
        await note(connection, call, "api_key.revoked", key_id)
    call.api.credentials.forget(key_id)
    return nothing()


def shape(row: Row) -> dict[str, Any]:
    """Return an API key as it is answered."""
    same = {name: row[name] for name in ("id", "name", "scopes", "created_at", "expires_at", "revoked_at")}
    return {**same, "user": row["user_id"]}


def _check(call: Call, asked: ApiKeyRequest) -> None:
    missing = sorted(set(asked.scopes) - call.actor.scopes)
    if missing:
        raise Problem("access.scope", f"A key can give no scopes that it lacks itself: {', '.join(missing)}.")
    if asked.expires_at is not None and asked.expires_at <= datetime.now(UTC):
        errors = [{"pointer": "#/expires_at", "detail": "It is over already."}]
        raise Problem("request.invalid", "#/expires_at: It is over already.", extra={"errors": errors})


async def _check_life(connection: AsyncConnection, call: Call, expires_at: datetime | None) -> None:
    """Refuse a key that would live longer than the one in use.

    Raises:
        Problem: ``keys.life``.
    """
    in_use = select(api_keys.c.expires_at).where(api_keys.c.id == call.actor.api_key_id)
    ends: datetime | None = (await connection.execute(in_use)).scalar_one_or_none()  # none: it is a session
    if ends is not None and (expires_at is None or expires_at > ends):
        raise Problem("keys.life", f"The key in use expires at {ends.isoformat()}: it makes none that lives longer.")


async def _give_slot(connection: AsyncConnection, call: Call, key: ApiKey) -> None:
    slot = await make_slot(await unlock(connection, call.actor), ApiSecret(key.secret))
    values = {
        "id": new_id(),
        "tenant_id": call.actor.tenant_id,
        "user_id": call.actor.user_id,
        "kind": slot.kind,
        "api_key_id": key.id,
        "parameters": slot.parameters,
        "blob": slot.blob,
    }
    await connection.execute(insert(key_slots).values(values))


def _visible(call: Call) -> ColumnElement[bool]:
    if sees_all(call.actor):
        return api_keys.c.tenant_id == call.actor.tenant_id
    return api_keys.c.user_id == call.actor.user_id
