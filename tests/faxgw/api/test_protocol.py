"""One connection, in virtual time: how long a request may take to say what it wants, and how much."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from faxgw.api.protocol import HEAD_LIMIT, HEAD_SECONDS, Protocol
from faxgw.api.serving import KEEP_ALIVE
from simulators.clock import run

GET = b"GET /at-once HTTP/1.1\r\nhost: x\r\n\r\n"
FOR_EVER = 3600.0


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, after the body, or for ever."""
    request = Request(scope, receive)
    answer = Response(b"answer")
    if request.url.path == "/after-the-body":
        await request.body()
    elif request.url.path == "/for-ever":
        answer = StreamingResponse(beats())
    await answer(scope, receive, send)


async def beats() -> AsyncIterator[bytes]:
    while True:
        yield b"beat"
        await asyncio.sleep(15)


@dataclass
class Caller:
    """The other end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def answer(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return await self.reader.readexactly(6)

    async def closed(self) -> float:
        """Return when the connection was closed, in seconds from now; ``FOR_EVER`` when it was not."""
        clock = asyncio.get_running_loop().time
        now = clock()
        try:
            async with asyncio.timeout(FOR_EVER):
                while await self.reader.read(1000):
                    pass
        except ConnectionError:
            pass
        except TimeoutError:
            return FOR_EVER
        return clock() - now

    @asynccontextmanager
    async def saying(self, octets: bytes, *, every: float) -> AsyncIterator[None]:
        """Say octets one by one meanwhile."""

        async def say() -> None:
            for octet in octets * 1000:
                self.say(bytes([octet]))
                await asyncio.sleep(every)

        task = asyncio.create_task(say())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def calling(talk: Callable[[Caller], Coroutine[Any, Any, None]]) -> None:
    """Have somebody talk to a connection of ours."""

    async def both() -> None:
        ours, theirs = socket.socketpair()
        config = uvicorn.Config(application, http=Protocol, timeout_keep_alive=KEEP_ALIVE, log_config=None)
        loop = asyncio.get_running_loop()
        state = ServerState()
        await loop.connect_accepted_socket(lambda: Protocol(config=config, server_state=state, app_state={}), ours)
        caller = Caller(*await asyncio.open_connection(sock=theirs))
        try:
            async with asyncio.timeout(2 * FOR_EVER):
                await talk(caller)
        finally:
            caller.writer.close()
            for task in state.tasks:
                task.cancel()
            await asyncio.gather(*state.tasks, return_exceptions=True)

    run(both())


def test_a_connection_that_says_nothing_is_closed() -> None:
    async def talk(caller: Caller) -> None:
        assert await caller.closed() == pytest.approx(HEAD_SECONDS)

    calling(talk)


@pytest.mark.parametrize("octets", [GET[:-2] + b"x: " + b"x" * 1000, b"\r\n"], ids=["a head", "empty lines"])
@pytest.mark.parametrize("after", [0, 1], ids=["the first request", "the second request"])
def test_a_head_that_trickles_in_is_not_waited_for(octets: bytes, after: int) -> None:
    async def talk(caller: Caller) -> None:
        for _ in range(after):
            caller.say(GET)
            await caller.answer()
        async with caller.saying(octets, every=5):
            assert await caller.closed() == pytest.approx(HEAD_SECONDS)

    calling(talk)


def test_the_rest_of_a_body_that_nobody_wants_is_not_waited_for() -> None:
    async def talk(caller: Caller) -> None:
        caller.say(b"POST /at-once HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        await caller.answer()
        async with caller.saying(b"x", every=5):
            assert await caller.closed() == pytest.approx(HEAD_SECONDS)

    calling(talk)


def test_a_head_may_come_in_pieces_and_a_body_may_take_its_time() -> None:
    async def talk(caller: Caller) -> None:
        head = b"POST /after-the-body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
        for octet in head:
            caller.say(bytes([octet]))
            await asyncio.sleep(0.9 * HEAD_SECONDS / len(head))
        for _ in range(10):
            await asyncio.sleep(HEAD_SECONDS)
            caller.say(b"x")
        assert await caller.answer() == b"answer"

    calling(talk)


def test_an_idle_connection_is_kept_and_a_stream_goes_on() -> None:
    async def talk(caller: Caller) -> None:
        caller.say(GET)
        await caller.answer()
        await asyncio.sleep(KEEP_ALIVE - 1)
        caller.say(GET)
        await caller.answer()
        assert await caller.closed() == pytest.approx(KEEP_ALIVE)

    async def follow(caller: Caller) -> None:
        caller.say(GET.replace(b"at-once", b"for-ever"))
        assert await caller.closed() == FOR_EVER

    calling(talk)
    calling(follow)


@pytest.mark.parametrize("before", [b"", GET.replace(b"at-once", b"for-ever")], ids=["alone", "behind a stream"])
def test_a_head_without_end_is_refused(before: bytes) -> None:
    async def talk(caller: Caller) -> None:
        caller.say(before + b"GET /at-once HTTP/1.1\r\nx: ")
        answered = asyncio.create_task(caller.reader.read())
        for _ in range(HEAD_LIMIT // 1024 + 1):
            await asyncio.sleep(0.01)
            assert not answered.done()
            caller.say(b"x" * 1024)
        _, _, answer = (await answered).rpartition(b"\r\n\r\n")
        assert json.loads(answer)["code"] == "request.http"
        assert f"{HEAD_LIMIT:,}" in json.loads(answer)["detail"]

    calling(talk)


def test_many_requests_at_once_are_answered_however_large_their_bodies_are() -> None:
    async def talk(caller: Caller) -> None:
        body = b"x" * 2 * HEAD_LIMIT
        post = b"POST /after-the-body HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        for first in range(0, 3 * len(post), 10_000):
            caller.say((post * 3)[first : first + 10_000])
            await asyncio.sleep(0.01)
        for _ in range(3):
            assert await caller.answer() == b"answer"

    calling(talk)
