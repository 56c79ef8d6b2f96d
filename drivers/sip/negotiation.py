"""Offer and answer (RFC 3264) for a fax call: one stream at a time, sound (G.711) or T.38.

idle --offer()--> offered --accept(answer)--> idle (a new agreement, or the old one if all was refused)
                     '------withdraw()------> idle (the old agreement)
idle --answer(offer)--> idle (a new agreement, or None: all was refused, answer 488)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.g711.law import Law
from drivers.sip.sdp import DIRECTIONS, Attribute, Description, Media, Origin
from drivers.sip.t38 import T38


@dataclass(frozen=True, slots=True)
class Sound:
    """Our end of a stream of sound: its port, and the codings in the order we like them."""

    port: int
    laws: tuple[Law, ...] = (Law.PCMU, Law.PCMA)


@dataclass(frozen=True, slots=True)
class Image:
    """Our end of a T.38 stream over UDPTL: its port and what we can do."""

    port: int
    t38: T38


Stream = Sound | Image


@dataclass(frozen=True, slots=True)
class Agreement:
    """The stream that both sides use.

    Attributes:
        ours: our end of it.
        host: where to send, with ``port``.
        held: they want to hear nothing now.
        law, payload_type: how sound is coded, and what its packets are marked with; None in T.38.
        t38: what they said: their sizes, and what was agreed of the rest; None for sound.
    """

    ours: Stream
    host: str
    port: int
    held: bool
    law: Law | None = None
    payload_type: int | None = None
    t38: T38 | None = None


class Negotiation:
    """What the two ends of a call said and agreed on.

    Args:
        host: the address that we give for our streams.
        session: a number for this call that we gave to no other.

    Attributes:
        agreed: what holds now; None before there was anything.
    """

    def __init__(self, *, host: str, session: int) -> None:
        self.agreed: Agreement | None = None
        self._host = host
        self._session = session
        self._version = 0
        self._said: tuple[Media, ...] = ()
        self._settled: tuple[Media, ...] = ()
        self._offered: tuple[Stream, ...] = ()

    @property
    def offered(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return bool(self._offered)

    def offer(self, *streams: Stream) -> bytes:
        """Return a description that offers these, of each kind one at most; the old agreement holds on meanwhile.

        A single stream takes the place of the one before, sound or image; places that were used once stay, refused.
        """
        self._offered = streams
        media = [_line(stream) for stream in streams]
        media += [each.refused() for each in self._settled[len(media) :]]
        return self._say(tuple(media))

    def accept(self, answer: bytes) -> Agreement | None:
        """Take the answer to our offer; return the new agreement, or None if they refused all.

        ``agreed`` stays as it was then; but they may have ended that stream, too: the next thing is to offer it anew.

        Raises:
            SipMalformed: if it is no description; the old agreement holds on then, too.
        """
        streams, self._offered = self._offered, ()
        theirs = Description.parse(answer).media
        found = (_agree(stream, each) for stream in _best_first(streams) for each in theirs)
        agreed = next((each for each in found if each), None)
        self.agreed = agreed or self.agreed
        self._settled = self._said
        return agreed

    def withdraw(self) -> None:
        """Our offer was refused, or never answered: what was agreed before holds."""
        self._offered = ()

    def answer(self, offer: bytes, *streams: Stream) -> bytes | None:
        """Return our answer to an offer if we would take these, or None if it has nothing for us (488).

        One stream is taken, T.38 before sound; all others are refused in their places. The answer to what was offered
        before is what was answered before.

        Raises:
            SipMalformed: if it is no description.
        """
        theirs = Description.parse(offer).media
        fits = (
            (place, agreed)
            for stream in _best_first(streams)
            for place, each in enumerate(theirs)
            if (agreed := _agree(stream, each))
        )
        taken, self.agreed = next(fits, (-1, self.agreed))
        if taken < 0 or self.agreed is None:
            return None
        answer = _answer(self.agreed, theirs[taken])
        octets = self._say(tuple(answer if at == taken else each.refused() for at, each in enumerate(theirs)))
        self._settled = self._said
        return octets

    def _say(self, media: tuple[Media, ...]) -> bytes:
        """Write a description; its version is another if, and only if, it says other things than the last one."""
        media = tuple(replace(each, host=self._host) for each in media)
        if media != self._said:
            self._version += 1
            self._said = media
        origin = Origin("-", self._session, self._version, self._host)
        return Description(origin=origin, host=self._host, media=media).octets()


_FLIPPED = dict(zip(DIRECTIONS, ("sendrecv", "recvonly", "sendonly", "inactive"), strict=True))


def _best_first(streams: Sequence[Stream]) -> list[Stream]:
    return sorted(streams, key=lambda stream: isinstance(stream, Sound))


def _agree(ours: Stream, theirs: Media) -> Agreement | None:
    """Return what comes of our stream and theirs, the coding that they like best; None if they do not fit."""
    if not theirs.port or not theirs.host:
        return None
    if isinstance(ours, Image):
        if theirs.kind != "image" or theirs.protocol.lower() != "udptl":
            return None
        said = T38.of(theirs)
        return Agreement(ours, theirs.host, theirs.port, theirs.held, t38=ours.t38.agreed(said))
    if theirs.kind != "audio" or not theirs.protocol.upper().startswith("RTP/AVP"):
        return None
    codings = [(law, payload) for law, payload in _codings(theirs) if law in ours.laws]
    if not codings:
        return None
    law, payload = codings[0]
    return Agreement(ours, theirs.host, theirs.port, theirs.held, law, payload)


def _codings(media: Media) -> list[tuple[Law, int]]:
    """Return the laws of G.711 in a stream with their payload types, in the order of the stream."""
    names = {str(law.value): law.name for law in Law}
    for name, value in media.attributes:
        payload, _, coding = (value or "").partition(" ")
        if name.lower() == "rtpmap":
            names[payload] = coding.strip().partition("/")[0].upper()
    listed = ((Law.__members__.get(names.get(each, "")), each) for each in media.formats)
    return [(law, int(each)) for law, each in listed if law and each.isascii() and each.isdecimal() and len(each) < 4]


def _line(stream: Stream) -> Media:
    """Return what offers a stream of ours."""
    if isinstance(stream, Image):
        attributes = stream.t38.attributes()
        return Media(kind="image", port=stream.port, protocol="udptl", formats=("t38",), attributes=attributes)
    return _sound(stream.port, [(law, law.value) for law in stream.laws], "sendrecv", "RTP/AVP")


def _answer(agreed: Agreement, theirs: Media) -> Media:
    """Return what takes a stream of theirs, its protocol as they spell it."""
    if isinstance(agreed.ours, Image):
        attributes = agreed.ours.t38.answer(T38.of(theirs)).attributes()
        return replace(theirs, port=agreed.ours.port, attributes=attributes, formats=("t38",))
    codings = [(law, payload) for law, payload in _codings(theirs) if payload == agreed.payload_type]
    return _sound(agreed.ours.port, codings, _FLIPPED[theirs.direction], theirs.protocol)


def _sound(port: int, codings: list[tuple[Law, int]], direction: str, protocol: str) -> Media:
    maps: list[Attribute] = [("rtpmap", f"{payload} {law.name}/8000") for law, payload in codings]
    return Media(
        kind="audio",
        port=port,
        protocol=protocol,
        formats=tuple(str(payload) for _, payload in codings),
        attributes=(*maps, ("ptime", "20"), (direction, None)),
    )
