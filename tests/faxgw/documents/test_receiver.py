"""Pages received and kept wherever the caller keeps them: confirmed only once they are safe there."""

import asyncio

import numpy as np
import pytest

from faxgw.documents.coded import CodedPage, bitmap_of
from faxgw.documents.receiver import Receiver
from t30.pages import Coding, JudgePage, KeepData, Length, PageFormat, Resolution, Verdict, Width
from t30.t4 import Bitmap, encode
from tests.faxgw.documents.making import Pels, text_like

FORMAT = PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MR, ecm=False)


class Shelf:
    """A store in memory that takes its time over the first page, until ``free``, or is away (``fault``)."""

    def __init__(self) -> None:
        self.pages: dict[int, CodedPage] = {}
        self.calls: list[int] = []
        self.free = asyncio.Event()
        self.free.set()
        self.fault: OSError | None = None

    async def store(self, index: int, page: CodedPage) -> None:
        self.calls.append(index)
        if len(self.calls) == 1:
            await self.free.wait()
        if self.fault is not None:
            raise self.fault
        self.pages[index] = page


async def receive(receiver: Receiver, index: int, page: Pels) -> Verdict:
    octets = encode(Bitmap.from_pels(page), FORMAT.coding)
    for at in range(0, len(octets), 8192):
        await receiver.perform(KeepData(index, FORMAT, octets[at : at + 8192]))
    return await judge(receiver, index)


async def judge(receiver: Receiver, index: int) -> Verdict:
    verdict = await receiver.perform(JudgePage(index))
    assert isinstance(verdict, Verdict)
    return verdict


async def test_a_page_is_stored_in_mmr_before_it_is_called_durable() -> None:
    shelf, page = Shelf(), text_like(300, 1728)
    receiver = Receiver(shelf.store)
    await receiver.prepare()
    assert await receive(receiver, 0, page) == Verdict(rows=300, bad_rows=0, longest_bad_run=0, durable=True)
    assert (shelf.pages[0].coding, shelf.pages[0].width, shelf.pages[0].rows) == (Coding.MMR, Width.A4, 300)
    assert np.array_equal(bitmap_of(shelf.pages[0]).pels(), page)
    await receiver.close()


async def test_a_page_that_cannot_be_stored_is_not_durable_and_tried_again_whenever_it_is_judged_again() -> None:
    shelf = Shelf()
    shelf.fault = OSError(28, "No space left on device")
    receiver = Receiver(shelf.store)
    assert not (await receive(receiver, 0, text_like(100, 1728))).durable
    assert not (await judge(receiver, 0)).durable
    assert "No space left" in str(receiver.fault)
    shelf.fault = None
    assert (await judge(receiver, 0)).durable
    assert receiver.fault is None
    assert shelf.calls == [0, 0, 0]
    await receiver.close()


async def test_a_slow_store_makes_the_verdict_late_by_no_more_than_it_may_be() -> None:
    shelf = Shelf()
    receiver = Receiver(shelf.store, judge_within=0.05)
    shelf.free.clear()
    async with asyncio.timeout(1):
        assert not (await receive(receiver, 0, text_like(100, 1728))).durable
        assert not (await judge(receiver, 0)).durable
    shelf.free.set()
    assert (await judge(receiver, 0)).durable
    assert shelf.calls == [0]
    await receiver.close()


async def test_a_page_sent_again_replaces_the_one_that_is_still_being_stored() -> None:
    shelf, again = Shelf(), text_like(120, 1728, seed=2)
    receiver = Receiver(shelf.store, judge_within=0.05)
    shelf.free.clear()
    await receive(receiver, 0, text_like(100, 1728))
    await receive(receiver, 0, again)
    shelf.free.set()
    await receiver.close()
    assert np.array_equal(bitmap_of(shelf.pages[0]).pels(), again)


async def test_closing_waits_for_the_store_and_gives_up_what_was_not_judged() -> None:
    shelf = Shelf()
    receiver = Receiver(shelf.store, judge_within=0.01)
    shelf.free.clear()
    await receive(receiver, 0, text_like(100, 1728))
    await receiver.perform(KeepData(1, FORMAT, encode(Bitmap.from_pels(text_like(100, 1728)), FORMAT.coding)))
    closing = asyncio.create_task(receiver.close())
    done, _ = await asyncio.wait([closing], timeout=0.05)
    assert not done
    shelf.free.set()
    await closing
    assert list(shelf.pages) == [0]


async def test_what_is_no_lack_of_room_goes_up() -> None:
    async def broken(index: int, page: CodedPage) -> None:
        raise ValueError("no such column")

    receiver = Receiver(broken)
    with pytest.raises(ValueError, match="no such column"):
        await receive(receiver, 0, text_like(100, 1728))
