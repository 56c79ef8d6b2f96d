"""What a user agent wants done, and what it has to tell: the only things that come out of it.

Each call ends with exactly one ``Refused`` or ``Over``; nothing is told of it after that.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from drivers.sip.messages import Request, Response
from drivers.sip.negotiation import Agreement
from drivers.sip.uri import Uri
from drivers.sip.ways import Flow, Target

if TYPE_CHECKING:
    from drivers.sip.call import Call

Way: TypeAlias = Target | Flow | Uri
"""Where a message goes; a URI is the next hop of a dialog, still to be resolved."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a message. It is not changed any more; if a request cannot be delivered, ``Agent.undeliverable`` is told."""

    message: Request | Response
    to: Way


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody calls: ``ring``, ``answer`` or ``refuse`` it."""

    call: "Call"


@dataclass(frozen=True, slots=True)
class Progress:
    """A call of ours goes on: 180 it rings, 183 there may be announcements, and so on."""

    call: "Call"
    status: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The call is up: ours was answered usably, or theirs was answered and the answer has arrived."""

    call: "Call"
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Refused:
    """A call of ours did not come about.

    Attributes:
        status: of the response; 408 for none in time, 503 where nobody could be reached, 488 for an answer without use.
    """

    call: "Call"
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Both sides agreed on another stream, or on the one that we asked for.

    Attributes:
        ours: whether it was our wish.
    """

    call: "Call"
    agreement: Agreement
    ours: bool


@dataclass(frozen=True, slots=True)
class NotChanged:
    """What we offered was refused, and what was agreed before holds.

    Attributes:
        status: 200 where the answer refused all streams: then sound is to be offered anew, since theirs may have ended.
    """

    call: "Call"
    status: int


@dataclass(frozen=True, slots=True)
class Over:
    """A call has ended that was up, or that was theirs, or that we gave up.

    Attributes:
        cause: for people.
        status: 200 after a BYE, 487 after a CANCEL; else what fits best: 408 for silence, 481 where they know nothing
            of the call, what we refused it with.
    """

    call: "Call"
    cause: str
    status: int


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrar knows us for so many seconds; it is asked again before they are over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NotRegistered:
    """The registrar does not know us.

    Attributes:
        status: of the response; 408 for none in time, 503 where nobody could be reached, 200 after ``unregister``.
        again_in: in so many seconds it is tried again; None: not before ``Agent.register`` is called.
    """

    status: int
    reason: str
    again_in: float | None = None


@dataclass(frozen=True, slots=True)
class Alive:
    """What came of ``Agent.probe``: the status of the response, None for none."""

    status: int | None


Effect: TypeAlias = (
    Transmit
    | Invited
    | Progress
    | Accepted
    | Refused
    | Changed
    | NotChanged
    | Over
    | Registered
    | NotRegistered
    | Alive
)
