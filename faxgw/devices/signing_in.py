"""Signing in of devices: a generated secret checked by one HMAC, so that it costs nothing at every message.

A wrong secret, an unknown login and a device that may not sign in take the same work and get the same answer.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import LargeBinary, Select, bindparam, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.devices.device import COLUMNS, Device
from faxgw.keys.texts import CARRIED, carried
from faxgw.keys.tokens import SECRET_OCTETS, ServerKeys
from faxgw.store.database import Database
from faxgw.store.tables import devices, tenants, users

log = structlog.get_logger(__name__)

PREFIX = "fgd_"
"""By which programs that look for leaked secrets find one."""
NOTED = timedelta(minutes=1)
"""How exactly it is written down when a device was last seen, as long as it comes in the same way."""
LOGIN_LETTERS = 10
_MAC = b"device 1"
_LETTERS = "".join(each for each in CARRIED if each.islower() or each.isdigit())


def new_login() -> str:
    """Return a login that nobody has: ``fax-`` and letters of chance, which any panel can type."""
    return "fax-" + "".join(secrets.choice(_LETTERS) for _ in range(LOGIN_LETTERS))


def new_secret() -> str:
    """Return a secret of 160 bits, in 31 letters and digits: forms of office machines often end at 32."""
    return PREFIX + carried(secrets.token_bytes(SECRET_OCTETS))


def mac_of(keys: ServerKeys, secret: str) -> bytes:
    """Return what is stored of a device's secret."""
    return keys.mac(_MAC + secret.encode())


async def sign_in(
    database: Database, keys: ServerKeys, login: str, secret: str, *, address: str, protocol: str
) -> Device | None:
    """Return the device that a login and a secret are of, and note how it came; None: it may not sign in.

    Args:
        database: the gateway's.
        keys: the server's own.
        login: as it was sent; what follows an ``@`` is no part of it, since some machines want an address there.
        secret: as it was sent.
        address: from where, an IP address.
        protocol: version and cipher of the connection, such as ``TLSv1.3 TLS_AES_256_GCM_SHA384``.
    """
    # By its login and its MAC at once: so a wrong secret and an unknown login are the same work from end to end. The
    # MACs are under a key that nobody outside has, so the time of comparing them tells nothing.
    row = await database.look(_FIND, _asked(login, mac=_mac_of_sent(keys, secret)))
    return await _let_in(database, Device.of(row) if row else None, address=address, protocol=protocol)


async def known_by(connection: AsyncConnection, keys: ServerKeys, login: str, secret: str) -> Device | None:
    """Return the device whose login and secret these are, whether or not it may sign in."""
    return await _found(connection, login, mac=_mac_of_sent(keys, secret))


async def sign_in_by_key(
    database: Database, login: str, public_key: str, *, address: str, protocol: str
) -> Device | None:
    """Return the device whose SSH key somebody has shown to hold; otherwise as ``sign_in``.

    ``public_key`` is as in authorized_keys; a comment behind it is no part of it.
    """
    row = await database.look(_FIND, _asked(login))
    device = Device.of(row) if row else None
    if device is not None and (not device.ssh_key or device.ssh_key.split()[:2] != public_key.split()[:2]):
        device = None
    return await _let_in(database, device, address=address, protocol=protocol)


async def find_device(connection: AsyncConnection, login: str) -> Device | None:
    """Return the device of a login, whether or not it may sign in; its owner has not been deactivated."""
    return await _found(connection, login)


async def _found(connection: AsyncConnection, login: str, *, mac: bytes | None = None) -> Device | None:
    row = (await connection.execute(_FIND, _asked(login, mac=mac))).mappings().one_or_none()
    return Device.of(row) if row else None


def _asked(login: str, *, mac: bytes | None = None) -> dict[str, Any]:
    """Return what ``_FIND`` is asked with; for what can be no login, too, so that the work is the same."""
    known = login.partition("@")[0].strip().lower()
    if not known.isascii() or "\0" in known:
        known = ""
    return {"login": known, "mac": mac}


def _mac_of_sent(keys: ServerKeys, secret: str) -> bytes:
    return keys.mac(_MAC + secret.encode("utf-8", "surrogateescape"))


async def _let_in(database: Database, device: Device | None, *, address: str, protocol: str) -> Device | None:
    if device is None or (reason := _hindrance(device, address)):
        told = str(device.id) if device else ""
        log.warning("a device was not let in", device=told, reason=reason if device else "unknown", address=address)
        return None
    recently = device.seen_at is not None and datetime.now(UTC) - device.seen_at < NOTED
    if not recently or (address, protocol) != (device.seen_address, device.seen_tls):
        async with database.dispatcher() as connection:
            await _note(connection, device, address=address, protocol=protocol)
    return device


def _hindrance(device: Device, address: str) -> str:
    """Return why a device whose secret is right may not sign in; empty: it may."""
    if not device.usable:
        return "disabled"
    return "" if device.may_come_from(address) else "network"


async def _note(connection: AsyncConnection, device: Device, *, address: str, protocol: str) -> None:
    seen = {"seen_at": datetime.now(UTC), "seen_address": address, "seen_tls": protocol}
    await connection.execute(update(devices).where(devices.c.id == device.id).values(seen))


def _find() -> Select[Any]:
    mac = cast(bindparam("mac"), LargeBinary)
    of_row = [devices.c[name] for name in COLUMNS if name in devices.c]
    return (
        select(*of_row, users.c.role, users.c.public_key, tenants.c.name.label("tenant"))
        .join(users, (users.c.id == devices.c.user_id) & users.c.deactivated_at.is_(None))
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(devices.c.login == bindparam("login"), devices.c.mac == func.coalesce(mac, devices.c.mac))
    )


_FIND = _find()
