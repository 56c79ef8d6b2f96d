"""Lines that share a trunk on real sockets: opening, closing and giving up at any moment; no port is left behind."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from random import Random

import pytest
import uvloop

from drivers.registry import open_line
from drivers.sip.line import SipLine
from drivers.sip.ports import Ports
from drivers.sip.trunk import FAREWELL, Trunk
from drivers.t38.route import UdpRoute
from simulators.clock import run
from t30.line import AwaitCall, LineError

HOST = "127.0.0.1"
FIRST = 12000 + os.getpid() % 1000 * 8
"""Ports of this process: others may run these tests, too."""
LOCAL, THERE, SOUND = (HOST, FIRST), (HOST, FIRST + 1), FIRST + 2
URL = f"sip:localhost:{THERE[1]}?local={LOCAL[0]}:{LOCAL[1]}"
"""A trunk whose name takes a moment to find."""
SILENT = f"sip:me@{HOST}:{THERE[1]}?local={LOCAL[0]}:{LOCAL[1]}"
"""One that registers us, or would."""


def is_free(address: tuple[str, int] = LOCAL) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


async def opened(url: str = URL) -> SipLine:
    line = await open_line(url)
    assert isinstance(line, SipLine)
    return line


async def moments(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def settled(is_so: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never comes about")


def everywhere(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]
    uvloop.run(story())  # type: ignore[arg-type]


def test_of_two_that_open_a_trunk_one_may_give_up_at_any_moment() -> None:
    async def story() -> None:
        for steps in range(12):
            one, other = asyncio.create_task(opened()), asyncio.create_task(opened())
            await moments(steps)
            other.cancel()
            await asyncio.wait([one, other])
            third = await opened()
            assert third._trunk is one.result()._trunk
            for line in (third, one.result()):
                await line.close()
            if not other.cancelled():
                await other.result().close()
            assert is_free()

    everywhere(story)


def test_a_trunk_that_nobody_waits_for_any_more_is_not_left_open() -> None:
    async def story() -> None:
        for steps in range(12):
            opening = asyncio.create_task(opened())
            await moments(steps)
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled():
                await opening.result().close()
            line = await opened()  # at once, though the other one may just be closing
            await line.close()
            await settled(is_free)
            assert not Trunk._open
            assert not Trunk._leaving

    everywhere(story)


def test_a_trunk_that_is_closing_is_waited_for_by_who_opens_it_anew() -> None:
    async def story() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(THERE)
            line = await opened(SILENT)
            waiting = asyncio.create_task(line.perform(AwaitCall()))
            await asyncio.sleep(1.0)
            waiting.cancel()
            closing = asyncio.create_task(line.close())
            await asyncio.sleep(FAREWELL / 2)
            assert not closing.done()
            other = await opened(SILENT)
            assert other._trunk is not line._trunk
            await other.close()

    run(story())


def test_a_closing_that_is_broken_off_releases_the_port_all_the_same() -> None:
    async def story() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(THERE)
            line = await opened(SILENT)
            waiting = asyncio.create_task(line.perform(AwaitCall()))
            await asyncio.sleep(1.0)
            waiting.cancel()
            closing = asyncio.create_task(line.close())
            await asyncio.sleep(0.5)
            closing.cancel()
            await asyncio.sleep(FAREWELL)
            assert is_free()

    run(story())


def test_a_trunk_that_cannot_be_opened_is_tried_anew_by_the_next() -> None:
    async def story() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(LOCAL)
            tries = await asyncio.gather(opened(), opened(), return_exceptions=True)
            assert [type(each) for each in tries] == [LineError, LineError]
        line = await opened()
        await line.close()

    everywhere(story)


def test_where_we_listen_on_every_address_the_trunk_is_told_the_one_that_leads_to_it() -> None:
    async def story() -> None:
        line = await opened(f"sip:{HOST}:{THERE[1]}?local=0.0.0.0:{LOCAL[1]}")
        profile = line._trunk._agent.profile
        assert (line._trunk.media_host, profile.contact.host, profile.sent_by) == (HOST, HOST, LOCAL)
        await line.close()

    everywhere(story)


def test_ports_that_nobody_waits_for_any_more_are_released() -> None:
    async def story() -> None:
        for steps in range(8):
            opening = asyncio.create_task(Ports(HOST, SOUND, SOUND + 1, random=Random(1)).pair())
            await moments(steps)
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled():
                opening.result().close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others)  # what is still being opened
            await settled(lambda: is_free((HOST, SOUND)) and is_free((HOST, SOUND + 1)))

    everywhere(story)


@pytest.mark.parametrize("peer", [("::1", 4000), ("2001:db8::1", 4000)])
def test_media_that_cannot_be_sent_to_the_address_that_was_said_costs_no_call(peer: tuple[str, int]) -> None:
    async def story() -> None:
        route = await UdpRoute.bind((HOST, 0))
        route.aim(peer)
        route.send(b"sound")
        route.close()

    everywhere(story)
