import unicodedata
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest

from faxgw.documents.document import open_document
from faxgw.documents.text import text_to_pdf
from faxgw.errors import RequestError
from tests.faxgw.documents.making import limits


def pages_of(text: str | bytes) -> list[list[str]]:
    """Return what the laid-out pages say, line by line."""
    pdf = pdfium.PdfDocument(text_to_pdf(text if isinstance(text, bytes) else text.encode(), "note.txt"))
    return [page.get_textpage().get_text_range().split("\r\n") for page in pdf]


def test_lines_stay_lines() -> None:
    assert pages_of("one\ntwo\r\nthree\rfour") == [["one", "two", "three", "four"]]


def test_long_lines_break_between_words_at_80_columns() -> None:
    (page,) = pages_of("word " * 40)
    assert [line.rstrip() for line in page] == [
        " ".join(["word"] * 16),
        " ".join(["word"] * 16),
        " ".join(["word"] * 8),
    ]


def test_a_word_longer_than_a_line_is_cut_and_nothing_is_lost() -> None:
    (page,) = pages_of("x" * 200)
    assert "".join(page) == "x" * 200
    assert max(map(len, page)) == 80


def test_a_form_feed_and_63_lines_begin_a_page() -> None:
    assert [len(page) for page in pages_of("\n".join(["a line"] * 70) + "\fend\n")] == [63, 7, 1]


@pytest.mark.parametrize("text", ["Grüße, 5 € – „naïve“ façade", "\ufeffwith a byte order mark", "a\u0308 combined"])
def test_western_text_is_shown_whole(text: str) -> None:
    assert pages_of(text) == [[unicodedata.normalize("NFC", text.removeprefix("\ufeff"))]]


def test_letters_of_central_europe_lose_their_accents_but_stay() -> None:
    assert pages_of("Łódź, Győr, Čapek")[0] == ["Lódz, Gyor, Capek"]


def test_letters_that_cannot_be_shown_are_refused_with_their_line() -> None:
    with pytest.raises(RequestError, match=r"Line 2 of note\.txt has the character 'Ж'") as refused:
        text_to_pdf("fine\nЖ".encode(), "note.txt")
    assert refused.value.code == "document.characters"


def test_a_sign_that_cannot_be_shown_is_a_question_mark() -> None:
    assert pages_of("done ✅ → next") == [["done ? ? next"]]


@pytest.mark.parametrize("octets", [b"\xff\xfeh\0i\0", b"caf\xe9", b"a\0b", bytes(100)])
def test_what_is_not_utf_8_text_is_no_document(octets: bytes) -> None:
    with pytest.raises(RequestError, match="is not a document") as refused:
        text_to_pdf(octets, "note.txt")
    assert refused.value.code == "document.unreadable"


def test_text_without_bounds_is_refused() -> None:
    with pytest.raises(RequestError, match="more than 4 MB of text") as refused:
        text_to_pdf(b"x" * (4 * 2**20 + 1), "note.txt")
    assert refused.value.code == "document.too_large"


def test_text_is_drawn_in_a_fixed_pitch_within_the_page(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("i" * 80 + "\n" + "M" * 80 + "\n")
    with open_document([note]) as document:
        pels = document.bitmap(0, document.layout(0, limits())).pels()
    rows = np.flatnonzero(pels.any(axis=1))
    gap = int(np.flatnonzero(np.diff(rows) > 3)[0])
    first, second = pels[: rows[gap] + 1], pels[rows[gap] + 1 :]
    widths = [np.flatnonzero(line.any(axis=0)) for line in (first, second)]
    assert widths[0][0] == pytest.approx(widths[1][0], abs=10)
    assert widths[0][-1] == pytest.approx(widths[1][-1], abs=10)
    assert widths[1][0] > 100
    assert widths[1][-1] < 1628
