"""Passwords, recovery codes and second factors: what each opens, and that none is a way around another."""

import asyncio
import time
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from faxgw.gateway import Gateway
from faxgw.keys.slots import Password
from faxgw.store.tables import person_slots, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_pages, add_person, drawn_page
from tests.faxgw.people.conftest import Clock, SignIn

NEW = "a wholly other password"


async def post(client: Client, path: str, **body: Any) -> httpx.Response:
    return await client.post(path, json=body)


async def enrolled(client: Client, clock: Clock) -> pyotp.TOTP:
    """Set up a second factor, and return the authenticator."""
    made = await post(client, "/v1/me/totp", password=PASSWORD)
    assert made.status_code == 201, made.text
    authenticator = pyotp.parse_uri(made.json()["uri"])
    assert isinstance(authenticator, pyotp.TOTP)
    assert authenticator.secret == made.json()["secret"]
    confirmed = await post(client, "/v1/me/totp:confirm", code=authenticator.at(clock.now))
    assert confirmed.status_code == 204, confirmed.text
    return authenticator


async def with_page(gateway: Gateway, person: Person) -> str:
    page_set = await add_pages(gateway, person, [drawn_page(1)])
    return f"/v1/faxes/{await add_fax(gateway, person, page_set_id=page_set)}/content"


async def rows_of(gateway: Gateway, table: Any, *but: str) -> list[Any]:
    async with gateway.database.dispatcher() as connection:
        rows = (await connection.execute(select(table))).mappings()
        return [{name: value for name, value in row.items() if name not in but} for row in rows]


async def test_a_new_password_rewrites_one_slot_and_no_data(gateway: Gateway, owner: Person, sign_in: SignIn) -> None:
    content = await with_page(gateway, owner)
    mine, elsewhere = await sign_in(owner), await sign_in(owner)
    before = {each["id"]: each["kind"] for each in await rows_of(gateway, person_slots)}
    sealed = await rows_of(gateway, wraps)
    changed = await post(mine, "/v1/me/password", old=PASSWORD, new=NEW)
    assert changed.status_code == 204, changed.text
    assert await rows_of(gateway, wraps) == sealed
    after = {each["id"]: each["kind"] for each in await rows_of(gateway, person_slots)}
    gone = sorted(before[each] for each in before.keys() - after.keys())
    assert (gone, [after[each] for each in after.keys() - before.keys()]) == (["password", "session"], ["password"])
    assert (await mine.get(content)).status_code == 200
    assert (await elsewhere.get("/v1/self")).status_code == 401
    assert (await (await sign_in(owner, NEW)).get(content)).status_code == 200


async def test_a_wrong_old_password_changes_nothing(owner: Person, sign_in: SignIn) -> None:
    mine = await sign_in(owner)
    refused = await post(mine, "/v1/me/password", old="no", new=NEW)
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.failed")
    short = await post(mine, "/v1/me/password", old=PASSWORD, new="short")
    assert (short.status_code, short.json()["code"]) == (422, "people.password")
    await sign_in(owner)


async def test_the_recovery_code_sets_a_new_password_and_is_replaced(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    content = await with_page(gateway, owner)
    other = await sign_in(owner)
    asked = {"email": owner.email, "recovery_code": owner.recovery_code.text.lower(), "new_password": NEW}
    recovered = await post(connect(None), "/v1/sessions:recover", **asked)
    assert recovered.status_code == 201, recovered.text
    assert (recovered.json()["locked_keys"], len(recovered.json()["recovery_code"])) == (0, 41)
    bearer = {"authorization": f"Bearer {recovered.json()['token']}"}
    assert (await connect(None).get(content, headers=bearer)).status_code == 200
    assert (await other.get("/v1/self")).status_code == 401
    old = await post(connect(None), "/v1/sessions", email=owner.email, password=PASSWORD)
    again = await post(connect(None), "/v1/sessions:recover", **asked)
    assert (old.json()["code"], again.json()["code"]) == ("auth.failed", "auth.failed")
    asked["recovery_code"] = recovered.json()["recovery_code"]
    assert (await post(connect(None), "/v1/sessions:recover", **asked)).status_code == 201


async def test_a_wrong_recovery_code_is_answered_as_for_an_address_without_account(
    owner: Person, connect: Connect, clock: Clock
) -> None:
    client = connect(None)
    code = "000G4-0R40M-30E20-9185G-R38E1-W8124-GKVYR"
    asked = {"recovery_code": code, "new_password": NEW}
    wrong = await post(client, "/v1/sessions:recover", email=owner.email, **asked)
    unknown = await post(client, "/v1/sessions:recover", email="nobody@example.com", **asked)
    mistyped = await post(client, "/v1/sessions:recover", email=owner.email, **(asked | {"recovery_code": "x"}))
    assert wrong.status_code == 401
    assert wrong.content == unknown.content == mistyped.content


async def test_a_password_is_stretched_whether_there_is_an_account_or_not(
    app: FastAPI, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    mine = await sign_in(owner)
    app.state.api.door.password = Password  # at the full cost
    await post(mine, "/v1/me/password", old=PASSWORD, new=NEW)
    spent = []
    for email in (owner.email, "nobody@example.com"):
        began = time.process_time()
        await post(connect(None), "/v1/sessions", email=email, password="no")
        spent.append(time.process_time() - began)
    assert 0.5 < spent[0] / spent[1] < 2, spent


async def test_a_renewed_recovery_code_puts_an_end_to_the_old_one(
    owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    mine = await sign_in(owner)
    renewed = await post(mine, "/v1/me/recovery-code", password=PASSWORD)
    asked = {"email": owner.email, "new_password": NEW}
    old = await post(connect(None), "/v1/sessions:recover", **asked, recovery_code=owner.recovery_code.text)
    assert old.json()["code"] == "auth.failed"
    new = await post(connect(None), "/v1/sessions:recover", **asked, recovery_code=renewed.json()["recovery_code"])
    assert new.status_code == 201


async def test_a_second_factor_is_asked_for_and_each_code_taken_once(
    owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    authenticator = await enrolled(await sign_in(owner), clock)
    client, asked = connect(None), {"email": owner.email, "password": PASSWORD}
    assert (await post(client, "/v1/sessions", **asked)).json()["code"] == "auth.code_needed"
    replayed = await post(client, "/v1/sessions", **asked, code=authenticator.at(clock.now))
    assert (replayed.status_code, replayed.json()["code"]) == (401, "auth.code_wrong")
    clock.pass_(seconds=30)
    code = authenticator.at(clock.now)
    assert (await post(client, "/v1/sessions", **asked, code=code)).status_code == 201
    for wrong in (code, authenticator.at(clock.now, counter_offset=-1), "000000", "x"):
        refused = await post(client, "/v1/sessions", **asked, code=wrong)
        assert refused.json()["code"] == "auth.code_wrong", wrong
    clock.pass_(minutes=10)
    wrong_password = await post(client, "/v1/sessions", email=owner.email, password="no", code=code)
    assert wrong_password.json()["code"] == "auth.failed"


async def test_a_code_given_twice_at_once_lets_one_in(
    owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    authenticator = await enrolled(await sign_in(owner), clock)
    clock.pass_(seconds=60)
    asked = {"email": owner.email, "password": PASSWORD, "code": authenticator.at(clock.now)}
    answers = await asyncio.gather(*(post(connect(None), "/v1/sessions", **asked) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [201, 401, 401, 401]


async def test_a_second_factor_counts_from_its_first_code_on(owner: Person, sign_in: SignIn, clock: Clock) -> None:
    mine = await sign_in(owner)
    none = await post(mine, "/v1/me/totp:confirm", code="123456")
    assert none.json()["code"] == "people.no_code"
    await post(mine, "/v1/me/totp", password=PASSWORD)
    assert (await post(mine, "/v1/me/totp:confirm", code="000000")).json()["code"] == "auth.code_wrong"
    assert (await (await sign_in(owner)).get("/v1/people/me")).json()["second_factor"] is False
    assert (await post(mine, "/v1/me/totp", password="no")).json()["code"] == "auth.failed"


async def test_the_recovery_code_stands_in_for_a_lost_authenticator_once(
    owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    await enrolled(await sign_in(owner), clock)
    client, asked = connect(None), {"email": owner.email, "password": PASSWORD}
    wrong = await post(client, "/v1/sessions", **asked, recovery_code="000G4-0R40M-30E20-9185G-R38E1-W8124-GKVYR")
    assert wrong.json()["code"] == "auth.failed"
    used = await post(client, "/v1/sessions", **asked, recovery_code=owner.recovery_code.text)
    assert used.status_code == 201, used.text
    assert used.json()["recovery_code"] not in (None, owner.recovery_code.text)
    assert (await post(client, "/v1/sessions", **asked)).status_code == 201
    recovered = {"email": owner.email, "new_password": NEW, "recovery_code": owner.recovery_code.text}
    assert (await post(client, "/v1/sessions:recover", **recovered)).json()["code"] == "auth.failed"


async def test_the_recovery_code_alone_does_not_get_past_a_second_factor(
    owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    authenticator = await enrolled(await sign_in(owner), clock)
    clock.pass_(seconds=30)
    asked = {"email": owner.email, "new_password": NEW, "recovery_code": owner.recovery_code.text}
    assert (await post(connect(None), "/v1/sessions:recover", **asked)).json()["code"] == "auth.code_needed"
    await sign_in(owner, code=authenticator.at(clock.now))
    clock.pass_(seconds=30)
    with_code = await post(connect(None), "/v1/sessions:recover", **asked, code=authenticator.at(clock.now))
    assert with_code.status_code == 201


async def test_a_second_factor_is_removed_by_password_and_code(owner: Person, sign_in: SignIn, clock: Clock) -> None:
    mine = await sign_in(owner)
    authenticator = await enrolled(mine, clock)
    clock.pass_(seconds=30)
    refused = await post(mine, "/v1/me/totp:remove", password=PASSWORD, code="000000")
    assert refused.json()["code"] == "auth.code_wrong"
    gone = await post(mine, "/v1/me/totp:remove", password=PASSWORD, code=authenticator.at(clock.now))
    assert gone.status_code == 204, gone.text
    await sign_in(owner)


async def test_where_the_tenant_requires_a_second_factor_nothing_else_can_be_done_without(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    await connect(owner).put("/v1/policy", json={"require_second_factor": True}, headers={"if-match": "*"})
    mine = await sign_in(owner)
    for path in ("/v1/faxes", "/v1/policy", "/v1/boxes", "/v1/users"):
        refused = await mine.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.second_factor"), path
    assert (await mine.get("/v1/people/me")).status_code == 200
    await enrolled(mine, clock)
    assert (await mine.get("/v1/faxes")).status_code == 200
    elsewhere = await sign_in(await add_person(gateway))
    assert (await elsewhere.get("/v1/faxes")).status_code == 200


@pytest.mark.requirement("FP-08")
async def test_two_people_have_keys_of_their_own_and_one_without_slots_is_alone_locked_out(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    other = await add_person(gateway, owner.tenant_id, role="member")
    contents = {each: await with_page(gateway, each) for each in (owner, other)}
    signed_in = {each: await sign_in(each) for each in (owner, other)}
    sealed = {each["key_id"] for each in await rows_of(gateway, wraps)}
    assert sealed == {owner.key_pair.public.key_id, other.key_pair.public.key_id}
    async with gateway.database.dispatcher() as connection:
        await connection.execute(person_slots.delete().where(person_slots.c.person_id == owner.person_id))
    assert (await signed_in[owner].get(contents[owner])).status_code in (401, 423)
    refused = await post(connect(None), "/v1/sessions", email=owner.email, password=PASSWORD)
    assert refused.json()["code"] == "auth.failed"
    assert (await signed_in[other].get(contents[other])).status_code == 200
