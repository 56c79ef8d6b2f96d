"""Virtual time: an event loop whose clock jumps to the next timer, so that an hour of line time takes a moment.

Nothing here waits. The same coroutines run on an ordinary loop in real time, or faster by ``t30.line.LineClock.speed``.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from simulators.lan import Lan

T = TypeVar("T")


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is pending: every task waits for something that cannot come."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, starting at 0.0 and the same in every run.

    Descriptors are polled but never waited for. Work for other threads (``asyncio.to_thread``) is done at once on this
    one, since virtual time cannot pass while a thread runs. With a ``Lan``, UDP sockets are its.
    """

    def __init__(self, lan: "Lan | None" = None) -> None:
        self._now = 0.0
        self._lan = lan
        super().__init__(_JumpingSelector(self._advance))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Executor | None,  # noqa: ARG002
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """Run ``func`` now, on the loop's own thread."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], local_addr: Any = None, **others: Any
    ) -> tuple[Any, Any]:
        """Open a UDP socket, on the ``Lan`` if there is one."""
        if self._lan is None:
            return await super().create_datagram_endpoint(protocol_factory, local_addr, **others)
        protocol = protocol_factory()
        return self._lan.bind(protocol, local_addr), protocol

    def _advance(self, seconds: float | None) -> None:
        if seconds is None:
            waiting = sorted(f"{task.get_name()}: {task.get_coro()!r}" for task in asyncio.all_tasks(self))
            raise DeadlockError(f"at {self._now:.3f} s nothing is ready and no timer is pending; {'; '.join(waiting)}")
        self._now += seconds


def run(coroutine: Coroutine[Any, Any, T], *, lan: "Lan | None" = None) -> T:
    """Run a coroutine to its end on a virtual loop of its own, with UDP sockets on a ``Lan`` if one is given.

    Raises:
        DeadlockError: if it waits for something that cannot come.

    >>> async def an_hour() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run(an_hour())
    3600.0
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lan)) as runner:
        return runner.run(coroutine)


class _JumpingSelector(selectors.DefaultSelector):
    """Polls instead of waiting, and reports how long it would have waited."""

    def __init__(self, advance: Callable[[float | None], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, let the time pass that there was to wait."""
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self._advance(timeout)
        return ready
