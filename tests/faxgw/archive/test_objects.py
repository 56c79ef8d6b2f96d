"""Object stores: one promise, held by a local folder and by buckets (in memory, on disk, and of an S3 server)."""

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from faxgw.archive.bucket import BucketStore
from faxgw.archive.folder import FolderStore
from faxgw.archive.objects import ObjectMissing, ObjectStore, StoreFull, StoreUnavailable, id_of, name_of, open_store
from faxgw.errors import RequestError
from faxgw.ids import new_id
from tests.faxgw.archive.s3 import S3Server

ID = new_id()
CONTENT = os.urandom(100_000)
STORES: dict[str, Callable[[Path, pytest.FixtureRequest], ObjectStore]] = {
    "folder": lambda path, _: FolderStore(path / "objects"),
    "bucket in memory": lambda _, __: BucketStore(MemoryStore()),
    "bucket on disk": lambda path, _: BucketStore(LocalStore(prefix=path / "bucket", mkdir=True)),
    "bucket of S3": lambda _, request: _of_s3(request.getfixturevalue("s3")),
}


def _of_s3(server: S3Server) -> ObjectStore:
    return open_store(f"s3://{server.new_bucket()}/archive", options=server.options)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    opened = STORES[request.param](tmp_path, request)
    yield opened
    await opened.close()


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[FolderStore]:
    opened = FolderStore(tmp_path / "objects")
    yield opened
    await opened.close()


async def in_pieces(content: bytes, step: int = 30_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), step):
        yield content[start : start + step]


async def listed(store: ObjectStore) -> set[object]:
    return {object_id async for object_id in store.list()}


def files(path: Path) -> list[Path]:
    return [found for found in path.rglob("*") if found.is_file()]


async def test_an_object_comes_back_as_it_was_put(store: ObjectStore) -> None:
    assert await store.put(ID, CONTENT) == len(CONTENT)
    assert await store.get(ID) == CONTENT
    assert await store.size(ID) == len(CONTENT)
    assert await store.exists(ID)


async def test_an_object_may_come_in_pieces(store: ObjectStore) -> None:
    long = CONTENT * 120
    assert await store.put(ID, in_pieces(long)) == len(long)
    assert await store.get(ID) == long


async def test_ranges_end_where_the_object_ends(store: ObjectStore) -> None:
    await store.put(ID, CONTENT)
    for start, length in ((0, 17), (5_000, 60_000), (99_990, 10), (99_990, 500)):
        assert await store.get_range(ID, start=start, length=length) == CONTENT[start : start + length]
    with pytest.raises(ObjectMissing):
        await store.get_range(ID, start=100_000, length=1)


async def test_what_is_not_there_is_told(store: ObjectStore) -> None:
    assert not await store.exists(ID)
    for asking in (store.get(ID), store.size(ID), store.get_range(ID, start=0, length=1)):
        with pytest.raises(ObjectMissing):
            await asking


async def test_objects_are_deleted_whether_they_are_there_or_not(store: ObjectStore) -> None:
    ids = [new_id() for _ in range(20)]
    for object_id in ids:
        await store.put(object_id, b"sealed")
    await store.delete([*ids[:15], ID])
    assert await listed(store) == set(ids[15:])
    await store.delete(iter(ids))
    assert await listed(store) == set()


async def test_a_put_whose_content_fails_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield CONTENT * 60
        yield CONTENT * 60
        raise ConnectionResetError("the sender went away")

    with pytest.raises(ConnectionResetError, match="went away"):
        await store.put(ID, failing())
    assert not await store.exists(ID)
    assert await listed(store) == set()
    await store.close()  # a bucket gives an upload up aside
    assert files(tmp_path) == []


async def test_a_cancelled_put_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT
        begun.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(store.put(ID, endless()))
    await begun.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await listed(store) == set()
    await store.close()  # a bucket gives an upload up aside
    assert files(tmp_path) == []


async def test_a_put_cancelled_while_it_is_written_leaves_nothing(folder: FolderStore, tmp_path: Path) -> None:
    for turns in range(12):
        putting = asyncio.create_task(folder.put(new_id(), CONTENT * 20))
        for _ in range(turns * 20):
            await asyncio.sleep(0)
        if not putting.cancel():
            await folder.delete([object_id async for object_id in folder.list()])
            continue
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert files(tmp_path) == []


async def test_a_stream_cancelled_while_its_file_is_made_leaves_nothing(folder: FolderStore, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT
        await asyncio.Event().wait()

    for turns in range(12):
        putting = asyncio.create_task(folder.put(new_id(), endless()))
        for _ in range(turns):
            await asyncio.sleep(0)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert files(tmp_path) == []


async def test_a_put_is_on_the_disk_when_it_returns(
    folder: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def noting_fsync(descriptor: int) -> None:
        done.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def noting_rename(source: Path, target: Path) -> None:
        done.append(("rename", str(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "rename", noting_rename)
    await folder.put(ID, CONTENT)
    place = tmp_path / "objects" / name_of(ID)
    assert done[0][0] == "fsync"
    assert Path(done[0][1]).parent == tmp_path / "objects" / "incoming"
    assert done[1:] == [
        ("fsync", str(place.parent.parent)),
        ("fsync", str(tmp_path / "objects")),
        ("rename", str(place)),
        ("fsync", str(place.parent)),
    ]


async def test_nothing_is_written_by_the_thread_of_the_loop(
    folder: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()
    opened = os.open

    def noting_open(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        threads.add(threading.current_thread())
        return opened(str(path), flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", noting_open)
    await folder.put(ID, CONTENT)
    await folder.put(ID, in_pieces(CONTENT))
    await folder.delete([ID])
    assert threads
    assert threading.main_thread() not in threads


async def test_only_the_owner_may_enter_the_folder(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put(ID, CONTENT)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "objects").rglob("*") if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in files(tmp_path)} == {0o600}
    assert (tmp_path / "objects").stat().st_mode & 0o777 == 0o700


async def test_objects_made_at_once_spread_over_the_folders(folder: FolderStore, tmp_path: Path) -> None:
    ids = [new_id() for _ in range(200)]
    await asyncio.gather(*(folder.put(object_id, b"sealed") for object_id in ids))
    assert await listed(folder) == set(ids)
    assert len({path.parent for path in files(tmp_path)}) > 150


async def test_what_a_killed_process_left_is_swept_after_a_day(folder: FolderStore, tmp_path: Path) -> None:
    old, young = (tmp_path / "objects" / "incoming" / name for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    await FolderStore(tmp_path / "objects").close()
    assert (old.exists(), young.exists()) == (False, True)
    assert await listed(folder) == set()


async def test_a_file_larger_than_allowed_is_no_room(folder: FolderStore, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        for content in (CONTENT, in_pieces(CONTENT)):
            with pytest.raises(StoreFull):
                await folder.put(ID, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == []
    assert await folder.put(ID, CONTENT) == len(CONTENT)


FILL = """
import asyncio, sys
from pathlib import Path
from faxgw.archive.objects import StoreFull, open_store
from faxgw.ids import new_id

async def main() -> None:
    store = open_store(sys.argv[1])
    stored = []
    try:
        while True:
            stored.append(new_id())
            await store.put(stored[-1], bytes([len(stored)]) * 100_000)
    except StoreFull:
        stored.pop()
    whole = [await store.get(each) == bytes([n]) * 100_000 for n, each in enumerate(stored, 1)]
    incoming = list((Path(sys.argv[1]) / "incoming").iterdir())
    print(len(stored), all(whole), incoming, {each async for each in store.list()} == set(stored))
    await store.delete(stored[:1])
    print(await store.put(new_id(), bytes(90_000)), (await store.free_space()).total)

asyncio.run(main())
"""


def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare on this machine to mount a small disk with")
    mounting = f"mount -t tmpfs -o size=1m none {tmp_path} && exec {sys.executable} -c '{FILL}' {tmp_path}/objects"
    command = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*command, f"mount -t tmpfs none {tmp_path}"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no ordinary user mount a small disk")
    done = subprocess.run([*command, mounting], capture_output=True, text=True, check=False)
    count, rest = done.stdout.split(" ", 1) if done.stdout else ("", done.stderr)
    assert rest == "True [] True\n90000 1048576\n", done.stderr
    assert 8 <= int(count) <= 10


async def test_a_folder_that_is_gone_is_told(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put(ID, CONTENT)
    shutil.rmtree(tmp_path / "objects")
    (tmp_path / "objects").touch()
    for work in (folder.put(ID, CONTENT), folder.put(ID, in_pieces(CONTENT)), folder.get(ID), folder.delete([ID])):
        with pytest.raises(StoreUnavailable):
            await work


async def test_a_bucket_that_cannot_be_reached_is_told(unused_tcp_port: int) -> None:
    options = {
        "endpoint": f"http://127.0.0.1:{unused_tcp_port}",
        "allow_http": "true",
        "access_key_id": "id",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }
    store = open_store("s3://faxes/archive", options=options)
    works = (store.put(ID, CONTENT), store.get(ID), store.exists(ID), store.delete([ID]), listed(store))
    ends = await asyncio.gather(*works, return_exceptions=True)
    assert [type(end) for end in ends] == [StoreUnavailable] * 5


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("http://example.org", {}),
        ("memory://", {}),
        ("s3://", {}),
        ("s3://bucket", {"no_such_option": "1"}),
        ("s3://bucket", {"endpoint": "http://10.0.0.1"}),
    ],
)
def test_what_can_be_no_archive_is_refused(location: str, options: dict[str, str]) -> None:
    with pytest.raises(RequestError) as refused:
        open_store(location, options=options)
    assert refused.value.code == "archive.location"


def test_a_file_is_no_folder_for_an_archive(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=os.strerror(errno.ENOTDIR)):
        open_store(tmp_path / "file")


def test_a_name_leads_back_to_its_id() -> None:
    assert id_of(f"prefix/{name_of(ID)}") == ID
    for name in ("", "incoming/x", str(ID), f"00/0/{ID}" if ID.hex[-3:] != "000" else "", name_of(ID) + ".part"):
        assert id_of(name) is None


@pytest.mark.soak
async def test_three_hundred_pages_a_second_are_stored_durably(folder: FolderStore, soak: bool) -> None:
    count, gate = (3000 if soak else 100), asyncio.Semaphore(32)
    page = os.urandom(60_000)

    async def put() -> None:
        async with gate:
            await folder.put(new_id(), page)

    began = time.perf_counter()
    await asyncio.gather(*(put() for _ in range(count)))
    rate = count / (time.perf_counter() - began)
    print(f"{rate:.0f} pages of 60 kB a second")
    assert not soak or rate > 300
