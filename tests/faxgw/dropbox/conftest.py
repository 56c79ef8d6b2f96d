"""A drop box on loopback in this process, over a gateway of which nothing else runs, with one device."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from faxgw.config import Config
from faxgw.config.folders import SftpSettings
from faxgw.config.model import ApiSettings
from faxgw.gateway import Gateway
from faxgw.service import open_gateway
from faxgw.store.database import Database
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.devices.making import make
from tests.faxgw.dropbox.clients import Box, served


@pytest.fixture
def sftp() -> SftpSettings:
    """Return the settings of the drop box; a test module that wants others has a fixture of this name."""
    return SftpSettings(port=0)


@pytest.fixture
def settings() -> ApiSettings:
    """Return the settings of the API, which say how large a document may be."""
    return ApiSettings()


@pytest_asyncio.fixture
async def gateway(
    database: Database, tmp_path: Path, sftp: SftpSettings, settings: ApiSettings
) -> AsyncIterator[Gateway]:
    """Return the parts of a gateway on the database of this test."""
    config = Config(data_dir=tmp_path / "data", lines=(), sftp=sftp, api=settings)
    async with open_gateway(config, database.urls) as gateway:
        yield gateway


@pytest_asyncio.fixture
async def owner(gateway: Gateway) -> Person:
    """Return the owner of a tenant."""
    return await add_person(gateway)


@pytest_asyncio.fixture
async def box(gateway: Gateway, owner: Person, tmp_path: Path) -> AsyncIterator[Box]:
    """Return the drop box, served, with a device that may use it."""
    device, secret = await make(gateway, owner)
    async with served(gateway, device, secret, tmp_path) as found:
        yield found
