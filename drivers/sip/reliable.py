"""Provisional responses that arrive for certain (RFC 3262): repeated until PRACK, and acknowledged by it."""

from collections.abc import Callable

from drivers.sip.core import Core, Served
from drivers.sip.dialogs import Dialog
from drivers.sip.grammar import SipMalformed, number
from drivers.sip.messages import Request, Response
from drivers.sip.outgoing import Outgoing
from drivers.sip.timers import LONGEST_TRY, T1

OPTION = "100rel"


def _rseq(text: str) -> int | None:
    try:
        return number(text, limit=(1 << 32) - 1, what="RSeq")
    except SipMalformed:
        return None


class Reliable:
    """Our provisional responses to one INVITE of theirs, one on its way at a time.

    Args:
        core: what all parts share.
        served: the INVITE.
        failed: told if no PRACK comes in time.
    """

    def __init__(self, core: Core, served: Served, *, failed: Callable[[], None]) -> None:
        self._core = core
        self._served = served
        self._failed = failed
        self._number = core.random.getrandbits(30) + 1
        self._sent: Response | None = None
        self._waiting: list[Response] = []
        self._pause = T1
        self._give_up_at = 0.0

    def send(self, response: Response) -> None:
        """Send one, once those before have been acknowledged."""
        if self._sent is not None:
            self._waiting.append(response)
            return
        response.headers.set("Require", OPTION)
        response.headers.set("RSeq", str(self._number))
        self._sent = response
        self._pause = T1
        self._give_up_at = self._core.now + LONGEST_TRY * T1
        self._core.respond(self._served, response)
        self._core.alarms.set(self, self._core.now + self._pause, self._repeat)

    def acknowledged(self, prack: Request) -> bool:
        """Take a PRACK; return whether it is for the one that waits for it."""
        words = (prack.headers.get("RAck") or "").split()
        cseq = self._served.request.cseq
        if self._sent is None or words != [str(self._number), str(cseq.number), cseq.method]:
            return False
        self._number += 1
        self._sent = None
        self._core.alarms.clear(self)
        if self._waiting:
            self.send(self._waiting.pop(0))
        return True

    def stop(self) -> None:
        """Repeat none any more: there is a final response."""
        self._waiting.clear()
        self._core.alarms.clear(self)

    def _repeat(self) -> None:
        if self._sent is None:
            return
        if self._core.now >= self._give_up_at:
            self._failed()
            return
        self._pause *= 2
        self._core.alarms.set(self, min(self._core.now + self._pause, self._give_up_at), self._repeat)
        self._core.respond(self._served, self._sent)


class Acknowledging:
    """The PRACKs for the provisional responses to one INVITE of ours, in one dialog."""

    def __init__(self, core: Core, dialog: Dialog) -> None:
        self._core = core
        self._dialog = dialog
        self._last: int | None = None

    def take(self, response: Response) -> bool:
        """Acknowledge a response, if it wants that; return whether it is new and in order, and so may be used."""
        if OPTION not in response.headers.options("Require"):
            return True
        found = _rseq(response.headers.get("RSeq") or "")
        if found is None or (self._last is not None and found != self._last + 1):
            return False
        self._last = found
        prack = self._dialog.request("PRACK", via=self._core.via())
        prack.headers.add("RAck", f"{found} {response.cseq}")
        Outgoing(self._core, prack, [self._dialog.next_hop], dialog=self._dialog).send()
        return True
