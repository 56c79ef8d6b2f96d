"""Requests and responses: parsed from octets tolerantly, written strictly; their framing on streams."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from drivers.sip.grammar import TOKEN, SipMalformed, number, shown
from drivers.sip.headers import CSeq, Headers, NameAddr, Via
from drivers.sip.uri import Uri

LARGEST = 65535
"""Octets of the largest message that is read: what fits a datagram. Stops peers that fill the memory."""

MOST_FIELDS = 256
"""Header fields in a message that is read. Stops peers that make us look through thousands."""

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    606: "Not Acceptable",
}
"""What each status is called where nobody says otherwise."""

_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_ANSWERED = ("From", "To", "Call-ID", "CSeq")
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/(\S+)[ \t]+([0-9]{3})(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)


class _Message:
    """What a request and a response have in common.

    In a parsed message none of these views raises, but for ``contacts`` and what is made from it.
    """

    __slots__ = ()

    headers: Headers
    body: bytes

    @property
    def vias(self) -> list[Via]:
        """The hops, the last one first."""
        return [Via.parse(each) for each in self.headers.all("Via")]

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return Via.parse(self._needed("Via"))

    @property
    def from_(self) -> NameAddr:
        """Who sent the request."""
        return NameAddr.parse(self._needed("From"))

    @property
    def to(self) -> NameAddr:
        """Whom the request is for."""
        return NameAddr.parse(self._needed("To"))

    @property
    def call_id(self) -> str:
        """The call that it belongs to."""
        return self._needed("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """Its number, and the method of its request."""
        return CSeq.parse(self._needed("CSeq"))

    @property
    def contacts(self) -> list[NameAddr]:
        """Where its sender is; ``*`` is left out. Raises SipMalformed."""
        return [NameAddr.parse(each) for each in self.headers.all("Contact") if each != "*"]

    @property
    def content_type(self) -> str:
        """The type of the body in small letters, without parameters: ``application/sdp``; "" if it is not said."""
        return _type(self.headers)

    def content(self, kind: str) -> bytes | None:
        """Return the body if it is of this type (``application/sdp``), or the first such part of a body of many parts.

        A body whose type is not said counts as of any. None if there is nothing of the type.
        """
        if not self.body:
            return None
        if self.content_type in {kind, ""}:
            return self.body
        boundary = _BOUNDARY.search(self.headers.get("Content-Type") or "")
        if not self.content_type.startswith("multipart/") or boundary is None:
            return None
        mark = b"--" + (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape")
        # Each mark begins a line; the line end before it is the mark's, not the part's.
        parts = re.split(rb"(?:^|\r?\n)" + re.escape(mark) + rb"(?:--)?[ \t]*(?=\r?\n|$)", self.body)
        return next((body for said, body in map(_part, parts[1:]) if said == kind), None)

    def _needed(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise SipMalformed(f"there is no {name}")
        return value

    def _octets(self, start: str, *, compact: bool) -> bytes:
        length = f"{'l' if compact else 'Content-Length'}: {len(self.body)}"
        lines = (start, *self.headers.lines(compact=compact), length, "", "")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


@dataclass(slots=True)
class Request(_Message):
    """A request.

    Attributes:
        method: as it is written; INVITE is not Invite.
        headers: without Content-Length, which is the body's.
    """

    method: str
    uri: Uri
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def octets(self, *, compact: bool = False) -> bytes:
        """Return it as it is sent, with short names if asked.

        Raises:
            ValueError: if the method is no token.
        """
        if not TOKEN.fullmatch(self.method):
            raise ValueError(f"no method: {self.method!r}")
        return self._octets(f"{self.method} {self.uri} SIP/2.0", compact=compact)

    def answer(self, status: int, reason: str = "", *, tag: str = "") -> "Response":
        """Return a response to it: Via, From, To, Call-ID, CSeq and, from 101 on, our tag if To has none yet."""
        response = Response(status, reason)
        response.headers.set("Via", *self.headers.all("Via"))
        for name in _ANSWERED:
            value = self.headers.get(name)
            if value is not None:
                response.headers.add(name, tagged(value, tag) if name == "To" and tag and status > 100 else value)
        return response


@dataclass(slots=True)
class Response(_Message):
    """A response.

    Attributes:
        reason: for people; "" is written as what the status is called.
        headers: without Content-Length, which is the body's.
    """

    status: int
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def final(self) -> bool:
        """Whether none follows it."""
        return self.status >= 200

    def octets(self, *, compact: bool = False) -> bytes:
        """Return it as it is sent, with short names if asked.

        Raises:
            ValueError: if the status is none or the reason holds a line end.
        """
        reason = self.reason or REASONS.get(self.status, "Unknown")
        if not 100 <= self.status <= 699 or "\r" in reason or "\n" in reason:
            raise ValueError(f"no status: {self.status} {reason!r}")
        return self._octets(f"SIP/2.0 {self.status} {reason}", compact=compact)


class SipRefused(SipMalformed):
    """A request that is wrong, but clear enough to be answered with ``status`` (``request.answer``)."""

    def __init__(self, reason: str, request: Request, *, status: int = 400) -> None:
        super().__init__(reason, status=status)
        self.request = request


def parse(octets: bytes) -> Request | Response:
    """Read a datagram, or a message that a ``Framer`` cut out of a stream.

    What follows the body is left out, and so is a line that is no header field: what is needed is asked for by name.
    Header fields keep their order; folded ones are one line.

    Raises:
        SipRefused: if it is a request that can be answered, though it cannot be understood.
        SipMalformed: if it is nothing of the kind.
    """
    octets = octets.lstrip(b"\r\n")
    if len(octets) > LARGEST:
        raise SipMalformed("it is too large", status=513)
    end = _HEADER_END.search(octets)
    head, rest = (octets[: end.start()], octets[end.end() :]) if end else (octets, b"")
    lines = _lines(head.rstrip(b"\r\n"))
    start = next(lines)
    headers = _fields(lines)
    message, wrong = _start(start, headers)
    try:
        message.body = _body(headers, rest)
        if wrong is not None:
            raise wrong
        _check(message)
    except SipMalformed as error:
        if isinstance(message, Request) and _answerable(message):
            raise SipRefused(error.reason, message, status=error.status) from error
        raise
    return message


class KeepAlive(Enum):
    """What peers send between messages to keep a connection open (RFC 5626)."""

    PING = auto()
    """To be answered with one CRLF."""
    PONG = auto()
    """The answer to one of ours."""


class Framer:
    """Cuts a stream into messages. Holds ``LARGEST`` octets at most, and works each through once.

    Args:
        opened: whether this side opened the connection: then it pings, and each CRLF is an answer; else two are a ping.

    Attributes:
        lost: why the stream cannot be read on; "" while it can. The connection is to be closed then.
    """

    def __init__(self, *, opened: bool) -> None:
        self.lost = ""
        self._opened = opened
        self._held = bytearray()
        self._searched = 0
        self._line_ends = 0
        self._needs = 0

    @property
    def begun(self) -> bool:
        """Whether a message has begun that is not whole yet."""
        return bool(self._held)

    def feed(self, octets: bytes) -> list[bytes | KeepAlive]:
        """Take the next octets; return the messages, for ``parse``, and keep-alives that are whole now."""
        found: list[bytes | KeepAlive] = []
        self._held += octets
        while not self.lost and self._next(found):
            pass
        if self.lost:
            self._held.clear()
        return found

    def _next(self, found: list[bytes | KeepAlive]) -> bool:
        if not self._needs:
            self._skip_line_ends(found)
            self._find_end()
        if not self._needs or len(self._held) < self._needs:
            return False
        found.append(bytes(self._held[: self._needs]))
        del self._held[: self._needs]
        self._needs = self._searched = self._line_ends = 0
        return True

    def _skip_line_ends(self, found: list[bytes | KeepAlive]) -> None:
        match = re.match(rb"(?:\r?\n)*", self._held)
        ends = self._held[: match.end()].count(b"\n") if match else 0
        if not ends or match is None:
            return
        del self._held[: match.end()]
        pings, self._line_ends = divmod(self._line_ends + ends, 2)
        found += [KeepAlive.PONG] * ends if self._opened else [KeepAlive.PING] * pings

    def _find_end(self) -> None:
        end = _HEADER_END.search(self._held, max(0, self._searched - 3))
        self._searched = len(self._held)
        if end is None:
            self.lost = "a message has no end" if len(self._held) > LARGEST else ""
            return
        try:
            lines = _lines(bytes(self._held[: end.start()]))
            needs = end.end() + (_length(_fields(lines)) or 0)
        except SipMalformed as error:
            self.lost = error.reason
            return
        if needs > LARGEST:
            self.lost = "a message is too large"
        else:
            self._needs = needs


def _lines(head: bytes) -> Iterator[str]:
    unfolded = _FOLD.sub(b" ", head)
    return (line.decode("utf-8", "surrogateescape").replace("\r", " ") for line in _LINE_END.split(unfolded))


def _fields(lines: Iterator[str]) -> Headers:
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and TOKEN.fullmatch(name.strip()):
            headers.add(name.strip(), value)
        if len(headers) > MOST_FIELDS:
            raise SipMalformed(f"there are more than {MOST_FIELDS} header fields", status=513)
    return headers


def _body(headers: Headers, rest: bytes) -> bytes:
    """Take the body, and the length that is said out of the headers."""
    length = _length(headers)
    headers.remove("Content-Length")
    if length is not None and length > len(rest):
        raise SipMalformed(f"{length - len(rest)} octets of the body are missing")
    return rest[:length]


def _type(headers: Headers) -> str:
    return "".join((headers.get("Content-Type") or "").partition(";")[0].split()).lower()


def _part(octets: bytes) -> tuple[str, bytes]:
    """Return type and content of a part of a body, which begins with the end of its mark's line."""
    end = _HEADER_END.search(octets)
    if end is None:
        return "", b""
    return _type(_fields(_lines(octets[: end.start()]))), octets[end.end() :]


def _length(headers: Headers) -> int | None:
    lengths = {number(value, limit=1 << 31, what="Content-Length") for value in headers.all("Content-Length")}
    if len(lengths) > 1:
        raise SipMalformed("there is more than one Content-Length")
    return next(iter(lengths), None)


def _start(line: str, headers: Headers) -> tuple[Request | Response, SipMalformed | None]:
    line = line.strip()
    if line[:4].upper() == "SIP/":
        return _status(line, headers), None
    method, _, rest = line.partition(" ")
    target, _, version = rest.strip().rpartition(" ")
    if not TOKEN.fullmatch(method) or not target or version[:4].upper() != "SIP/":
        raise SipMalformed(f"neither a request nor a response: {shown(line)}")
    request = Request(method, Uri("", None, "", opaque=target), headers)
    if version.upper() != "SIP/2.0":
        return request, SipMalformed(f"it is {shown(version)}", status=505)
    try:
        request.uri = Uri.parse(target.strip().removeprefix("<").removesuffix(">"))
    except SipMalformed as error:
        return request, error
    return request, None


def _status(line: str, headers: Headers) -> Response:
    match = _STATUS_LINE.fullmatch(line)
    if match is None or match[1] != "2.0" or not 100 <= int(match[2]) <= 699:
        raise SipMalformed(f"no status line: {shown(line)}")
    return Response(int(match[2]), match[3] or "", headers)


def _check(message: Request | Response) -> None:
    """Look at all that the layers above rely on; raises SipMalformed."""
    for name in (*_ANSWERED, "Max-Forwards"):
        if len(message.headers.all(name)) > 1:
            raise SipMalformed(f"there is more than one {name}")
    if not message.vias:
        raise SipMalformed("there is no Via")
    if not (message.call_id and message.from_ and message.to):
        raise SipMalformed("an address is empty")
    cseq = message.cseq
    if isinstance(message, Response):
        return
    if cseq.method != message.method:
        raise SipMalformed(f"CSeq is of another method: {shown(str(cseq))}")
    if "Max-Forwards" in message.headers:
        number(message.headers.get("Max-Forwards") or "", limit=255, what="Max-Forwards")


def _answerable(request: Request) -> bool:
    try:
        top = request.via
    except SipMalformed:
        return False
    return bool(top.host) and request.method != "ACK" and all(name in request.headers for name in _ANSWERED)


def tagged(address: str, tag: str) -> str:
    """Add a tag to an address that has none; leave one that cannot be read as it is."""
    try:
        parsed = NameAddr.parse(address)
    except SipMalformed:
        return address
    return address if parsed.tag else str(parsed.with_tag(tag))
