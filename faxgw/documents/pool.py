"""Warm workers for the service: lent for one document at a time, started when wanted, ended when idle for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from faxgw.documents.renderer import Renderer, WorkerLimits
from faxgw.errors import RequestError

IDLE_AFTER = 30.0
"""Seconds after which a worker that nobody wanted is ended: it holds 40 MB, and starting another takes 0.2 s."""

P = ParamSpec("P")
T = TypeVar("T")


class RendererPool:
    """At most ``workers`` documents are read and drawn at once; whoever comes later waits, first come, first served.

    A worker that crashes or takes too long costs the job that it was doing. No two leases ever share a process: see
    ``worker.py``. All of it belongs to one event loop.
    """

    def __init__(self, workers: int = 2, limits: WorkerLimits | None = None, *, idle_after: float = IDLE_AFTER) -> None:
        self._limits = limits
        self._idle_after = idle_after
        self._turns = asyncio.Semaphore(workers)
        # Threads of its own: a slow document must not take those that calls need for coding their pages.
        self._threads = ThreadPoolExecutor(workers, "rendering")
        self._idle: dict[Renderer, asyncio.TimerHandle] = {}
        self._lent: set[Renderer] = set()
        self._closed = False

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Renderer]:
        """Lend a renderer; what it has read is forgotten when it is given back, also in the middle of a job.

        Raises:
            RequestError: ``document.closed``, if the pool is closed.
        """
        async with self._turns:
            self._check_open()
            renderer = self._taken()
            try:
                yield renderer
            finally:
                self._give_back(renderer)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what blocks, such as a job of a leased renderer, in one of the pool's threads."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def close(self) -> None:
        """End all workers; jobs under way raise ``document.closed`` or ``.crashed``."""
        self._closed = True
        for timer in self._idle.values():
            timer.cancel()
        workers = [*self._idle, *self._lent]
        self._idle.clear()
        await asyncio.gather(*(asyncio.to_thread(worker.close) for worker in workers))
        self._threads.shutdown(wait=False)

    def _check_open(self) -> None:
        if self._closed:
            raise RequestError("document.closed", "The gateway is stopping; send the document again later.")

    def _taken(self) -> Renderer:
        """Take the worker that was given back last, so that the others may end, or a new one."""
        if self._idle:
            renderer, timer = self._idle.popitem()
            timer.cancel()
        else:
            renderer = Renderer(self._limits)
        self._lent.add(renderer)
        return renderer

    def _give_back(self, renderer: Renderer) -> None:
        self._lent.discard(renderer)
        if self._closed:
            return
        renderer.forget()
        timer = asyncio.get_running_loop().call_later(self._idle_after, self._end_idle, renderer)
        self._idle[renderer] = timer

    def _end_idle(self, renderer: Renderer) -> None:
        del self._idle[renderer]
        self._threads.submit(renderer.close)
