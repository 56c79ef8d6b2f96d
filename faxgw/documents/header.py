"""The header line above a page, drawn by the hands that draw pages of text; runs inside the rendering worker only."""

import ctypes
from typing import Any

import pypdfium2.raw as pdfium_c

from faxgw.documents.layout import HEADER_MM
from faxgw.documents.screening import Grey
from faxgw.documents.text import POINTS_PER_MM, shown

SIZE = 9.0
LEFT = 15.0
BASELINE = round(HEADER_MM * POINTS_PER_MM / 2 - SIZE / 4, 2)
"""All in points, from below left."""


class HeaderLines:
    """Lines in Courier, all drawn with one font: to read it again for each takes half as long as a page of text does.

    The first of them has pdfium look through the fonts of the system, which takes 20 ms.
    """

    def __init__(self) -> None:
        self._pdf = pdfium_c.FPDF_CreateNewDocument()
        self._font = pdfium_c.FPDFText_LoadStandardFont(self._pdf, b"Courier")

    def draw(self, text: str, onto: Grey, *, across_mm: float) -> None:
        """Draw a line onto white pels that are ``across_mm`` wide and ``HEADER_MM`` high."""
        page = pdfium_c.FPDFPage_New(self._pdf, 0, across_mm * POINTS_PER_MM, HEADER_MM * POINTS_PER_MM)
        pdfium_c.FPDFPage_InsertObject(page, self._line(shown(text)))
        down, across = onto.shape
        bitmap = pdfium_c.FPDFBitmap_CreateEx(
            across, down, pdfium_c.FPDFBitmap_Gray, ctypes.c_void_p(onto.ctypes.data), onto.strides[0]
        )
        pdfium_c.FPDF_RenderPageBitmap(bitmap, page, 0, 0, across, down, 0, pdfium_c.FPDF_PRINTING)
        pdfium_c.FPDFBitmap_Destroy(bitmap)
        pdfium_c.FPDF_ClosePage(page)
        pdfium_c.FPDFPage_Delete(self._pdf, 0)

    def _line(self, octets: bytes) -> Any:
        """Set a line of Windows-1252, which is how pdfium numbers the letters of a font that every reader has."""
        line = pdfium_c.FPDFPageObj_CreateTextObj(self._pdf, self._font, SIZE)
        pdfium_c.FPDFText_SetCharcodes(line, (ctypes.c_uint32 * len(octets))(*octets), len(octets))
        pdfium_c.FPDFPageObj_Transform(line, 1, 0, 0, 1, LEFT, BASELINE)
        return line
