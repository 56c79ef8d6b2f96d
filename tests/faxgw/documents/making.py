"""What the tests of documents make and compare: limits, pictures, PDFs, and pages read back by Pillow and pdfium."""

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray
from PIL import Image

from faxgw.documents.renderer import Renderer
from t30.pages import Coding, Length, PageLimits, Resolution, Width
from t30.t4 import Bitmap

Pels = NDArray[np.uint8]


def limits(
    *resolutions: Resolution,
    width: Width = Width.A4,
    length: Length = Length.UNLIMITED,
    coding: Coding = Coding.MMR,
    ecm: bool = True,
    codings: Iterable[Coding] = (),
) -> PageLimits:
    return PageLimits(width, length, frozenset(resolutions or Resolution), coding, ecm, frozenset(codings))


def text_like(rows: int, pels: int, seed: int = 1) -> Pels:
    """Black strokes on white, the kind of page that faxes are."""
    random = np.random.default_rng(seed)
    page = np.zeros((rows, pels), np.uint8)
    for _ in range(rows // 8):
        top, left = int(random.integers(rows)), int(random.integers(pels))
        page[top : top + int(random.integers(1, 9)), left : left + int(random.integers(1, 60))] = 1
    return page


def fax_tiff(path: Path, pages: Sequence[Pels], *, dpi: tuple[float, float], compression: str = "group4") -> Path:
    """Write a bilevel TIFF with Pillow and libtiff."""
    images = [Image.fromarray((1 - page) * 255).convert("1") for page in pages]
    images[0].save(path, save_all=True, append_images=images[1:], compression=compression, dpi=dpi)
    return path


def pdf_page(path: Path, content: bytes, *, across_mm: float = 210.0, down_mm: float = 297.0, pages: int = 1) -> Path:
    """Write a PDF whose pages draw ``content``, in which 1 unit is 1 mm."""
    pdf = pikepdf.new()
    box = [0, 0, across_mm / 25.4 * 72, down_mm / 25.4 * 72]
    for _ in range(pages):
        stream = pdf.make_stream(b"%.6f 0 0 %.6f 0 0 cm " % (72 / 25.4, 72 / 25.4) + content)
        pdf.pages.append(pikepdf.Page(pikepdf.Dictionary(Type=pikepdf.Name.Page, MediaBox=box, Contents=stream)))
    pdf.save(path)
    return path


def pdf_with_too_large_an_image(path: Path) -> Path:
    """Write a page that opens, but cannot be drawn: pdfium leaves such an image out and reports nothing."""
    pdf = pikepdf.new()
    image = pdf.make_stream(
        b"\0" * 9,
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=40000,
        Height=40000,
        ColorSpace=pikepdf.Name.DeviceRGB,
        BitsPerComponent=8,
    )
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, 595, 842],
        Contents=pdf.make_stream(b"q 500 0 0 500 0 0 cm /P Do Q"),
        Resources=pikepdf.Dictionary(XObject=pikepdf.Dictionary(P=image)),
    )
    pdf.pages.append(pikepdf.Page(page))
    pdf.save(path)
    return path


def png_header(across: int, down: int) -> bytes:
    """Make a PNG that says it is that large, and has next to no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", across, down, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def endless(path: Path) -> Path:
    """Write a page that is painted over, half transparent, fifty thousand times: minutes of work in little memory."""
    pdf = pikepdf.new()
    state = pikepdf.Dictionary(BM=pikepdf.Name.Multiply, ca=0.5)
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, 595, 842],
        Contents=pdf.make_stream(b"/H gs " + b"0 0 595 842 re f " * 50_000),
        Resources=pikepdf.Dictionary(ExtGState=pikepdf.Dictionary(H=state)),
    )
    pdf.pages.append(pikepdf.Page(page))
    pdf.save(path)
    return path


def tiff_pages(path: Path) -> list[Pels]:
    """Read every page of a TIFF by libtiff, 1 = black."""
    with Image.open(path) as image:
        pages = []
        for page in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(page)
            pages.append(1 - np.asarray(image.convert("L")) // 255)
        return pages


def pdf_pels(path: Path, page: int, *, pels: int, rows: int) -> Pels:
    """Draw a page of a PDF by pdfium with one pel for each of the fax's, 1 = black."""
    pdf = pdfium.PdfDocument(path)
    opened = pdf[page]
    bitmap = pdfium.PdfBitmap.new_native(pels, rows, pdfium_c.FPDFBitmap_Gray)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, pels, rows)
    pdfium_c.FPDF_RenderPageBitmap(bitmap, opened, 0, 0, pels, rows, 0, 0)
    grey = bitmap.to_numpy().reshape(rows, -1)[:, :pels].copy()
    for part in (bitmap, opened, pdf):
        part.close()
    black: Pels = (grey < 128).astype(np.uint8)
    return black


def bounds(bitmap: Bitmap) -> tuple[int, int, int, int]:
    """Return the first and last black row and the first and last black pel."""
    rows, pels = np.nonzero(bitmap.pels())
    return int(rows.min()), int(rows.max()), int(pels.min()), int(pels.max())


def drawing_process(renderer: Renderer) -> int:
    """Return the process that has the renderer's document open: the child of the one that was started."""
    worker = renderer._process
    assert worker is not None
    return children_of(worker.pid)[0]


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def jpeg(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()
