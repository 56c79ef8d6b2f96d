"""Pages as files that programs of today show: PNG, PDF, TIFF; made in threads."""

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from faxgw.documents.coded import CodedPage
from faxgw.documents.pdf import pdf_octets
from faxgw.documents.png import png_octets
from faxgw.documents.tiff import tiff_octets

FORMS = {"pdf": (pdf_octets, "application/pdf"), "tiff": (tiff_octets, "image/tiff")}
"""Form of a whole fax -> what makes it, and its media type."""


class PNG(Response):
    """A picture of a page."""

    media_type = "image/png"


async def png(page: CodedPage) -> bytes:
    """Return a page as PNG."""
    return await asyncio.to_thread(png_octets, page)


async def whole(pages: Sequence[CodedPage], form: str) -> bytes:
    """Return pages as one file of a form of ``FORMS``; the same pages always give the same octets."""
    return await asyncio.to_thread(FORMS[form][0], pages)
