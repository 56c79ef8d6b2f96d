"""Devices over HTTP: who may submit by mail or SFTP; what they do is in ``faxgw/devices``."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, nothing, ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.device_shapes import DevicesChecked, DeviceShape, NewDevice, NewDeviceSecret
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.resources.auditing import change_noted, note
from faxgw.api.resources.editing import IfMatch, Row, one, refused, remove
from faxgw.api.shapes import Page
from faxgw.devices import keeping
from faxgw.devices.keeping import DeviceRequest
from faxgw.devices.readiness import findings
from faxgw.store.tables import devices

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["devices"])

_SAME = (
    *("id", "name", "login", "numbers", "networks", "faxes_per_day", "pages_per_day", "ssh_key"),
    *("reply", "cover", "enabled"),
    *("version", "created_at", "seen_at", "seen_address", "seen_tls", "exposed_at", "revoked_at"),
)
_NAME = {"devices_tenant_id_name_key": ("device.name", "There is a device of that name; choose another one.")}


@router.get("/devices", response_model=Page[DeviceShape])
async def list_devices(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List one's own devices, and how they last signed in; an owner or admin with `admin` sees everybody's."""
    statement = newest_first(select(devices).where(_visible(call)), devices.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.post("/devices", status_code=201, response_model=NewDevice)
async def create_device(call: Caller, asked: DeviceRequest) -> Response:
    """Let a machine or a program submit in one's own name. Its login and secret are made; the secret is shown once."""

    async def work(connection: AsyncConnection) -> Answer:
        with refused(**_NAME):
            row, secret = await keeping.create(connection, call.gateway.server_keys, call.actor, asked)
        said = {name: row[name] for name in ("name", "box_id", "numbers", "networks", "reply")}
        await note(connection, call, "device.created", row["id"], new=said)
        headers = {"location": f"/v1/devices/{row['id']}", "etag": version_tag(row["version"])}
        return Answer(201, {**_shape(row), "secret": secret}, headers, secret=frozenset({"secret"}))

    return await call.once(work)


@router.get("/devices:check", response_model=DevicesChecked)
async def check_devices(call: Caller) -> Response:
    """Say which devices still speak TLS 1.2, have never signed in, or have sent their secret in clear."""
    async with call.transaction() as connection:
        rows = (await connection.execute(select(devices).where(_visible(call)))).mappings().all()
    found = [{**_told(row), "findings": said} for row in rows if (said := findings(row))]
    found.sort(key=lambda each: (str(each["name"]), each["id"]))
    return ok({"devices": len(rows), "ready": len(rows) - len(found), "items": found})


@router.get("/devices/{device_id:uuid}", response_model=DeviceShape)
async def get_device(call: Caller, device_id: UUID) -> Response:
    """Say what a device may do, and how it last signed in."""
    async with call.transaction() as connection:
        row = await one(connection, select(devices).where(_this(call, device_id)))
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.put("/devices/{device_id:uuid}", response_model=DeviceShape)
async def change_device(call: Caller, device_id: UUID, asked: DeviceRequest, if_match: IfMatch = None) -> Response:
    """Change what a device may do, at once; what is left out has its default again, but for the box, which stays."""
    async with call.transaction() as connection:
        before = await one(connection, select(devices).where(_this(call, device_id)).with_for_update())
        values = await keeping.values_of(connection, before, asked)
        mine = _this(call, device_id)
        with refused(**_NAME):
            row = await change_noted(connection, call, "device.changed", devices, mine, if_match=if_match, **values)
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.delete("/devices/{device_id:uuid}", status_code=204, response_class=Response)
async def delete_device(call: Caller, device_id: UUID) -> Response:
    """Take a device away. Its faxes stay, and no longer say that they are its own; `:revoke` keeps that."""
    async with call.transaction() as connection:
        await remove(connection, devices, _this(call, device_id))
        await note(connection, call, "device.deleted", device_id)
    return nothing()


@router.post("/devices/{device_id:uuid}:rotate", response_model=NewDeviceSecret)
async def rotate_device(call: Caller, device_id: UUID) -> Response:
    """Give a device another secret, shown this once; the old one is refused at once. A revoked one is good again."""

    async def work(connection: AsyncConnection) -> Answer:
        row = await one(connection, select(devices.c.login).where(_this(call, device_id)).with_for_update())
        secret = await keeping.rotate(connection, call.gateway.server_keys, device_id)
        await note(connection, call, "device.rotated", device_id)
        body = {"id": device_id, "login": row["login"], "secret": secret}
        return Answer(200, body, secret=frozenset({"secret"}))

    return await call.once(work)


@router.post("/devices/{device_id:uuid}:revoke", response_model=DeviceShape)
async def revoke_device(call: Caller, device_id: UUID) -> Response:
    """Refuse a device's secret and SSH key from now on; other devices go on. `:rotate` lets it in again."""

    async def work(connection: AsyncConnection) -> Answer:
        await one(connection, select(devices.c.id).where(_this(call, device_id)).with_for_update())
        await keeping.revoke(connection, device_id)
        await note(connection, call, "device.revoked", device_id)
        return Answer(200, _shape(await one(connection, select(devices).where(_this(call, device_id)))))

    return await call.once(work)


def _visible(call: Call) -> ColumnElement[bool]:
    mine = devices.c.tenant_id == call.actor.tenant_id
    return mine if sees_all(call.actor) else mine & (devices.c.user_id == call.actor.user_id)


def _this(call: Call, device_id: UUID) -> ColumnElement[bool]:
    return _visible(call) & (devices.c.id == device_id)


def _shape(row: Row) -> dict[str, Any]:
    return {**{name: row[name] for name in _SAME}, "owner": row["user_id"], "box": row["box_id"]}


def _told(row: Row) -> dict[str, Any]:
    return {**{name: row[name] for name in ("id", "name", "seen_at", "seen_tls")}, "owner": row["user_id"]}
