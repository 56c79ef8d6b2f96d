"""Cover pages: the built-in one, drawn here in Helvetica, and templates of the user's own, in text or HTML."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from faxgw.documents.layout import Paper
from faxgw.documents.text import encoded, pages_to_pdf, shown
from faxgw.errors import RequestError

LONGEST_FIELD = 10_000
LONGEST_TEMPLATE = 200_000
"""Characters; one picture within an HTML template takes most of it."""

FONTS = {"R": "Helvetica", "B": "Helvetica-Bold"}
WIDTHS = dict(
    zip(
        map(chr, range(32, 127)),
        [
            *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
            *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
            *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
            *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
            *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
            *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
        ],
        strict=True,
    )
)
"""How wide Helvetica's characters are, in thousandths of the size; those of the bold face are wider by some 5 %."""

BOLD, OTHERS = 1.06, 1000
LEFT, RIGHT = 57.0, 538.0
MIDDLE = 306.0
LABEL = 44.0
TOP = 772.0
MESSAGE_SIZE, MESSAGE_LEADING = 11.5, 16.0
MESSAGE_BOTTOM = 60.0


@dataclass(frozen=True, slots=True)
class CoverFields:
    """What a cover page says. ``pages`` counts the cover page too; ``more``: what only a template of one's own uses."""

    to_name: str = ""
    to_number: str = ""
    from_name: str = ""
    from_number: str = ""
    company: str = ""
    subject: str = ""
    message: str = field(default="", repr=False)
    date: str = ""
    pages: int = 0
    more: Mapping[str, str] = field(default_factory=dict, repr=False)

    def values(self) -> dict[str, str | int]:
        """Return the fields by the names that templates use."""
        own = {name: value for name, value in asdict(self).items() if name != "more"}
        return {**self.more, **own}


@dataclass(frozen=True, slots=True)
class CoverTemplate:
    """What a cover page looks like: the built-in one, or a Jinja template in text or HTML (for which see office.py)."""

    kind: Literal["standard", "text", "html"]
    source: str = field(default="", repr=False)


STANDARD = CoverTemplate("standard")


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover page, to stand before the other parts of a document."""

    fields: CoverFields
    template: CoverTemplate = STANDARD
    name: str = "The cover page"


def checked(cover: Cover) -> Cover:
    """Return the cover page if it is not too long.

    Raises:
        RequestError: ``document.cover``.
    """
    if len(cover.template.source) > LONGEST_TEMPLATE:
        raise RequestError("document.cover", f"The cover template has more than {LONGEST_TEMPLATE:,} characters.")
    for name, value in cover.fields.values().items():
        if len(str(value)) > LONGEST_FIELD:
            reason = f"The field {name} of the cover page has more than {LONGEST_FIELD:,} characters."
            raise RequestError("document.cover", reason)
    return cover


def standard_page(fields: CoverFields) -> bytes:
    """Draw the built-in cover page as a PDF of one A4 page.

    Raises:
        RequestError: ``document.characters``, if Helvetica has not got them; ``document.cover``, if it is too long.
    """
    _check_characters(fields)
    content = b"\n".join(_drawn(fields))
    return pages_to_pdf([content], size=(Paper.A4.across, Paper.A4.down), fonts=FONTS)


def _check_characters(fields: CoverFields) -> None:
    for name, value in fields.values().items():
        for character in str(value):
            if character.isalnum() and not encoded(character):
                raise RequestError(
                    "document.characters",
                    f"The field {name} of the cover page has the character {character!r}, which the built-in font has "
                    "not; use an HTML template.",
                )


def _drawn(fields: CoverFields) -> Iterator[bytes]:
    """Draw from top to bottom: who writes, to whom, when, about what, and the message."""
    title = _fitted(fields.company or fields.from_name, RIGHT - LEFT - 90, 20, bold=True)
    yield _text(LEFT, TOP, 20, title, font="B")
    yield _text(RIGHT - 55.5, TOP, 32, "Fax", font="B")
    yield _rule(TOP - 16, 2.5)
    rows = (
        (("To", fields.to_name), ("From", fields.from_name)),
        (("Fax", fields.to_number), ("Fax", fields.from_number)),
        (("Date", fields.date), ("Pages", str(fields.pages or "") and f"{fields.pages}, this one included")),
    )
    base = TOP - 46
    for row in rows:
        values = [_value(value) for _, value in row]
        for left, (label, _), lines in zip((LEFT, MIDDLE), row, values, strict=True):
            yield _text(left, base, 9, label if lines else "")
            for number, line in enumerate(lines):
                yield _text(left + LABEL, base - 16 * number, 13, line)
        base -= 25 + 16 * (max(map(len, values), default=1) > 1)
    yield _rule(base + 10, 0.8)
    base -= 16
    for line in _broken(fields.subject, RIGHT - LEFT, 15, bold=True):
        yield _text(LEFT, base, 15, line, font="B")
        base -= 20
    yield from _message(fields.message, base - 10)


def _value(text: str) -> list[str]:
    """Return a value in two lines at most."""
    across = MIDDLE - LEFT - LABEL - 20
    lines = _broken(text, across, 13)
    return lines if len(lines) <= 2 else [lines[0], _fitted(" ".join(lines[1:]), across, 13)]


def _message(message: str, base: float) -> Iterator[bytes]:
    for paragraph in message.replace("\r\n", "\n").split("\n"):
        for line in _broken(paragraph, RIGHT - LEFT, MESSAGE_SIZE) or [""]:
            if base < MESSAGE_BOTTOM:
                most = int((TOP - 190 - MESSAGE_BOTTOM) / MESSAGE_LEADING)
                raise RequestError(
                    "document.cover",
                    f"The message is too long for the cover page, which takes some {most} lines; make it shorter.",
                )
            yield _text(LEFT, base, MESSAGE_SIZE, line)
            base -= MESSAGE_LEADING


def _broken(text: str, across: float, size: float, *, bold: bool = False) -> list[str]:
    """Break text into lines between words; a word that is longer than a line is broken too."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer, size, bold=bold) <= across:
            lines[-1] = longer
            continue
        lines.append("")
        for character in word:
            if _width(lines[-1] + character, size, bold=bold) > across:
                lines.append("")
            lines[-1] += character
    return [line for line in lines if line]


def _fitted(text: str, across: float, size: float, *, bold: bool = False) -> str:
    """Return the text, cut off where it would run into what stands beside it."""
    text = " ".join(text.split())
    if _width(text, size, bold=bold) <= across:
        return text
    while text and _width(text + "…", size, bold=bold) > across:
        text = text[:-1]
    return text.rstrip() + "…"


def _width(text: str, size: float, *, bold: bool) -> float:
    bases = (unicodedata.normalize("NFKD", character)[0] for character in text)
    return sum(WIDTHS.get(base, OTHERS) for base in bases) * size / 1000 * (BOLD if bold else 1.0)


def _text(x: float, y: float, size: float, text: str, font: str = "R") -> bytes:
    return b"BT /%s %.1f Tf %.2f %.2f Td <%s> Tj ET" % (font.encode(), size, x, y, shown(text).hex().encode())


def _rule(y: float, thickness: float) -> bytes:
    return b"%.1f w %.2f %.2f m %.2f %.2f l S" % (thickness, LEFT, y, RIGHT, y)
