"""Whether the running task was cancelled, where something in between may have kept that to itself.

Before Python 3.12 ``asyncio.wait_for`` returns as if nothing were the matter when a cancellation reaches it together
with what it waits for (CPython gh-86296), and libraries wait by it; a call puts its affairs in order first, on purpose.
"""

import asyncio


def leaving() -> bool:
    """Tell whether the running task was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def leave_if_cancelled() -> None:
    """Go, if the running task was cancelled and has not gone.

    Raises:
        asyncio.CancelledError: if so.
    """
    if leaving():
        raise asyncio.CancelledError
