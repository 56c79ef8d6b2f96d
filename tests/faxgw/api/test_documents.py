import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from PIL import Image
from pydantic import ByteSize
from sqlalchemy import func, select, update

from faxgw.api.uploads import SMALL
from faxgw.config.model import ApiSettings, StorageSettings
from faxgw.gateway import Gateway
from faxgw.store.tables import documents, objects, page_sets, wraps
from faxgw.upkeep.uploads import delete_expired_uploads
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_pages, add_person, drawn_page, tiff
from tests.faxgw.documents.making import text_like

LIMIT = ByteSize(2**20)


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(port=0, max_body=LIMIT)


def big_tiff(folder: Path) -> bytes:
    """Return a document that does not fit into the memory that small uploads have."""
    noise = Image.effect_noise((1000, 500), 100)
    noise.save(folder / "noise.tif")
    octets = (folder / "noise.tif").read_bytes()
    assert SMALL < len(octets) < LIMIT
    return octets


async def nothing_is_left(gateway: Gateway) -> bool:
    async with gateway.database.dispatcher() as connection:
        rows = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (documents, objects, wraps)
        ]
    return rows == [0, 0, 0] and [each async for each in gateway.objects.objects.list()] == []


@pytest.mark.parametrize("make", [tiff, big_tiff], ids=["small", "long"])
@pytest.mark.requirement("FP-01")
async def test_an_upload_is_what_was_sent_and_is_sealed(
    gateway: Gateway, client: Client, owner: Person, tmp_path: Path, make: object
) -> None:
    octets: bytes = make(tmp_path)  # type: ignore[operator]
    answer = await client.post("/v1/documents?name=letter.tif", content=octets, headers={"content-type": "image/tiff"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["pages"], made["sha256"], made["size"]) == (1, hashlib.sha256(octets).hexdigest(), len(octets))
    assert answer.headers["location"] == f"/v1/documents/{made['id']}"
    assert (await client.get(answer.headers["location"])).json() == made
    stored = [await gateway.objects.objects.get(each) async for each in gateway.objects.objects.list()]
    assert len(stored) == 1
    assert octets[8:200] not in stored[0]


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "document.empty"),
        (b"\x00\x01nothing that anybody knows" * 10, "document.unreadable"),
        (b"%PDF-1.7\nand then it breaks off", "document.damaged"),
        (b"\x00" * (SMALL + 1), "document.unreadable"),
    ],
)
async def test_what_is_no_document_is_refused_and_nothing_of_it_is_kept(
    gateway: Gateway, client: Client, octets: bytes, code: str
) -> None:
    answer = await client.post("/v1/documents", content=octets, headers={"content-type": "application/octet-stream"})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await nothing_is_left(gateway)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_the_limit_is_refused_while_it_comes(
    gateway: Gateway, client: Client, announced: bool
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 64 * 1024
            yield bytes(64 * 1024)

    headers = {"content-type": "application/pdf"} | ({"content-length": str(LIMIT + 1)} if announced else {})
    answer = await client.post("/v1/documents", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert sent == (0 if announced else LIMIT + 64 * 1024)
    assert await nothing_is_left(gateway)


@pytest.mark.parametrize(
    "media_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", "x"]
)
async def test_a_form_is_told_to_be_a_document_instead(client: Client, media_type: str) -> None:
    answer = await client.post("/v1/documents", content=b"x", headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "request.media_type")
    assert "application/pdf" in answer.headers["accept-post"]


async def kept_objects(gateway: Gateway) -> Sequence[UUID]:
    async with gateway.database.dispatcher() as connection:
        return (await connection.scalars(select(documents.c.object_id))).all()


COMMIT_WAITS = """
CREATE FUNCTION wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(77, 77);
    RETURN NULL;
EXCEPTION WHEN query_canceled THEN
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER wait_in_commit AFTER INSERT ON documents
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_in_commit();
"""
"""A COMMIT waits for a lock, and goes on when it is told to break off: as if that word had come too late."""


async def test_an_upload_that_is_cut_off_while_it_is_committed_keeps_its_document(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    octets, headers = tiff(tmp_path), {"content-type": "image/tiff"}
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 77 AND NOT granted"
    async with (
        asyncio.timeout(10),
        await psycopg.AsyncConnection.connect(gateway.database.urls.owner, autocommit=True) as connection,
    ):
        await connection.execute(COMMIT_WAITS)
        await connection.execute("SELECT pg_advisory_lock(77, 77)")
        upload = asyncio.create_task(client.post("/v1/documents", content=octets, headers=headers))
        while (await (await connection.execute(waiting)).fetchone()) == (0,):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        upload.cancel()
        await asyncio.gather(upload, return_exceptions=True)
        await connection.execute("SELECT pg_advisory_unlock(77, 77)")
        while not (kept := await kept_objects(gateway)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert upload.cancelled()
    assert [each async for each in gateway.objects.objects.list()] == kept


async def test_nothing_new_is_taken_when_the_disk_is_nearly_full(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    space = await gateway.objects.objects.free_space()
    assert space is not None
    full = StorageSettings(reserve=ByteSize(space.free + 2**30))
    gateway.config = gateway.config.model_copy(update={"storage": full})
    answer = await client.post("/v1/documents", content=tiff(tmp_path), headers={"content-type": "image/tiff"})
    assert (answer.status_code, answer.json()["code"]) == (507, "storage.full")
    assert answer.headers["retry-after"]
    assert await nothing_is_left(gateway)


@pytest.mark.requirement("FP-02")
async def test_pages_are_shown_as_they_will_be_sent(client: Client, tmp_path: Path) -> None:
    upload = await client.post("/v1/documents", content=tiff(tmp_path, 2), headers={"content-type": "image/tiff"})
    drawn = await client.post("/v1/documents:render", json={"documents": [upload.json()["id"]]})
    assert drawn.status_code == 201, drawn.text
    pages = drawn.json()["pages"]
    assert [each["index"] for each in pages] == [0, 1]
    assert pages[0]["sha256"] != pages[1]["sha256"]
    picture = await client.get(pages[1]["href"])
    assert picture.headers["content-type"] == "image/png"
    (tmp_path / "page.png").write_bytes(picture.content)
    with Image.open(tmp_path / "page.png") as image:
        black = sum(image.convert("L").point(lambda pel: 255 * (pel < 128)).histogram()[255:])
    assert black / (image.width * image.height) == pytest.approx(text_like(400, 1728, 1).mean(), rel=0.1)
    assert (await client.get(drawn.headers["location"])).json() == drawn.json()


async def test_a_page_set_that_was_taken_away_is_gone_and_then_unknown(
    gateway: Gateway, client: Client, owner: Person
) -> None:
    page_set = await add_pages(gateway, owner, [drawn_page(1)])
    address = f"/v1/page-sets/{page_set}"
    await gateway.objects.delete([each async for each in gateway.objects.objects.list()])
    gone = await client.get(f"{address}/pages/1")
    assert (gone.status_code, gone.json()["code"]) == (410, "content.gone")
    later = datetime.now(UTC) + timedelta(days=30)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(page_sets).values(expires_at=datetime.now(UTC)))
    fax = {"to": "+15550100", "page_set": str(page_set)}
    expired = await client.post("/v1/faxes", json=fax)
    assert (expired.status_code, expired.json()["code"]) == (422, "document.unknown")
    assert await delete_expired_uploads(gateway.database, gateway.objects, now=later) == 1
    for path in (address, f"{address}/pages/1"):
        assert (await client.get(path)).status_code == 404
    assert (await client.post("/v1/faxes", json=fax)).json()["code"] == "document.unknown"


async def test_a_document_is_only_there_for_whoever_sent_it(
    gateway: Gateway, client: Client, owner: Person, connect: Connect, tmp_path: Path
) -> None:
    upload = await client.post("/v1/documents", content=tiff(tmp_path), headers={"content-type": "image/tiff"})
    colleague = connect(await add_person(gateway, owner.tenant_id, role="admin"))
    assert (await colleague.get(upload.headers["location"])).status_code == 404
