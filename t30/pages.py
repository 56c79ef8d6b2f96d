"""The port to page data. The engine never looks inside a page: encoding, judging and durable storing happen behind it.

A page source answers ``FetchPage`` and ``NoteConfirmed``, one that may be polled ``AdmitPoller``, too; a page target
answers ``KeepData`` and ``JudgePage``.
"""

from dataclasses import dataclass, field
from enum import Enum
from hmac import compare_digest
from typing import Protocol


class Coding(Enum):
    """How a page's scan lines are coded (T.4, T.6), or the page as a whole (T.85)."""

    MH = "MH"
    MR = "MR"
    MMR = "MMR"
    T85 = "T.85"

    def __str__(self) -> str:
        return self.value


USUAL_CODINGS = frozenset({Coding.MH, Coding.MR, Coding.MMR})
"""Those of T.4 and T.6; T.85 (JBIG) is used where it is asked for."""


class Width(Enum):
    """Recording width; the value is the number of pels per scan line at 8 pels/mm."""

    A4 = 1728
    B4 = 2048
    A3 = 2432

    def __str__(self) -> str:
        return self.name


class Length(Enum):
    """Longest page that may be sent; the value is the length in mm."""

    A4 = 297
    B4 = 364
    UNLIMITED = None

    def __str__(self) -> str:
        return self.name if self.value else "unlimited"


class Resolution(Enum):
    """Pels per inch across and down, as the fax world rounds them, and how the name is said on screen."""

    STANDARD = (204, 98, "standard")
    FINE = (204, 196, "fine")
    SUPERFINE = (204, 391, "superfine")
    R300 = (300, 300, "300")
    R400 = (408, 391, "400")

    def __init__(self, across: int, down: int, label: str) -> None:
        self.across = across
        self.down = down
        self.label = label

    def __str__(self) -> str:
        return self.label

    def pels(self, width: Width) -> int:
        """Pels per scan line of a page of this width (T.4: 1728, 2048, 2432; more at 300 and 400 pels per inch).

        >>> [Resolution.R300.pels(Width.A4), Resolution.R400.pels(Width.A3)]
        [2592, 4864]
        """
        if self is Resolution.R300:
            return width.value * 3 // 2
        return width.value * 2 if self is Resolution.R400 else width.value


@dataclass(frozen=True, slots=True)
class PageFormat:
    """What one page is on the wire."""

    width: Width
    length: Length
    resolution: Resolution
    coding: Coding
    ecm: bool

    @property
    def pels(self) -> int:
        """Pels per scan line."""
        return self.resolution.pels(self.width)


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What both machines can do: a page source picks each page's format within it.

    ``coding`` and ``ecm`` are settled by the engine; size and resolution follow the page. In error correction mode a
    source may take another of ``codings`` where the page is shorter so: between pages that costs a negotiation.
    """

    width: Width
    length: Length
    resolutions: frozenset[Resolution]
    coding: Coding
    ecm: bool
    codings: frozenset[Coding] = frozenset()


@dataclass(frozen=True, slots=True)
class FetchPage:
    """Ask a source for page ``index`` (from 0), each scan line at least ``min_row_bits`` bits long, fill included.

    The engine fetches the page after the one that it is about to send, so that it knows which of MPS, EOM and EOP
    follows; and the same page again when the rate, and with it ``min_row_bits``, has changed.
    """

    index: int
    limits: PageLimits
    min_row_bits: int
    receiver: str = ""
    """What the answering station calls itself: a source may refuse to give its pages to a stranger."""


@dataclass(frozen=True, slots=True)
class NoteConfirmed:
    """Tell a source that page ``index`` was confirmed: it takes note of that before the next command is sent.

    ``octets`` on the wire; ``seconds`` from the page's first signal to its confirmation.
    """

    index: int
    format: PageFormat
    rows: int
    octets: int
    seconds: float


@dataclass(frozen=True, slots=True)
class KeepData:
    """Hand a target the next octets of page ``index``: one chunk, or in error correction mode one whole block.

    Data for an index that was judged before replaces that page: it was refused and is being sent again.
    """

    index: int
    format: PageFormat
    octets: bytes


@dataclass(frozen=True, slots=True)
class JudgePage:
    """Ask a target how good page ``index`` is, and make it durable; asked again when it was not durable in time."""

    index: int


@dataclass(frozen=True, slots=True)
class AdmitPoller:
    """Ask a source whether a caller may fetch its document, of which the next ``FetchPage`` is the first page.

    Each field is what the caller said, empty if it did not: its identity, the document that it wants, a password.
    """

    caller: str
    address: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PageReady:
    """The page, coded and ready to send: ``octets`` first bit on the wire = least significant, RTC or EOFB included."""

    format: PageFormat
    octets: bytes
    rows: int
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class NoMorePages:
    """The document has fewer pages than that."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class AnotherDocument:
    """The document has fewer pages than that, and another one is to follow in the same call (after EOM).

    Its pages go on counting. It is fetched when the last page is confirmed and all is negotiated anew; there may be
    ``NoMorePages`` then.
    """

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Noted:
    """The confirmation will not be forgotten."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whether the caller may have the document."""

    granted: bool
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The octets are taken. ``page_ended``: an RTC or EOFB was seen, so that the sender turns to V.21 now."""

    page_ended: bool
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A page as decoded: scan lines, how many are damaged, the longest run of those, and whether it is safe on disk."""

    rows: int
    bad_rows: int
    longest_bad_run: int
    durable: bool
    at: float = 0.0


PageAction = FetchPage | NoteConfirmed | AdmitPoller | KeepData | JudgePage
PageEvent = PageReady | NoMorePages | AnotherDocument | Noted | Admitted | Kept | Verdict


@dataclass(frozen=True, slots=True)
class Key:
    """What a caller must say to be given a document: which one it is, a password; empty: whatever it says is right."""

    address: str = ""
    password: str = field(default="", repr=False)

    def opens(self, said: AdmitPoller) -> bool:
        """Tell whether the caller has said it."""
        return self.address in ("", said.address) and (
            not self.password or compare_digest(self.password.encode(), said.password.encode())
        )


ANYBODY = Key()


class PagePort(Protocol):
    """A page source, a page target, or both."""

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer one action. ``JudgePage`` answers within 2 s, with ``durable`` false if storing takes longer."""
        ...
