"""The service stops, whatever one of its parts does when it is told to."""

import asyncio

import pytest

from faxgw.afterwards import Afterwards
from faxgw.service import run_all


async def test_a_part_that_overhears_the_first_call_to_stop_is_told_again() -> None:
    told = 0

    async def deaf() -> None:
        nonlocal told
        while told < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told += 1
        raise asyncio.CancelledError

    async def polite() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await run_all([polite, deaf], lambda: asyncio.sleep(0.01), patience=0.01)
    assert told == 2


async def test_what_no_answer_waited_for_is_done_before_the_service_stops_or_ended_and_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    afterwards, done = Afterwards(), []

    async def soon() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        done.append("soon")

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as one who gives a connection back
            done.append("never")

    afterwards.do(soon(), name="soon")
    await afterwards.finish()
    assert done == ["soon"]
    afterwards.do(never(), name="never")
    await afterwards.finish(within=0.01)
    assert done == ["soon", "never"]
    said = capsys.readouterr()
    assert "work after an answer took too long" in said.out + said.err  # wherever the tests before it had logs written
