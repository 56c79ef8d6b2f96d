"""The audit log over HTTP: what was done is there, proved and exported; only to those who may see it."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from faxgw.audit.canonical import canonical
from faxgw.audit.merkle import continues, includes, leaf_hash
from faxgw.audit.notes import Checkpoint, Verifier, decoded
from faxgw.audit.sequencing import sequence
from faxgw.audit.verify import Refuted, verify
from faxgw.gateway import Gateway
from faxgw.keys.jwk import read_jwks
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_fax, add_pages, add_person, drawn_page
from tests.faxgw.api.test_set_up import add_lines
from tests.faxgw.audit.conftest import NOW
from tests.faxgw.audit.test_sequencing import alter
from tests.faxgw.databases import DatabaseServer


async def rows(client: Client, gateway: Gateway, **query: Any) -> list[dict[str, Any]]:
    """Return what the log has, the newest first."""
    await sequence(gateway.database, gateway.server_keys, now=NOW)
    answer = await client.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest_asyncio.fixture
async def grown(client: Client, gateway: Gateway) -> AsyncIterator[Client]:
    """Return the owner's client, with five rows in the log."""
    for number in range(5):
        await client.post("/v1/boxes", json={"name": f"box {number}"})
    assert len(await rows(client, gateway)) == 5
    yield client


async def test_the_log_is_listed_newest_first_page_by_page_and_by_what_it_is_about(
    grown: Client, gateway: Gateway, owner: Person
) -> None:
    first = (await grown.get("/v1/audit", params={"limit": 2})).json()
    second = (await grown.get("/v1/audit", params={"limit": 2, "cursor": first["next"]})).json()
    last = (await grown.get("/v1/audit", params={"limit": 2, "cursor": second["next"]})).json()
    assert [row["seq"] for each in (first, second, last) for row in each["items"]] == [4, 3, 2, 1, 0]
    assert last["next"] is None
    row = first["items"][0]
    assert (row["action"], row["object"], row["outcome"]) == ("box.created", "box", "ok")
    assert (row["actor"], row["source"]) == (f"user:{owner.user_id}", f"api_key:{owner.key.id}")
    leaf = row.pop("leaf")
    assert leaf_hash(canonical(row)) == decoded(leaf)
    assert await rows(grown, gateway, object_id=row["object_id"]) == [{**row, "leaf": leaf}]
    assert await rows(grown, gateway, action="box.deleted") == []
    assert len(await rows(grown, gateway, action="box.created", actor=row["actor"])) == 5
    assert (await grown.get("/v1/audit", params={"cursor": "_" * 21 + "w"})).status_code == 200


async def test_only_owners_and_admins_with_the_scope_admin_see_it(
    grown: Client, gateway: Gateway, connect: Connect, owner: Person
) -> None:
    member = connect(await add_person(gateway, owner.tenant_id, role="member"))
    without = connect(await add_person(gateway, owner.tenant_id, role="admin", scopes=["faxes:read"]))
    admin = connect(await add_person(gateway, owner.tenant_id, role="admin", scopes=["admin"]))
    for address in ("/v1/audit", "/v1/audit/checkpoint", "/v1/audit/proof?seq=0", "/v1/audit:export"):
        assert [(await each.get(address)).status_code for each in (member, without, admin)] == [403, 403, 200]
        assert (await connect(None).get(address)).status_code == 401


@pytest.mark.requirement("XM-08")
async def test_another_tenant_sees_a_log_of_its_own(grown: Client, gateway: Gateway, connect: Connect) -> None:
    stranger = connect(await add_person(gateway))
    assert await rows(stranger, gateway) == []
    assert (await stranger.get("/v1/audit/checkpoint")).json()["size"] == 0
    assert (await stranger.get("/v1/audit/proof", params={"seq": 0})).status_code == 404


@pytest.mark.requirement("FP-13")
async def test_proofs_hold_against_checkpoints_and_the_published_key(
    grown: Client, gateway: Gateway, connect: Connect
) -> None:
    old = (await grown.get("/v1/audit/checkpoint")).json()
    await grown.post("/v1/boxes", json={"name": "one more"})
    row = (await rows(grown, gateway))[0]
    new = (await grown.get("/v1/audit/checkpoint")).json()
    raw = read_jwks((await connect(None).get("/.well-known/audit-keys.json")).text)
    for each, size in ((old, 5), (new, 6)):
        verifier = Verifier.parse(each["key"])
        assert [verifier.public] == raw
        checkpoint = Checkpoint.opened(each["note"], verifier)
        assert (checkpoint.size, checkpoint.root) == (size, decoded(each["root"]))
    proof = (await grown.get("/v1/audit/proof", params={"seq": row["seq"]})).json()
    assert (proof["kind"], proof["leaf"], proof["root"]) == ("inclusion", row["leaf"], new["root"])
    hashes = [decoded(each) for each in proof["hashes"]]
    assert includes(decoded(new["root"]), 6, seq=5, leaf=decoded(row["leaf"]), proof=hashes)
    growth = (await grown.get("/v1/audit/proof", params={"first": 5, "size": 6})).json()
    assert (growth["kind"], growth["first_root"], growth["root"]) == ("consistency", old["root"], new["root"])
    hashes = [decoded(each) for each in growth["hashes"]]
    assert continues(5, decoded(old["root"]), 6, decoded(new["root"]), proof=hashes)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("seq=0&first=1", 400),
        ("seq=-1", 400),
        ("seq=5", 404),
        ("seq=3&size=3", 404),
        ("seq=0&size=6", 404),
        ("first=6", 404),
        ("first=4&size=3", 404),
        ("first=0&size=0", 200),
        ("seq=9007199254740991&size=9007199254740991", 404),
    ],
)
async def test_a_proof_of_what_is_not_there_is_refused(grown: Client, query: str, status: int) -> None:
    assert (await grown.get(f"/v1/audit/proof?{query}")).status_code == status


@pytest.mark.requirement("FP-13")
async def test_an_export_is_verified_offline_and_is_itself_recorded(
    grown: Client, gateway: Gateway, connect: Connect
) -> None:
    answer = await grown.get("/v1/audit:export")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"].endswith('-5.jsonl"')
    keys = read_jwks((await connect(None).get("/.well-known/audit-keys.json")).text)
    assert verify(io.BytesIO(answer.content), keys=keys).rows == 5
    newest = (await rows(grown, gateway))[0]
    assert (newest["action"], newest["data"]) == ("audit.exported", {"rows": 5})


@pytest.mark.requirement("FP-13")
async def test_a_log_that_was_altered_is_exported_as_it_is_and_not_signed(
    grown: Client, gateway: Gateway, database_server: DatabaseServer
) -> None:
    assert (await grown.get("/v1/audit/checkpoint")).status_code == 200
    alter(database_server, gateway.database, "DELETE FROM audit_rows WHERE seq = 4")
    answer = await grown.get("/v1/audit/checkpoint")
    assert (answer.status_code, answer.json()["code"]) == (409, "audit.altered")
    export = await grown.get("/v1/audit:export")
    with pytest.raises(Refuted) as found:
        verify(io.BytesIO(export.content))
    assert (found.value.code, found.value.row) == ("audit.truncated", 4)
    alter(database_server, gateway.database, "UPDATE audit_checkpoints SET note = 'x'")
    answer = await grown.get("/v1/audit:export")
    assert (answer.status_code, answer.json()["code"]) == (409, "audit.altered")


# ------------------------------------------------------------------------------------------------ what is written down


@pytest.mark.requirement("XM-05")
async def test_a_change_of_policy_is_there_with_old_and_new_values_and_no_number(
    client: Client, gateway: Gateway, owner: Person
) -> None:
    headers = {"if-match": "*"}
    lists = [{"action": "deny", "pattern": "+4930123456", "direction": "out"}]
    first = await client.put(
        "/v1/policy", json={"storage": "none", "schedule_days": 5, "lists": lists}, headers=headers
    )
    assert first.status_code == 200, first.text
    assert (await client.put("/v1/policy", json={"schedule_days": 5}, headers=headers)).status_code == 200
    again, before = await rows(client, gateway, action="policy.changed")
    assert before["object_id"] == str(owner.tenant_id)
    assert before["data"]["old"] == {"storage": "archive", "schedule_days": 90, "lists": []}
    assert before["data"]["new"]["schedule_days"] == 5
    assert before["data"]["new"]["lists"][0]["pattern"].startswith("pseudonym:")
    assert again["data"]["old"] == {name: before["data"]["new"][name] for name in ("storage", "lists")}
    assert again["data"]["new"] == {"storage": "archive", "lists": []}


async def test_keys_that_are_made_and_revoked_are_there_without_their_secret(client: Client, gateway: Gateway) -> None:
    made = (await client.post("/v1/api-keys", json={"name": "Anna Example", "scopes": ["faxes:read"]})).json()
    assert (await client.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
    revoked, created = await rows(client, gateway, object_id=made["id"])
    assert (revoked["action"], created["action"]) == ("api_key.revoked", "api_key.created")
    assert created["data"]["new"]["scopes"] == ["faxes:read"]
    assert made["key"] not in str(created)
    assert "Anna" not in str(created)


async def test_edits_of_boxes_numbers_routes_and_webhooks_are_there(
    client: Client, gateway: Gateway, owner: Person
) -> None:
    await add_lines(gateway, "isdn", "sip")
    headers = {"if-match": "*"}
    things: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("boxes", {"name": "Anna"}, {"name": "Berta"}),
        (
            "numbers",
            {"number": "+15550177", "box": str(owner.box_id)},
            {"number": "+15550178", "box": str(owner.box_id)},
        ),
        ("routes", {"prefix": "+49", "lines": ["isdn"], "cost": 0.5}, {"prefix": "+49", "lines": ["sip"]}),
        ("webhooks", {"url": "https://example.com/secret?token=1"}, {"url": "https://example.com/other", "full": True}),
    ]
    for kind, first, second in things:
        made = await client.post(f"/v1/{kind}", json=first)
        assert made.status_code == 201, made.text
        address = f"/v1/{kind}/{made.json()['id']}"
        changed = await client.put(address, json=second, headers=headers)
        assert changed.status_code == 200, changed.text
        assert (await client.delete(address)).status_code == 204
        found = await rows(client, gateway, object_id=made.json()["id"])
        assert [row["action"].partition(".")[2] for row in found] == ["deleted", "changed", "created"]
        assert all(set(row["data"]) == {"old", "new"} for row in found[1:2])
        for clear in ("Anna", "Berta", "+1555", "+49", "token"):
            assert clear not in str([row["data"] for row in found])
    route = await rows(client, gateway, action="route.changed")
    assert route[0]["data"] == {"old": {"lines": ["isdn"], "cost": "0.5"}, "new": {"lines": ["sip"], "cost": "0.0"}}


async def test_a_change_that_is_refused_leaves_no_row(client: Client, gateway: Gateway, owner: Person) -> None:
    stale = await client.put(f"/v1/boxes/{owner.box_id}", json={"name": "other"}, headers={"if-match": '"77"'})
    assert stale.status_code == 412
    assert await rows(client, gateway) == []


@pytest.mark.requirement("FP-12")
async def test_everything_that_opens_content_is_there_and_what_does_not_is_not(
    client: Client, gateway: Gateway, connect: Connect, owner: Person
) -> None:
    page_set = await add_pages(gateway, owner, [drawn_page(1), drawn_page(2)])
    fax = await add_fax(gateway, owner, page_set_id=page_set, pages=2)
    stranger = connect(await add_person(gateway, owner.tenant_id))
    assert (await stranger.get(f"/v1/faxes/{fax}/content")).status_code >= 400
    assert (await client.get(f"/v1/faxes/{fax}/pages")).status_code == 200
    page = await client.get(f"/v1/faxes/{fax}/pages/2")
    seen = await client.get(f"/v1/faxes/{fax}/pages/2", headers={"if-none-match": page.headers["etag"]})
    assert (page.status_code, seen.status_code) == (200, 304)
    for address in ("content?format=tiff", "pages/1/sealed"):
        assert (await client.get(f"/v1/faxes/{fax}/{address}")).status_code == 200
    assert (await client.get(f"/v1/page-sets/{page_set}/pages/1")).status_code == 200
    found = await rows(client, gateway)
    assert [(row["action"], row["data"]) for row in reversed(found)] == [
        ("key.opened", {}),
        ("fax.read", {"what": "page", "page": 2}),
        ("fax.read", {"what": "tiff", "pages": 2}),
        ("fax.read", {"what": "sealed", "page": 1}),
        ("page_set.read", {"what": "page", "page": 1}),
    ]
    assert {row["object_id"] for row in found} == {str(fax), str(page_set), str(owner.key.id)}
    assert {row["actor"] for row in found} == {f"user:{owner.user_id}"}
