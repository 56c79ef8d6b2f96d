"""What a call came to: which pages were confirmed, how, and if not, why."""

from dataclasses import dataclass, field
from enum import Enum

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

    @property
    def verdict(self) -> str:
        """``delivered`` or ``received`` when whole, ``partial`` when some pages were confirmed, else ``failed``."""
        if self.complete:
            return "delivered" if self.direction is Direction.OUT else "received"
        return "partial" if any(page.confirmed for page in self.pages) else "failed"
