"""The forms in which a whole fax leaves: PDF and TIFF. The same pages always give the same octets."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from faxgw.documents.coded import CodedPage
from faxgw.documents.pdf import pdf_octets
from faxgw.documents.tiff import tiff_octets


@dataclass(frozen=True, slots=True)
class Form:
    """One form; ``ending`` is that of a file's name, without its dot."""

    draw: Callable[[Iterable[CodedPage]], bytes]
    media_type: str
    ending: str


FORMS = {
    "pdf": Form(pdf_octets, "application/pdf", "pdf"),
    "tiff": Form(tiff_octets, "image/tiff", "tif"),
}


async def whole(pages: Sequence[CodedPage], form: str) -> bytes:
    """Return pages as one file of a form of ``FORMS``, made in a thread."""
    return await asyncio.to_thread(FORMS[form].draw, pages)
