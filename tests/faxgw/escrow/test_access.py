"""Emergency access from beginning to end: asked for, approved, opened for a time, and closed again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from faxgw.boxes.grants import end_expired
from faxgw.store.tables import escrow_answers, escrow_requests, grants
from tests.faxgw.api.people import add_person
from tests.faxgw.boxes.house import PAGE, give, received, set_policy
from tests.faxgw.escrow.house import WHY, House, problem


async def test_two_of_three_trustees_have_a_box_opened_for_whoever_asked_and_for_nobody_else(house: House) -> None:
    url = await house.ready()
    pending = (await house.admin_in.get(url)).json()
    assert (pending["state"], pending["reason"], pending["approved_by"]) == ("pending", WHY, [])
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")
    await house.approve(url, 0)
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.pending")
    await house.approve(url, 2)
    opened = await house.admin_in.post(f"{url}:open")
    assert opened.status_code == 200, opened.text
    assert (opened.json()["keys"], opened.json()["closed"]) == (1, 0)
    assert (await house.read(house.admin)).status_code == 200
    assert problem(await house.read(house.rooms.owner)) == (403, "access.not_yours")
    for each in house.trustees:
        assert problem(await house.read(each)) == (404, "fax.unknown")
    done = (await house.admin_in.get(url)).json()
    assert (done["state"], done["grant"]) == ("opened", opened.json()["grant"])
    assert done["approved_by"] == [str(house.trustees[each].user_id) for each in (0, 2)]
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.over")


async def test_what_was_opened_can_be_read_and_nothing_else_be_done_with_it(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    await house.admin_in.post(f"{url}:open")
    box = (await house.admin_in.get(f"/v1/boxes/{house.nurse.box_id}")).json()
    assert box["rights"] == ["read"]
    other = await add_person(house.gateway, house.admin.tenant_id, role="member")
    asked = {"user": str(other.user_id), "rights": ["read"]}
    refused = await house.admin_in.post(f"/v1/boxes/{house.nurse.box_id}/grants", json=asked)
    assert problem(refused) == (403, "access.not_yours")
    assert problem(await house.admin_in.post(f"/v1/boxes/{house.nurse.box_id}:rewrap")) == (403, "access.not_yours")


async def test_access_ends_at_its_time_and_the_key_that_went_with_it_opens_nothing_that_comes_later(
    house: House,
) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    opened = (await house.admin_in.post(f"{url}:open")).json()
    until = datetime.fromisoformat(opened["expires_at"])
    assert abs(until - house.rooms.clock.now - timedelta(hours=8)) < timedelta(seconds=1)
    async with house.gateway.database.tenant(house.admin.tenant_id) as connection:
        assert await end_expired(house.gateway, now=until - timedelta(seconds=1)) == 0
        await connection.execute(update(grants).values(expires_at=datetime.now(UTC)))
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")
    assert await end_expired(house.gateway, now=until) == 1
    keys = (await house.boss_in.get(f"/v1/boxes/{house.nurse.box_id}/keys")).json()
    assert [each["readers"] for each in keys["items"]] == [[str(house.nurse.user_id)]] * 2
    assert [each["escrow"] for each in keys["items"]] == [True, True]
    assert keys["escrow"] is True
    # Once it is over it can be asked for again, and opens what came under the new key, too.
    house = House(**{**vars(house), "fax": await received(house.gateway, house.nurse)})
    again = (await house.ask()).headers["location"]
    await house.approve(again, 1, 2)
    assert (await house.admin_in.post(f"{again}:open")).json()["keys"] == 2
    assert (await house.read(house.admin)).content == (await house.read(house.nurse)).content


async def test_the_boxs_owner_takes_the_access_back_at_once(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    grant = (await house.admin_in.post(f"{url}:open")).json()["grant"]
    nurse = house.rooms.connect(house.nurse)
    listed = (await nurse.get(f"/v1/boxes/{house.nurse.box_id}/grants")).json()["items"]
    assert [(each["id"], each["request"], each["state"]) for each in listed] == [(grant, url.split("/")[-1], "active")]
    assert (await nurse.delete(f"/v1/boxes/{house.nurse.box_id}/grants/{grant}")).status_code == 204
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")


async def test_escrow_goes_on_where_the_policy_suspends_delegation(house: House) -> None:
    friend = await add_person(house.gateway, house.admin.tenant_id, role="member")
    await give(house.rooms.connect(house.nurse), house.nurse.box_id, friend, "read")
    url = await house.ready()
    await set_policy(house.gateway, house.admin.tenant_id, allow_delegation=False)
    await house.approve(url, 0, 1)
    assert (await house.admin_in.post(f"{url}:open")).status_code == 200
    assert (await house.read(house.admin)).status_code == 200
    assert problem(await house.read(friend)) == (404, "fax.unknown")
    listed = (await house.rooms.connect(house.nurse).get(f"/v1/boxes/{house.nurse.box_id}/grants")).json()["items"]
    assert {each["user"]: each["state"] for each in listed} == {
        str(friend.user_id): "suspended_by_policy",
        str(house.admin.user_id): "active",
    }


async def test_whoever_asks_counts_for_nothing_even_as_a_trustee(house: House) -> None:
    await house.set_up(threshold=2, trustees=[house.admin, *house.trustees[:2]])
    await house.cover()
    url = (await house.ask()).headers["location"]
    assert problem(await house.admin_in.post(f"{url}:approve")) == (403, "escrow.own_request")
    assert problem(await house.admin_in.post(f"{url}:deny")) == (403, "escrow.own_request")
    await house.approve(url, 0)
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.pending")
    await house.approve(url, 1)
    assert (await house.admin_in.post(f"{url}:open")).status_code == 200


async def test_where_the_others_are_too_few_nobody_is_asked(house: House) -> None:
    await house.set_up(threshold=2, trustees=[house.admin, house.trustees[0]])
    await house.cover()
    assert problem(await house.ask()) == (409, "escrow.too_few")


async def test_an_answer_is_given_once_and_an_approval_can_be_taken_back_until_it_was_used(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    assert problem(await house.trustees_in[0].post(f"{url}:approve")) == (409, "escrow.answered")
    taken_back = await house.trustees_in[0].post(f"{url}:deny")
    assert (taken_back.json()["state"], taken_back.json()["approved_by"]) == (
        "pending",
        [str(house.trustees[1].user_id)],
    )
    assert problem(await house.trustees_in[0].post(f"{url}:deny")) == (409, "escrow.answered")
    assert problem(await house.trustees_in[0].post(f"{url}:approve")) == (409, "escrow.answered")
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.pending")
    await house.approve(url, 2)
    assert (await house.admin_in.post(f"{url}:open")).status_code == 200
    assert problem(await house.trustees_in[1].post(f"{url}:deny")) == (409, "escrow.over")


async def test_a_request_that_too_few_could_still_approve_is_over(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0)
    assert (await house.trustees_in[1].post(f"{url}:deny")).json()["state"] == "pending"
    assert (await house.trustees_in[2].post(f"{url}:deny")).json()["state"] == "denied"
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.over")
    assert await _blobs(house) == [None, None, None]


async def test_a_request_is_taken_back_by_whoever_made_it_only(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0)
    assert problem(await house.boss_in.post(f"{url}:withdraw")) == (403, "access.not_yours")
    assert problem(await house.boss_in.post(f"{url}:open")) == (403, "access.not_yours")
    assert (await house.admin_in.post(f"{url}:withdraw")).json()["state"] == "withdrawn"
    for each in ("open", "withdraw"):
        assert problem(await house.admin_in.post(f"{url}:{each}")) == (409, "escrow.over")
    assert problem(await house.trustees_in[1].post(f"{url}:approve")) == (409, "escrow.over")
    assert await _blobs(house) == [None]
    assert (await house.ask()).status_code == 201


async def test_nobody_asks_twice_at_once_nor_for_what_they_read_already(house: House) -> None:
    await house.ready()
    assert problem(await house.ask()) == (409, "escrow.exists")
    assert problem(await house.ask(box=str(house.admin.box_id))) == (409, "escrow.needless")
    for right in ("read", "send"):
        await give(house.rooms.connect(house.nurse), house.nurse.box_id, house.rooms.owner, right)
        assert problem(await house.ask(house.boss_in)) == (409, "escrow.needless")


async def test_members_and_api_keys_ask_for_nothing(house: House) -> None:
    await house.set_up()
    await house.cover()
    assert problem(await house.ask(house.trustees_in[0])) == (403, "access.role")
    assert problem(await house.ask(house.rooms.connect(house.admin))) == (403, "access.session")


async def test_a_box_that_nobody_has_covered_yet_cannot_be_asked_for(house: House) -> None:
    assert problem(await house.ask()) == (409, "escrow.off")
    await house.set_up()
    assert problem(await house.ask()) == (409, "escrow.not_covered")
    await house.cover()
    assert (await house.ask()).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"), [("hours", 73), ("hours", 0), ("reason", "because"), ("ground", "curiosity"), ("box", "mine")]
)
async def test_what_is_asked_for_has_limits(house: House, field: str, value: Any) -> None:
    assert problem(await house.ask(**{field: value})) == (400, "request.invalid")


async def test_a_page_that_came_by_the_escrow_is_the_page(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    await house.admin_in.post(f"{url}:open")
    async with house.gateway.database.tenant(house.admin.tenant_id) as connection:
        assert (await connection.execute(select(escrow_requests.c.state))).scalars().all() == ["opened"]
    sealed = await house.rooms.connect(house.admin).get(f"/v1/faxes/{house.fax}/pages/1/sealed")
    assert sealed.status_code == 200
    assert PAGE.octets not in sealed.content
    assert await _blobs(house) == [None, None]


async def _blobs(house: House) -> list[bytes | None]:
    async with house.gateway.database.tenant(house.admin.tenant_id) as connection:
        return list((await connection.execute(select(escrow_answers.c.blob))).scalars())
