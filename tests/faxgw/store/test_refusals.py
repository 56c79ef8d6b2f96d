"""What the private PostgreSQL refuses to touch, and what it says instead."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faxgw.errors import RequestError
from faxgw.store.server import PrivateServer

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="hands files to another user, which takes root")


async def _refusal(folder: Path, **settings: str) -> RequestError:
    with pytest.raises(RequestError) as refused:
        await PrivateServer(folder, settings=settings).start()
    return refused.value


async def test_a_database_of_another_major_version_is_left_alone_and_the_way_out_told(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("15\n")
    refused = await _refusal(folder)
    assert refused.code == "database.version"
    for word in ("PostgreSQL 15", "PostgreSQL 16", "pg_upgrade", "pg_dump", str(folder)):
        assert word in refused.reason
    (folder / "data" / "PG_VERSION").write_text("16\n")
    async with PrivateServer(folder):
        pass


@pytest.mark.parametrize("name, mode", [(".", 0o755), (".", 0o730), ("data", 0o750), ("passwords.json", 0o640)])
async def test_what_others_may_enter_or_read_is_refused(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    refused = await _refusal(folder)
    assert refused.code == "database.permissions"
    assert "chmod" in refused.reason and str(folder / name) in refused.reason


@as_root
@pytest.mark.parametrize("name", [".", "data"])
async def test_what_belongs_to_somebody_else_is_refused(folder: Path, name: str) -> None:
    os.chown(folder / name, 65534, 65534)
    refused = await _refusal(folder)
    assert refused.code == "database.owner"
    assert "65534" in refused.reason


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.rename(path.with_suffix(".old"))])
async def test_lost_passwords_are_asked_for(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder / "passwords.json")
    refused = await _refusal(folder)
    assert refused.code == "database.passwords"
    assert "passwords.json" in refused.reason


async def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    refused = await _refusal(folder, shared_buffers="none")
    assert refused.code == "database.start"
    assert 'invalid value for parameter "shared_buffers"' in refused.reason


async def test_damage_is_told_with_the_words_of_the_server(folder: Path) -> None:
    (folder / "data" / "global" / "pg_control").unlink()
    refused = await _refusal(folder)
    assert "pg_control" in refused.reason


async def test_a_folder_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "file").write_text("")
    refused = await _refusal(place / "file" / "postgres")
    assert refused.code == "database.folder"
    assert str(place / "file") in refused.reason


async def test_an_empty_folder_of_ours_is_closed_and_used(place: Path) -> None:
    folder = place / "postgres"
    folder.mkdir(mode=0o755)
    async with PrivateServer(folder):
        assert folder.stat().st_mode & 0o027 == 0
    shutil.rmtree(folder)
