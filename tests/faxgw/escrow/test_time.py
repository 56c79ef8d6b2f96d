"""Requests end by themselves, are told of, and are forgotten; twenty years of it in a moment."""

from datetime import timedelta

from sqlalchemy import func, select

from faxgw.escrow.overdue import KEPT, end_requests
from faxgw.store.tables import escrow_answers, escrow_requests
from tests.faxgw.escrow.house import House, problem


async def count(house: House) -> int:
    async with house.gateway.database.dispatcher() as connection:
        return int((await connection.execute(select(func.count()).select_from(escrow_requests))).scalar_one())


async def test_a_request_ends_after_24_hours_whether_upkeep_ran_or_not(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    clock = house.rooms.clock
    end = clock.now + timedelta(hours=24)
    assert await end_requests(house.gateway, now=end - timedelta(seconds=1)) == 0
    clock.now = end
    house.admin_in.headers["authorization"] = (await house.rooms.sign_in(house.admin)).headers["authorization"]
    trustee = await house.rooms.sign_in(house.trustees[2])
    assert (await house.admin_in.get(url)).json()["state"] == "expired"
    assert problem(await trustee.post(f"{url}:approve")) == (409, "escrow.over")
    for each in ("open", "withdraw"):
        assert problem(await house.admin_in.post(f"{url}:{each}")) == (409, "escrow.over")
    assert await end_requests(house.gateway, now=end) == 1
    assert await end_requests(house.gateway, now=end) == 0
    async with house.gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(escrow_answers.c.blob))).scalars().all() == [None, None]
    assert (await house.told())[-1] == "escrow.ended"
    assert '"escrow.expired"' in (await house.logged())[-1]
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")


async def test_one_that_has_expired_does_not_keep_anybody_from_asking_again(house: House) -> None:
    await house.ready()
    house.rooms.clock.pass_(hours=25)
    house.admin_in.headers["authorization"] = (await house.rooms.sign_in(house.admin)).headers["authorization"]
    assert (await house.ask()).status_code == 201
    assert (await house.told())[-2:] == ["escrow.ended", "escrow.requested"]


async def test_what_was_asked_for_is_forgotten_after_some_months_and_the_log_goes_on_telling_of_it(
    house: House,
) -> None:
    url = await house.ready()
    await house.admin_in.post(f"{url}:withdraw")
    now = house.rooms.clock.now
    await end_requests(house.gateway, now=now + KEPT)
    assert await count(house) == 1
    await end_requests(house.gateway, now=now + timedelta(days=7300))
    assert await count(house) == 0
    assert any('"escrow.withdrawn"' in row for row in await house.logged())
