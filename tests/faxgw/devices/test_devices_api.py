"""Devices over HTTP: made, changed, given another secret, revoked, and what is said of how they came."""

from typing import Any

import pytest
from sqlalchemy import select

from faxgw.gateway import Gateway
from faxgw.store.tables import audit_waiting, faxes
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_fax, add_person
from tests.faxgw.devices.making import change, come, row_of


async def made(client: Client, name: str, **wanted: Any) -> dict[str, Any]:
    answer = await client.post("/v1/devices", json={"name": name, **wanted})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.requirement("WF-14")
async def test_what_befalls_one_device_does_not_touch_the_others(gateway: Gateway, client: Client) -> None:
    three = [await made(client, name) for name in ("one", "two", "three")]
    assert len({each["login"] for each in three}) == len({each["secret"] for each in three}) == 3
    first, second, third = three
    rotated = (await client.post(f"/v1/devices/{first['id']}:rotate")).json()
    revoked = await client.post(f"/v1/devices/{second['id']}:revoke")
    assert revoked.json()["revoked_at"] is not None
    assert await come(gateway, first["login"], first["secret"]) is None
    assert await come(gateway, second["login"], second["secret"]) is None
    for login, secret in ((first["login"], rotated["secret"]), (third["login"], third["secret"])):
        assert await come(gateway, login, secret) is not None
    again = (await client.post(f"/v1/devices/{second['id']}:rotate")).json()
    assert await come(gateway, second["login"], again["secret"]) is not None
    off = {"name": "three", "enabled": False}
    assert (await client.put(f"/v1/devices/{third['id']}", json=off, headers={"if-match": "*"})).status_code == 200
    assert await come(gateway, third["login"], third["secret"]) is None
    assert await come(gateway, first["login"], rotated["secret"]) is not None
    assert (await client.delete(f"/v1/devices/{first['id']}")).status_code == 204
    assert await come(gateway, first["login"], rotated["secret"]) is None


async def test_a_secret_is_shown_once_and_lies_nowhere(gateway: Gateway, client: Client, owner: Person) -> None:
    asked = {"name": "copier"}
    key = {"idempotency-key": "once"}
    first = (await client.post("/v1/devices", json=asked, headers=key)).json()
    again = (await client.post("/v1/devices", json=asked, headers=key)).json()
    assert again == first | {"secret": None}
    shown = (await client.get(f"/v1/devices/{first['id']}")).json()
    assert shown == {name: value for name, value in first.items() if name != "secret"}
    assert first["secret"].encode() not in (await row_of(gateway, first["login"]))["mac"]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        log = " ".join((await connection.execute(select(audit_waiting.c.entry))).scalars())
    assert "device.created" in log
    assert first["secret"] not in log and "copier" not in log


@pytest.mark.parametrize(
    "wrong",
    [
        {"numbers": ["0049"]},
        {"numbers": ["+"]},
        {"networks": ["192.0.2.0/33"]},
        {"networks": ["everywhere"]},
        {"faxes_per_day": 0},
        {"ssh_key": "ssh-ed25519 AAAA"},
        {"reply": "everybody"},
        {"name": ""},
    ],
    ids=str,
)
async def test_what_no_device_can_have_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    answer = await client.post("/v1/devices", json={"name": "copier", **wrong})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")


async def test_its_box_is_one_that_its_owner_sends_from(
    gateway: Gateway, client: Client, owner: Person, connect: Connect
) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    answer = await client.post("/v1/devices", json={"name": "copier", "box": str(member.box_id)})
    assert (answer.status_code, answer.json()["code"]) == (404, "box.unknown")
    theirs = await made(connect(member), "copier")
    assert theirs["box"] == str(member.box_id)
    twice = await client.post("/v1/devices", json={"name": "copier"})
    assert (twice.status_code, twice.json()["code"]) == (409, "device.name")
    assert len((await client.get("/v1/devices")).json()["items"]) == 1
    other = await add_person(gateway, owner.tenant_id, role="member")
    assert (await connect(other).get("/v1/devices")).json()["items"] == []
    assert (await connect(other).get(f"/v1/devices/{theirs['id']}")).status_code == 404


@pytest.mark.requirement("WF-14")
async def test_a_fax_says_which_device_it_came_from(gateway: Gateway, client: Client, owner: Person) -> None:
    device = await made(client, "copier")
    mine = await add_fax(gateway, owner, device_id=device["id"])
    other = await add_fax(gateway, owner)
    assert (await client.get(f"/v1/faxes/{mine}")).json()["device"] == device["id"]
    assert (await client.get(f"/v1/faxes/{other}")).json()["device"] is None
    listed = (await client.get("/v1/faxes", params={"device": device["id"]})).json()["items"]
    assert [each["id"] for each in listed] == [str(mine)]
    await client.delete(f"/v1/devices/{device['id']}")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(faxes.c.id).where(faxes.c.id == mine))).scalar_one() == mine


async def test_the_check_names_what_is_not_as_it_should_be(gateway: Gateway, client: Client) -> None:
    ready, older, new, exposed = [await made(client, name) for name in ("ready", "older", "new", "exposed")]
    await come(gateway, ready["login"], ready["secret"])
    await come(gateway, older["login"], older["secret"], protocol="TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256")
    await come(gateway, exposed["login"], exposed["secret"])
    await change(gateway, exposed["login"], exposed_at=(await row_of(gateway, exposed["login"]))["seen_at"])
    report = (await client.get("/v1/devices:check")).json()
    assert (report["devices"], report["ready"]) == (4, 1)
    said = {each["id"]: each["findings"] for each in report["items"]}
    assert said == {older["id"]: ["tls_1_2"], new["id"]: ["never_connected"], exposed["id"]: ["exposed"]}
