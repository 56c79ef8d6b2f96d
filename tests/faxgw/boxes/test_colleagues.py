"""Who may share a box finds a colleague by their whole address; nobody is shown all of them."""

from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from faxgw.api.call import LOOK_UPS
from faxgw.api.throttle import Buckets
from faxgw.gateway import Gateway
from faxgw.store.tables import users
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.boxes.house import give, set_policy

FIND = "/v1/colleagues:find"


@pytest.mark.requirement("XM-03")
async def test_a_member_finds_a_colleague_by_their_address_and_gives_them_rights(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    friend = await add_person(gateway, owner.tenant_id, role="member")
    mine = connect(member)
    found = await mine.post(FIND, json={"email": f" {friend.email.upper()} "})
    assert found.json() == {"id": str(friend.user_id), "email": friend.email, "role": "member"}
    assert (await give(mine, member.box_id, friend, "read"))["user"] == found.json()["id"]


async def test_only_a_whole_address_of_an_active_member_is_found(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    gone = await add_person(gateway, owner.tenant_id, role="member")
    invited = (await client.post("/v1/users", json={"email": "new@example.com"})).json()["email"]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        out = update(users).where(users.c.id == gone.user_id).values(deactivated_at=datetime.now(UTC))
        await connection.execute(out)
    answers = set()
    for address in (gone.email, invited, owner.email[1:], owner.email.replace("e", "_"), "%@%", "nobody@example.com"):
        answer = await client.post(FIND, json={"email": address})
        answers.add((answer.status_code, answer.text))
    assert [(status, '"user.unknown"' in text) for status, text in answers] == [(404, True)]
    for malformed in ("", "example.com"):
        assert (await client.post(FIND, json={"email": malformed})).json()["code"] == "people.email"


async def test_so_many_are_looked_up_in_a_minute_whatever_keys_a_member_has(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    clock = 0.0
    app.state.api.look_ups = Buckets(LOOK_UPS, 60.0, lambda: clock)
    other = connect(await add_person(gateway, owner.tenant_id, role="member"))
    mine = connect(owner)
    asked = [await mine.post(FIND, json={"email": f"{number}@example.com"}) for number in range(LOOK_UPS + 1)]
    assert [each.status_code for each in asked] == [404] * LOOK_UPS + [429]
    assert (asked[-1].json()["code"], asked[-1].headers["retry-after"]) == ("rate.limited", "4")
    assert (await mine.post(FIND, json={"email": owner.email})).status_code == 429
    clock = 3.0
    assert (await mine.post(FIND, json={"email": owner.email})).status_code == 200
    assert (await mine.post(FIND, json={"email": owner.email})).status_code == 429
    assert (await other.post(FIND, json={"email": owner.email})).status_code == 200


@pytest.mark.requirement("XM-05")
async def test_where_the_policy_lets_nobody_give_rights_nobody_is_looked_up(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    await set_policy(gateway, owner.tenant_id, allow_delegation=False)
    answer = await client.post(FIND, json={"email": owner.email})
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.denied")
