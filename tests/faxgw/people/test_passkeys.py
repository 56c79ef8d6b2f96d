"""Passkeys: who has one comes in, and opens what is theirs if it has a secret to open it with; nobody else does."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select, update

from faxgw.api import create_app
from faxgw.config import Config
from faxgw.config.model import ApiSettings, PeopleSettings
from faxgw.gateway import Gateway
from faxgw.keys.slots import PasskeySecret, Slot, WrongSecret, open_slot
from faxgw.keys.wraps import PublicKey
from faxgw.people.challenges import forget_spent
from faxgw.people.ways import ways_to
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import audit_waiting, passkeys, person_slots, sign_in_failures, spent_challenges
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_pages, add_person, drawn_page
from tests.faxgw.people.authenticator import Authenticator, octets
from tests.faxgw.people.conftest import Clock, SignIn

pytestmark = pytest.mark.slow

ORIGIN = "https://fax.example.com"
NEW = "a wholly other password"


@pytest_asyncio.fixture
async def gateway(database: Database, settings: ApiSettings, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Return a gateway that people reach by a name."""
    people = PeopleSettings(url=ORIGIN, rp_id="example.com")
    config = Config(data_dir=tmp_path / "data", api=settings, people=people, lines=())
    async with open_gateway(config, database.urls) as found:
        yield found


@pytest.fixture
def phone() -> Authenticator:
    return Authenticator(ORIGIN)


async def register(mine: Client, phone: Authenticator, **proof: Any) -> httpx.Response:
    options = await mine.post("/v1/me/passkeys:options")
    assert options.status_code == 200, options.text
    assert options.json()["publicKey"]["rp"]["id"] == "example.com"
    body = {"name": "telephone", "credential": phone.create(options.json()), **(proof or {"password": PASSWORD})}
    return await mine.post("/v1/me/passkeys", json=body)


async def registered(mine: Client, phone: Authenticator, **proof: Any) -> dict[str, Any]:
    made = await register(mine, phone, **proof)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def shown(client: Client, phone: Authenticator) -> dict[str, Any]:
    """Return what the passkey answers to a challenge."""
    options = await client.post("/v1/sessions:passkey-options")
    assert options.status_code == 200, options.text
    return phone.get(options.json())


async def come_in(client: Client, phone: Authenticator, **more: Any) -> httpx.Response:
    answer = await client.post("/v1/sessions:passkey", json={"passkey": await shown(client, phone), **more})
    if answer.status_code == 201:
        client.headers["authorization"] = f"Bearer {answer.json()['token']}"
    return answer


async def with_page(gateway: Gateway, person: Person) -> str:
    page_set = await add_pages(gateway, person, [drawn_page(1)])
    return f"/v1/faxes/{await add_fax(gateway, person, page_set_id=page_set)}/content"


async def entries(gateway: Gateway) -> list[dict[str, Any]]:
    async with gateway.database.dispatcher() as connection:
        return [json.loads(each) for each in (await connection.execute(select(audit_waiting.c.entry))).scalars()]


async def refusals(gateway: Gateway, count: int) -> list[str]:
    """Wait for so many refused sign-ins in the log, which are recorded after their answers; return their codes."""
    async with asyncio.timeout(5):
        while True:
            found = [each["data"]["code"] for each in await entries(gateway) if each["outcome"] == "refused"]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)


# --------------------------------------------------------------------------------------------------- coming in


async def test_a_passkey_alone_lets_its_person_in_and_opens_what_is_theirs(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    content = await with_page(gateway, owner)
    made = await registered(await sign_in(owner), phone)
    assert (made["name"], made["unlocks"], made["used_at"]) == ("telephone", True, None)
    mine = connect(None)
    begun = await come_in(mine, phone)
    assert begun.status_code == 201, begun.text
    assert (begun.json()["unlocked"], begun.json()["tenant"]["id"]) == (True, str(owner.tenant_id))
    assert (await mine.get(content)).status_code == 200
    session = next(each for each in (await mine.get("/v1/sessions")).json()["items"] if each["current"])
    assert (session["way"], session["second_factor"], session["unlocked"]) == ("passkey", True, True)
    used = (await mine.get("/v1/me/passkeys")).json()["items"]
    assert [each["used_at"] is not None for each in used] == [True]


async def test_without_prf_the_session_is_locked_until_the_password_unlocks_it(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    content, phone = await with_page(gateway, owner), Authenticator(ORIGIN, prf=False)
    assert (await registered(await sign_in(owner), phone))["unlocks"] is False
    mine = connect(None)
    assert (await come_in(mine, phone)).json()["unlocked"] is False
    assert (await entries(gateway))[-1]["data"] == {"way": "passkey", "unlocked": False}
    assert (await mine.get("/v1/faxes")).status_code == 200
    locked = await mine.get(content)
    assert (locked.status_code, locked.json()["code"]) == (423, "key.locked")
    assert "POST /v1/sessions/current:unlock" in locked.json()["detail"]
    wrong = await mine.post("/v1/sessions/current:unlock", json={"password": "no"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.failed")
    assert (await mine.get(content)).status_code == 423
    unlocked = await mine.post("/v1/sessions/current:unlock", json={"password": PASSWORD})
    assert unlocked.status_code == 204, unlocked.text
    assert (await mine.get(content)).status_code == 200


async def test_the_recovery_code_unlocks_and_is_not_spent(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    content, phone = await with_page(gateway, owner), Authenticator(ORIGIN, prf=False)
    await registered(await sign_in(owner), phone)
    for _ in range(2):
        mine = connect(None)
        await come_in(mine, phone)
        unlocked = await mine.post("/v1/sessions/current:unlock", json={"recovery_code": owner.recovery_code.text})
        assert unlocked.status_code == 204, unlocked.text
        assert (await mine.get(content)).status_code == 200


async def test_a_passkey_that_gives_its_secret_later_unlocks_from_then_on(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    content, phone = await with_page(gateway, owner), Authenticator(ORIGIN, prf_at_once=False)
    assert (await registered(await sign_in(owner), phone))["unlocks"] is False
    mine = connect(None)
    assert (await come_in(mine, phone)).json()["unlocked"] is False
    both = {"password": PASSWORD, "passkey": await shown(mine, phone)}
    assert (await mine.post("/v1/sessions/current:unlock", json=both)).status_code == 204
    again = connect(None)
    assert (await come_in(again, phone)).json()["unlocked"] is True
    assert (await again.get(content)).status_code == 200


async def test_the_secret_of_a_passkey_opens_its_slot_and_that_of_another_does_not(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    client = await sign_in(owner)
    await registered(client, phone)
    first = (await shown(client, phone))["clientExtensionResults"]["prf"]["results"]["first"]
    async with gateway.database.dispatcher() as connection:
        found = select(person_slots).where(person_slots.c.kind == "passkey")
        row = (await connection.execute(found)).mappings().one()
        straight, holders = await ways_to(connection, owner.user_id)
    slot, public = Slot(row["kind"], row["parameters"], row["blob"]), PublicKey.from_octets(row["public_key"])
    await open_slot(slot, PasskeySecret(octets(first)), public_key=public)
    with pytest.raises(WrongSecret):
        await open_slot(slot, PasskeySecret(bytes(32)), public_key=public)
    assert "passkey" not in {each.kind for each in [*straight, *(slot for each in holders for slot in each.slots)]}
    forged = await shown(connect(None), phone)
    forged["clientExtensionResults"]["prf"]["results"]["first"] = "A" * 43
    answer = await connect(None).post("/v1/sessions:passkey", json={"passkey": forged})
    assert (answer.status_code, answer.json()["unlocked"]) == (201, False)


async def test_a_session_by_a_passkey_is_in_the_log_and_so_is_each_change(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    made = await registered(await sign_in(owner), phone)
    mine = connect(None)
    await come_in(mine, phone)
    await mine.post(f"/v1/me/passkeys/{made['id']}:remove", json={"password": PASSWORD})
    said = [(each["action"], each["data"]) for each in await entries(gateway)]
    assert said == [
        ("session.begun", {"way": "password", "unlocked": True}),
        ("passkey.added", {"passkey": made["id"], "unlocks": True}),
        ("session.begun", {"way": "passkey", "unlocked": True}),
        ("passkey.removed", {"passkey": made["id"]}),
    ]


# ------------------------------------------------------------------------------------------- as a second factor


async def test_whoever_has_a_passkey_comes_in_by_the_password_only_with_a_second_factor(
    owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    await registered(await sign_in(owner), phone)
    client, asked = connect(None), {"email": owner.email, "password": PASSWORD}
    assert (await client.post("/v1/sessions", json=asked)).json()["code"] == "auth.code_needed"
    assert (await client.post("/v1/sessions", json=asked | {"code": "123456"})).json()["code"] == "auth.code_wrong"
    both = await client.post("/v1/sessions", json=asked | {"passkey": await shown(client, phone)})
    assert both.status_code == 201, both.text
    client.headers["authorization"] = f"Bearer {both.json()['token']}"
    session = next(each for each in (await client.get("/v1/sessions")).json()["items"] if each["current"])
    assert (session["way"], session["second_factor"]) == ("password", True)


async def test_somebody_elses_passkey_is_no_second_factor(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    other, theirs = await add_person(gateway, owner.tenant_id), Authenticator(ORIGIN)
    await registered(await sign_in(owner), phone)
    await registered(await sign_in(other), theirs)
    client = connect(None)
    asked = {"email": owner.email, "password": PASSWORD, "passkey": await shown(client, theirs)}
    refused = await client.post("/v1/sessions", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (401, "passkey.unknown")
    proof = await register(await sign_in(other, passkey=await shown(client, theirs)), phone, password=PASSWORD)
    assert proof.json()["code"] == "passkey.exists"


async def test_the_recovery_code_in_place_of_a_lost_passkey_removes_it(
    owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    await registered(await sign_in(owner), phone)
    client = connect(None)
    asked = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.recovery_code.text}
    begun = await client.post("/v1/sessions", json=asked)
    assert begun.status_code == 201, begun.text
    assert begun.json()["recovery_code"] not in (None, owner.recovery_code.text)
    assert (await come_in(client, phone)).json()["code"] == "passkey.unknown"
    await sign_in(owner)


async def test_a_passkey_is_the_second_factor_that_a_tenant_requires(
    owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    await connect(owner).put("/v1/policy", json={"require_second_factor": True}, headers={"if-match": "*"})
    mine = await sign_in(owner)
    assert (await mine.get("/v1/faxes")).json()["code"] == "auth.second_factor"
    made = await registered(mine, phone)
    again = connect(None)
    assert (await come_in(again, phone)).status_code == 201
    assert (await again.get("/v1/faxes")).status_code == 200
    assert (await again.post(f"/v1/me/passkeys/{made['id']}:remove", json={"password": PASSWORD})).status_code == 204
    assert (await again.get("/v1/faxes")).json()["code"] == "auth.second_factor"


async def test_a_tenant_may_want_the_password_besides(
    owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    await registered(await sign_in(owner), phone)
    await connect(owner).put("/v1/policy", json={"passkey_alone": False}, headers={"if-match": "*"})
    mine = connect(None)
    assert (await come_in(mine, phone)).status_code == 201
    refused = await mine.get("/v1/faxes")
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.password_needed")
    assert (await mine.post("/v1/sessions/current:unlock", json={"password": PASSWORD})).status_code == 204
    assert (await mine.get("/v1/faxes")).status_code == 200


# ----------------------------------------------------------------------------------------------- what is refused


@pytest.mark.requirement("FP-13")
async def test_each_forgery_is_refused_by_name_and_recorded(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, *, clock: Clock, phone: Authenticator
) -> None:
    await registered(await sign_in(owner), phone)
    client = connect(None)
    used = await shown(client, phone)
    assert (await client.post("/v1/sessions:passkey", json={"passkey": used})).status_code == 201

    def on(**differs: Any) -> Authenticator:
        other = copy.copy(phone)
        for name, value in differs.items():
            setattr(other, name, value)
        return other

    of_registration = (
        await (await sign_in(owner, passkey=await shown(client, phone))).post("/v1/me/passkeys:options")
    ).json()["publicKey"]
    of_sign_in = (await client.post("/v1/sessions:passkey-options")).json()["publicKey"]
    foreign_challenge = phone.get({"publicKey": of_sign_in | {"challenge": of_registration["challenge"]}})
    unsigned = await shown(client, phone)
    unsigned["response"]["signature"] = used["response"]["signature"]
    other_handle = await shown(client, on(handle=bytes(16)))
    cases = {
        "passkey.challenge": [used, foreign_challenge],
        "passkey.origin": [await shown(client, on(origin="https://fax.example.com.evil.example"))],
        "passkey.host": [await shown(client, on(host="evil.example"))],
        "passkey.unknown": [await shown(client, on(credential_id=bytes(32))), other_handle],
        "passkey.counter": [await shown(client, on(count=0))],
        "passkey.refused": [
            unsigned,
            await shown(client, on(key=Authenticator(ORIGIN).key)),
            await shown(client, on(verifies=False)),
            used | {"response": {}},
            {},
        ],
    }
    for code, forged in cases.items():
        for each in forged:
            answer = await client.post("/v1/sessions:passkey", json={"passkey": each})
            assert (answer.status_code, answer.json()["code"]) == (401, code), answer.text
            clock.pass_(seconds=1)
    clock.pass_(minutes=30)
    late = await shown(client, phone)
    clock.pass_(minutes=5)
    answer = await client.post("/v1/sessions:passkey", json={"passkey": late})
    assert answer.json()["code"] == "passkey.challenge"
    known = ["passkey.challenge"] * 3 + ["passkey.counter", "passkey.host", "passkey.origin"]
    known += ["passkey.refused"] * 3 + ["passkey.unknown"]
    assert sorted(await refusals(gateway, len(known))) == known
    assert owner.email not in str(await entries(gateway))


async def test_a_challenge_is_answered_once_however_many_try_at_once(
    owner: Person, sign_in: SignIn, connect: Connect, gateway: Gateway, clock: Clock
) -> None:
    phone, client = Authenticator(ORIGIN, counts=False), connect(None)
    await registered(await sign_in(owner), phone)
    answer = {"passkey": await shown(client, phone)}
    tries = await asyncio.gather(*(client.post("/v1/sessions:passkey", json=answer) for _ in range(4)))
    assert sorted(each.status_code for each in tries) == [201, 401, 401, 401]
    clock.pass_(minutes=6)
    async with gateway.database.dispatcher() as connection:
        await forget_spent(connection, now=clock.now)
        left = select(func.count()).select_from(spent_challenges)
        assert (await connection.execute(left)).scalar_one() == 0


@pytest.mark.requirement("FP-13")
async def test_failures_lock_the_account_as_those_with_passwords_do(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, *, phone: Authenticator, clock: Clock
) -> None:
    await registered(await sign_in(owner), phone)
    client, thief = connect(None), copy.copy(phone)
    thief.key = Authenticator(ORIGIN).key
    codes = [(await come_in(client, thief)).json()["code"] for _ in range(6)]
    assert codes == ["passkey.refused"] * 5 + ["auth.locked"]
    locked = await come_in(client, phone)
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "30")
    clock.pass_(seconds=30)
    assert (await come_in(client, phone)).status_code == 201
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(func.count()).select_from(sign_in_failures))).scalar_one() == 0


async def test_where_no_address_is_configured_there_are_no_passkeys(
    database: Database, settings: ApiSettings, tmp_path: Path
) -> None:
    config = Config(data_dir=tmp_path / "other", api=settings, lines=())
    async with open_gateway(config, database.urls) as found:
        transport = httpx.ASGITransport(create_app(found), client=("192.0.2.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="https://gateway") as client:
            answer = await client.post("/v1/sessions:passkey-options")
            assert (answer.status_code, answer.json()["code"]) == (409, "passkey.off")


# --------------------------------------------------------------------------------------------------- one's own


async def test_registering_takes_proof_that_it_is_still_the_person(
    owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    mine = await sign_in(owner)
    for proof in ({"password": "no"}, {"password": ""}):
        refused = await register(mine, phone, **proof)
        assert (refused.status_code, refused.json()["code"]) == (401, "auth.failed")
    assert (await mine.get("/v1/me/passkeys")).json()["items"] == []
    assert (await connect(owner).get("/v1/me/passkeys")).json() == {"items": []}
    assert (await connect(owner).post("/v1/me/passkeys:options")).json()["code"] == "access.session"


async def test_a_registration_for_another_person_site_or_time_is_refused(
    gateway: Gateway, owner: Person, sign_in: SignIn, clock: Clock
) -> None:
    other = await sign_in(await add_person(gateway))
    mine = await sign_in(owner)
    options = (await mine.post("/v1/me/passkeys:options")).json()
    body = {"name": "x", "password": PASSWORD}

    async def code(client: Client, phone: Authenticator) -> str:
        answer = await client.post("/v1/me/passkeys", json=body | {"credential": phone.create(options)})
        return str(answer.json().get("code", answer.status_code))

    assert await code(other, Authenticator(ORIGIN)) == "passkey.challenge"
    assert await code(mine, Authenticator("https://evil.example")) == "passkey.origin"
    assert await code(mine, Authenticator(ORIGIN, host="evil.example")) == "passkey.host"
    assert await code(mine, Authenticator(ORIGIN, verifies=False)) == "passkey.refused"
    phone = Authenticator(ORIGIN)
    assert await code(mine, phone) == "201"
    assert await code(mine, Authenticator(ORIGIN)) == "passkey.challenge"
    options = (await mine.post("/v1/me/passkeys:options")).json()
    assert await code(mine, phone) == "passkey.exists"
    clock.pass_(minutes=5)
    assert await code(mine, Authenticator(ORIGIN)) == "passkey.challenge"


async def test_one_passkey_is_renamed_and_another_removed(
    owner: Person, sign_in: SignIn, connect: Connect, gateway: Gateway
) -> None:
    first, second = Authenticator(ORIGIN), Authenticator(ORIGIN)
    mine = await sign_in(owner)
    one, two = await registered(mine, first), await registered(mine, second)
    assert (await mine.post(f"/v1/me/passkeys/{one['id']}:rename", json={"name": " Desk "})).status_code == 204
    remove = f"/v1/me/passkeys/{two['id']}:remove"
    assert (await mine.post(remove, json={"password": "no"})).json()["code"] == "auth.failed"
    assert (await mine.post(remove, json={"passkey": await shown(mine, first)})).status_code == 204
    assert [each["name"] for each in (await mine.get("/v1/me/passkeys")).json()["items"]] == ["Desk"]
    assert (await come_in(connect(None), second)).json()["code"] == "passkey.unknown"
    stranger = await sign_in(await add_person(gateway))
    for path, body in ((f"{one['id']}:rename", {"name": "x"}), (f"{one['id']}:remove", {"password": PASSWORD})):
        assert (await stranger.post(f"/v1/me/passkeys/{path}", json=body)).status_code == 404
    async with gateway.database.dispatcher() as connection:
        slots = select(func.count()).select_from(person_slots).where(person_slots.c.kind == "passkey")
        assert (await connection.execute(slots)).scalar_one() == 1


async def test_the_last_way_to_sign_in_cannot_be_removed(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    content = await with_page(gateway, owner)
    mine = await sign_in(owner)
    last = await mine.post("/v1/me/password:remove", json={"password": PASSWORD})
    assert (last.status_code, last.json()["code"]) == (409, "passkey.last")
    made = await registered(mine, phone)
    await registered(mine, Authenticator(ORIGIN, prf=False))
    assert (await mine.post("/v1/me/password:remove", json={"password": PASSWORD})).status_code == 204
    assert (await mine.get("/v1/people/me")).json()["password"] is False
    gone = await connect(None).post("/v1/sessions", json={"email": owner.email, "password": PASSWORD})
    assert (gone.status_code, gone.json()["code"]) == (401, "auth.failed")
    alone = connect(None)
    await come_in(alone, phone)
    assert (await alone.get(content)).status_code == 200
    remove = f"/v1/me/passkeys/{made['id']}:remove"
    kept = await alone.post(remove, json={"passkey": await shown(alone, phone)})
    assert (kept.status_code, kept.json()["code"]) == (409, "passkey.last")
    recovered = {"email": owner.email, "recovery_code": owner.recovery_code.text, "new_password": NEW}
    back = await connect(None).post("/v1/sessions:recover", json=recovered | {"passkey": await shown(alone, phone)})
    assert back.status_code == 201, back.text
    alone.headers["authorization"] = f"Bearer {back.json()['token']}"
    assert (await alone.post(remove, json={"password": NEW})).status_code == 204


# -------------------------------------------------------------------------------------------------- after a reset


@pytest_asyncio.fixture
async def member(gateway: Gateway, owner: Person) -> Person:
    return await add_person(gateway, owner.tenant_id, role="member")


async def reset(owner: Client, member: Person, connect: Connect, **more: str) -> dict[str, Any]:
    """Have an admin reset somebody, who sets ``NEW``; return what the admin was told."""
    told: dict[str, Any] = (await owner.post(f"/v1/users/{member.user_id}:reset")).json()
    asked = {"set_up_code": told["set_up_code"], "password": NEW, **more}
    used = await connect(None).post("/v1/people:set-up", json=asked)
    assert used.status_code == 201, used.text
    return told


async def recover(mine: Client, phone: Authenticator) -> httpx.Response:
    return await mine.post("/v1/me/keys:recover", json={"passkey": await shown(mine, phone)})


async def kept(gateway: Gateway) -> int:
    """Return how many passkeys anybody has, those of before a reset too."""
    async with gateway.database.dispatcher() as connection:
        return int((await connection.execute(select(func.count()).select_from(passkeys))).scalar_one())


async def test_after_a_reset_no_passkey_lets_in_and_one_that_unlocked_opens_what_is_locked(  # noqa: PLR0917
    gateway: Gateway, owner: Person, member: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    content, without_prf = await with_page(gateway, member), Authenticator(ORIGIN, prf=False)
    first = await sign_in(member)
    made = await registered(first, phone)
    await registered(first, without_prf)
    admin = await sign_in(owner)
    told = await reset(admin, member, connect)
    assert (told["passkeys"], "a passkey that unlocked" in told["detail"]) == (1, True)
    for each in (phone, without_prf):
        assert (await come_in(connect(None), each)).json()["code"] == "passkey.unknown"
    mine = await sign_in(member, NEW)
    assert (await mine.get("/v1/me/passkeys")).json()["items"] == []
    assert (await mine.post(f"/v1/me/passkeys/{made['id']}:remove", json={"password": NEW})).status_code == 404
    locked = await mine.get(content)
    assert (locked.json()["code"], "passkey of before" in locked.json()["detail"]) == ("key.locked", True)
    unlock = {"passkey": await shown(mine, phone)}
    assert (await mine.post("/v1/sessions/current:unlock", json=unlock)).json()["code"] == "passkey.unknown"
    options = (await mine.post("/v1/me/passkeys:options")).json()["publicKey"]
    assert [octets(each["id"]) for each in options["excludeCredentials"]] == [phone.credential_id]
    assert (await recover(mine, phone)).json() == {"keys": 1, "objects": 0, "locked_keys": 0}
    assert (await mine.get(content)).status_code == 200
    assert (await come_in(connect(None), phone)).json()["code"] == "passkey.unknown"
    assert await kept(gateway) == 0
    await registered(mine, Authenticator(ORIGIN), password=NEW)


async def test_what_does_not_open_the_key_of_before_is_refused_by_name_and_counts(  # noqa: PLR0917
    gateway: Gateway, owner: Person, member: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    await registered(await sign_in(member), phone)
    admin, theirs = await sign_in(owner), Authenticator(ORIGIN)
    await registered(admin, theirs)
    await reset(admin, member, connect)
    mine, newer = await sign_in(member, NEW), Authenticator(ORIGIN)
    await registered(mine, newer, password=NEW)
    forged = copy.copy(phone)
    forged.secret = bytes(32)
    silent, moved, copied = copy.copy(phone), copy.copy(phone), copy.copy(phone)
    silent.prf, moved.origin, copied.key = False, "https://evil.example", newer.key
    silent.count, forged.count = 10, 20
    told = [(await recover(mine, each)).json()["code"] for each in (theirs, newer, silent, forged)]
    assert told == ["passkey.unknown", "key.secret", "key.secret", "key.secret"]
    told = [(await recover(mine, each)).json()["code"] for each in (moved, phone)]
    assert told == ["passkey.origin", "auth.locked"]
    async with gateway.database.dispatcher() as connection:
        await connection.execute(sign_in_failures.delete())
    told = [(await recover(mine, each)).json()["code"] for each in (copied, phone)]
    assert told == ["passkey.refused", "passkey.counter"]
    phone.count = 30
    answered = {"passkey": await shown(mine, phone)}
    codes = [(await mine.post("/v1/me/keys:recover", json=answered)).status_code for _ in range(2)]
    assert codes == [200, 401]


async def test_a_reset_with_the_recovery_code_leaves_nothing_that_a_passkey_of_before_opens(
    gateway: Gateway, owner: Person, member: Person, sign_in: SignIn, connect: Connect
) -> None:
    phone = Authenticator(ORIGIN)
    await registered(await sign_in(member), phone)
    await reset(await sign_in(owner), member, connect, recovery_code=member.recovery_code.text)
    assert await kept(gateway) == 0
    assert (await come_in(connect(None), phone)).json()["code"] == "passkey.unknown"
    assert (await recover(await sign_in(member, NEW), phone)).json()["code"] == "passkey.unknown"


async def test_a_passkey_opens_what_two_resets_have_locked(  # noqa: PLR0917
    gateway: Gateway, owner: Person, member: Person, sign_in: SignIn, connect: Connect, phone: Authenticator
) -> None:
    content, admin = await with_page(gateway, member), await sign_in(owner)
    await registered(await sign_in(member), phone)
    await reset(admin, member, connect)
    second = Authenticator(ORIGIN)
    await registered(await sign_in(member, NEW), second, password=NEW)
    assert (await reset(admin, member, connect))["passkeys"] == 2
    mine = await sign_in(member, NEW)
    assert (await recover(mine, phone)).json()["locked_keys"] == 0
    assert (await mine.get(content)).status_code == 200


async def test_nobody_has_more_than_twenty(owner: Person, sign_in: SignIn, gateway: Gateway) -> None:
    mine = await sign_in(owner)
    options = (await mine.post("/v1/me/passkeys:options")).json()
    for _ in range(20):
        await registered(mine, Authenticator(ORIGIN))
    asked = await mine.post("/v1/me/passkeys:options")
    assert (asked.status_code, asked.json()["code"]) == (409, "passkey.too_many")
    body = {"name": "x", "password": PASSWORD, "credential": Authenticator(ORIGIN).create(options)}
    assert (await mine.post("/v1/me/passkeys", json=body)).json()["code"] == "passkey.too_many"
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(passkeys).values(name="seen"))
