"""A small upload that unpacks to more than a worker may hold."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from pydantic import ByteSize
from sqlalchemy import func, select

from faxgw.config import Config
from faxgw.config.model import ApiSettings, RenderingSettings
from faxgw.gateway import Gateway
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import documents, objects, page_sets, pages
from tests.faxgw.api.conftest import Client
from tests.faxgw.documents.test_bad_uploads import pdf_bomb

PDF = {"content-type": "application/pdf"}


@pytest_asyncio.fixture
async def gateway(database: Database, settings: ApiSettings, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Return a gateway whose workers have little memory."""
    small = RenderingSettings(memory=ByteSize(256 << 20), workers=1)
    config = Config(data_dir=tmp_path / "data", api=settings, rendering=small, lines=())
    async with open_gateway(config, database.urls) as found:
        yield found


async def test_a_bomb_is_refused_with_its_reason_and_nothing_of_it_is_kept_wf_04(
    gateway: Gateway, client: Client
) -> None:
    octets = await asyncio.to_thread(pdf_bomb)
    assert len(octets) < 10_000
    upload = await client.post("/v1/documents", content=octets, headers=PDF)
    assert (upload.status_code, upload.json()["pages"]) == (201, 1)  # how many pages it has is read without drawing one
    drawn = await client.post("/v1/documents:render", json={"documents": [upload.json()["id"]]})
    assert (drawn.status_code, drawn.json()["code"]) == (422, "document.crashed"), drawn.text
    assert drawn.json()["action"] == "Correct the document and upload it again."
    async with gateway.database.dispatcher() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (documents, objects, page_sets, pages)
        ]
    assert counts == [1, 1, 0, 0]
    assert len([each async for each in gateway.objects.objects.list()]) == 1
    again = await client.post("/v1/documents", content=b"some words", headers={"content-type": "text/plain"})
    assert (await client.post("/v1/documents:render", json={"documents": [again.json()["id"]]})).status_code == 201
