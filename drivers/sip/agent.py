"""The SIP user agent of a fax gateway, without I/O: messages and the time in, effects and the time to wake up out."""

from collections.abc import Sequence
from dataclasses import replace

from drivers.sip.call import Call, call_from, call_to
from drivers.sip.core import ALLOW, SUPPORTED, Core, RandomLike
from drivers.sip.effects import Alive, Effect, Invited
from drivers.sip.grammar import SipMalformed
from drivers.sip.headers import NameAddr
from drivers.sip.matching import canceled_key, dialog_key
from drivers.sip.messages import Request, Response, SipRefused
from drivers.sip.negotiation import Negotiation, Stream
from drivers.sip.outgoing import Outgoing
from drivers.sip.profile import Profile
from drivers.sip.refusals import overloaded, refusal, refused
from drivers.sip.registration import Registration
from drivers.sip.sdp import CONTENT_TYPE
from drivers.sip.transactions import ServerInvite
from drivers.sip.uri import Uri
from drivers.sip.ways import Flow, Target, Transport


class Agent:
    """One user agent: its calls, its registration, and the answers to whatever else comes.

    Whatever is called returns what is to be done and told, in this order. Afterwards ``wakes`` may have changed.

    Args:
        profile: who it is.
        random: where tokens and pauses come from.
    """

    def __init__(self, profile: Profile, *, random: RandomLike) -> None:
        self.profile = profile
        self._core = Core(profile, random=random)
        self._registration = Registration(self._core, profile.registrar) if profile.registrar else None

    @property
    def wakes(self) -> float | None:
        """When ``timer`` is to be called; None: not before something else happens."""
        return self._core.alarms.wakes

    @property
    def calls(self) -> frozenset[Call]:
        """Those that are not over."""
        return frozenset(self._core.calls)

    @property
    def busy(self) -> bool:
        """Whether there are calls, or requests of ours without a final response, such as the BYE of the last call."""
        return bool(self._core.calls or self._core.waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing is left of anything that was, and nothing is still to be done."""
        core = self._core
        return not (
            core.calls
            or core.dialogs
            or core.asked
            or core.served
            or core.waiting
            or len(core.alarms)
            or core.leftovers
        )

    def timer(self, now: float) -> list[Effect]:
        """Do what is due."""
        self._core.now = now
        while action := self._core.alarms.next(now):
            action()
        return self._core.taken()

    def received(self, message: Request | Response, flow: Flow, now: float) -> list[Effect]:
        """Take a message. A request is completed with where it came from, and must not be used elsewhere after."""
        self._core.now = now
        if isinstance(message, Response):
            self._core.heard(message)
        else:
            self._request(message, _complete(message, flow))
        return self._core.taken()

    def malformed(self, error: SipRefused, flow: Flow, now: float) -> list[Effect]:
        """Answer a request that could not be read."""
        self._core.now = now
        back = _complete(error.request, flow)
        self._core.respond_statelessly(error.request, error.request.answer(error.status), back)
        return self._core.taken()

    def undeliverable(self, request: Request, now: float) -> list[Effect]:
        """Learn that the transport could not deliver a request of ours."""
        self._core.now = now
        self._core.undeliverable(request)
        return self._core.taken()

    def invite(
        self,
        to: Uri,
        negotiation: Negotiation,
        streams: Sequence[Stream],
        targets: Sequence[Target],
        now: float,
        *,
        caller: NameAddr | None = None,
    ) -> tuple[Call, list[Effect]]:
        """Call somebody, offering these streams.

        Args:
            to: whom.
            negotiation: a new one.
            streams: what is offered.
            targets: where the INVITE goes, and where next if nobody is there.
            now: the time.
            caller: who calls, if another than the profile's user.
        """
        self._core.now = now
        call = call_to(
            self._core,
            to,
            caller=caller or NameAddr(self.profile.user),
            negotiation=negotiation,
            streams=streams,
            targets=targets,
        )
        return call, self._core.taken()

    def register(self, targets: Sequence[Target], now: float) -> list[Effect]:
        """Register, and keep registered.

        Raises:
            ValueError: if the profile has no registrar.
        """
        self._core.now = now
        self._registered().register(targets)
        return self._core.taken()

    def unregister(self, now: float) -> list[Effect]:
        """Take our contact out of the registrar's list; ``NotRegistered`` follows. Raises as ``register``."""
        self._core.now = now
        self._registered().unregister()
        return self._core.taken()

    def probe(self, targets: Sequence[Target], now: float) -> list[Effect]:
        """Ask whether anybody is there, by OPTIONS; ``Alive`` follows."""
        self._core.now = now
        core = self._core
        uri = self.profile.registrar or replace(self.profile.user, user=None, password=None)
        request = core.request("OPTIONS", uri, from_=NameAddr(self.profile.user), to=NameAddr(uri))
        request.headers.add("Contact", str(core.contact))
        request.headers.add("Accept", CONTENT_TYPE)

        def heard(response: Response) -> None:
            if response.final:
                core.emit(Alive(response.status))

        Outgoing(core, request, targets, heard=heard, failed=lambda _: core.emit(Alive(None))).send()
        return core.taken()

    def _registered(self) -> Registration:
        if self._registration is None:
            raise ValueError("the profile has no registrar")
        return self._registration

    def _request(self, request: Request, flow: Flow) -> None:
        if self._core.copied(request) or request.method == "ACK":
            return
        response = refusal(request, self.profile)
        if response is not None:
            self._reply(request, response, flow)
        elif request.method == "CANCEL":
            self._cancel(request, flow)
        elif request.to.tag is not None:
            self._in_dialog(request, flow)
        elif request.method == "OPTIONS":
            self._reply(request, _able(request), flow)
        elif request.method == "INVITE":
            self._invited(request, flow)
        else:
            self._reply(request, request.answer(481), flow)

    def _invited(self, request: Request, flow: Flow) -> None:
        core = self._core
        if self._overloaded or len(core.calls) >= self.profile.most_calls:
            self._reply(request, overloaded(request), flow)
        elif core.merged(request):
            self._reply(request, request.answer(482), flow)
        else:
            try:
                call = call_from(core, request, flow)
            except SipMalformed as error:
                self._reply(request, request.answer(error.status), flow)
            else:
                core.emit(Invited(call))

    def _in_dialog(self, request: Request, flow: Flow) -> None:
        call, dialog = self._core.dialogs.get(dialog_key(request), (None, None))
        if call is None or dialog is None:
            self._reply(request, request.answer(481), flow)
        elif self._overloaded and request.method != "BYE":
            self._reply(request, overloaded(request), flow)
        else:
            call.asked(dialog, request, flow)

    def _cancel(self, cancel: Request, flow: Flow) -> None:
        """Answer a CANCEL; a copy gets the same answer as long as the INVITE is remembered."""
        served = self._core.served.get(canceled_key(cancel))
        known = served is not None and isinstance(served.machine, ServerInvite)
        self._reply(cancel, cancel.answer(200 if known else 481), flow)
        if served is not None and served.canceled is not None:
            served.canceled()

    @property
    def _overloaded(self) -> bool:
        return len(self._core.served) >= self.profile.most_transactions

    def _reply(self, request: Request, response: Response, flow: Flow) -> None:
        """Answer and keep nothing of it."""
        self._core.respond_statelessly(request, response, flow)


def _able(request: Request) -> Response:
    """Return the answer to OPTIONS: what can be done here (RFC 3261 11.2)."""
    fields = (("Allow", ALLOW), ("Accept", CONTENT_TYPE), ("Supported", SUPPORTED))
    return refused(request, 200, *fields)


def _complete(request: Request, flow: Flow) -> Flow:
    """Write into the topmost Via where a request came from; return where its responses go (18.2; RFC 3581)."""
    host, port = flow.peer[:2]
    rest = request.headers.all("Via")[1:]
    via = request.via
    completed = via.from_source(host, port)
    if completed != via:
        request.headers.set("Via", str(completed), *rest)
    if flow.transport is not Transport.UDP or via.asks_rport:
        return flow
    return replace(flow, peer=(host, via.port or Transport.UDP.port))
