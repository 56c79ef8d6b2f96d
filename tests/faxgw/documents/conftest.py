"""A pool of workers for the tests that need one."""

from collections.abc import AsyncIterator

import pytest

from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.sample import write_sample


@pytest.fixture
async def pool() -> AsyncIterator[RendererPool]:
    pool = RendererPool(2)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def sample_upload(tmp_path_factory: pytest.TempPathFactory) -> Upload:
    """Return the sample of three pages as somebody uploads it."""
    path = tmp_path_factory.mktemp("upload") / "sample.pdf"
    write_sample(path)
    return Upload("sample.pdf", path.read_bytes())
