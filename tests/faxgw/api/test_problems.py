import ast
import asyncio
from pathlib import Path

import pytest

from faxgw.api import codes
from faxgw.api.codes import CODES
from faxgw.api.problems import answer_of
from faxgw.api.shapes import ProblemShape
from faxgw.archive.objects import StoreFull, StoreUnavailable
from faxgw.gateway import Gateway
from faxgw.rules.causes import TREATMENTS
from faxgw.store.database import DatabaseUnavailable
from tests.faxgw.api.conftest import Client
from tests.faxgw.databases import DatabaseServer

ROOT = Path(__file__).parents[3]
NEVER_OVER_HTTP = (
    "archive.",
    "backup.",
    "config.",
    "database.",
    "keys.",
    "object.",
    "listener.",
    "line.",
    "usage",
    "admin.",
    "data.",
    "drop.",  # said by SFTP
    "auth.device",
)
"""Families of errors that a command ends with, or the service's start."""
OF_CALLS = frozenset(TREATMENTS) | {"fax.nothing_left"}
"""Causes of failed calls: told in the fax's reason, not as the answer to a request."""


def raised() -> set[str]:
    """Return the codes of every RequestError and Problem in the source."""
    found = set()
    for path in (ROOT / "faxgw").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("RequestError", "Problem") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_code_that_a_request_may_end_with_is_in_the_table() -> None:
    found = raised()
    assert len(found) > 60
    assert {each for each in found - set(CODES) - OF_CALLS if not each.startswith(NEVER_OVER_HTTP)} == set()


def test_the_documentation_has_the_table_as_it_is() -> None:
    how = "python -c 'from faxgw.api.codes import as_markdown as it; print(it(), end=str())' > docs/errors.md"
    assert (ROOT / "docs" / "errors.md").read_text() == codes.as_markdown(), how


def test_every_entry_says_what_to_do_and_does_not_lie_about_trying_again() -> None:
    for code, each in CODES.items():
        assert each.title and each.action.endswith("."), code
        assert 400 <= each.status < 600, code
        assert each.retryable or each.status < 500, code


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "request.not_found"),
        ("GET", "/v1/nothing", 404, "request.not_found"),
        ("DELETE", "/v1/faxes", 405, "request.method"),
        ("GET", "/v1/faxes/not-an-id", 404, "request.not_found"),
        ("GET", "/v1/faxes?limit=0", 400, "request.invalid"),
        ("GET", "/v1/faxes?limit=201", 400, "request.invalid"),
    ],
)
async def test_every_error_is_a_problem(client: Client, *, method: str, path: str, status: int, code: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemShape.model_validate(answer.json())
    assert (problem.status, problem.code, problem.retryable) == (status, code, CODES[code].retryable)
    meaning = await client.get(problem.type)
    assert (meaning.status_code, meaning.json()["title"]) == (200, problem.title)


async def test_a_wrong_method_is_told_all_that_are_right(client: Client) -> None:
    answer = await client.request("PATCH", "/v1/faxes")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "pointers"),
    [
        (b"{", "application/json", 400, ["#"]),
        (b"[]", "application/json", 400, ["#"]),
        (b'{"to": 7}', "application/json", 400, ["#/to"]),
        (b'{"to": "1", "colour": 1, "priority": "x"}', "application/json", 400, ["#/priority", "#/colour"]),
        (b"{}", "text/plain", 415, None),
        (b"\xff\xfe", "application/json", 400, []),
        (b"", "application/json", 400, ["#"]),
        (b"[" * 100_000, "application/json", 400, []),
        (b'{"to": "\\ud800"}', "application/json", 400, []),
    ],
)
async def test_a_wrong_body_is_told_field_by_field(
    client: Client, *, body: bytes, content_type: str, status: int, pointers: list[str] | None
) -> None:
    answer = await client.post("/v1/faxes", content=body, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    if pointers:
        assert sorted(each["pointer"] for each in answer.json()["errors"]) == sorted(pointers)


async def test_what_was_sent_is_not_sent_back(client: Client) -> None:
    answer = await client.post("/v1/faxes", json={"to": ["secret-4711"], "secret-4712": "secret-4713"})
    assert answer.status_code == 400
    assert "secret-4711" not in answer.text
    assert "secret-4713" not in answer.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DatabaseUnavailable("it is down, says secret"), 503, "service.unavailable"),
        (StoreUnavailable("secret"), 503, "service.unavailable"),
        (StoreFull("secret"), 507, "storage.full"),
        (ZeroDivisionError("secret"), 500, "internal.error"),
    ],
)
def test_our_own_trouble_is_told_without_its_inside(error: Exception, status: int, code: str) -> None:
    answer = answer_of(error)
    assert answer.status_code == status
    assert code.encode() in answer.body
    assert b"secret" not in answer.body
    assert ("retry-after" in answer.headers) == (status in (503, 507))


async def test_without_a_database_there_is_503_and_it_heals(
    gateway: Gateway, client: Client, database_server: DatabaseServer
) -> None:
    name = gateway.database.urls.app.split("@/")[1].split("?")[0]
    assert (await client.get("/v1/faxes")).status_code == 200
    with database_server.administrator() as admin:
        admin.execute(f"alter database {name} with allow_connections false".encode())
        await gateway.database.close()
        try:
            answer = await client.get("/v1/faxes")
            assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
            assert answer.json()["retryable"] is True
        finally:
            admin.execute(f"alter database {name} with allow_connections true".encode())
    async with asyncio.timeout(10):
        while (await client.get("/v1/faxes")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
