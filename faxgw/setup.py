"""First set-up: a tenant, its owner with a key pair of their own, a box, and an API key that opens what lies in it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import SCOPES
from faxgw.config import LineSettings
from faxgw.errors import RequestError
from faxgw.faxes.policies import SANDBOX_NUMBERS
from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, Password, RecoveryCode, Slot, make_slot
from faxgw.keys.tokens import ApiKey, ServerKeys
from faxgw.keys.wraps import KeyPair
from faxgw.numbers import Numbering, caller_id
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import api_keys, boxes, key_slots, numbers, tenants, users


@dataclass(frozen=True, slots=True)
class SetUp:
    """What was made. The API key and the recovery code are shown this once; only what checks them is kept."""

    tenant: UUID
    user: UUID
    box: UUID
    api_key: str
    recovery_code: str

    def as_json(self) -> dict[str, str]:
        """Return it as ``faxgw admin init --json`` prints it."""
        return {
            "tenant": str(self.tenant),
            "user": str(self.user),
            "box": str(self.box),
            "api_key": self.api_key,
            "recovery_code": self.recovery_code,
        }


async def make_tenant(
    connection: AsyncConnection,
    server_keys: ServerKeys,
    *,
    name: str,
    email: str,
    password: str,
    lines: Sequence[LineSettings] = (),
) -> SetUp:
    """Make a tenant with its owner, who has every right; ``connection`` is the dispatcher's.

    Numbers of the tenant's simulated lines that nobody has yet lead to the new box.

    Raises:
        RequestError: ``usage``, if there is a tenant of that name, or the name, address or password will not do.
    """
    _check(name, email, password)
    if (await connection.execute(select(tenants.c.id).where(tenants.c.name == name))).first():
        raise RequestError("usage", f"There is a tenant {name} already.")
    tenant_id, user_id, box_id = new_id(), new_id(), new_id()
    key_pair, recovery = KeyPair.generate(), RecoveryCode.generate()
    policy = TenantPolicy().model_dump(mode="json", exclude_defaults=True)
    await connection.execute(insert(tenants).values(id=tenant_id, name=name, policy=policy))
    await connection.execute(
        insert(users).values(
            id=user_id,
            tenant_id=tenant_id,
            email=email,
            role="owner",
            key_id=key_pair.public.key_id,
            public_key=key_pair.public.octets,
        )
    )
    await connection.execute(
        insert(boxes).values(id=box_id, tenant_id=tenant_id, owner_id=user_id, name=email, is_default=True)
    )
    slots = [await make_slot(key_pair, Password(password)), await make_slot(key_pair, recovery)]
    await connection.execute(insert(key_slots), [_slot_row(slot, tenant_id, user_id) for slot in slots])
    key = await make_api_key(
        connection,
        server_keys,
        tenant_id=tenant_id,
        user_id=user_id,
        name="first key",
        scopes=sorted(SCOPES),
        key_pair=key_pair,
    )
    own = [line for line in lines if not line.tenants or name in line.tenants]
    await _take_numbers(connection, tenant_id, box_id, own)
    return SetUp(tenant_id, user_id, box_id, key.text, recovery.text)


async def make_api_key(
    connection: AsyncConnection,
    server_keys: ServerKeys,
    *,
    tenant_id: UUID,
    user_id: UUID,
    name: str,
    scopes: Sequence[str],
    key_pair: KeyPair | None,
    expires_at: Any = None,
) -> ApiKey:
    """Make an API key; with the user's own key pair in hand, it gets a slot that opens what is theirs."""
    key = ApiKey.generate(new_id())
    await connection.execute(
        insert(api_keys).values(
            id=key.id,
            tenant_id=tenant_id,
            user_id=user_id,
            name=name,
            scopes=list(scopes),
            mac=server_keys.mac(key.secret),
            expires_at=expires_at,
        )
    )
    if key_pair is not None:
        slot = await make_slot(key_pair, ApiSecret(key.secret))
        await connection.execute(insert(key_slots).values(_slot_row(slot, tenant_id, user_id, api_key_id=key.id)))
    return key


def _slot_row(slot: Slot, tenant_id: UUID, user_id: UUID, *, api_key_id: UUID | None = None) -> dict[str, Any]:
    return {
        "id": new_id(),
        "tenant_id": tenant_id,
        "user_id": user_id,
        "kind": slot.kind,
        "api_key_id": api_key_id,
        "parameters": slot.parameters,
        "blob": slot.blob,
    }


def _check(name: str, email: str, password: str) -> None:
    if not name.strip() or len(name) > 100:
        raise RequestError("usage", "A tenant's name has 1 to 100 characters.")
    user, at, host = email.partition("@")
    if not (user and at and host) or any(each.isspace() for each in email) or len(email) > 254:
        raise RequestError("usage", f"{email!r} is no mail address.")
    if len(password) < MIN_PASSWORD:
        example = secrets.token_urlsafe(15)
        raise RequestError("usage", f"A password has {MIN_PASSWORD} characters or more, such as {example}.")


MIN_PASSWORD = 10


async def _take_numbers(
    connection: AsyncConnection, tenant_id: UUID, box_id: UUID, lines: Sequence[LineSettings]
) -> None:
    taken = set((await connection.execute(select(numbers.c.number))).scalars())
    numbering = Numbering(extra=SANDBOX_NUMBERS)
    for line in lines:
        number = caller_id(line.address, numbering)
        number = number if number.startswith("+") else f"+{number}"
        if line.scheme == "sim" and line.receives and number not in taken:
            taken.add(number)
            await connection.execute(
                insert(numbers).values(id=new_id(), tenant_id=tenant_id, number=number, box_id=box_id)
            )
