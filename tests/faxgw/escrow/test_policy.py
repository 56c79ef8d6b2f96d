"""The escrow's policy: off until an owner says otherwise, seen by everybody, and shredded when it changes."""

import json
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from faxgw.boxes.keys import sealing_key
from faxgw.store.tables import escrow_shares, events
from tests.faxgw.api.conftest import Connect
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.boxes.house import received
from tests.faxgw.escrow.house import WHY, House, problem
from tests.faxgw.people.test_members import reset, signed_in
from tests.faxgw.people.test_secrets import NEW


async def test_there_is_none_until_an_owner_says_so_and_nothing_is_split(house: House) -> None:
    said = (await house.trustees_in[0].get("/v1/escrow")).json()
    assert (said["on"], said["trustees"], said["boxes_covered"], said["boxes_waiting"]) == (False, [], 0, 0)
    await house.cover()
    assert await house.shares() == 0
    nurse = house.rooms.connect(house.nurse)
    assert (await nurse.get(f"/v1/boxes/{house.nurse.box_id}")).json()["escrow"] is False
    assert (await house.boss_in.get("/v1/policy")).json()["escrow"] is None
    assert problem(await nurse.post(f"/v1/boxes/{house.nurse.box_id}:escrow")) == (409, "escrow.off")
    assert problem(await house.boss_in.delete("/v1/escrow")) == (409, "escrow.off")


async def test_every_member_sees_that_there_is_one_who_the_trustees_are_and_which_boxes_it_opens(house: House) -> None:
    await house.set_up(threshold=2)
    nurse, box = house.rooms.connect(house.nurse), f"/v1/boxes/{house.nurse.box_id}"
    said = (await nurse.get("/v1/escrow")).json()
    assert (said["on"], said["threshold"], said["able"]) == (True, 2, True)
    assert {each["email"] for each in said["trustees"]} == {each.email for each in house.trustees}
    assert {each["state"] for each in said["trustees"]} == {"ready"}
    assert (said["boxes_covered"], said["boxes_waiting"]) == (0, 1)
    assert datetime.fromisoformat(said["since"]) == house.rooms.clock.now
    assert (await nurse.get(box)).json()["escrow"] is False
    await house.cover()
    said = (await nurse.get("/v1/escrow")).json()
    assert (said["boxes_covered"], said["boxes_waiting"]) == (1, 0)
    assert (await nurse.get(box)).json()["escrow"] is True
    assert (await nurse.get(f"{box}/keys")).json()["escrow"] is True
    policy = (await house.boss_in.get("/v1/policy")).json()
    assert policy["escrow"]["threshold"] == 2
    assert set(policy["escrow"]["trustees"]) == {each.email for each in house.trustees}


async def test_the_policy_is_sent_back_as_it_was_read_and_does_not_change_the_escrow(house: House) -> None:
    await house.set_up()
    policy = (await house.boss_in.get("/v1/policy")).json()
    match = {"if-match": "*"}
    changed = policy | {"allow_forwarding": False}
    assert (await house.boss_in.put("/v1/policy", json=changed, headers=match)).json() == changed
    assert (await house.boss_in.post("/v1/policy:preview", json=policy)).status_code == 200
    for other in (None, policy["escrow"] | {"threshold": 3}):
        asked = policy | {"escrow": other}
        assert problem(await house.boss_in.put("/v1/policy", json=asked, headers=match)) == (422, "policy.invalid")
    del policy["escrow"]
    assert (await house.boss_in.put("/v1/policy", json=policy, headers=match)).json()["escrow"]["threshold"] == 2


async def test_keys_that_are_made_later_are_split_as_they_are_made(house: House) -> None:
    await house.set_up()
    await house.cover()
    assert await house.shares() == 3
    nurse, box = house.rooms.connect(house.nurse), f"/v1/boxes/{house.nurse.box_id}"
    assert (await nurse.post(f"{box}:rotate")).status_code == 204
    assert [each["escrow"] for each in (await nurse.get(f"{box}/keys")).json()["items"]] == [True, True]
    friend = await add_person(house.gateway, house.nurse.tenant_id, role="member")
    await received(house.gateway, friend)
    assert await house.shares() == 9
    assert (await nurse.get("/v1/escrow")).json()["boxes_waiting"] == 0


async def test_a_box_is_covered_when_it_is_asked_for_by_somebody_who_holds_its_keys(house: House) -> None:
    await house.set_up()
    nurse, url = house.rooms.connect(house.nurse), f"/v1/boxes/{house.nurse.box_id}:escrow"
    assert problem(await house.boss_in.post(url)) == (403, "access.not_yours")
    assert problem(await house.trustees_in[0].post(url)) == (404, "box.unknown")
    assert (await nurse.post(url)).json() == {"covered": 1, "left": 0}
    assert (await nurse.post(url)).json() == {"covered": 0, "left": 0}


async def test_a_change_of_trustees_deletes_all_shares_and_ends_what_was_asked_for(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0)
    same = await house.set_up()
    assert (await house.admin_in.get(url)).json()["state"] == "pending"
    assert await house.shares() == 3
    other = await house.set_up(trustees=house.trustees[:2])
    assert other["since"] == same["since"] or other["boxes_waiting"] == 1
    assert await house.shares() == 0
    assert (await house.admin_in.get(url)).json()["state"] == "void"
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.over")
    assert problem(await house.trustees_in[1].post(f"{url}:approve")) == (404, "escrow.unknown")
    await house.cover()
    assert await house.shares() == 2


async def test_without_escrow_again_nothing_is_left_of_it(house: House) -> None:
    url = await house.ready()
    assert (await house.boss_in.delete("/v1/escrow")).status_code == 204
    assert await house.shares() == 0
    assert (await house.admin_in.get("/v1/escrow")).json()["on"] is False
    assert problem(await house.admin_in.post(f"{url}:open")) == (409, "escrow.over")
    await house.cover()
    assert await house.shares() == 0


async def test_only_an_owner_who_is_signed_in_sets_it_up(house: House) -> None:
    asked = {"trustees": [str(each.user_id) for each in house.trustees], "threshold": 2}
    for client, code in (
        (house.admin_in, "access.role"),
        (house.trustees_in[0], "access.role"),
        (house.rooms.connect(house.rooms.owner), "access.session"),
    ):
        assert problem(await client.put("/v1/escrow", json=asked)) == (403, code)
        assert problem(await client.delete("/v1/escrow")) == (403, code)


async def test_trustees_are_different_active_members_of_the_tenant_and_at_least_two_of_them_decide(
    house: House,
) -> None:
    stranger = await add_person(house.gateway)
    invited = (await house.boss_in.post("/v1/users", json={"email": "new@example.com"})).json()["id"]
    one, two, three = (str(each.user_id) for each in house.trustees)
    for trustees, threshold, expected in (
        ([one, two, three], 4, (422, "escrow.threshold")),
        ([one, one, two], 2, (422, "escrow.threshold")),
        ([one, two, three], 1, (400, "request.invalid")),
        ([one], 2, (400, "request.invalid")),
        ([one, str(stranger.user_id)], 2, (404, "user.unknown")),
        ([one, str(uuid4())], 2, (404, "user.unknown")),
        ([one, invited], 2, (404, "user.unknown")),
    ):
        asked = {"trustees": trustees, "threshold": threshold}
        assert problem(await house.boss_in.put("/v1/escrow", json=asked)) == expected, (trustees, threshold)
    assert (await house.boss_in.get("/v1/escrow")).json()["on"] is False


async def test_the_shares_of_a_trustee_who_leaves_are_deleted_and_too_few_that_are_left_are_told(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0)
    assert (await house.boss_in.delete(f"/v1/users/{house.trustees[0].user_id}")).status_code == 204
    said = (await house.admin_in.get("/v1/escrow")).json()
    assert (len(said["trustees"]), said["able"]) == (2, True)
    assert await house.shares() == 2
    assert (await house.admin_in.get(url)).json()["approved_by"] == []
    assert (await house.boss_in.delete(f"/v1/users/{house.trustees[1].user_id}")).status_code == 204
    said = (await house.admin_in.get("/v1/escrow")).json()
    assert (len(said["trustees"]), said["able"]) == (1, False)
    assert "nothing can be opened" in said["detail"]
    assert problem(await house.ask(house.boss_in)) == (409, "escrow.too_few")
    # What can be split among too few is not split at all.
    nurse, box = house.rooms.connect(house.nurse), f"/v1/boxes/{house.nurse.box_id}"
    await nurse.post(f"{box}:rotate")
    assert [each["escrow"] for each in (await nurse.get(f"{box}/keys")).json()["items"]] == [False, True]
    # Whoever comes back is no trustee by that.
    match = {"if-match": "*"}
    asked = {"role": "member", "active": True}
    await house.boss_in.put(f"/v1/users/{house.trustees[0].user_id}", json=asked, headers=match)
    assert len((await house.admin_in.get("/v1/escrow")).json()["trustees"]) == 1


async def test_a_reset_locks_a_trustees_shares_and_an_older_secret_unlocks_them(house: House, connect: Connect) -> None:
    url = await house.ready()
    trustee = house.trustees[0]
    assert (await reset(connect, house.rooms.owner, trustee)).status_code == 201
    states = {each["user"]: each["state"] for each in (await house.admin_in.get("/v1/escrow")).json()["trustees"]}
    assert states[str(trustee.user_id)] == "locked"
    # Whoever has used the code gets a new key, which opens no share, of older keys or of ones that are made now.
    new = await signed_in(connect, trustee.email)
    assert problem(await new.post(f"{url}:approve")) == (423, "key.locked")
    assert (await new.post("/v1/me/keys:renew", json={"password": NEW})).status_code == 204
    await house.rooms.connect(house.nurse).post(f"/v1/boxes/{house.nurse.box_id}:rotate")
    assert problem(await new.post(f"{url}:approve")) == (423, "key.locked")
    given = await new.post("/v1/me/keys:recover", json={"secret": trustee.recovery_code.text})
    assert given.status_code == 200, given.text
    states = {each["user"]: each["state"] for each in (await house.admin_in.get("/v1/escrow")).json()["trustees"]}
    assert states[str(trustee.user_id)] == "ready"
    await house.approve(url, 1)
    assert (await new.post(f"{url}:approve")).status_code == 200
    assert (await house.admin_in.post(f"{url}:open")).json()["keys"] == 2
    assert (await house.read(house.admin)).status_code == 200


async def test_what_happens_is_told_to_those_whom_it_concerns_and_to_nobody_else(house: House) -> None:
    bystander = await house.rooms.sign_in(await add_person(house.gateway, house.nurse.tenant_id, role="member"))
    url = await house.ready()
    await house.approve(url, 0, 1)
    await house.admin_in.post(f"{url}:open")
    expected = ["escrow.changed", "escrow.requested", *["escrow.approved"] * 2, "escrow.opened"]
    assert await house.told() == expected
    listed = {"accept": "application/json"}
    nurse = house.rooms.connect(house.nurse)
    for client, seen in (
        (nurse, expected),
        (house.trustees_in[2], expected),
        (house.boss_in, expected),
        (bystander, expected[:1]),
    ):
        items = (await client.get("/v1/events", headers=listed)).json()["items"]
        assert [each["type"] for each in items if each["type"].startswith("escrow.")] == seen
    requests = "/v1/escrow/requests"
    for client in (nurse, house.trustees_in[2], house.boss_in):
        assert [each["reason"] for each in (await client.get(requests)).json()["items"]] == [WHY]
    assert (await bystander.get(requests)).json()["items"] == []
    for each in ("", ":approve", ":deny", ":withdraw"):
        answer = await (bystander.post(f"{url}{each}") if each else bystander.get(url))
        assert problem(answer) == (404, "escrow.unknown")
    assert problem(await (await house.rooms.sign_in(house.nurse)).post(f"{url}:approve")) == (404, "escrow.unknown")


async def test_the_audit_log_has_who_what_and_why_and_no_word_of_the_reason(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    opened = (await house.admin_in.post(f"{url}:open")).json()
    await house.boss_in.delete("/v1/escrow")
    rows = [json.loads(each) for each in await house.logged()]
    assert [row["action"] for row in rows] == [
        "escrow.changed",
        "box.escrowed",
        "escrow.requested",
        "escrow.approved",
        "escrow.approved",
        "escrow.opened",
        "escrow.changed",
    ]
    asked = rows[2]
    assert (asked["actor"], asked["object_id"]) == (f"user:{house.admin.user_id}", url.split("/")[-1])
    assert (asked["data"]["ground"], asked["data"]["hours"], asked["data"]["box"]) == (
        "illness",
        8,
        str(house.nurse.box_id),
    )
    assert asked["data"]["note"] not in ("", WHY)
    assert [row["actor"] for row in rows[3:5]] == [f"user:{each.user_id}" for each in house.trustees[:2]]
    assert rows[5]["data"]["grant"] == opened["grant"]
    assert rows[0]["data"]["old"] is None
    assert rows[6]["data"]["new"] is None
    assert rows[0]["data"]["new"] == rows[6]["data"]["old"]
    assert sorted(rows[0]["data"]["new"]["trustees"]) == sorted(str(each.user_id) for each in house.trustees)
    assert not [row for row in rows if "hospital" in json.dumps(row) or "@" in json.dumps(row)]


async def test_no_event_and_no_row_has_the_reason_in_clear(house: House) -> None:
    await house.ready()
    async with house.gateway.database.dispatcher() as connection:
        told = (await connection.execute(select(events.c.data))).scalars().all()
    assert not [each for each in told if "hospital" in json.dumps(each)]


@pytest.mark.parametrize("tries", [8])
async def test_readers_who_open_a_box_at_once_split_its_key_once(house: House, tries: int) -> None:
    import asyncio  # noqa: PLC0415

    await house.set_up()
    answers = await asyncio.gather(*(house.read(house.nurse) for _ in range(tries)))
    assert {each.status_code for each in answers} == {200}
    assert await house.shares() == 3


async def test_trustees_of_one_tenant_are_nothing_in_another(house: House, owner: Person) -> None:
    await house.set_up()
    stranger = await add_person(house.gateway)
    async with house.gateway.database.tenant(stranger.tenant_id) as connection:
        await sealing_key(connection, stranger.box_id)
    assert await house.shares() == 0
    assert (await house.rooms.connect(stranger).get("/v1/escrow")).json()["on"] is False
    async with house.gateway.database.dispatcher() as connection:
        whose = set((await connection.execute(select(escrow_shares.c.tenant_id))).scalars())
    assert whose <= {UUID(str(owner.tenant_id))}
