"""What keeps one client, or many, from taking more than their share: times, counts, memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from faxgw.api.throttle import Buckets
from faxgw.config.submission import SubmissionSettings
from faxgw.devices.memory import Memory
from faxgw.metrics import SUBMISSION_CONNECTIONS

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do; times in seconds.

    Attributes:
        sign_in: from the beginning until a device has signed in.
        command: for each command, once it has.
        silence: between two pieces of a message.
        grace: before the lowest rate holds.
        message: for the whole of a message.
        pause: without a word, after which a client whose message was refused half way has heard why.
        tarpit: before a failed sign-in is answered, whatever failed; twice as long for the second, and so on.
        failures: failed sign-ins.
        errors: commands that were refused, in a row without a message that was taken.
        commands: commands between two messages.
        messages: messages in one connection.
    """

    sign_in: float = 60.0
    command: float = 300.0
    silence: float = 60.0
    grace: float = 30.0
    message: float = 1800.0
    pause: float = 0.25
    tarpit: float = 1.0
    failures: int = 3
    errors: int = 50
    commands: int = 2000
    messages: int = 1000


@dataclass(slots=True)
class Shared:
    """What all connections of a server share."""

    settings: SubmissionSettings
    limits: Limits
    memory: Memory
    failures: Buckets
    """By address: failed sign-ins, and credentials seen in clear."""
    callers: Counter[str] = field(default_factory=Counter)
    """By address: its connections."""
    connections: int = 0
    """All of them."""

    @classmethod
    def of(cls, settings: SubmissionSettings, limits: Limits) -> "Shared":
        """Return it for a server that starts."""
        return cls(settings, limits, Memory(settings.max_memory), Buckets(settings.failures_per_minute, MINUTE))

    @property
    def is_full(self) -> bool:
        """Whether nobody more may connect."""
        return self.connections >= self.settings.connections

    def has_room_for(self, caller: str) -> bool:
        """Tell whether this address may have one more."""
        return not self.is_full and self.callers[caller] < self.settings.connections_per_address

    @contextmanager
    def counted(self, caller: str) -> Iterator[None]:
        """Count a connection as long as it lasts."""
        self.callers[caller] += 1
        self.connections += 1
        SUBMISSION_CONNECTIONS.inc()
        try:
            yield
        finally:
            self.connections -= 1
            SUBMISSION_CONNECTIONS.dec()
            self.callers[caller] -= 1
            if not self.callers[caller]:
                del self.callers[caller]
