import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pikepdf
import pytest
from PIL import Image
from sqlalchemy import delete, update

from faxgw.api.resources.contents import LONG
from faxgw.archive.folder import FolderStore
from faxgw.archive.sealed import SealedStore
from faxgw.documents.coded import page_of
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.export import read_export
from faxgw.store.database import Database
from faxgw.store.tables import pages, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import Person, add_fax, add_key, add_pages, drawn_page, now


async def fax_of(gateway: Gateway, owner: Person, pages: int = 2) -> str:
    page_set = await add_pages(gateway, owner, [drawn_page(seed) for seed in range(pages)])
    return f"/v1/faxes/{await add_fax(gateway, owner, page_set_id=page_set, pages=pages)}"


@pytest.mark.requirement("FP-04")
async def test_a_fax_comes_as_pdf_and_as_tiff(gateway: Gateway, owner: Person, client: Client, tmp_path: Path) -> None:
    fax = await fax_of(gateway, owner)
    pdf = await client.get(f"{fax}/content")
    assert pdf.headers["content-type"] == "application/pdf"
    (tmp_path / "fax.pdf").write_bytes(pdf.content)
    with pikepdf.open(tmp_path / "fax.pdf") as opened:
        assert len(opened.pages) == 2
    tiff = await client.get(f"{fax}/content", params={"format": "tiff"})
    assert tiff.headers["content-type"] == "image/tiff"
    (tmp_path / "fax.tif").write_bytes(tiff.content)
    with Image.open(tmp_path / "fax.tif") as image:
        assert (getattr(image, "n_frames", 0), image.width) == (2, 1728)
    assert pdf.headers["cache-control"] == tiff.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=0-99999999", 206, slice(0, None)),
        ("bytes=1-2,4-5", 200, slice(None)),
        ("bytes=9-3", 200, slice(None)),
        ("pages=1", 200, slice(None)),
    ],
)
async def test_a_range_is_that_part_of_the_whole(
    gateway: Gateway, owner: Person, client: Client, *, asked: str, status: int, part: slice
) -> None:
    fax = await fax_of(gateway, owner, 1)
    whole = (await client.get(f"{fax}/content")).content
    answer = await client.get(f"{fax}/content", headers={"range": asked})
    assert answer.status_code == status
    assert answer.content == whole[part]
    if status == 206:
        first = part.indices(len(whole))[0]
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


async def test_a_range_beyond_the_end_is_refused_and_says_how_long_it_is(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await fax_of(gateway, owner, 1)
    whole = (await client.get(f"{fax}/content")).content
    answer = await client.get(f"{fax}/content", headers={"range": f"bytes={len(whole)}-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "request.range")
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"


async def test_a_range_of_another_content_gives_all_of_this(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await fax_of(gateway, owner, 1)
    whole = await client.get(f"{fax}/content")
    part = {"range": "bytes=0-9"}
    assert (await client.get(f"{fax}/content", headers={**part, "if-range": whole.headers["etag"]})).status_code == 206
    assert (await client.get(f"{fax}/content", headers={**part, "if-range": '"another"'})).status_code == 200


@pytest.mark.parametrize("path", ["content", "content?format=tiff", "pages/1"])
async def test_what_the_caller_has_is_not_sent_again(
    gateway: Gateway, owner: Person, client: Client, path: str
) -> None:
    fax = await fax_of(gateway, owner, 1)
    tag = (await client.get(f"{fax}/{path}")).headers["etag"]
    again = await client.get(f"{fax}/{path}", headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


async def test_an_exported_page_opens_with_the_secret_alone(
    gateway: Gateway, owner: Person, client: Client, tmp_path: Path
) -> None:
    fax = await fax_of(gateway, owner)
    answer = await client.get(f"{fax}/pages/2/sealed")
    assert answer.headers["content-type"] == "application/zip"
    (tmp_path / "page.faxgw").write_bytes(answer.content)
    export = read_export(tmp_path / "page.faxgw")
    opened = page_of(export.media_type, await export.open(owner.key.text))
    assert opened == drawn_page(1)


async def test_keys_that_are_good_no_more_open_no_export(
    gateway: Gateway, owner: Person, client: Client, tmp_path: Path
) -> None:
    fax = await fax_of(gateway, owner, 1)
    mine: dict[str, Any] = {"scopes": ["content"], "key_pair": owner.key_pair}
    past: tuple[dict[str, Any], ...] = ({"expires_at": now()}, {"revoked_at": now()})
    bad = [await add_key(gateway, owner.tenant_id, owner.user_id, **mine, **over) for over in past]
    good = await add_key(gateway, owner.tenant_id, owner.user_id, **mine, expires_at=now() + timedelta(hours=1))
    (tmp_path / "page.faxgw").write_bytes((await client.get(f"{fax}/pages/1/sealed")).content)
    export = read_export(tmp_path / "page.faxgw")
    for key in bad:
        with pytest.raises(RequestError, match="does not open"):
            await export.open(key.text)
    for key in (good, owner.key):
        assert await export.open(key.text)
    assert len(export.slots) == 2


async def test_a_key_that_may_only_read_takes_no_slots_of_its_owner_home(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    fax = await fax_of(gateway, owner, 1)
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["faxes:read"], key_pair=None)
    answer = await connect(replace(owner, key=key)).get(f"{fax}/pages/1/sealed")
    assert (answer.status_code, answer.json()["code"]) == (403, "access.scope")


class SlowStore(FolderStore):
    """A folder that gives nothing until it may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def get(self, object_id: UUID) -> bytes:
        self.asked.set()
        await self.may.wait()
        return await super().get(object_id)


@pytest.mark.parametrize("path", ["content", "pages/1", "attempts/1/trace"])
async def test_whoever_waits_for_the_archive_holds_no_connection_to_the_database(
    gateway: Gateway, owner: Person, client: Client, path: str
) -> None:
    ids = await furnish(gateway, owner)
    await gateway.database.close()
    gateway.database = Database(gateway.database.urls, seals=gateway.database.seals, pool=1, patience=0.5)
    slow = SlowStore(gateway.config.data_dir / "objects")
    gateway.objects = SealedStore(slow)
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(client.get(f"/v1/faxes/{ids['fax_id']}/{path}"))
        await slow.asked.wait()
        assert (await client.get(f"/v1/faxes/{ids['fax_id']}")).status_code == 200
        slow.may.set()
        assert (await waiting).status_code == 200


class BusyStore(FolderStore):
    """A folder that takes its time, and counts how many wait for it."""

    waiting = most = 0

    async def get(self, object_id: UUID) -> bytes:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0.02)
        self.waiting -= 1
        return await super().get(object_id)


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
async def test_of_long_contents_only_a_few_are_opened_at_once_and_all_are_answered(
    gateway: Gateway, owner: Person, client: Client, long: bool
) -> None:
    fax = await fax_of(gateway, owner, 4)
    if long:
        async with gateway.database.tenant(owner.tenant_id) as connection:
            await connection.execute(update(pages).values(octets=LONG // 4 + 1))
    busy = BusyStore(gateway.config.data_dir / "objects")
    gateway.objects = SealedStore(busy)
    few = gateway.config.rendering.workers
    answers = await asyncio.gather(*[client.get(f"{fax}/content") for _ in range(3 * few)])
    assert {each.status_code for each in answers} == {200}
    assert busy.most == few if long else busy.most > few


async def test_pages_say_what_was_confirmed(gateway: Gateway, owner: Person, client: Client) -> None:
    ids = await furnish(gateway, owner)
    listed = (await client.get(f"/v1/faxes/{ids['fax_id']}/pages")).json()["items"]
    assert [each["index"] for each in listed] == [0]
    assert listed[0]["confirmed_at"]
    assert listed[0]["sent_sha256"] == "00" * 32
    assert (await client.get(listed[0]["href"])).headers["content-type"] == "image/png"
    assert (await client.get(f"/v1/faxes/{ids['fax_id']}/pages/2")).status_code == 404


async def test_a_key_without_a_slot_is_locked_fp_09(gateway: Gateway, owner: Person, connect: Connect) -> None:
    fax = await fax_of(gateway, owner, 1)
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["content"], key_pair=None)
    client = connect(None)
    for path in ("content", "pages/1"):
        answer = await client.get(f"{fax}/{path}", headers={"authorization": f"Bearer {key.text}"})
        assert (answer.status_code, answer.json()["code"]) == (423, "key.locked")


async def test_pages_that_nobody_kept_are_gone(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await fax_of(gateway, owner, 1)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(delete(wraps))
    for path in ("content", "pages/1"):
        answer = await client.get(f"{fax}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (410, "content.gone")


async def test_a_recording_is_given_to_whoever_owns_the_fax(gateway: Gateway, owner: Person, client: Client) -> None:
    ids = await furnish(gateway, owner)
    call = (await client.get(f"/v1/faxes/{ids['fax_id']}")).json()["attempts"][0]
    trace = await client.get(call["trace"])
    assert (trace.status_code, trace.content) == (200, b'{"trace":1}\n')
