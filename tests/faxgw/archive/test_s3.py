"""A bucket of an S3 server: uploads in parts, and what a server may do wrong (the store's promise: test_objects)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from faxgw.archive.bucket import PART
from faxgw.archive.objects import ObjectMissing, ObjectStore, StoreUnavailable, name_of, open_store
from faxgw.archive.sealed import SealedStore
from faxgw.ids import new_id
from faxgw.keys.sealing import SealBroken
from tests.faxgw.archive.s3 import S3Server, options

Reply = Callable[[str, int], bytes]
"""Request line and its number, from 0 -> what the server answers, to the octet."""

LONG = os.urandom(1 << 20) * 13
OK = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nLast-Modified: Sun, 22 Nov 2026 08:00:00 GMT\r\nContent-Length: '


@pytest.fixture
async def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
async def store(s3: S3Server, bucket: str) -> AsyncIterator[ObjectStore]:
    opened = open_store(f"s3://{bucket}/gateway", options=s3.options)
    yield opened
    await opened.close()


async def in_pieces(content: bytes, step: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), step):
        yield content[start : start + step]


async def test_a_long_object_goes_in_parts_and_comes_back_by_ranges(store: ObjectStore) -> None:
    object_id = new_id()
    assert len(LONG) > 2 * PART
    assert await store.put(object_id, in_pieces(LONG)) == len(LONG)
    assert await store.size(object_id) == len(LONG)
    for start in (0, PART - 7, PART, 2 * PART - 1, len(LONG) - 5):
        assert await store.get_range(object_id, start=start, length=5000) == LONG[start : start + 5000]


async def test_an_upload_in_parts_that_breaks_off_is_given_up(s3: S3Server, store: ObjectStore, bucket: str) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield LONG
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put(new_id(), breaking())
    end = asyncio.get_running_loop().time() + 10
    while s3.parts_under_way(bucket):  # given up in the background
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)
    assert [each async for each in store.list()] == []


async def test_a_put_replaces_what_had_the_id(store: ObjectStore) -> None:
    object_id = new_id()
    await store.put(object_id, b"first")
    await store.put(object_id, in_pieces(LONG))
    await store.put(object_id, b"third")
    assert await store.get(object_id) == b"third"


@pytest.mark.slow
async def test_more_objects_are_listed_and_deleted_than_one_answer_names(store: ObjectStore) -> None:
    ids = [new_id() for _ in range(1050)]
    gate = asyncio.Semaphore(16)

    async def put(object_id: UUID) -> None:
        async with gate:
            await store.put(object_id, b"sealed")

    await asyncio.gather(*(put(each) for each in ids))
    assert {each async for each in store.list()} == set(ids)
    await store.delete(ids)
    assert [each async for each in store.list()] == []


async def test_gateways_with_other_prefixes_share_a_bucket(s3: S3Server, store: ObjectStore, bucket: str) -> None:
    other = open_store(f"s3://{bucket}/other", options=s3.options)
    object_id = new_id()
    await store.put(object_id, b"ours")
    assert not await other.exists(object_id)
    assert [each async for each in other.list()] == []
    await other.delete([object_id])
    assert await store.get(object_id) == b"ours"
    await other.close()


async def test_sealed_content_is_opened_by_ranges_and_lies_sealed(s3: S3Server, store: ObjectStore) -> None:
    sealed, tenant = SealedStore(store), uuid4()
    stored = await sealed.put(in_pieces(LONG), tenant=tenant, kind="document")
    assert await sealed.open(stored.label, dek=stored.dek) == LONG
    part = await sealed.open_range(stored.label, dek=stored.dek, start=PART, length=70_000)
    assert part == LONG[PART : PART + 70_000]
    lying = await store.get(stored.id)
    assert lying.startswith(b"FAXGWOBJ")
    assert LONG[:64] not in lying
    await store.put(stored.id, lying[:-1])
    with pytest.raises(SealBroken):
        await sealed.open(stored.label, dek=stored.dek)


async def test_a_bucket_that_is_not_there_is_told_and_is_no_missing_object(s3: S3Server) -> None:
    store = open_store("s3://no-such-bucket/gateway", options=s3.options)
    for work in (store.put(new_id(), b"sealed"), store.put(new_id(), in_pieces(LONG)), _listed(store)):
        with pytest.raises(StoreUnavailable):
            await work
    await store.close()


async def test_a_server_without_room_or_right_is_told() -> None:
    for status in (b"403 Forbidden", b"507 Insufficient Storage"):
        async with answering(lambda _, __, status=status: _error(status)) as store:  # type: ignore[misc]
            for work in (store.put(new_id(), b"sealed"), store.get(new_id()), store.delete([new_id()])):
                with pytest.raises(StoreUnavailable):
                    await work


async def test_a_server_that_is_busy_is_asked_again() -> None:
    def reply(_: str, number: int) -> bytes:
        return _error(b"503 Slow Down") if number < 2 else OK + b"6\r\n\r\nsealed"

    async with answering(reply) as store:
        assert await store.get(new_id()) == b"sealed"


async def test_an_object_that_comes_cut_off_is_not_taken_for_whole() -> None:
    async with answering(lambda _, __: OK + b"600\r\n\r\nsealed") as store:
        with pytest.raises(StoreUnavailable):
            await store.get(new_id())


async def test_a_missing_object_is_told_apart_from_a_fault() -> None:
    async with answering(lambda _, __: _error(b"404 Not Found")) as store:
        with pytest.raises(ObjectMissing):
            await store.get(new_id())
        assert not await store.exists(new_id())


async def test_objects_lie_where_their_ids_say() -> None:
    asked: list[str] = []

    def reply(line: str, _: int) -> bytes:
        asked.append(line)
        return OK + b"6\r\n\r\nsealed"

    object_id = new_id()
    async with answering(reply) as store:
        await store.get(object_id)
    assert asked == [f"GET /faxes/gateway/{name_of(object_id)} HTTP/1.1"]


@asynccontextmanager
async def answering(reply: Reply) -> AsyncIterator[ObjectStore]:
    """Give a store whose server answers every request as it is told to, and closes the connection."""
    number = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.write(reply(head.partition("\r\n")[0], number))
        number += 1
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = open_store("s3://faxes/gateway", options=options(f"http://127.0.0.1:{port}"))
    async with server:
        yield store
    await store.close()


async def _listed(store: ObjectStore) -> list[UUID]:
    return [each async for each in store.list()]


def _error(status: bytes) -> bytes:
    body = b"<Error><Code>Told</Code></Error>"
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)
