import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from faxgw.api.idempotency import Once
from faxgw.api.problems import Problem
from faxgw.gateway import Gateway
from faxgw.store.tables import documents, faxes, idempotency
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_person, tiff
from tests.faxgw.api.test_faxes import uploaded

KEY = {"idempotency-key": "order-4711"}


async def count(gateway: Gateway, table: Any) -> int:
    async with gateway.database.dispatcher() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_a_request_sent_twice_is_done_once_and_answered_alike(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    asked = {"to": "+15550100", "documents": [await uploaded(client, tmp_path)]}
    first = await client.post("/v1/faxes", json=asked, headers=KEY)
    again = await client.post("/v1/faxes", json=asked, headers=KEY)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.headers["location"] == again.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await count(gateway, faxes) == 1


async def test_the_same_key_for_another_request_is_refused(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    asked = {"to": "+15550100", "documents": [await uploaded(client, tmp_path)]}
    await client.post("/v1/faxes", json=asked, headers=KEY)
    for path, body in (("/v1/faxes", asked | {"to": "+15550101"}), ("/v1/boxes", {"name": "x"})):
        other = await client.post(path, json=body, headers=KEY)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency.mismatch")
    assert await count(gateway, faxes) == 1


async def test_requests_at_the_same_time_are_done_once(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    asked = {"to": "+15550100", "documents": [await uploaded(client, tmp_path)]}
    answers = await asyncio.gather(*(client.post("/v1/faxes", json=asked, headers=KEY) for _ in range(8)))
    assert {each.status_code for each in answers} <= {202, 409}
    assert {each.json()["code"] for each in answers if each.status_code == 409} <= {"idempotency.in_progress"}
    assert len({each.content for each in answers if each.status_code == 202}) == 1
    assert await count(gateway, faxes) == 1


async def test_a_request_that_was_refused_may_be_corrected_under_the_same_key(client: Client, tmp_path: Path) -> None:
    document = await uploaded(client, tmp_path)
    wrong = await client.post("/v1/faxes", json={"to": "nobody", "documents": [document]}, headers=KEY)
    right = await client.post("/v1/faxes", json={"to": "+15550100", "documents": [document]}, headers=KEY)
    assert (wrong.status_code, right.status_code) == (422, 202)


async def test_uploads_count_by_what_is_in_them(gateway: Gateway, client: Client, tmp_path: Path) -> None:
    one, other = tiff(tmp_path, 1), tiff(tmp_path, 2)
    headers = {**KEY, "content-type": "image/tiff"}
    first = await client.post("/v1/documents", content=one, headers=headers)
    again = await client.post("/v1/documents", content=one, headers=headers)
    mismatch = await client.post("/v1/documents", content=other, headers=headers)
    assert (first.status_code, again.status_code, first.content) == (201, 201, again.content)
    assert mismatch.json()["code"] == "idempotency.mismatch"
    assert await count(gateway, documents) == 1
    assert len([each async for each in gateway.objects.objects.list()]) == 1


async def test_each_api_key_has_idempotency_keys_of_its_own(
    gateway: Gateway, client: Client, owner: Person, connect: Connect
) -> None:
    colleague = connect(await add_person(gateway, owner.tenant_id))
    answers = [
        await each.post("/v1/boxes", json={"name": str(n)}, headers=KEY) for n, each in enumerate((client, colleague))
    ]
    assert [each.status_code for each in answers] == [201, 201]


async def test_a_key_is_free_again_after_a_day(gateway: Gateway, client: Client) -> None:
    await client.post("/v1/boxes", json={"name": "first"}, headers=KEY)
    async with gateway.database.dispatcher() as connection:
        past = func.now() - timedelta(hours=24, seconds=1)
        await connection.execute(update(idempotency).values(created_at=past))
    second = await client.post("/v1/boxes", json={"name": "second"}, headers=KEY)
    again = await client.post("/v1/boxes", json={"name": "second"}, headers=KEY)
    assert (second.status_code, second.json()["name"], again.content) == (201, "second", second.content)


async def test_a_secret_is_neither_kept_nor_given_again(gateway: Gateway, client: Client) -> None:
    asked = {"name": "ERP", "scopes": ["faxes:read"]}
    first = await client.post("/v1/api-keys", json=asked, headers=KEY)
    again = await client.post("/v1/api-keys", json=asked, headers=KEY)
    assert first.json()["key"].startswith("fgw_")
    assert again.json() == first.json() | {"key": None}
    async with gateway.database.dispatcher() as connection:
        kept = (await connection.execute(select(idempotency.c.body))).scalar_one()
    assert first.json()["key"].encode() not in bytes(kept)


@pytest.mark.parametrize("key", ["", "x" * 256, "a space"])
async def test_a_key_that_is_none_is_refused(client: Client, key: str) -> None:
    answer = await client.post("/v1/boxes", json={"name": "x"}, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key")


async def test_while_the_first_is_under_way_the_second_is_told_so(gateway: Gateway, owner: Person) -> None:
    once = Once(owner.tenant_id, owner.key.id, "key", b"request")
    async with gateway.database.tenant(owner.tenant_id) as first:
        assert await once.earlier(first) is None
        async with gateway.database.tenant(owner.tenant_id) as second:
            with pytest.raises(Problem, match="under way"):
                await once.earlier(second)
