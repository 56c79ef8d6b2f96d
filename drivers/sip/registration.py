"""Registration (RFC 3261 section 10): the registrar knows where we are, and is told again before it forgets."""

from collections.abc import Sequence

from drivers.sip.core import STATUS, Core
from drivers.sip.effects import NotRegistered, Registered
from drivers.sip.grammar import SipMalformed, number
from drivers.sip.headers import NameAddr
from drivers.sip.messages import REASONS, Request, Response
from drivers.sip.outgoing import Outgoing
from drivers.sip.transactions import Why
from drivers.sip.uri import Uri
from drivers.sip.ways import Target

FIRST_PAUSE = 30.0
"""So long after a registration failed it is tried again; twice as long after each further failure."""
LONGEST_PAUSE = 1800.0

MOST_RAISES = 3
"""So often in a row a registrar may ask for a longer time. Stops one that would have us ask forever."""

_FOR_GOOD = frozenset({401, 403, 404, 405, 407, 410, 416, 420, 501, 505, 603})
"""What does not change by itself: the password is wrong, or the number is not theirs."""


class Registration:
    """The registration of one user agent.

    Args:
        core: what all parts share.
        registrar: where.
    """

    def __init__(self, core: Core, registrar: Uri) -> None:
        self._core = core
        self._expires = core.profile.expires
        self._targets: tuple[Target, ...] = ()
        self._outgoing: Outgoing | None = None
        self._leaving = False
        self._again = False
        self._failures = 0
        self._raises = 0
        user = NameAddr(core.profile.user)
        self._request = core.request("REGISTER", registrar, from_=user, to=user)

    def register(self, targets: Sequence[Target]) -> None:
        """Register at one of these, and again before it ends, until told otherwise."""
        self._begin(tuple(targets), leaving=False)

    def unregister(self) -> None:
        """Take our contact out."""
        self._begin(self._targets, leaving=True)

    def _begin(self, targets: tuple[Target, ...], *, leaving: bool) -> None:
        self._targets = targets
        self._leaving = leaving
        self._failures = self._raises = 0
        self._send()

    def _send(self) -> None:
        """Send a REGISTER; while one is on its way the next one waits for its end (RFC 3261 10.2)."""
        self._core.alarms.clear(self)
        if self._outgoing is not None:
            self._again = True
            return
        self._request = self._next()
        self._outgoing = Outgoing(self._core, self._request, self._targets, heard=self._heard, failed=self._failed)
        self._outgoing.send()

    def _next(self) -> Request:
        old = self._outgoing.request if self._outgoing is not None else self._request
        request = Request("REGISTER", old.uri, old.headers.copy())
        request.headers.set("Via", str(self._core.via()))
        request.headers.set("CSeq", f"{old.cseq.number + 1} REGISTER")
        request.headers.set("Contact", str(self._core.contact))
        request.headers.set("Expires", str(0 if self._leaving else self._expires))
        self._core.introduce(request)
        return request

    def _heard(self, response: Response) -> None:
        outgoing = self._outgoing
        if not response.final or outgoing is None:
            return
        if response.status == 423 and self._raised(response):
            outgoing.repeat(lambda request: request.headers.set("Expires", str(self._expires)))
            return
        if self._done():
            return
        if response.status >= 300:
            self._refused(response.status, response.reason, _retry_after(response))
        elif self._leaving:
            self._core.emit(NotRegistered(200, "taken out"))
        else:
            self._registered(response)

    def _failed(self, why: Why) -> None:
        if not self._done():
            self._refused(STATUS[why], why.value, 0)

    def _done(self) -> bool:
        """Nothing is on its way any more; return whether something else is wanted by now, and sent."""
        if self._outgoing is not None:
            self._request = self._outgoing.request
        self._outgoing = None
        again, self._again = self._again, False
        if again:
            self._send()
        return again

    def _registered(self, response: Response) -> None:
        seconds = self._granted(response)
        self._failures = self._raises = 0
        self._core.emit(Registered(float(seconds)))
        # Time for some tries before it ends.
        self._core.alarms.set(self, self._core.now + max(seconds * 0.75, min(seconds / 2, 10.0), 1.0), self._send)

    def _refused(self, status: int, reason: str, retry_after: int) -> None:
        again_in: float | None = None
        if not self._leaving and status not in _FOR_GOOD:
            again_in = max(min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE), float(retry_after))
            self._failures = min(self._failures + 1, 16)
            self._core.alarms.set(self, self._core.now + again_in, self._send)
        self._core.emit(NotRegistered(status, reason or REASONS.get(status, ""), again_in))

    def _raised(self, response: Response) -> bool:
        least = _seconds(response.headers.get("Min-Expires"))
        if least is None or least <= self._expires or self._raises >= MOST_RAISES or self._leaving:
            return False
        self._raises += 1
        self._expires = least
        return True

    def _granted(self, response: Response) -> int:
        """Return for how many seconds the registrar keeps our contact, which may be one of several."""
        try:
            contacts = response.contacts
        except SipMalformed:
            contacts = []
        ours = [each for each in contacts if each.uri.matches(self._core.profile.contact)]
        # One that rewrites contacts shows ours in another form: with a single one there is no doubt.
        found = (ours or contacts) if len(ours or contacts) == 1 else ours
        said = _seconds(found[0].params.get("expires")) if found else None
        if said is None:
            said = _seconds(response.headers.get("Expires"))
        return self._expires if said is None else max(said, 1)


def _seconds(text: str | None) -> int | None:
    try:
        return None if text is None else number(text, limit=(1 << 32) - 1, what="a time")
    except SipMalformed:
        return None


def _retry_after(response: Response) -> int:
    text = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0]
    return min(_seconds(text) or 0, 86400)
