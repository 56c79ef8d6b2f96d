"""What runs here, who asks, and what problems mean."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy import select
from starlette.responses import Response

from faxgw.advisories.sbom import bill
from faxgw.api.answers import json_response, ok
from faxgw.api.call import Caller
from faxgw.api.codes import CODES, Code
from faxgw.api.export_shapes import VersionShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.people_shapes import SelfSessionShape
from faxgw.api.problems import Problem
from faxgw.api.resources.api_keys import shape as api_key
from faxgw.api.schema import version
from faxgw.api.shapes import CodeShape, CodesShape
from faxgw.dropbox.hostkey import fingerprint, host_key, public_text
from faxgw.store.tables import api_keys, users

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["service"])

Name = Annotated[str, Path(description="A code.", examples=["number.invalid"])]


@router.get("/version", response_model=VersionShape)
async def get_version(call: Caller) -> Response:
    """Say what runs here, and what is known to be wrong with it."""
    gateway = call.gateway
    drop_box = None
    if gateway.config.sftp.port is not None:
        key = public_text(await asyncio.to_thread(host_key, gateway.config.data_dir))
        drop_box = {"host_key": key, "fingerprint": fingerprint(key)}
    known = gateway.advisories.state.as_json()
    said = {"name": "faxgw", "version": version(), "sbom": "/v1/version/sbom", "drop_box": drop_box}
    return ok({**said, **known})


@router.get("/version/sbom", response_model=dict[str, object])
async def get_sbom(_: Caller) -> Response:
    """Give what this installation is made of, as CycloneDX 1.6."""
    return json_response(dumped(await asyncio.to_thread(bill)))


@router.get("/self", response_model=SelfSessionShape)
async def get_self(call: Caller) -> Response:
    """Say whose key or session this is, and what it may do."""
    actor = call.actor
    mine: dict[str, object] = {"tenant": None, "user": None, "api_key": None, "session": actor.session_id}
    if actor.tenant:
        async with call.transaction() as connection:
            found = select(api_keys).where(api_keys.c.id == actor.api_key_id)
            key = (await connection.execute(found)).mappings().one_or_none()
            user = (await connection.execute(select(users).where(users.c.id == actor.user_id))).mappings().one()
        mine |= {
            "tenant": {"id": actor.tenant_id, "name": actor.tenant},
            "user": {"id": user["id"], "email": user["email"], "role": user["role"]},
            "api_key": api_key(key) if key else None,
        }
    return ok(mine)


@router.get("/problems", response_model=CodesShape)
async def list_problems() -> Response:
    """List what may go wrong."""
    return ok({"items": [_shape(name, each) for name, each in CODES.items()]})


@router.get("/problems/{code}", response_model=CodeShape)
async def get_problem(code: Name) -> Response:
    """Say what a problem code means; the `type` of a problem leads here."""
    if code not in CODES:
        raise Problem("request.not_found", "There is no such code.")
    return ok(_shape(code, CODES[code]))


def _shape(name: str, code: Code) -> dict[str, object]:
    return {
        "code": name,
        "status": code.status,
        "title": code.title,
        "action": code.action,
        "retryable": code.retryable,
    }
