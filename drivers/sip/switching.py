"""When a call that began with sound goes over to T.38: who offers it, when, and until when it may begin.

The one who was called offers: a gateway before a fax machine does so when it hears the machine's answering tone or its
first V.21 flags, and we do so a moment after the answer, since our own machine is there from the start. The caller
leaves it that time, and then offers by itself; a trunk that never offers would else keep both waiting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from drivers.g711.hearing import Heard
from t30.timers import T1


class Begins(Enum):
    """When T.38 begins; the value is the option of the URL.

    REINVITE: calls begin with sound; T.38 is offered when a fax machine is heard, or after a while.
    OFFER: T.38 is what we call with; somebody who calls us with sound is offered it at once.
    ANSWER: we never offer it, but take it.
    """

    REINVITE = "reinvite"
    OFFER = "offer"
    ANSWER = "answer"


CALLER_AFTER: Mapping[Heard | None, float] = {None: 6.0, Heard.CED: 3.0, Heard.V21: 0.5}
"""What the caller heard -> seconds until it offers T.38 by itself; None: the answer alone."""
CALLED_AFTER = 1.0
"""Seconds after the answer until the one who was called offers it."""
KEPT = 10.0
"""Seconds that a call is kept after they refused T.38: some refuse ours and then offer their own."""


class End(Enum):
    """Why a call came to no T.38; the value says it in words."""

    REFUSED = "the other side refused T.38, and faxes in sound need soft modems, which faxgw does not have yet"
    TOO_LATE = "the fax has begun in sound, and that needs soft modems, which faxgw does not have yet"
    NOT_OFFERED = "the other side did not go over to T.38"
    NOBODY = "no fax machine was heard, and T.38 was not taken up"


@dataclass(slots=True)
class Switching:
    """One call from its answer, with sound, until T.38 begins or is given up.

    Attributes:
        called: whether they called us.
        after: seconds after the answer until we offer T.38 whatever is heard; None: as usual.
    """

    begins: Begins
    called: bool
    after: float | None
    answered_at: float
    offers_at: float | None = None
    ends_at: float = 0.0
    refused: bool = False
    machine_heard: bool = False
    late: bool = False

    def __post_init__(self) -> None:
        self.ends_at = self.answered_at + T1
        usual = CALLED_AFTER if self.called else CALLER_AFTER[None]
        if self.begins is Begins.OFFER:
            self.offers_at = self.answered_at
        elif self.begins is Begins.REINVITE:
            self.offers_at = self.answered_at + (usual if self.after is None else self.after)

    @property
    def takes(self) -> bool:
        """Whether an offer of theirs is granted: not once a DCS was heard in sound, since the fax has begun there."""
        return not self.late

    @property
    def wakes(self) -> float:
        """When ``due`` is to be asked."""
        return min(self.ends_at, self.offers_at) if self.offers_at is not None else self.ends_at

    def heard(self, what: Heard, now: float) -> None:
        """Take note of a signal of theirs in the sound."""
        self.machine_heard = self.machine_heard or what in CALLER_AFTER or self.called
        if self.called:
            # V.21 from the one who calls is the answer to a DIS: its DCS.
            if what is Heard.V21:
                self.late, self.offers_at = True, None
                self.ends_at = now
        elif self.offers_at is not None and what in CALLER_AFTER:
            self.offers_at = min(self.offers_at, now + CALLER_AFTER[what])

    def offered(self, now: float) -> bool:
        """Tell whether T.38 is to be offered now; it is told once."""
        if self.offers_at is None or now < self.offers_at:
            return False
        self.offers_at = None
        return True

    def was_refused(self, now: float) -> None:
        """Our offer was refused: the call is kept for a while, for an offer of theirs."""
        self.refused, self.offers_at = True, None
        self.ends_at = min(self.ends_at, now + KEPT)

    def end(self, now: float) -> End | None:
        """Return why it is given up, if it is."""
        if now < self.ends_at:
            return None
        if self.late:
            return End.TOO_LATE
        if self.refused:
            return End.REFUSED
        return End.NOT_OFFERED if self.machine_heard or self.called else End.NOBODY
