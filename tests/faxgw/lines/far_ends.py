"""Fax machines of a test's own on the simulated exchange, which remember every call."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from faxgw.documents.coded import page_hash
from simulators.machine import Habit
from simulators.numbers import Far
from simulators.personalities import CountsPages
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import decoded
from t30.line import Action, Event, FrameReceived, HangUp
from t30.pages import KeepData, PageFormat
from t30.t4 import Decoder


@dataclass
class Heard:
    """One call as the machine heard it.

    Attributes:
        said: the last text of each kind of frame that has one, such as SUB.
        ended: the machine went on hook. It need not have heard DCN: whoever is cut off in the training check says it
            while this machine says that the check was bad, and neither hears the other.
    """

    said: dict[Fcf, str] = field(default_factory=dict)
    ended: bool = False
    confirmed: list[int] = field(default_factory=list)
    _octets: dict[int, tuple[PageFormat, bytearray]] = field(default_factory=dict)

    @property
    def hashes(self) -> list[bytes]:
        """Return the hash of each page that came, in order."""
        return [_hash(*self._octets[index]) for index in sorted(self._octets)]

    def keep(self, data: KeepData) -> None:
        """Take the next octets of a page."""
        self._octets.setdefault(data.index, (data.format, bytearray()))[1].extend(data.octets)

    def hear(self, octets: bytes) -> None:
        """Take note of a frame."""
        frame = Frame.parse(octets)
        if frame is not None and frame.fcf in (Fcf.SUB, Fcf.PWD, Fcf.TSI):
            self.said[frame.fcf] = decoded(frame.fif)


class FarEnd:
    """A number whose machine confirms every page, and hangs up after some where a test wants it to.

    Attributes:
        calls: what it heard, call by call.
    """

    def __init__(
        self, number: str, station: Station | None = None, *, drops_after: tuple[int | None, ...] = ()
    ) -> None:
        self.number = number
        self.calls: list[Heard] = []
        self._drops_after = drops_after
        self.far = Far(station or Station(f"+{number}"), habit=self._habit)

    def _habit(self, _told: Callable[[int], None]) -> Habit:
        count = len(self.calls)
        self.calls.append(heard := Heard())
        at_most = self._drops_after[count] if count < len(self._drops_after) else None
        return _Remembers(heard, at_most)


class _Remembers(CountsPages):
    def __init__(self, heard: Heard, at_most: int | None) -> None:
        super().__init__(told=heard.confirmed.append, at_most=at_most)
        self._heard = heard

    def do(self, action: Action) -> Generator[Action, Event, Event]:
        if isinstance(action, KeepData):
            self._heard.keep(action)
        event = yield from super().do(action)
        self._heard.ended |= isinstance(action, HangUp)
        if isinstance(event, FrameReceived) and event.good:
            self._heard.hear(event.octets)
        return event


def _hash(format: PageFormat, octets: bytearray) -> bytes:
    decoder = Decoder(format.coding, format.pels)
    decoder.feed(bytes(octets))
    return page_hash(decoder.finish().bitmap, format.resolution)
