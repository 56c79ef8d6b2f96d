"""A call, ours or theirs, from the INVITE to the end: what its owner has done with it, and what the far end does."""

from collections.abc import Callable, Sequence
from enum import Enum

from drivers.sip.changes import Changes
from drivers.sip.core import Core
from drivers.sip.dialogs import Dialog, opening
from drivers.sip.effects import Accepted, Effect, Over, Refused
from drivers.sip.grammar import SipMalformed, unquoted
from drivers.sip.headers import Headers, NameAddr
from drivers.sip.matching import Key
from drivers.sip.messages import REASONS, Request, Response
from drivers.sip.negotiation import Negotiation, Stream
from drivers.sip.opening import Called, Calling
from drivers.sip.outgoing import Outgoing
from drivers.sip.sdp import CONTENT_TYPE
from drivers.sip.session import Session
from drivers.sip.transactions import Why
from drivers.sip.uri import Uri
from drivers.sip.ways import Flow, Target


class CallState(Enum):
    """How far a call is."""

    INVITING = "inviting"
    """The INVITE is on its way, ours or theirs."""
    RINGING = "ringing"
    ANSWERED = "answered"
    """Theirs was answered, and nothing says yet that they know."""
    UP = "up"
    OVER = "over"


class Call:
    """One call. What its owner calls does nothing that the far end made impossible meanwhile; it never fails for that.

    Attributes:
        outgoing: whether it is ours.
        caller, dialled: numbers, or users, as text.
        call_id: what all its messages have in common.
        takes: the streams that an offer of theirs is granted now, or a function that returns them; its owner's to set.
        negotiation: what is offered and agreed; None for a call of theirs before it is answered.
        dialog: the dialog of the call, once it is up.
        allows: the methods that they take, in small letters.
    """

    def __init__(self, core: Core, *, outgoing: bool, caller: str, dialled: str, call_id: str) -> None:
        self.core = core
        self.outgoing = outgoing
        self.caller = caller
        self.dialled = dialled
        self.call_id = call_id
        self.takes: tuple[Stream, ...] | Callable[[], tuple[Stream, ...]] = ()
        self.negotiation: Negotiation | None = None
        self.dialog: Dialog | None = None
        self.allows: frozenset[str] = frozenset()
        self.session = Session(core, refresh=self._refresh, expired=self._expired)
        self.changes = Changes(self)
        self._state = CallState.INVITING
        self._opening: Calling | Called | None = None
        self._dialogs: list[Dialog] = []
        self._leaving: set[Key] = set()
        core.calls.add(self)

    @property
    def state(self) -> CallState:
        """How far it is."""
        return self._state

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._state is CallState.OVER

    # What its owner does

    def ring(self, now: float) -> list[Effect]:
        """Say to the caller that it rings."""
        self.core.now = now
        if isinstance(self._opening, Called) and self._state in {CallState.INVITING, CallState.RINGING}:
            self._state = CallState.RINGING
            self._opening.ring()
        return self.core.taken()

    def answer(self, negotiation: Negotiation, streams: Sequence[Stream], now: float) -> list[Effect]:
        """Answer a call of theirs; these streams are what their offer is granted, or what is offered if they do not.

        If nothing of their offer is among the streams it is refused with 488 and over.
        """
        self.core.now = now
        if isinstance(self._opening, Called) and self._state in {CallState.INVITING, CallState.RINGING}:
            self._state = CallState.ANSWERED
            self.negotiation = negotiation
            self._opening.answer(negotiation, streams)
        return self.core.taken()

    def refuse(self, status: int, now: float) -> list[Effect]:
        """Refuse a call of theirs that was not answered; ``Over`` follows."""
        self.core.now = now
        if isinstance(self._opening, Called) and self._state in {CallState.INVITING, CallState.RINGING}:
            self._opening.refuse(status, "refused here")
        return self.core.taken()

    def offer(self, streams: Sequence[Stream], now: float) -> list[Effect]:
        """Offer other streams, as soon as that may be done; ``Changed`` or ``NotChanged`` follows, or ``Over``.

        If they offer the same first, ``Changed`` says that it was not our wish.
        """
        self.core.now = now
        if not self.over:
            self.changes.offer(tuple(streams))
        return self.core.taken()

    def hang_up(self, now: float) -> list[Effect]:
        """End it, in whatever state it is; ``Over`` is among the effects unless it was told before."""
        self.core.now = now
        if self.over:
            return self.core.taken()
        answered = self._state in {CallState.ANSWERED, CallState.UP}
        if self.dialog is not None:
            self.bye(self.dialog)
        elif self._opening is not None:
            self._opening.hang_up()
        self.end("hung up here", 200 if answered else 487)
        return self.core.taken()

    # What happens to it

    @property
    def taken_streams(self) -> tuple[Stream, ...]:
        """What an offer of theirs is granted now."""
        return self.takes() if callable(self.takes) else self.takes

    @property
    def offer_waits(self) -> bool:
        """Whether the offer of their INVITE has no answer yet."""
        return isinstance(self._opening, Called) and self._opening.offer_waits

    def asked(self, dialog: Dialog, request: Request, flow: Flow) -> None:
        """Take a request in one of its dialogs that is no copy."""
        if request.method == "BYE":
            self._ended_there(dialog, request, flow)
        elif self.over or (self.dialog is not None and dialog is not self.dialog):
            self.core.respond_statelessly(request, request.answer(481), flow)
        elif not dialog.takes(request):
            self.core.respond_statelessly(request, request.answer(500), flow)
        else:
            self.meet(request)
            self._asked(request, flow)

    def meet(self, message: Request | Response) -> None:
        """Learn which methods they take."""
        self.allows = message.headers.options("Allow") or self.allows

    def rings(self) -> None:
        """Know that a call of ours has a provisional response."""
        if self._state is CallState.INVITING:
            self._state = CallState.RINGING

    def up(self, dialog: Dialog) -> None:
        """Know that both sides know that it was answered, and what was agreed."""
        self.dialog = dialog
        self._state = CallState.UP
        self.forget_dialogs()
        self.remember(dialog)
        if self.negotiation is not None and self.negotiation.agreed is not None:
            self.core.emit(Accepted(self, self.negotiation.agreed))
        self.changes.go_on()

    def refused(self, status: int, reason: str) -> None:
        """End a call of ours that did not come about."""
        if not self.over:
            self._close()
            self.core.emit(Refused(self, status, reason or REASONS.get(status, "")))

    def end(self, cause: str, status: int) -> None:
        """Tell that it has ended, once."""
        if not self.over:
            self._close()
            self.core.emit(Over(self, cause, status))

    def end_by_bye(self, cause: str, status: int) -> None:
        """End it since something went wrong, which the far end may not know."""
        if self.dialog is not None and not self.over:
            self.bye(self.dialog)
        self.end(cause, status)

    def bye(self, dialog: Dialog) -> None:
        """Send a BYE; the dialog is known until that is answered, so that a BYE of theirs that crosses it is, too."""
        self.keep(dialog)
        request = dialog.request("BYE", via=self.core.via())

        def answered(response: Response) -> None:
            if response.final:
                self.core.forget(dialog)

        def failed(_: Why) -> None:
            self.core.forget(dialog)

        Outgoing(self.core, request, [dialog.next_hop], dialog=dialog, heard=answered, failed=failed).send()

    def remember(self, dialog: Dialog) -> None:
        """Have the requests of a dialog come here."""
        self._dialogs.append(dialog)
        self.core.remember(dialog, self)

    def keep(self, dialog: Dialog) -> None:
        """Have its requests come here though the call is over, until its BYE has been answered."""
        self._leaving.add(dialog.key)
        self.core.remember(dialog, self)

    def forget_dialogs(self) -> None:
        """Have none of those come here any more that came about so far, but for those that are kept."""
        for dialog in self._dialogs:
            if dialog.key not in self._leaving:
                self.core.forget(dialog)
        self._dialogs.clear()

    def begin(self, part: Calling | Called) -> None:
        """Take how it begins."""
        self._opening = part

    def _asked(self, request: Request, flow: Flow) -> None:
        called = self._opening if isinstance(self._opening, Called) else None
        match request.method:
            case "INVITE" | "UPDATE":
                if called is not None and self._state is CallState.ANSWERED:
                    called.acknowledged_by_deed()
                if request.method == "UPDATE":
                    self.changes.updated(request, flow)
                else:
                    self.changes.invited(request, flow)
            case "PRACK":
                status = 200 if called is not None and called.prack(request) else 481
                self.core.respond(self.core.serve(request, flow), request.answer(status))
            case _:
                self.core.respond(self.core.serve(request, flow), request.answer(200))

    def _ended_there(self, dialog: Dialog, request: Request, flow: Flow) -> None:
        """Take their BYE; it ends what it finds, whatever its number is."""
        self.core.respond(self.core.serve(request, flow), request.answer(200))
        self.core.forget(dialog)
        if dialog is not self.dialog and isinstance(self._opening, Calling):
            return  # one of several that were called: another one has answered, or may still
        if isinstance(self._opening, Called) and self.dialog is None:
            self._opening.bye()
        self.end(_reason(request.headers) or "hung up there", 200)

    def _close(self) -> None:
        self._state = CallState.OVER
        self.core.calls.discard(self)
        self.session.stop()
        self.changes.stop()
        self.forget_dialogs()

    def _refresh(self) -> None:
        self.changes.refresh()

    def _expired(self) -> None:
        self.end_by_bye("no sign of life in time", 408)


def call_to(
    core: Core,
    to: Uri,
    *,
    caller: NameAddr,
    negotiation: Negotiation,
    streams: Sequence[Stream],
    targets: Sequence[Target],
) -> Call:
    """Begin a call of ours."""
    invite = core.request("INVITE", to, from_=caller, to=NameAddr(to))
    invite.headers.add("Contact", str(core.contact))
    core.introduce(invite)
    invite.headers.set("Content-Type", CONTENT_TYPE)
    invite.body = negotiation.offer(*streams)
    call = Call(core, outgoing=True, caller=caller.uri.number, dialled=to.number, call_id=invite.call_id)
    call.negotiation = negotiation
    calling = Calling(call, invite, targets)
    call.begin(calling)
    calling.start()
    return call


def call_from(core: Core, invite: Request, flow: Flow) -> Call:
    """Begin a call of theirs.

    Raises:
        SipMalformed: if its Record-Route cannot be read; nothing is kept then.
    """
    dialog = Dialog.called(invite, opening(invite, 180, tag=core.token(), contact=core.contact))
    dialled = _dialled(invite, core.profile.contact)
    call = Call(core, outgoing=False, caller=_caller(invite), dialled=dialled, call_id=invite.call_id)
    call.meet(invite)
    call.begin(Called(call, core.serve(invite, flow), dialog))
    call.remember(dialog)
    return call


def _caller(invite: Request) -> str:
    """Return who calls: whom a proxy vouches for, else who they say they are (RFC 3325)."""
    for text in invite.headers.all("P-Asserted-Identity"):
        try:
            found = NameAddr.parse(text).uri.number
        except SipMalformed:
            continue
        if found:
            return found
    return invite.from_.uri.number


def _dialled(invite: Request, contact: Uri) -> str:
    """Return what was dialled; a registrar puts our contact in its place, and leaves it in To."""
    ours = not invite.uri.number or (contact.user is not None and invite.uri.user == contact.user)
    return (invite.to.uri.number if ours else "") or invite.uri.number


def _reason(headers: Headers) -> str:
    """Return the text of a Reason (RFC 3326), "" if there is none."""
    for text in headers.all("Reason"):
        _, _, params = text.partition(";")
        for each in params.split(";"):
            name, _, value = each.strip().partition("=")
            if name.lower() == "text" and value:
                return unquoted(value.strip())
    return ""
