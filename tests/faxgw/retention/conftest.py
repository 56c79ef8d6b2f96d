"""The place on which retention is tried."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest_asyncio

from faxgw.config import Config
from faxgw.service import open_gateway
from faxgw.store.database import Database
from tests.faxgw.retention.place import Place, make_place


@pytest_asyncio.fixture
async def place(database: Database, tenant: UUID, tmp_path: Path) -> AsyncIterator[Place]:
    """Return a tenant's place on a gateway of which nothing runs."""
    config = Config(data_dir=tmp_path / "data", lines=())
    async with open_gateway(config, database.urls) as gateway:
        yield await make_place(gateway, tenant)
