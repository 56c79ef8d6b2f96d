"""A recorded call as a ladder diagram (SVG): caller left, answerer right, time downward; for light, dark and paper."""

import math
import re
import textwrap
from dataclasses import dataclass, field
from itertools import groupby
from xml.sax.saxutils import escape

from faxgw.trace import listing, summary, words
from faxgw.trace.record import Trace
from faxgw.trace.signalling import datagrams, with_network
from faxgw.trace.signals import party
from faxgw.trace.story import Kind, Line, Party, Signal

WIDTH = 960
LIFELINE = {Party.CALLER: 96, Party.ANSWERER: 848}
POINT = 14
"""How far the tip of an arrow reaches, in pixels."""
ROW = 17
BASELINE = 0.74
"""Where letters stand in a row, from its top."""
PADDING = 7
LETTERS = 98
"""So many letters fit between the two lifelines."""
LETTER = 6.8
"""Width of a letter, on average, in the widest of the fonts."""
LABELS, LETTERS_AT_FOOT = 126, 116
"""Where the text at the foot begins, beside what it is about; and how many letters fit there."""
OCTAVE = 30.0
"""Pixels by which a long signal grows when it lasts twice as long: ten minutes of page make no sheet of ten metres."""
LONG = 6.0
"""Seconds from which on a signal counts as long."""
GAP = (7.0, 30.0)
"""Least and most space between two signals."""
GAP_PER_SECOND = 4.0
CLOSE = 3.0
"""Space between two messages of SIP: what belongs together stands together."""
PAGES_AT_FOOT = 12

# Light first: what prints is light, whatever the screen is.
_COLOURS = {
    "paper": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "dim": ("#656d76", "#8d96a0"),
    "rail": ("#afb8c1", "#484f58"),
    "call": ("#eaeef2", "#21262d"),
    "tone": ("#efe3fb", "#322347"),
    "frames": ("#dcecfd", "#12304f"),
    "training": ("#fdf0c8", "#42340f"),
    "page": ("#d5f2dc", "#123a21"),
    "passed": ("#f6f8fa", "#161b22"),
    "sip": ("#ffffff", "#0d1117"),
    "bad": ("#c21e2b", "#ff7b72"),
    "wait": ("#b7791f", "#d9a441"),
    "good": ("#1a7f37", "#3fb950"),
}
_EDGES = {
    "call": ("#afb8c1", "#484f58"),
    "tone": ("#b58be0", "#7d57ad"),
    "frames": ("#6ea8e6", "#2f6cad"),
    "training": ("#d9b13b", "#8f7323"),
    "page": ("#59b873", "#2c7d45"),
    "passed": ("#afb8c1", "#484f58"),
    "sip": ("#656d76", "#8d96a0"),
}


def ladder(trace: Trace) -> str:
    """Return the diagram as the text of an SVG file."""
    sheet = _Sheet(party(trace))
    _head(sheet, trace)
    top = sheet.y
    sheet.y += ROW
    before: Signal | None = None
    for signal in with_network(trace):
        sheet.y += _gap(before, signal)
        draw = _mark if signal.kind is Kind.MARK else _arrow if signal.travels else _note
        draw(sheet, signal)
        before = signal
    sheet.y += GAP[1]
    rails = [f'<line class="rail" x1="{x}" y1="{top:.0f}" x2="{x}" y2="{sheet.y:.0f}"/>' for x in LIFELINE.values()]
    _foot(sheet, trace)
    height = round(sheet.y)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description">',
            f'<title id="title">{_text(listing.title(trace))}</title>',
            f'<desc id="description">{_text(_description(trace))}</desc>',
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            *rails,
            *sheet.drawn,
            "</svg>\n",
        )
    )


def _description(trace: Trace) -> str:
    """Say what is to be seen, for who does not see it."""
    return " ".join(f"{point.about}: {point.words}." for point in summary.summary(trace))


@dataclass(slots=True)
class _Sheet:
    """What is drawn so far, and how far down."""

    own: Party
    y: float = 0.0
    drawn: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> None:
        """Write a text, its baseline at ``y``."""
        placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.drawn.append(f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}"{placed}>{_text(words)}</text>')

    def rows(self, x: float, top: float, lines: list["_Row"], *, anchor: str = "start") -> None:
        """Write rows from ``top`` on."""
        placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
        for number, row in enumerate(lines):
            y = top + ROW * (number + BASELINE)
            name = f'<tspan class="name">{_text(row.name)}</tspan>  ' if row.name else ""
            self.drawn.append(
                f'<text class="{row.kind}" x="{x:.0f}" y="{y:.0f}"{placed}>{name}{_text(row.words)}</text>'
            )


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of text."""

    name: str
    words: str
    kind: str


def _head(sheet: _Sheet, trace: Trace) -> None:
    sheet.text(24, 34, listing.headline(trace), "title")
    sheet.text(24, 54, listing.source(trace), "dim")
    whole = trace.outcome is not None and trace.outcome.complete
    sheet.text(24, 76, summary.result(trace.outcome), "won" if whole else "lost")
    idents = {sheet.own: trace.header.station.ident, sheet.own.other: trace.outcome.remote_id if trace.outcome else ""}
    for side, x in LIFELINE.items():
        sheet.text(x, 106, side.value, "side", anchor="middle")
        sheet.text(x, 123, idents[side], "dim", anchor="middle")
    sheet.text(LIFELINE[Party.CALLER] - 12, 142, "start, s", "time", anchor="end")
    sheet.text(LIFELINE[Party.ANSWERER] + 12, 142, "lasts", "time")
    sheet.y = 132


def _gap(before: Signal | None, signal: Signal) -> float:
    """Return the space above a signal."""
    if before is not None and before.kind is signal.kind is Kind.SIP:
        return CLOSE
    seconds = signal.start - (before.end if before else min(signal.start, 0.0))
    return min(max(seconds * GAP_PER_SECOND, GAP[0]), GAP[1])


def _mark(sheet: _Sheet, signal: Signal) -> None:
    """Draw a line across, from which on something else holds."""
    height = ROW + 2 * PADDING
    middle, ends = sheet.y + height / 2, sorted(LIFELINE.values())
    sheet.drawn.append(f'<line class="mark" x1="{ends[0]}" y1="{middle:.0f}" x2="{ends[1]}" y2="{middle:.0f}"/>')
    (row,) = _wrapped(signal.lines)
    width = (len(row.name) + len(row.words)) * LETTER + 30
    left = sum(ends) / 2 - width / 2
    sheet.drawn.append(f'<rect class="paper" x="{left:.0f}" y="{sheet.y:.0f}" width="{width:.0f}" height="{height}"/>')
    sheet.rows(sum(ends) / 2, middle - ROW / 2, [row], anchor="middle")
    _times(sheet, signal, height)
    sheet.y += height


def _arrow(sheet: _Sheet, signal: Signal) -> None:
    """Draw a signal as a block with its tip at the machine that hears it."""
    rows = _wrapped(signal.lines)
    seconds = signal.end - signal.start
    height = max(len(rows) * ROW + 2 * PADDING, OCTAVE * math.log2(1 + seconds / LONG))
    start, end = LIFELINE[signal.by], LIFELINE[signal.by.other]
    neck = end - POINT if end > start else end + POINT
    top, middle, bottom = sheet.y, sheet.y + height / 2, sheet.y + height
    corners = ((start, top), (neck, top), (end, middle), (neck, bottom), (start, bottom))
    points = " ".join(f"{x:.0f},{y:.1f}" for x, y in corners)
    kind = signal.kind.value + (" damaged" if signal.bad else "")
    sheet.drawn.append(f'<polygon class="{kind}" points="{points}"/>')
    sheet.rows(LIFELINE[Party.CALLER] + POINT + 10, middle - len(rows) * ROW / 2, rows)
    _times(sheet, signal, height)
    sheet.y = bottom


def _note(sheet: _Sheet, signal: Signal) -> None:
    """Draw what one machine does by itself, or waits for, at its lifeline."""
    rows = _wrapped(signal.lines)
    height = len(rows) * ROW + 2 * PADDING
    x = LIFELINE[signal.by]
    inward = 1 if signal.by is Party.CALLER else -1
    if signal.kind is Kind.SILENCE:
        sheet.drawn.append(f'<line class="wait" x1="{x}" y1="{sheet.y:.0f}" x2="{x}" y2="{sheet.y + height:.0f}"/>')
        rows = [_Row(row.name, row.words, "waited") for row in rows]
    else:
        kind = "spot bad" if signal.bad else "spot"
        sheet.drawn.append(f'<circle class="{kind}" cx="{x}" cy="{sheet.y + height / 2:.0f}" r="4"/>')
    sheet.rows(x + inward * (POINT + 10), sheet.y + PADDING, rows, anchor="start" if inward > 0 else "end")
    _times(sheet, signal, height)
    sheet.y += height


def _times(sheet: _Sheet, signal: Signal, height: float) -> None:
    y = sheet.y + height / 2 + ROW * (BASELINE - 0.5)
    sheet.text(LIFELINE[Party.CALLER] - 12, y, f"{signal.start:.1f}", "time", anchor="end")
    if signal.end - signal.start >= 0.05:
        sheet.text(LIFELINE[Party.ANSWERER] + 12, y, words.seconds(signal.end - signal.start), "time")


def _foot(sheet: _Sheet, trace: Trace) -> None:
    """Write what the call came to, why, and where the time went; then the pages."""
    outcome = trace.outcome
    sheet.y += 10
    top = sheet.y
    first, *others = summary.summary(trace)
    sheet.rows(44, sheet.y, [_Row("", first.words, "won" if first.good else "lost")])
    sheet.y += ROW + 4
    for about, points in groupby(others, key=lambda point: point.about):
        _labelled(sheet, about, [(point.words, "bad" if point.good is False else "") for point in points])
    pages = outcome.pages if outcome is not None else ()
    told = [(listing.page(page), "" if page.confirmed else "bad") for page in pages[:PAGES_AT_FOOT]]
    if len(pages) > PAGES_AT_FOOT:
        told.append((f"and {words.counted(len(pages) - PAGES_AT_FOOT, 'page')} more", "dim"))
    _labelled(sheet, "pages", told)
    network = datagrams(trace)
    _labelled(sheet, "network", [(network, "dim")] if network else [])
    kind = "won" if first.good else "lost"
    sheet.drawn.append(f'<rect class="{kind}" x="24" y="{top:.0f}" width="4" height="{sheet.y - top:.0f}" rx="2"/>')
    sheet.y += 24


def _labelled(sheet: _Sheet, about: str, told: list[tuple[str, str]]) -> None:
    """Write some texts, each with its kind, and beside the first what they are about."""
    rows = [
        _Row("", part, kind)
        for text, kind in told
        for part in textwrap.wrap(text, LETTERS_AT_FOOT, break_on_hyphens=False)
    ]
    if rows:
        sheet.rows(44, sheet.y, [_Row("", about, "dim")])
        sheet.rows(LABELS, sheet.y, rows)
        sheet.y += len(rows) * ROW


def _wrapped(lines: tuple[Line, ...]) -> list[_Row]:
    rows = []
    for line in lines:
        kind = "bad" if line.bad else ""
        first, *more = textwrap.wrap(line.words, LETTERS - len(line.name), break_on_hyphens=False) or [""]
        rows += [_Row(line.name, first, kind), *(_Row("", part, kind) for part in more)]
    return rows


def _text(words: str) -> str:
    # What XML cannot hold may stand in an identity or in a trace that somebody made by hand.
    return escape(re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", words))


def _style() -> str:
    def palette(which: int) -> str:
        colour = {name: pair[which] for name, pair in _COLOURS.items()}
        blocks = " ".join(f".{name} {{ fill: {colour[name]}; stroke: {pair[which]} }}" for name, pair in _EDGES.items())
        return (
            f"text {{ fill: {colour['ink']} }} .paper {{ fill: {colour['paper']} }} "
            f".rail {{ stroke: {colour['rail']} }} .mark {{ stroke: {colour['dim']} }} "
            f"{blocks} .damaged {{ stroke: {colour['bad']} }} "
            f"text.dim, text.time {{ fill: {colour['dim']} }} .spot {{ fill: {colour['dim']} }} "
            f"text.bad, .spot.bad, .lost {{ fill: {colour['bad']} }} .won {{ fill: {colour['good']} }} "
            f".wait {{ stroke: {colour['wait']} }} text.waited {{ fill: {colour['wait']} }}"
        )

    return (
        "text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif; "
        "white-space: pre } .title { font-size: 18px; font-weight: 600 } .side { font-weight: 600 } "
        ".name { font-weight: 600 } .time { font-size: 12px; font-variant-numeric: tabular-nums } "
        "text.won, text.lost { font-size: 14px } "
        ".rail { stroke-width: 2 } .mark { stroke-width: 1.5; stroke-dasharray: 6 4 } "
        ".wait { stroke-width: 4; stroke-dasharray: 3 3 } "
        f"polygon {{ stroke-width: 1; stroke-linejoin: round }} {palette(0)} "
        f"@media screen and (prefers-color-scheme: dark) {{ {palette(1)} }}"
    )
