"""Session timers (RFC 4028): a call that nobody refreshes ends, so that none stays up for ever with nobody there."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from drivers.sip.core import Core
from drivers.sip.grammar import Params, SipMalformed, number
from drivers.sip.headers import Headers
from drivers.sip.messages import Request, Response
from drivers.sip.profile import Profile

LEAST = 90
"""No session is asked to be shorter (RFC 4028 4)."""

LONGEST = (1 << 31) - 1

SHORTEST = 32
"""Whatever was agreed, a call gets so many seconds. Stops a peer that would have us send refreshes all the time."""


class Refresher(Enum):
    """Who sends the refreshes: the client or the server of the request that says so."""

    UAC = "uac"
    UAS = "uas"


@dataclass(frozen=True, slots=True)
class Expires:
    """What Session-Expires says."""

    seconds: int
    refresher: Refresher | None = None

    @classmethod
    def of(cls, headers: Headers) -> "Expires | None":
        """Return what is said; None if nothing is that makes sense."""
        text, _, params = (headers.get("Session-Expires") or "").partition(";")
        try:
            seconds = number(text, limit=LONGEST, what="Session-Expires")
            said = (Params.parse(params).get("refresher") or "").lower()
        except SipMalformed:
            return None
        return cls(seconds, Refresher(said) if said in {"uac", "uas"} else None)

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher.value}" if self.refresher else str(self.seconds)


def least(headers: Headers) -> int:
    """Return what Min-SE says, ``LEAST`` if nothing."""
    text = (headers.get("Min-SE") or "").partition(";")[0]
    try:
        return max(LEAST, number(text, limit=LONGEST, what="Min-SE"))
    except SipMalformed:
        return LEAST


def too_short(request: Request, profile: Profile) -> bool:
    """Whether an INVITE or UPDATE of theirs is to be refused with 422: it asks for less than we agree to."""
    asked = Expires.of(request.headers)
    return asked is not None and asked.seconds < profile.min_se and "timer" in request.headers.options("Supported")


class Session:
    """The timers of one call.

    Args:
        core: what all parts share.
        refresh: sends a refresh.
        expired: ends the call.
    """

    def __init__(self, core: Core, *, refresh: Callable[[], None], expired: Callable[[], None]) -> None:
        self._core = core
        self._refresh = refresh
        self._expired = expired
        self._seconds = core.profile.session_expires
        self._least = core.profile.min_se
        self._ours = True
        self._active = False

    def ask(self, request: Request) -> None:
        """Put into a request what we wish; once that is settled, who refreshes stays who does."""
        if not self._seconds:
            return
        refresher = (Refresher.UAC if self._ours else Refresher.UAS) if self._active else None
        request.headers.set("Session-Expires", str(Expires(max(self._seconds, self._least), refresher)))
        request.headers.set("Min-SE", str(self._least))

    def raised(self, response: Response) -> bool:
        """Take a 422; return whether the request may be sent once more, asking for a longer time."""
        asked = least(response.headers)
        if "Min-SE" not in response.headers or asked <= self._least:
            return False
        self._least = asked
        self._seconds = max(self._seconds, asked)
        return True

    def answered(self, response: Response) -> None:
        """Take the 2xx to our INVITE or UPDATE."""
        agreed = Expires.of(response.headers)
        if agreed is None:
            self.stop()
        else:
            self._start(agreed.seconds, ours=agreed.refresher is not Refresher.UAS)

    def answer(self, request: Request, response: Response) -> None:
        """Put into the 2xx to their INVITE or UPDATE what holds from now on."""
        asked = Expires.of(request.headers)
        able = "timer" in request.headers.options("Supported")
        if asked is None and not (able and self._seconds):
            self.stop()
            return
        seconds = asked.seconds if asked else max(self._seconds, least(request.headers))
        refresher = self._chosen(asked, able=able)
        response.headers.set("Session-Expires", str(Expires(seconds, refresher)))
        if refresher is Refresher.UAC:
            response.headers.add("Require", "timer")
        self._start(seconds, ours=refresher is Refresher.UAS)

    def stop(self) -> None:
        """Let the call last as long as it likes."""
        self._active = False
        self._core.alarms.clear((self, "refresh"))
        self._core.alarms.clear((self, "expiry"))

    def _chosen(self, asked: Expires | None, *, able: bool) -> Refresher:
        if not able:
            return Refresher.UAS
        if asked is not None and asked.refresher is not None:
            return asked.refresher
        return Refresher.UAS if self._active and self._ours else Refresher.UAC

    def _start(self, seconds: int, *, ours: bool) -> None:
        self._seconds = seconds = max(seconds, SHORTEST)
        self._ours = ours
        self.stop()
        self._active = True
        if ours:
            self._core.alarms.set((self, "refresh"), self._core.now + seconds / 2, self._refresh_now)
        # Who does not refresh hangs up a little earlier than who does would give up (RFC 4028 10).
        late = 0.0 if ours else min(32.0, seconds / 3)
        self._core.alarms.set((self, "expiry"), self._core.now + seconds - late, self._expired)

    def _refresh_now(self) -> None:
        # If this one fails, another one has a chance before all is over.
        self._core.alarms.set((self, "refresh"), self._core.now + max(self._seconds / 6, 5.0), self._refresh_now)
        self._refresh()
