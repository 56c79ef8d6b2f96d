"""Devices for tests: made as the API makes them, and signed in."""

from typing import Any

from sqlalchemy import select, update

from faxgw.actor import Actor
from faxgw.devices.device import Device
from faxgw.devices.keeping import DeviceRequest, create
from faxgw.devices.signing_in import sign_in
from faxgw.gateway import Gateway
from faxgw.store.tables import devices
from tests.faxgw.api.people import Person

TLS = "TLSv1.3 TLS_AES_256_GCM_SHA384"
HERE = "192.0.2.7"


def actor_of(person: Person) -> Actor:
    """Return somebody as they ask for a device."""
    return Actor(person.tenant_id, "", person.user_id, "owner", None, frozenset({"boxes"}))


async def make(gateway: Gateway, person: Person, name: str = "copier", **wanted: Any) -> tuple[Device, str]:
    """Make a device of somebody's; return it and its secret."""
    async with gateway.database.tenant(person.tenant_id) as connection:
        request = DeviceRequest(name=name, **wanted)
        row, secret = await create(connection, gateway.server_keys, actor_of(person), request)
    enabled = wanted.get("enabled", True)
    if not enabled or wanted.get("networks"):
        await change(gateway, row["login"], enabled=True, networks=[])
    device = await come(gateway, row["login"], secret)
    assert device is not None
    if not enabled or wanted.get("networks"):
        await change(gateway, row["login"], enabled=enabled, networks=list(row["networks"]))
    return device, secret


async def come(gateway: Gateway, login: str, secret: str, *, address: str = HERE, protocol: str = TLS) -> Device | None:
    """Sign in as a device."""
    return await sign_in(gateway.database, gateway.server_keys, login, secret, address=address, protocol=protocol)


async def change(gateway: Gateway, login: str, **columns: Any) -> None:
    """Change columns of a device."""
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(devices).where(devices.c.login == login).values(columns))


async def row_of(gateway: Gateway, login: str) -> Any:
    """Return the row of a device."""
    async with gateway.database.dispatcher() as connection:
        return (await connection.execute(select(devices).where(devices.c.login == login))).mappings().one()
