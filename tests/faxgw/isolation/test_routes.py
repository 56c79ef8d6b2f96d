"""XM-08: every route of the OpenAPI document, asked by everybody of one tenant for what another has.

A route that is added is asked for by these tests at once; where they do not know what to ask with, they fail.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest

from faxgw.api.access import ACCESS
from faxgw.api.examples import EXAMPLES
from faxgw.api.problems import Problem
from faxgw.gateway import Gateway
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_person
from tests.faxgw.api.test_walls import on_things, request_of
from tests.faxgw.isolation.tenants import Caller, callers_of, furnished, marks_of, rows_of, two

pytestmark = pytest.mark.requirement("XM-08")

NOBODYS = {"change_destination"}
"""Operations on numbers, which anybody may write down something about."""
STREAMS = {"follow_all": "tests/faxgw/api/test_events.py"}
SIGNING_OFF = {"end_session", "end_all_sessions"}

QUERY = {
    "device": "device_id",
    "box": "box_id",
    "batch": "batch_id",
    "object_id": "fax_id",
    "actor": "user_id",
    "tenant": "tenant_id",
}
"""Parameter of an address -> whose id of the other tenant it is given."""
BODY = {
    "/box": "box_id",
    "/boxes/*": "box_id",
    "/document": "document_id",
    "/documents/*": "document_id",
    "/faxes/*": "fax_id",
    "/page_set": "page_set_id",
    "/target": "target_id",
    "/tenant": "tenant_id",
    "/trustees/*": "user_id",
    "/to": "box_id",
    "/user": "user_id",
}
"""Where ids stand in bodies -> which of the other tenant's they are given."""
NEW = re.compile(r'"[0-9a-f]{8}-[0-9a-f-]{27}"|"[0-9T:.-]{26}Z"')
LATER = {"create_erasure"}
"""Operations that begin a job, which finds nothing, whatever it is given."""
INSTEAD_OF = {"/page_set": {"documents", "cover"}, "/faxes/*": {"boxes", "since", "number"}}


def unknown(ids: dict[str, Any]) -> dict[str, Any]:
    """Return ids of the same kinds that nobody has."""
    return {name: {"n": 1, "number": "+15550177"}.get(name, uuid4()) for name in ids}


def in_place_of(own: dict[str, Any], theirs: dict[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """Go through all ways to put ids of the other tenant into an address: all of them, or one beside one's own."""
    names = [name for name in theirs if f"{{{name}}}" in path and name != "n"]
    for chosen in product((True, False), repeat=len(names)):
        if any(chosen):
            mixed = {name: theirs[name] if other else own[name] for name, other in zip(names, chosen, strict=True)}
            yield {**own, **mixed}


def without(text: str, ids: dict[str, Any]) -> str:
    """Return an answer without the ids that were asked for, and without what is new in each."""
    for value in sorted((str(each) for each in ids.values()), key=len, reverse=True):
        if len(value) >= 8:
            text = text.replace(value, "ID")
    return NEW.sub('"NEW"', text)


def refused(caller: Caller, name: str) -> bool:
    """Tell whether a caller may not do something whatever it is done to."""
    if caller.name.endswith("a session"):
        return ACCESS[name].admins and caller.actor.role == "member"
    try:
        ACCESS[name].check(caller.actor)
    except Problem:
        return True
    return False


# ------------------------------------------------------------------------------------------------ in the address itself


async def _check_addresses(app: FastAPI, gateway: Gateway, owner: Person, client: Client, *, all_callers: bool) -> None:
    theirs, own, guest = await two(gateway, owner)
    callers = await callers_of(gateway, guest.tenant_id)
    before = await rows_of(gateway, owner.tenant_id)
    marks = marks_of(before, await rows_of(gateway, guest.tenant_id))
    asked = 0
    chosen = callers if all_callers else [each for each in callers if each.name == "owner with a session"]
    for caller in chosen:
        for name, method, path in on_things(app):
            if name in NOBODYS:
                continue
            nobodys = unknown(theirs)
            for ids, like in zip(in_place_of(own, theirs, path), in_place_of(own, nobodys, path), strict=True):
                answer = await client.request(method, **_as(caller, request_of(name, path, ids)))
                status = 403 if refused(caller, name) else 404
                assert answer.status_code == status, (caller.name, name, answer.text)
                said = without(answer.text, ids)
                assert not [mark for mark in marks if mark in said], (caller.name, name)
                unheard = await client.request(method, **_as(caller, request_of(name, path, like)))
                assert (unheard.status_code, without(unheard.text, like)) == (status, said), (caller.name, name)
                asked += 1
    assert asked >= 50 * len(chosen)
    assert await rows_of(gateway, owner.tenant_id) == before


async def test_somebody_signed_in_gets_404_at_every_address_with_ids_of_another_tenant(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    """XM-08: the very answer that an id gets which nobody has, and nothing of the other tenant is changed."""
    await _check_addresses(app, gateway, owner, connect(None), all_callers=False)


@pytest.mark.slow
async def test_so_does_everybody_else_with_whatever_scopes(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    """XM-08: every route, every role, every single scope."""
    await _check_addresses(app, gateway, owner, connect(None), all_callers=True)


def _as(caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "headers": caller.headers}


# ----------------------------------------------------------------------------------------- in lists, queries and bodies


async def test_whatever_anybody_lists_has_nothing_of_another_tenant(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    theirs, _, guest = await two(gateway, owner)
    marks = marks_of(await rows_of(gateway, owner.tenant_id), await rows_of(gateway, guest.tenant_id))
    assert {str(theirs["fax_id"]), owner.email} <= marks
    asking = {"owner with every scope", "member with a session"}
    callers = [each for each in await callers_of(gateway, guest.tenant_id) if each.name in asking]
    client = connect(None)
    listed = 0
    for caller, (path, methods) in product(callers, app.openapi()["paths"].items()):
        if "get" not in methods or "{" in path or methods["get"]["operationId"] in STREAMS:
            continue
        answer = await client.get(path, headers=caller.headers)
        assert answer.status_code == (403 if refused(caller, methods["get"]["operationId"]) else 200), (path, caller)
        assert not [mark for mark in marks if mark in readable(answer.content)], (path, caller.name)
        listed += 1
    assert listed > 40
    assert not [mark for mark in marks if mark in generate_latest().decode()]


async def test_a_place_in_a_list_of_another_tenant_leads_to_nothing_of_it(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    await furnished(gateway, owner)
    await add_fax(gateway, owner)
    guest = await add_person(gateway)
    marks = marks_of(await rows_of(gateway, owner.tenant_id), await rows_of(gateway, guest.tenant_id))
    mine, strange = connect(owner), connect(guest)
    tried = 0
    for path, methods in app.openapi()["paths"].items():
        names = {each["name"] for each in methods.get("get", {}).get("parameters", ())}
        if {"cursor", "limit"} <= names and "{" not in path and methods["get"]["operationId"] not in STREAMS:
            cursor = (await mine.get(path, params={"limit": 1})).json()["next"]
            if cursor:
                answer = await strange.get(path, params={"cursor": cursor})
                assert not [mark for mark in marks if mark in answer.text], path
                tried += 1
    assert tried >= 2


async def test_ids_of_another_tenant_in_queries_find_nothing(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    theirs, _, guest = await two(gateway, owner)
    theirs["tenant_id"] = owner.tenant_id
    marks = marks_of(await rows_of(gateway, owner.tenant_id), await rows_of(gateway, guest.tenant_id))
    client = connect(guest)
    for path, methods in app.openapi()["paths"].items():
        for each in methods.get("get", {}).get("parameters", ()):
            if each["in"] == "query" and (_formats(each["schema"]) & {"uuid"} or each["name"] in QUERY):
                given = theirs[QUERY[each["name"]]]
                answer = await client.get(path, params={each["name"]: str(given)})
                said = without(answer.text, {"given": given})
                assert answer.status_code == 404 or answer.json()["items"] == [], path
                assert not [mark for mark in marks if mark in said], path


async def test_ids_of_another_tenant_in_bodies_are_as_unknown_as_any(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    theirs, own, guest = await two(gateway, owner)
    theirs["tenant_id"], own["tenant_id"] = owner.tenant_id, guest.tenant_id
    before = await rows_of(gateway, owner.tenant_id)
    marks = marks_of(before, await rows_of(gateway, guest.tenant_id))
    session = [each for each in await callers_of(gateway, guest.tenant_id) if each.name == "owner with a session"]
    client = connect(None)
    tried = 0
    for name, method, path, places in _with_ids(app):
        for place in places:
            answers = []
            for ids in (theirs, unknown(theirs)):
                given = {"given": ids[BODY[place]]}
                request = request_of(name, path, own) | {"json": _body(name, place, given["given"], own, guest)}
                answer = await client.request(method, **_as(session[0], request))
                answers.append((answer.status_code, without(answer.text, given)))
            assert answers[0] == answers[1], (name, place)
            assert 400 <= answers[0][0] < 500 or name in LATER, (name, place, answers)
            assert not [mark for mark in marks if mark in answers[0][1]], (name, place)
            tried += 1
    assert tried >= 12
    assert await rows_of(gateway, owner.tenant_id) == before


async def test_somebody_of_another_tenant_is_no_colleague(gateway: Gateway, owner: Person, connect: Connect) -> None:
    """XM-08: looked for by their very address, they are answered as one that nobody has."""
    _, _, guest = await two(gateway, owner)
    told = []
    for caller in await callers_of(gateway, guest.tenant_id):
        if refused(caller, "find_colleague") or "every" not in caller.name:
            continue
        for email in (owner.email, "nobody@example.com"):
            answer = await connect(None).post("/v1/colleagues:find", json={"email": email}, headers=caller.headers)
            told.append((answer.status_code, answer.text))
        own = await connect(None).post("/v1/colleagues:find", json={"email": guest.email}, headers=caller.headers)
        assert own.json()["id"] == str(guest.user_id)
    assert len(told) == 6 and len(set(told)) == 1 and told[0][0] == 404


def _with_ids(app: FastAPI) -> Iterator[tuple[str, str, str, list[str]]]:
    schemas = app.openapi()["components"]["schemas"]
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if places := sorted(set(_ids_in(body, "", schemas))):
                yield operation["operationId"], method, path, places


def _ids_in(schema: dict[str, Any], place: str, schemas: dict[str, Any]) -> Iterator[str]:
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if schema.get("format") == "uuid":
        yield place
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _ids_in(each, place, schemas)
    for name, each in schema.get("properties", {}).items():
        yield from _ids_in(each, f"{place}/{name}", schemas)
    if "items" in schema:
        yield from _ids_in(schema["items"], f"{place}/*", schemas)


def _formats(schema: dict[str, Any]) -> set[str]:
    return {each.get("format", "") for each in (schema, *schema.get("anyOf", ()))}


def _body(name: str, place: str, given: object, own: dict[str, Any], guest: Person) -> dict[str, Any]:
    """Return a body that would be taken, but for the id in that place."""
    body = {key: value for key, value in EXAMPLES[name].items() if key not in INSTEAD_OF.get(place, ())}
    mine = {"documents": [str(own["document_id"])], "box": str(own["box_id"]), "document": str(own["document_id"])}
    body |= {key: value for key, value in mine.items() if key in body}
    body |= {"email": guest.email, "password": PASSWORD} if "email" in body else {}
    body |= {"recovery_code": guest.recovery_code.text} if "recovery_code" in body else {}
    key = place.strip("/*")
    return body | {key: [str(given)] if place.endswith("*") else str(given)}


def readable(octets: bytes) -> str:
    """Return what can be read in an answer, also in a ZIP."""
    if octets.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            octets = b"\n".join([archive.read(name) for name in archive.namelist()])
    return octets.decode(errors="replace")
