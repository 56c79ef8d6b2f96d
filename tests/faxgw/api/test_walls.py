"""What is somebody else's is not there: addresses come from the OpenAPI document, so that none is forgotten."""

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI

from faxgw.actor import SCOPES
from faxgw.api.access import ACCESS
from faxgw.gateway import Gateway
from tests.faxgw.api.conftest import Connect
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_key, add_person

BODIES: dict[str, Any] = {
    "change_box": {"name": "theirs now"},
    "change_number": {"number": "+15550199", "box": "0196a5e0-1c2d-7abc-8def-0123456789ab"},
    "change_route": {"lines": ["isdn"]},
    "change_destination": {"override": None},
    "change_machine": {"verdicts": {}},
    "change_device": {"name": "theirs now"},
    "change_webhook": {"url": "https://example.com/"},
    "rotate_webhook": {"hours": 1},
    "create_grant": {"user": "0196a5e0-1c2d-7abc-8def-0123456789ab", "rights": ["send"]},
    "hand_over_box": {"user": "0196a5e0-1c2d-7abc-8def-0123456789ab"},
    "create_forwarding_rule": {"to": "0196a5e0-1c2d-7abc-8def-0123456789ab"},
    "forward_fax": {"to": "+15550100"},
    "change_target": {"name": "theirs now", "settings": {"kind": "mail", "address": "fax@clinic.example"}},
    "create_delivery_rule": {"target": "0196a5e0-1c2d-7abc-8def-0123456789ab"},
    "deliver_fax": {"target": "0196a5e0-1c2d-7abc-8def-0123456789ab"},
    "change_user": {"role": "member"},
    "rename_passkey": {"name": "theirs now"},
    "remove_passkey": {"password": PASSWORD},
    "replay_webhook": {"since": "2099-01-01T00:00:00Z"},
}
"""Operation on a thing -> a body that it would take."""

OWN = {"change_destination": "a number is everybody's: each tenant has its own notes on it"}
PUBLIC = {name for name, access in ACCESS.items() if access.public}
OF_SESSIONS = {"rename_passkey", "remove_passkey"} | {
    f"{each}_escrow_request" for each in ("approve", "deny", "withdraw", "open")
}
"""What no API key may do; ``tests/faxgw/isolation`` asks for it by sessions."""
STREAMS = {"follow_fax"}


def on_things(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return name, method and address of every operation on something that has an id."""
    paths = app.openapi()["paths"]
    return [
        (operation["operationId"], method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "{" in path and operation["operationId"] not in PUBLIC
    ]


def request_of(name: str, path: str, ids: dict[str, Any]) -> dict[str, Any]:
    url = path
    for parameter, value in ids.items():
        url = url.replace(f"{{{parameter}}}", str(value))
    assert "{" not in url, f"{name} needs an id that nobody has: {url}"
    headers = {"if-match": "*", "accept": "application/json"}
    return {"url": url, "headers": headers, **({"json": BODIES[name]} if name in BODIES else {})}


async def test_another_tenant_gets_404_at_every_address_xm_08(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    ids = await furnish(gateway, owner)
    stranger = connect(await add_person(gateway))
    answers = {}
    for name, method, path in on_things(app):
        if name not in OWN and name not in OF_SESSIONS:
            answer = await stranger.request(method.upper(), **request_of(name, path, ids))
            answers[name] = (answer.status_code, answer.headers["content-type"])
    assert len(answers) > 30
    assert {name: each for name, each in answers.items() if each != (404, "application/problem+json")} == {}


async def test_the_owner_gets_something_else_than_404_there(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    ids = await furnish(gateway, owner)
    mine = connect(owner)
    answers = {}
    operations = sorted(on_things(app), key=lambda each: each[1] == "delete")
    for name, method, path in operations:
        answer = await mine.request(method.upper(), **request_of(name, path, ids))
        answers[name] = (answer.status_code, answer.json().get("code", "") if answer.status_code >= 400 else "")
    # Some bodies name a box or a member that nobody has.
    gone = {
        name: each
        for name, each in answers.items()
        if each[0] == 404 and each[1] not in ("box.unknown", "target.unknown", "user.unknown")
    }
    assert gone == {}
    assert {name: each for name, each in answers.items() if each[0] >= 500} == {}


async def test_another_tenant_sees_nothing_in_any_list_xm_08(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    ids = await furnish(gateway, owner)
    guest = await add_person(gateway)
    stranger = connect(guest)
    theirs = {str(value) for name, value in ids.items() if name not in ("n", "number")}
    lists = [path for path, methods in app.openapi()["paths"].items() if "get" in methods and "{" not in path]
    for path in lists:
        answer = await stranger.get(path, headers={"accept": "application/json"})
        assert answer.status_code == 200, path
        assert not [each for each in theirs if each in answer.text], path
    mine = await connect(owner).get("/v1/faxes")
    assert str(ids["fax_id"]) in mine.text


async def test_ids_of_another_tenant_are_unknown_in_bodies_too_xm_08(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    ids = {name: str(value) for name, value in (await furnish(gateway, owner)).items()}
    stranger = connect(await add_person(gateway))
    document, box, page_set = ids["document_id"], ids["box_id"], ids["page_set_id"]
    fax = {"to": "+15550100", "documents": [document]}
    for path, body, code in (
        ("/v1/faxes", fax, "document.unknown"),
        ("/v1/batches", {**fax, "to": ["+15550100"]}, "document.unknown"),
        ("/v1/faxes", {"to": "+15550100", "page_set": page_set}, "document.unknown"),
        ("/v1/documents:render", {"documents": [document]}, "document.unknown"),
        ("/v1/sandbox/calls", {"to": "+15550199", "document": document}, "document.unknown"),
        ("/v1/numbers", {"number": "+15550142", "box": box}, "box.unknown"),
    ):
        answer = await stranger.post(path, json=body)
        assert (answer.json()["code"], answer.status_code) in ((code, 404), (code, 422)), path
    assert (await stranger.get("/v1/faxes", params={"box": box})).status_code == 404


async def test_a_member_gets_404_for_the_boxes_of_others_xm_02(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    ids = await furnish(gateway, owner)
    member = connect(await add_person(gateway, owner.tenant_id, role="member"))
    shared = (
        "numbers",
        "number-rules",
        "routes",
        "destinations",
        "machines",
        "webhooks",
        "holds",
        "erasures",
        "certificates",
        "targets",
    )
    for name, method, path in on_things(app):
        answer = await member.request(method.upper(), **request_of(name, path, ids))
        if name == "get_target":
            continue  # every member may know where rules can lead, and never with what secret
        expected = 403 if name in OF_SESSIONS or path.split("/")[2].partition(":")[0] in (*shared, "users") else 404
        assert answer.status_code == expected, (name, answer.text)
    listed = await member.get("/v1/faxes")
    assert listed.json() == {"items": [], "next": None}
    assert (await member.get("/v1/faxes", params={"box": str(owner.box_id)})).status_code == 404


@pytest.mark.parametrize("path", ["content", "pages/1", "attempts/1/trace"])
async def test_an_admin_sees_the_records_of_others_and_never_their_pages_xm_02(
    gateway: Gateway, owner: Person, connect: Connect, path: str
) -> None:
    ids = await furnish(gateway, owner)
    admin = connect(await add_person(gateway, owner.tenant_id, role="admin"))
    assert (await admin.get(f"/v1/faxes/{ids['fax_id']}")).status_code == 200
    refused = await admin.get(f"/v1/faxes/{ids['fax_id']}/{path}")
    assert (refused.status_code, refused.json()["code"]) == (403, "access.not_yours")


async def test_an_admin_without_the_scope_admin_sees_their_own_only(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    theirs = await add_fax(gateway, owner)
    admin = await add_person(gateway, owner.tenant_id, role="admin", scopes=["faxes:read"])
    own = await add_fax(gateway, admin)
    listed = (await connect(admin).get("/v1/faxes")).json()["items"]
    assert [each["id"] for each in listed] == [str(own)]
    assert (await connect(admin).get(f"/v1/faxes/{theirs}")).status_code == 404


async def test_a_key_without_the_scope_is_refused_whatever_it_has_besides(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    asked = set()
    for scope in SCOPES:
        rest = set(SCOPES) - {scope}
        key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=rest, key_pair=None)
        client = connect(replace(owner, key=key))
        for path, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                if ACCESS[operation["operationId"]].scope == scope:
                    asked.add(scope)
                    url = re.sub(r"\{[a-z_]+_id\}", str(uuid4()), path).replace("{n}", "1").replace("{number}", "1")
                    answer = await client.request(method.upper(), url)
                    assert (answer.status_code, answer.json()["code"]) == (403, "access.scope"), operation[
                        "operationId"
                    ]
    assert asked == set(SCOPES)
