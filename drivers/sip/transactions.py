"""The four transaction machines of RFC 3261 section 17, with the Accepted state of RFC 6026.

A transaction is one request, its copies and its responses. A machine is fed messages and the time, and returns what is
to be done; it knows no socket and no clock::

    start, received, respond, timer  -->  [Send(message), Pass(message), Again(message), Failed(why), Ended()]

``wakes`` says when ``timer`` is to be called next; calling it late or early does no harm. After ``Ended`` a machine is
to be forgotten; whatever comes then does nothing. A message that was given to a machine is not to be changed any more.

Two things that the standard leaves to the user of a transaction are done here, since a gateway is always an end and
never a proxy: ``ServerInvite`` repeats a 2xx until its ACK comes (13.3.1.4), and ``ClientInvite`` tells the first 2xx
from its copies, after which the user only sends its ACK once more (13.2.2.4).
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from drivers.sip.headers import Headers
from drivers.sip.messages import Request, Response
from drivers.sip.timers import T1, TRYING_AFTER, Repeats, timers

MAX_FORWARDS = "70"


class State(Enum):
    """Where a transaction is, in the words of RFC 3261 and RFC 6026; Trying is an INVITE's Calling as well."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Why(Enum):
    """What went wrong with a transaction."""

    NO_RESPONSE = "no final response in time"
    NO_ACK = "no ACK in time"
    UNDELIVERABLE = "the request could not be delivered"


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message: a client's to where its request went, a server's to where its request came from."""

    message: Request | Response


@dataclass(frozen=True, slots=True)
class Pass:
    """A message for the user of the transaction, none twice but provisional responses."""

    message: Request | Response


@dataclass(frozen=True, slots=True)
class Again:
    """A copy of a 2xx to INVITE that was passed before: its ACK was lost and is to be sent once more."""

    message: Response


@dataclass(frozen=True, slots=True)
class Failed:
    """The transaction failed; ``Ended`` follows."""

    why: Why


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing follows: forget the transaction."""


Output: TypeAlias = Send | Pass | Again | Failed | Ended


class _Machine:
    """What all four have: a message that is repeated, and a limit."""

    __slots__ = ("_limit_at", "_pause", "_repeat_at", "_repeats", "_sent", "_why", "request", "state", "timers")

    def __init__(self, request: Request, *, reliable: bool, t1: float = T1) -> None:
        self.request = request
        self.timers = timers(reliable=reliable, t1=t1)
        self.state = State.TRYING
        self._sent: Request | Response | None = None
        self._repeats: Repeats | None = None
        self._pause = 0.0
        self._repeat_at: float | None = None
        self._limit_at: float | None = None
        self._why: Why | None = None

    @property
    def wakes(self) -> float | None:
        """When ``timer`` is to be called, in seconds; None: only a message moves this on."""
        if self._repeat_at is None or self._limit_at is None:
            return self._limit_at if self._repeat_at is None else self._repeat_at
        return min(self._repeat_at, self._limit_at)

    def timer(self, now: float) -> list[Output]:
        """Do what is due at ``now``. If several things are, after a long delay, they count as one."""
        if self._limit_at is not None and now >= self._limit_at:
            return self._end(self._why)
        if self._repeat_at is not None and now >= self._repeat_at:
            return self._repeat(now)
        return []

    def _repeat(self, now: float) -> list[Output]:
        assert self._repeats is not None
        self._pause = self._repeats.after(self._pause)
        self._repeat_at = now + self._pause
        return self._send()

    def _send(self) -> list[Output]:
        return [] if self._sent is None else [Send(self._sent)]

    def _repeating(self, repeats: Repeats | None, *, now: float) -> None:
        """Have ``_sent`` repeated from now on; None: no more."""
        self._repeats = repeats
        self._pause = repeats.first if repeats else 0.0
        self._repeat_at = now + repeats.first if repeats else None

    def _ending(self, seconds: float, *, now: float, why: Why | None = None) -> list[Output]:
        """Have this end in ``seconds``, at once if that is none; as a failure if there is a ``why``."""
        self._limit_at = now + seconds
        self._why = why
        return [] if seconds else self._end(why)

    def _end(self, why: Why | None) -> list[Output]:
        self.state = State.TERMINATED
        self._sent = self._repeat_at = self._limit_at = None
        return [Ended()] if why is None else [Failed(why), Ended()]


class _Client(_Machine):
    """A request of ours."""

    __slots__ = ()

    def undeliverable(self) -> list[Output]:
        """Give up, unless a final response was here: the transport could not deliver the request (17.1.4)."""
        return self._end(Why.UNDELIVERABLE) if self.state in {State.TRYING, State.PROCEEDING} else []


class ClientInvite(_Client):
    """An INVITE of ours (17.1.1).

    Once a provisional response is here it waits for ever: who made the call decides how long it may ring, then sends a
    CANCEL and calls ``canceled``.
    """

    __slots__ = ("_forks",)

    def __init__(self, request: Request, *, reliable: bool, t1: float = T1) -> None:
        super().__init__(request, reliable=reliable, t1=t1)
        self._forks: set[str] = set()

    def start(self, now: float) -> list[Output]:
        """Send the INVITE."""
        self._sent = self.request
        self._repeating(self.timers.a, now=now)
        self._ending(self.timers.b, now=now, why=Why.NO_RESPONSE)
        return self._send()

    def received(self, response: Response, now: float) -> list[Output]:
        """Take a response to this INVITE."""
        if response.status < 200:
            return self._progress(response, now)
        if response.status < 300:
            return self._accepted(response, now)
        return self._refused(response, now)

    @property
    def cancellable(self) -> bool:
        """Whether a CANCEL may be sent now: a provisional response is here, and no final one (9.1)."""
        return self.state is State.PROCEEDING

    def canceled(self, now: float) -> None:
        """Say that a CANCEL was sent: without a final response this ends 64 * T1 later (9.1)."""
        if self.cancellable and self._limit_at is None:
            self._ending(self.timers.b, now=now, why=Why.NO_RESPONSE)

    def _progress(self, response: Response, now: float) -> list[Output]:
        if self.state is State.TRYING:
            self.state = State.PROCEEDING
            self._repeating(None, now=now)
            self._limit_at = None
        return [Pass(response)] if self.state is State.PROCEEDING else []

    def _accepted(self, response: Response, now: float) -> list[Output]:
        fork = response.to.tag or ""
        if self.state is State.ACCEPTED:
            if fork in self._forks:
                return [Again(response)]
        elif self.state in {State.TRYING, State.PROCEEDING}:
            self.state = State.ACCEPTED
            self._repeating(None, now=now)
            self._ending(self.timers.m, now=now)
        else:
            return []
        self._forks.add(fork)
        return [Pass(response)]

    def _refused(self, response: Response, now: float) -> list[Output]:
        if self.state is State.COMPLETED:
            return self._send()
        if self.state not in {State.TRYING, State.PROCEEDING}:
            return []
        self.state = State.COMPLETED
        self._sent = acknowledgement(self.request, response)
        self._repeating(None, now=now)
        return [Send(self._sent), Pass(response), *self._ending(self.timers.d, now=now)]


class ClientOther(_Client):
    """Any other request of ours but ACK, which is not a transaction (17.1.2)."""

    __slots__ = ()

    def start(self, now: float) -> list[Output]:
        """Send the request."""
        self._sent = self.request
        self._repeating(self.timers.e, now=now)
        self._ending(self.timers.f, now=now, why=Why.NO_RESPONSE)
        return self._send()

    def received(self, response: Response, now: float) -> list[Output]:
        """Take a response to this request."""
        if self.state not in {State.TRYING, State.PROCEEDING}:
            return []
        if response.status < 200:
            self.state = State.PROCEEDING
            self._pause = self.timers.e.most if self.timers.e else 0.0
            return [Pass(response)]
        self.state = State.COMPLETED
        self._repeating(None, now=now)
        return [Pass(response), *self._ending(self.timers.k, now=now)]


class ServerInvite(_Machine):
    """An INVITE of theirs (17.2.1).

    A transport that fails does not end it (RFC 6026): the timers do, once there was a final response.
    """

    __slots__ = ("_acknowledged",)

    def __init__(self, request: Request, *, reliable: bool, t1: float = T1) -> None:
        super().__init__(request, reliable=reliable, t1=t1)
        self.state = State.PROCEEDING
        self._acknowledged = False

    def start(self, now: float) -> list[Output]:
        """Pass the INVITE on; 100 follows, unless a response of the user comes soon."""
        self._repeat_at = now + TRYING_AFTER
        return [Pass(self.request)]

    def respond(self, response: Response, now: float) -> list[Output]:
        """Send a response; there is no other after a final one."""
        if self.state is not State.PROCEEDING:
            return []
        self._sent = response
        self._repeat_at = None
        if response.status < 200:
            return [Send(response)]
        accepted = response.status < 300
        self.state = State.ACCEPTED if accepted else State.COMPLETED
        self._repeating(self.timers.accepted if accepted else self.timers.g, now=now)
        self._ending(self.timers.l if accepted else self.timers.h, now=now, why=Why.NO_ACK)
        return [Send(response)]

    def acknowledged_by(self, ack: Request) -> bool:
        """Whether an ACK is for the final response sent here.

        That of a 2xx has a branch of its own and no key leads here, but its dialog does.
        """
        return (
            isinstance(self._sent, Response)
            and self._sent.final
            and ack.call_id == self.request.call_id
            and ack.cseq.number == self.request.cseq.number
            and ack.from_.tag == self.request.from_.tag
            and ack.to.tag == self._sent.to.tag
        )

    def settle(self) -> None:
        """Repeat a 2xx no more, and miss no ACK: the dialog is over."""
        if self.state is State.ACCEPTED:
            self._acknowledged = True
            self._repeats = self._repeat_at = self._why = None

    def received(self, request: Request, now: float) -> list[Output]:
        """Take a copy of the INVITE, or its ACK."""
        if request.method == "ACK":
            return self._confirmed(request, now)
        if request.method != "INVITE":
            return []
        match self.state:
            case State.PROCEEDING:
                return self._send() or self._trying()
            case State.COMPLETED:
                return self._send()
            case _:
                return []

    def _repeat(self, now: float) -> list[Output]:
        return self._trying() if self.state is State.PROCEEDING else super()._repeat(now)

    def _trying(self) -> list[Output]:
        trying = self.request.answer(100)
        for stamp in self.request.headers.all("Timestamp"):
            trying.headers.add("Timestamp", stamp)
        self._sent = trying
        self._repeat_at = None
        return self._send()

    def _confirmed(self, ack: Request, now: float) -> list[Output]:
        if self.state is State.COMPLETED:
            self.state = State.CONFIRMED
            self._repeating(None, now=now)
            return self._ending(self.timers.i, now=now)
        if self.state is State.ACCEPTED and not self._acknowledged:
            self._acknowledged = True
            self._repeating(None, now=now)
            self._why = None
            return [Pass(ack)]
        return []


class ServerOther(_Machine):
    """Any other request of theirs but ACK (17.2.2).

    It is best answered at once and finally: RFC 4320 allows nothing but 100 before, late, and forbids 408.
    """

    __slots__ = ()

    def start(self, now: float) -> list[Output]:  # noqa: ARG002 (as the others)
        """Pass the request on."""
        return [Pass(self.request)]

    def respond(self, response: Response, now: float) -> list[Output]:
        """Send a response; there is no other after a final one."""
        if self.state not in {State.TRYING, State.PROCEEDING}:
            return []
        self._sent = response
        if response.status < 200:
            self.state = State.PROCEEDING
            return [Send(response)]
        self.state = State.COMPLETED
        return [Send(response), *self._ending(self.timers.j, now=now)]

    def received(self, request: Request, now: float) -> list[Output]:  # noqa: ARG002 (as the others)
        """Take a copy of the request: it is answered by the last response."""
        return self._send()


def acknowledgement(invite: Request, response: Response) -> Request:
    """Return the ACK of a response that refused an INVITE (17.1.1.3); that of a 2xx is made by its dialog."""
    return _companion("ACK", invite, to=response.headers.all("To"))


def cancellation(invite: Request) -> Request:
    """Return the CANCEL of an INVITE (9.1): a transaction of its own, sent to where the INVITE went."""
    return _companion("CANCEL", invite, to=invite.headers.all("To"))


def _companion(method: str, invite: Request, *, to: list[str]) -> Request:
    headers = Headers([("Via", str(invite.via)), ("Max-Forwards", MAX_FORWARDS)])
    headers.set("Route", *invite.headers.all("Route"))
    headers.set("From", *invite.headers.all("From"))
    headers.set("To", *to)
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return Request(method, invite.uri, headers)
