"""Deletion, holds, copies, erasures and what is laid down about them, over the API."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from faxgw.audit.sequencing import sequence
from faxgw.gateway import Gateway
from faxgw.retention.certificates import is_genuine
from faxgw.retention.erasing import erase
from faxgw.rules.retention import KINDS
from faxgw.store.tables import faxes, tenants, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_fax, add_pages, add_person, drawn_page, tiff

ENDED = {"finished_at": datetime.now(UTC)}
DAY = timedelta(days=1)
DECLARED = dict.fromkeys(KINDS, 30)


async def paged_fax(gateway: Gateway, person: Person, **columns: Any) -> Any:
    page_set = await add_pages(gateway, person, [drawn_page(1)])
    return await add_fax(gateway, person, **({"page_set_id": page_set, "pages": 1} | ENDED | columns))


async def every_row(gateway: Gateway) -> list[Any]:
    async with gateway.database.dispatcher() as connection:
        found: list[Any] = []
        for table in (faxes, tenants):
            found += (await connection.execute(select(table).order_by(table.c.id))).all()
        return found


# ------------------------------------------------------------------------------------------------------------- deletion


@pytest.mark.requirement("FP-11")
async def test_a_deleted_fax_has_no_content_any_more_and_one_deleted_whole_is_not_there(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await paged_fax(gateway, owner)
    assert (await client.get(f"/v1/faxes/{fax}/content")).status_code == 200
    answer = await client.delete(f"/v1/faxes/{fax}")
    assert answer.status_code == 200
    assert answer.json()["certificate"]["fax"] == str(fax)
    assert is_genuine(answer.json(), gateway.server_keys.signing.public_key())
    for path in ("content", "pages/1", "pages/1/sealed", "attempts/1/trace"):
        gone = await client.get(f"/v1/faxes/{fax}/{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "content.gone"), path
    assert (await client.get(f"/v1/faxes/{fax}")).status_code == 200
    assert [each async for each in gateway.objects.objects.list()] == []
    again = await client.delete(f"/v1/faxes/{fax}")
    assert (again.status_code, again.json()) == (200, answer.json())
    assert (await client.delete(f"/v1/faxes/{fax}", params={"record": True})).status_code == 200
    for method, path in (("GET", ""), ("GET", "/content"), ("GET", "/copies"), ("DELETE", "")):
        assert (await client.request(method, f"/v1/faxes/{fax}{path}")).status_code == 404, path


@pytest.mark.requirement("FP-11")
async def test_a_certificate_comes_with_the_proof_that_the_audit_log_says_the_same(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await paged_fax(gateway, owner)
    given = (await client.delete(f"/v1/faxes/{fax}")).json()
    address = f"/v1/certificates/{given['certificate']['id']}"
    assert (await client.get(address)).json() == {**given, "audit": None}
    await sequence(gateway.database, gateway.server_keys, now=datetime.now(UTC))
    proof = (await client.get(address)).json()["audit"]
    row = (await client.get("/v1/audit", params={"object_id": str(fax), "action": "fax.shredded"})).json()["items"][0]
    assert (proof["seq"], proof["leaf"], row["data"]["sha256"]) == (row["seq"], row["leaf"], given["sha256"])
    asked = {"seq": proof["seq"], "size": proof["size"]}
    assert (await client.get("/v1/audit/proof", params=asked)).json() == proof


async def test_a_fax_that_has_not_ended_is_not_deleted(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await paged_fax(gateway, owner, state="queued", finished_at=None)
    answer = await client.delete(f"/v1/faxes/{fax}")
    assert (answer.status_code, answer.json()["code"]) == (409, "fax.running")


async def test_only_a_key_with_the_scope_deletes(gateway: Gateway, owner: Person, connect: Connect) -> None:
    fax = await paged_fax(gateway, owner)
    weak = await add_person(gateway, owner.tenant_id, scopes=["faxes:read", "faxes:send", "content", "admin"])
    assert (await connect(weak).delete(f"/v1/faxes/{fax}")).json()["code"] == "access.scope"
    member = await add_person(gateway, owner.tenant_id, role="member")
    assert (await connect(member).delete(f"/v1/faxes/{fax}")).status_code == 404


@pytest.mark.requirement("FP-06")
async def test_what_was_shredded_is_not_sent_again(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await paged_fax(gateway, owner)
    await client.delete(f"/v1/faxes/{fax}")
    answer = await client.post(f"/v1/faxes/{fax}:resend")
    assert (answer.status_code, answer.json()["code"]) == (410, "content.gone")


# ---------------------------------------------------------------------------------------------------------------- holds


async def test_a_hold_keeps_a_fax_until_it_is_released(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await paged_fax(gateway, owner)
    made = await client.post("/v1/holds", json={"name": "a case", "numbers": ["+15550100"]})
    assert (made.status_code, made.json()["held"], made.json()["released_at"]) == (201, 1, None)
    refused = await client.delete(f"/v1/faxes/{fax}")
    assert (refused.status_code, refused.json()["code"]) == (409, "hold.active")
    assert (await client.get(f"/v1/faxes/{fax}/content")).status_code == 200
    released = await client.post(f"{made.headers['location']}:release")
    assert (released.status_code, released.json()["held"]) == (200, 0)
    assert (await client.get("/v1/holds")).json()["items"] == [released.json()]
    assert (await client.delete(f"/v1/faxes/{fax}")).status_code == 200


@pytest.mark.parametrize(
    "over",
    [{}, {"faxes": ["FAX"]}, {"boxes": ["BOX"]}, {"since": "2020-01-01T00:00:00Z", "until": "2200-01-01T00:00:00Z"}],
    ids=str,
)
async def test_a_hold_counts_what_it_is_over(
    gateway: Gateway, owner: Person, client: Client, over: dict[str, Any]
) -> None:
    fax = await paged_fax(gateway, owner)
    ids = {"FAX": str(fax), "BOX": str(owner.box_id)}
    asked = {name: [ids[each] for each in value] if isinstance(value, list) else value for name, value in over.items()}
    made = await client.post("/v1/holds", json={"name": "a case", **asked})
    assert (made.status_code, made.json()["held"]) == (201, 1)
    assert (await client.delete(f"/v1/faxes/{fax}")).json()["code"] == "hold.active"


async def test_a_hold_over_what_is_not_there_is_refused(gateway: Gateway, owner: Person, client: Client) -> None:
    stranger = await add_person(gateway)
    for wrong, code in (
        ({"faxes": [str(await add_fax(gateway, stranger))]}, "fax.unknown"),
        ({"boxes": [str(stranger.box_id)]}, "box.unknown"),
        ({"numbers": ["nonsense"]}, "number.invalid"),
        ({"faxes": [str(uuid4())], "boxes": [str(uuid4())]}, "request.invalid"),
    ):
        answer = await client.post("/v1/holds", json={"name": "a case", **wrong})
        assert answer.json()["code"] == code, wrong
    assert (await client.get("/v1/holds")).json()["items"] == []


@pytest.mark.requirement("FP-07")
@pytest.mark.parametrize(
    ("role", "scopes"), [("member", ["admin"]), ("owner", ["faxes:read", "boxes", "faxes:delete"])]
)
async def test_only_owners_and_admins_with_the_scope_lay_anything_down(
    gateway: Gateway, owner: Person, connect: Connect, role: str, scopes: list[str]
) -> None:
    other = connect(await add_person(gateway, owner.tenant_id, role=role, scopes=scopes))
    requests = [
        ("PUT", "/v1/policy", {"retention": {"days": 1}}),
        ("POST", "/v1/policy:preview", {}),
        ("POST", "/v1/holds", {"name": "mine"}),
        ("POST", "/v1/erasures", {"number": "+15550100"}),
        ("GET", "/v1/processing-records", None),
    ]
    for method, path, body in requests:
        headers = {"if-match": "*"}
        assert (await other.request(method, path, json=body, headers=headers)).status_code == 403, path


# --------------------------------------------------------------------------------------------------------------- copies


@pytest.mark.requirement("XM-12")
@pytest.mark.requirement("XM-13")
async def test_every_download_is_in_the_ledger_and_counts_for_the_erasure_date(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    created = datetime.now(UTC) - 5 * DAY
    fax = await paged_fax(gateway, owner, created_at=created)
    policy = {"retention": {"days": 10, "declared": {"download": 90, "export": 1}}}
    assert (await client.put("/v1/policy", json=policy, headers={"if-match": "*"})).status_code == 200
    empty = (await client.get(f"/v1/faxes/{fax}/copies")).json()
    assert (empty["items"], empty["effective_erasure_date"]) == ([], empty["due_at"])
    assert datetime.fromisoformat(empty["due_at"]) == created + 10 * DAY
    for path in ("content", "content", "content?format=tiff", "pages/1", "pages/1/sealed"):
        assert (await client.get(f"/v1/faxes/{fax}/{path}")).status_code == 200
    found = (await client.get(f"/v1/faxes/{fax}/copies")).json()
    assert [(each["kind"], each["times"], each["fate"]) for each in found["items"]] == [
        ("download", 2, "outside_control"),
        ("download", 1, "outside_control"),
        ("download", 1, "outside_control"),
        ("export", 1, "outside_control"),
    ]
    assert {each["location"] for each in found["items"]} == {f"user:{owner.user_id}"}
    assert all(len(each["sha256"]) == 64 for each in found["items"])
    assert found["effective_erasure_date"] == max(each["expires_at"] for each in found["items"])
    await client.post("/v1/holds", json={"name": "a case"})
    held = (await client.get(f"/v1/faxes/{fax}/copies")).json()
    assert (held["held"], held["effective_erasure_date"]) == (True, None)


async def test_a_copy_of_which_nobody_knows_the_end_leaves_the_date_open(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await paged_fax(gateway, owner)
    await client.put("/v1/policy", json={"retention": {"days": 10}}, headers={"if-match": "*"})
    await client.get(f"/v1/faxes/{fax}/content")
    await client.delete(f"/v1/faxes/{fax}")
    found = (await client.get(f"/v1/faxes/{fax}/copies")).json()
    assert found["effective_erasure_date"] is None
    assert found["due_at"] is not None
    assert [each["fate"] for each in found["items"]] == ["outside_control"]


# -------------------------------------------------------------------------------------------------------------- erasure


async def test_an_erasure_is_a_job_with_a_certificate(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await paged_fax(gateway, owner, to_number="+15550142")
    await client.get(f"/v1/faxes/{fax}/content")
    begun = await client.post("/v1/erasures", json={"number": "+1 555 0142", "reason": "asked by letter"})
    assert (begun.status_code, begun.json()["state"]) == (202, "running")
    await erase(gateway, begun.json()["id"], now=datetime.now(UTC))
    done = (await client.get(begun.headers["location"])).json()
    assert (done["state"], done["reason"], done["report"]["faxes"]) == ("done", "", 1)
    assert [each["fax"] for each in done["outside_control"]] == [str(fax)]
    assert is_genuine(done["certificate"], gateway.server_keys.signing.public_key())
    assert (await client.get(f"/v1/faxes/{fax}")).status_code == 404
    listed = (await client.get("/v1/erasures")).json()["items"]
    assert [each["id"] for each in listed] == [done["id"]]
    assert "0142" not in str(done)


@pytest.mark.parametrize("nobody", [{}, {"station_id": "  "}, {"reason": "?"}, {"number": "nonsense"}], ids=str)
async def test_an_erasure_of_nobody_is_refused(client: Client, nobody: dict[str, str]) -> None:
    assert (await client.post("/v1/erasures", json=nobody)).status_code in {400, 422}


# ------------------------------------------------------------------------------------------- what is laid down, and why


@pytest.mark.requirement("XM-10")
async def test_a_change_of_the_policy_is_counted_before_it_is_made_and_counting_changes_nothing(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    now = datetime.now(UTC)
    for days in (1, 20, 40, 400):
        await add_fax(gateway, owner, created_at=now - days * DAY, **ENDED)
    await add_fax(gateway, owner, created_at=now - 50 * DAY, to_number="+15550199", **ENDED)
    await add_fax(gateway, owner, created_at=now - 60 * DAY, state="queued")
    await client.post("/v1/holds", json={"name": "a case", "numbers": ["+15550199"]})
    await client.put("/v1/policy", json={"retention": {"days": 365}}, headers={"if-match": "*"})
    before = await every_row(gateway)
    answer = await client.post("/v1/policy:preview", json={"retention": {"days": 30}})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["faxes"], found["held"]) == (2, 1)
    assert datetime.fromisoformat(found["oldest"]) == now - 400 * DAY
    (box,) = found["boxes"]
    assert (box["days_before"], box["days_after"], box["rule"]) == (365, 30, "tenant: 30 days")
    assert (box["faxes"], box["faxes_before"], box["held"]) == (2, 1, 1)
    none = (await client.post("/v1/policy:preview", json={})).json()
    assert (none["faxes"], none["oldest"]) == (0, None)
    assert await every_row(gateway) == before


@pytest.mark.requirement("FP-07")
async def test_retention_is_audited_with_its_old_and_its_new_value(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    for days in (365, 30):
        await client.put("/v1/policy", json={"retention": {"days": days}}, headers={"if-match": "*"})
    await sequence(gateway.database, gateway.server_keys, now=datetime.now(UTC))
    rows = (await client.get("/v1/audit", params={"action": "policy.changed"})).json()["items"]
    assert [(row["data"]["old"]["retention"]["days"], row["data"]["new"]["retention"]["days"]) for row in rows] == [
        (365, 30),
        (None, 365),
    ]
    assert rows[0]["actor"] == f"user:{owner.user_id}"


@pytest.mark.requirement("XM-01")
async def test_records_of_processing_have_every_box_once_and_name_what_is_missing(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    found = (await client.get("/v1/processing-records")).json()
    assert [each["box"] for each in found["items"]] == [str(owner.box_id)]
    assert {each["code"] for each in found["findings"]} == {"unclassified", "no_purpose", "no_lawful_basis"}


async def test_nothing_of_another_tenant_is_in_anything(gateway: Gateway, owner: Person, connect: Connect) -> None:
    await paged_fax(gateway, owner)
    stranger = connect(await add_person(gateway))
    assert (await stranger.post("/v1/holds", json={"name": "all"})).json()["held"] == 0
    preview = await stranger.post("/v1/policy:preview", json={"retention": {"days": 1}})
    assert preview.json()["faxes"] == 0
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).values(created_at=func.now() - 9 * DAY))
    assert (await stranger.post("/v1/policy:preview", json={"retention": {"days": 1}})).json()["faxes"] == 0


@pytest.mark.requirement("XM-01")
async def test_a_classified_box_has_its_class_purpose_retention_and_recipients(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    policy = {"retention": {"classes": {"medical": {"days": 30, "personal": True}}, "declared": DECLARED}}
    await client.put("/v1/policy", json=policy, headers={"if-match": "*"})
    said = {"data_class": "medical", "purpose": "findings", "lawful_basis": "GDPR 9 (2) h", "retention_days": 90}
    box = f"/v1/boxes/{owner.box_id}"
    answer = await client.put(box, json={"name": "ward", **said}, headers={"if-match": '"1"'})
    assert {name: answer.json()[name] for name in said} == said
    second = await client.post("/v1/boxes", json={"name": "sales", "data_class": "orders"})
    assert second.status_code == 201
    found = (await client.get("/v1/processing-records")).json()
    ward, sales = found["items"]
    assert (ward["data_class"], ward["personal"], ward["retention_days"]) == ("medical", True, 30)
    assert (ward["rule"], ward["owner"]) == ("class medical: 30 days", str(owner.user_id))
    assert "download: 30 days" in ward["recipients"]
    assert ward["safeguards"]
    assert {(each["box"], each["code"]) for each in found["findings"]} == {
        (sales["box"], code) for code in ("no_purpose", "no_lawful_basis", "no_rule_of_class")
    }


@pytest.mark.requirement("FP-07")
async def test_only_admins_say_how_long_the_faxes_of_a_box_are_kept(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    person = await add_person(gateway, owner.tenant_id, role="member")
    member, box = connect(person), f"/v1/boxes/{person.box_id}"
    for rule in ({"retention_days": 1}, {"data_class": "medical"}):
        refused = await member.put(box, json={"name": "mine", **rule}, headers={"if-match": "*"})
        assert (refused.status_code, refused.json()["code"]) == (403, "access.role")
        assert (await member.post("/v1/boxes", json={"name": "mine", **rule})).status_code == 403
    whole = {"name": "mine", "data_class": "medical", "retention_days": 7}
    admin = connect(owner)
    assert (await admin.put(box, json=whole, headers={"if-match": "*"})).status_code == 200
    # What a member leaves out, or says as it is, stays.
    for said in ({"name": "ours", "purpose": "post"}, {**whole, "name": "theirs"}):
        answer = await member.put(box, json=said, headers={"if-match": "*"})
        assert (answer.json()["retention_days"], answer.json()["data_class"]) == (7, "medical")


@pytest.mark.requirement("XM-13")
async def test_a_personal_class_is_not_saved_until_every_way_out_is_declared(client: Client) -> None:
    wanted: dict[str, Any] = {"classes": {"medical": {"personal": True}}, "declared": {"download": 30}}
    answer = await client.put("/v1/policy", json={"retention": wanted}, headers={"if-match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert "declare" in answer.json()["detail"]
    wanted["declared"] = DECLARED
    assert (await client.put("/v1/policy", json={"retention": wanted}, headers={"if-match": "*"})).status_code == 200


# ---------------------------------------------------------------------------------------------------- nothing stored


async def own_wraps(gateway: Gateway) -> set[str]:
    async with gateway.database.dispatcher() as connection:
        return set((await connection.execute(select(wraps.c.kind))).scalars())


@pytest.mark.requirement("FP-06")
async def test_where_nothing_is_stored_no_upload_preview_or_fax_is_ever_sealed_to_a_person(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    await client.put("/v1/policy", json={"storage": "none"}, headers={"if-match": "*"})
    tiff_type = {"content-type": "image/tiff"}
    document = (await client.post("/v1/documents", content=tiff(tmp_path), headers=tiff_type)).json()["id"]
    drawn = (await client.post("/v1/documents:render", json={"documents": [document]})).json()
    preview = await client.get(f"/v1/page-sets/{drawn['id']}/pages/1")
    assert preview.headers["content-type"] == "image/png"
    sent = await client.post("/v1/faxes", json={"to": "+15550100", "documents": [document], "cover": {"subject": "x"}})
    assert sent.status_code == 202
    await client.post("/v1/faxes:send", params={"to": "+15550101"}, content=tiff(tmp_path), headers=tiff_type)
    assert await own_wraps(gateway) == {"spool"}
    assert {each["storage"] for each in (await client.get("/v1/faxes")).json()["items"]} == {"none"}


@pytest.mark.requirement("FP-06")
async def test_a_document_that_is_sent_at_once_and_not_stored_is_never_sealed_to_a_person(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    asked = {"to": "+15550100", "storage": "none"}
    content: dict[str, Any] = {"content": tiff(tmp_path), "headers": {"content-type": "image/tiff"}}
    assert (await client.post("/v1/faxes:send", params=asked, **content)).status_code == 202
    assert await own_wraps(gateway) == {"spool"}


@pytest.mark.requirement("FP-06")
async def test_what_came_in_and_is_not_stored_is_collected_by_its_owner_only_and_then_deleted(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    await client.put("/v1/policy", json={"storage": "none"}, headers={"if-match": "*"})
    stored = await gateway.objects.put(drawn_page(1).octets, tenant=owner.tenant_id, kind="page")
    page_set = await add_pages(gateway, owner, [drawn_page(1)], spool=True)
    assert await own_wraps(gateway) == {"spool"}
    until = {"erase_at": datetime.now(UTC) + DAY, "storage": "none"}
    fax = await add_fax(gateway, owner, direction="in", state="received", page_set_id=page_set, **ENDED, **until)
    assert (await client.get(f"/v1/faxes/{fax}/content")).status_code == 200
    other = connect(await add_person(gateway, owner.tenant_id, role="admin"))
    assert (await other.get(f"/v1/faxes/{fax}/content")).status_code == 403
    assert (await client.delete(f"/v1/faxes/{fax}")).status_code == 200
    gone = await client.get(f"/v1/faxes/{fax}/content")
    assert (gone.status_code, gone.json()["code"]) == (410, "content.gone")
    assert [each async for each in gateway.objects.objects.list()] == [stored.id]


@pytest.mark.requirement("FP-06")
async def test_a_fax_that_was_not_stored_has_no_content_from_its_end_on(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await paged_fax(gateway, owner, storage="none")
    for path in ("content", "pages/1", "pages/1/sealed"):
        assert (await client.get(f"/v1/faxes/{fax}/{path}")).status_code == 410
    assert (await client.post(f"/v1/faxes/{fax}:resend")).status_code == 410


@pytest.mark.requirement("FP-07")
async def test_a_fax_has_a_time_of_its_own_if_an_admin_says_so(
    gateway: Gateway, owner: Person, client: Client, connect: Connect, tmp_path: Path
) -> None:
    for person, status in ((owner, 202), (await add_person(gateway, owner.tenant_id, role="member"), 403)):
        theirs = connect(person)
        content: dict[str, Any] = {"content": tiff(tmp_path), "headers": {"content-type": "image/tiff"}}
        document = (await theirs.post("/v1/documents", **content)).json()["id"]
        asked = {"to": "+15550100", "documents": [document], "retention_days": 7}
        assert (await theirs.post("/v1/faxes", json=asked)).status_code == status
    (fax,) = (await client.get("/v1/faxes")).json()["items"]
    assert datetime.fromisoformat(fax["erase_at"]) - datetime.fromisoformat(fax["created_at"]) < 7 * DAY + DAY / 24
