"""What the URLs of lines to one T.38 endpoint say: ``udptl:`` and ``tpkt:``, ``LOCALHOST:PORT@PEERHOST:PORT``."""

from dataclasses import dataclass, field
from typing import Self

from drivers.registry import LineUrl
from drivers.t38.media import ASSUMED, Agreed
from drivers.t38.route import Address
from drivers.t38.udptl import MOST_REDUNDANCY, MOST_SPAN, Protection
from t30.line import LineError

LARGEST_DATAGRAM = 65507


@dataclass(frozen=True, slots=True)
class Options:
    """What a URL says."""

    local: Address
    peer: Address
    calls: bool | None = None
    """Whether it is the caller's end; None: that follows from what is done with it."""
    agreed: Agreed = field(default_factory=Agreed)
    speed: float = 1.0

    @classmethod
    def of(cls, url: LineUrl) -> Self:
        """Read a URL; a stream of octets (``tpkt:``) has nothing to protect.

        Raises:
            LineError: with code ``usage``.
        """
        local, at, peer = url.address.partition("@")
        if not at:
            raise _usage(url, f"it is {url.scheme}:LOCALHOST:PORT@PEERHOST:PORT")
        given = _Given(url)
        role = given.choice("role", "", "caller", "answerer")
        protection, largest = (Protection(), ASSUMED) if url.scheme == "tpkt" else _protection(given)
        agreed = Agreed(
            version=given.number("version", 0, 3),
            protection=protection,
            max_datagram=largest,
            local_tcf=given.choice("tcf", "transferred", "local") == "local",
            fill_bit_removal=given.choice("fill", "off", "on") == "on",
            transcoding_mmr=given.choice("mmr", "off", "on") == "on",
        )
        speed = float(given.number("speed", 1, 1000))
        given.check_nothing_left()
        return cls(_address(url, local), _address(url, peer), role == "caller" if role else None, agreed, speed)


def _protection(given: "_Given") -> tuple[Protection, int]:
    """Return what is sent against loss, and the octets of the largest datagram."""
    span, redundancy = given.number("fec", 0, MOST_SPAN), given.number("redundancy", 3, MOST_REDUNDANCY)
    largest = given.number("max_datagram", ASSUMED, LARGEST_DATAGRAM)
    return Protection(0 if span else redundancy, span), largest


class _Given:
    """The options of a URL: each is asked for by its name, and what was not asked for there is not."""

    def __init__(self, url: LineUrl) -> None:
        self._url = url
        self._left = dict(url.options)
        self._known: list[str] = []

    def choice(self, name: str, default: str, *others: str) -> str:
        """Return one of some words."""
        text = self._taken(name, default)
        if text not in {default, *others}:
            words = [each for each in (default, *others) if each]
            raise _usage(self._url, f"{name}={text} is neither {' nor '.join(words)}")
        return text

    def number(self, name: str, default: int, most: int) -> int:
        """Return a number from 0 on."""
        text = self._taken(name, str(default))
        if not text.isdecimal() or int(text) > most:
            raise _usage(self._url, f"{name}={text} is not a number up to {most}")
        return int(text)

    def check_nothing_left(self) -> None:
        """Refuse what nobody asked for."""
        if self._left:
            names = f"{', '.join(self._known[:-1])} and {self._known[-1]}"
            raise _usage(self._url, f"there is no option {', '.join(sorted(self._left))}; there are {names}")

    def _taken(self, name: str, default: str) -> str:
        self._known.append(name)
        return self._left.pop(name, default)


def _address(url: LineUrl, text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise _usage(url, f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _usage(url: LineUrl, what: str) -> LineError:
    return LineError(f"{url}: {what}", code="usage")
