"""Files of every kind, drawn by the real worker."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from numpy.typing import NDArray
from PIL import Image

from faxgw.documents.document import Document, Header, RenderOptions, open_document
from faxgw.documents.header import BASELINE, LEFT, SIZE, HeaderLines
from faxgw.documents.inputs import ImageInput, PdfInput
from faxgw.documents.layout import HEADER_MM, LINES_PER_MM, Paper, scan_line_mm
from faxgw.documents.screening import Screen
from faxgw.documents.text import lines_to_pdf, shown
from t30.pages import PageLimits, Resolution, Width
from t30.t4 import Bitmap
from tests.faxgw.documents.making import bounds, fax_tiff, jpeg, limits, pdf_page, text_like, tiff_pages

# A frame 10 mm from the edges of A4, 1 mm wide, and a disc of 50 mm in the middle.
FRAME = b"1 w 10 10 190 277 re S "
DISC = b"50 w 1 J 105 148.5 m 105 148.5 l S"


def draw(document: Document, page: int = 0, within: PageLimits | None = None) -> Bitmap:
    return document.bitmap(page, document.layout(page, within or limits()))


@pytest.mark.parametrize("resolution", Resolution)
def test_a_pdf_page_is_drawn_in_its_true_size_and_place(tmp_path: Path, resolution: Resolution) -> None:
    pdf = pdf_page(tmp_path / "frame.pdf", FRAME)
    with open_document([pdf], RenderOptions(resolution=resolution)) as document:
        layout = document.layout(0, limits())
        bitmap = document.bitmap(0, layout)
    top, bottom, left, right = bounds(bitmap)
    across = layout.box.across / 210
    down = layout.box.down / 297
    assert abs(left - layout.box.left - 9.5 * across) <= 1.5
    assert abs(right - layout.box.left - 200.5 * across) <= 1.5
    assert abs(top - 9.5 * down) <= 1.5
    assert abs(bottom - 287.5 * down) <= 1.5


@pytest.mark.parametrize("resolution", Resolution)
def test_a_circle_stays_a_circle_though_pels_are_not_square(tmp_path: Path, resolution: Resolution) -> None:
    with open_document([pdf_page(tmp_path / "disc.pdf", DISC)], RenderOptions(resolution=resolution)) as document:
        top, bottom, left, right = bounds(draw(document))
    across = (right - left + 1) / resolution.across
    down = (bottom - top + 1) / resolution.down
    assert across / down == pytest.approx(1, abs=0.012)
    assert across * 25.4 == pytest.approx(50, rel=0.012)


def test_nothing_of_an_a3_page_is_cut_off_on_a4(tmp_path: Path) -> None:
    edge = b"0 0 297 420 re 5 5 287 410 re f*"
    with open_document([pdf_page(tmp_path / "a3.pdf", edge, across_mm=297, down_mm=420)]) as document:
        bitmap = draw(document)
    pels = bitmap.pels()
    assert pels[0].mean() > 0.95
    assert pels[-1].mean() > 0.95
    assert pels.any(axis=1).all()


def test_a_landscape_page_is_turned_with_its_top_to_the_left(tmp_path: Path) -> None:
    bar_at_top = b"0 190 297 20 re f"
    with open_document([pdf_page(tmp_path / "wide.pdf", bar_at_top, across_mm=297, down_mm=210)]) as document:
        layout = document.layout(0, limits())
        pels = document.bitmap(0, layout).pels()
    assert layout.turned
    assert pels[:, 30:170].all()
    assert not pels[:, 250:].any()


def test_a_landscape_image_is_turned_with_its_top_to_the_left(tmp_path: Path) -> None:
    image = Image.new("L", (1170, 827), 255)
    image.paste(0, (0, 0, 1170, 80))
    image.save(tmp_path / "wide.png", dpi=(100, 100))
    with open_document([tmp_path / "wide.png"]) as document:
        pels = draw(document).pels()
    assert pels[:, 30:170].all()
    assert not pels[:, 250:].any()


def test_a_fax_tiff_is_sent_pel_for_pel(tmp_path: Path) -> None:
    pages = [text_like(2287, 1728, seed=1), text_like(1100, 1728, seed=2)]
    with open_document([fax_tiff(tmp_path / "fax.tif", pages, dpi=(204, 196))]) as document:
        assert [np.array_equal(draw(document, page).pels(), pages[page]) for page in (0, 1)] == [True, True]


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw", "raw"])
def test_a_fax_tiff_is_sent_pel_for_pel_however_it_is_compressed(tmp_path: Path, compression: str) -> None:
    page = text_like(1143, 2048)
    path = fax_tiff(tmp_path / "fax.tif", [page], dpi=(200, 100), compression=compression)
    with open_document([path]) as document:
        layout = document.layout(0, limits(width=Width.A3))
        assert (layout.width, layout.resolution) == (Width.B4, Resolution.STANDARD)
        assert np.array_equal(document.bitmap(0, layout).pels(), page)


def test_the_itu_charts_are_sent_pel_for_pel(charts: Path) -> None:
    paths = sorted(charts.glob("*.tif"))
    with open_document(paths) as document:
        assert len(document) == 8
        for page, path in enumerate(paths):
            assert np.array_equal(draw(document, page).pels(), tiff_pages(path)[0])


def test_a_fine_fax_tiff_is_drawn_at_standard_for_a_receiver_that_has_no_more(tmp_path: Path) -> None:
    page = np.zeros((2287, 1728), np.uint8)
    page[1000:1100, 500:600] = 1
    with open_document([fax_tiff(tmp_path / "fax.tif", [page], dpi=(204, 196))]) as document:
        top, bottom, left, right = bounds(draw(document, within=limits(Resolution.STANDARD)))
    assert (abs(top - 500) <= 1, abs(bottom - 549) <= 1, abs(left - 500) <= 1, abs(right - 599) <= 1) == (True,) * 4


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_an_image_with_dpi_tags_is_drawn_in_its_true_size(tmp_path: Path, kind: str) -> None:
    image = Image.new("RGB", (600, 900), "black")
    image.save(tmp_path / f"page.{kind}", dpi=(150, 300))
    with open_document([tmp_path / f"page.{kind}"]) as document:
        top, bottom, left, right = bounds(draw(document))
    assert (right - left + 1) / 1728 * 215 == pytest.approx(4 * 25.4, abs=0.5)
    assert (bottom - top + 1) / 7.7 == pytest.approx(3 * 25.4, abs=0.5)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_an_image_is_turned_as_its_camera_says(tmp_path: Path, kind: str, orientation: int) -> None:
    """Stored pels differ, what is seen does not: black at the top, upright."""
    upright = Image.new("L", (300, 400), 255)
    upright.paste(0, (0, 0, 300, 100))
    undo = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = undo[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / f"photo.{kind}", exif=exif, dpi=(100, 100))
    with open_document([tmp_path / f"photo.{kind}"], RenderOptions(screen=Screen.TEXT)) as document:
        bitmap = draw(document)
    top, bottom, left, right = bounds(bitmap)
    assert top == 0
    assert bottom + 1 == pytest.approx(bitmap.rows / 4, abs=3)
    assert right - left == pytest.approx(3 * 204, abs=4)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "F"])
def test_images_of_every_kind_of_pel_are_read(tmp_path: Path, mode: str) -> None:
    grey = Image.new("L", (400, 400), 255)
    grey.paste(0, (100, 100, 300, 300))
    if mode in ("I;16", "F"):
        image = Image.fromarray(np.asarray(grey).astype(np.uint16 if mode == "I;16" else np.float32) * 257)
    else:
        image = grey.convert("RGB").convert(mode)
    image.save(tmp_path / "any.tif", dpi=(100, 100))
    with open_document([tmp_path / "any.tif"]) as document:
        pels = draw(document).pels()
    assert pels.mean() == pytest.approx(0.25 * 816 / 1728, abs=0.005)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 200, 400))
    image.save(tmp_path / "logo.png", dpi=(100, 100))
    with open_document([tmp_path / "logo.png"]) as document:
        _, _, left, right = bounds(draw(document))
    assert right - left + 1 == pytest.approx(2 * 204, abs=3)


def test_a_photo_gets_dots_of_its_greys(tmp_path: Path) -> None:
    across = np.tile(np.linspace(30, 225, 800).astype(np.uint8), (600, 1))
    (tmp_path / "ramp.jpg").write_bytes(jpeg(Image.fromarray(across), quality=90))
    with open_document([tmp_path / "ramp.jpg"]) as document:
        pels = draw(document).pels()
    columns = [part.mean() for part in np.array_split(pels, 8, axis=1)]
    assert columns == pytest.approx([1 - (30 + 195 * (part + 0.5) / 8) / 255 for part in range(8)], abs=0.06)


def test_filled_in_forms_are_drawn(tmp_path: Path) -> None:
    path = pdf_page(tmp_path / "form.pdf", b"")
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        look = pdf.make_stream(b"0 0 100 50 re f", Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form)
        look.BBox = [0, 0, 100, 50]
        field = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T=pikepdf.String("name"),
                V=pikepdf.String("x"),
                F=4,
                Rect=[100, 400, 200, 450],
                AP=pikepdf.Dictionary(N=look),
            )
        )
        pdf.pages[0].obj.Annots = pdf.make_indirect(pikepdf.Array([field]))
        pdf.Root.AcroForm = pdf.make_indirect(pikepdf.Dictionary(Fields=[field]))
        pdf.save(path)
    with open_document([path]) as document:
        assert draw(document).pels().any()


def test_many_files_make_one_document(tmp_path: Path) -> None:
    tiff = fax_tiff(tmp_path / "a.tif", [text_like(500, 1728), text_like(600, 1728)], dpi=(204, 196))
    pdf = pdf_page(tmp_path / "b.pdf", FRAME, pages=3)
    text = tmp_path / "c.txt"
    text.write_text("Hello\fWorld\n")
    with open_document([tiff, pdf, text, tiff]) as document:
        assert len(document) == 9
        rows = [draw(document, page).rows for page in range(9)]
    assert rows == [500, 600, 2287, 2287, 2287, 2287, 2287, 500, 600]


def test_the_same_page_drawn_again_is_the_same(tmp_path: Path) -> None:
    with open_document([pdf_page(tmp_path / "page.pdf", FRAME + DISC, pages=2)]) as document:
        first = draw(document)
        draw(document, 1)
        assert draw(document) == first


def test_a_header_line_stands_above_the_page_and_says_which(tmp_path: Path) -> None:
    path = pdf_page(tmp_path / "page.pdf", FRAME, pages=2)
    header = Header("Müller +49 30 1234567", datetime(2026, 11, 22, 9, 5))
    with open_document([path], RenderOptions(header=header)) as document:
        layout = document.layout(0, limits())
        first, second = draw(document, 0).pels(), draw(document, 1).pels()
    assert 0.01 < first[: layout.header_rows].mean() < 0.2
    assert np.array_equal(first[layout.header_rows :], second[layout.header_rows :])
    assert not np.array_equal(first, second)
    assert layout.length.value == 297


def test_there_is_no_header_line_unless_wanted(tmp_path: Path) -> None:
    with open_document([pdf_page(tmp_path / "page.pdf", FRAME)]) as document:
        assert bounds(draw(document))[0] > 70


def test_a_wanted_paper_is_filled(tmp_path: Path) -> None:
    edge = b"0 0 148 210 re 3 3 142 204 re f*"
    path = pdf_page(tmp_path / "a5.pdf", edge, across_mm=148, down_mm=210)
    with open_document([path], RenderOptions(paper=Paper.A4)) as document:
        top, bottom, left, right = bounds(draw(document))
    assert (top, bottom) == (0, 2286)
    assert right - left + 1 == pytest.approx(210 * 1728 / 215, abs=6)


@pytest.mark.parametrize("resolution", Resolution)
def test_a_header_line_is_drawn_as_a_pdf_with_it_is(resolution: Resolution) -> None:
    text, rows = "2026-11-22 09:05    Łódź “5 €” ÄÖÜß    1/3", round(HEADER_MM * LINES_PER_MM[resolution])
    for width in Width:
        across = scan_line_mm(width, resolution)
        pdf = lines_to_pdf([[shown(text)]], size=(across, HEADER_MM), start=(LEFT, BASELINE), font_size=SIZE)
        drawn, wanted = np.full((2, rows, resolution.pels(width)), 255, np.uint8)
        PdfInput(pdf, "header line").draw(0, wanted, turned=False)
        HeaderLines().draw(text, drawn, across_mm=across)
        assert np.array_equal(drawn, wanted) and (wanted < 255).any()


def test_an_image_drawn_in_a_smaller_size_is_as_sharp_as_ever_in_the_next() -> None:
    octets = jpeg(Image.fromarray(np.random.default_rng(5).integers(0, 256, (1600, 1600, 3), np.uint8)))

    def drawn(image: ImageInput, size: int) -> NDArray[np.uint8]:
        onto = np.full((size, size), 255, np.uint8)
        image.draw(0, onto, turned=False)
        return onto

    kept = ImageInput(octets, "photo.jpg")
    for size in (700, 1500, 700):
        assert np.array_equal(drawn(kept, size), drawn(ImageInput(octets, "photo.jpg"), size))
