"""What a call came to: which pages were confirmed, how, and if not, why."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from t30.fcf import Fcf
from t30.pages import PageFormat
from t30.rates import Modulation


class Direction(Enum):
    """Who holds the pages; the value is the name in results."""

    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a call did not go through whole: a stable dotted name and one clear sentence; both empty when it did."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class PageResult:
    """One page: ``rows``, ``octets`` on the wire, ``seconds`` from its first signal to its confirmation."""

    index: int
    format: PageFormat
    octets: int
    rows: int
    confirmed: bool
    bad_rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Training:
    """One training check.

    Attributes:
        passed: the receiver said so (CFR), and not FTT.
        errors: the share of its bits that were damaged, where we are the receiver; else None.
    """

    modulation: Modulation
    passed: bool
    errors: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of the other machine and of the line in one call.

    Attributes:
        capabilities: the last DIS, DTC or DCS of theirs, as it came.
        nonstandard: what came in the last NSF, NSC or NSS of theirs.
        trainings: in their order.
        corrections: how often frames were asked for again (PPR), by either side.
        refusals: how often a page was refused (RTN), by either side.
        hung_up_after: what we had said last when they hung up (DCN, or the line) or went silent, before all was
            confirmed; None if they did neither, or before we had said anything.
        sender_id: whom the sender says it is (SID), beside its number.
        addresses: Internet addresses that they said of themselves (TSA, CIA, CSA), each with its kind.
    """

    capabilities: bytes = b""
    nonstandard: bytes = b""
    trainings: tuple[Training, ...] = ()
    corrections: int = 0
    refusals: int = 0
    hung_up_after: Fcf | None = None
    sender_id: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a call."""

    direction: Direction
    reason: Reason
    remote_id: str
    seconds: float
    modulation: Modulation | None
    ecm: bool
    pages: tuple[PageResult, ...] = field(default=())
    complete: bool = False
    """The sender said that there was nothing more (EOP), and every page up to it was confirmed."""
    evidence: Evidence = Evidence()

    @property
    def verdict(self) -> str:
        """``delivered`` or ``received`` when whole, ``partial`` when some pages were confirmed, else ``failed``."""
        if self.complete:
            return "delivered" if self.direction is Direction.OUT else "received"
        return "partial" if any(page.confirmed for page in self.pages) else "failed"


@dataclass(slots=True)
class Record:
    """What is known of a call while it runs; ``outcome`` is what it came to."""

    direction: Direction
    remote_id: str = ""
    modulation: Modulation | None = None
    ecm: bool = False
    pages: list[PageResult] = field(default_factory=list)
    complete: bool = False
    evidence: Evidence = Evidence()

    def saw(self, **seen: Any) -> None:
        """Take note of something seen: fields of ``Evidence``, those that are empty left as they were."""
        self.evidence = replace(self.evidence, **{name: what for name, what in seen.items() if what})

    def trained(self, modulation: Modulation, *, passed: bool, errors: float | None = None) -> None:
        """Take note of a training check."""
        self.saw(trainings=(*self.evidence.trainings, Training(modulation, passed, errors)))

    def page(self, result: PageResult) -> None:
        """Enter a page; what was entered before for the same index is replaced."""
        self.pages[result.index :] = [result]

    def corrected(self) -> None:
        """Take note of a request for frames (PPR)."""
        self.saw(corrections=self.evidence.corrections + 1)

    def refused(self) -> None:
        """Take note of a page that was refused (RTN)."""
        self.saw(refusals=self.evidence.refusals + 1)

    def outcome(self, reason: Reason, seconds: float) -> Outcome:
        """Return the end of the call. What goes wrong after everything was confirmed does not count."""
        if not reason.code:
            reason = Reason("fax.incomplete", "the call ended before the fax was whole")
        return Outcome(
            self.direction,
            Reason() if self.complete else reason,
            self.remote_id,
            seconds,
            self.modulation,
            self.ecm,
            tuple(self.pages),
            self.complete,
            self.evidence,
        )


# -------------------------------------------------------------------------------------------------------- what ends it


class CallEnded(Exception):
    """Something ended the call before it was whole. ``code`` is the stable name in results."""

    code = "fax.failed"

    @property
    def reason(self) -> Reason:
        """What the result says."""
        return Reason(self.code, str(self))


class LocalError(CallEnded):
    """Our bug, or misuse by the caller: a line or page port that answers what it must not."""

    code = "fax.internal"


class NotStored(LocalError):
    """A page that came could not be made safe while its sender waited."""

    code = "storage.failed"


class Canceled(CallEnded):
    """The operator ends the call."""

    code = "call.canceled"


class NotReached(CallEnded):
    """The call did not come about."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class RemoteError(CallEnded):
    """Their machine, or the line between, did what T.30 does not allow."""

    code = "fax.protocol"


class Disconnected(RemoteError):
    """They said goodbye (DCN) before the fax was whole."""

    code = "fax.disconnected"


class NoResponse(RemoteError):
    """A command was repeated as often as T.30 allows, and nothing came back."""

    code = "fax.no_response"


class NoFaxMachine(RemoteError):
    """Nobody who speaks T.30 is there: T1 has elapsed."""

    code = "fax.no_machine"


class Incompatible(RemoteError):
    """The two machines have no rate, or no function, in common."""

    code = "fax.incompatible"


class OperatorWanted(RemoteError):
    """They want to be spoken to, and nobody is here."""

    code = "fax.operator"


class NothingToPoll(RemoteError):
    """They have no document to be fetched."""

    code = "fax.nothing_to_poll"


class PollRefused(Disconnected):
    """They said goodbye (DCN) when they were asked for their document."""

    code = "fax.poll_refused"


class NotAdmitted(RemoteError):
    """They did not say what our document is given out for."""

    code = "fax.poll_refused"


class CannotTrain(RemoteError):
    """No rate survived the training check."""

    code = "fax.training"


class PageRefused(RemoteError):
    """They did not confirm a page, however often it was sent."""

    code = "fax.page_refused"
