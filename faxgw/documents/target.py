"""Where the commands keep received pages: TIFF-F that grows page by page, so that none is lost, then a PDF."""

import asyncio
import os
from pathlib import Path

from faxgw.documents.coded import CodedPage
from faxgw.documents.pdf import write_pdf
from faxgw.documents.receiver import JUDGE_WITHIN, Receiver
from faxgw.documents.tiff import TiffFile
from faxgw.errors import RequestError


class PageTarget(Receiver):
    """Keeps a call's pages in ``folder``: ``fax.tif`` grows page by page, ``fax.pdf`` is written by ``close``."""

    def __init__(self, folder: Path, *, judge_within: float = JUDGE_WITHIN) -> None:
        """Claim the folder; it is made where it is missing.

        Raises:
            RequestError: ``usage``, if a fax is there already or nothing can be written there.
        """
        super().__init__(self._put, judge_within=judge_within)
        _claim(folder)
        self._tiff = TiffFile(folder / "fax.tif")
        self._pdf = folder / "fax.pdf"

    async def close(self) -> None:
        """Wait for what is being filed, and write the PDF of all pages that were. Without pages there are no files.

        Raises:
            OSError: if the PDF cannot be written; the TIFF is whole all the same.
        """
        await super().close()
        try:
            if len(self._tiff):
                await asyncio.to_thread(write_pdf, self._pdf, map(self._tiff.page, self._tiff.pages()))
        finally:
            self._tiff.close()

    async def _put(self, index: int, page: CodedPage) -> None:
        await asyncio.to_thread(self._tiff.put, index, page)


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError("usage", f"{folder} cannot be made: {error.strerror}.") from None
    for name in ("fax.tif", "fax.pdf"):
        if (folder / name).exists():
            raise RequestError("usage", f"{folder / name} is there already; give a folder without a fax in it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RequestError("usage", f"Nothing can be written to {folder}.")
