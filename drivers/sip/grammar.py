"""What all of SIP's texts are made of: tokens, quoted strings, lists, parameters, hosts.

Everything here reads more than RFC 3261 allows and takes time in proportion to the text, whatever is in it.
"""

import re
from dataclasses import dataclass

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")

_PIECES = {
    separator: re.compile(rf'(?:"(?:[^"\\]|\\.)*"?|<[^>]*>?|[^"<{separator}])+', re.DOTALL) for separator in (",", ";")
}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]')
_NAME = re.compile(r'[^\s"<>;,=\x00-\x1f\x7f]+')
_VALUE = re.compile(r'[^\s"<>;,\x00-\x1f\x7f]*')
_BARE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+|\[[0-9A-Fa-f:.]+\]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._\-]*)")
_IPV6 = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")


class SipMalformed(ValueError):
    """What was received is not SIP.

    Attributes:
        reason: what is wrong with it, in a few words.
        status: what a request with this in it is refused with.
    """

    def __init__(self, reason: str, *, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters after an address or another value: ``;lr;transport=tcp``, in their order.

    Attributes:
        pairs: name and value as they are on the wire (quoted if quoted there); the value is None
            where there is no ``=``.
    """

    pairs: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Params":
        """Read ``a=b;c``, with or without a semicolon in front.

        Raises:
            SipMalformed: if one of them has no name, or its value is broken off.
        """
        return cls(tuple(_pair(piece) for piece in split(text, ";")))

    def get(self, name: str) -> str | None:
        """Return a value, unquoted; "" for a parameter without one, None where there is none of that name."""
        for each, value in self.pairs:
            if each.lower() == name:
                return unquoted(value or "")
        return None

    def __contains__(self, name: object) -> bool:
        return any(each.lower() == name for each, _ in self.pairs)

    def with_(self, name: str, value: str | None = None) -> "Params":
        """Return these with one set, in its old place if there was one; ``value`` as it shall be on the wire."""
        if name not in self:
            return Params((*self.pairs, (name, value)))
        return Params(tuple((each, value if each.lower() == name else old) for each, old in self.pairs))

    def without(self, name: str) -> "Params":
        """Return these without one."""
        return Params(tuple(pair for pair in self.pairs if pair[0].lower() != name))

    def __str__(self) -> str:
        return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.pairs)


NO_PARAMS = Params()


def split(text: str, separator: str) -> list[str]:
    """Split at commas or semicolons outside quoted strings and angle brackets; pieces are stripped, empty ones go."""
    pieces = (match[0].strip() for match in _PIECES[separator].finditer(text))
    return [piece for piece in pieces if piece]


def quoted(text: str) -> str:
    """Return a quoted string; line ends, which none can hold, become spaces."""
    return '"' + _TO_ESCAPE.sub(r"\\\g<0>", re.sub(r"[\r\n]+", " ", text)) + '"'


def unquoted(text: str) -> str:
    """Return what a quoted string says; other text as it is."""
    match = _QUOTED.fullmatch(text)
    return _ESCAPED.sub(r"\1", match[1]) if match else text


def bare_or_quoted(value: str) -> str:
    """Return a parameter's value as it may be written: as it is if it is a token or a host, else quoted."""
    return value if _BARE.fullmatch(value) else quoted(value)


def host_and_port(text: str) -> tuple[str, int | None]:
    """Read ``host``, ``host:port``, ``[2001:db8::1]:5060`` (the brackets are left off).

    Raises:
        SipMalformed: if there is no host, or the port is none.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _IPV6.fullmatch(host) or (rest.strip() and not rest.lstrip().startswith(":")):
            raise SipMalformed(f"no address: {shown(text)}")
        return host, _port(rest.strip().removeprefix(":"))
    if text.count(":") > 1 and _IPV6.fullmatch(text):
        return text, None
    host, _, port = text.partition(":")
    host = host.strip()
    if not _HOST.fullmatch(host):
        raise SipMalformed(f"no host: {shown(text)}")
    return host, _port(port)


def as_host(host: str, port: int | None = None) -> str:
    """Write a host, an IPv6 address in brackets, and the port if there is one."""
    text = f"[{host}]" if ":" in host else host
    return text if port is None else f"{text}:{port}"


def number(text: str, *, limit: int, what: str) -> int:
    """Read a decimal number from 0 to ``limit``.

    Raises:
        SipMalformed: if it is not one; ``what`` names it.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20 and int(digits) <= limit):
        raise SipMalformed(f"{what} is no number up to {limit}: {shown(text)}")
    return int(digits)


def shown(text: str) -> str:
    """Return the beginning of a peer's text, safe to print."""
    return ascii(text if len(text) <= 60 else text[:60] + "...")


def _pair(piece: str) -> tuple[str, str | None]:
    name, equals, value = piece.partition("=")
    name, value = name.strip(), value.strip()
    if not _NAME.fullmatch(name):
        raise SipMalformed(f"no parameter: {shown(piece)}")
    if not equals:
        return name, None
    if not _VALUE.fullmatch(value) and not _QUOTED.fullmatch(value):
        raise SipMalformed(f"no value of a parameter: {shown(piece)}")
    return name, value


def _port(text: str) -> int | None:
    if not text.strip():
        return None
    port = number(text, limit=65535, what="the port")
    if not port:
        raise SipMalformed("the port is 0")
    return port
