"""The archive: what lies on the disk is sealed, each object under its own key, and opens only whole."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from faxgw.archive.folder import FolderStore
from faxgw.archive.objects import ObjectMissing, StoreError, name_of
from faxgw.archive.sealed import LONG, SealedStore
from faxgw.ids import new_id
from faxgw.keys.sealing import HEADER, MAGIC, SEALED_SEGMENT, SEGMENT, SealBroken, sealed_size

TENANT = new_id()
CANARY = b"canary: the patient's name is Ermintrude Quill"
CONTENT = os.urandom(5000).join([CANARY] * 60)


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[SealedStore]:
    objects = FolderStore(tmp_path / "objects")
    yield SealedStore(objects)
    await objects.close()


async def in_pieces(content: bytes, step: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), step):
        yield content[start : start + step]


def everything_in(path: Path) -> bytes:
    return b"".join(found.read_bytes() for found in path.rglob("*") if found.is_file())


async def test_content_comes_back_as_it_was_put(archive: SealedStore) -> None:
    stored = await archive.put(CONTENT, tenant=TENANT, kind="document")
    assert await archive.open(stored.label, dek=stored.dek) == CONTENT
    assert (stored.size, stored.length) == (sealed_size(len(CONTENT)), len(CONTENT))
    assert stored.sha256 == hashlib.sha256(CONTENT).digest()
    assert (stored.id, stored.kind, stored.label.tenant) == (stored.label.object, "document", TENANT)
    assert await archive.objects.size(stored.id) == stored.size
    assert await archive.length(stored.label, dek=stored.dek) == stored.length


@pytest.mark.parametrize("step", [100, SEGMENT, LONG + 1])
async def test_content_that_comes_in_pieces_is_the_same_object(archive: SealedStore, step: int) -> None:
    content = CONTENT * 4
    stored = await archive.put(in_pieces(content, step), tenant=TENANT, kind="document")
    assert await archive.open(stored.label, dek=stored.dek) == content
    assert (stored.size, stored.length) == (sealed_size(len(content)), len(content))
    assert stored.sha256 == hashlib.sha256(content).digest()


async def test_empty_content_is_an_object_too(archive: SealedStore) -> None:
    for content in (b"", in_pieces(b"", 1)):
        stored = await archive.put(content, tenant=TENANT, kind="trace")
        assert await archive.open(stored.label, dek=stored.dek) == b""
        assert [part async for part in archive.stream(stored.label, dek=stored.dek)] == []


async def test_any_range_of_content_comes_back(archive: SealedStore, soak_seed: int) -> None:
    chance = random.Random(soak_seed)
    content = chance.randbytes(20 * SEGMENT + 100)
    stored = await archive.put(content, tenant=TENANT, kind="document")
    for _ in range(40):
        start, length = chance.randrange(len(content) + 10), chance.randrange(len(content))
        got = await archive.open_range(stored.label, dek=stored.dek, start=start, length=length)
        assert got == content[start : start + length]
    parts = [part async for part in archive.stream(stored.label, dek=stored.dek, start=7)]
    assert b"".join(parts) == content[7:]
    assert max(map(len, parts)) <= LONG


async def test_a_range_reads_only_what_it_touches(archive: SealedStore, tmp_path: Path) -> None:
    stored = await archive.put(bytes(10 * SEGMENT), tenant=TENANT, kind="document")
    path = tmp_path / "objects" / name_of(stored.id)
    damaged = bytearray(path.read_bytes())
    damaged[HEADER + 5 * SEALED_SEGMENT] ^= 1
    path.write_bytes(damaged)
    assert await archive.open_range(stored.label, dek=stored.dek, start=6 * SEGMENT, length=10) == bytes(10)
    with pytest.raises(SealBroken):
        await archive.open_range(stored.label, dek=stored.dek, start=6 * SEGMENT - 1, length=10)


async def test_the_loop_runs_on_while_long_content_is_sealed_and_opened(archive: SealedStore) -> None:
    content = bytes(32 * LONG)

    async def turns_during(work: asyncio.Task[object]) -> int:
        turns = 0
        while not work.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    putting = asyncio.create_task(archive.put(content, tenant=TENANT, kind="document"))
    assert await turns_during(putting) > 10
    stored = putting.result()
    opening = asyncio.create_task(archive.open(stored.label, dek=stored.dek))
    assert await turns_during(opening) > 10


async def test_nothing_of_the_content_lies_on_the_disk_xm_14(archive: SealedStore, tmp_path: Path) -> None:
    for content in (CONTENT, in_pieces(CONTENT, 700)):
        await archive.put(content, tenant=TENANT, kind="page")

    async def failing() -> AsyncIterator[bytes]:
        yield CONTENT
        assert len(everything_in(tmp_path)) > SEGMENT
        assert CANARY not in everything_in(tmp_path)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await archive.put(failing(), tenant=TENANT, kind="page")
    on_disk = everything_in(tmp_path)
    assert len(on_disk) > 2 * len(CONTENT)
    for part in (CANARY, CANARY[:12], CONTENT[60:92]):
        assert part not in on_disk


async def test_every_object_has_the_magic_and_its_own_key_xm_19(archive: SealedStore, tmp_path: Path) -> None:
    stored = [await archive.put(CONTENT, tenant=TENANT, kind="page") for _ in range(10)]
    assert len({each.dek for each in stored}) == 10
    assert {len(each.dek) * 8 for each in stored} == {256}
    for each in stored:
        path = tmp_path / "objects" / name_of(each.id)
        sealed = path.read_bytes()
        assert sealed.startswith(MAGIC)
        flipped = bytearray(sealed)
        flipped[random.randrange(len(sealed))] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(SealBroken):
            await archive.open(each.label, dek=each.dek)


async def test_objects_exchanged_on_the_disk_do_not_open(archive: SealedStore, tmp_path: Path) -> None:
    one, other = [await archive.put(CONTENT, tenant=TENANT, kind="page") for _ in range(2)]
    paths = [tmp_path / "objects" / name_of(each.id) for each in (one, other)]
    sealed = [path.read_bytes() for path in paths]
    for path, octets in zip(paths, reversed(sealed), strict=True):
        path.write_bytes(octets)
    for label, dek in ((one.label, one.dek), (one.label, other.dek), (other.label, other.dek)):
        with pytest.raises(SealBroken):
            await archive.open(label, dek=dek)
        with pytest.raises(SealBroken):
            await archive.open_range(label, dek=dek, start=0, length=1)


@pytest.mark.parametrize("kept", [0, 5, HEADER, HEADER + SEALED_SEGMENT, HEADER + SEALED_SEGMENT + 16])
async def test_a_cut_object_does_not_open(archive: SealedStore, tmp_path: Path, kept: int) -> None:
    stored = await archive.put(CONTENT, tenant=TENANT, kind="page")
    os.truncate(tmp_path / "objects" / name_of(stored.id), kept)
    with pytest.raises(SealBroken):
        await archive.open(stored.label, dek=stored.dek)
    with pytest.raises((SealBroken, StoreError)):
        await archive.open_range(stored.label, dek=stored.dek, start=0, length=len(CONTENT))


async def test_deleted_objects_are_gone(archive: SealedStore, tmp_path: Path) -> None:
    stored = await archive.put(CONTENT, tenant=TENANT, kind="page")
    await archive.delete([stored.id])
    with pytest.raises(ObjectMissing):
        await archive.open(stored.label, dek=stored.dek)
    assert everything_in(tmp_path) == b""


async def test_no_key_is_shown(archive: SealedStore) -> None:
    stored = await archive.put(CONTENT, tenant=TENANT, kind="page")
    assert repr(stored.dek) not in repr(stored)
    assert repr(stored.dek) in repr(replace(stored, sha256=stored.dek))
