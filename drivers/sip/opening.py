"""How a call begins: our INVITE until its answer, theirs until its ACK."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.sip.core import STATUS, Served
from drivers.sip.dialogs import Dialog, Forks, opening
from drivers.sip.effects import Progress, Transmit
from drivers.sip.grammar import SipMalformed
from drivers.sip.messages import Request, Response
from drivers.sip.negotiation import Negotiation, Stream
from drivers.sip.outgoing import Outgoing
from drivers.sip.reliable import OPTION, Acknowledging, Reliable
from drivers.sip.sdp import CONTENT_TYPE
from drivers.sip.transactions import Why
from drivers.sip.ways import Target

if TYPE_CHECKING:
    from drivers.sip.call import Call


class Calling:
    """Our INVITE, over all that it may meet: challenges, targets that are gone, forks, a CANCEL that comes late."""

    def __init__(self, call: "Call", invite: Request, targets: Sequence[Target]) -> None:
        self._call = call
        self._core = call.core
        self._outgoing = Outgoing(
            call.core, invite, targets, heard=self._heard, failed=self._failed, again=self._heard_again
        )
        self._forks = Forks(invite)
        self._forked = invite
        self._answers: dict[str, bytes] = {}
        self._acknowledging: dict[str, Acknowledging] = {}

    def start(self) -> None:
        """Send it."""
        self._call.session.ask(self._outgoing.request)
        self._outgoing.send()

    def hang_up(self) -> None:
        """Cancel it; if it is answered all the same, that ends with a BYE."""
        self._outgoing.cancel()

    def _dialog(self, response: Response) -> Dialog | None:
        """Return the dialog of a response; None if there is none, or it cannot be used."""
        if self._forked is not self._outgoing.request:
            self._forked = self._outgoing.request
            self._forks = Forks(self._forked)
            self._answers.clear()
            self._acknowledging.clear()
            self._call.forget_dialogs()
        try:
            return self._forks.heard(response)
        except SipMalformed:
            return None

    def _heard(self, response: Response) -> None:
        if not response.final:
            self._progress(response)
        elif response.status < 300:
            self._accepted(response)
        elif response.status == 422 and not self._call.over and self._call.session.raised(response):
            self._outgoing.repeat(self._call.session.ask)
        else:
            self._call.refused(response.status, response.reason)

    def _heard_again(self, response: Response) -> None:
        dialog = self._dialog(response)
        ack = dialog.ack_again(response) if dialog is not None else None
        if dialog is not None and ack is not None:
            self._core.emit(Transmit(ack, dialog.next_hop))

    def _failed(self, why: Why) -> None:
        self._call.refused(STATUS[why], why.value)

    def _progress(self, response: Response) -> None:
        dialog = self._dialog(response)
        if dialog is not None:
            tag = dialog.remote_tag
            if tag not in self._acknowledging:
                self._acknowledging[tag] = Acknowledging(self._core, dialog)
                if not self._call.over:
                    self._call.remember(dialog)
            if not self._acknowledging[tag].take(response):
                return
            answer = response.content(CONTENT_TYPE)
            if answer is not None:
                self._answers[tag] = answer
        if response.status > 100 and not self._call.over:
            self._call.rings()
            self._core.emit(Progress(self._call, response.status))

    def _accepted(self, response: Response) -> None:
        dialog = self._dialog(response)
        if dialog is None:
            # Without a way to send an ACK there is no call; its 2xx will find no ears until the far end gives up.
            self._call.refused(488, "the answer has a Record-Route that cannot be read")
            return
        self._core.emit(Transmit(dialog.ack(self._outgoing.request, via=self._core.via()), dialog.next_hop))
        if self._call.over or self._call.dialog is not None:
            self._call.bye(dialog)
            return
        self._call.meet(response)
        answer = response.content(CONTENT_TYPE) or self._answers.get(dialog.remote_tag)
        if not self._agreed(answer):
            self._call.bye(dialog)
            self._call.refused(488, "the answer cannot be used")
            return
        self._call.up(dialog)
        self._call.session.answered(response)

    def _agreed(self, answer: bytes | None) -> bool:
        negotiation = self._call.negotiation
        if negotiation is None or answer is None:
            return False
        try:
            return negotiation.accept(answer) is not None
        except SipMalformed:
            return False


class Called:
    """Their INVITE. Its dialog is there from the start, so that a PRACK, BYE or UPDATE finds the call."""

    def __init__(self, call: "Call", served: Served, dialog: Dialog) -> None:
        self._call = call
        self._core = call.core
        self._served = served
        self._dialog = dialog
        self._offer = served.request.content(CONTENT_TYPE)
        self._offered = False
        self._reliable = Reliable(call.core, served, failed=self._no_prack)
        served.acknowledged = self._acknowledged
        served.unacknowledged = self._unacknowledged
        served.canceled = self._canceled

    @property
    def offer_waits(self) -> bool:
        """Whether their offer has no answer yet."""
        return self._offer is not None and not self._offered

    def ring(self) -> None:
        """Send 180."""
        if OPTION not in self._served.request.headers.options("Require"):
            self._core.respond(self._served, self._opening(180))
        elif self._offer is not None:
            self._reliable.send(self._opening(180))
        # Else the first response that arrives for certain would have to hold an offer: there is no need for one.

    def answer(self, negotiation: Negotiation, streams: Sequence[Stream]) -> None:
        """Accept it, or refuse it with 488 if nothing of what it offers is among the streams."""
        try:
            body = negotiation.offer(*streams) if self._offer is None else negotiation.answer(self._offer, *streams)
        except SipMalformed:
            body = None
        if body is None:
            self.refuse(488, "the offer cannot be used")
            return
        self._offered = True
        self._reliable.stop()
        response = self._opening(200)
        response.headers.set("Content-Type", CONTENT_TYPE)
        response.body = body
        self._core.introduce(response)
        self._call.session.answer(self._served.request, response)
        self._dialog.confirm(response)
        self._core.respond(self._served, response)

    def refuse(self, status: int, cause: str) -> None:
        """Refuse it."""
        self._reliable.stop()
        self._core.respond(self._served, self._served.request.answer(status, tag=self._dialog.local_tag))
        self._call.end(cause, status)

    def hang_up(self) -> None:
        """End it: at once if it only rings, else as soon as its ACK was here (RFC 3261 15)."""
        if self._dialog.confirmed:
            self._call.keep(self._dialog)
        else:
            self.refuse(480, "hung up here")

    def acknowledged_by_deed(self) -> None:
        """Their next request says that they know our answer, though its ACK is lost or late."""
        if self._offer is not None and not self._call.over:
            self._up()

    def prack(self, request: Request) -> bool:
        """Take a PRACK; return whether it fits."""
        return self._reliable.acknowledged(request)

    def bye(self) -> None:
        """Take their BYE: an INVITE without an answer gets 487 (RFC 3261 15.1.2)."""
        self._reliable.stop()
        if self._dialog.confirmed:
            self._core.settle(self._served)
        else:
            self._core.respond(self._served, self._served.request.answer(487, tag=self._dialog.local_tag))

    def _opening(self, status: int) -> Response:
        return opening(self._served.request, status, tag=self._dialog.local_tag, contact=self._core.contact)

    def _acknowledged(self, ack: Request) -> None:
        if self._call.dialog is not None:
            return
        if self._call.over:
            self._call.bye(self._dialog)
        elif self._offer is None and not self._agreed(ack):
            self._call.bye(self._dialog)
            self._call.end("there is no answer in their ACK that can be used", 488)
        else:
            self._up()

    def _agreed(self, ack: Request) -> bool:
        answer, negotiation = ack.content(CONTENT_TYPE), self._call.negotiation
        try:
            return answer is not None and negotiation is not None and negotiation.accept(answer) is not None
        except SipMalformed:
            return False

    def _up(self) -> None:
        self._call.up(self._dialog)

    def _unacknowledged(self) -> None:
        """There is no ACK: the far end is not there, or never heard us (RFC 3261 13.3.1.4)."""
        if self._call.dialog is None:
            self._call.bye(self._dialog)
            self._call.end("no ACK", 408)

    def _canceled(self) -> None:
        if not self._dialog.confirmed and not self._call.over:
            self.refuse(487, "canceled there")

    def _no_prack(self) -> None:
        self.refuse(504, "no PRACK")
