"""Real sockets, and what comes to them that nobody asked for: the fax goes on, and nothing is kept of it.

What one sends to oneself is there at once, so time may be virtual: no other work on the machine disturbs these calls.
"""

import asyncio
import tracemalloc
from collections.abc import Iterator
from random import Random

import pytest

from drivers.registry import open_line
from drivers.t38.ifp import Indicator, IndicatorPacket, encode
from drivers.t38.line import UdptlLine
from drivers.t38.media import Media
from drivers.t38.route import UdpRoute
from drivers.t38.udptl import Datagram
from drivers.t38.udptl import encode as datagram_of
from drivers.witness import Seen
from simulators.clock import run
from simulators.machine import Machine
from simulators.network import Relay, Weather
from simulators.tray import Tray
from t30.capabilities import Station
from tests.simulators.calls import sheet

JUNK = 10_000
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
KILOBYTES = 512
SHEET = sheet(7, rows=300)


async def line(role: str) -> UdptlLine:
    opened = await open_line(f"udptl:{HERE}:0@{HERE}:9?role={role}&version=3")
    assert isinstance(opened, UdptlLine)
    return opened


def route(of: UdptlLine) -> UdpRoute:
    assert isinstance(of._route, UdpRoute)
    return of._route


def junk(chance: Random, overheard: list[bytes]) -> Iterator[bytes]:
    """Return octets of any kind; whole datagrams that are nobody's; the peer's own, cut off or renumbered."""
    signal = encode(IndicatorPacket(Indicator.V17_14400_LONG))
    while True:
        yield chance.randbytes(chance.randrange(80))
        yield datagram_of(Datagram(chance.randrange(1 << 16), signal, (signal,) * 3))
        yield b"\0"
        whole = bytearray(overheard[0])
        yield bytes(whole[: chance.randrange(len(whole))])
        whole[0] ^= 1 << chance.randrange(4, 8)
        yield bytes(whole)


async def flood(to: tuple[str, int], hosts: tuple[str, ...], overheard: list[bytes], seed: int) -> None:
    """Send that to a line from some hosts, as fast as it reads."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(host, 0)) for host in hosts]
    octets = junk(Random(seed), overheard)
    for number in range(JUNK):
        made[number % len(made)][0].sendto(next(octets), to)
        await asyncio.sleep(0)
    for transport, _ in made:
        transport.close()


@pytest.mark.case("R06")
@pytest.mark.case("R14")
def test_ten_thousand_datagrams_of_others_change_nothing(soak_seed: int) -> None:
    async def test() -> None:
        caller, answerer = await line("caller"), await line("answerer")
        ends = route(caller), route(answerer)
        for one, other in (ends, ends[::-1]):
            one.aim(other.local)
        overheard: list[bytes] = []

        def witness(seen: Seen) -> None:
            if not seen.sent and len(seen.octets) > 20:
                overheard[:] = [seen.octets]

        answerer.witness = witness
        tray = Tray()
        sending = asyncio.create_task(Machine(Station(ecm=False), caller, Tray([SHEET])).send("1"))
        receiving = asyncio.create_task(Machine(Station(), answerer, tray).receive())
        while not overheard:  # noqa: ASYNC110
            await asyncio.sleep(1.0)
        tracemalloc.start()
        try:
            await flood(ends[1].local, (ELSEWHERE, HERE), overheard, soak_seed)
            grown = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert isinstance(answerer.media, Media) and not sending.done()
        assert ends[1].peer == ends[0].local
        assert grown < KILOBYTES * 1024, f"{grown} bytes"
        async with asyncio.timeout(300):
            assert ((await sending).verdict, (await receiving).verdict) == ("delivered", "received")
        (page,) = tray.received.values()
        assert page.decoded is not None and page.decoded.bitmap == SHEET.bitmap
        assert ends[1].strangers > JUNK * 0.9
        await caller.close()
        await answerer.close()

    run(test())


@pytest.mark.case("R14")
def test_two_ends_that_both_wait_for_the_other_behind_a_translation_meet() -> None:
    """Neither knows the other's true address: each has that of a relay, which knows only where the first came from."""

    async def test() -> None:
        caller, answerer = await line("caller"), await line("answerer")
        weather = Weather(delay=0.001)
        relay = await Relay.open((HERE, 0), (HERE, 0), route(answerer).local, there=weather, back=weather)
        route(caller).aim(relay.addresses[0])
        sending = asyncio.create_task(Machine(Station(), caller, Tray([sheet(1, rows=20)])).send("1"))
        receiving = asyncio.create_task(Machine(Station(), answerer, Tray()).receive())
        while not receiving.done():
            await asyncio.sleep(8.0)
            await relay.rebind()
        sent, got = await sending, await receiving
        assert (sent.verdict, got.verdict) == ("delivered", "received"), (sent, got)
        await caller.close()
        await answerer.close()
        relay.close()

    run(test())
