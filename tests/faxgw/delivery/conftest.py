"""A gateway of which nothing runs, for deliveries to be tried on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from faxgw.config import Config
from faxgw.gateway import Gateway
from faxgw.service import open_gateway
from faxgw.store.database import Database


@pytest_asyncio.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Return the parts of a gateway on the database of this test."""
    config = Config(data_dir=tmp_path / "data", lines=())
    async with open_gateway(config, database.urls) as gateway:
        yield gateway
