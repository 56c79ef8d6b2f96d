"""Where a page goes on the fax page: which width, length and resolution, and the box of pels that it fills.

Pels are not square (204 x 98 per inch at standard resolution), so a box is worked out in millimetres first and turned
into pels across and down separately. A page keeps its true size where it fits; it is turned by a quarter where that
keeps it clearly larger, else made smaller; nothing of it is cut off.
"""

from dataclasses import dataclass
from enum import Enum

from t30.pages import Coding, Length, PageFormat, PageLimits, Resolution, Width

SCAN_LINE_MM = {Width.A4: 215.0, Width.B4: 255.0, Width.A3: 303.0}
"""Length of a scan line of 1728, 2048 and 2432 pels (T.4)."""

LINES_PER_MM = {
    Resolution.STANDARD: 3.85,
    Resolution.FINE: 7.7,
    Resolution.SUPERFINE: 15.4,
    Resolution.R300: 300 / 25.4,
    Resolution.R400: 15.4,
}
"""Scan lines per mm; the names of the resolutions round them to 98, 196 and 391 per inch."""

FALLS_TO = {
    Resolution.STANDARD: (Resolution.STANDARD,),
    Resolution.FINE: (Resolution.FINE, Resolution.STANDARD),
    Resolution.SUPERFINE: (Resolution.SUPERFINE, Resolution.FINE, Resolution.STANDARD),
    Resolution.R300: (Resolution.R300, Resolution.FINE, Resolution.STANDARD),
    Resolution.R400: (Resolution.R400, Resolution.R300, Resolution.SUPERFINE, Resolution.FINE, Resolution.STANDARD),
}
"""A wanted resolution -> what to use in turn when the receiver does not have it; every receiver has standard."""

HEADER_MM = 4.5
LONGEST_MM = 420.0
"""What an unlimited length is used for: the long side of A3."""

FULL_SIZE = 0.98
"""A page this close to its true size counts as being in full size: Letter is 0.4 % wider than a scan line of 1728."""

WORTH_TURNING = 1.15
OVERLENGTH = 1.05
"""How much longer than the agreed length a pel-for-pel page may be: the ITU charts are 4 % longer than A4."""


class Paper(Enum):
    """A paper size: its name, mm across and down, and the scan line that it is read with."""

    A4 = ("a4", 210.0, 297.0, Width.A4)
    LETTER = ("letter", 215.9, 279.4, Width.A4)
    LEGAL = ("legal", 215.9, 355.6, Width.A4)
    B4 = ("b4", 257.0, 364.0, Width.B4)
    A3 = ("a3", 297.0, 420.0, Width.A3)

    def __init__(self, label: str, across: float, down: float, width: Width) -> None:
        self.label = label
        self.across = across
        self.down = down
        self.width = width


@dataclass(frozen=True, slots=True)
class PelForPel:
    """A page that is a fax page already: bilevel, with a fax width and a fax resolution."""

    width: Width
    resolution: Resolution
    rows: int


@dataclass(frozen=True, slots=True)
class PageShape:
    """A page as it is in its file: mm across and down; ``sized`` is false where the file does not tell them."""

    across: float
    down: float
    sized: bool
    pel_for_pel: PelForPel | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """Where the page lies on the fax page, in pels from its top left corner."""

    left: int
    top: int
    across: int
    down: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A fax page before it is drawn. ``turned``: by 90 degrees counterclockwise; ``copied``: pel for pel."""

    width: Width
    length: Length
    resolution: Resolution
    rows: int
    box: Box
    turned: bool
    copied: bool
    header_rows: int

    @property
    def pels(self) -> int:
        """Pels per scan line."""
        return self.resolution.pels(self.width)

    def format(self, *, coding: Coding, ecm: bool) -> PageFormat:
        """Return what this page is on the wire."""
        return PageFormat(self.width, self.length, self.resolution, coding, ecm)


def scan_line_mm(width: Width, resolution: Resolution) -> float:
    """Return how long a scan line is; at 300 pels per inch it is a little longer than at the others."""
    if resolution is Resolution.R300:
        return resolution.pels(width) / 300 * 25.4
    return SCAN_LINE_MM[width]


def place(
    shape: PageShape, *, limits: PageLimits, paper: Paper | None, resolution: Resolution | None, header: bool
) -> Layout:
    """Lay a page out within what both machines can do.

    Args:
        shape: the page.
        limits: what both machines can do; where a wish goes beyond, the next smaller is taken.
        paper: the paper that every page shall fill as well as it can, or None to keep true sizes.
        resolution: the wanted resolution, or None: fine, and a fax page's own.
        header: leave room for a header line above the page.
    """
    copied = _copied(shape, limits=limits, paper=paper, resolution=resolution, header=header)
    if copied is not None:
        return copied
    wanted = resolution or Resolution.FINE
    chosen = next((one for one in FALLS_TO[wanted] if one in limits.resolutions), Resolution.STANDARD)
    if paper is None:
        return _in_true_size(shape, limits=limits, resolution=chosen, header=header)
    return _on_paper(shape, paper, limits=limits, resolution=chosen, header=header)


def _copied(
    shape: PageShape, *, limits: PageLimits, paper: Paper | None, resolution: Resolution | None, header: bool
) -> Layout | None:
    """Return the layout that copies pel for pel, or None where the page is no fax page or may not go as it is."""
    own = shape.pel_for_pel
    if own is None or own.width.value > limits.width.value or own.resolution not in limits.resolutions:
        return None
    if (paper is not None and paper.width is not own.width) or (
        resolution is not None and own.resolution not in FALLS_TO[resolution]
    ):
        return None
    header_rows = _header_rows(own.resolution, header=header)
    rows = own.rows + header_rows
    down = rows / LINES_PER_MM[own.resolution]
    if limits.length.value is not None and down > limits.length.value * OVERLENGTH:
        return None
    box = Box(0, header_rows, own.resolution.pels(own.width), own.rows)
    length = min(_length(down / OVERLENGTH), limits.length, key=_longest)
    return Layout(own.width, length, own.resolution, rows, box, turned=False, copied=True, header_rows=header_rows)


def _in_true_size(shape: PageShape, *, limits: PageLimits, resolution: Resolution, header: bool) -> Layout:
    """Keep the page's true size on the narrowest scan line that takes it, else as large as it can be."""
    # A picture that does not tell its size is no reason to ask for more than A4, nor to lay it on its side.
    widths = [one for one in Width if one.value <= limits.width.value] if shape.sized else [Width.A4]
    longest = _longest(limits.length) if shape.sized else min(_longest(limits.length), Paper.A4.down)
    best: tuple[float, Width, bool] | None = None
    for width in widths:
        for turned in (False, True) if shape.sized else (False,):
            # A header must not make an A4 page longer than A4: it is made 1.5 % smaller instead.
            sheet = min(longest, _longest(_length(shape.across if turned else shape.down)))
            room = sheet - (HEADER_MM if header else 0.0)
            scale = min(1.0, _scale(shape, across=scan_line_mm(width, resolution), down=room, turned=turned))
            if scale >= FULL_SIZE:
                return _laid(shape, (scale, width, turned), resolution=resolution, header=header, down=None)
            if best is None or scale > best[0] * (WORTH_TURNING if turned else 1.0):
                best = (scale, width, turned)
    assert best is not None
    return _laid(shape, best, resolution=resolution, header=header, down=None)


def _on_paper(shape: PageShape, paper: Paper, *, limits: PageLimits, resolution: Resolution, header: bool) -> Layout:
    """Fill the paper, or a smaller one of the same proportions where the receiver has not got it."""
    width = min(paper.width, limits.width, key=lambda one: one.value)
    shrink = min(1.0, SCAN_LINE_MM[width] / SCAN_LINE_MM[paper.width], _longest(limits.length) / paper.down)
    down = paper.down * shrink
    across = scan_line_mm(width, resolution)
    room = down - (HEADER_MM if header else 0.0)
    upright = _scale(shape, across=across, down=room, turned=False)
    aside = _scale(shape, across=across, down=room, turned=True)
    turned = shape.sized and aside > upright * WORTH_TURNING
    scale = aside if turned else upright
    return _laid(shape, (scale, width, turned), resolution=resolution, header=header, down=down)


def _laid(
    shape: PageShape, fit: tuple[float, Width, bool], *, resolution: Resolution, header: bool, down: float | None
) -> Layout:
    """Turn millimetres into pels; ``down`` is the fax page's whole length, None to end it where the page ends."""
    scale, width, turned = fit
    across_mm, down_mm = (shape.down, shape.across) if turned else (shape.across, shape.down)
    pels, lines = resolution.pels(width), LINES_PER_MM[resolution]
    header_rows = _header_rows(resolution, header=header)
    across = min(pels, max(1, round(across_mm * scale * pels / scan_line_mm(width, resolution))))
    rows = max(1, round(down_mm * scale * lines))
    total = rows + header_rows
    if down is not None:
        total = max(round(down * lines), 1 + header_rows)
        rows = min(rows, total - header_rows)
    box = Box((pels - across) // 2, header_rows, across, rows)
    return Layout(width, _length(total / lines), resolution, total, box, turned, copied=False, header_rows=header_rows)


def _scale(shape: PageShape, *, across: float, down: float, turned: bool) -> float:
    page = (shape.down, shape.across) if turned else (shape.across, shape.down)
    return min(across / page[0], down / page[1])


def _header_rows(resolution: Resolution, *, header: bool) -> int:
    return round(HEADER_MM * LINES_PER_MM[resolution]) if header else 0


def _longest(length: Length) -> float:
    return LONGEST_MM if length.value is None else float(length.value)


def _length(down: float) -> Length:
    """Return the shortest agreed length that takes ``down`` mm; half a mm is rounding."""
    return next((one for one in Length if one.value is not None and down <= one.value + 0.5), Length.UNLIMITED)
