"""Plain text laid out on pages, as a PDF in Courier, which the PDF renderer has built in."""

import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

import pikepdf

from faxgw.documents.layout import Paper
from faxgw.errors import RequestError

POINTS_PER_MM = 72 / 25.4
COLUMNS = 80
SIZE = 10.0
ADVANCE = 0.6 * SIZE
LEADING = 12.0
TAB = 8
LINES = 63
"""63 lines of 12 points leave 15 mm above and below on A4."""

LONGEST = 4 * 2**20
"""Octets; some 800 full pages."""

WITHOUT_STROKE = str.maketrans("ŁłĐđĦħŦŧı", "LlDdHhTti")
"""Letters that Unicode does not take apart into a base and an accent."""

UNWANTED = dict.fromkeys(i for i in range(32) if chr(i) not in "\t\n\f")


def text_to_pdf(octets: bytes, name: str) -> bytes:
    """Lay text out: UTF-8, lines broken at 80 columns between words, a form feed begins a page.

    Raises:
        RequestError: if this is not text, or has letters that Courier in Windows-1252 has not.
    """
    if len(octets) > LONGEST:
        raise RequestError("document.too_large", f"{name} has more than {LONGEST >> 20} MB of text.")
    pages = list(_paginated(_decoded(octets, name)))
    left = (Paper.A4.across * POINTS_PER_MM - COLUMNS * ADVANCE) / 2
    top = (Paper.A4.down * POINTS_PER_MM + LINES * LEADING) / 2 - SIZE
    return lines_to_pdf(pages, size=(Paper.A4.across, Paper.A4.down), start=(left, top), font_size=SIZE)


def lines_to_pdf(
    pages: Iterable[list[bytes]], *, size: tuple[float, float], start: tuple[float, float], font_size: float
) -> bytes:
    """Set lines of Windows-1252 in Courier; ``size`` in mm, ``start``: the first baseline, points from below left."""
    contents = (
        b"BT /F %.1f Tf %.1f TL %.2f %.2f Td\n%s\nET"
        % (font_size, LEADING, *start, b"\n".join(b"<" + line.hex().encode() + b"> Tj T*" for line in lines))
        for lines in pages
    )
    return pages_to_pdf(contents, size=size, fonts={"F": "Courier"})


def pages_to_pdf(contents: Iterable[bytes], *, size: tuple[float, float], fonts: Mapping[str, str]) -> bytes:
    """Make a PDF of pages' drawing operators, whose texts are in Windows-1252.

    Args:
        contents: what draws each page, in points from below left.
        size: of the pages, mm across and down.
        fonts: name in ``contents`` -> name of a font that every PDF reader has.
    """
    pdf = pikepdf.new()
    named = {
        f"/{name}": pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name(f"/{font}"),
                Encoding=pikepdf.Name.WinAnsiEncoding,
            )
        )
        for name, font in fonts.items()
    }
    box = [0, 0, size[0] * POINTS_PER_MM, size[1] * POINTS_PER_MM]
    for content in contents:
        page = pikepdf.Dictionary(
            Type=pikepdf.Name.Page,
            MediaBox=box,
            Contents=pdf.make_stream(content),
            Resources=pikepdf.Dictionary(Font=pikepdf.Dictionary(named)),
        )
        pdf.pages.append(pikepdf.Page(page))
    out = io.BytesIO()
    pdf.save(out)
    return out.getvalue()


def shown(text: str) -> bytes:
    """Return the text in Windows-1252, letters without their accents where it has only those, else ``?``.

    >>> shown("Łódź → 5 €").decode("cp1252")
    'Lódz ? 5 €'
    """
    return b"".join(encoded(character) or b"?" for character in text)


def encoded(character: str) -> bytes:
    """Return a character in Windows-1252, empty where not even its base letter is there."""
    for form in (character, unicodedata.normalize("NFKD", character)[0].translate(WITHOUT_STROKE)):
        try:
            return form.encode("cp1252")
        except UnicodeEncodeError:
            continue
    return b""


def _decoded(octets: bytes, name: str) -> str:
    """Return the text, combined, with newlines as the only ends of lines and without other controls."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise RequestError(
            "document.unreadable",
            f"{name} is not a document: PDF, TIFF, PNG, JPEG, DOCX, ODT, RTF, HTML and text in UTF-8 can be sent.",
        )
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).translate(UNWANTED)
    for character in sorted(set(text)):
        if character.isalnum() and not encoded(character):
            line = text[: text.index(character)].count("\n") + 1
            raise RequestError(
                "document.characters",
                f"Line {line} of {name} has the character {character!r}, which the built-in font has not; "
                "send it as a PDF.",
            )
    return text


def _paginated(text: str) -> Iterator[list[bytes]]:
    for part in text.removesuffix("\n").removesuffix("\f").split("\f"):
        lines = [broken for line in part.expandtabs(TAB).split("\n") for broken in _broken(line.rstrip())]
        for first in range(0, len(lines), LINES):
            yield [shown(line) for line in lines[first : first + LINES]]


def _broken(line: str) -> Iterator[str]:
    """Break a line at 80 columns, between words where it can."""
    while len(line) > COLUMNS:
        cut = line.rfind(" ", 1, COLUMNS + 1)
        cut = COLUMNS if cut <= 0 or not line[:cut].strip() else cut
        yield line[:cut].rstrip()
        line = line[cut:].lstrip()
    yield line
