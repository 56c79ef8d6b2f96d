"""Devices made, changed, given another secret and revoked; each in a transaction of their tenant."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.boxes.access import may
from faxgw.devices.signing_in import mac_of, new_login, new_secret
from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.keys.tokens import ServerKeys
from faxgw.store.tables import boxes, devices

RSA_BITS = 2048
"""Of an SSH key, at the least."""
_MOST = 50


def _network(text: str) -> str:
    return str(ip_network(text.strip(), strict=False))


def _ssh_key(text: str) -> str:
    """Return a public key without its comment; empty: none."""
    line = " ".join(text.split()[:2])
    if not line:
        return ""
    try:
        key = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("this is no public key as in authorized_keys") from None
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS:
        raise ValueError(f"an RSA key has {RSA_BITS} bits or more")
    return line


class DeviceRequest(BaseModel):
    """A device as it is to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="What it is called, once in a tenant.",
        examples=["Copier, 2nd floor"],
    )
    box: UUID | None = Field(
        default=None, description="The box that its faxes lie in; the user's own when left out at first."
    )
    numbers: tuple[Annotated[str, Field(pattern=r"^\+[0-9]{1,15}$")], ...] = Field(
        default=(),
        max_length=_MOST,
        description="It sends only to numbers that begin so; empty: to whatever the tenant's policy allows.",
        examples=[["+4930"]],
    )
    networks: tuple[Annotated[str, Field(max_length=50), AfterValidator(_network)], ...] = Field(
        default=(),
        max_length=_MOST,
        description="It signs in only from these; empty: from anywhere.",
        examples=[["192.0.2.0/24"]],
    )
    faxes_per_day: int | None = Field(
        default=None, ge=1, le=1_000_000, description="So many faxes within a day at the most; null: no limit."
    )
    pages_per_day: int | None = Field(
        default=None, ge=1, le=1_000_000, description="So many pages within a day at the most; null: no limit."
    )
    ssh_key: Annotated[str, Field(max_length=5000), AfterValidator(_ssh_key)] = Field(
        default="",
        description="A public key, as in authorized_keys, by which it signs in over SFTP, too.",
    )
    reply: Literal["sender", "owner", "none"] = Field(
        default="sender",
        description="Who gets a mail with the result of a fax: the address that the mail came from, the device's "
        "owner, or nobody.",
    )
    cover: bool = Field(
        default=False,
        description="Whether the text of a mail with attachments goes onto a cover page before them; else it is left "
        "out, since it is a signature most of the time. A mail without attachments is sent as its text.",
    )
    enabled: bool = Field(default=True, description="Whether it may sign in.")


async def create(
    connection: AsyncConnection, keys: ServerKeys, actor: Actor, request: DeviceRequest
) -> tuple[RowMapping, str]:
    """Make a device of somebody's own; return its row and its secret, which nobody is shown again.

    Raises:
        RequestError: ``box.unknown``.
    """
    secret = new_secret()
    row = {
        "id": new_id(),
        "tenant_id": actor.tenant_id,
        "user_id": actor.user_id,
        "login": new_login(),
        "mac": mac_of(keys, secret),
        "box_id": await _box(connection, actor.user_id, request.box),
        **_values(request),
    }
    made = await connection.execute(insert(devices).values(row).returning(devices))
    return made.mappings().one(), secret


async def values_of(
    connection: AsyncConnection, device: Mapping[Any, Any], request: DeviceRequest
) -> dict[str, object]:
    """Return what a change of a device writes; without a box it keeps its own.

    Raises:
        RequestError: ``box.unknown``, if the device's owner may not send from that box.
    """
    keeps = request.box is None or request.box == device["box_id"]
    box = device["box_id"] if keeps else await _box(connection, device["user_id"], request.box)
    return {**_values(request), "box_id": box}


async def rotate(connection: AsyncConnection, keys: ServerKeys, device_id: UUID) -> str:
    """Give a device another secret, and return it; the old one is good no more. One that was revoked may come again."""
    secret = new_secret()
    values = {
        "mac": mac_of(keys, secret),
        "revoked_at": None,
        "exposed_at": None,
        "version": devices.c.version + 1,
    }
    await connection.execute(update(devices).where(devices.c.id == device_id).values(values))
    return secret


async def revoke(connection: AsyncConnection, device_id: UUID) -> None:
    """Have a device's secret, and its SSH key, be good no more."""
    when = func.coalesce(devices.c.revoked_at, func.now())
    changed = {"revoked_at": when, "version": devices.c.version + 1}
    await connection.execute(update(devices).where(devices.c.id == device_id).values(changed))


def _values(request: DeviceRequest) -> dict[str, object]:
    arrays = {"numbers": list(request.numbers), "networks": list(request.networks)}
    return {**request.model_dump(exclude={"box", *arrays}), **arrays}


async def _box(connection: AsyncConnection, user_id: UUID, asked: UUID | None) -> UUID:
    """Return the box that somebody's faxes are to lie in: the one that was asked for, or their own first.

    Raises:
        RequestError: ``box.unknown``.
    """
    wanted = boxes.c.owner_id == user_id if asked is None else (boxes.c.id == asked) & may(user_id, "send")
    box = await connection.scalar(select(boxes.c.id).where(wanted).order_by(boxes.c.id).limit(1))
    if box is None:
        raise RequestError("box.unknown", "There is no such box of yours; GET /v1/boxes lists them.")
    return UUID(str(box))
