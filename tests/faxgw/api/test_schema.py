"""The OpenAPI document: whole, described, with examples that are taken, and true of what is answered (schemathesis)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from faxgw.actor import SCOPES
from faxgw.api.access import ACCESS
from faxgw.api.examples import BOX, COLLEAGUE, DOCUMENT, EXAMPLES, OTHER_BOX, TARGET
from faxgw.gateway import Gateway
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import Person
from tests.faxgw.api.test_set_up import add_lines
from tests.faxgw.api.test_walls import request_of

NOT_HERE = {
    **{"call_in": 404, "create_session": 401, "recover_session": 401, "set_up_person": 422},
    **{"create_passkey_session": 409, "find_colleague": 404},
}
"""Operation -> what its example comes to where there is no simulated line, and nobody of that password or code.

What needs a session gets 403 with an API key; ``tests/faxgw/people`` does all of it.
"""


def operations(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


async def test_anybody_may_read_it(connect: Connect, app: FastAPI) -> None:
    answer = await connect(None).get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(app.openapi()))
    assert answer.json()["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_every_operation_is_in_the_table_and_says_which_scope_it_needs(app: FastAPI) -> None:
    named = {operation["operationId"]: operation for _, operation in operations(app)}
    assert set(named) == set(ACCESS)
    for name, operation in named.items():
        access = ACCESS[name]
        assert access.scope in {"", *SCOPES}
        assert access.text in operation["description"]
        assert operation["security"] == ([] if access.public else [{"apiKey": [access.scope] if access.scope else []}])


def test_every_operation_says_what_may_go_wrong(app: FastAPI) -> None:
    for name, operation in operations(app):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
        assert {"400", "429", "500", "503"} <= set(operation["responses"]), name


@pytest.mark.requirement("XM-25")
def test_every_field_is_described(app: FastAPI) -> None:
    bare = []
    for name, schema in app.openapi()["components"]["schemas"].items():
        for field, about in schema.get("properties", {}).items():
            if "description" not in about and "$ref" not in about:
                bare.append(f"{name}.{field}")
    for name, operation in operations(app):
        for parameter in operation.get("parameters", []):
            if "description" not in parameter and not parameter["name"].endswith("_id"):
                bare.append(f"{name} {parameter['name']}")
    assert bare == []


async def test_the_examples_are_taken(app: FastAPI, gateway: Gateway, client: Client, owner: Person) -> None:
    ids = await furnish(gateway, owner)
    await add_lines(gateway, "sim")
    with_body = set()
    for name, operation in operations(app):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None:
            which = operation["operationId"]
            with_body.add(which)
            text = json.dumps(content["examples"]["usual"]["value"])
            text = text.replace(DOCUMENT, str(ids["document_id"])).replace(BOX, str(owner.box_id))
            text = text.replace(COLLEAGUE, str(ids["colleague_id"])).replace(OTHER_BOX, str(ids["other_box_id"]))
            text = text.replace(TARGET, str(ids["target_id"]))
            method, _, path = name.partition(" ")
            asked = request_of(which, path, ids) | {"json": json.loads(text)}
            answer = await client.request(method, **asked)
            expected = NOT_HERE.get(which, 403 if ACCESS[which].session else int(next(iter(operation["responses"]))))
            assert answer.status_code == expected, (which, answer.text)
    assert with_body == set(EXAMPLES)


def test_the_documentation_has_every_scope_in_the_words_of_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    for scope, text in SCOPES.items():
        assert f"| `{scope}` | {text} |" in page
