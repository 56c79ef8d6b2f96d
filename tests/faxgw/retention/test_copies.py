"""Every copy that left is counted, once, with its own end."""

from datetime import timedelta

import pytest

from faxgw import copies
from faxgw.ids import new_id
from faxgw.rules.retention import Fate, effective_erasure_date
from faxgw.store.tables import copies as table
from tests.faxgw.databases import add_tenant
from tests.faxgw.retention.place import NOW, Place

DAY = timedelta(days=1)


@pytest.mark.requirement("XM-12")
@pytest.mark.requirement("XM-13")
async def test_the_last_copy_decides_when_a_fax_is_gone(place: Place) -> None:
    await place.set_policy(retention={"days": 10, "declared": {"download": 30}})
    fax = await place.add_fax()
    async with place.gateway.database.tenant(place.tenant) as connection:
        await copies.note(connection, fax_id=fax, kind="download", to="user:1", sha256=b"1", now=NOW)
        end = NOW + 5 * DAY
        await copies.note(connection, fax_id=fax, kind="export", to="user:1", expires_at=end, now=NOW)
        rows = await copies.of_fax(connection, fax)
    found = [copies.as_copy(row) for row in rows]
    assert [each.expires for each in found] == [NOW + 30 * DAY, NOW + 5 * DAY]
    assert effective_erasure_date(NOW + 10 * DAY, found) == NOW + 30 * DAY
    assert [each.fate(NOW + 6 * DAY) for each in found] == [Fate.OUTSIDE, Fate.EXPIRED]


async def test_without_a_declared_time_nobody_knows_when_a_copy_is_gone(place: Place) -> None:
    fax = await place.add_fax()
    async with place.gateway.database.tenant(place.tenant) as connection:
        await copies.note(connection, fax_id=fax, kind="download", to="user:1", now=NOW)
        (row,) = await copies.of_fax(connection, fax)
    assert effective_erasure_date(NOW, [copies.as_copy(row)]) is None
    assert (row["tenant_id"], row["times"], row["deleted_at"]) == (place.tenant, 1, None)


async def test_the_same_copy_to_the_same_place_again_is_one_that_lasts_longer(place: Place) -> None:
    await place.set_policy(retention={"declared": {"download": 30}})
    fax = await place.add_fax()
    async with place.gateway.database.tenant(place.tenant) as connection:
        for day in range(3):
            at = NOW + day * DAY
            await copies.note(connection, fax_id=fax, kind="download", to="user:1", sha256=b"1", now=at)
        await copies.note(connection, fax_id=fax, kind="download", to="user:2", sha256=b"1", now=NOW)
        await copies.note(connection, fax_id=fax, kind="download", to="user:1", sha256=b"2", now=NOW)
        rows = await copies.of_fax(connection, fax)
    assert [row["times"] for row in rows] == [3, 1, 1]
    assert (rows[0]["created_at"], rows[0]["last_at"]) == (NOW, NOW + 2 * DAY)
    assert rows[0]["expires_at"] == NOW + 32 * DAY


async def test_nothing_is_noted_of_a_fax_that_is_not_there_or_another_tenants(place: Place) -> None:
    fax = await place.add_fax()
    other = await add_tenant(place.gateway.database, "other")
    for tenant, each in ((place.tenant, new_id()), (other, fax)):
        async with place.gateway.database.tenant(tenant) as connection:
            await copies.note(connection, fax_id=each, kind="download", to="user:1", now=NOW)
    assert await place.count(table) == 0
