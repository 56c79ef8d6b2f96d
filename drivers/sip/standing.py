"""Whether a trunk is there: it registers us if that is asked for, and answers when it is asked from time to time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from drivers.sip.agent import Agent
from drivers.sip.effects import Alive, Effect, NotRegistered, Registered
from drivers.sip.options import TrunkOptions
from drivers.sip.place import Place
from t30.line import LineError

REGISTERED_WITHIN = 35.0
"""Seconds after which a trunk that does not answer a registration is not to be had."""
LOOKED_UP_EVERY = 60.0
"""Seconds between two looks at where a trunk's name leads; the DNS says how long an answer holds."""


class Standing:
    """How a trunk stands.

    Args:
        options: what its URL says.
        place: where it is.
        agent: who asks it.
        do: does what the agent says.

    Attributes:
        down: is called when it can no longer be used.
    """

    def __init__(
        self, options: TrunkOptions, place: Place, *, agent: Agent, do: Callable[[list[Effect]], None]
    ) -> None:
        self.down: Callable[[LineError], None] | None = None
        self._options = options
        self._place = place
        self._agent = agent
        self._do = do
        self._loop = asyncio.get_running_loop()
        self._registration: asyncio.Future[None] | None = None
        self._answer: asyncio.Future[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._unregistered: LineError | None = None
        self._silent: LineError | None = None

    @property
    def fault(self) -> LineError | None:
        """Why the trunk cannot be used now; None: it can."""
        return self._unregistered or self._silent

    async def ready(self) -> None:
        """Return when the trunk may call us: registered, where that is asked for.

        Raises:
            LineError: ``line.unavailable`` if it does not register us, or is not there.
        """
        if self._options.register:
            await self._registered()
        if self._options.asks_every and self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        if self.fault is not None:
            raise self.fault

    async def answered_within(self) -> float:
        """Ask the trunk whether it lives; return the seconds until it answered.

        Raises:
            LineError: ``line.unavailable`` if it does not.
        """
        began = self._loop.time()
        self._answer = self._loop.create_future()
        self._do(self._agent.probe(await self._place.targets(), began))
        await self._answer
        if self._silent is not None:
            raise self._silent
        return self._loop.time() - began

    def take(self, effect: Registered | NotRegistered | Alive) -> None:
        """Take note of what the trunk said, or did not say."""
        match effect:
            case Registered():
                self._silent = None
                self._settle(None)
            case NotRegistered(status, reason, again_in):
                self._settle(self._gone(f"the trunk does not register us: {status} {reason}".strip()))
                if again_in is None:
                    self._registration = None  # so that the next one who waits for calls tries again
            case Alive(status):  # any answer at all is a sign of life
                self._silent = None if status else self._gone("the trunk does not answer")
                self._tell(self._silent)
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(None)

    def close(self) -> None:
        """Ask no more, and have the trunk forget us."""
        for task in (self._asking, self._looking):
            if task is not None:
                task.cancel()
        if self._registration is not None and self.fault is None:
            self._do(self._agent.unregister(self._loop.time()))

    async def _look(self) -> None:
        """Look from time to time where the trunk is: it is listened to by its addresses, and those may change."""
        while True:
            await asyncio.sleep(LOOKED_UP_EVERY)
            with suppress(LineError):  # then it is where it was
                await self._place.targets()

    async def _registered(self) -> None:
        """Register, if that was not done yet, or was refused for good."""
        # Found before anything is begun: this may fail, or be broken off, and another line may be faster.
        targets = () if self._registration is not None else await self._place.targets()
        registration = self._registration
        if registration is None:
            registration = self._registration = self._loop.create_future()
            # Whoever waited may be gone by the time it is refused.
            registration.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._do(self._agent.register(targets, self._loop.time()))
        try:
            async with asyncio.timeout(REGISTERED_WITHIN):
                await asyncio.shield(registration)
        except TimeoutError:
            raise self._gone("the trunk does not answer our registration") from None

    def _settle(self, fault: LineError | None) -> None:
        registration = self._registration
        if registration is not None and not registration.done():
            if fault is None:
                registration.set_result(None)
            else:
                registration.set_exception(fault)
                self._registration = None  # so that the next one who waits for calls tries again
        self._unregistered = fault
        self._tell(fault)

    def _tell(self, fault: LineError | None) -> None:
        if fault is not None and self.down is not None:
            self.down(fault)

    async def _ask(self) -> None:
        while True:
            await asyncio.sleep(self._options.asks_every)
            try:
                await self.answered_within()
            except LineError as fault:
                self._silent = fault
                self._tell(fault)

    def _gone(self, why: str) -> LineError:
        return LineError(f"{self._options.uri}: {why}")
