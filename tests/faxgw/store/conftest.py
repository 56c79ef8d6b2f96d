"""Folders with a private PostgreSQL that is not running, to be started, damaged and killed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faxgw.store.server import PrivateServer
from tests.faxgw.databases import run, scratch


@pytest.fixture
def place() -> Iterator[Path]:
    """Return an empty folder that is closed to all other users."""
    with scratch() as folder:
        yield folder


@pytest.fixture
def open_place(place: Path) -> Path:
    """Return an empty folder that every user may enter."""
    place.chmod(0o755)
    return place


@pytest.fixture(scope="session")
def made_folder() -> Iterator[Path]:
    """Return the folder of a PostgreSQL that was made and stopped."""

    async def make(folder: Path) -> None:
        async with PrivateServer(folder):
            pass

    with scratch() as folder:
        run(make(folder / "postgres"))
        yield folder / "postgres"


@pytest.fixture
def folder(made_folder: Path, place: Path) -> Path:
    """Return a copy of it."""
    subprocess.run(["cp", "-a", made_folder, place / "postgres"], check=True)
    return place / "postgres"
