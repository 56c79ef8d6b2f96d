"""Transactions of one tenant and of all: who sees what, what is undone, what heals."""

from uuid import UUID

from sqlalchemy import insert, select

from faxgw.ids import new_id
from faxgw.store.database import Database
from faxgw.store.tables import tenants, users
from tests.faxgw.databases import add_tenant


def _user(tenant_id: UUID, email: str = "a@b.c") -> dict[str, object]:
    return {"id": new_id(), "tenant_id": tenant_id, "email": email, "role": "owner", "key_id": "k", "public_key": b""}


async def test_a_tenant_sees_its_own_rows_only_without_any_filter(database: Database, tenant: UUID) -> None:
    other = await add_tenant(database, "other")
    async with database.dispatcher() as connection:
        await connection.execute(insert(users), [_user(tenant, "mine"), _user(other, "theirs")])
    async with database.tenant(tenant) as connection:
        assert (await connection.scalars(select(users.c.email))).all() == ["mine"]
        assert (await connection.scalars(select(tenants.c.name))).all() == ["tenant"]
    async with database.dispatcher() as connection:
        assert len((await connection.scalars(select(users.c.email))).all()) == 2
