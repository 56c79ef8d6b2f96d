"""A fax as the files that leave: whole, the same at every try, and nobody named who is not to be."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update

from faxgw.delivery.carrier import Refused, Unreachable
from faxgw.delivery.targets import TargetSecret
from faxgw.documents.coded import bitmap_of
from faxgw.gateway import Gateway
from faxgw.store.tables import pages, wraps
from tests.faxgw.api.people import Person, add_person, drawn_page
from tests.faxgw.boxes.house import received
from tests.faxgw.delivery.making import TARGET, leaving
from tests.faxgw.documents.making import pdf_pels, tiff_pages

DRAWN = [drawn_page(1), drawn_page(2)]
FOLDER = {"kind": "local", "folder": "in"}
PAGE = Path(__file__).parents[3] / "docs" / "folders.md"


@pytest_asyncio.fixture
async def person(gateway: Gateway) -> Person:
    return await add_person(gateway)


async def test_a_fax_leaves_as_it_came(gateway: Gateway, person: Person, tmp_path: Path) -> None:
    fax = await received(gateway, person, DRAWN, spool=True)
    (pdf, _), _ = await leaving(gateway, person, fax, FOLDER)
    (tiff, _), _ = await leaving(gateway, person, fax, FOLDER, format="tiff")
    (tmp_path / "fax.pdf").write_bytes(pdf.content)
    (tmp_path / "fax.tif").write_bytes(tiff.content)
    for index, (page, shown) in enumerate(zip(DRAWN, tiff_pages(tmp_path / "fax.tif"), strict=True)):
        assert np.array_equal(shown, bitmap_of(page).pels())
        assert np.array_equal(pdf_pels(tmp_path / "fax.pdf", index, pels=page.pels, rows=page.rows), shown)
    assert (pdf.media_type, tiff.media_type) == ("application/pdf", "image/tiff")
    assert re.fullmatch(rf"\d{{8}}-\d{{6}}_{fax}\.pdf", pdf.name)
    assert tiff.name == pdf.name.replace(".pdf", ".tif")


@pytest.mark.parametrize("form", ["pdf", "tiff"])
async def test_the_same_fax_gives_the_same_octets_at_every_try(gateway: Gateway, person: Person, form: str) -> None:
    fax = await received(gateway, person, DRAWN, spool=True)
    tries = [await leaving(gateway, person, fax, FOLDER, format=form) for _ in range(2)]  # type: ignore[arg-type]
    assert tries[0] == tries[1]
    assert all(each.sha256 == hashlib.sha256(each.content).digest() for each in tries[0][0])


async def test_the_sidecar_comes_last_and_says_what_is_documented(gateway: Gateway, person: Person) -> None:
    fax = await received(gateway, person, DRAWN, spool=True)
    (file, beside), words = await leaving(gateway, person, fax, FOLDER)
    said = json.loads(beside.content)
    assert beside.name == file.name.replace(".pdf", ".json")
    documented = PAGE.read_text().split("<!-- sidecar -->")[1].split("<!-- /sidecar -->")[0]
    rows = re.findall(r"^\| (`.*?) \|", documented, re.MULTILINE)
    assert list(said) == [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    listed = {"name": file.name, "media_type": "application/pdf", "size": len(file.content)}
    assert said["files"] == [listed | {"sha256": file.sha256.hex()}]
    assert (said["fax"], said["state"], said["pages"], said["sealing"]) == (str(fax), "received", 2, None)
    assert (said["from"], said["to"]) == ("+49…45", "+1…99")
    assert words.items() <= said.items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["received"])


async def test_numbers_are_whole_where_the_target_says_so_and_the_files_are_open(
    gateway: Gateway, person: Person
) -> None:
    fax = await received(gateway, person, spool=True)
    told = FOLDER | {"template": "{from}_{to}", "full_numbers": True}
    (file, beside), words = await leaving(gateway, person, fax, told)
    assert file.name == f"+493012345_+15550199_{fax}.pdf"
    assert json.loads(beside.content)["from"] == "+493012345"
    assert words["from"] == "+49…45"
    sealed = told | {"sealing": {"kind": "pdf"}}
    (file, beside), _ = await leaving(
        gateway, person, fax, sealed, secret=TargetSecret(pdf_password="correct horse 42")
    )
    assert file.name == f"+49x45_+1x99_{fax}_{TARGET.hex[-12:]}.pdf"
    assert not {"from", "to"} & json.loads(beside.content).keys()
    assert not re.search(rb"\+\d", beside.content.replace(file.name.encode(), b""))


async def test_a_mailbox_gets_one_file(gateway: Gateway, person: Person) -> None:
    fax = await received(gateway, person, spool=True)
    files, words = await leaving(gateway, person, fax, {"kind": "mail", "address": "fax@clinic.example"})
    assert [each.media_type for each in files] == ["application/pdf"]
    assert words["pages"] == 1


async def test_what_the_gateway_cannot_open_any_more_is_refused(gateway: Gateway, person: Person) -> None:
    fax = await received(gateway, person, spool=True)
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(delete(wraps).where(wraps.c.kind == "spool"))
    with pytest.raises(Refused) as refused:
        await leaving(gateway, person, fax, FOLDER)
    assert refused.value.code == "document.spent"


async def test_what_was_altered_is_refused(gateway: Gateway, person: Person) -> None:
    fax = await received(gateway, person, spool=True)
    async with gateway.database.tenant(person.tenant_id) as connection:
        changed = update(wraps).where(wraps.c.kind == "spool").values(blob=b"\0" * 80)
        await connection.execute(changed)
    with pytest.raises(Refused) as refused:
        await leaving(gateway, person, fax, FOLDER)
    assert refused.value.code == "document.damaged"


async def test_an_archive_that_is_away_is_waited_for(gateway: Gateway, person: Person) -> None:
    fax = await received(gateway, person, spool=True)
    async with gateway.database.tenant(person.tenant_id) as connection:
        objects = (await connection.execute(select(pages.c.object_id))).scalars().all()
    await gateway.objects.delete(objects)
    with pytest.raises(Unreachable):
        await leaving(gateway, person, fax, FOLDER)


async def test_pages_of_another_order_are_another_fax(gateway: Gateway, person: Person) -> None:
    one = await received(gateway, person, DRAWN, spool=True)
    other = await received(gateway, person, DRAWN[::-1], spool=True)
    damaged = await received(gateway, person, [replace(DRAWN[0], rows=399)], spool=True)
    hashes = {(await leaving(gateway, person, fax, FOLDER))[0][0].sha256 for fax in (one, other, damaged)}
    assert len(hashes) == 3
