"""Which transaction and which dialog a message belongs to (RFC 3261 17.1.3, 17.2.3, 9.2, 12).

Keys are tuples of text, for dictionaries. Who listens on several addresses, or to strangers, puts the address first.
"""

from typing import TypeAlias

from drivers.sip.headers import Via
from drivers.sip.messages import Request, Response

COOKIE = "z9hG4bK"
"""How a branch begins that is unique, which those of RFC 2543 are not."""

Key: TypeAlias = tuple[str, ...]


def client_key(message: Request | Response) -> Key:
    """Return the key of a request of ours, but ACK, and of the responses to it."""
    return (message.via.branch.lower(), message.cseq.method)


def server_key(request: Request) -> Key:
    """Return the key of a request of theirs and of its copies; ACK has that of its INVITE, unless that got a 2xx."""
    return _server_key(request, "INVITE" if request.method == "ACK" else request.method)


def canceled_key(cancel: Request) -> Key:
    """Return the key of the INVITE that a CANCEL of theirs is for (9.2)."""
    return _server_key(cancel, "INVITE")


def dialog_key(message: Request | Response) -> Key:
    """Return the key of the dialog that a message from outside is in: Call-ID, our tag, their tag; "" for no tag."""
    sender, receiver = message.from_.tag or "", message.to.tag or ""
    if isinstance(message, Request):
        return (message.call_id, receiver, sender)
    return (message.call_id, sender, receiver)


def _server_key(request: Request, method: str) -> Key:
    via = request.via
    if _unique(via):
        return (via.branch.lower(), via.host.lower(), str(via.port or ""), method)
    # INVITE and ACK differ in the tag of To, which may come with the response: it is left out, the rest is enough.
    to_tag = "" if method == "INVITE" else request.to.tag or ""
    cseq = str(request.cseq.number)
    return (str(via), str(request.uri), request.call_id, request.from_.tag or "", to_tag, cseq, method)


def _unique(via: Via) -> bool:
    """Whether the branch is by RFC 3261; a cookie and nothing behind it is not (RFC 4475 has such a message)."""
    branch = via.branch.lower()
    return branch.startswith(COOKIE.lower()) and len(branch) > len(COOKIE)
