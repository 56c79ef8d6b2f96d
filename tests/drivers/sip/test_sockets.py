"""Faxes over real sockets and in real time, all at once: SIP over UDP, TCP and TLS, IPv6, and several on one trunk."""

import asyncio
from pathlib import Path

import pytest

from drivers.registry import open_line
from simulators.machine import Machine
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import Cause, Dial, LineEvent, NotConnected
from tests.drivers.sip.authority import Authority
from tests.simulators.calls import sheet

PAGE = sheet(3)
FIRST = 25060
"""Ports for signalling; each call takes two."""


async def fax(name: str, ours: str, theirs: str) -> str:
    """Send a page from one URL to another; return what came of it."""
    receiver, sender = await open_line(theirs), await open_line(ours)
    tray = Tray()
    try:
        receiving = asyncio.create_task(Machine(Station("1"), receiver, tray).receive())
        sent = await Machine(Station("2"), sender, Tray([PAGE])).send("15550100")
        got = await receiving
    finally:
        await sender.close()
        await receiver.close()
    same = [page.decoded.bitmap for page in tray.received.values() if page.decoded] == [PAGE.bitmap]
    return (
        f"{name}: {sent.verdict}, {got.verdict}, {'same page' if same else 'another page'} {sent.reason} {got.reason}"
    )


@pytest.mark.slow
def test_a_page_arrives_over_every_transport(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.settings("127.0.0.1", "localhost")
    tls = f"transport=tls&ca={files.ca}&cert={files.certificate}&key={files.key}"
    ways = {
        "udp": ("127.0.0.1", ""),
        "tcp": ("127.0.0.1", "transport=tcp"),
        "tls": ("127.0.0.1", tls),
        "tls by name": ("localhost", tls),
        "udp offered at once": ("127.0.0.1", "t38=offer&version=3"),
        "udp v6": ("[::1]", ""),
    }

    async def all_at_once() -> list[str]:
        calls = []
        for number, (name, (host, options)) in enumerate(ways.items()):
            here, there = FIRST + 2 * number, FIRST + 2 * number + 1
            local = "127.0.0.1" if host == "localhost" else host
            calls.append(
                fax(
                    name,
                    f"sip:{host}:{there}?local={local}:{here}&{options}".rstrip("&"),
                    f"sip:{host}:{here}?local={local}:{there}&{options}".rstrip("&"),
                )
            )
        return await asyncio.gather(*calls)

    told = asyncio.run(all_at_once())
    assert [each.partition(" Reason")[0] for each in told] == [
        f"{name}: delivered, received, same page" for name in ways
    ], told


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_trunk_where_nobody_listens_is_told_from_one_that_refuses(transport: str) -> None:
    async def dial() -> LineEvent:
        line = await open_line(f"sip:127.0.0.1:9?transport={transport}")
        try:
            return await line.perform(Dial("1"))
        finally:
            await line.close()

    assert asyncio.run(dial()) == NotConnected(Cause.NETWORK, detail="Connection refused")


@pytest.mark.slow
def test_who_has_no_certificate_is_reached_by_the_connection_that_it_opened(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.settings("127.0.0.1")
    here, there = FIRST + 40, FIRST + 41
    told = asyncio.run(
        fax(
            "tls",
            f"sip:127.0.0.1:{there}?transport=tls&ca={files.ca}&t38=answer",
            f"sip:127.0.0.1:{here}?local=127.0.0.1:{there}&transport=tls&ca={files.ca}"
            f"&cert={files.certificate}&key={files.key}",
        )
    )
    assert told.startswith("tls: delivered, received, same page"), told
