"""Work that blocks, in a thread that holds up nobody: neither the loop, nor the end of the process."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result], *, cut: Callable[[], None] | None = None) -> Result:
    """Do it in a thread of its own.

    Where this is cancelled, ``cut`` has the work end at once, and its end is waited for. Without ``cut`` the thread is
    left behind: a mounted folder whose server is gone may hold it for ever.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()
    done.add_done_callback(_seen)

    def run() -> None:
        try:
            settle = partial(done.set_result, work())
        except BaseException as error:
            settle = partial(done.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="folder", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if cut:
            cut()
            await asyncio.wait([done])
        raise


def _seen(done: "asyncio.Future[Result]") -> None:
    """Look at how it ended, so that nobody is told that nobody did."""
    if not done.cancelled():
        done.exception()
