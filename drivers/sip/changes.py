"""What changes in a call that is up: offers of either side by INVITE or UPDATE, one at a time, and refreshes."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.sip.core import STATUS, Served
from drivers.sip.dialogs import Dialog
from drivers.sip.effects import Changed, NotChanged, Transmit
from drivers.sip.grammar import SipMalformed, number
from drivers.sip.messages import Request, Response
from drivers.sip.negotiation import Agreement, Negotiation, Stream
from drivers.sip.outgoing import Outgoing
from drivers.sip.refusals import too_brief
from drivers.sip.sdp import CONTENT_TYPE
from drivers.sip.timers import GLARE_OTHER, GLARE_OWNER
from drivers.sip.transactions import Why
from drivers.sip.ways import Flow

if TYPE_CHECKING:
    from drivers.sip.call import Call

PATIENCE = 32.0
"""After so many seconds a re-INVITE that has provisional responses only is canceled."""

MOST_TRIES = 6
"""So often one offer is made that meets one of theirs, or is put off. Stops two that always meet."""

LONGEST_PUT_OFF = 60.0
"""The longest Retry-After, in seconds, that an offer waits for."""

GONE = frozenset({408, 481})
"""What says that they know nothing of the call (RFC 3261 12.2.1.2)."""


class Changes:
    """The offers, answers and refreshes in one call."""

    def __init__(self, call: "Call") -> None:
        self._call = call
        self._core = call.core
        self._wanted: tuple[Stream, ...] = ()
        self._tries = 0
        self._outgoing: Outgoing | None = None
        self._offering: tuple[Stream, ...] = ()
        self._served: Served | None = None
        self._waits = False
        self._offered_in_answer = False

    def offer(self, streams: tuple[Stream, ...]) -> None:
        """Have these offered as soon as nothing else is going on; what was to be offered before is not."""
        self._wanted = streams
        self._tries = 0
        self.go_on()

    def go_on(self) -> None:
        """Offer what is wanted, if nothing else is going on."""
        if self._wanted and not self._busy:
            self._invite(self._wanted)

    def refresh(self) -> None:
        """Show that this end is alive: by UPDATE if they know it, else by an INVITE that offers what is agreed."""
        if self._outgoing is not None or self._call.over or self._call.dialog is None:
            return
        if "update" in self._call.allows:
            self._send(self._request("UPDATE", self._call.dialog), ())
        elif self._served is None and self._agreed is not None:
            self._invite(())

    def stop(self) -> None:
        """Do nothing more, since the call is over."""
        self._wanted = ()
        self._core.alarms.clear((self, "wait"))
        self._settle()

    def invited(self, request: Request, flow: Flow) -> None:
        """Take a re-INVITE of theirs."""
        if (self._outgoing is not None and self._outgoing.request.method == "INVITE") or self._call.dialog is None:
            response, done = request.answer(491), _nothing
        elif self._served is not None and self._offered_in_answer:
            response, done = too_brief(request, self._core.random.uniform(1, 10)), _nothing
        else:
            self._settle()
            response, done = self._answer(request)
        served = self._core.serve(request, flow)
        if response.status < 300:
            self._served = served
            served.acknowledged = lambda ack: self._acknowledged(served, ack)
            served.unacknowledged = lambda: self._unacknowledged(served)
        self._core.respond(served, response)
        done()

    def updated(self, request: Request, flow: Flow) -> None:
        """Take an UPDATE of theirs."""
        response, done = self._answer(request)
        self._core.respond(self._core.serve(request, flow), response)
        done()

    @property
    def _busy(self) -> bool:
        return (
            self._outgoing is not None
            or self._served is not None
            or self._waits
            or self._call.over
            or self._call.dialog is None
        )

    @property
    def _negotiation(self) -> Negotiation:
        assert self._call.negotiation is not None
        return self._call.negotiation

    @property
    def _agreed(self) -> Agreement | None:
        return self._call.negotiation.agreed if self._call.negotiation else None

    def _settle(self) -> None:
        """Stop to wait for the ACK of an answer: their next INVITE says that it arrived, or the call is over."""
        if self._served is not None:
            self._core.settle(self._served)
            self._served = None

    # Theirs

    def _answer(self, request: Request) -> tuple[Response, Callable[[], None]]:
        """Return the response to an INVITE or UPDATE of theirs, and what is to be told after it."""
        offer = request.content(CONTENT_TYPE)
        if offer is not None and (refusal := self._premature(request)):
            return refusal, _nothing
        before = self._agreed
        try:
            body = self._body(request, offer)
        except SipMalformed:
            return request.answer(400), _nothing
        if body is None:
            return request.answer(488), _nothing
        response = request.answer(200)
        response.headers.add("Contact", str(self._core.contact))
        self._core.introduce(response)
        if body:
            response.headers.set("Content-Type", CONTENT_TYPE)
            response.body = body
        if self._call.dialog is not None:
            self._call.session.answer(request, response)
        return response, lambda: self._tell(before)

    def _premature(self, request: Request) -> Response | None:
        """Return the refusal of an offer that comes while another one has no answer (RFC 3311 5.2)."""
        if self._call.offer_waits:
            return too_brief(request, self._core.random.uniform(1, 10))
        negotiation = self._call.negotiation
        if negotiation is None or negotiation.offered or self._call.dialog is None:
            return request.answer(491)
        return None

    def _body(self, request: Request, offer: bytes | None) -> bytes | None:
        """Return what the answer says: b"" for nothing, None where nothing of the offer is taken."""
        if offer is not None:
            return self._negotiation.answer(offer, *self._call.taken_streams)
        if request.method == "UPDATE":
            return b""
        self._offered_in_answer = True
        return self._negotiation.offer(*self._current())

    def _current(self) -> tuple[Stream, ...]:
        return (self._agreed.ours,) if self._agreed else self._call.taken_streams

    def _tell(self, before: Agreement | None) -> None:
        if self._agreed is not None and self._agreed != before:
            self._core.emit(Changed(self._call, self._agreed, ours=False))

    def _acknowledged(self, served: Served, ack: Request) -> None:
        if self._served is not served:
            return
        self._served = None
        if self._offered_in_answer:
            self._offered_in_answer = False
            before = self._agreed
            with suppress(SipMalformed):  # what was agreed holds on
                self._negotiation.accept(ack.content(CONTENT_TYPE) or b"")
            if not self._call.over:
                self._tell(before)
        self.go_on()

    def _unacknowledged(self, served: Served) -> None:
        if self._served is served and not self._call.over:
            self._served = None
            self._call.end_by_bye("no ACK", 408)

    # Ours

    def _request(self, method: str, dialog: Dialog) -> Request:
        request = dialog.request(method, via=self._core.via(), contact=self._core.contact)
        self._core.introduce(request)
        self._call.session.ask(request)
        return request

    def _invite(self, streams: tuple[Stream, ...]) -> None:
        """Send a re-INVITE that offers streams of ours; none: what is agreed, as a refresh."""
        dialog = self._call.dialog
        if dialog is None:
            return
        request = self._request("INVITE", dialog)
        request.headers.set("Content-Type", CONTENT_TYPE)
        request.body = self._negotiation.offer(*(streams or self._current()))
        self._tries += 1
        self._wanted = ()
        self._send(request, streams)
        self._core.alarms.set((self, "patience"), self._core.now + PATIENCE, self._cancel)

    def _send(self, request: Request, streams: tuple[Stream, ...]) -> None:
        dialog = self._call.dialog
        assert dialog is not None
        self._offering = streams
        self._outgoing = Outgoing(
            self._core,
            request,
            [dialog.next_hop],
            dialog=dialog,
            heard=self._heard,
            failed=self._failed,
            again=self._heard_again,
        )
        self._outgoing.send()

    def _cancel(self) -> None:
        if self._outgoing is not None:
            self._outgoing.cancel()

    def _heard(self, response: Response) -> None:
        outgoing, dialog = self._outgoing, self._call.dialog
        if not response.final or outgoing is None or dialog is None:
            return
        if response.status == 422 and self._call.session.raised(response) and not self._call.over:
            outgoing.repeat(self._call.session.ask)
            return
        self._outgoing = None
        self._core.alarms.clear((self, "patience"))
        if response.status < 300:
            self._accepted(outgoing.request, response, dialog)
        else:
            self._refused(outgoing.request, response)
        self.go_on()

    def _heard_again(self, response: Response) -> None:
        dialog = self._call.dialog
        ack = dialog.ack_again(response) if dialog is not None else None
        if dialog is not None and ack is not None:
            self._core.emit(Transmit(ack, dialog.next_hop))

    def _failed(self, why: Why) -> None:
        self._outgoing = None
        self._core.alarms.clear((self, "patience"))
        self._negotiation.withdraw()
        if not self._call.over:
            self._call.end_by_bye(why.value, STATUS[why])

    def _accepted(self, request: Request, response: Response, dialog: Dialog) -> None:
        dialog.heard(response)
        self._call.meet(response)
        if request.method == "INVITE":
            self._core.emit(Transmit(dialog.ack(request, via=self._core.via()), dialog.next_hop))
        if self._call.over:
            return
        self._call.session.answered(response)
        if request.method == "INVITE":
            self._take_answer(response)

    def _take_answer(self, response: Response) -> None:
        """Take the answer in a 2xx; one that is missing or makes no sense leaves all as it was."""
        before = self._agreed
        try:
            agreed = self._negotiation.accept(response.content(CONTENT_TYPE) or b"")
        except SipMalformed:
            agreed = None
        if agreed is None and (self._offering or before is None):
            self._core.emit(NotChanged(self._call, response.status))
        elif agreed is not None and (self._offering or agreed != before):
            self._core.emit(Changed(self._call, agreed, ours=bool(self._offering)))

    def _refused(self, request: Request, response: Response) -> None:
        if request.method == "INVITE":
            self._negotiation.withdraw()
        if self._call.over:
            return
        if response.status in GONE:
            self._call.end_by_bye(f"they answer {response.status} to {request.method}", response.status)
            return
        pause = self._pause(response)
        if pause is not None and (self._tries < MOST_TRIES or not self._offering):
            self._wait(pause)
        elif self._offering:
            self._core.emit(NotChanged(self._call, response.status))
        elif request.method == "UPDATE":
            self._call.allows -= {"update"}  # they said that they know it, but do not take it
            self.refresh()

    def _pause(self, response: Response) -> float | None:
        """Return after how many seconds an offer may be made once more; None: not at all."""
        if response.status == 491:
            least, most = GLARE_OWNER if self._call.dialog and self._call.dialog.ours else GLARE_OTHER
            return round(self._core.random.uniform(least, most), 2)
        if response.status not in {500, 503}:
            return None
        text = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0]
        try:
            seconds = float(number(text, limit=1 << 31, what="Retry-After"))
        except SipMalformed:
            return None
        return seconds if seconds <= LONGEST_PUT_OFF else None

    def _wait(self, seconds: float) -> None:
        """Make the same offer after a while, unless they bring it about before, or another is wanted."""
        again, refresh = self._offering, not self._offering
        self._waits = True

        def go_on() -> None:
            self._waits = False
            if refresh:
                self.refresh()
            elif not self._wanted and not (self._agreed and self._agreed.ours in again):
                self._wanted = again
            self.go_on()

        self._core.alarms.set((self, "wait"), self._core.now + seconds, go_on)


def _nothing() -> None:
    """Tell nothing."""
