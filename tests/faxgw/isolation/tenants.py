"""Two tenants side by side: everything of the first, what gives it away, and everybody of the second who may ask."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from faxgw.actor import SCOPES, Actor
from faxgw.gateway import Gateway
from faxgw.keys.tokens import SessionToken
from faxgw.people.sessions import begin_session
from faxgw.store.tables import destinations, metadata, tenants
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import Person, add_key, add_person

ROLES = ("owner", "admin", "member")
THEIR_NUMBER = "+15550142"
SHORTEST = 8
"""Letters of a text that may give somebody away."""


@dataclass(frozen=True)
class Caller:
    """Somebody of the second tenant, with one credential.

    Attributes:
        name: such as ``member with faxes:read``.
        actor: as ``Access.check`` takes it.
        token: the credential.
    """

    name: str
    actor: Actor
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "if-match": "*", "accept": "application/json"}


async def callers_of(gateway: Gateway, tenant_id: UUID) -> list[Caller]:
    """Return everybody who may ask: each role with a session, with a key of all scopes, of each scope, and of none."""
    found = []
    for role in ROLES:
        person = await add_person(gateway, tenant_id, role=role)
        actor = _actor(person, role)
        found.append(Caller(f"{role} with every scope", actor, person.key.text))
        for scopes in [frozenset[str](), *(frozenset({scope}) for scope in SCOPES)]:
            slot = person.key_pair if "content" in scopes else None
            key = await add_key(gateway, tenant_id, person.user_id, scopes=scopes, key_pair=slot)
            name = f"{role} with {', '.join(scopes) or 'no scope'}"
            found.append(Caller(name, replace(actor, scopes=scopes, api_key_id=key.id), key.text))
        token = await _signed_in(gateway, person)
        found.append(Caller(f"{role} with a session", actor, token.text))
    return found


def _actor(person: Person, role: str) -> Actor:
    return Actor(
        tenant_id=person.tenant_id,
        tenant="",
        user_id=person.user_id,
        role=role,
        api_key_id=person.key.id,
        scopes=frozenset(SCOPES),
    )


async def _signed_in(gateway: Gateway, person: Person) -> SessionToken:
    async with gateway.database.dispatcher() as connection:
        return await begin_session(
            connection,
            gateway.server_keys,
            person_id=person.person_id,
            key_pair=person.key_pair,
            user_id=person.user_id,
            second_factor=False,
            address="192.0.2.1",
            agent="a browser",
            now=datetime.now(UTC),
        )


async def furnished(gateway: Gateway, person: Person) -> dict[str, Any]:
    """Give a person one of everything, and a number that nobody else knows of."""
    ids = await furnish(gateway, person)
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(destinations).values(tenant_id=person.tenant_id, number=THEIR_NUMBER))
    return {**ids, "number": THEIR_NUMBER}


async def rows_of(gateway: Gateway, tenant_id: UUID) -> dict[str, list[Any]]:
    """Return table -> all that a tenant has in it, in some order that stays."""
    found = {}
    async with gateway.database.dispatcher() as connection:
        for table in metadata.sorted_tables:
            if "tenant_id" in table.columns or table is tenants:
                whose = table.c.id if table is tenants else table.c.tenant_id
                rows = await connection.execute(select(table).where(whose == tenant_id))
                found[table.name] = sorted(tuple(row) for row in rows.all())
    return found


def marks_of(rows: dict[str, list[Any]], others: dict[str, list[Any]]) -> set[str]:
    """Return every text that stands in rows of one tenant and in none of the other: it gives the one away."""
    return {text for text in _texts(rows) if len(text) >= SHORTEST} - set(_texts(others))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value.startswith("{"):
            yield from _texts(json.loads(value))
    elif isinstance(value, UUID):
        yield from (str(value), value.hex)
    elif isinstance(value, bytes):
        yield from (value.hex(), b64encode(value).decode().rstrip("="), urlsafe_b64encode(value).decode().rstrip("="))
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _texts(each)


async def two(gateway: Gateway, owner: Person) -> tuple[dict[str, Any], dict[str, Any], Person]:
    """Furnish two tenants; return what the first has, what the second has, and the second's owner."""
    theirs = await furnished(gateway, owner)
    guest = await add_person(gateway)
    return theirs, await furnish(gateway, guest), guest
