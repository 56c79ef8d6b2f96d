"""Workers that are lent: none remembers anything, none holds up the others, none stays for nothing."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from faxgw.documents.document import open_document
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.renderer import Renderer, WorkerLimits
from faxgw.errors import RequestError
from tests.faxgw.documents.making import drawing_process, endless, limits

PAGE = Upload("page.txt", b"Hello\n")


def draw(renderer: Renderer, upload: Upload = PAGE) -> None:
    with open_document([upload], renderer=renderer) as document:
        document.bitmap(0, document.layout(0, limits()))


def worker_of(renderer: Renderer) -> int:
    assert renderer._process is not None
    return renderer._process.pid


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def octets_read(process: int) -> int:
    return int(Path(f"/proc/{process}/io").read_text().split()[1])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


@pytest.fixture
def slow(tmp_path: Path) -> Upload:
    return Upload("slow.pdf", endless(tmp_path / "slow.pdf").read_bytes())


async def test_no_two_documents_share_a_process(pool: RendererPool) -> None:
    seen = []
    for _ in range(3):
        async with pool.lease() as renderer:
            await pool.run(draw, renderer)
            seen.append((worker_of(renderer), drawing_process(renderer)))
    workers, processes = zip(*seen, strict=True)
    assert len(set(workers)) == 1
    assert len(set(processes)) == 3
    await until(lambda: all(map(is_gone, processes)))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not say what processes read")
async def test_no_document_waits_until_the_fonts_of_the_system_are_read_through(pool: RendererPool) -> None:
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)
        read = octets_read(drawing_process(renderer))
    # Of the files of 130 fonts it would be 1.3 MB.
    assert read < 50_000


async def test_a_crash_costs_one_job(pool: RendererPool) -> None:
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)
        os.kill(drawing_process(renderer), signal.SIGSEGV)
        with pytest.raises(RequestError, match=r"page\.txt makes the renderer crash \(status 11\)") as refused:
            await pool.run(draw, renderer)
        assert refused.value.code == "document.crashed"
        await pool.run(draw, renderer)
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)


async def test_a_worker_that_died_while_idle_is_not_held_against_the_next_document(pool: RendererPool) -> None:
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)
        worker = worker_of(renderer)
    os.kill(worker, signal.SIGKILL)
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)


async def test_a_slow_document_does_not_hold_up_the_others(pool: RendererPool, slow: Upload) -> None:
    async def hopeless() -> None:
        async with pool.lease() as renderer:
            await pool.run(draw, renderer, slow)

    hostile = asyncio.create_task(hopeless())
    for _ in range(5):
        async with pool.lease() as renderer:
            await pool.run(draw, renderer)
    assert not hostile.done()
    hostile.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hostile


async def test_who_gives_up_in_mid_page_takes_the_page_along(pool: RendererPool, slow: Upload) -> None:
    """The worker is free at once, not when the page's minute is over."""
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)
        drawing = drawing_process(renderer)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pool.run(draw, renderer, slow)
    await until(lambda: is_gone(drawing))
    async with asyncio.timeout(20), pool.lease() as first, pool.lease() as second:
        await asyncio.gather(pool.run(draw, first), pool.run(draw, second))


async def test_whoever_comes_when_all_are_busy_waits_in_turn() -> None:
    pool = RendererPool(1)
    order: list[int] = []

    async def one(number: int) -> None:
        async with pool.lease() as renderer:
            order.append(number)
            await pool.run(draw, renderer)

    await asyncio.gather(*map(one, range(4)))
    assert order == [0, 1, 2, 3]
    await pool.close()


async def test_a_page_that_takes_too_long_is_given_up(slow: Upload) -> None:
    pool = RendererPool(1, WorkerLimits(seconds=1))
    async with pool.lease() as renderer:
        with pytest.raises(RequestError, match=r"slow\.pdf takes longer than 1 s"):
            await pool.run(draw, renderer, slow)
        await pool.run(draw, renderer)
    await pool.close()


async def test_nothing_runs_before_it_is_wanted_and_nothing_after_it_was_idle_for_a_while() -> None:
    pool = RendererPool(2, idle_after=0.05)
    assert not pool._idle
    async with pool.lease() as renderer:
        assert renderer._process is None
        await pool.run(draw, renderer)
        worker = worker_of(renderer)
    await until(lambda: is_gone(worker))
    async with pool.lease() as renderer:
        await pool.run(draw, renderer)
    await pool.close()


async def test_closing_ends_every_worker_busy_or_idle_and_lends_no_more(slow: Upload) -> None:
    pool = RendererPool(2)
    async with pool.lease() as busy, pool.lease() as idle:
        await asyncio.gather(pool.run(draw, busy), pool.run(draw, idle))
        workers = worker_of(busy), worker_of(idle)
        drawing = asyncio.create_task(pool.run(draw, busy, slow))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(RequestError):
            await drawing
    assert all(map(is_gone, workers))
    with pytest.raises(RequestError, match="is stopping") as refused:
        async with pool.lease():
            pass
    assert refused.value.code == "document.closed"
