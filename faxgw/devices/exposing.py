"""A device's secret was seen in clear: noted, revoked if the tenant's policy says so, its owner told how to mend it."""

from datetime import UTC, datetime

import structlog
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit import record
from faxgw.devices.device import Device
from faxgw.devices.keeping import revoke
from faxgw.devices.signing_in import known_by
from faxgw.faxes.changes import tell
from faxgw.faxes.policies import tenant_of
from faxgw.keys.tokens import ServerKeys
from faxgw.model import EventType
from faxgw.notices.telling import Member, notify
from faxgw.store.tables import devices

log = structlog.get_logger(__name__)


async def expose(
    connection: AsyncConnection, keys: ServerKeys, login: str, secret: str, *, address: str, protocol: str = "SMTP"
) -> None:
    """Take note that a login and a secret crossed a network in clear.

    What is not the device's own secret changes nothing: else whoever knows a login could have its device revoked.

    Args:
        connection: a transaction of the dispatcher.
        keys: the server's own.
        login: as it was sent.
        secret: as it was sent.
        address: from where.
        protocol: by what.
    """
    device = await known_by(connection, keys, login, secret)
    if device is None or device.revoked_at is not None:
        log.warning("a credential was sent in clear", device=str(device.id) if device else "", address=address)
        return
    policy = (await tenant_of(connection, device.tenant_id)).policy.mail
    revoked = policy.clear_credentials == "revoke"
    await _note(connection, device, revoked=revoked)
    when = datetime.now(UTC)
    said = {"device": device.name, "protocol": protocol, "at": f"{when:%Y-%m-%d %H:%M} UTC", "revoked": revoked}
    await notify(
        connection,
        device.tenant_id,
        kind="exposed",
        key=f"{device.id} {when:%Y-%m-%d}",  # one a day: a device that is not mended tries again and again
        to=Member(device.user_id),
        data=said | {"peer": address},
    )
    log.warning("a device sent its secret in clear", device=str(device.id), address=address, revoked=revoked)


async def _note(connection: AsyncConnection, device: Device, *, revoked: bool) -> None:
    seen = update(devices).where(devices.c.id == device.id).values(exposed_at=func.now())
    await connection.execute(seen)
    await _record(connection, device, "device.exposed")
    if revoked:
        await revoke(connection, device.id)
        await _record(connection, device, "device.revoked", reason="exposed")
    said = {"device": str(device.id), "revoked": revoked}
    await tell(connection, device.tenant_id, None, EventType.EXPOSED, said)


async def _record(connection: AsyncConnection, device: Device, action: str, **data: str) -> None:
    await record(
        connection,
        tenant_id=device.tenant_id,
        actor="service",
        action=action,
        object="device",
        object_id=device.id,
        data=data,
    )
