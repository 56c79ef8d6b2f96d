"""Rows as they are recorded: in the transaction of what they tell of, or not at all."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from faxgw.actor import Actor
from faxgw.audit import pseudonym, record
from faxgw.audit.canonical import NotCanonical
from faxgw.ids import new_id
from faxgw.keys.tokens import ServerKeys
from faxgw.store.database import Database
from faxgw.store.tables import audit_waiting

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


async def waiting(database: Database) -> list[dict[str, object]]:
    async with database.dispatcher() as connection:
        return [json.loads(entry) for entry in (await connection.scalars(select(audit_waiting.c.entry))).all()]


async def test_a_row_says_who_did_what_to_what_when_and_by_what(database: Database, tenant: UUID) -> None:
    actor = Actor(tenant, "tenant", new_id(), "owner", new_id(), frozenset({"admin"}))
    async with database.tenant(tenant) as connection:
        await record(
            connection,
            tenant_id=tenant,
            actor=actor,
            action="policy.changed",
            object="policy",
            object_id=tenant,
            data={"old": {"days": 1}, "new": {"days": None}},
            now=NOW,
        )
    assert await waiting(database) == [
        {
            "action": "policy.changed",
            "actor": f"user:{actor.user_id}",
            "data": {"old": {"days": 1}, "new": {"days": None}},
            "object": "policy",
            "object_id": str(tenant),
            "outcome": "ok",
            "source": f"api_key:{actor.api_key_id}",
            "tenant": str(tenant),
            "time": "2026-11-22T09:00:00.000000Z",
        }
    ]


async def test_what_is_rolled_back_leaves_no_row(database: Database, tenant: UUID) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.tenant(tenant) as connection:
            await record(connection, tenant_id=tenant, actor="service", action="fax.deleted")
            raise ZeroDivisionError
    assert await waiting(database) == []


async def test_what_has_no_canonical_form_is_refused(database: Database, tenant: UUID) -> None:
    for value in (1.5, 2**60, b"x", "\ud800", {1: "x"}, NOW):
        with pytest.raises(NotCanonical):
            async with database.tenant(tenant) as connection:
                await record(connection, tenant_id=tenant, actor="service", action="x", data={"value": value})
    assert await waiting(database) == []


def test_a_pseudonym_shows_nothing_of_the_person_and_differs_between_tenants(tmp_path: Path) -> None:
    keys, one, other = ServerKeys(tmp_path / "keys"), new_id(), new_id()
    mine = pseudonym(keys, tenant_id=one, subject="Anna@example.com")
    assert mine == pseudonym(keys, tenant_id=one, subject=" anna@EXAMPLE.com")
    assert mine != pseudonym(keys, tenant_id=other, subject="anna@example.com")
    assert mine != pseudonym(ServerKeys(tmp_path / "others"), tenant_id=one, subject="anna@example.com")
    assert "anna" not in mine
