"""A far side of mail for each test: names, policies, an authority, and a postman that asks them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.faxgw.mail.sending.far_side import FarSide, far_side


@pytest_asyncio.fixture
async def far(tmp_path: Path) -> AsyncIterator[FarSide]:
    """Return the far side of this test."""
    async with far_side(tmp_path) as made:
        yield made
