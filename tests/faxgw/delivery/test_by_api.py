"""Targets, rules and parcels over HTTP: secrets go in and never out, personal data only where they are encrypted."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from faxgw.delivery import carriers
from faxgw.delivery.carrier import Unreachable
from faxgw.delivery.courier import Courier
from faxgw.gateway import Gateway
from faxgw.store.tables import audit_waiting, boxes, parcels, targets, wraps
from tests.faxgw.api.conftest import Connect, app, connect, gateway, owner, settings
from tests.faxgw.api.people import Person, add_key, add_person
from tests.faxgw.boxes.house import received, set_policy
from tests.faxgw.delivery.shelf import PATH, PLACES, add_rule, add_target, parcels_of

__all__ = ["app", "connect", "gateway", "owner", "settings"]

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFbHv5j8VYpHHrqX4cz1kZKzq0sTqpkHWHiPGfbWbaT"
SFTP = {"kind": "sftp", "host": "files.example.com", "user": "fax", "host_keys": [HOST_KEY]}
AGE = {"kind": "age", "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}
MAIL = {"kind": "mail", "address": "desk@clinic.example"}
EVERY = ("download", "export", "forward", "webhook", "mail", "folder")


@pytest.fixture(autouse=True)
def shelves(monkeypatch: pytest.MonkeyPatch) -> None:
    PLACES.clear()
    monkeypatch.setattr(carriers, "CARRIERS", dict.fromkeys(carriers.CARRIERS, PATH))


async def carry(gateway: Gateway, lane: UUID) -> None:
    """Have the courier of a node carry one parcel of a lane."""
    courier = Courier(gateway)
    assert await courier._carry(lane, lambda: None) is not None


async def test_a_secret_goes_in_and_never_comes_out(gateway: Gateway, owner: Person, connect: Connect) -> None:
    client = connect(owner)
    asked = {"name": "Records", "settings": SFTP, "secret": {"password": "correct horse battery"}}
    made = await client.post("/v1/targets", json=asked)
    assert made.status_code == 201 and made.json()["secrets"] == ["password"]
    url = made.headers["location"]
    said = [made.text, (await client.get(url)).text, (await client.get("/v1/targets")).text]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        said += [row.entry for row in await connection.execute(select(audit_waiting))]
        row = (await connection.execute(select(targets))).mappings().one()
        raw = (await connection.exec_driver_sql("SELECT settings::text FROM targets")).scalar_one()
    assert b"horse" not in row["secret"] and "files.example" not in raw
    assert not [each for each in said if "horse" in each]
    kept = await client.put(url, json=asked | {"name": "Archive", "secret": None}, headers={"if-match": "*"})
    assert (kept.json()["name"], kept.json()["secrets"]) == ("Archive", ["password"])
    moved = asked | {"settings": SFTP | {"host": "elsewhere.example.com"}, "secret": None}
    refused = await client.put(url, json=moved, headers={"if-match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (422, "target.secret")
    gone = await client.put(url, json=moved | {"secret": {}}, headers={"if-match": "*"})
    assert gone.json()["secrets"] == [] and gone.json()["settings"]["host"] == "elsewhere.example.com"


@pytest.mark.requirement("XM-18")
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"kind": "ftp", "host": "files.example.com", "user": "fax"}, "target.plain_ftp"),
        (SFTP | {"host": "ftp://files.example.com"}, "target.plain_ftp"),
        (SFTP | {"host_keys": ["ssh-ed25519 nonsense"]}, "target.host_keys"),
        (SFTP | {"host_keys": []}, "request.invalid"),
        (SFTP | {"host": "10.1.2.3"}, "target.address"),
        ({"kind": "ftps", "host": "files.example.com", "user": "fax", "authorities": "none"}, "target.authorities"),
        ({"kind": "local", "folder": "in"}, "target.folder"),
        ({"kind": "s3", "bucket": "fax", "endpoint": "http://s3.example.com"}, "target.endpoint"),
        (SFTP | {"sealing": {"kind": "age", "recipients": ["age1nobody"]}}, "target.recipient"),
    ],
)
async def test_what_is_unsafe_or_cannot_work_is_refused_at_once(
    owner: Person, connect: Connect, given: dict[str, Any], code: str
) -> None:
    answer = await connect(owner).post("/v1/targets", json={"name": "Records", "settings": given})
    assert answer.json()["code"] == code, answer.text


async def test_only_owners_and_admins_set_targets_up(gateway: Gateway, owner: Person, connect: Connect) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    asked = {"name": "Records", "settings": MAIL}
    answer = await connect(member).post("/v1/targets", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (403, "access.role")
    assert (await connect(owner).post("/v1/targets", json=asked)).status_code == 201
    assert len((await connect(member).get("/v1/targets")).json()["items"]) == 1
    twice = await connect(owner).post("/v1/targets", json=asked)
    assert (twice.status_code, twice.json()["code"]) == (409, "target.name")


async def test_a_target_is_tried_out_without_a_fax(gateway: Gateway, owner: Person, connect: Connect) -> None:
    target = await add_target(gateway, owner.tenant_id, "files")
    PLACES["files"].faults = [Unreachable("delivery.unreachable", "nobody answers")]
    for ok, code in ((False, "delivery.unreachable"), (True, "")):
        answer = (await connect(owner).post(f"/v1/targets/{target}:test")).json()
        assert (answer["ok"], answer["code"], answer["proof"] is not None) == (ok, code, ok)
    assert PLACES["files"].files == {}


@pytest.mark.requirement("XM-21")
async def test_a_box_with_personal_data_delivers_only_to_what_is_encrypted_or_attested(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    retention = {"classes": {"medical": {"personal": True}}, "declared": dict.fromkeys(EVERY, 30)}
    await set_policy(gateway, owner.tenant_id, retention=retention)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(boxes).values(data_class="medical"))
    client, rules = connect(owner), f"/v1/boxes/{owner.box_id}/delivery-rules"
    given = {
        "open": SFTP,
        "sealed": SFTP | {"sealing": AGE},
        "attested": SFTP | {"attested": True},
        "mail": MAIL,
        "links": MAIL | {"protection": "link-only"},
    }
    answers, made = {}, {}
    for name, how in given.items():
        made[name] = (await client.post("/v1/targets", json={"name": name, "settings": how})).json()["id"]
        answer = await client.post(rules, json={"target": made[name]})
        answers[name] = answer.json().get("code") or answer.json()["state"]
    unsafe = "target.unprotected"
    assert answers == {"open": unsafe, "sealed": "active", "attested": "active", "mail": unsafe, "links": "active"}
    fax = await received(gateway, owner)
    by_hand = await client.post(f"/v1/faxes/{fax}:deliver", json={"target": made["open"]})
    assert (by_hand.status_code, by_hand.json()["code"]) == (422, unsafe)
    changed = {"name": "attested", "settings": SFTP}
    await client.put(f"/v1/targets/{made['attested']}", json=changed, headers={"if-match": "*"})
    states = {each["target"]: each["state"] for each in (await client.get(rules)).json()["items"]}
    assert states[made["attested"]] == "unprotected" and states[made["sealed"]] == "active"


@pytest.mark.requirement("XM-21")
async def test_what_became_unprotected_while_it_waited_is_not_delivered(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    target = await add_target(gateway, owner.tenant_id, "files")
    fax = await received(gateway, owner)
    assert (await connect(owner).post(f"/v1/faxes/{fax}:deliver", json={"target": str(target)})).status_code == 202
    retention = {"classes": {"medical": {"personal": True}}, "declared": dict.fromkeys(EVERY, 30)}
    await set_policy(gateway, owner.tenant_id, retention=retention)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(boxes).values(data_class="medical"))
    await carry(gateway, target)
    (parcel,) = [each for each in await parcels_of(gateway, owner.tenant_id) if each.kind == "fax"]
    assert (parcel.state, parcel.code, PLACES["files"].tries) == ("failed", "target.unprotected", 0)


@pytest.mark.requirement("XM-13")
async def test_a_class_is_not_personal_before_it_is_declared_how_long_targets_keep_what_they_get(
    owner: Person, connect: Connect
) -> None:
    declared = {kind: 30 for kind in EVERY if kind != "folder"}
    policy = {"retention": {"classes": {"medical": {"personal": True}}, "declared": declared}}
    answer = await connect(owner).put("/v1/policy", json=policy, headers={"if-match": "*"})
    assert 400 <= answer.status_code < 500 and "folder" in answer.text


@pytest.mark.requirement("XM-06")
async def test_while_nobody_may_forward_no_rule_is_made_and_those_of_before_are_suspended(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    target = str(await add_target(gateway, owner.tenant_id, "desk", "mail", address="desk@clinic.example"))
    client, rules = connect(owner), f"/v1/boxes/{owner.box_id}/delivery-rules"
    assert (await client.post(rules, json={"target": target})).json()["state"] == "active"
    twice = await client.post(rules, json={"target": target})
    assert (twice.status_code, twice.json()["code"]) == (409, "rule.exists")
    await set_policy(gateway, owner.tenant_id, allow_forwarding=False)
    (rule,) = (await client.get(rules)).json()["items"]
    assert rule["state"] == "suspended_by_policy"
    fax = await received(gateway, owner)
    for url, body in ((rules, {"target": target, "prefix": "+49"}), (f"/v1/faxes/{fax}:deliver", {"target": target})):
        answer = await client.post(url, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "policy.denied")
    assert (await client.delete(f"{rules}/{rule['id']}")).status_code == 204


@pytest.mark.requirement("XM-04")
async def test_a_fax_is_delivered_by_hand_by_somebody_who_opens_it_and_once_to_each_target(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    target = await add_target(gateway, owner.tenant_id, "files")
    fax, body = await received(gateway, owner), {"target": str(target), "format": "tiff"}
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["faxes:send"], key_pair=None)
    locked = connect(replace(owner, key=key))
    refused = await locked.post(f"/v1/faxes/{fax}:deliver", json=body)
    assert (refused.status_code, refused.json()["code"]) == (423, "key.locked")
    client = connect(owner)
    made = await client.post(f"/v1/faxes/{fax}:deliver", json=body)
    assert made.status_code == 202
    twice = await client.post(f"/v1/faxes/{fax}:deliver", json=body)
    assert (twice.status_code, twice.json()["code"]) == (409, "parcel.exists")
    await carry(gateway, target)
    (parcel,) = (await client.get(f"/v1/faxes/{fax}/parcels")).json()["items"]
    assert (parcel["state"], parcel["proof"]["decision"], parcel["id"]) == ("delivered", "local", made.json()["id"])
    assert any(name.endswith(".tif") for name in PLACES["files"].files)
    (copy,) = (await client.get(f"/v1/faxes/{fax}/copies")).json()["items"]
    assert (copy["kind"], copy["fate"]) == ("folder", "deletable")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(wraps).where(wraps.c.kind == "spool"))).all() == []


async def test_a_dead_letter_is_listed_tried_again_and_canceled(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    target = await add_target(gateway, owner.tenant_id, "files")
    PLACES["files"].faults = [Unreachable("delivery.unreachable", "nobody answers")]
    fax, client = await received(gateway, owner), connect(owner)
    parcel = (await client.post(f"/v1/faxes/{fax}:deliver", json={"target": str(target)})).json()["id"]
    assert (await client.post(f"/v1/parcels/{parcel}:cancel")).json()["state"] == "canceled"
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(wraps).where(wraps.c.kind == "spool"))).all() == []
    twice = await client.post(f"/v1/parcels/{parcel}:cancel")
    assert (twice.status_code, twice.json()["code"]) == (409, "parcel.state")
    assert (await client.post(f"/v1/parcels/{parcel}:retry")).status_code == 202
    await carry(gateway, target)
    assert (await client.get(f"/v1/parcels/{parcel}")).json()["reason"]["code"] == "delivery.unreachable"
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(parcels).values(state="failed"))
    (listed,) = (await client.get("/v1/parcels", params={"state": "failed"})).json()["items"]
    assert (listed["id"], listed["fax"], listed["target"]) == (parcel, str(fax), str(target))
    member = await add_person(gateway, owner.tenant_id, role="member")
    assert (await connect(member).get("/v1/parcels")).json()["items"] == []
    assert (await client.post(f"/v1/parcels/{parcel}:retry")).status_code == 202
    await carry(gateway, target)
    over = await client.post(f"/v1/parcels/{parcel}:retry")
    assert (over.status_code, over.json()["code"]) == (409, "parcel.state")


async def test_a_deleted_target_gets_nothing_more_and_its_name_is_free(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    target = await add_target(gateway, owner.tenant_id, "files")
    await add_rule(gateway, owner.tenant_id, owner.box_id, target)
    fax, client = await received(gateway, owner), connect(owner)
    await client.post(f"/v1/faxes/{fax}:deliver", json={"target": str(target)})
    assert (await client.delete(f"/v1/targets/{target}")).status_code == 204
    assert (await client.get(f"/v1/targets/{target}")).status_code == 404
    (parcel,) = await parcels_of(gateway, owner.tenant_id)
    assert (parcel.state, parcel.code) == ("canceled", "target.retired")
    assert (await client.get(f"/v1/boxes/{owner.box_id}/delivery-rules")).json()["items"] == []
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(wraps).where(wraps.c.kind == "spool"))).all() == []
    again = {"name": "files", "settings": MAIL}
    assert (await client.post("/v1/targets", json=again)).status_code == 201
