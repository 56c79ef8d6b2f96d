"""Dialogs (RFC 3261 section 12): what two user agents remember of each other from an INVITE to a BYE.

``Forks`` makes the dialogs of an INVITE of ours, one for each tag that answers; ``Dialog.called`` that of an INVITE of
theirs, from the response that ``opening`` wrote. A dialog makes the requests that are sent in it and judges the order
of those that come.
"""

from dataclasses import dataclass, field
from typing import Self

from drivers.sip.grammar import SipMalformed
from drivers.sip.headers import CSeq, Headers, NameAddr, Via
from drivers.sip.matching import Key
from drivers.sip.messages import Request, Response
from drivers.sip.transactions import MAX_FORWARDS
from drivers.sip.uri import Uri

MOST_EARLY = 16
"""So many tags of provisional responses to one INVITE are remembered. Stops a peer that invents tags for ever."""

REFRESHING = frozenset({"INVITE", "UPDATE"})
"""The requests that say anew where their sender is, and get an answer that does (12.2; RFC 3311)."""

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


@dataclass(slots=True, eq=False, kw_only=True)
class Dialog:
    """One dialog, early or confirmed.

    Attributes:
        ours: whether we sent its INVITE, and so made its Call-ID: who did not may retry a re-INVITE sooner after 491.
        local, remote: From and To of our requests as they were first written, tags included.
        local_tag, remote_tag: "" where the peer is too old to have one.
        target: where the peer is; the next target refresh may change it.
        routes: the proxies between, the nearest first.
        local_cseq: the number of our last request; 0 before the first.
        remote_cseq: the number of the peer's last request; None before the first.
        confirmed: whether the INVITE was accepted.
    """

    ours: bool
    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    target: Uri
    routes: tuple[NameAddr, ...]
    local_cseq: int
    remote_cseq: int | None
    confirmed: bool
    _ack: Request | None = field(default=None, repr=False)

    @classmethod
    def calling(cls, invite: Request, response: Response) -> Self:
        """Return the dialog that a response to our INVITE, 101 to 299, makes (12.1.2).

        Raises:
            SipMalformed: if a Record-Route cannot be read.
        """
        return cls(
            ours=True,
            call_id=invite.call_id,
            local=_text(invite, "From"),
            remote=_text(response, "To"),
            local_tag=invite.from_.tag or "",
            remote_tag=response.to.tag or "",
            target=_contact(response) or invite.uri,
            routes=_routes(response)[::-1],
            local_cseq=invite.cseq.number,
            remote_cseq=None,
            confirmed=response.final,
        )

    @classmethod
    def called(cls, invite: Request, response: Response) -> Self:
        """Return the dialog that our response with a tag, 101 to 299, to an INVITE of theirs makes (12.1.1).

        A peer that does not say in Contact where it is, is where its From says.

        Raises:
            SipMalformed: if a Record-Route cannot be read.
        """
        return cls(
            ours=False,
            call_id=invite.call_id,
            local=_text(response, "To"),
            remote=_text(invite, "From"),
            local_tag=response.to.tag or "",
            remote_tag=invite.from_.tag or "",
            target=_contact(invite) or invite.from_.uri.without_headers(),
            routes=_routes(invite),
            local_cseq=0,
            remote_cseq=invite.cseq.number,
            confirmed=response.final,
        )

    @property
    def key(self) -> Key:
        """What ``matching.dialog_key`` says of the peer's messages in it."""
        return (self.call_id, self.local_tag, self.remote_tag)

    @property
    def next_hop(self) -> Uri:
        """Where its requests, and ACKs of 2xx, are sent (8.1.2)."""
        return self.routes[0].uri if self.routes else self.target

    def confirm(self, response: Response) -> None:
        """Take the 2xx that accepts the INVITE, theirs or ours, after a provisional response (13.2.2.4).

        Raises:
            SipMalformed: if a Record-Route cannot be read.
        """
        if self.ours and not self.confirmed:
            self.routes = _routes(response)[::-1]
            self.target = _contact(response) or self.target
        self.confirmed = True

    def request(self, method: str, *, via: Via, contact: NameAddr | None = None) -> Request:
        """Return the next request of ours in it (12.2.1.1).

        Args:
            method: any but ACK and CANCEL.
            via: with a branch that is new.
            contact: where we are; to be said in each of ``REFRESHING``.
        """
        self.local_cseq += 1
        return self._request(CSeq(self.local_cseq, method), via=via, contact=contact)

    def ack(self, invite: Request, *, via: Via) -> Request:
        """Return the ACK of the 2xx to an INVITE of ours, with its credentials and a branch of its own (13.2.2.4)."""
        ack = self._request(CSeq(invite.cseq.number, "ACK"), via=via, contact=None)
        for name in _CREDENTIALS:
            ack.headers.set(name, *invite.headers.all(name))
        self._ack = ack
        return ack

    def ack_again(self, response: Response) -> Request | None:
        """Return the ACK that was made for a 2xx of which a copy came (``transactions.Again``), if it was the last."""
        return self._ack if self._ack is not None and self._ack.cseq.number == response.cseq.number else None

    def takes(self, request: Request) -> bool:
        """Take a request of theirs that is new; if it is out of order, do nothing but say so: it is answered with 500.

        ACK and CANCEL have the number of their INVITE and are always in order (12.2.2).
        """
        if request.method in {"ACK", "CANCEL"}:
            return True
        if self.remote_cseq is not None and request.cseq.number <= self.remote_cseq:
            return False
        self.remote_cseq = request.cseq.number
        if request.method in REFRESHING:
            self.target = _contact(request) or self.target
        return True

    def heard(self, response: Response) -> None:
        """Take a response to a request of ours in it: it may say where the peer is now (12.2.1.2)."""
        if 200 <= response.status < 300 and response.cseq.method in REFRESHING:
            self.target = _contact(response) or self.target

    def _request(self, cseq: CSeq, *, via: Via, contact: NameAddr | None) -> Request:
        uri, routes = self._way()
        headers = Headers([("Via", str(via)), ("Max-Forwards", MAX_FORWARDS)])
        headers.set("Route", *(str(route) for route in routes))
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", str(cseq))
        if contact is not None:
            headers.add("Contact", str(contact))
        return Request(cseq.method, uri, headers)

    def _way(self) -> tuple[Uri, tuple[NameAddr, ...]]:
        """Return request URI and Route; a first proxy from before RFC 3261, without lr, wants to be the request URI."""
        if not self.routes or "lr" in self.routes[0].uri.params:
            return self.target, self.routes
        return self.routes[0].uri.without_headers(), (*self.routes[1:], NameAddr(self.target))


class Forks:
    """The dialogs of one INVITE of ours that begins a call: a proxy may have sent it to several who all answer."""

    __slots__ = ("_dialogs", "_invite")

    def __init__(self, invite: Request) -> None:
        self._invite = invite
        self._dialogs: dict[str, Dialog] = {}

    @property
    def dialogs(self) -> list[Dialog]:
        """Those there are, in the order in which they were first heard of."""
        return list(self._dialogs.values())

    def heard(self, response: Response) -> Dialog | None:
        """Return the dialog that a response belongs to, made or confirmed if need be.

        Returns:
            None: the response makes none, being 100, without a tag, refusing, or of one too many early dialogs.

        Raises:
            SipMalformed: if a Record-Route cannot be read.
        """
        tag = response.to.tag or ""
        if not 100 < response.status < 300 or (not tag and not response.final):
            return None
        known = self._dialogs.get(tag)
        if known is None:
            if not response.final and len(self._dialogs) >= MOST_EARLY:
                return None
            known = self._dialogs[tag] = Dialog.calling(self._invite, response)
        elif response.final:
            known.confirm(response)
        return known


def opening(invite: Request, status: int, *, tag: str, contact: NameAddr) -> Response:
    """Return the response, 101 to 299, that makes the dialog of an INVITE of theirs (12.1.1)."""
    response = invite.answer(status, tag=tag)
    response.headers.set("Record-Route", *invite.headers.all("Record-Route"))
    response.headers.add("Contact", str(contact))
    return response


def _contact(message: Request | Response) -> Uri | None:
    """Return the URI of Contact as it may stand in a request line; None where there is none that can be read."""
    try:
        contacts = message.contacts
    except SipMalformed:
        return None
    return contacts[0].uri.without_headers() if contacts else None


def _routes(message: Request | Response) -> tuple[NameAddr, ...]:
    return tuple(NameAddr.parse(each) for each in message.headers.all("Record-Route"))


def _text(message: Request | Response, name: str) -> str:
    return message.headers.get(name) or ""
