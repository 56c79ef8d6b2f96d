import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pikepdf
import pytest

from faxgw.documents.coded import coded_page
from faxgw.documents.pdf import write_pdf
from t30.pages import USUAL_CODINGS, Resolution, Width
from t30.t4 import Bitmap
from tests.faxgw.documents.making import pdf_pels, text_like


@pytest.mark.parametrize("width", Width)
@pytest.mark.parametrize("resolution", Resolution)
def test_pdfium_shows_every_pel_of_every_coding(tmp_path: Path, width: Width, resolution: Resolution) -> None:
    pages = [text_like(700, resolution.pels(width), seed) for seed in range(3)]
    coded = [
        coded_page(Bitmap.from_pels(page), width=width, resolution=resolution, coding=coding)
        for page, coding in zip(pages, sorted(USUAL_CODINGS, key=str), strict=True)
    ]
    write_pdf(tmp_path / "fax.pdf", coded)
    for index, page in enumerate(pages):
        shown = pdf_pels(tmp_path / "fax.pdf", index, pels=page.shape[1], rows=page.shape[0])
        assert np.count_nonzero(shown != page) == 0


@pytest.mark.parametrize(
    ("resolution", "width", "rows", "across_mm", "down_mm"),
    [
        (Resolution.STANDARD, Width.A4, 1143, 215, 297),
        (Resolution.FINE, Width.B4, 2803, 255, 364),
        (Resolution.R300, Width.A4, 3508, 219.5, 297),
        (Resolution.R400, Width.A3, 6468, 303, 420),
    ],
)
def test_a_page_has_its_true_size(
    tmp_path: Path, *, resolution: Resolution, width: Width, rows: int, across_mm: float, down_mm: float
) -> None:
    bitmap = Bitmap.from_pels(np.zeros((rows, resolution.pels(width)), np.uint8))
    write_pdf(tmp_path / "fax.pdf", [coded_page(bitmap, width=width, resolution=resolution)])
    with pikepdf.open(tmp_path / "fax.pdf") as pdf:
        box = [float(side) / 72 * 25.4 for side in pdf.pages[0].mediabox]
    assert box == pytest.approx([0, 0, across_mm, down_mm], abs=0.3)


def test_the_coded_page_is_inside_as_it_was(tmp_path: Path) -> None:
    page = coded_page(Bitmap.from_pels(text_like(300, 1728)), width=Width.A4, resolution=Resolution.FINE)
    write_pdf(tmp_path / "fax.pdf", [page])
    with pikepdf.open(tmp_path / "fax.pdf") as pdf:
        assert pdf.pages[0].Resources.XObject.Fax.read_raw_bytes() == page.octets


def test_poppler_shows_every_pel_too(tmp_path: Path, peer: Callable[[str], Path]) -> None:
    page = text_like(500, 1728)
    coded = [
        coded_page(Bitmap.from_pels(page), width=Width.A4, resolution=Resolution.FINE, coding=coding)
        for coding in sorted(USUAL_CODINGS, key=str)
    ]
    write_pdf(tmp_path / "fax.pdf", coded)
    subprocess.run([peer("pdfimages"), tmp_path / "fax.pdf", tmp_path / "page"], check=True, stderr=subprocess.PIPE)
    images = sorted(tmp_path.glob("page-*.pbm"))
    assert len(images) == 3
    for image in images:
        packed = np.frombuffer(image.read_bytes()[-500 * 216 :], np.uint8).reshape(500, 216)
        assert np.array_equal(np.unpackbits(packed, axis=1), page)
