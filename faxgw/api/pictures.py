"""Pages as pictures that programs of today show; made in threads."""

import asyncio

from starlette.responses import Response

from faxgw.documents.coded import CodedPage
from faxgw.documents.png import png_octets


class PNG(Response):
    """A picture of a page."""

    media_type = "image/png"


async def png(page: CodedPage) -> bytes:
    """Return a page as PNG."""
    return await asyncio.to_thread(png_octets, page)
