"""A fax as a PDF, with the coded pages inside as they are: every PDF reader has a fax decoder."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pikepdf

from faxgw.documents.coded import CodedPage
from faxgw.documents.layout import LINES_PER_MM, scan_line_mm
from faxgw.documents.text import POINTS_PER_MM
from t30.pages import Coding

K = {Coding.MMR: -1, Coding.MH: 0, Coding.MR: 4}
"""The decode parameter K: below 0 is T.6, 0 is one-dimensional, anything above is mixed."""


def write_pdf(path: Path, pages: Iterable[CodedPage]) -> None:
    """Write pages in their true size; the file appears when it is whole, in place of an older one."""
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        _save(pages, file)
    unfinished.rename(path)


def pdf_octets(pages: Iterable[CodedPage]) -> bytes:
    """Return pages in their true size as a PDF; the same pages give the same octets."""
    out = BytesIO()
    _save(pages, out)
    return out.getvalue()


def _save(pages: Iterable[CodedPage], file: BinaryIO) -> None:
    pdf = pikepdf.new()
    pdf.docinfo["/Producer"] = "faxgw"
    for page in pages:
        pdf.pages.append(pikepdf.Page(_page(pdf, page)))
    pdf.save(file, deterministic_id=True)


def _page(pdf: pikepdf.Pdf, page: CodedPage) -> pikepdf.Dictionary:
    across = scan_line_mm(page.width, page.resolution) * POINTS_PER_MM
    down = page.rows / LINES_PER_MM[page.resolution] * POINTS_PER_MM
    group_4 = page.coding is Coding.MMR
    image = pdf.make_stream(
        page.octets,
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=page.pels,
        Height=page.rows,
        ColorSpace=pikepdf.Name.DeviceGray,
        BitsPerComponent=1,
        Filter=pikepdf.Name.CCITTFaxDecode,
        DecodeParms=pikepdf.Dictionary(
            K=K[page.coding], Columns=page.pels, Rows=page.rows, EndOfLine=not group_4, EndOfBlock=group_4
        ),
    )
    return pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, round(across, 3), round(down, 3)],
        Contents=pdf.make_stream(b"q %.3f 0 0 %.3f 0 0 cm /Fax Do Q" % (across, down)),
        Resources=pikepdf.Dictionary(XObject=pikepdf.Dictionary(Fax=image)),
    )
