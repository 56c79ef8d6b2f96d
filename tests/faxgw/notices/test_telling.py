"""Who gets a notice, how often, and what it cannot say."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, select, update

from faxgw.gateway import Gateway
from faxgw.notices.kinds import KINDS, checked
from faxgw.notices.telling import Member, OwnerOf, ReadersOf, Recipient, Role, notify
from faxgw.store.tables import grants, parcels, users
from tests.faxgw.api.conftest import Connect
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.boxes.house import give, set_policy

AT = "2026-11-22 10:00 UTC"
FAILURE: dict[str, Any] = {"fax": "f", "number": "+49301234567", "reason": "busy", "at": AT}
POLICY: dict[str, Any] = {"changes": [{"name": "allow_forwarding", "old": "true", "new": "false"}], "at": AT}


async def told(gateway: Gateway, tenant_id: UUID) -> list[RowMapping]:
    async with gateway.database.tenant(tenant_id) as connection:
        return list((await connection.execute(select(parcels).order_by(parcels.c.id))).mappings())


async def tell(gateway: Gateway, tenant_id: UUID, *to: Recipient, kind: str = "failure", **more: Any) -> list[str]:
    data = more.pop("data", POLICY if kind == "policy" else FAILURE)
    async with gateway.database.tenant(tenant_id) as connection:
        await notify(connection, tenant_id, kind=kind, key=more.pop("key", "k"), to=to, data=data)
    return sorted(row["recipient"] for row in await told(gateway, tenant_id))


async def test_roles_and_boxes_are_those_who_have_them_now_and_are_active(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    admin, member, reader, gone = [
        await add_person(gateway, owner.tenant_id, role=role) for role in ("admin", "member", "member", "admin")
    ]
    async with gateway.database.dispatcher() as connection:
        there = update(users).where(users.c.id == gone.user_id)
        await connection.execute(there.values(deactivated_at=datetime.now(UTC)))
    await give(connect(member), member.box_id, reader, "read")
    tenant = owner.tenant_id
    assert await tell(gateway, tenant, Role.OWNERS, key="1") == [owner.email]
    assert await tell(gateway, tenant, Role.ADMINS, key="2") == sorted([owner.email, owner.email, admin.email])
    before = await told(gateway, tenant)
    await tell(gateway, tenant, ReadersOf(member.box_id), OwnerOf(member.box_id), Member(reader.user_id), key="3")
    new = [row["recipient"] for row in (await told(gateway, tenant))[len(before) :]]
    assert sorted(new) == sorted([member.email, reader.email])


async def test_whose_right_has_ended_or_is_suspended_is_told_nothing(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    member, reader = [await add_person(gateway, owner.tenant_id, role="member") for _ in range(2)]
    await give(connect(member), member.box_id, reader, "read", expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert reader.email in await tell(gateway, owner.tenant_id, ReadersOf(member.box_id), key="1")
    await set_policy(gateway, owner.tenant_id, allow_delegation=False)
    assert (await tell(gateway, owner.tenant_id, ReadersOf(member.box_id), key="2")).count(reader.email) == 1
    await set_policy(gateway, owner.tenant_id)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(grants).values(expires_at=datetime.now(UTC)))
    assert (await tell(gateway, owner.tenant_id, ReadersOf(member.box_id), key="3")).count(reader.email) == 1


async def test_what_is_told_again_is_sent_once_and_each_address_gets_one(gateway: Gateway, owner: Person) -> None:
    to = (Role.OWNERS, "Device@clinic.example", owner.email.upper(), "device@clinic.example")
    for _ in range(2):
        assert len(await tell(gateway, owner.tenant_id, *to)) == 2
    assert all(row["next_at"] and row["state"] == "waiting" for row in await told(gateway, owner.tenant_id))


async def test_nobody_of_another_tenant_is_told(gateway: Gateway, owner: Person) -> None:
    stranger = await add_person(gateway)
    async with gateway.database.dispatcher() as connection:
        await notify(connection, owner.tenant_id, kind="failure", key="k", to=Role.ADMINS, data=FAILURE)
        for who in (ReadersOf(stranger.box_id), OwnerOf(stranger.box_id), Member(stranger.user_id)):
            await notify(connection, owner.tenant_id, kind="failure", key="s", to=who, data=FAILURE)
    assert [row["recipient"] for row in await told(gateway, owner.tenant_id)] == [owner.email]
    assert await told(gateway, stranger.tenant_id) == []


async def test_members_have_the_kinds_that_they_want_and_those_that_cannot_be_switched_off(
    gateway: Gateway, owner: Person
) -> None:
    update_ = {"version": "0.1.0", "release": "0.2.0", "advisories": []}
    assert await tell(gateway, owner.tenant_id, Role.OWNERS, kind="update", data=update_) == []
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(users).values(notices={"update": True, "policy": False, "exposed": False}))
    assert await tell(gateway, owner.tenant_id, Role.OWNERS, kind="policy") == []
    assert await tell(gateway, owner.tenant_id, Role.OWNERS, kind="update", data=update_) == [owner.email]
    exposed = {"device": "MFP", "protocol": "smtp", "at": AT, "revoked": True}
    assert len(await tell(gateway, owner.tenant_id, Role.OWNERS, kind="exposed", data=exposed)) == 2


@pytest.mark.requirement("XM-17")
def test_a_notice_masks_numbers_also_within_its_words_and_has_no_line_of_its_own() -> None:
    said = checked("failure", FAILURE | {"reason": "+49 30 1234567 is busy\r\nBcc: all@example.com"})
    assert said["number"] == "+49…67"
    assert "1234567" not in str(said)
    assert "\r" not in said["reason"]
    assert "\n" not in said["reason"]
    nested = checked("policy", {"at": AT, "changes": [{"name": "x", "number": "+49301234567", "old": ["030 1234567"]}]})
    assert "1234567" not in str(nested)


@pytest.mark.parametrize(
    "data",
    [
        FAILURE | {"text": "what was on page one"},
        {"fax": "f"},
        FAILURE | {"reason": "x" * 501},
        FAILURE | {"reason": b"octets"},
        FAILURE | {"reason": ["x"] * 101},
    ],
)
def test_what_a_notice_is_not_meant_to_say_cannot_be_said(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="notice"):
        checked("failure", data)


def test_there_are_no_other_kinds_of_notices() -> None:
    assert set(KINDS) == {
        "result",
        "failure",
        "held",
        "retention",
        "recall",
        "policy",
        "certificate",
        "update",
        "exposed",
    }
    with pytest.raises(ValueError, match="greeting"):
        checked("greeting", {})
