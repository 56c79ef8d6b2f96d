"""The packet network: what its weather does not do, it does not do."""

import asyncio

from simulators.clock import run
from simulators.network import Weather, pair
from t30.line import LineClock


def test_without_jitter_all_come_in_the_order_in_which_they_were_sent() -> None:
    async def test() -> list[bytes]:
        one, other = pair(Weather(), Weather(), LineClock(asyncio.get_running_loop().time))
        came: list[bytes] = []
        other.receiver = came.append
        for number in range(200):
            one.send(number.to_bytes(1, "big"))
            if number % 7 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        return came

    assert run(test()) == [number.to_bytes(1, "big") for number in range(200)]
