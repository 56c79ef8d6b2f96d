"""A document and a fax in one request."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select

from faxgw.documents.coded import bitmap_of, page_hash
from faxgw.documents.tiff import tiff_octets
from faxgw.gateway import Gateway
from faxgw.store.tables import box_keys, documents, events, faxes, objects, page_sets, pages, wraps
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person, add_person, drawn_page

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


async def test_a_fax_page_in_the_body_is_sent_as_it_is_and_needs_no_drawing(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    page = drawn_page(1)
    octets = await asyncio.to_thread(tiff_octets, [page])
    answer = await client.post(URL, params={"to": "+15550100"}, content=octets, headers=TIFF)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        fax = (await connection.execute(select(faxes))).one()
        document = (await connection.execute(select(documents))).one()
        sent = (await connection.execute(select(pages))).one()
        told = (await connection.execute(select(events.c.type, events.c.data).order_by(events.c.id))).all()
    assert fax.page_set_id == document.page_set_id == sent.page_set_id
    assert (sent.sha256, sent.rows) == (page_hash(bitmap_of(page), page.resolution), page.rows)
    assert [(each.type, each.data["state"]) for each in told] == [
        ("fax.accepted", "accepted"),
        ("fax.ready", "ready"),
        ("fax.queued", "queued"),
    ]
    assert fax.next_call_at is not None


async def test_a_fax_page_for_later_is_scheduled_at_once(gateway: Gateway, owner: Person, client: Client) -> None:
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    answer = await client.post(
        URL, params={"to": "+15550100", "send_at": later.isoformat()}, content=octets, headers=TIFF
    )
    assert (answer.status_code, answer.json()["state"]) == (202, "scheduled")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(faxes.c.next_call_at))).scalar_one() == later
        told = (await connection.scalars(select(events.c.type).order_by(events.c.id))).all()
    assert told == ["fax.accepted", "fax.ready", "fax.scheduled"]


async def test_faxes_of_one_document_of_fax_pages_share_them_and_one_with_a_header_does_not(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1), drawn_page(2)])
    document = (await client.post("/v1/documents", content=octets, headers=TIFF)).json()["id"]
    asked = {"to": "+15550100", "documents": [document]}
    states = [
        (await client.post("/v1/faxes", json=asked | more)).json()["state"]
        for more in ({}, {}, {"header": True}, {"documents": [document, document]})
    ]
    assert states == ["queued", "queued", "accepted", "accepted"]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        sets = (await connection.scalars(select(faxes.c.page_set_id).order_by(faxes.c.id))).all()
        assert (await connection.execute(select(func.count()).select_from(pages))).scalar_one() == 2
    assert sets[0] is not None
    assert sets[1:] == [sets[0], None, None]


async def test_a_document_whose_pages_were_taken_away_is_drawn(gateway: Gateway, owner: Person, client: Client) -> None:
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    document = (await client.post("/v1/documents", content=octets, headers=TIFF)).json()["id"]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(delete(page_sets))
    answer = await client.post("/v1/faxes", json={"to": "+15550100", "documents": [document]})
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")


async def test_it_lies_in_the_box_that_was_asked_for(gateway: Gateway, owner: Person, client: Client) -> None:
    box = UUID((await client.post("/v1/boxes", json={"name": "Sales"})).json()["id"])
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    for asked in ({}, {"resolution": "fine"}):  # sent as it is, and drawn
        answer = await client.post(
            URL, params={"to": "+15550100", "box": str(box)} | asked, content=octets, headers=TIFF
        )
        assert answer.status_code == 202, answer.text
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert set(await connection.scalars(select(faxes.c.box_id))) == {box}
        keys = select(box_keys.c.box_id).join(wraps, wraps.c.key_id == box_keys.c.key_id)
        assert set(await connection.scalars(keys)) == {box}


@pytest.mark.requirement("XM-08")
async def test_a_box_of_somebody_else_is_none_and_nothing_is_left(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    colleague = await add_person(gateway, owner.tenant_id, role="member")
    stranger = await add_person(gateway)
    octets = await asyncio.to_thread(tiff_octets, [drawn_page(1)])
    told = set()
    for box in (colleague.box_id, stranger.box_id, uuid4()):
        answer = await client.post(URL, params={"to": "+15550100", "box": str(box)}, content=octets, headers=TIFF)
        told.add((answer.status_code, answer.json()["code"], answer.text))
    assert {each[:2] for each in told} == {(404, "box.unknown")} and len(told) == 1
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert (await connection.execute(select(func.count()).select_from(objects))).scalar_one() == 0


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"to": "+15550100", "box": "mine"}, 400, "request.invalid"),
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
    assert len([each async for each in gateway.objects.objects.list()]) == 2  # the document, and its page
