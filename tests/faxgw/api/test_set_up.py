"""Boxes, numbers, routes, destinations, policy, keys, webhooks, usage: what people set up and read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, update

from faxgw.gateway import Gateway
from faxgw.learning.evidence import Seen
from faxgw.learning.keeping import Who, keep
from faxgw.model import Direction
from faxgw.rules.attempt import Adjustments
from faxgw.store.tables import boxes, key_slots, lines, nodes, wraps
from t30.capabilities import Station
from t30.rates import Family
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import Person, add_fax, add_key, add_pages, add_person, drawn_page, now
from tests.faxgw.api.test_faxes import uploaded
from tests.faxgw.learning.calls import fell_back


async def add_lines(gateway: Gateway, *names: str, **columns: Any) -> None:
    async with gateway.database.dispatcher() as connection:
        await connection.execute(insert(nodes).values(id=f"node-{names[0]}", name="fax-1"))
        row = {"node": f"node-{names[0]}", "kind": "class1", "sends": True, "receives": True, "tenants": []}
        for name in names:
            await connection.execute(insert(lines).values({**row, "name": name, "state": "idle", **columns}))


def things(box: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return address, body of what is made, body of what it is changed to."""
    return [
        ("/v1/boxes", {"name": "Sales"}, {"name": "Service"}),
        ("/v1/numbers", {"number": "+15550199", "box": box}, {"number": "+15550198", "line": "isdn", "box": box}),
        ("/v1/routes", {"prefix": "+49", "lines": ["isdn"]}, {"prefix": "+43", "lines": ["isdn"], "cost": 1.5}),
        ("/v1/webhooks", {"url": "https://example.com/a"}, {"url": "https://example.com/b", "events": ["fax.*"]}),
    ]


@pytest.mark.parametrize("which", range(4), ids=["boxes", "numbers", "routes", "webhooks"])
async def test_a_thing_is_made_read_changed_and_deleted(
    gateway: Gateway, owner: Person, client: Client, which: int
) -> None:
    await add_lines(gateway, "isdn")
    path, first, second = things(str(owner.box_id))[which]
    made = await client.post(path, json=first)
    assert made.status_code == 201, made.text
    address = made.headers["location"]
    read = await client.get(address)
    assert {name: read.json()[name] for name in first} == first
    assert read.headers["etag"] == made.headers["etag"] == '"1"'
    assert read.json()["id"] in {each["id"] for each in (await client.get(path)).json()["items"]}
    changed = await client.put(address, json=second, headers={"if-match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in second} == second
    assert changed.headers["etag"] == (await client.get(address)).headers["etag"] == '"2"'
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == (await client.delete(address)).status_code == 404


@pytest.mark.parametrize(
    ("if_match", "status", "code"),
    [
        (None, 428, "request.precondition_required"),
        ('"7"', 412, "request.precondition"),
        ("nonsense", 412, "request.precondition"),
        ('W/"1"', 412, "request.precondition"),
    ],
)
async def test_only_what_was_read_last_is_changed(
    gateway: Gateway, owner: Person, client: Client, *, if_match: str | None, status: int, code: str
) -> None:
    ids = await furnish(gateway, owner)
    await add_lines(gateway, "isdn")
    headers = {} if if_match is None else {"if-match": if_match}
    for path, body in (
        (f"/v1/boxes/{owner.box_id}", {"name": "x"}),
        (f"/v1/numbers/{ids['number_id']}", {"number": "+15550199", "box": str(owner.box_id)}),
        (f"/v1/routes/{ids['route_id']}", {"lines": ["isdn"]}),
        (f"/v1/destinations/{ids['number']}", {"override": {"ecm": False}}),
        (f"/v1/machines/{ids['machine_id']}", {"verdicts": {}}),
        (f"/v1/webhooks/{ids['webhook_id']}", {"url": "https://example.com/"}),
        ("/v1/policy", {"region": "DE"}),
    ):
        answer = await client.put(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path


async def test_what_is_there_already_is_refused(gateway: Gateway, owner: Person, client: Client) -> None:
    await add_lines(gateway, "isdn")
    rule = {"direction": "out", "action": "deny", "pattern": "+49*"}
    for path, body, code in (
        ("/v1/boxes", {"name": "Sales"}, "box.name"),
        ("/v1/numbers", {"number": "+15550199", "box": str(owner.box_id)}, "number.taken"),
        ("/v1/number-rules", rule, "rule.exists"),
        ("/v1/routes", {"lines": ["isdn"]}, "route.exists"),
    ):
        assert (await client.post(path, json=body)).status_code == 201
        again = await client.post(path, json=body)
        assert (again.status_code, again.json()["code"]) == (409, code)


async def test_a_number_of_another_tenant_is_taken_and_no_more_is_said_xm_08(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    stranger = await add_person(gateway)
    await connect(stranger).post("/v1/numbers", json={"number": "+15550199", "box": str(stranger.box_id)})
    answer = await client.post("/v1/numbers", json={"number": "+1 555 0199", "box": str(owner.box_id)})
    assert (answer.status_code, answer.json()["code"]) == (409, "number.taken")
    assert str(stranger.tenant_id) not in answer.text


async def test_a_box_with_faxes_in_it_stays(gateway: Gateway, owner: Person, client: Client) -> None:
    await add_fax(gateway, owner)
    answer = await client.delete(f"/v1/boxes/{owner.box_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "box.in_use")


async def test_the_default_box_stays(gateway: Gateway, owner: Person, client: Client) -> None:
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(boxes).values(is_default=True).where(boxes.c.id == owner.box_id))
    answer = await client.delete(f"/v1/boxes/{owner.box_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "box.default")
    assert (await client.get(f"/v1/boxes/{owner.box_id}")).status_code == 200


async def test_a_denied_number_is_not_called(client: Client, tmp_path: Path) -> None:
    document = await uploaded(client, tmp_path)
    rule = {"direction": "out", "action": "deny", "pattern": "+155501*", "note": "not today"}
    made = await client.post("/v1/number-rules", json=rule)
    fax = {"to": "+15550100", "documents": [document]}
    refused = await client.post("/v1/faxes", json=fax)
    assert (refused.status_code, refused.json()["code"]) == (403, "number.denied_by_policy")
    await client.delete(made.headers["location"])
    assert (await client.post("/v1/faxes", json=fax)).status_code == 202


async def test_the_choice_of_a_line_is_explained(gateway: Gateway, owner: Person, client: Client) -> None:
    await add_lines(gateway, "isdn", "sip")
    await add_lines(gateway, "theirs", tenants=["somebody else"])
    await client.post("/v1/routes", json={"prefix": "+1", "lines": ["sip"], "cost": 2})
    listed = (await client.get("/v1/lines")).json()["items"]
    assert [each["name"] for each in listed] == ["isdn", "sip"]
    answer = (await client.post("/v1/routes:simulate", json={"to": "+1 555 0100"})).json()
    assert answer["number"] == "+15550100"
    assert [each["line"] for each in answer["candidates"]] == ["sip"]
    assert answer["steps"][-1]["code"] == "line.chosen"
    assert "theirs" not in str(answer)
    unknown = await client.post("/v1/routes", json={"lines": ["theirs"]})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "route.line")


async def test_a_destination_is_overridden_and_forgotten(client: Client) -> None:
    path = "/v1/destinations/+15550100"
    assert (await client.get(path)).status_code == 404
    laid_down = await client.put(path, json={"override": {"no_v17": True}}, headers={"if-match": "*"})
    assert laid_down.json()["override"] == Adjustments(no_v17=True).model_dump()
    read = await client.get(path)
    lifted = await client.put(path, json={"override": None}, headers={"if-match": read.headers["etag"]})
    assert lifted.json()["override"] is None
    assert [each["number"] for each in (await client.get("/v1/destinations")).json()["items"]] == ["+15550100"]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_a_destination_is_the_same_however_its_number_is_written(client: Client) -> None:
    await client.put("/v1/policy", json={"region": "DE"}, headers={"if-match": "*"})
    made = await client.put("/v1/destinations/030123456", json={"override": {"ecm": False}}, headers={"if-match": "*"})
    assert (made.status_code, made.json()["number"]) == (200, "+4930123456")
    again = await client.put("/v1/destinations/030123456", json={"override": None}, headers={"if-match": '"2"'})
    assert again.status_code == 200, again.text
    read = await client.get("/v1/destinations/+4930123456")
    assert (read.json(), read.headers["etag"]) == (again.json(), '"3"')
    assert (await client.get("/v1/destinations/030123456")).json() == read.json()
    assert (await client.delete("/v1/destinations/030123456")).status_code == 204
    assert (await client.get("/v1/destinations")).json()["items"] == []


async def test_a_number_that_no_call_could_go_to_is_no_destination(client: Client) -> None:
    path = "/v1/destinations/4930123456"
    put = await client.put(path, json={"override": None}, headers={"if-match": "*"})
    for answer in (put, await client.get(path), await client.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (422, "number.invalid")
    assert (await client.get("/v1/destinations")).json()["items"] == []


async def test_a_short_number_is_a_destination_as_long_as_it_is_known(client: Client) -> None:
    await client.put("/v1/policy", json={"region": "DE"}, headers={"if-match": "*"})
    body = {"override": {"ecm": False}}
    assert (await client.put("/v1/destinations/118000", json=body, headers={"if-match": "*"})).json()[
        "number"
    ] == "118000"
    await client.put("/v1/policy", json={}, headers={"if-match": "*"})
    assert (await client.delete("/v1/destinations/118000")).status_code == 204


async def test_a_machine_is_explained_overruled_and_forgotten(client: Client, gateway: Gateway, owner: Person) -> None:
    now = datetime.now(UTC)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        for who in (Who(Direction.OUT, number="+15550100"), Who(Direction.IN, station="ACME")):
            dis = Station(families=frozenset({Family.V29})).dis().octets
            for days in (2, 1):
                await keep(
                    connection, owner.tenant_id, who, Seen(fell_back(days, at=now), dis, bytes.fromhex("AD 00 55"))
                )
    found = (await client.get("/v1/machines", params={"number": "+1 555 0100"})).json()["items"]
    assert [(each["direction"], each["number"], each["station"], each["calls"]) for each in found] == [
        ("out", "+15550100", "", 2)
    ]
    (machine,) = found
    assert machine["can"]["rates"] == ["V.29 9600", "V.29 7200"]
    assert machine["maker"] == "HylaFAX"
    assert machine["limits"][0]["text"].endswith(": training failed in 2 of 2 calls")
    assert machine["adjustments"]["no_v17"]
    path = f"/v1/machines/{machine['id']}"
    read = await client.get(path)
    assert read.json() == machine
    never = {"verdicts": {"no_v17": {"say": "never"}, "max_bps": {"say": "always", "bps": 4800}}}
    changed = await client.put(path, json=never, headers={"if-match": read.headers["etag"]})
    assert [(each["limit"], each["on"], each["by"]) for each in changed.json()["limits"]] == [
        ("no_v17", False, "operator"),
        ("max_bps", True, "operator"),
    ]
    assert changed.json()["adjustments"] == Adjustments(max_bps=4800).model_dump()
    stale = await client.put(path, json=never, headers={"if-match": read.headers["etag"]})
    assert stale.status_code == 412
    wrong = await client.put(path, json={"verdicts": {"max_bps": {"say": "always"}}}, headers={"if-match": "*"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "request.invalid")
    assert [each["station"] for each in (await client.get("/v1/machines?direction=in")).json()["items"]] == ["ACME"]
    assert len((await client.get("/v1/machines?station=ACME")).json()["items"]) == 1
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_the_policy_is_read_and_laid_down_anew(client: Client) -> None:
    first = await client.get("/v1/policy")
    assert first.json()["schedule_days"] == 90
    asked = {"schedule_days": 5, "region": "DE"}
    changed = await client.put("/v1/policy", json=asked, headers={"if-match": first.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["schedule_days"], changed.json()["region"]) == (5, "DE")
    assert (await client.get("/v1/policy")).json() == changed.json()
    refused = await client.put("/v1/policy", json={"region": "XX"}, headers={"if-match": "*"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "#/region")


async def test_a_new_key_does_what_it_was_made_for_and_opens_content(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    page_set = await add_pages(gateway, owner, [drawn_page(1)])
    fax = f"/v1/faxes/{await add_fax(gateway, owner, page_set_id=page_set)}"
    made = await client.post("/v1/api-keys", json={"name": "viewer", "scopes": ["content"]})
    assert made.status_code == 201, made.text
    bearer = {"authorization": f"Bearer {made.json()['key']}"}
    viewer = connect(None)
    assert (await viewer.get(f"{fax}/content", headers=bearer)).status_code == 200
    assert (await viewer.get(fax, headers=bearer)).json()["code"] == "access.scope"
    assert "key" not in (await client.get(made.headers["location"])).json()
    assert (await client.delete(made.headers["location"])).status_code == 204
    assert (await client.get(made.headers["location"])).json()["revoked_at"]
    async with gateway.database.dispatcher() as connection:
        slots = (await connection.execute(select(key_slots.c.api_key_id))).scalars().all()
    assert slots == [owner.key.id]


async def test_a_key_gives_no_scope_that_it_lacks(gateway: Gateway, owner: Person, connect: Connect) -> None:
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["admin"], key_pair=None)
    bearer = {"authorization": f"Bearer {key.text}"}
    answer = await connect(None).post("/v1/api-keys", json={"name": "x", "scopes": ["content"]}, headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "access.scope")


async def test_a_key_that_opens_nothing_makes_none_that_does(gateway: Gateway, owner: Person, connect: Connect) -> None:
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["admin", "content"], key_pair=None)
    bearer = {"authorization": f"Bearer {key.text}"}
    answer = await connect(None).post("/v1/api-keys", json={"name": "x", "scopes": ["content"]}, headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (423, "key.locked")


async def test_a_key_that_expires_makes_none_that_lives_longer(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    ends = now() + timedelta(hours=1)
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["admin"], key_pair=None, expires_at=ends)
    client = connect(replace(owner, key=key))
    for expires_at, status in ((None, 403), (ends + timedelta(seconds=1), 403), (ends, 201)):
        asked = {"name": "x", "scopes": ["admin"], "expires_at": expires_at and expires_at.isoformat()}
        answer = await client.post("/v1/api-keys", json=asked)
        assert (answer.status_code, answer.json().get("code")) == (status, "keys.life" if status == 403 else None)


async def test_a_key_does_not_revoke_itself(client: Client, owner: Person) -> None:
    answer = await client.delete(f"/v1/api-keys/{owner.key.id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "keys.last")
    assert (await client.get("/v1/self")).status_code == 200


async def test_a_webhook_shows_its_secret_once_and_can_be_tested(client: Client) -> None:
    made = await client.post("/v1/webhooks", json={"url": "https://example.com/hook"})
    assert made.json()["secret"].startswith("whsec_")
    assert "secret" not in (await client.get(made.headers["location"])).json()
    rotated = await client.post(f"{made.headers['location']}:rotate", json={})
    assert rotated.json()["secret"] not in (None, made.json()["secret"])
    tested = await client.post(f"{made.headers['location']}:test")
    assert tested.status_code == 202
    listed = (await client.get(f"{made.headers['location']}/deliveries")).json()["items"]
    assert [(each["id"], each["type"], each["state"]) for each in listed] == [
        (tested.json()["id"], "webhook.test", "waiting")
    ]


async def test_the_key_that_signs_webhooks_is_public(connect: Connect) -> None:
    answer = await connect(None).get("/.well-known/webhook-keys.json")
    assert (answer.status_code, answer.json()["keys"][0]["kty"]) == (200, "OKP")


async def test_usage_counts_calls_and_pages(gateway: Gateway, owner: Person, client: Client, connect: Connect) -> None:
    await furnish(gateway, owner)
    today = f"{now():%Y-%m-%d}"
    counts = {"direction": "out", "faxes": 1, "calls": 1, "pages": 1, "seconds": 30.0}
    for by, key in (("day", {"day": today}), ("box", {"box": str(owner.box_id)}), ("key", {"api_key": None})):
        items = (await client.get("/v1/usage", params={"by": by})).json()["items"]
        assert items == [{"day": None, "api_key": None, "box": None, **key, **counts}]
    past = {"before": (now() - timedelta(days=1)).isoformat()}
    assert (await client.get("/v1/usage", params=past)).json()["items"] == []
    member = connect(await add_person(gateway, owner.tenant_id, role="member"))
    assert (await member.get("/v1/usage")).json()["items"] == []


async def test_a_simulated_machine_sends_what_was_faxed_before_and_only_its_owner_opens(
    gateway: Gateway, owner: Person, client: Client, connect: Connect, tmp_path: Path
) -> None:
    asked = {"to": "+15550199", "document": await uploaded(client, tmp_path)}
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(delete(wraps).where(wraps.c.kind == "spool"))
    answer = await client.post("/v1/sandbox/calls", json=asked)
    assert answer.json()["code"] == "sandbox.none"  # nothing is missing but the line
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["sandbox"], key_pair=None)
    answer = await connect(replace(owner, key=key)).post("/v1/sandbox/calls", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (423, "key.locked")


async def test_a_simulated_machine_needs_a_simulated_line(client: Client, tmp_path: Path) -> None:
    document = await uploaded(client, tmp_path)
    answer = await client.post("/v1/sandbox/calls", json={"to": "+15550199", "document": document})
    assert (answer.status_code, answer.json()["code"]) == (404, "sandbox.none")
    unknown = await client.post("/v1/sandbox/calls", json={"to": "+15550199", "document": str(uuid4())})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "document.unknown")
