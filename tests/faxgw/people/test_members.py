"""Members of a tenant: invited, given roles, reset, deactivated; and that no reset opens or loses a fax."""

import asyncio
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.export import read_export
from faxgw.keys.wraps import PublicKey
from faxgw.setup import make_invitation, make_tenant, reset_person
from faxgw.store.tables import users, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_pages, add_person, drawn_page, now
from tests.faxgw.people.conftest import Clock, SignIn
from tests.faxgw.people.test_secrets import NEW, enrolled, post, with_page


async def signed_in(connect: Connect, email: str, password: str = NEW) -> Client:
    client = connect(None)
    begun = await post(client, "/v1/sessions", email=email, password=password)
    assert begun.status_code == 201, begun.text
    client.headers["authorization"] = f"Bearer {begun.json()['token']}"
    return client


async def reset(connect: Connect, by: Person, whom: Person, **more: Any) -> httpx.Response:
    """Have an admin reset somebody, who uses the code at once."""
    asked = await connect(by).post(f"/v1/users/{whom.user_id}:reset")
    assert asked.status_code == 201, asked.text
    return await post(connect(None), "/v1/people:set-up", set_up_code=asked.json()["set_up_code"], password=NEW, **more)


async def test_somebody_is_invited_comes_in_and_sends(owner: Person, connect: Connect, clock: Clock) -> None:
    invited = await post(connect(owner), "/v1/users", email="New@Example.com", role="member")
    assert invited.status_code == 201, invited.text
    assert (invited.json()["state"], invited.json()["email"]) == ("invited", "new@example.com")
    code = invited.json()["set_up_code"]
    joined = await post(connect(None), "/v1/people:set-up", set_up_code=code, password=NEW)
    assert joined.status_code == 201, joined.text
    assert joined.json()["recovery_code"]
    assert joined.json()["tenant"]["id"] == str(owner.tenant_id)
    mine = await signed_in(connect, "new@example.com")
    assert [each["name"] for each in (await mine.get("/v1/boxes")).json()["items"]] == ["new@example.com"]
    assert (await connect(owner).get(invited.headers["location"])).json()["state"] == "active"
    again = await post(connect(None), "/v1/people:set-up", set_up_code=code, password=NEW)
    assert (again.status_code, again.json()["code"]) == (422, "people.set_up_code")


async def test_what_came_before_an_invitation_was_taken_up_opens(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    invited = (await post(connect(owner), "/v1/users", email="new@example.com")).json()
    joined = await post(connect(None), "/v1/people:set-up", set_up_code=invited["set_up_code"], password=NEW)
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(users).where(users.c.id == UUID(invited["id"])))).mappings().one()
    # Sealed to the key that was there when they were invited: taking up the membership did not change it.
    mine = await signed_in(connect, "new@example.com")
    box = (await mine.get("/v1/boxes")).json()["items"][0]["id"]
    key = type("Key", (), {"public": PublicKey.from_octets(row["public_key"])})()
    person = Person(owner.tenant_id, row["id"], UUID(box), owner.key, key, row["person_id"], "", owner.recovery_code)
    assert (await mine.get(await with_page(gateway, person))).status_code == 200
    assert joined.json()["locked"] is False


async def test_an_invitation_does_not_say_whether_there_is_an_account_and_takes_its_password(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    there = await add_person(gateway)
    known = await post(connect(owner), "/v1/users", email=there.email)
    unknown = await post(connect(owner), "/v1/users", email="nobody@example.com")
    assert known.json().keys() == unknown.json().keys()
    assert {known.json()["state"], unknown.json()["state"]} == {"invited"}
    code = known.json()["set_up_code"]
    wrong = await post(connect(None), "/v1/people:set-up", set_up_code=code, password=NEW)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.failed")
    joined = await post(connect(None), "/v1/people:set-up", set_up_code=code, password=PASSWORD)
    assert (joined.status_code, joined.json()["recovery_code"]) == (201, None)
    mine = await signed_in(connect, there.email, PASSWORD)
    assert len((await mine.get("/v1/people/me")).json()["memberships"]) == 2


@pytest.mark.parametrize("how", ["forged", "mistyped", "over", "replaced"])
async def test_a_set_up_code_that_is_not_good_is_refused(
    owner: Person, connect: Connect, clock: Clock, how: str
) -> None:
    invited = await post(connect(owner), "/v1/users", email="new@example.com")
    code: str = invited.json()["set_up_code"]
    if how == "forged":
        code = "fgi_02zpzhXBMPiA20dMSmx9K7_0029sS3yqsuDyR1vGFhTuuRAq1b12YuO0"
    elif how == "mistyped":
        code = code[:-1]
    elif how == "over":
        clock.pass_(days=7)
    else:
        await connect(owner).post(f"{invited.headers['location']}:reset")
    refused = await post(connect(None), "/v1/people:set-up", set_up_code=code, password=NEW)
    assert (refused.status_code, refused.json()["code"]) == (422, "people.set_up_code")


async def test_only_owners_make_owners_and_members_manage_nobody(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    admin = await add_person(gateway, owner.tenant_id, role="admin")
    member = await add_person(gateway, owner.tenant_id, role="member")
    match = {"if-match": "*"}
    for who, method, path, body in (
        (admin, "POST", "/v1/users", {"email": "x@example.com", "role": "owner"}),
        (admin, "PUT", f"/v1/users/{admin.user_id}", {"role": "owner"}),
        (admin, "PUT", f"/v1/users/{owner.user_id}", {"role": "member"}),
        (admin, "DELETE", f"/v1/users/{owner.user_id}", None),
        (admin, "POST", f"/v1/users/{owner.user_id}:reset", None),
        (member, "GET", "/v1/users", None),
        (member, "POST", "/v1/users", {"email": "x@example.com"}),
        (member, "PUT", f"/v1/users/{member.user_id}", {"role": "owner"}),
    ):
        answer = await connect(who).request(method, path, headers=match, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.role"), (method, path)
    made = await connect(owner).put(f"/v1/users/{admin.user_id}", json={"role": "owner"}, headers=match)
    assert (made.status_code, made.json()["role"]) == (200, "owner")


async def test_a_tenant_always_has_an_owner(gateway: Gateway, owner: Person, connect: Connect, clock: Clock) -> None:
    mine, path, match = connect(owner), f"/v1/users/{owner.user_id}", {"if-match": "*"}
    for answer in (
        await mine.put(path, json={"role": "admin"}, headers=match),
        await mine.put(path, json={"role": "owner", "active": False}, headers=match),
        await mine.delete(path),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "user.last_owner")
    second = await add_person(gateway, owner.tenant_id)
    both = await asyncio.gather(
        mine.put(path, json={"role": "member"}, headers=match),
        connect(second).put(f"/v1/users/{second.user_id}", json={"role": "member"}, headers=match),
    )
    assert sorted(each.status_code for each in both) in ([200, 409], [200, 403])


async def test_who_is_deactivated_comes_in_no_more_and_neither_do_their_keys(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    content = await with_page(gateway, member)
    session, key = await sign_in(member), connect(member)
    assert (await key.get(content)).status_code == 200
    assert (await connect(owner).delete(f"/v1/users/{member.user_id}")).status_code == 204
    assert [(await each.get(content)).status_code for each in (session, key)] == [401, 401]
    await connect(owner).put(
        f"/v1/users/{member.user_id}", json={"role": "member", "active": True}, headers={"if-match": "*"}
    )
    assert (await key.get(content)).status_code == 200
    assert (await (await sign_in(member)).get(content)).status_code == 200


async def test_a_role_counts_from_the_next_request_on(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    admin = await add_person(gateway, owner.tenant_id, role="admin")
    session = await sign_in(admin)
    assert (await session.get("/v1/users")).status_code == 200
    path, match = f"/v1/users/{admin.user_id}", {"if-match": "*"}
    assert (await connect(owner).put(path, json={"role": "member"}, headers=match)).status_code == 200
    assert (await session.get("/v1/users")).status_code == 403


async def test_a_reset_with_the_recovery_code_keeps_everything_open(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    content = await with_page(gateway, member)
    wrong = await reset(connect, owner, member, recovery_code="000G4-0R40M-30E20-9185G-R38E1-W8124-GKVYR")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "people.recovery_code")
    done = await reset(connect, owner, member, recovery_code=member.recovery_code.text)
    assert (done.status_code, done.json()["locked"]) == (201, False)
    assert (await (await signed_in(connect, member.email)).get(content)).status_code == 200


@pytest.mark.parametrize("secret", ["recovery code", "password", "API key"])
async def test_a_reset_opens_nothing_and_any_older_secret_brings_everything_back(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock, secret: str
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    content = await with_page(gateway, member)
    asked = (await connect(owner).post(f"/v1/users/{member.user_id}:reset")).json()
    assert (asked["recovery_code"], asked["api_keys"]) == (True, 1)
    assert (await (await signed_in(connect, member.email, PASSWORD)).get(content)).status_code == 200
    done = await reset(connect, owner, member)
    assert (done.json()["locked"], "locked" in done.json()["detail"]) == (True, True)
    mine = await signed_in(connect, member.email)
    locked = await mine.get(content)
    assert (locked.status_code, locked.json()["code"]) == (423, "key.locked")
    assert (await mine.get("/v1/people/me")).json()["memberships"][0]["locked"] is True
    assert (await connect(member).get(content)).status_code == 200  # their API key opens as before
    assert (await post(mine, "/v1/me/keys:recover", secret="no")).json()["code"] == "key.secret"
    older = {"recovery code": member.recovery_code.text, "password": PASSWORD, "API key": member.key.text}[secret]
    back = await post(mine, "/v1/me/keys:recover", secret=older)
    assert back.json() == {"keys": 1, "objects": 0, "locked_keys": 0}
    assert (await mine.get(content)).status_code == 200
    again = await signed_in(connect, member.email)
    assert (await again.get(content)).status_code == 200


async def test_an_export_made_after_a_reset_opens_with_older_secrets(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock, tmp_path: Path
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    page_set = await add_pages(gateway, member, [drawn_page(1)])
    fax = f"/v1/faxes/{await add_fax(gateway, member, page_set_id=page_set)}"
    await reset(connect, owner, member)
    mine = await signed_in(connect, member.email)
    path = tmp_path / "page.faxgw"
    path.write_bytes((await mine.get(f"{fax}/pages/1/sealed")).content)
    exported = read_export(path)
    for secret in (PASSWORD, member.recovery_code.text, member.key.text):
        assert await exported.open(secret) == drawn_page(1).octets
    with pytest.raises(RequestError, match="does not open"):
        await exported.open(NEW)


async def test_an_export_opens_offline_with_each_secret_of_its_owner_and_no_other(
    gateway: Gateway, owner: Person, sign_in: SignIn, tmp_path: Path
) -> None:
    there = await add_person(gateway, email=owner.email)
    page_set = await add_pages(gateway, there, [drawn_page(1)])
    fax = f"/v1/faxes/{await add_fax(gateway, there, page_set_id=page_set)}"
    mine = await sign_in(owner, tenant=str(there.tenant_id))
    octets = (await mine.get(f"{fax}/pages/1/sealed")).content
    path = tmp_path / "page.faxgw"
    path.write_bytes(octets)
    for secret in (PASSWORD, owner.recovery_code.text, there.key.text):
        assert await read_export(path).open(secret) == drawn_page(1).octets
    for other in (owner.key.text, NEW):  # of another membership of the same person; of nobody
        with pytest.raises(RequestError, match="does not open"):
            await read_export(path).open(other)
    assert BytesIO(octets).read().find(b"session") == -1


async def test_who_has_no_older_secret_begins_anew_and_may_find_one_later(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    before = [await with_page(gateway, member) for _ in range(3)]
    await reset(connect, owner, member)
    mine = await signed_in(connect, member.email)
    assert (await post(mine, "/v1/me/keys:renew", password="no")).json()["code"] == "auth.failed"
    assert (await post(mine, "/v1/me/keys:renew", password=NEW)).status_code == 204
    assert (await post(mine, "/v1/me/keys:renew", password=NEW)).json()["code"] == "key.open"
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(users).where(users.c.id == member.user_id))).mappings().one()
    assert row["key_id"] != member.key_pair.public.key_id
    key = type("Key", (), {"public": PublicKey.from_octets(row["public_key"])})()
    ids = (member.tenant_id, member.user_id, member.box_id)
    after = await with_page(gateway, Person(*ids, member.key, key, member.person_id, "", member.recovery_code))
    assert (await mine.get(after)).status_code == 200
    assert (await mine.get(before[0])).status_code == 410
    assert (await connect(member).get(before[0])).status_code == 423
    back = await post(mine, "/v1/me/keys:recover", secret=member.recovery_code.text)
    assert back.json() == {"keys": 1, "objects": 3, "locked_keys": 0}
    assert {(await mine.get(each)).status_code for each in (*before, after)} == {200}
    async with gateway.database.dispatcher() as connection:
        assert set((await connection.execute(select(wraps.c.key_id))).scalars()) == {row["key_id"]}


async def test_a_second_reset_before_the_first_was_mended_loses_nothing(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    content = await with_page(gateway, member)
    await reset(connect, owner, member)
    await reset(connect, owner, member)
    mine = await signed_in(connect, member.email)
    assert (await post(mine, "/v1/me/keys:recover", secret=member.recovery_code.text)).json()["locked_keys"] == 0
    assert (await mine.get(content)).status_code == 200


@pytest.mark.requirement("XM-08")
async def test_an_admin_resets_nobody_who_belongs_elsewhere_too(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    there = await add_person(gateway, email=member.email)
    refused = await connect(owner).post(f"/v1/users/{member.user_id}:reset")
    assert (refused.status_code, refused.json()["code"]) == (409, "user.elsewhere")
    assert str(there.tenant_id) not in refused.text
    async with gateway.database.dispatcher() as connection:
        made = await reset_person(connection, gateway.server_keys, email=member.email, now=clock.now)
    done = await post(connect(None), "/v1/people:set-up", set_up_code=made["set_up_code"], password=NEW)
    assert done.json()["locked"] is True
    mine = await signed_in(connect, member.email)
    assert [each["locked"] for each in (await mine.get("/v1/people/me")).json()["memberships"]] == [True, True]
    back = await post(mine, "/v1/me/keys:recover", secret=PASSWORD)
    assert back.json() == {"keys": 2, "objects": 0, "locked_keys": 0}


async def test_a_reset_ends_the_second_factor_and_all_sessions(
    owner: Person, gateway: Gateway, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    session = await sign_in(member)
    await enrolled(session, clock)
    assert [each["second_factor"] for each in (await connect(owner).get("/v1/users")).json()["items"]] == [True, False]
    await reset(connect, owner, member)
    assert (await session.get("/v1/self")).status_code == 401
    await signed_in(connect, member.email)


async def test_the_operator_makes_a_second_tenant_for_an_owner_by_their_password(
    gateway: Gateway, connect: Connect, clock: Clock
) -> None:
    async def tenant(name: str, password: str) -> Any:
        async with gateway.database.dispatcher() as connection:
            return await make_tenant(
                connection, gateway.server_keys, name=name, email="Boss@example.com", password=password
            )

    first = await tenant("one", PASSWORD)
    second = await tenant("two", PASSWORD)
    assert (bool(first.recovery_code), second.recovery_code) == (True, "")
    with pytest.raises(RequestError, match="not its password"):
        await tenant("three", NEW)
    mine = await signed_in(connect, "boss@example.com", PASSWORD)
    memberships = (await mine.get("/v1/people/me")).json()["memberships"]
    assert [each["tenant"]["name"] for each in memberships] == ["one", "two"]


async def test_the_operator_invites_into_a_tenant_by_name(gateway: Gateway, owner: Person, connect: Connect) -> None:
    async with gateway.database.dispatcher() as connection:
        ids = {"tenant": f"tenant {owner.tenant_id}", "email": "b@example.com", "role": "admin"}
        made = await make_invitation(connection, gateway.server_keys, **ids, now=now())
        assert made["expires_at"] > (now() + timedelta(days=6)).isoformat()
        for wrong in ({"tenant": "none"}, {"role": "king"}, {"email": "b"}):
            with pytest.raises(RequestError) as refused:
                await make_invitation(connection, gateway.server_keys, **(ids | wrong), now=now())
            assert refused.value.code == "usage"
    joined = await post(connect(None), "/v1/people:set-up", set_up_code=made["set_up_code"], password=NEW)
    assert (joined.status_code, joined.json()["user"]) == (201, made["user"])
