"""A document and a fax in one request."""

import asyncio

import pytest
from sqlalchemy import func, select

from faxgw.documents.tiff import tiff_octets
from faxgw.gateway import Gateway
from faxgw.store.tables import documents, faxes, objects, wraps
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person, drawn_page

TIFF = {"content-type": "image/tiff"}
URL = "/v1/faxes:send"


async def test_a_document_in_the_body_becomes_a_fax(gateway: Gateway, owner: Person, client: Client) -> None:
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    asked = {"to": "+15550100", "name": "letter.tif", "resolution": "fine", "priority": "7"}
    answer = await client.post(URL, params=asked, content=octets, headers=TIFF)
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        fax = (await connection.execute(select(faxes))).one()
        document = (await connection.execute(select(documents))).one()
        kinds = (await connection.execute(select(wraps.c.kind).order_by(wraps.c.kind))).scalars().all()
    assert str(fax.id) == answer.json()["id"]
    assert fax.request == {"documents": [str(document.id)], "resolution": "fine"}
    assert (fax.to_number, fax.priority, fax.pages, document.name) == ("+15550100", 7, 1, "letter.tif")
    assert kinds == ["owner", "spool"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"to": "+15550100", "colour": "red"}, 400, "request.invalid"),
        ({}, 400, "request.invalid"),
        ({"to": "112"}, 403, "number.denied_by_policy"),
        ({"to": "hello"}, 422, "number.invalid"),
    ],
)
async def test_nothing_is_left_of_what_is_refused(
    gateway: Gateway, owner: Person, client: Client, *, asked: dict[str, str], status: int, code: str
) -> None:
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    answer = await client.post(URL, params=asked, content=octets, headers=TIFF)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(func.count()).select_from(objects))).scalar_one() == 0
    assert [each async for each in gateway.objects.objects.list()] == []


async def test_the_same_request_under_one_key_is_one_fax(gateway: Gateway, owner: Person, client: Client) -> None:
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    headers = {**TIFF, "idempotency-key": "a"}
    first, second = [
        await client.post(URL, params={"to": "+15550100"}, content=octets, headers=headers) for _ in range(2)
    ]
    assert first.json() == second.json()
    other = await client.post(URL, params={"to": "+15550101"}, content=octets, headers=headers)
    assert other.json()["code"] == "idempotency.mismatch"
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(func.count()).select_from(faxes))).scalar_one() == 1
    assert len([each async for each in gateway.objects.objects.list()]) == 1
