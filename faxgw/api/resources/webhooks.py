"""Webhooks over HTTP; what they do is in ``faxgw/webhooks``."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok, version_of, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import difference, note, note_new
from faxgw.api.resources.editing import Asked, IfMatch, Row, one, remove
from faxgw.api.shapes import Page
from faxgw.api.webhook_shapes import DeliveryRef, DeliveryShape, NewSecret, NewWebhook, Replayed, WebhookShape
from faxgw.store.tables import deliveries, events, webhooks
from faxgw.webhooks import service
from faxgw.webhooks.service import SHOWN, WebhookRequest

router = APIRouter(prefix="/v1/webhooks", route_class=GuardedRoute, tags=["webhooks"])


class RotateRequest(Asked):
    """A webhook's secret to be replaced."""

    hours: Annotated[int, Field(ge=0, le=service.MAX_OVERLAP, description="How long the old one is good besides.")] = 24


class ReplayRequest(Asked):
    """Which failed deliveries are to be sent once more."""

    since: AwareDatetime = Field(description="Those that were to be sent from then on.")


@router.get("", response_model=Page[WebhookShape])
async def list_webhooks(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List where events are sent."""
    statement = select(*SHOWN).where(webhooks.c.tenant_id == call.actor.tenant_id)
    async with call.transaction() as connection:
        rows = await connection.execute(newest_first(statement, webhooks.c.id, limit=limit, cursor=cursor))
        return ok(page(rows.mappings().all(), _shape, limit=limit))


@router.post("", status_code=201, response_model=NewWebhook)
async def create_webhook(call: Caller, asked: WebhookRequest) -> Response:
    """Have events sent somewhere. The secret is shown this once; with `v1a` there is none, our key is published."""

    async def work(connection: AsyncConnection) -> Answer:
        row, secret = await service.create(connection, call.gateway, call.actor, asked)
        await note_new(connection, call, "webhook.created", row)
        headers = {"location": f"/v1/webhooks/{row['id']}", "etag": version_tag(row["version"])}
        return Answer(201, {**_shape(row), "secret": secret or None}, headers, secret=frozenset({"secret"}))

    return await call.once(work)


@router.get("/{webhook_id:uuid}", response_model=WebhookShape)
async def get_webhook(call: Caller, webhook_id: UUID) -> Response:
    """Say where events are sent."""
    async with call.transaction() as connection:
        row = await _webhook(connection, call, webhook_id)
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.put("/{webhook_id:uuid}", response_model=WebhookShape)
async def change_webhook(call: Caller, webhook_id: UUID, asked: WebhookRequest, if_match: IfMatch = None) -> Response:
    """Have events sent elsewhere, or others; what is left out has its default again."""
    version = version_of(if_match)
    async with call.transaction() as connection:
        before = await _webhook(connection, call, webhook_id)
        if version is not None and before["version"] != version:
            raise Problem("request.precondition", f"It has version {before['version']} by now; read it again.")
        row = await service.change(connection, call.gateway, webhook_id, asked, version=before["version"])
        if row is None:
            raise Problem("request.precondition", "It was changed just now; read it again.")
        await note(connection, call, "webhook.changed", webhook_id, **difference(before, row))
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.delete("/{webhook_id:uuid}", status_code=204, response_class=Response)
async def delete_webhook(call: Caller, webhook_id: UUID) -> Response:
    """Send nothing there any more; what was to be sent is forgotten."""
    async with call.transaction() as connection:
        await _webhook(connection, call, webhook_id)
        await remove(connection, webhooks, _this(call, webhook_id))
        await note(connection, call, "webhook.deleted", webhook_id)
    return nothing()


@router.post("/{webhook_id:uuid}:rotate", response_model=NewSecret)
async def rotate_webhook(call: Caller, webhook_id: UUID, asked: RotateRequest) -> Response:
    """Make a new secret, shown this once; for some hours messages are signed by the old one, too."""

    async def work(connection: AsyncConnection) -> Answer:
        await _webhook(connection, call, webhook_id)
        secret = await service.rotate(connection, call.gateway, webhook_id, hours=asked.hours)
        await note(connection, call, "webhook.rotated", webhook_id, hours=asked.hours)
        return Answer(200, {"id": webhook_id, "secret": secret}, secret=frozenset({"secret"}))

    return await call.once(work)


@router.post("/{webhook_id:uuid}:test", status_code=202, response_model=DeliveryRef)
async def test_webhook(call: Caller, webhook_id: UUID) -> Response:
    """Send a message that tells of nothing, once; its delivery says what came of it."""

    async def work(connection: AsyncConnection) -> Answer:
        await _webhook(connection, call, webhook_id)
        return Answer(202, {"id": await service.test(connection, webhook_id)})

    return await call.once(work)


@router.post("/{webhook_id:uuid}:replay", status_code=202, response_model=Replayed)
async def replay_webhook(call: Caller, webhook_id: UUID, asked: ReplayRequest) -> Response:
    """Send everything once more that has failed since a time."""

    async def work(connection: AsyncConnection) -> Answer:
        await _webhook(connection, call, webhook_id)
        return Answer(202, {"deliveries": await service.replay_failed(connection, webhook_id, asked.since)})

    return await call.once(work)


@router.get("/{webhook_id:uuid}/deliveries", response_model=Page[DeliveryShape])
async def list_deliveries(call: Caller, webhook_id: UUID, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List what was sent, newest first, and what came of it."""
    statement = select(deliveries, events.c.type, events.c.fax_id).join(events, events.c.id == deliveries.c.event_id)
    statement = statement.where(deliveries.c.webhook_id == webhook_id)
    async with call.transaction() as connection:
        await _webhook(connection, call, webhook_id)
        rows = await connection.execute(newest_first(statement, deliveries.c.id, limit=limit, cursor=cursor))
        return ok(page(rows.mappings().all(), _delivery, limit=limit))


@router.post("/{webhook_id:uuid}/deliveries/{delivery_id:uuid}:replay", status_code=202, response_model=DeliveryRef)
async def replay_delivery(call: Caller, webhook_id: UUID, delivery_id: UUID) -> Response:
    """Send something once more that has ended, under the id that it had."""

    async def work(connection: AsyncConnection) -> Answer:
        await _webhook(connection, call, webhook_id)
        if not await service.replay(connection, webhook_id, delivery_id):
            raise Problem("request.not_found", "There is no such delivery that has ended.")
        return Answer(202, {"id": delivery_id})

    return await call.once(work)


async def _webhook(connection: AsyncConnection, call: Call, webhook_id: UUID) -> Row:
    return await one(connection, select(*SHOWN).where(_this(call, webhook_id)), "webhook.not_found")


def _this(call: Call, webhook_id: UUID) -> ColumnElement[bool]:
    return (webhooks.c.tenant_id == call.actor.tenant_id) & (webhooks.c.id == webhook_id)


def _shape(row: Row) -> dict[str, Any]:
    same = "id url events signature full enabled old_secret_until version created_at"
    return {name: row[name] for name in same.split()}


def _delivery(row: Row) -> dict[str, Any]:
    same = "id state type tries next_at status error created_at ended_at"
    return {**{name: row[name] for name in same.split()}, "event": row["event_id"], "fax": row["fax_id"]}
