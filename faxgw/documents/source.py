"""Where the commands' pages come from: a document, drawn for the receiver that has answered."""

import asyncio

from faxgw.documents.ahead import AheadOfTheLine
from faxgw.documents.document import Document
from faxgw.documents.layout import Layout
from t30.pages import ANYBODY, Key, PageLimits
from t30.t4 import Bitmap


class PageSource(AheadOfTheLine):
    """Answers ``FetchPage`` from a document, which ``close`` closes."""

    def __init__(self, document: Document, *, key: Key = ANYBODY) -> None:
        super().__init__(range(len(document)), key=key)
        self._document = document

    async def _layout(self, index: int, limits: PageLimits) -> Layout:
        return self._document.layout(index, limits)

    async def _bitmap(self, index: int, layout: Layout) -> Bitmap:
        return await asyncio.to_thread(self._document.bitmap, index, layout)

    async def _release(self) -> None:
        await asyncio.to_thread(self._document.close)
