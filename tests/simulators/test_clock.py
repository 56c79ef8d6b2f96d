import asyncio

import pytest

from simulators.clock import DeadlockError, run


def test_timers_fire_in_order_without_waiting() -> None:
    async def body() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, str]] = []

        async def wait(seconds: float, name: str) -> None:
            await asyncio.sleep(seconds)
            seen.append((loop.time(), name))

        await asyncio.gather(wait(86400.0 * 3, "days"), wait(0.075, "turnaround"), wait(35.0, "T1"))
        return seen

    assert run(body()) == [(0.075, "turnaround"), (35.0, "T1"), (259200.0, "days")]


def test_a_deadlock_is_an_error_that_names_who_waits() -> None:
    async def waits_for_nothing() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match="waits_for_nothing"):
        run(waits_for_nothing())


def test_work_for_threads_takes_no_virtual_time() -> None:
    async def body() -> tuple[int, float]:
        return await asyncio.to_thread(sum, [1, 2, 3]), asyncio.get_running_loop().time()

    assert run(body()) == (6, 0.0)


def test_an_error_in_work_for_threads_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        run(asyncio.to_thread(divmod, 1, 0))
