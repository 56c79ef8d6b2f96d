"""Every field of a tenant's policy does something: what is asked for before and after it is laid down differs."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from faxgw.rules.policy import TenantPolicy
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import now, tiff

Ask = Callable[[Client, Path], Awaitable[Any]]

IN_CALLS = {"hours", "retry", "ladder", "learning", "together", "misdirect", "junk"}
"""Fields that show in calls only: ``tests/faxgw/lines`` has a test of each that lays it down by ``change_policy``."""
IN_WHAT_IS_KEPT = {"retention", "storage", "collect_hours"}
"""Fields that show in what is kept, and for how long: ``tests/faxgw/retention``."""


async def document(client: Client, folder: Path, octets: bytes = b"") -> str:
    """Upload a document, of two pages when nothing else is said."""
    media_type = "text/plain" if octets else "image/tiff"
    content = octets or tiff(folder, 2)
    answer = await client.post("/v1/documents", content=content, headers={"content-type": media_type})
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


def fax(to: str = "+15550100", **wishes: str) -> Ask:
    """Send a fax; what it comes to is told by the code."""

    async def ask(client: Client, folder: Path) -> str:
        asked = {"to": to, "documents": [await document(client, folder)], **wishes}
        answer = await client.post("/v1/faxes", json=asked)
        return str(answer.json().get("code", "accepted"))

    return ask


def drawn(octets: bytes, what: str) -> Ask:
    """Draw a document; tell something of its first page."""

    async def ask(client: Client, folder: Path) -> str:
        asked = {"documents": [await document(client, folder, octets)]}
        answer = await client.post("/v1/documents:render", json=asked)
        return str(answer.json()["pages"][0][what])

    return ask


ALLOWED = "accepted"
DENIED = "number.denied_by_policy"
LATER = (now() + timedelta(days=3)).isoformat()
IN_BOXES = {"allow_delegation", "allow_forwarding"}
"""Seen in ``tests/faxgw/boxes``."""
IN_MAIL = {"mail"}
"""Seen in ``tests/faxgw/mail``: ``sending/test_carrier.py``, ``arriving/test_desk.py``."""
SIGNING_IN = {"passkey_alone", "require_second_factor", "session_hours", "session_idle_minutes"}
"""Seen in ``tests/faxgw/people``."""
EFFECTS: dict[str, tuple[Any, Ask, str, str]] = {
    "region": ("DE", fax("030 12345678"), "number.invalid", ALLOWED),
    "lists": ([{"pattern": "+15550100", "direction": "out", "action": "deny"}], fax(), ALLOWED, DENIED),
    "opened": ({"premium": True}, fax("+49 900 1234567"), DENIED, ALLOWED),
    "limits": ({"pages": 1}, fax(), ALLOWED, "quota.pages_per_fax"),
    "quotas": ({"tenant": {"pages_per_hour": 1}}, fax(), ALLOWED, "quota.pages"),
    "schedule_days": (1, fax(send_at=LATER), ALLOWED, "schedule.too_far"),
    "resolution": ("standard", drawn(b"some words", "resolution"), "FINE", "STANDARD"),
}
"""Field -> what is laid down, what is asked, and what comes of it before and after."""


def test_no_field_is_forgotten() -> None:
    elsewhere = IN_CALLS | IN_WHAT_IS_KEPT | IN_BOXES | IN_MAIL | SIGNING_IN
    assert {*EFFECTS, "header"} | elsewhere == set(TenantPolicy.model_fields)


@pytest.mark.parametrize("field", EFFECTS)
async def test_a_field_of_the_policy_does_something(client: Client, tmp_path: Path, field: str) -> None:
    laid_down, ask, before, after = EFFECTS[field]
    assert await ask(client, tmp_path) == before
    answer = await client.put("/v1/policy", json={field: laid_down}, headers={"if-match": "*"})
    assert answer.status_code == 200, answer.text
    assert await ask(client, tmp_path) == after


async def test_the_header_is_seen_on_the_page(client: Client, tmp_path: Path) -> None:
    ask = drawn(b"some words", "sha256")
    seen = [await ask(client, tmp_path)]
    for header in ({"on": True, "text": "Example"}, {"on": True, "text": "Another"}):
        answer = await client.put("/v1/policy", json={"header": header}, headers={"if-match": "*"})
        assert answer.status_code == 200, answer.text
        seen.append(await ask(client, tmp_path))
    assert len(set(seen)) == len(seen)
