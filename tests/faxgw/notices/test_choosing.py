"""Members choose which notices they have: signed in, or by the address in a notice, which nobody can make up."""

import pytest
from sqlalchemy import select

from faxgw.api.resources.notices import Notices
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.notices.choosing import CHOSEN, Stop, chosen
from faxgw.notices.kinds import KINDS
from faxgw.store.tables import audit_waiting
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_person

USUAL = {"result": True, "failure": True, "retention": True, "policy": True, "certificate": True, "update": False}


async def has(gateway: Gateway, person: Person) -> dict[str, bool]:
    async with gateway.database.tenant(person.tenant_id) as connection:
        return await chosen(connection, person.user_id)


def test_every_kind_that_can_be_switched_is_a_field_of_the_choice_and_no_other() -> None:
    assert set(Notices.model_fields) == set(CHOSEN) == {name for name, kind in KINDS.items() if kind.chosen}
    assert Notices().model_dump() == USUAL


@pytest.mark.requirement("XM-24")
async def test_a_member_subscribes_and_unsubscribes_for_themselves_only(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    colleague = await add_person(gateway, owner.tenant_id, role="admin")
    assert (await client.get("/v1/me/notices")).json() == USUAL
    answer = await client.put("/v1/me/notices", json={"update": True, "policy": False})
    assert answer.json() == USUAL | {"update": True, "policy": False}
    assert (await connect(colleague).get("/v1/me/notices")).json() == USUAL
    assert (await client.put("/v1/me/notices", json={})).json() == USUAL
    refused = await client.put("/v1/me/notices", json={"exposed": False})
    assert refused.status_code == 400


@pytest.mark.requirement("XM-24")
async def test_one_click_stops_one_kind_and_a_look_stops_nothing(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    await client.put("/v1/me/notices", json={"update": True})
    url = f"/notices/stop/{Stop(owner.user_id, 'update').token(gateway.server_keys)}"
    nobody = connect(None)
    asked = await nobody.get(url)
    assert (asked.status_code, asked.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await has(gateway, owner))["update"] is True
    done = await nobody.post(url, data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert await has(gateway, owner) == USUAL
    async with gateway.database.tenant(owner.tenant_id) as connection:
        noted = (await connection.scalars(select(audit_waiting.c.entry))).all()
    assert sum("user.notices_chosen" in each for each in noted) == 2


async def test_an_address_of_another_kind_or_member_stops_nothing(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    good = Stop(owner.user_id, "policy").token(gateway.server_keys)
    nobodys = Stop(new_id(), "policy").token(gateway.server_keys)
    last = "0" if good[-1] != "0" else "1"
    forged = [good.replace("policy", "failure"), good.replace("policy", "exposed"), good[:-1] + last, good[:30]]
    forged += [f"{good}0", "policy_", "policy_" + "\u00e4" * 49, nobodys[:20] + good[20:]]
    nobody = connect(None)
    for token in forged:
        answers = [await nobody.get(f"/notices/stop/{token}"), await nobody.post(f"/notices/stop/{token}")]
        assert [each.status_code for each in answers] == [404, 404]
    assert (await nobody.post(f"/notices/stop/{nobodys}")).status_code == 404
    assert await has(gateway, owner) == USUAL
    assert Stop.of(gateway.server_keys, good) == Stop(owner.user_id, "policy")
