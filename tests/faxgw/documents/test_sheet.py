"""The memory that a worker draws in and the gateway reads: none shortens it, no document finds another's greys."""

import os
from pathlib import Path

import numpy as np
import pytest

from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.parts import Upload
from faxgw.documents.renderer import Renderer
from faxgw.documents.sheet import APART, KEPT, Sheet
from t30.t4 import Bitmap
from t30.t4.greys import WHITE
from tests.faxgw.documents.making import limits, pdf_page

shared = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the system has no memory that can be sealed")


def drawn(part: Upload | Path) -> Bitmap:
    with open_document([part], RenderOptions()) as document:
        return document.bitmap(0, document.layout(0, limits()))


@shared
def test_nobody_who_has_the_sheet_can_pull_it_away() -> None:
    sheet = Sheet.made()
    sheet.make_room(1 << 20)
    with pytest.raises(PermissionError):
        os.ftruncate(sheet.file, 0)
    sheet.octets(1 << 20)[-1] = 7
    sheet.close()


@shared
def test_nothing_that_a_document_left_on_the_sheet_is_there_when_the_next_one_is_read(tmp_path: Path) -> None:
    black = pdf_page(tmp_path / "black.pdf", b"0 0 210 297 re f")
    with Renderer() as renderer:
        with open_document([black], renderer=renderer) as document:
            document.bitmap(0, document.layout(0, limits()))
        left = renderer._sheet.octets(os.fstat(renderer._sheet.file).st_size)
        assert (left == 0).sum() > 3_000_000
        renderer.forget()
        open_document([Upload("next.txt", b"x")], renderer=renderer)
        assert (left == WHITE).all()


@shared
def test_what_is_left_on_a_large_sheet_is_given_back() -> None:
    sheet = Sheet.made()
    sheet.make_room(2 * KEPT)
    octets = sheet.octets(2 * KEPT)
    octets[:] = 7
    sheet.empty()
    assert os.fstat(sheet.file).st_blocks * 512 <= KEPT
    assert (octets[:KEPT] == WHITE).all() and not octets[KEPT:].any()
    sheet.close()


@shared
def test_a_sheet_grows_with_its_pages() -> None:
    sheet, theirs = Sheet.made(), []
    for octets in (5000, 100_000, 3000):
        sheet.make_room(octets)
        theirs.append(Sheet(sheet.file))
        theirs[-1].octets(octets)[:] = octets % 251
        assert np.all(sheet.octets(octets) == octets % 251)
    sheet.close()


def test_pages_are_the_same_where_memory_cannot_be_shared(
    monkeypatch: pytest.MonkeyPatch, sample_upload: Upload
) -> None:
    page = drawn(sample_upload)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert Sheet.made().file == APART
    assert drawn(sample_upload) == page
