"""Session descriptions (RFC 8866): read tolerantly, written strictly. What a stream means is for those who know it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from drivers.sip.grammar import SipMalformed, number, shown

CONTENT_TYPE = "application/sdp"

MOST_MEDIA = 32
"""Media in a description that is read: each comes back in the answer. Stops offers that make long answers."""

Attribute = tuple[str, str | None]
"""Name and value; None where there is no colon."""

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made a description, and which one it is."""

    user: str = "-"
    session: int = 0
    version: int = 0
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One stream: a line ``m=`` and what belongs to it.

    Attributes:
        kind: ``audio``, ``image`` or another, in small letters.
        port: 0 where the stream is refused or over.
        protocol: ``RTP/AVP``, ``udptl`` or another, as it is spelled.
        host: where its sender wants the stream, also if that is said for the whole session; "" if it is said nowhere.
        attributes: its own in their order.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str = ""
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> str | None:
        """Return the first value of an attribute, "" if it has none, None if it is not there; any case."""
        return next((value or "" for each, value in self.attributes if each.lower() == name.lower()), None)

    @property
    def direction(self) -> str:
        """One of ``DIRECTIONS``, from its sender's side."""
        return next((name.lower() for name, _ in self.attributes if name.lower() in DIRECTIONS), "sendrecv")

    @property
    def held(self) -> bool:
        """Whether its sender wants to hear nothing now."""
        return self.direction in {"sendonly", "inactive"} or self.host in {"0.0.0.0", "::", ""}

    def refused(self) -> "Media":
        """Return what says that this stream is not wanted."""
        return Media(kind=self.kind, port=0, protocol=self.protocol, formats=self.formats, host=self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A session description.

    Attributes:
        host: where all media without an address of their own go; "" if that is not said.
        attributes: those of the session; which direction it has is passed on to the media when it is read.
    """

    origin: Origin
    host: str
    media: tuple[Media, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    name: str = "-"

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read a description: lines in any order, those that mean nothing here left out.

        Raises:
            SipMalformed: if it is none, or one of its streams makes no sense.
        """
        session, *streams = _parts(octets.decode("utf-8", "surrogateescape"))
        if not streams and not any(key == "v" for key, _ in session):
            raise SipMalformed(f"no session description: {shown(octets[:60].decode('latin-1'))}")
        if len(streams) > MOST_MEDIA:
            raise SipMalformed(f"there are more than {MOST_MEDIA} media", status=488)
        said = dict(reversed(session))
        host = _host(said.get("c", ""))
        attributes = _attributes(session)
        return cls(
            origin=_origin(said.get("o", "")),
            host=host,
            media=tuple(_media(lines, host, attributes) for lines in streams),
            attributes=attributes,
            name=said.get("s", "-"),
        )

    def octets(self) -> bytes:
        """Return it as it is sent.

        Raises:
            ValueError: if something in it holds a line end.
        """
        lines = list(self._lines())
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError(f"a line end in a session description: {lines!r}")
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")

    def _lines(self) -> Iterable[str]:
        origin = self.origin
        yield "v=0"
        yield f"o={origin.user} {origin.session} {origin.version} {_address(origin.host)}"
        yield f"s={self.name or '-'}"
        if self.host:
            yield f"c={_address(self.host)}"
        yield "t=0 0"
        yield from map(_attribute_line, self.attributes)
        for each in self.media:
            yield f"m={each.kind} {each.port} {each.protocol} {' '.join(each.formats)}"
            if each.host and each.host != self.host:
                yield f"c={_address(each.host)}"
            yield from map(_attribute_line, each.attributes)


def _parts(text: str) -> list[list[tuple[str, str]]]:
    """Return the lines of the session, then those of each stream, as pairs of letter and value."""
    parts: list[list[tuple[str, str]]] = [[]]
    for line in _LINE_END.split(text):
        key, equals, value = line.strip().partition("=")
        if not equals or len(key.strip()) != 1:
            continue
        if key.strip() == "m":
            parts.append([])
        parts[-1].append((key.strip(), value.strip()))
    return parts


def _media(lines: list[tuple[str, str]], session_host: str, session: tuple[Attribute, ...]) -> Media:
    words = lines[0][1].split()
    if len(words) < 3:
        raise SipMalformed(f"no stream: {shown(lines[0][1])}")
    kind, ports, protocol, *formats = words
    own = _attributes(lines)
    named = {name.lower() for name, _ in own}
    # What holds for the session holds for each stream, after its own: directions, and T.38's attributes if put there.
    passed_on = tuple(
        (name, value)
        for name, value in session
        if (name.lower().startswith("t38") or name.lower() in DIRECTIONS) and name.lower() not in named
    )
    return Media(
        kind=kind.lower(),
        port=number(ports.partition("/")[0], limit=65535, what="the port of a stream"),
        protocol=protocol,
        formats=tuple(formats),
        host=_host(dict(reversed(lines)).get("c", "")) or session_host,
        attributes=own + passed_on,
    )


def _attributes(lines: list[tuple[str, str]]) -> tuple[Attribute, ...]:
    return tuple(_attribute(value) for key, value in lines if key == "a" and value)


def _attribute(text: str) -> Attribute:
    name, colon, value = text.partition(":")
    return name.strip(), value.strip() if colon else None


def _attribute_line(attribute: Attribute) -> str:
    name, value = attribute
    return f"a={name}" if value is None else f"a={name}:{value}"


def _host(text: str) -> str:
    """Read ``IN IP4 192.0.2.1/127``; "" for what is no address."""
    words = text.split()
    return words[2].partition("/")[0] if len(words) > 2 and words[0].upper() == "IN" else ""


def _address(host: str) -> str:
    return f"IN IP{6 if ':' in host else 4} {host}"


def _origin(text: str) -> Origin:
    """Read who made it; what is no number in it counts as 0, as nothing is done with it."""
    words = text.split()
    if len(words) < 6:
        return Origin()
    return Origin(words[0], _whole(words[1]), _whole(words[2]), words[5])


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else 0
