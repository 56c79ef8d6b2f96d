"""Signing in and off: who comes in, for how long, and that nobody else does."""

import asyncio
import json
import re
from contextlib import suppress
from io import StringIO
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select

from faxgw.api import create_app
from faxgw.api.listening import listen
from faxgw.config.model import LogSettings
from faxgw.gateway import Gateway
from faxgw.keys.tokens import ApiKey, SessionToken
from faxgw.logs import logging_to
from faxgw.people.sessions import delete_over
from faxgw.service import open_gateway
from faxgw.store.tables import audit_waiting, person_slots, sessions
from tests.faxgw.api.conftest import Connect, Serve
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_pages, add_person, drawn_page
from tests.faxgw.api.test_who_asks import until_it_hears
from tests.faxgw.people.conftest import Clock, SignIn


async def test_who_signs_in_opens_what_is_theirs(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    page_set = await add_pages(gateway, owner, [drawn_page(1)])
    fax = f"/v1/faxes/{await add_fax(gateway, owner, page_set_id=page_set)}"
    mine = await sign_in(owner)
    assert (await mine.get(f"{fax}/pages/1")).status_code == 200
    who = (await mine.get("/v1/self")).json()
    assert (who["user"]["id"], who["api_key"]) == (str(owner.user_id), None)
    assert who["session"] == (await mine.get("/v1/sessions")).json()["items"][0]["id"]


@pytest.mark.requirement("FP-09")
async def test_a_session_goes_on_when_the_gateway_was_restarted(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    page_set = await add_pages(gateway, owner, [drawn_page(1)])
    fax = f"/v1/faxes/{await add_fax(gateway, owner, page_set_id=page_set)}"
    token = (await sign_in(owner)).headers["authorization"]
    restarted = create_app(gateway).state.api
    restarted.credentials.now = clock
    actor = await restarted.credentials.actor(token, "192.0.2.1")
    assert actor.user_id == owner.user_id
    assert (await connect(None).get(f"{fax}/pages/1", headers={"authorization": token})).status_code == 200


async def test_an_address_without_account_and_a_wrong_password_are_answered_alike(
    owner: Person, connect: Connect, clock: Clock
) -> None:
    client = connect(None)
    wrong = await client.post("/v1/sessions", json={"email": owner.email, "password": "no"})
    unknown = await client.post("/v1/sessions", json={"email": "nobody@example.com", "password": "no"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "auth.failed"
    assert wrong.headers == unknown.headers


@pytest.mark.requirement("FP-13", "WF-04")
async def test_failures_lock_the_account_for_a_while_and_its_owner_sees_that(
    gateway: Gateway, owner: Person, connect: Connect, clock: Clock
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    client = connect(None)
    for email in (member.email, "nobody@example.com"):
        tries = [await client.post("/v1/sessions", json={"email": email, "password": "no"}) for _ in range(6)]
        assert [each.json()["code"] for each in tries] == ["auth.failed"] * 5 + ["auth.locked"]
        assert (tries[-1].status_code, tries[-1].headers["retry-after"]) == (429, "30")
    right = {"email": member.email, "password": PASSWORD}
    assert (await client.post("/v1/sessions", json=right)).json()["code"] == "auth.locked"
    listed = (await connect(owner).get("/v1/users")).json()["items"]
    locked = {each["id"]: each["locked_until"] for each in listed}
    assert locked == {str(owner.user_id): None, str(member.user_id): "2026-03-01T12:00:30Z"}
    clock.pass_(seconds=30)
    assert (await client.post("/v1/sessions", json=right)).status_code == 201
    assert (await client.post("/v1/sessions", json=right | {"password": "no"})).json()["code"] == "auth.failed"


async def test_tries_at_the_same_time_are_no_way_around_the_lock(owner: Person, connect: Connect, clock: Clock) -> None:
    client = connect(None)
    asked = {"email": owner.email, "password": "no"}
    tries = await asyncio.gather(*(client.post("/v1/sessions", json=asked) for _ in range(12)))
    assert sorted(each.json()["code"] for each in tries) == ["auth.failed"] * 5 + ["auth.locked"] * 7


async def test_each_further_failure_doubles_the_lock_up_to_a_quarter_of_an_hour(
    owner: Person, connect: Connect, clock: Clock
) -> None:
    client = connect(None)
    asked = {"email": owner.email, "password": "no"}
    waits = []
    for _ in range(12):
        answer = await client.post("/v1/sessions", json=asked)
        if answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            clock.pass_(seconds=waits[-1])
    assert waits == [30, 60, 120, 240][: len(waits)]
    assert len(waits) >= 3


async def test_people_who_sign_in_at_once_are_held_up_and_not_queued_without_end(
    gateway: Gateway, connect: Connect, clock: Clock
) -> None:
    people = [await add_person(gateway) for _ in range(24)]
    client = connect(None)
    asked = [{"email": each.email, "password": PASSWORD} for each in people]
    answers = await asyncio.gather(*(client.post("/v1/sessions", json=each) for each in asked))
    assert {each.status_code for each in answers} == {201, 503}
    busy = next(each for each in answers if each.status_code == 503)
    assert (busy.json()["code"], busy.headers["retry-after"]) == ("service.busy", "2")


@pytest.mark.requirement("WF-04")
async def test_a_failure_is_one_line_of_the_log_that_fail2ban_reads(
    owner: Person, connect: Connect, clock: Clock
) -> None:
    stream = StringIO()
    with logging_to(LogSettings(format="json"), stream):
        await connect(None).post("/v1/sessions", json={"email": owner.email, "password": "no"})
    pattern = r'"event": "sign-in failed".*"address": "(?P<host>[^"]+)"'  # as docs/people.md has it
    assert pattern.replace('(?P<host>[^"]+)', "<HOST>") in _documentation()
    found = [match for line in stream.getvalue().splitlines() if (match := re.search(pattern, line))]
    assert [match["host"] for match in found] == ["192.0.2.1"]
    assert owner.email not in stream.getvalue()


def _documentation() -> str:
    from pathlib import Path  # noqa: PLC0415

    return (Path(__file__).parents[3] / "docs" / "people.md").read_text()


async def test_forged_cut_and_foreign_tokens_are_refused_alike(
    owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    genuine = SessionToken.parse((await sign_in(owner)).headers["authorization"].removeprefix("Bearer "))
    client = connect(None)
    answers = []
    for text in (
        SessionToken(genuine.id, bytes(20)).text,
        SessionToken.generate(uuid4()).text,
        genuine.text[:-1],
        genuine.text.replace("fgs_", "fgw_"),
        ApiKey(genuine.id, genuine.secret).text,
        SessionToken(owner.key.id, owner.key.secret).text,
    ):
        answers.append(await client.get("/v1/self", headers={"authorization": f"Bearer {text}"}))
    assert {(each.status_code, each.json()["code"]) for each in answers} == {(401, "auth.invalid_key")}
    assert len({each.content for each in answers}) == 1


async def test_who_does_nothing_for_a_quarter_of_an_hour_is_signed_off(
    owner: Person, sign_in: SignIn, clock: Clock
) -> None:
    mine = await sign_in(owner)
    for _ in range(4):
        clock.pass_(minutes=14)
        assert (await mine.get("/v1/self")).status_code == 200
    clock.pass_(minutes=15)
    assert (await mine.get("/v1/self")).json()["code"] == "auth.invalid_key"


async def test_what_only_watches_does_not_keep_a_session_awake(
    app: FastAPI, owner: Person, sign_in: SignIn, clock: Clock
) -> None:
    token = (await sign_in(owner)).headers["authorization"]
    credentials = app.state.api.credentials
    for _ in range(14):
        clock.pass_(minutes=1)
        await credentials.actor(token, "192.0.2.1", used=False)
    clock.pass_(minutes=1)
    with pytest.raises(Exception, match="not valid"):
        await credentials.actor(token, "192.0.2.1", used=False)


async def test_the_tenant_says_how_long_a_session_lasts(
    owner: Person, sign_in: SignIn, connect: Connect, clock: Clock
) -> None:
    policy = {"session_idle_minutes": 60, "session_hours": 2}
    await connect(owner).put("/v1/policy", json=policy, headers={"if-match": "*"})
    mine = await sign_in(owner)
    for _ in range(2):
        clock.pass_(minutes=59)
        assert (await mine.get("/v1/self")).status_code == 200
    clock.pass_(minutes=2)
    assert (await mine.get("/v1/self")).status_code == 401


async def test_a_session_that_is_over_leaves_no_slot(
    gateway: Gateway, owner: Person, sign_in: SignIn, clock: Clock
) -> None:
    await sign_in(owner)
    clock.pass_(minutes=10)
    await sign_in(owner)
    clock.pass_(minutes=6)
    async with gateway.database.dispatcher() as connection:
        assert await delete_over(connection, now=clock.now) == 1
        slots = select(func.count()).select_from(person_slots).where(person_slots.c.kind == "session")
        assert (await connection.execute(slots)).scalar_one() == 1


async def test_one_session_is_revoked_or_all_of_them(owner: Person, sign_in: SignIn) -> None:
    first, second, third = [await sign_in(owner) for _ in range(3)]
    ids = [(await each.get("/v1/self")).json()["session"] for each in (first, second, third)]
    listed = (await first.get("/v1/sessions")).json()["items"]
    assert [(each["id"], each["current"]) for each in listed] == [(ids[2], False), (ids[1], False), (ids[0], True)]
    assert (await first.delete(f"/v1/sessions/{ids[1]}")).status_code == 204
    assert (await second.get("/v1/self")).status_code == 401
    assert (await first.delete("/v1/sessions")).status_code == 204
    assert {(await each.get("/v1/self")).status_code for each in (first, third)} == {401}


async def test_signing_off_ends_the_session_and_its_slot(gateway: Gateway, owner: Person, sign_in: SignIn) -> None:
    mine = await sign_in(owner)
    assert (await mine.delete("/v1/sessions/current")).status_code == 204
    assert (await mine.get("/v1/self")).status_code == 401
    async with gateway.database.dispatcher() as connection:
        left = (await connection.execute(select(person_slots.c.kind))).scalars().all()
        assert sorted(left) == ["password", "recovery"]
        assert (await connection.execute(select(func.count()).select_from(sessions))).scalar_one() == 0


async def test_a_session_revoked_on_another_node_is_refused_as_soon_as_word_comes(
    gateway: Gateway, owner: Person, sign_in: SignIn, clock: Clock
) -> None:
    other = create_app(gateway).state.api
    other.credentials.now = clock
    listening = asyncio.create_task(listen(other))
    try:
        await until_it_hears(other)
        mine = await sign_in(owner)
        token = mine.headers["authorization"]
        await other.credentials.actor(token, "192.0.2.7")
        await mine.delete("/v1/sessions/current")
        async with asyncio.timeout(2):  # well under the 5 s for which it would be remembered
            with pytest.raises(Exception, match="not valid"):
                while True:
                    await other.credentials.actor(token, "192.0.2.7")
                    await asyncio.sleep(0.01)
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def test_a_cookie_is_taken_from_our_own_pages_only(owner: Person, serving: Serve) -> None:
    async with serving() as connect:
        browser = connect(None)
        asked = {"email": owner.email, "password": PASSWORD, "cookie": True}
        begun = await browser.post("/v1/sessions", json=asked)
        assert begun.json()["token"] is None
        cookie = begun.headers["set-cookie"]
        assert cookie.startswith("__Host-faxgw=fgs_")
        assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        assert (await browser.get("/v1/self")).status_code == 200
        box, own = {"name": "Sales"}, {"x-faxgw-session": "1"}
        host = str(browser.base_url).rstrip("/")
        for headers, status in (
            ({}, 403),
            (own | {"origin": "https://evil.example"}, 403),
            ({"origin": host}, 403),
            (own | {"origin": "null"}, 403),
            (own | {"origin": host}, 201),
        ):
            answer = await browser.post("/v1/boxes", json=box, headers=headers)
            assert answer.status_code == status, (headers, answer.text)
            assert status == 201 or answer.json()["code"] == "auth.csrf"
        other_site = await browser.get("/v1/self", headers={"origin": "https://evil.example"})
        assert other_site.json()["code"] == "auth.csrf"
        ended = await browser.delete("/v1/sessions/current", headers=own)
        assert ended.status_code == 204
        assert 'faxgw=""' in ended.headers["set-cookie"]


@pytest.mark.requirement("XM-09")
async def test_one_person_in_two_tenants_switches_and_sees_one_at_a_time(
    gateway: Gateway, owner: Person, sign_in: SignIn
) -> None:
    there = await add_person(gateway, email=owner.email, role="member")
    fax_here, fax_there = await add_fax(gateway, owner), await add_fax(gateway, there)
    mine = await sign_in(owner)
    assert (await mine.get("/v1/faxes")).json()["code"] == "session.no_tenant"
    me = (await mine.get("/v1/people/me")).json()
    assert [each["role"] for each in me["memberships"]] == ["owner", "member"]
    for person, fax in ((owner, fax_here), (there, fax_there)):
        switched = await mine.post("/v1/sessions/current:switch", json={"tenant": str(person.tenant_id)})
        assert switched.status_code == 200, switched.text
        assert [each["id"] for each in (await mine.get("/v1/faxes")).json()["items"]] == [str(fax)]
    assert (await mine.get(f"/v1/faxes/{fax_here}")).status_code == 404
    assert (await mine.get("/v1/users")).json()["code"] == "access.role"
    stranger = await add_person(gateway)
    refused = await mine.post("/v1/sessions/current:switch", json={"tenant": str(stranger.tenant_id)})
    assert (refused.status_code, refused.json()["code"]) == (404, "request.not_found")


@pytest.mark.requirement("XM-09")
async def test_each_membership_opens_its_own_faxes_and_no_others(
    gateway: Gateway, owner: Person, sign_in: SignIn
) -> None:
    there = await add_person(gateway, email=owner.email)
    sets = [await add_pages(gateway, each, [drawn_page(1)]) for each in (owner, there)]
    faxes = [await add_fax(gateway, each, page_set_id=s) for each, s in zip((owner, there), sets, strict=True)]
    mine = await sign_in(owner, tenant=str(there.tenant_id))
    assert (await mine.get(f"/v1/faxes/{faxes[1]}/content")).status_code == 200
    assert (await mine.get(f"/v1/faxes/{faxes[0]}/content")).status_code == 404
    assert owner.key_pair.public.key_id != there.key_pair.public.key_id


async def test_sign_ins_and_failures_are_in_the_audit_log_without_the_address(
    gateway: Gateway, owner: Person, sign_in: SignIn, connect: Connect
) -> None:
    await connect(None).post("/v1/sessions", json={"email": owner.email, "password": "no"})
    await sign_in(owner)
    async with asyncio.timeout(5):
        while len(entries := await _entries(gateway)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the record of a failure is made after its answer
    found = {(each["action"], each["outcome"]) for each in entries}
    assert found == {("session.begun", "ok"), ("session.begun", "refused")}
    assert owner.email not in str(entries)


async def test_a_failed_sign_in_is_in_the_audit_log_though_the_gateway_stops_right_after_the_answer(
    gateway: Gateway, owner: Person
) -> None:
    async with open_gateway(gateway.config, gateway.database.urls) as stopping:
        transport = ASGITransport(create_app(stopping), client=("192.0.2.1", 50000))
        async with AsyncClient(transport=transport, base_url="https://gateway") as client:
            answer = await client.post("/v1/sessions", json={"email": "nobody@example.com", "password": "no"})
            assert answer.json()["code"] == "auth.failed"
            await client.post("/v1/sessions", json={"email": owner.email, "password": "no"})
    assert [each.get_name() for each in asyncio.all_tasks() if each is not asyncio.current_task()] == []
    assert [each["outcome"] for each in await _entries(gateway)] == ["refused"]


async def _entries(gateway: Gateway) -> list[dict[str, object]]:
    async with gateway.database.dispatcher() as connection:
        return [json.loads(each) for each in (await connection.execute(select(audit_waiting.c.entry))).scalars()]


async def test_what_is_of_ones_own_account_needs_a_session(owner: Person, connect: Connect) -> None:
    client = connect(owner)
    for path, body in (
        ("/v1/me/password", {"old": PASSWORD, "new": "another password"}),
        ("/v1/me/totp", {"password": PASSWORD}),
        ("/v1/me/keys:recover", {"secret": "x"}),
    ):
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.session")
