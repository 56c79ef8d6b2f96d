"""SIP, SIPS and tel URIs: read tolerantly, written strictly, compared as RFC 3261 says."""

import re
from dataclasses import KW_ONLY, dataclass, replace
from typing import Self
from urllib.parse import unquote

from drivers.sip.grammar import NO_PARAMS, Params, SipMalformed, as_host, host_and_port, shown

_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
_USER = _UNRESERVED + r"&=+$,;?/"
_PASSWORD = _UNRESERVED + r"&=+$,"
_PARAM = _UNRESERVED + r"\[\]/:&+$"
_HEADER = _UNRESERVED + r"\[\]/?:+$"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN = re.compile(f"[{_UNRESERVED}]")
_FORBIDDEN = re.compile(r'[\s<>"\x00-\x1f\x7f]')
_VISUAL = re.compile(r"[\-.() ]")
_WRITTEN = re.compile(r"[\s\-.()/,Ww]")
_DIALLED = re.compile(r"\+?[0-9A-Fa-f*#]+")
_MUST_MATCH = ("user", "ttl", "method", "maddr", "transport")


@dataclass(frozen=True, slots=True)
class Uri:
    """Whom a request is for, or where somebody is.

    ``==`` compares what is written; ``matches`` what is meant.

    Attributes:
        scheme: ``sip``, ``sips``, ``tel`` or another, in small letters.
        user: as on the wire, with its escapes (see ``escaped_user``), without the password; of a tel URI the number.
        host: without the brackets of an IPv6 address; "" in a tel URI.
        opaque: all that follows the scheme, where the scheme is another; with the scheme "", what is no URI.
    """

    scheme: str
    user: str | None
    host: str
    _: KW_ONLY
    port: int | None = None
    params: Params = NO_PARAMS
    headers: tuple[tuple[str, str], ...] = ()
    password: str | None = None
    opaque: str = ""

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read a URI.

        Raises:
            SipMalformed: if it is none.
        """
        text = text.strip()
        scheme, colon, rest = text.partition(":")
        scheme = scheme.lower()
        if not colon or not scheme.isascii() or not scheme[:1].isalpha() or _FORBIDDEN.search(text):
            raise SipMalformed(f"no URI: {shown(text)}")
        if scheme in {"sip", "sips"}:
            return _sip(scheme, rest)
        if scheme == "tel":
            user, _, params = rest.partition(";")
            return cls("tel", escaped(user, _USER), "", params=_strict(Params.parse(params)))
        return cls(scheme, None, "", opaque=rest)

    @property
    def plain_user(self) -> str:
        """The user with its escapes undone; "" where there is none."""
        return unquote(self.user or "", errors="surrogateescape")

    @property
    def number(self) -> str:
        """What the user part dials: without parameters of its own and visual separators, if it is a number at all."""
        plain = unquote((self.user or "").partition(";")[0], errors="surrogateescape")
        dialled = _VISUAL.sub("", plain)
        return dialled if _DIALLED.fullmatch(dialled) else plain

    @property
    def transport(self) -> str | None:
        """The transport it asks for, in small letters."""
        asked = self.params.get("transport")
        return asked.lower() if asked else None

    def with_param(self, name: str, value: str | None = None) -> Self:
        """Return it with a parameter set."""
        return replace(self, params=self.params.with_(name, None if value is None else escaped(value, _PARAM)))

    def without_headers(self) -> Self:
        """Return it as it may stand in a request line: without headers and method."""
        return replace(self, headers=(), params=self.params.without("method"))

    def matches(self, other: "Uri") -> bool:
        """Whether both mean the same (RFC 3261, 19.1.4); not transitive."""
        if self.opaque or other.opaque:
            return self == other
        return (
            self.scheme == other.scheme
            and _same(self.user) == _same(other.user)
            and _same(self.password) == _same(other.password)
            and self.host.lower() == other.host.lower()
            and self.port == other.port
            and _params_match(self.params, other.params)
            and _headers(self) == _headers(other)
        )

    def __str__(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}" if self.scheme else self.opaque
        if self.scheme == "tel":
            return f"tel:{escaped(self.user or '', _USER)}{_strict(self.params)}"
        password = "" if self.password is None else ":" + escaped(self.password, _PASSWORD)
        user = "" if not self.user else f"{escaped(self.user, _USER)}{password}@"
        fields = "&".join(f"{escaped(name, _HEADER)}={escaped(value, _HEADER)}" for name, value in self.headers)
        query = f"?{fields}" if fields else ""
        return f"{self.scheme}:{user}{as_host(self.host, self.port)}{_strict(self.params)}{query}"


def as_dialled(written: str) -> str:
    """Return a number as it stands in a URI: without what people write between digits, and without pauses.

    >>> [as_dialled(each) for each in ("+49 (30) 12-34", "0,030/1234", "*31#5550100", "front desk")]
    ['+49301234', '00301234', '*31#5550100', 'front desk']
    """
    dialled = _WRITTEN.sub("", written)
    return dialled if not dialled or _DIALLED.fullmatch(dialled) else written.strip()


def escaped_user(plain: str) -> str:
    """Return any text as the user of a URI: ``*31#`` as ``*31%23``."""
    return escaped(plain.replace("%", "%25"), _USER)


def escaped(text: str, allowed: str) -> str:
    """Escape all that is not allowed (a class of a regular expression); escapes that are there stay."""
    return re.sub(f"%(?![0-9A-Fa-f]{{2}})|[^%{allowed}]", _percent, text)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match[0].encode("utf-8", "surrogateescape"))


def _sip(scheme: str, rest: str) -> Uri:
    userinfo, rest = _userinfo(rest)
    end = next((index for index, sign in enumerate(rest) if sign in ";?"), len(rest))
    host, port = host_and_port(rest[:end])
    params, _, query = rest[end:].partition("?")
    user, colon, password = (userinfo or "").partition(":")
    fields = (each.partition("=") for each in query.split("&"))
    return Uri(
        scheme,
        escaped(user, _USER) or None,
        host,
        port=port,
        params=_strict(Params.parse(params)),
        headers=tuple((escaped(name, _HEADER), escaped(value, _HEADER)) for name, _, value in fields if name),
        password=escaped(password, _PASSWORD) if user and colon else None,
    )


def _userinfo(rest: str) -> tuple[str | None, str]:
    """Part user from host at the first @, or at a later one if more stand before any parameter: john@corp@host."""
    first, at, tail = rest.partition("@")
    if not at:
        return None, rest
    head = re.match(r"[^;?]*", tail)
    more, again, _ = (head[0] if head else "").rpartition("@")
    return (f"{first}@{more}", tail[len(more) + 1 :]) if again else (first, tail)


def _same(text: str | None) -> str | None:
    """Return a text of which equal ones mean the same: needless escapes undone, the others in capitals."""
    return None if text is None else _ESCAPE.sub(_needed, text)


def _needed(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _PLAIN.fullmatch(character) else match[0].upper()


def _params_match(one: Params, other: Params) -> bool:
    return all(_param(one, name) == _param(other, name) for name in _MUST_MATCH) and all(
        _param(one, name.lower()) == _param(other, name.lower()) for name, _ in one.pairs if name.lower() in other
    )


def _param(params: Params, name: str) -> str | None:
    value = _same(params.get(name))
    return None if value is None else value.lower()


def _headers(uri: Uri) -> list[tuple[str, str | None]]:
    return sorted((name.lower(), _same(value)) for name, value in uri.headers)


def _strict(params: Params) -> Params:
    return Params(
        tuple(
            (escaped(name, _PARAM), None if value is None else escaped(value, _PARAM)) for name, value in params.pairs
        )
    )
