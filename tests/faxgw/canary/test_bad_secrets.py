"""Forged, expired, revoked and foreign credentials: one answer to all, which tells nothing of what was wrong."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, update

from faxgw.actor import SCOPES
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import Password, RecoveryCode
from faxgw.keys.tokens import ApiKey, SessionToken, SetUpCode
from faxgw.store.tables import api_keys, users
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_key, add_person, now

pytestmark = pytest.mark.slow

PATHS = ("/v1/self", "/v1/faxes", f"/v1/faxes/{new_id()}/content", "/v1/people/me", "/v1/audit")
Forge = Callable[[Gateway, Person], Awaitable[str]]


def token(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Return a JSON web token, signed by nobody."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


async def _expired(gateway: Gateway, owner: Person) -> str:
    ids = (gateway, owner.tenant_id, owner.user_id)
    past = now() - timedelta(seconds=1)
    return (await add_key(*ids, scopes=SCOPES, key_pair=owner.key_pair, expires_at=past)).text


async def _revoked(gateway: Gateway, owner: Person) -> str:
    ids = (gateway, owner.tenant_id, owner.user_id)
    return (await add_key(*ids, scopes=SCOPES, key_pair=owner.key_pair, revoked_at=func.now())).text


async def _of_somebody_deactivated(gateway: Gateway, owner: Person) -> str:
    gone = await add_person(gateway, owner.tenant_id)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(users).where(users.c.id == gone.user_id).values(deactivated_at=func.now()))
    return gone.key.text


async def _with_anothers_secret(gateway: Gateway, owner: Person) -> str:
    other = await add_person(gateway)
    return ApiKey(owner.key.id, other.key.secret).text


async def _jwt_without_algorithm(gateway: Gateway, owner: Person) -> str:
    return token({"alg": "none"}, {"sub": str(owner.user_id), "email": owner.email, "tenant": str(owner.tenant_id)})


async def _jwt_by_the_published_key(gateway: Gateway, owner: Person) -> str:
    """As by a checker that takes a public key for a shared secret."""
    public = gateway.server_keys.signing.public_key().public_bytes_raw()
    return token({"alg": "HS256", "jwk": {"kty": "oct", "k": public.hex()}}, {"sub": str(owner.user_id)}, public)


FORGED: dict[str, Forge] = {
    "expired": _expired,
    "revoked": _revoked,
    "of somebody deactivated": _of_somebody_deactivated,
    "with another's secret": _with_anothers_secret,
    "alg=none": _jwt_without_algorithm,
    "signed with what is public": _jwt_by_the_published_key,
}


def guessed(owner: Person) -> list[str]:
    """Return what anybody might try who knows ids."""
    key = owner.key.text
    return [
        ApiKey.generate(owner.key.id).text,
        ApiKey.generate(new_id()).text,
        SessionToken(owner.key.id, owner.key.secret).text,
        SessionToken.generate(new_id()).text,
        SetUpCode.generate(owner.user_id).text,
        key[:-1],
        key[:-1] + ("0" if key[-1] != "0" else "1"),
        key.upper(),
        key + key,
        str(owner.key.id),
        owner.recovery_code.text,
        PASSWORD.replace(" ", "-"),
        "null",
        "' OR 1=1 --",
        "A" * 5000,
    ]


async def test_whatever_is_wrong_with_a_credential_the_answer_is_the_same(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    client, said = connect(None), set()
    tried = [await forge(gateway, owner) for forge in FORGED.values()] + guessed(owner)
    for secret in tried:
        for path in PATHS:
            answer = await client.get(path, headers={"authorization": f"Bearer {secret}"})
            said.add((answer.status_code, answer.text))
            assert "www-authenticate" in answer.headers
    ((status, text),) = said
    assert (status, json.loads(text)["code"]) == (401, "auth.invalid_key")
    assert (await connect(owner).get("/v1/self")).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic b3duZXI6cGFzc3dvcmQ=", "Digest x", "Token abc"])
async def test_without_a_bearer_it_is_asked_for(connect: Connect, header: str) -> None:
    answer = await connect(None).get("/v1/faxes", headers={"authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.missing")


async def test_a_key_that_expires_while_it_is_remembered_is_refused_from_then_on(
    app: FastAPI, gateway: Gateway, owner: Person, client: Client
) -> None:
    """Whoever was let in a moment ago is remembered, and yet not for longer than the key lasts."""
    app.state.api.credentials.hears = True
    assert (await client.get("/v1/self")).status_code == 200
    async with gateway.database.dispatcher() as connection:
        soon = now() + timedelta(minutes=1)
        await connection.execute(update(api_keys).where(api_keys.c.id == owner.key.id).values(expires_at=soon))
    app.state.api.credentials.forget()
    assert (await client.get("/v1/self")).status_code == 200
    app.state.api.credentials.now = lambda: now() + timedelta(minutes=2)
    assert (await client.get("/v1/self")).status_code == 401


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/sessions:recover", "/v1/people:set-up"])
async def test_wrong_secrets_are_answered_alike_for_accounts_and_for_none(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect, path: str
) -> None:
    """Passwords, recovery codes and set-up codes; what was given is nowhere in the answer."""
    app.state.api.door.password = lambda text: Password(text, memory=64, passes=1)
    wrong = "a wrong password of mine"
    given: dict[str, dict[str, str]] = {
        "/v1/sessions": {"password": wrong},
        "/v1/sessions:recover": {"recovery_code": RecoveryCode.generate().text, "new_password": wrong},
        "/v1/people:set-up": {"set_up_code": SetUpCode.generate(new_id()).text, "password": wrong},
    }
    said = set()
    for email in (owner.email, "nobody@example.com"):
        body = given[path] | ({"email": email} if path != "/v1/people:set-up" else {})
        answer = await connect(None).post(path, json=body)
        said.add((answer.status_code, answer.text))
    assert len(said) == 1
    ((status, text),) = said
    assert status in (401, 422)
    assert not [each for each in (*given[path].values(), owner.email, "Traceback") if each in text]
