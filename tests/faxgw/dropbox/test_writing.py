"""One file while it is written: bounded, in whatever pieces it comes, and gone when it is given up."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from faxgw.archive.objects import Octets, StoreFull, open_store
from faxgw.archive.sealed import SealedStore
from faxgw.devices.memory import Loan, Memory
from faxgw.dropbox.door import MEMORY
from faxgw.dropbox.writing import AHEAD, SMALL, STREAMING, WAITING, Writing
from faxgw.errors import RequestError

TENANT = uuid4()
PIECE = 32 * 1024


def lent(memory: Memory | None = None) -> Loan:
    """Return some memory."""
    return (memory or Memory(MEMORY)).lend()


@pytest.fixture
def store(tmp_path: object) -> SealedStore:
    """Return a store in a folder."""
    return SealedStore(open_store(tmp_path, options={}))  # type: ignore[arg-type]


class Stuck:
    """A store of objects that takes nothing for now, or fails."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    async def put(self, object_id: UUID, content: Octets | AsyncIterator[bytes]) -> int:
        """Wait, or fail."""
        del object_id, content
        if self.fault:
            raise self.fault
        await asyncio.Event().wait()
        return 0


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, 1_500_000])
async def test_pieces_in_nearly_the_right_order_make_the_file(store: SealedStore, size: int, soak_seed: int) -> None:
    chance = random.Random(soak_seed)
    content = chance.randbytes(size)
    offsets = list(range(0, size, PIECE))
    for first in range(0, len(offsets), 16):
        some = offsets[first : first + 16]
        chance.shuffle(some)
        offsets[first : first + 16] = some
    writing = Writing(store, TENANT, 2_000_000, lent())
    for offset in offsets:
        await writing.write(offset, content[offset : offset + PIECE])
    written = await writing.finish()
    assert isinstance(written, bytes) == (size <= SMALL)
    found = written if isinstance(written, bytes) else await store.open(written.label, dek=written.dek)
    assert found == content


async def test_whoever_writes_waits_for_a_store_that_is_slow() -> None:
    writing = Writing(SealedStore(Stuck()), TENANT, 10**9, lent())  # type: ignore[arg-type]
    taken = 0

    async def write() -> None:
        nonlocal taken
        while True:
            await writing.write(taken, bytes(PIECE))
            taken += PIECE

    task = asyncio.create_task(write())
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not task.done()
    assert taken <= SMALL + (WAITING + 2) * PIECE
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_store_that_fails_fails_the_writer() -> None:
    writing = Writing(SealedStore(Stuck(StoreFull("no room"))), TENANT, 10**9, lent())  # type: ignore[arg-type]
    with pytest.raises(StoreFull):
        for n in range(100):
            await writing.write(n * PIECE, bytes(PIECE))
        await writing.finish()
    with pytest.raises(RequestError, match="Nothing was kept"):
        await writing.finish()


@pytest.mark.parametrize(
    ("offset", "length", "code"),
    [(0, 101, "request.too_large"), (2**63, 1, "request.too_large"), (1, 99, "drop.order"), (50, 50, "drop.order")],
)
async def test_what_is_too_large_or_has_gaps_is_not_a_file(offset: int, length: int, code: str) -> None:
    writing = Writing(SealedStore(Stuck()), TENANT, 100, lent())  # type: ignore[arg-type]
    with pytest.raises(RequestError) as refused:
        await writing.write(offset, bytes(length))
        await writing.finish()
    assert refused.value.code == code


async def test_what_comes_ahead_is_bounded() -> None:
    writing = Writing(SealedStore(Stuck()), TENANT, 10**9, lent())  # type: ignore[arg-type]
    with pytest.raises(RequestError) as refused:
        for n in range(1, 1000):
            await writing.write(n * PIECE, bytes(PIECE))
    assert refused.value.code == "drop.order"
    assert n == AHEAD // PIECE


async def test_all_files_together_take_so_much_memory_and_give_it_back(store: SealedStore) -> None:
    memory = Memory(SMALL + STREAMING)
    some = [Writing(store, TENANT, 10**9, memory.lend()) for _ in range(4)]
    await some[0].write(0, bytes(SMALL))
    for n in range(20):
        await some[1].write(n * PIECE, bytes(PIECE))
    for offset in (0, 10):
        with pytest.raises(RequestError) as refused:
            await some[2].write(offset, b"x")
        assert refused.value.code in ("service.busy", "drop.gone")
    written = await some[1].finish()
    assert not isinstance(written, bytes)
    await some[3].write(1, bytes(SMALL))
    await some[3].write(0, b"x")
    assert SMALL < memory.held <= memory.most
    await some[0].abandon()
    await some[3].abandon()
    assert memory.held == 0
