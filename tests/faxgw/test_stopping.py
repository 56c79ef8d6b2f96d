"""The service stops, whatever one of its parts does when it is told to."""

import asyncio

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
