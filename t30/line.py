"""The port to a line: what a T.30 procedure may ask of it (actions), what it may hear back (events), what a line is.

A procedure yields one action and is sent exactly one event. Octets are as on the wire: the first bit is the least
significant. Times are seconds of the line's own clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar

from t30.pages import PageAction, PageEvent
from t30.rates import Modulation


class Tone(Enum):
    """The tones of phase A: who sends it."""

    CED = "answerer"
    CNG = "caller"


class Content(Enum):
    """What a non-HDLC signal carries."""

    TCF = "training check"
    PAGE = "page without error correction"


class Cause(Enum):
    """Why a call was not connected; the value is the stable name in results."""

    BUSY = "call.busy"
    NO_ANSWER = "call.no_answer"
    NO_CARRIER = "call.no_carrier"
    NO_DIALTONE = "call.no_dialtone"
    REJECTED = "call.rejected"
    UNALLOCATED = "call.unallocated"
    CONGESTION = "call.congestion"
    NETWORK = "call.network"
    TIMEOUT = "call.timeout"
    NO_T38 = "call.no_t38"


# ---------------------------------------------------------------------------------------------------------- actions


@dataclass(frozen=True, slots=True)
class AwaitCall:
    """Wait, for ever, until the line rings."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Call ``number``."""

    number: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Take the call that rang."""


@dataclass(frozen=True, slots=True)
class SendTone:
    """Send CED or CNG. A Class 1 modem has done so by itself in ATA or ATD."""

    tone: Tone


@dataclass(frozen=True, slots=True)
class SendFrames:
    """Send HDLC frames, from the address octet to the last FIF octet each; the line adds the preamble and the FCS."""

    modulation: Modulation
    frames: tuple[bytes, ...]
    after: float
    """Silence before the signal, in seconds."""


@dataclass(frozen=True, slots=True)
class SendData:
    """Send raw octets: TCF, or a whole page without error correction."""

    modulation: Modulation
    octets: bytes
    content: Content
    after: float


@dataclass(frozen=True, slots=True)
class ListenFrame:
    """Wait up to ``within`` seconds for flags; a frame once begun has a limit of its own of 4.5 s.

    Asked again, it gives the next frame of the same signal, then ``CarrierLost``.
    """

    modulation: Modulation
    within: float


@dataclass(frozen=True, slots=True)
class ListenData:
    """Wait up to ``within`` seconds for a carrier and give its octets in chunks of at most 8 KiB or 1 s.

    Asked again, it goes on with the same carrier; ``CarrierLost`` ends it.
    """

    modulation: Modulation
    content: Content
    within: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call and go on hook."""


# ----------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Ringing:
    """Somebody calls. Either number is empty when the line does not tell."""

    caller: str
    dialled: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Connected:
    """The call stands: we dialled and hear HDLC flags, or we answered and may send."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class NotConnected:
    """The call did not come about; ``detail`` is what the network said of it, "" if nothing."""

    cause: Cause
    at: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The signal is out, to its last bit (for ``HangUp``: the line is on hook)."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """One frame from the address octet to the last FIF octet, without FCS; ``good``: its FCS was right."""

    octets: bytes
    good: bool
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing began in time."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class CarrierLost:
    """The signal that was being received has ended. It does not end the call."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class WrongCarrier:
    """There is a signal, but of another modulation; ``which`` where the line knows, else None."""

    which: Modulation | None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class DataReceived:
    """The next octets of the carrier."""

    octets: bytes
    at: float = 0.0


LineAction = AwaitCall | Dial | Answer | SendTone | SendFrames | SendData | ListenFrame | ListenData | HangUp
LineEvent = (
    Ringing | Connected | NotConnected | Sent | FrameReceived | Quiet | CarrierLost | WrongCarrier | DataReceived
)
Action = LineAction | PageAction
Event = LineEvent | PageEvent

CHUNK_OCTETS, CHUNK_SECONDS = 8192, 1.0
"""``DataReceived`` brings no more than that, and no later than so many seconds after its first octet."""

E = TypeVar("E", bound=Event)


def stamped(event: E, at: float) -> E:
    """Return the event with its time, in seconds since the call began."""
    return replace(event, at=at)


# ------------------------------------------------------------------------------------------------------------- lines


DROPPED = "line.dropped"
"""The code of a call that the other side or the network ended."""


class LineError(Exception):
    """A driver's fault: the line or the modem does not do what it must. ``code`` is the stable name in results.

    ``line.unavailable``: the port is missing, busy or dead; ``line.dropped``: the other side or the network hung up.
    """

    def __init__(self, text: str, *, code: str = "line.unavailable") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class LineClock:
    """Seconds as the line counts them: ``time`` is the event loop's, ``speed`` how much faster the line runs."""

    time: Callable[[], float]
    speed: float = 1.0

    def now(self) -> float:
        """Seconds on the line's clock; only differences mean anything."""
        return self.time() * self.speed

    def real(self, seconds: float) -> float:
        """How long ``seconds`` of the line take on the event loop's clock."""
        return seconds / self.speed


class FaxLine(Protocol):
    """A telephone line with a fax modem on it; a driver is this one method.

    Cancelling ``perform`` leaves the signal stopped and the line off hook, within 1 s; only ``HangUp`` goes on hook,
    and may be performed at any time, more than once. A ``RING`` seen while ``AwaitCall`` is being cancelled is not
    lost.
    """

    @property
    def clock(self) -> LineClock:
        """The clock that this line's times are counted on."""
        ...

    async def perform(self, action: LineAction) -> LineEvent:
        """Do one thing and say how it went (the event's ``at`` is filled in by whoever runs the call).

        Raises:
            LineError: if the line is dead or was dropped.
        """
        ...
