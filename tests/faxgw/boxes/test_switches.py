"""What the policy switches off is off for everybody at once, however they ask."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from faxgw.actor import SCOPES
from faxgw.gateway import Gateway
from faxgw.store.tables import audit_waiting
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_fax, add_key, add_person
from tests.faxgw.boxes.house import give, received, set_policy

ROLES = ("owner", "admin", "member")


@pytest.mark.requirement("XM-05")
async def test_without_delegation_nobody_is_given_rights_and_those_that_were_given_stop_at_once(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    friend = await add_person(gateway, owner.tenant_id, role="member")
    theirs = connect(friend)
    await give(client, owner.box_id, friend, "read", "send", "manage")
    assert (await theirs.get(f"/v1/faxes/{fax}/pages/1")).status_code == 200
    before = await client.get("/v1/policy")
    off = {**before.json(), "allow_delegation": False}
    changed = await client.put("/v1/policy", json=off, headers={"if-match": before.headers["etag"]})
    assert changed.status_code == 200, changed.text
    for path in (f"faxes/{fax}", f"faxes/{fax}/pages/1", f"boxes/{owner.box_id}", f"boxes/{owner.box_id}/grants"):
        assert (await theirs.get(f"/v1/{path}")).status_code == 404, path
    assert (await theirs.get("/v1/faxes")).json()["items"] == []
    assert [each["id"] for each in (await theirs.get("/v1/boxes")).json()["items"]] == [str(friend.box_id)]
    document = (await theirs.post("/v1/documents", content=b"x", headers={"content-type": "text/plain"})).json()
    asked = {"to": "+15550100", "documents": [document["id"]], "box": str(owner.box_id)}
    assert (await theirs.post("/v1/faxes", json=asked)).json()["code"] == "box.unknown"
    refused = await client.post(
        f"/v1/boxes/{owner.box_id}/grants", json={"user": str(friend.user_id), "rights": ["read"]}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "policy.denied")
    (grant,) = (await client.get(f"/v1/boxes/{owner.box_id}/grants")).json()["items"]
    assert grant["state"] == "suspended_by_policy"
    async with gateway.database.tenant(owner.tenant_id) as connection:
        entries = [json.loads(each) for each in (await connection.execute(select(audit_waiting.c.entry))).scalars()]
    (said,) = [each["data"] for each in entries if each["action"] == "policy.changed"]
    assert (said["old"]["allow_delegation"], said["new"]["allow_delegation"]) == (True, False)
    await client.put("/v1/policy", json=before.json(), headers={"if-match": changed.headers["etag"]})
    assert (await theirs.get(f"/v1/faxes/{fax}/pages/1")).status_code == 200


@pytest.mark.requirement("XM-06")
async def test_without_forwarding_no_page_that_came_in_goes_anywhere(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await received(gateway, owner)
    sent = (await client.post(f"/v1/faxes/{fax}:forward", json={"to": "+15550100"})).json()["id"]
    await client.post(f"/v1/faxes/{sent}:cancel")
    page_set = (await client.get(f"/v1/faxes/{fax}")).json()["page_set"]
    other = await add_person(gateway, owner.tenant_id)
    await set_policy(gateway, owner.tenant_id, allow_forwarding=False)
    for path, asked in (
        (f"faxes/{fax}:forward", {"to": "+15550100"}),
        (f"faxes/{fax}:forward", {"box": str(other.box_id)}),
        (f"faxes/{sent}:resend", None),
        ("faxes", {"to": "+15550100", "page_set": page_set}),
        ("batches", {"to": ["+15550100"], "page_set": page_set}),
    ):
        answer = await client.post(f"/v1/{path}", json=asked)
        assert (answer.status_code, answer.json()["code"]) == (403, "policy.denied"), (path, answer.text)
    await set_policy(gateway, owner.tenant_id)
    assert (await client.post(f"/v1/faxes/{sent}:resend")).status_code == 202


Ask = tuple[str, str, Mapping[str, Any] | None]


@pytest.mark.requirement("XM-05", "XM-06", "XM-07")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_role_no_key_and_no_route_passes_a_switch_that_is_off(
    gateway: Gateway, connect: Connect, data: st.DataObject
) -> None:
    world = await _world(gateway, connect)
    role = data.draw(st.sampled_from(ROLES))
    scopes = data.draw(st.sampled_from([tuple(SCOPES), ("faxes:send", "content", "boxes", "faxes:read")]))
    switch, ask = data.draw(st.sampled_from(list(_asks(world))))
    person = world["people"][role]
    key = await add_key(gateway, person.tenant_id, person.user_id, scopes=scopes, key_pair=person.key_pair)
    one = connect(replace(person, key=key))
    method, path, body = ask(person)
    answer = await one.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.denied"), (role, switch, path, answer.text)


_WORLD: dict[int, Any] = {}


async def _world(gateway: Gateway, connect: Connect) -> Any:
    """Make, once for all examples, a tenant with everything switched off, and one person of each role."""
    if id(gateway) not in _WORLD:
        first = await add_person(gateway)
        people = {"owner": first}
        people |= {role: await add_person(gateway, first.tenant_id, role=role) for role in ("admin", "member")}
        faxes = {person.user_id: await received(gateway, person) for person in people.values()}
        again = {}
        for person in people.values():
            client = connect(person)
            fax = faxes[person.user_id]
            sent = (await client.post(f"/v1/faxes/{fax}:forward", json={"to": "+15550100"})).json()["id"]
            await client.post(f"/v1/faxes/{sent}:cancel")
            page_set = (await client.get(f"/v1/faxes/{fax}")).json()["page_set"]
            again[person.user_id] = (sent, page_set)
        friend = await add_person(gateway, first.tenant_id, role="member")
        await set_policy(gateway, first.tenant_id, allow_delegation=False, allow_forwarding=False)
        _WORLD.clear()
        _WORLD[id(gateway)] = {"people": people, "faxes": faxes, "again": again, "friend": friend}
    return _WORLD[id(gateway)]


def _asks(world: Any) -> Any:
    friend: Person = world["friend"]
    rights = [list(each) for each in (("read",), ("send",), ("manage",), ("read", "send", "manage"))]
    for given_rights in rights:
        grant = {"user": str(friend.user_id), "rights": given_rights}
        yield "delegation", lambda person, body=grant: ("POST", f"/v1/boxes/{person.box_id}/grants", body)
    yield (
        "delegation",
        lambda person: ("POST", f"/v1/boxes/{person.box_id}:hand-over", {"user": str(friend.user_id)}),
    )
    for body in ({"to": "+15550100"}, {"box": str(friend.box_id)}):
        yield (
            "forwarding",
            lambda person, body=body: ("POST", f"/v1/faxes/{world['faxes'][person.user_id]}:forward", body),
        )
    yield (
        "forwarding",
        lambda person: ("POST", f"/v1/boxes/{person.box_id}/rules", {"to": str(friend.box_id)}),
    )
    yield "forwarding", lambda person: ("POST", f"/v1/faxes/{world['again'][person.user_id][0]}:resend", None)
    for path, to in (("faxes", "+15550100"), ("batches", ["+15550100"])):
        yield (
            "forwarding",
            lambda person, path=path, to=to: (
                "POST",
                f"/v1/{path}",
                {"to": to, "page_set": world["again"][person.user_id][1]},
            ),
        )


def test_every_role_is_asked_of_every_route() -> None:
    assert len(list(product(ROLES, range(len(list(_asks({"friend": _Nobody, "faxes": {}, "again": {}}))))))) == 33


class _Nobody:
    user_id = box_id = "nobody"


@pytest.mark.requirement("XM-07")
async def test_rights_under_a_switch_that_is_off_help_nobody_whatever_they_are(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    people = [await add_person(gateway, owner.tenant_id, role=role) for role in ROLES]
    for person in people:
        await give(client, owner.box_id, person, "read", "send", "manage")
    await set_policy(gateway, owner.tenant_id, allow_delegation=False)
    for person in people:
        for path in ("pages/1", "content", "pages/1/sealed"):
            answer = await connect(person).get(f"/v1/faxes/{fax}/{path}")
            assert answer.status_code in (403, 404), (path, answer.text)
    unread = await add_fax(gateway, owner)
    member = connect(people[2])
    assert (await member.post(f"/v1/faxes/{unread}:cancel")).status_code == 404
