"""A request of ours until its last answer: again with credentials if asked for, at the next target on failure."""

from collections.abc import Callable, Sequence

from drivers.sip.core import Core
from drivers.sip.dialogs import Dialog
from drivers.sip.effects import Way
from drivers.sip.headers import CSeq
from drivers.sip.messages import Request, Response
from drivers.sip.transactions import Why

MOST_CHALLENGES = 4
"""So often one request is sent again with credentials: for a proxy, a server and a nonce or two that went stale."""


def ignore(_: object) -> None:
    """Do nothing with what becomes of a request."""


class Outgoing:
    """A request of ours that is on its way, or to be sent; one for each, but for ACK and CANCEL.

    Args:
        core: what all parts share.
        request: as it goes out first, but for credentials.
        ways: where it goes, and where next if nobody is there (RFC 3263 4.3).
        dialog: the one that it is in, which counts its requests.
        heard: takes each response but those that had the request sent again.
        failed: takes why there is none, when no way is left.
        again: takes copies of a 2xx to INVITE.

    Attributes:
        request: as it went out last.
    """

    def __init__(
        self,
        core: Core,
        request: Request,
        ways: Sequence[Way],
        *,
        dialog: Dialog | None = None,
        heard: Callable[[Response], None] = ignore,
        failed: Callable[[Why], None] = ignore,
        again: Callable[[Response], None] = ignore,
    ) -> None:
        self.request = request
        self._core = core
        self._ways = list(ways)
        self._dialog = dialog
        self._heard = heard
        self._failed = failed
        self.heard_again = again
        self._challenges = 0
        self._canceled = False
        self._cancel_sent = False

    def send(self) -> None:
        """Send it for the first time."""
        if not self._ways:
            self._failed(Why.UNDELIVERABLE)
            return
        if self._core.digest is not None:
            self._core.digest.authorize(self.request)
        self._core.ask(self.request, self._ways[0], self)

    def repeat(self, change: Callable[[Request], None] = ignore) -> None:
        """Send it anew, as a request of its own that is changed in something."""
        if self._dialog is not None:
            self._dialog.local_cseq += 1
            number = self._dialog.local_cseq
        else:
            number = self.request.cseq.number + 1
        request = self._renewed()
        request.headers.set("CSeq", str(CSeq(number, request.method)))
        change(request)
        self.request = request
        self.send()

    def cancel(self) -> None:
        """Have an INVITE canceled: as soon as there is a response, before which none may be sent (RFC 3261 9.1)."""
        self._canceled = True
        self._cancel()

    def heard(self, response: Response) -> None:
        """Take a response."""
        if not response.final:
            if self._canceled:
                self._cancel()
        elif not self._canceled and (self._challenged(response) or (response.status == 503 and self._elsewhere())):
            return
        self._heard(response)

    def failed(self, why: Why) -> None:
        """Try the next target, unless there is none."""
        if self._canceled or not self._elsewhere():
            self._failed(why)

    def _cancel(self) -> None:
        self._cancel_sent = self._cancel_sent or self._core.cancel(self.request)

    def _challenged(self, response: Response) -> bool:
        digest = self._core.digest
        if response.status not in {401, 407} or digest is None or self._challenges >= MOST_CHALLENGES:
            return False
        if not digest.challenged(self.request, response):
            return False
        self._challenges += 1
        self.repeat()
        return True

    def _elsewhere(self) -> bool:
        if len(self._ways) < 2:
            return False
        del self._ways[0]
        self.request = self._renewed()
        self.send()
        return True

    def _renewed(self) -> Request:
        """Return the request with a branch of its own."""
        request = Request(self.request.method, self.request.uri, self.request.headers.copy(), self.request.body)
        request.headers.set("Via", str(self._core.via()))
        return request
