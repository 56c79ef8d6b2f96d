"""Signing in by an identity provider: it lets its own members into its own tenants, and never opens a fax."""

import asyncio
import copy
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select

from faxgw.config import Config
from faxgw.config.model import ApiSettings, PeopleSettings, WebhookSettings
from faxgw.config.oidc import OidcSettings
from faxgw.gateway import Gateway
from faxgw.people.oidc_provider import Provider
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import audit_waiting, tenants
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_pages, add_person, drawn_page
from tests.faxgw.people.authenticator import b64
from tests.faxgw.people.conftest import Clock, SignIn
from tests.faxgw.people.issuer import CLIENT, NAME, SECRET, Issuer

pytestmark = pytest.mark.slow

ORIGIN = "https://gateway"
BEGIN = "/v1/sessions/oidc/company"
OWN = {"x-faxgw-session": "1"}


@pytest_asyncio.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    made = Issuer(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def provider(issuer: Issuer) -> dict[str, Any]:
    """Return the settings of the provider; a test may change them before it asks for anything else."""
    return {
        "name": "company",
        "issuer": issuer.url,
        "client_id": CLIENT,
        "client_secret_env": "COMPANY_SECRET",
        "tenants": {"acme"},
        "domains": {"example.com"},
    }


@pytest_asyncio.fixture
async def gateway(  # noqa: PLR0917 (fixtures)
    database: Database,
    settings: ApiSettings,
    issuer: Issuer,
    provider: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gateway]:
    monkeypatch.setenv("COMPANY_SECRET", SECRET)
    config = Config(
        data_dir=tmp_path / "data",
        api=settings,
        people=PeopleSettings(url=ORIGIN),
        oidc=(OidcSettings(**provider),),
        webhooks=WebhookSettings(allow_private=(ip_network("127.0.0.0/8"),), trust=issuer.certificate),
        lines=(),
    )
    async with open_gateway(config, database.urls) as found:
        yield found


@pytest_asyncio.fixture
async def owner(gateway: Gateway) -> Person:
    """Return the owner of the tenant whose members the provider lets in."""
    made = await add_person(gateway)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(tenants.update().where(tenants.c.id == made.tenant_id).values(name="acme"))
    return made


@pytest.fixture
def visitor(connect: Connect, clock: Clock) -> Client:
    """Return a browser."""
    return connect(None)


class Visit:
    """One sign-in, as far as the provider."""

    def __init__(self, issuer: Issuer, clock: Clock, asked: dict[str, str]) -> None:
        self.issuer, self.clock, self.asked = issuer, clock, asked

    def claims(self, email: str, /, **differs: Any) -> dict[str, Any]:
        now = int(self.clock.now.timestamp())
        claims: dict[str, Any] = {"iss": self.issuer.url, "aud": CLIENT, "sub": "4711", "nonce": self.asked["nonce"]}
        claims |= {"iat": now, "exp": now + 300, "email": email, "email_verified": True}
        return {name: value for name, value in (claims | differs).items() if value is not None}

    def token(self, email: str, /, **differs: Any) -> str:
        key = self.issuer.keys[-1]
        return jwt.encode({"alg": "RS256", "kid": key.kid}, self.claims(email, **differs), key)

    def back(self, token: str, code: str = "code-1") -> dict[str, str]:
        """Have the provider give out a code for a token; return what the browser comes back with."""
        self.issuer.given[code] = (self.asked["code_challenge"], token)
        return {"code": code, "state": self.asked["state"], "session_state": "of the provider's own"}


async def go(browser: Client, issuer: Issuer, clock: Clock, **query: str) -> Visit:
    sent = await browser.get(BEGIN, params=query)
    assert sent.status_code == 303, sent.text
    asked = {name: each[0] for name, each in parse_qs(urlsplit(sent.headers["location"]).query).items()}
    assert sent.headers["location"].startswith(f"{issuer.url}/authorize?")
    assert (asked["client_id"], asked["response_type"], asked["scope"]) == (CLIENT, "code", "openid email")
    assert (asked["redirect_uri"], asked["code_challenge_method"]) == (f"{ORIGIN}{BEGIN}/callback", "S256")
    return Visit(issuer, clock, asked)


async def come_back(browser: Client, query: dict[str, str]) -> httpx.Response:
    return await browser.get(f"{BEGIN}/callback", params=query)


async def come_in(browser: Client, issuer: Issuer, clock: Clock, email: str, /, **differs: Any) -> httpx.Response:
    visit = await go(browser, issuer, clock)
    return await come_back(browser, visit.back(visit.token(email, **differs)))


async def refused_entries(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        while True:
            async with gateway.database.dispatcher() as connection:
                found = (await connection.execute(select(audit_waiting.c.entry))).scalars()
                entries = [json.loads(each) for each in found]
            refused = [each for each in entries if each["outcome"] == "refused"]
            if len(refused) >= count:
                return refused
            await asyncio.sleep(0.01)


async def test_a_member_comes_in_and_the_session_opens_nothing_until_it_is_unlocked(
    gateway: Gateway, owner: Person, visitor: Client, issuer: Issuer, clock: Clock
) -> None:
    page_set = await add_pages(gateway, owner, [drawn_page(1)])
    content = f"/v1/faxes/{await add_fax(gateway, owner, page_set_id=page_set)}/content"
    begun = await come_in(visitor, issuer, clock, owner.email.upper())
    assert begun.status_code == 201, begun.text
    said = begun.json()
    assert (said["token"], said["unlocked"], said["tenant"]["name"]) == (None, False, "acme")
    cookies = begun.headers.get_list("set-cookie")
    assert any(each.startswith("__Host-faxgw=fgs_") and "SameSite=strict" in each for each in cookies)
    assert (await visitor.get("/v1/faxes")).status_code == 200
    locked = await visitor.get(content)
    assert (locked.status_code, locked.json()["code"]) == (423, "key.locked")
    unlocked = await visitor.post("/v1/sessions/current:unlock", json={"password": PASSWORD}, headers=OWN)
    assert unlocked.status_code == 204, unlocked.text
    assert (await visitor.get(content)).status_code == 200
    session = (await visitor.get("/v1/sessions")).json()["items"][0]
    assert (session["way"], session["second_factor"], session["unlocked"]) == ("oidc", False, True)


async def test_the_browser_goes_on_to_a_path_of_ours_and_to_no_other(
    owner: Person, visitor: Client, issuer: Issuer, clock: Clock
) -> None:
    visit = await go(visitor, issuer, clock, return_to="/ui/faxes?box=1")
    back = await come_back(visitor, visit.back(visit.token(owner.email)))
    assert (back.status_code, back.headers["location"]) == (303, "/ui/faxes?box=1")
    assert (await visitor.get("/v1/self")).status_code == 200
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example", "evil"):
        assert (await visitor.get(BEGIN, params={"return_to": elsewhere})).status_code == 400
    assert (await visitor.get("/v1/sessions/oidc/other")).status_code == 404


@pytest.mark.requirement("FP-13")
async def test_each_forged_token_is_refused_by_name_and_recorded(
    gateway: Gateway, owner: Person, visitor: Client, issuer: Issuer, *, clock: Clock
) -> None:
    now = int(clock.now.timestamp())
    published = issuer.keys[0].as_pem(private=False)
    other = RSAKey.generate_key(2048, {"kid": "one"})

    def part(value: dict[str, Any]) -> str:
        return b64(json.dumps(value).encode())

    def signed(visit: Visit, key: Any, alg: str, **differs: Any) -> str:
        return jwt.encode({"alg": alg, "kid": "one"}, visit.claims(owner.email, **differs), key, algorithms=[alg])

    def by_public_key(visit: Visit) -> str:
        said = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(visit.claims(owner.email))}"
        return f"{said}.{b64(hmac.digest(published, said.encode(), 'sha256'))}"

    wrong_hash = urlsafe_b64encode(sha256(b"other").digest()[:16]).rstrip(b"=").decode()
    differing: dict[str, list[dict[str, Any]]] = {
        "oidc.issuer": [{"iss": "https://evil.example"}, {"iss": None}],
        "oidc.audience": [{"aud": "other"}, {"aud": [CLIENT, "other"]}, {"azp": "other"}, {"aud": None}],
        "oidc.nonce": [{"nonce": "other"}, {"nonce": None}],
        "oidc.expired": [{"exp": now - 31}, {"iat": now - 700}],
        "oidc.not_yet": [{"iat": now + 31}, {"nbf": now + 31}],
        "oidc.claims": [{"exp": None}, {"iat": None}, {"sub": None}, {"at_hash": wrong_hash}, {"exp": "soon"}],
        "oidc.email": [
            {"email_verified": None},
            {"email_verified": False},
            {"email_verified": "true"},
            {"email": None},
            {"email": "owner@evil.example"},
        ],
        "oidc.no_member": [{"email": "stranger@example.com"}],
    }
    cases: list[tuple[str, dict[str, Any]]] = [
        (code, {"differs": each}) for code, several in differing.items() for each in several
    ]
    for code, how in [*cases, *(("oidc.algorithm", {"alg": each}) for each in ("none", "HS256", "RS512"))]:
        visit = await go(visitor, issuer, clock)
        if code != "oidc.algorithm":
            token = visit.token(owner.email, **how["differs"])
        elif how["alg"] == "none":
            token = f"{part({'alg': 'none'})}.{part(visit.claims(owner.email))}."
        else:
            token = by_public_key(visit) if how["alg"] == "HS256" else signed(visit, issuer.keys[0], how["alg"])
        answer = await come_back(visitor, visit.back(token))
        assert answer.json()["code"] == code, (how, answer.text)
        assert answer.status_code in (401, 403)
    visit = await go(visitor, issuer, clock)
    assert (await come_back(visitor, visit.back(signed(visit, other, "RS256")))).json()["code"] == "oidc.signature"
    altered = visit.token(owner.email).split(".")
    altered[1] = part(visit.claims(owner.email, sub="1"))
    visit = await go(visitor, issuer, clock)
    assert (await come_back(visitor, visit.back(".".join(altered)))).json()["code"] == "oidc.signature"
    visit = await go(visitor, issuer, clock)
    assert (await come_back(visitor, visit.back("no token"))).json()["code"] == "oidc.claims"
    assert (await visitor.get("/v1/self")).status_code == 401
    entries = await refused_entries(gateway, len(cases) + 6)
    assert {each["data"]["code"] for each in entries} == {*differing, "oidc.algorithm", "oidc.signature"}
    assert {(each["tenant"], each["data"]["provider"]) for each in entries} == {(str(owner.tenant_id), "company")}
    assert "@" not in str(entries)


async def test_a_token_within_the_leeway_and_with_the_right_hash_is_taken(
    owner: Person, visitor: Client, issuer: Issuer, clock: Clock
) -> None:
    now = int(clock.now.timestamp())
    at_hash = urlsafe_b64encode(sha256(b"access").digest()[:16]).rstrip(b"=").decode()
    for differs in (
        {"exp": now - 29},
        {"iat": now + 29, "nbf": now + 29},
        {"at_hash": at_hash},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
    ):
        assert (await come_in(visitor, issuer, clock, owner.email, **differs)).status_code == 201, differs


@pytest.mark.requirement("FP-13")
async def test_a_sign_in_is_finished_once_soon_and_by_the_browser_that_began_it(
    gateway: Gateway, owner: Person, visitor: Client, issuer: Issuer, clock: Clock, *, connect: Connect
) -> None:
    async def code(browser: Client, query: dict[str, str]) -> str:
        answer = await come_back(browser, query)
        return str(answer.json().get("code", answer.status_code))

    visit = await go(visitor, issuer, clock)
    good = visit.back(visit.token(owner.email))
    keepsake = copy.copy(dict(visitor.cookies))
    assert await code(connect(None), good) == "oidc.state"
    assert await code(visitor, good | {"state": good["state"][:-2] + "AA"}) == "oidc.state"
    assert await code(visitor, {}) == "oidc.state"
    assert await code(visitor, good) == "201"
    again = connect(None)
    again.cookies.update(keepsake)
    visit.back(visit.token(owner.email))
    assert await code(again, good) == "oidc.state"
    late = await go(visitor, issuer, clock)
    query = late.back(late.token(owner.email))
    clock.pass_(minutes=5)
    assert await code(visitor, query) == "oidc.state"
    denied = await go(visitor, issuer, clock)
    assert await code(visitor, {"state": denied.asked["state"], "error": "access_denied"}) == "oidc.denied"
    replayed = await go(visitor, issuer, clock)
    replay = {"state": replayed.asked["state"], "code": good["code"]}
    issuer.given.clear()
    assert await code(visitor, replay) == "oidc.denied"
    mixed = await go(visitor, issuer, clock)
    query = mixed.back(mixed.token(owner.email)) | {"iss": "https://evil.example"}
    assert await code(visitor, query) == "oidc.issuer"
    codes = [each["data"]["code"] for each in await refused_entries(gateway, 8)]
    assert sorted(codes) == ["oidc.denied"] * 2 + ["oidc.issuer"] + ["oidc.state"] * 5


async def test_a_provider_lets_nobody_into_the_tenants_of_others(
    gateway: Gateway, owner: Person, visitor: Client, issuer: Issuer, clock: Clock, *, connect: Connect
) -> None:
    there = await add_person(gateway, email=owner.email)
    stranger = await add_person(gateway)
    elsewhere = await connect(None).post(
        "/v1/sessions", json={"email": owner.email, "password": PASSWORD, "tenant": str(there.tenant_id)}
    )
    assert elsewhere.status_code == 201
    begun = (await come_in(visitor, issuer, clock, owner.email)).json()
    assert [each["tenant"]["name"] for each in begun["memberships"]] == ["acme"]
    me = (await visitor.get("/v1/people/me")).json()
    assert [each["tenant"]["name"] for each in me["memberships"]] == ["acme"]
    assert len((await visitor.get("/v1/sessions")).json()["items"]) == 1
    other = {"tenant": str(there.tenant_id)}
    switched = await visitor.post("/v1/sessions/current:switch", json=other, headers=OWN)
    assert (switched.status_code, switched.json()["code"]) == (404, "request.not_found")
    visit = await go(visitor, issuer, clock, **other)
    assert (await come_back(visitor, visit.back(visit.token(owner.email)))).status_code == 404
    assert (await come_in(visitor, issuer, clock, stranger.email)).json()["code"] == "oidc.no_member"


async def test_a_tenant_that_is_taken_from_a_provider_is_out_of_its_reach_at_once(
    gateway: Gateway, owner: Person, visitor: Client, issuer: Issuer, clock: Clock
) -> None:
    assert (await come_in(visitor, issuer, clock, owner.email)).status_code == 201
    assert (await visitor.get("/v1/faxes")).status_code == 200
    async with gateway.database.dispatcher() as connection:
        await connection.execute(tenants.update().where(tenants.c.id == owner.tenant_id).values(name="renamed"))
    refused = await visitor.get("/v1/faxes")
    assert (refused.status_code, refused.json()["code"]) == (403, "session.provider")


async def test_a_provider_is_no_second_factor(
    owner: Person, visitor: Client, issuer: Issuer, clock: Clock, connect: Connect
) -> None:
    await connect(owner).put("/v1/policy", json={"require_second_factor": True}, headers={"if-match": "*"})
    assert (await come_in(visitor, issuer, clock, owner.email)).status_code == 201
    assert (await visitor.get("/v1/faxes")).json()["code"] == "auth.second_factor"


async def test_a_key_that_is_new_is_fetched_and_a_forgers_is_not_fetched_again_and_again(
    owner: Person, visitor: Client, issuer: Issuer, clock: Clock
) -> None:
    assert (await come_in(visitor, issuer, clock, owner.email)).status_code == 201
    issuer.keys = [RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})]
    clock.pass_(minutes=1)
    assert (await come_in(visitor, issuer, clock, owner.email)).status_code == 201
    asked = issuer.asked.count("/keys")
    assert asked == 2
    forger = copy.copy(issuer)
    forger.keys = [RSAKey.generate_key(2048, {"kid": "three"})]
    for _ in range(3):
        visit = await go(visitor, issuer, clock)
        token = Visit(forger, clock, visit.asked).token(owner.email)
        assert (await come_back(visitor, visit.back(token))).json()["code"] == "oidc.signature"
    assert issuer.asked.count("/keys") == asked
    assert issuer.asked.count("/.well-known/openid-configuration") == 1


@pytest.mark.parametrize(
    "said", [{"issuer": "https://evil.example"}, {"jwks_uri": "http://127.0.0.1/keys"}, {"token_endpoint": 1}]
)
async def test_a_provider_that_says_something_else_of_itself_is_not_used(
    owner: Person, visitor: Client, issuer: Issuer, said: dict[str, Any]
) -> None:
    issuer.says = said
    refused = await visitor.get(BEGIN)
    assert (refused.status_code, refused.json()["code"]) == (503, "oidc.unavailable")
    issuer.says = {}
    assert (await visitor.get(BEGIN)).status_code == 303


async def test_private_addresses_and_unknown_authorities_are_refused_unless_allowed(
    gateway: Gateway, issuer: Issuer, clock: Clock
) -> None:
    settings = gateway.config.oidc[0]
    strict = WebhookSettings(trust=issuer.certificate)
    untrusting = WebhookSettings(allow_private=(ip_network("127.0.0.0/8"),))
    for webhooks in (strict, untrusting):
        config = gateway.config.model_copy(update={"webhooks": webhooks})
        with pytest.raises(Exception, match="cannot be used now"):
            await Provider(settings, config, secret=SECRET).metadata(now=clock.now)

    async def resolve(_host: str, _port: int) -> list[IPv4Address]:
        return [IPv4Address("127.0.0.1")]

    named = settings.model_copy(update={"issuer": issuer.url.replace("127.0.0.1", NAME)})
    config = gateway.config.model_copy(update={"webhooks": strict})
    with pytest.raises(Exception, match="cannot be used now"):
        await Provider(named, config, secret=SECRET, resolve=resolve).metadata(now=clock.now)
    assert issuer.asked == []
    await Provider(settings, gateway.config, secret=SECRET).metadata(now=clock.now)
    assert issuer.asked == ["/.well-known/openid-configuration"]


async def test_a_missing_secret_of_the_client_is_told(
    app: FastAPI, owner: Person, visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPANY_SECRET")
    assert (await visitor.get(BEGIN)).json()["code"] == "oidc.unavailable"
    assert app.state.api.providers == {}


class TestInviting:
    """Where the provider's settings say so, whoever it vouches for is invited."""

    @pytest.fixture
    def provider(self, provider: dict[str, Any]) -> dict[str, Any]:
        return provider | {"invite": True}

    async def test_somebody_new_is_invited_once_and_comes_in_by_the_code(
        self, owner: Person, visitor: Client, issuer: Issuer, *, clock: Clock, sign_in: SignIn
    ) -> None:
        invited = await come_in(visitor, issuer, clock, "new@example.com")
        assert invited.status_code == 202, invited.text
        assert "__Host-faxgw" not in str(invited.headers)
        listed = (await (await sign_in(owner)).get("/v1/users")).json()["items"]
        assert [(each["role"], each["state"]) for each in listed if each["email"] == "new@example.com"] == [
            ("member", "invited")
        ]
        assert (await come_in(visitor, issuer, clock, "new@example.com")).json()["code"] == "oidc.no_member"
        code = {"set_up_code": invited.json()["set_up_code"], "password": "a wholly other password"}
        assert (await visitor.post("/v1/people:set-up", json=code)).status_code == 201
        assert (await come_in(visitor, issuer, clock, "new@example.com")).status_code == 201
