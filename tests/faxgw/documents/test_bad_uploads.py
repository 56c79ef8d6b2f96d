"""WF-04: hostile and broken uploads, each with its code, and nothing left behind: no file, no process."""

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from PIL import Image

from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import prepare
from faxgw.documents.renderer import WorkerLimits
from faxgw.errors import RequestError
from tests.faxgw.documents.making import children_of, endless, png_header
from tests.faxgw.documents.office_files import docx, odt, overlapping_bomb

SMALL = WorkerLimits(seconds=2, memory=256 << 20)


def encrypted_pdf() -> bytes:
    pdf = pikepdf.new()
    pdf.add_blank_page()
    out = io.BytesIO()
    pdf.save(out, encryption=pikepdf.Encryption(user="secret", owner="owner"))
    return out.getvalue()


def pdf_bomb() -> bytes:
    """Write a page whose drawing operators are 5 kB packed twice, and 300 MB unpacked."""
    packing = zlib.compressobj(1)
    once = b"".join(packing.compress(b" " * (1 << 20)) for _ in range(300)) + packing.flush()
    pdf = pikepdf.new()
    content = pdf.make_stream(b"")
    content.write(zlib.compress(once), filter=pikepdf.Array([pikepdf.Name.FlateDecode] * 2), decode_parms=None)
    pdf.pages.append(
        pikepdf.Page(pikepdf.Dictionary(Type=pikepdf.Name.Page, MediaBox=[0, 0, 595, 842], Contents=content))
    )
    out = io.BytesIO()
    pdf.save(out, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    return out.getvalue()


def cut_jpeg() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (300, 300), np.uint8)).save(out, "JPEG")
    return out.getvalue()[:9000]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "document.empty"),
    "unknown format": (lambda: b"\x7fELF\2\1\1" + bytes(200), "document.unreadable"),
    "malformed": (lambda: b"%PDF-1.7\nnothing of the kind", "document.damaged"),
    "truncated": (cut_jpeg, "document.damaged"),
    "truncated office file": (lambda: docx("x")[:-30], "document.damaged"),
    "encrypted": (encrypted_pdf, "document.encrypted"),
    "pixel flood": (lambda: png_header(40_000, 40_000), "document.too_large"),
    "decompression bomb": (pdf_bomb, "document.crashed"),
    "zip bomb": (overlapping_bomb, "document.too_large"),
    "macros": (lambda: odt("x", more={"Basic/Standard/Module1.xml": "<x/>"}), "document.macros"),
    "characters": ("Ирина".encode, "document.characters"),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_upload_has_its_code_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    make, code = BAD[what]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    pool = RendererPool(1, SMALL)
    with pytest.raises(RequestError, match=what) as refused:
        async with prepare([Upload(what, make())], RenderOptions(), pool) as document:
            _ = [page async for page in document]
    assert refused.value.code == code
    assert len(refused.value.reason.splitlines()) == 1
    async with prepare([Upload("good", b"Hello\n")], RenderOptions(), pool) as document:
        assert len([page async for page in document]) == 1
        worker = next(iter(pool._lent))._process
        assert worker is not None
        assert len(children_of(worker.pid)) == 1
    await pool.close()
    assert worker.returncode is not None
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing that waits may be called here


async def test_a_document_that_takes_too_long_has_its_code_too(tmp_path: Path) -> None:
    pool = RendererPool(1, WorkerLimits(seconds=1))
    slow = Upload("slow", endless(tmp_path / "slow.pdf").read_bytes())
    with pytest.raises(RequestError, match="slow takes longer") as refused:
        async with prepare([slow], RenderOptions(), pool) as document:
            _ = [page async for page in document]
    assert refused.value.code == "document.timeout"
    await pool.close()
