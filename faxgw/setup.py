"""First set-up: a tenant, its owner with a key pair of their own, a box, and an API key that opens what lies in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import SCOPES
from faxgw.audit import pseudonym, record
from faxgw.config import LineSettings
from faxgw.errors import RequestError
from faxgw.faxes.policies import SANDBOX_NUMBERS
from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, Password, Slot, make_slot
from faxgw.keys.tokens import ApiKey, ServerKeys
from faxgw.keys.wraps import KeyPair, PublicKey
from faxgw.numbers import Numbering, caller_id
from faxgw.people.accounts import Draft, make_box, make_membership, memberships, person_of, save_person
from faxgw.people.keys import opened, slot_of
from faxgw.people.members import OPERATOR, invite, reset
from faxgw.people.words import check_password, read_email
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import api_keys, key_slots, numbers, tenants


@dataclass(frozen=True, slots=True)
class SetUp:
    """What was made. The API key and the recovery code are shown this once; only what checks them is kept.

    The recovery code is empty where the owner had an account before: they have its code.
    """

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
    stretched: Callable[[str], Password] = Password,
) -> SetUp:
    """Make a tenant with its owner, who has every right; ``connection`` is the dispatcher's.

    Somebody who has an account already gives its password. Numbers of the tenant's simulated lines that nobody has yet
    lead to the new box. ``stretched`` makes a password of the text, with the cost that a new one has.

    Raises:
        RequestError: ``usage``, if there is a tenant of that name, or the name, address or password will not do.
    """
    email = _check(name, email, password)
    if (await connection.execute(select(tenants.c.id).where(tenants.c.name == name))).first():
        raise RequestError("usage", f"There is a tenant {name} already.")
    tenant_id = new_id()
    policy = TenantPolicy().model_dump(mode="json", exclude_defaults=True)
    await connection.execute(insert(tenants).values(id=tenant_id, name=name, policy=policy))
    person_id, person, recovery_code = await _person(connection, email, stretched(password))
    user_id, key_pair = await make_membership(
        connection, tenant_id=tenant_id, person_id=person_id, person=person, email=email, role="owner"
    )
    box_id = await make_box(connection, tenant_id=tenant_id, user_id=user_id, name=email, is_default=True)
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
    made = {"owner": str(user_id), "box": str(box_id), "api_key": str(key.id)}
    await record(
        connection,
        tenant_id=tenant_id,
        actor="operator",
        action="tenant.created",
        object="tenant",
        object_id=tenant_id,
        data=made,
    )
    return SetUp(tenant_id, user_id, box_id, key.text, recovery_code)


async def make_invitation(
    connection: AsyncConnection, server_keys: ServerKeys, *, tenant: str, email: str, role: str, now: datetime
) -> dict[str, str]:
    """Invite somebody into a tenant in the operator's name; return what ``faxgw admin add-user`` prints.

    Raises:
        RequestError: ``usage``, if there is no such tenant or role, or ``email`` is none, or a member already.
    """
    if role not in ("owner", "admin", "member"):
        raise RequestError("usage", f"There is no role {role}: owner, admin or member.")
    tenant_id = (await connection.execute(select(tenants.c.id).where(tenants.c.name == tenant))).scalar_one_or_none()
    if tenant_id is None:
        raise RequestError("usage", f"There is no tenant {tenant}.")
    try:
        made = await invite(
            connection, server_keys, tenant_id=tenant_id, by_role="owner", email=email, role=role, now=now
        )
    except RequestError as refused:
        raise RequestError("usage", refused.reason) from None
    data = {"who": pseudonym(server_keys, tenant_id=tenant_id, subject=made.user["email"]), "role": role}
    await _record(connection, tenant_id, "user.invited", made.user["id"], data)
    ids = {"tenant": str(tenant_id), "user": str(made.user["id"])}
    return {**ids, "set_up_code": made.code, "expires_at": made.until.isoformat()}


async def reset_person(
    connection: AsyncConnection, server_keys: ServerKeys, *, email: str, now: datetime
) -> dict[str, str]:
    """Let somebody set a password anew, in the operator's name, in however many tenants they are.

    Raises:
        RequestError: ``usage``, if nobody has the address.
    """
    person = await person_of(connection, email.strip().lower())
    mine = await memberships(connection, person["id"]) if person else []
    if not mine:
        raise RequestError("usage", f"Nobody signs in by {email}.")
    made = await reset(connection, server_keys, mine[0], by_role=OPERATOR, now=now)
    for each in mine:
        await _record(connection, each["tenant_id"], "user.reset", each["id"], {})
    return {"set_up_code": made.code, "expires_at": made.until.isoformat()}


async def _record(
    connection: AsyncConnection, tenant_id: UUID, action: str, user_id: UUID, data: dict[str, str]
) -> None:
    await record(
        connection,
        tenant_id=tenant_id,
        actor="operator",
        action=action,
        object="user",
        object_id=user_id,
        source="command line",
        data=data,
    )


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


async def _person(connection: AsyncConnection, email: str, password: Password) -> tuple[UUID, PublicKey, str]:
    """Return somebody's account with its public key, and the recovery code if it was made now.

    Raises:
        RequestError: ``usage``, if they have one, of another password.
    """
    known = await person_of(connection, email)
    if known is None:
        draft = await Draft.of(password)
        person_id = await save_person(connection, draft, email=email)
        return person_id, draft.key_pair.public, draft.recovery_code.text
    slot = await slot_of(connection, known["id"], "password")
    if await opened(slot, password, known["public_key"]) is None:
        raise RequestError("usage", f"{email} has an account already, and this is not its password.")
    return known["id"], PublicKey.from_octets(known["public_key"]), ""


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


def _check(name: str, email: str, password: str) -> str:
    if not name.strip() or len(name) > 100:
        raise RequestError("usage", "A tenant's name has 1 to 100 characters.")
    try:
        check_password(password)
        return read_email(email)
    except RequestError as refused:
        raise RequestError("usage", refused.reason) from None


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
