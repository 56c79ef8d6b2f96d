"""The header fields of a message, in their order, and what is in those that steer it: Via, From, To, Contact, CSeq."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from drivers.sip.grammar import (
    NO_PARAMS,
    TOKEN,
    Params,
    SipMalformed,
    as_host,
    bare_or_quoted,
    host_and_port,
    number,
    quoted,
    shown,
    split,
    unquoted,
)
from drivers.sip.uri import Uri

COMPACT = {
    "Accept-Contact": "a",
    "Allow-Events": "u",
    "Call-ID": "i",
    "Contact": "m",
    "Content-Encoding": "e",
    "Content-Length": "l",
    "Content-Type": "c",
    "Event": "o",
    "From": "f",
    "Identity": "y",
    "Refer-To": "r",
    "Referred-By": "b",
    "Reject-Contact": "j",
    "Request-Disposition": "d",
    "Session-Expires": "x",
    "Subject": "s",
    "Supported": "k",
    "To": "t",
    "Via": "v",
}
"""The names that have a short form."""

LISTS = frozenset(
    (
        *("accept", "accept-contact", "accept-encoding", "accept-language", "alert-info", "allow", "allow-events"),
        *("call-info", "contact", "content-encoding", "content-language", "diversion", "error-info", "history-info"),
        *("in-reply-to", "p-asserted-identity", "p-associated-uri", "p-preferred-identity", "path", "proxy-require"),
        *("reason", "record-route", "reject-contact", "require", "route", "service-route", "supported"),
        *("unsupported", "via", "warning"),
    )
)
"""The names, in small letters, whose values may stand in one field, with commas between."""

_SPELLINGS = {short: name for name, short in COMPACT.items()} | {
    name.lower(): name
    for name in (
        *COMPACT,
        *("Accept", "Allow", "Authorization", "Content-Disposition", "CSeq", "Date", "Expires", "Max-Forwards"),
        *("Min-Expires", "Min-SE", "MIME-Version", "P-Asserted-Identity", "Proxy-Authenticate", "Proxy-Authorization"),
        *("RAck", "Reason", "Record-Route", "Replaces", "Require", "Retry-After", "Route", "RSeq", "Server"),
        *("Timestamp", "Unsupported", "User-Agent", "Warning", "WWW-Authenticate"),
    )
}

_REMEMBERED = 64
"""So many addresses and hops are kept as they were read: one message is looked at by several layers in a row."""

_BARE_URI = re.compile(r"(?:sips?|tel):", re.IGNORECASE)


class Headers:
    """Header fields in their order; names in any case, short or long.

    No value can hold a line end, so none becomes two fields or the end of a message.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        for name, value in fields:
            self.add(name, value)

    def get(self, name: str) -> str | None:
        """Return the first value of a name: of a list its first element; None if there is none."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Return all values of a name, those parted by commas one by one where the name is one of ``LISTS``."""
        key = _key(name)
        values = [value for each, _, value in self._fields if each == key]
        return [piece for value in values for piece in split(value, ",")] if key in LISTS else values

    def add(self, name: str, value: str) -> None:
        """Put a field after all others.

        Raises:
            ValueError: if the name is no token or the value holds a line end.
        """
        self._fields.append(_field(name, value))

    def add_first(self, name: str, value: str) -> None:
        """Put a field before all others; raises as ``add``."""
        self._fields.insert(0, _field(name, value))

    def set(self, name: str, *values: str) -> None:
        """Put these values, one field each, in the place of all fields of the name; raises as ``add``."""
        fields = [_field(name, value) for value in values]
        key = _key(name)
        place = next((index for index, field in enumerate(self._fields) if field[0] == key), len(self._fields))
        self.remove(name)
        self._fields[place:place] = fields

    def remove(self, name: str) -> None:
        """Take all fields of a name out."""
        key = _key(name)
        self._fields = [field for field in self._fields if field[0] != key]

    def copy(self) -> "Headers":
        """Return others that are the same."""
        other = Headers()
        other._fields = self._fields.copy()
        return other

    def options(self, name: str) -> frozenset[str]:
        """Return the words of a list such as Supported, Require or Allow, in small letters."""
        return frozenset(value.lower() for value in self.all(name))

    def lines(self, *, compact: bool = False) -> Iterator[str]:
        """Yield ``Name: value``, with the short names if asked."""
        for _, name, value in self._fields:
            yield f"{COMPACT.get(name, name) if compact else name}: {value}"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(field[0] == _key(name) for field in self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._fields] == [(key, value) for key, _, value in other._fields]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


@dataclass(frozen=True, slots=True)
class Via:
    """One hop that a request took.

    Attributes:
        transport: in capitals: UDP, TCP, TLS.
        host: where its sender wants responses; without the brackets of an IPv6 address.
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Read one Via; raises SipMalformed."""
        return _via(text)

    @property
    def branch(self) -> str:
        """The branch, "" where there is none (RFC 2543)."""
        return self.params.get("branch") or ""

    @property
    def received(self) -> str | None:
        """The address it came from, as its receiver saw it."""
        received = self.params.get("received")
        return received.strip("[]") if received else None

    @property
    def rport(self) -> int | None:
        """The port it came from, as its receiver saw it."""
        text = self.params.get("rport") or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536 else None

    @property
    def asks_rport(self) -> bool:
        """Whether its sender asks to be told where it came from (RFC 3581)."""
        return "rport" in self.params

    def from_source(self, host: str, port: int) -> "Via":
        """Return it as the receiver of a request from this address completes it (RFC 3261 18.2.1, RFC 3581 4)."""
        params = self.params
        if self.asks_rport:
            params = params.with_("rport", str(port))
        if self.asks_rport or host.lower() != self.host.lower():
            params = params.with_("received", host)
        return replace(self, params=params)

    def with_(self, name: str, value: str | None = None) -> "Via":
        """Return it with a parameter set, quoted if need be."""
        return replace(self, params=self.params.with_(name, None if value is None else bare_or_quoted(value)))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {as_host(self.host, self.port)}{self.params}"


@dataclass(frozen=True, slots=True)
class NameAddr:
    """An address with what belongs to it: From, To, Contact, Route, Record-Route.

    Attributes:
        display: the name beside it, "" for none.
    """

    uri: Uri
    display: str = ""
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> "NameAddr":
        """Read ``"Name" <sip:user@host>;tag=x`` and its plainer forms; raises SipMalformed."""
        return _address(text)

    @property
    def tag(self) -> str | None:
        """The tag, None where there is none."""
        return self.params.get("tag") or None

    def with_(self, name: str, value: str | None = None) -> "NameAddr":
        """Return it with a parameter set, quoted if need be."""
        return replace(self, params=self.params.with_(name, None if value is None else bare_or_quoted(value)))

    def with_tag(self, tag: str) -> "NameAddr":
        """Return it with this tag."""
        return self.with_("tag", tag)

    def without(self, name: str) -> "NameAddr":
        """Return it without a parameter."""
        return replace(self, params=self.params.without(name))

    def __str__(self) -> str:
        return f"{quoted(self.display) + ' ' if self.display else ''}<{self.uri}>{self.params}"


@dataclass(frozen=True, slots=True)
class CSeq:
    """The place of a request in its dialog."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Read ``4711 INVITE``; raises SipMalformed."""
        words = text.split()
        if len(words) != 2 or not TOKEN.fullmatch(words[1]):
            raise SipMalformed(f"no CSeq: {shown(text)}")
        return cls(number(words[0], limit=(1 << 32) - 1, what="CSeq"), words[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(maxsize=_REMEMBERED)
def _via(text: str) -> Via:
    hop, _, params = text.partition(";")
    words = [word.strip() for word in hop.split("/", 2)]
    transport, sent_by = [*words[-1].split(None, 1), "", ""][:2]
    if len(words) != 3 or words[0].upper() != "SIP" or not TOKEN.fullmatch(transport):
        raise SipMalformed(f"no Via: {shown(text)}")
    host, port = host_and_port(sent_by)
    return Via(transport.upper(), host, port, Params.parse(params))


@lru_cache(maxsize=_REMEMBERED)
def _address(text: str) -> NameAddr:
    name, rest = _display(text.strip())
    if not rest.startswith("<"):
        address, _, params = rest.partition(";")
        return NameAddr(Uri.parse(address), "", Params.parse(params))
    address, closed, params = rest[1:].partition(">")
    params = params.strip()
    if not closed or (params and not params.startswith(";")):
        raise SipMalformed(f"no address: {shown(text)}")
    # Some write a name with spaces for a user.
    return NameAddr(Uri.parse(address.strip().replace(" ", "%20")), name, Params.parse(params))


def _key(name: str) -> str:
    return _SPELLINGS.get(name.lower(), name).lower()


def _field(name: str, value: str) -> tuple[str, str, str]:
    if not TOKEN.fullmatch(name):
        raise ValueError(f"no name of a header field: {name!r}")
    if "\r" in value or "\n" in value:
        raise ValueError(f"a line end in {name}: {value!r}")
    name = _SPELLINGS.get(name.lower(), name)
    return name.lower(), name, value.strip()


def _display(text: str) -> tuple[str, str]:
    """Part the name before an address from the rest, which begins with ``<`` if there was one."""
    if text.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*"', text, re.DOTALL)
        if end is None or not text[end.end() :].lstrip().startswith("<"):
            raise SipMalformed(f"a name that does not end: {shown(text)}")
        return unquoted(end[0]), text[end.end() :].lstrip()
    name, bracket, rest = text.partition("<")
    if not bracket or _BARE_URI.match(text):
        return "", text
    return name.strip(), bracket + rest
