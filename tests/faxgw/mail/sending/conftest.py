"""A far side of mail for each test: names, policies, an authority, and a postman that asks them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import certifi
import pytest
import pytest_asyncio
import uvloop

from tests.faxgw.mail.sending.authority import Authority
from tests.faxgw.mail.sending.far_side import FarSide, far_side


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the loop that the service runs on: it has a TLS of its own."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one authority that stands for all public ones: reading the real ones takes most of a test's time."""
    return Authority(tmp_path_factory.mktemp("public"), "public").path


@pytest_asyncio.fixture
async def far(tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FarSide]:
    """Return the far side of this test."""
    monkeypatch.setattr(certifi, "where", lambda: str(public))
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    monkeypatch.setenv("SSL_CERT_DIR", str(public.parent))
    async with far_side(tmp_path) as made:
        yield made
