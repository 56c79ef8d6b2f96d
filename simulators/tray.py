"""The paper trays of a simulated fax machine, in memory: pages to send, and pages received."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from t30.pages import (
    ANYBODY,
    AdmitPoller,
    Admitted,
    AnotherDocument,
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Key,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageAction,
    PageEvent,
    PageFormat,
    PageReady,
    Resolution,
    Verdict,
    Width,
)
from t30.t4 import Bitmap, Decoded, PageDecoder, coded, decoder, usual_k


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A page to send, which is coded as the call asks for it."""

    bitmap: Bitmap = field(repr=False)
    width: Width = Width.A4
    resolution: Resolution = Resolution.STANDARD
    length: Length = Length.A4
    _coded: dict[tuple[PageFormat, int], bytes] = field(default_factory=dict, init=False, repr=False)

    def coded(self, format: PageFormat, min_row_bits: int) -> bytes:
        """Return it as it goes out; a page that was coded so before is not coded again."""
        way = (format, min_row_bits)
        if way not in self._coded:
            k = usual_k(self.resolution)
            self._coded[way] = coded(self.bitmap, format.coding, k=k, min_row_bits=min_row_bits, shortest=True)
        return self._coded[way]


@dataclass(slots=True)
class ReceivedPage:
    """A page as it came: what was handed over, and what it decodes to."""

    format: PageFormat
    octets: bytearray = field(default_factory=bytearray)
    decoded: Decoded | None = None
    """None until the page is judged."""
    _decoder: PageDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = decoder(self.format.coding, self.format.pels)

    @property
    def ended(self) -> bool:
        """RTC or EOFB came."""
        return self._decoder.page_ended

    def keep(self, octets: bytes) -> Kept:
        """Take the next octets."""
        self.octets += octets
        self._decoder.feed(octets)
        return Kept(self._decoder.page_ended)

    def judge(self, *, durable: bool) -> Verdict:
        """Say how good it is; nothing is kept after that."""
        self.decoded = self.decoded or self._decoder.finish()
        return Verdict(self.decoded.rows, self.decoded.bad_rows, self.decoded.longest_bad_run, durable)


class Tray:
    """A page source and target.

    Args:
        outgoing: pages to send: sheets, or pages that are coded already and go out as they are.
        slow: how often in a row a page is said not to be durable yet.
        key: what a caller must say who wants to fetch the pages.
        begins: pages, from 0, with which another document begins.
        withdrawn: one that is promised, and is not there any more when it is its turn.

    Attributes:
        received: the pages that came, by index; a page sent again replaces the one before.
        replaced: the pages that were, in order.
    """

    def __init__(
        self,
        outgoing: Sequence[Sheet | PageReady] = (),
        *,
        slow: int = 0,
        key: Key = ANYBODY,
        begins: Collection[int] = (),
        withdrawn: int | None = None,
    ) -> None:
        self.outgoing = tuple(outgoing)
        self._begins = begins
        self._withdrawn = withdrawn
        self._confirmed: set[int] = set()
        self.key = key
        self.received: dict[int, ReceivedPage] = {}
        self.replaced: list[ReceivedPage] = []
        self._slow = slow
        self._asked = 0

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer one action.

        Raises:
            ValueError: if a page is beyond what the receiver can take: nothing is scaled here.
        """
        match action:
            case FetchPage():
                return self._fetch(action)
            case NoteConfirmed(index):
                self._confirmed.add(index)
                return Noted()
            case AdmitPoller():
                return Admitted(self.key.opens(action))
            case KeepData(index, format, octets):
                return self._place(index, format).keep(octets)
            case JudgePage(index):
                return self._judge(index)

    def _fetch(self, action: FetchPage) -> PageReady | NoMorePages | AnotherDocument:
        if action.index in self._begins and action.index - 1 not in self._confirmed:
            return AnotherDocument()
        if action.index >= len(self.outgoing) or action.index == self._withdrawn:
            return NoMorePages()
        page, limits = self.outgoing[action.index], action.limits
        if isinstance(page, PageReady):
            return page
        if page.width.value > limits.width.value or page.resolution not in limits.resolutions:
            raise ValueError(f"page {action.index + 1} is {page.width} {page.resolution}, beyond {limits}")
        format = PageFormat(page.width, page.length, page.resolution, limits.coding, limits.ecm)
        return PageReady(format, page.coded(format, action.min_row_bits), page.bitmap.rows)

    def _place(self, index: int, format: PageFormat) -> ReceivedPage:
        page = self.received.get(index)
        if page is not None and page.decoded is None:
            return page
        if page is not None:
            self.replaced.append(page)
        self._asked = 0
        self.received[index] = ReceivedPage(format)
        return self.received[index]

    def _judge(self, index: int) -> Verdict:
        self._asked += 1
        durable = self._asked > self._slow
        page = self.received.get(index)
        return page.judge(durable=durable) if page else Verdict(0, 0, 0, durable)
