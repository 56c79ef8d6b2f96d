"""Which notices members have: what they chose, and the address by which one kind is stopped without signing in."""

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from uuid import UUID

from sqlalchemy import cast, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.keys.texts import carried, read_carried
from faxgw.keys.tokens import ServerKeys
from faxgw.notices.kinds import KINDS
from faxgw.store.tables import users

CHOSEN = tuple(name for name, kind in KINDS.items() if kind.chosen)
"""Kinds that members switch on and off."""
_USER, _MAC = 16, 20


@dataclass(frozen=True, slots=True)
class Stop:
    """One kind of notices of one member, as an address names it."""

    user_id: UUID
    kind: str

    def token(self, keys: ServerKeys) -> str:
        """Return what names and proves it in an address: whoever got the notice has it, and nobody can make it up."""
        return f"{self.kind}_{carried(self.user_id.bytes + self._mac(keys))}"

    @classmethod
    def of(cls, keys: ServerKeys, token: str) -> "Stop | None":
        """Return what a token names; None if it is none of ours."""
        kind, _, text = token.partition("_")
        if kind not in CHOSEN:
            return None
        try:
            octets = read_carried(text, length=_USER + _MAC)
        except ValueError:
            return None
        found = cls(UUID(bytes=octets[:_USER]), kind)
        return found if compare_digest(found._mac(keys), octets[_USER:]) else None

    def _mac(self, keys: ServerKeys) -> bytes:
        return keys.mac(b"faxgw notices stop 1" + self.user_id.bytes + self.kind.encode())[:_MAC]


def choices(stored: Mapping[str, bool]) -> dict[str, bool]:
    """Return of each kind that can be switched whether a member has it, from the column ``users.notices``."""
    return {name: stored.get(name, KINDS[name].usual) for name in CHOSEN}


async def chosen(connection: AsyncConnection, user_id: UUID) -> dict[str, bool]:
    """Return what a member has."""
    found = await connection.scalar(select(users.c.notices).where(users.c.id == user_id))
    return choices(found or {})


async def choose(connection: AsyncConnection, user_id: UUID, wanted: Mapping[str, bool]) -> dict[str, bool]:
    """Switch kinds on and off for a member, the others stay; return what they have then."""
    merged = users.c.notices.op("||")(cast(dict(wanted), JSONB))
    statement = update(users).where(users.c.id == user_id).values(notices=merged).returning(users.c.notices)
    return choices((await connection.execute(statement)).scalar_one())


async def tenant_of(connection: AsyncConnection, user_id: UUID) -> UUID | None:
    """Return whose member somebody is; None if they are nobody's any more."""
    found: UUID | None = await connection.scalar(select(users.c.tenant_id).where(users.c.id == user_id))
    return found
