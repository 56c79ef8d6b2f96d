"""The files that people send, each read page by page; runs inside the rendering worker only.

pdfium is not safe with threads and has crashed on hostile files; Pillow and libtiff have had their days too.
"""

import ctypes
import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageOps

from faxgw.documents.layout import LINES_PER_MM, PageShape, PelForPel, scan_line_mm
from faxgw.documents.screening import Grey
from faxgw.documents.text import text_to_pdf
from faxgw.errors import RequestError
from t30.pages import Resolution, Width

MAX_PAGES = 2000
MAX_SIDE = 50_000
MAX_PELS = 120_000_000
"""Bounds on an image, checked on its header: a file of 100 kB may unpack to 10 GB."""

MAX_PDF_IMAGE_PELS = 500_000_000
"""pdfium unpacks an image line by line, so it may be larger; from 2 GB on it leaves the image out in silence."""

NO_SIZE_DPI = 96.0
"""An image that does not tell its size is as large as a browser shows it, and made smaller to fit."""

LEAST_DPI = 73.0
"""A tag of 72 dpi or less is what programs write that do not know."""

DPI_TOLERANCE = 0.03
"""200 x 100, 200 x 200 and 400 x 400 are the same resolutions to T.30's eyes."""

IMAGE_FORMATS = ("TIFF", "PNG", "JPEG", "MPO")
MAGIC = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
}

Image.MAX_IMAGE_PIXELS = MAX_PELS
# Pillow warns from its limit on and refuses at twice that; ours is checked right after.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class Input(Protocol):
    """An opened file."""

    name: str
    shapes: list[PageShape]

    def draw(self, page: int, onto: Grey, *, turned: bool) -> None:
        """Draw a page onto white pels, which need not be square; ``turned``: by 90 degrees counterclockwise."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def open_input(octets: bytes, name: str) -> Input:
    """Open a file as what its first octets say that it is, text failing all else.

    Raises:
        RequestError: ``document.*``, with one sentence that says what is wrong with the file.
    """
    if any(octets.startswith(magic) for magic in MAGIC):
        return ImageInput(octets, name)
    if b"%PDF-" in octets[:1024]:
        return PdfInput(octets, name)
    return PdfInput(text_to_pdf(octets, name), name)


class PdfInput:
    """A PDF."""

    def __init__(self, octets: bytes, name: str) -> None:
        self.name = name
        try:
            self._pdf = pdfium.PdfDocument(octets)
        except pdfium.PdfiumError as error:
            raise _refused_pdf(name, error) from error
        if len(self._pdf) == 0:
            raise _without_pages(name)
        if len(self._pdf) > MAX_PAGES:
            raise RequestError("document.too_large", f"{name} has more than {MAX_PAGES} pages.")
        if self._pdf.get_formtype() != pdfium_c.FORMTYPE_NONE:
            self._pdf.init_forms()
        self.shapes = [self._shape(page) for page in range(len(self._pdf))]

    def draw(self, page: int, onto: Grey, *, turned: bool) -> None:
        """Draw a page; annotations and filled-in forms as they print."""
        opened = self._page(page)
        down, across = onto.shape
        bitmap = pdfium_c.FPDFBitmap_CreateEx(
            across, down, pdfium_c.FPDFBitmap_Gray, ctypes.c_void_p(onto.ctypes.data), onto.strides[0]
        )
        try:
            self._check_images(opened, page)
            where = (0, 0, across, down, 3 if turned else 0)
            flags = pdfium_c.FPDF_ANNOT | pdfium_c.FPDF_PRINTING
            pdfium_c.FPDF_RenderPageBitmap(bitmap, opened, *where, flags)
            if self._pdf.formenv is not None:
                pdfium_c.FPDF_FFLDraw(self._pdf.formenv, bitmap, opened, *where, flags)
        finally:
            pdfium_c.FPDFBitmap_Destroy(bitmap)
            opened.close()

    def close(self) -> None:
        """Let go of the file."""
        self._pdf.close()

    def _check_images(self, opened: pdfium.PdfPage, page: int) -> None:
        """Refuse a page with an image that pdfium would leave out without a word."""
        across, down = ctypes.c_uint(), ctypes.c_uint()
        for image in _images(opened):
            pdfium_c.FPDFImageObj_GetImagePixelSize(image, across, down)
            if across.value * down.value > MAX_PDF_IMAGE_PELS:
                raise _too_large(f"An image on page {page + 1} of {self.name}", MAX_PDF_IMAGE_PELS)

    def _shape(self, page: int) -> PageShape:
        size = pdfium_c.FS_SIZEF()
        pdfium_c.FPDF_GetPageSizeByIndexF(self._pdf, page, ctypes.byref(size))
        if not (1 <= size.width <= 1e6 and 1 <= size.height <= 1e6):
            raise RequestError("document.damaged", f"Page {page + 1} of {self.name} cannot be read.")
        return PageShape(size.width / 72 * 25.4, size.height / 72 * 25.4, sized=True)

    def _page(self, page: int) -> pdfium.PdfPage:
        try:
            return self._pdf[page]
        except pdfium.PdfiumError as error:
            raise RequestError("document.damaged", f"Page {page + 1} of {self.name} cannot be read.") from error


def _images(page: pdfium.PdfPage) -> Iterator[Any]:
    """Find the images of a page, and of the forms on it. pypdfium2's own way takes a third of a page's time for it."""
    for index in range(pdfium_c.FPDFPage_CountObjects(page)):
        one = pdfium_c.FPDFPage_GetObject(page, index)
        kind = pdfium_c.FPDFPageObj_GetType(one)
        if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            yield one
        elif kind == pdfium_c.FPDF_PAGEOBJ_FORM:
            within = (
                pdfium_c.FPDFFormObj_GetObject(one, inner) for inner in range(pdfium_c.FPDFFormObj_CountObjects(one))
            )
            yield from (each for each in within if pdfium_c.FPDFPageObj_GetType(each) == pdfium_c.FPDF_PAGEOBJ_IMAGE)


class ImageInput:
    """A PNG or JPEG image, or a TIFF with any number of them."""

    def __init__(self, octets: bytes, name: str) -> None:
        self.name = name
        # Never from a path: Pillow then maps an uncompressed TIFF into memory and garbles it if it lies on its side.
        self._file = BytesIO(octets)
        try:
            self._image = Image.open(self._file, formats=IMAGE_FORMATS)
            self.shapes = list(self._shapes())
            if self._image.format != "TIFF":
                # Of a colour JPEG only the greys, which are stored apart. The first page drawn is this one as a rule.
                self._image.draft("L", self._image.size)
                self._image.load()
        except (RequestError, MemoryError):
            raise
        except Exception as error:
            raise _unreadable_image(name, error) from error
        if not self.shapes:
            raise _without_pages(name)

    def draw(self, page: int, onto: Grey, *, turned: bool) -> None:
        """Draw a page, averaging over what it has more of than the fax page; in its own size it stays pel for pel."""
        try:
            size = onto.shape if turned else onto.shape[::-1]
            image = self._seek(page, size)
            image.load()
            image = _grey(ImageOps.exif_transpose(image))
            smaller = image.width > size[0] or image.height > size[1]
            image = image.resize(size, Image.Resampling.HAMMING if smaller else Image.Resampling.BICUBIC)
            onto[:] = np.asarray(image.transpose(Image.Transpose.ROTATE_90) if turned else image)
        except MemoryError:
            raise
        except Exception as error:
            raise _unreadable_image(self.name, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._image.close()
        self._file.close()

    def _seek(self, page: int, size: tuple[int, ...]) -> Image.Image:
        """Go to a page; a JPEG that is twice as large as wanted, and once decoded, is read anew, in half its size."""
        if self._image.format == "TIFF":
            self._image.seek(page)
        elif self._image.format != "PNG" and all(
            own // 2 >= wanted for own, wanted in zip(self._image.size, size, strict=True)
        ):
            self._file.seek(0)
            smaller = Image.open(self._file, formats=IMAGE_FORMATS)
            smaller.draft("L", (size[0], size[1]))
            return smaller
        return self._image

    def _shapes(self) -> Iterator[PageShape]:
        octets = self._file.getbuffer().nbytes
        pages = range(MAX_PAGES + 1) if self._image.format == "TIFF" else range(1)
        for page in pages:
            try:
                self._image.seek(page)
            except EOFError:
                return
            if page == MAX_PAGES:
                raise RequestError("document.too_large", f"{self.name} has more than {MAX_PAGES} pages.")
            if max(self._image.size) > MAX_SIDE or self._image.width * self._image.height > MAX_PELS:
                raise _too_large(self.name)
            if not _is_whole(self._image, octets):
                raise RequestError("document.damaged", f"Page {page + 1} of {self.name} is cut off.")
            yield _image_shape(self._image)


def _refused_pdf(name: str, error: pdfium.PdfiumError) -> RequestError:
    if getattr(error, "err_code", None) in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
        return RequestError("document.encrypted", f"{name} is encrypted; send it without a password.")
    if getattr(error, "err_code", None) == pdfium_c.FPDF_ERR_SUCCESS:
        return _without_pages(name)
    return RequestError("document.damaged", f"{name} begins like a PDF, but cannot be read.")


def _without_pages(name: str) -> RequestError:
    return RequestError("document.no_pages", f"{name} has no pages.")


def _too_large(name: str, most: int = MAX_PELS) -> RequestError:
    return RequestError(
        "document.too_large",
        f"{name} has too many pels: at most {MAX_SIDE:,} on a side and {most // 1_000_000} million in all.",
    )


def _unreadable_image(name: str, error: Exception) -> RequestError:
    """Say what is wrong; Pillow's plugins raise a dozen types for damaged files."""
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(name)
    return RequestError("document.damaged", f"{name} is damaged and cannot be read.")


def _is_whole(image: Image.Image, octets: int) -> bool:
    """Return whether every strip and tile of a TIFF page lies within the file."""
    tags = getattr(image, "tag_v2", {})
    for offset_tag, count_tag in ((273, 279), (324, 325)):
        pairs = zip(tags.get(offset_tag, ()), tags.get(count_tag, ()), strict=False)
        if any(offset + count > octets for offset, count in pairs):
            return False
    return True


def _image_shape(image: Image.Image) -> PageShape:
    across, down = image.size
    told = tuple(float(value) for value in image.info.get("dpi", (0, 0)))
    sized = min(told) >= LEAST_DPI
    dpi = told if sized else (NO_SIZE_DPI, NO_SIZE_DPI)
    orientation = image.getexif().get(274, 1)
    if orientation >= 5:
        # Stored on its side; dots per inch are as stored. Pillow tells the size of a TIFF as seen, of others as stored.
        dpi = dpi[::-1]
        across, down = (across, down) if image.format == "TIFF" else (down, across)
    own = _pel_for_pel(image, dpi) if sized and orientation == 1 else None
    if own is not None:
        return PageShape(scan_line_mm(own.width, own.resolution), own.rows / LINES_PER_MM[own.resolution], True, own)
    return PageShape(across / dpi[0] * 25.4, down / dpi[1] * 25.4, sized)


def _pel_for_pel(image: Image.Image, dpi: tuple[float, ...]) -> PelForPel | None:
    """Return what fax page an image is already, if it is one."""
    if image.mode != "1" or image.format != "TIFF":
        return None
    for resolution in Resolution:
        nominal = (resolution.across, resolution.down)
        close = all(abs(own / name - 1) <= DPI_TOLERANCE for own, name in zip(dpi, nominal, strict=True))
        for width in Width:
            if close and resolution.pels(width) == image.width:
                return PelForPel(width, resolution, image.height)
    return None


def _grey(image: Image.Image) -> Image.Image:
    """Return the image in 8-bit grey, on white where it is transparent."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float32)
        most = 65535.0 if image.mode.startswith("I") else max(float(values.max(initial=0.0)), 1e-9)
        return Image.fromarray((values * (255.0 / most)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")
