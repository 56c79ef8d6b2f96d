"""Office files: told by their content, converted where nothing can be reached, refused where they are hostile."""

import io
import os
import socket
import stat
import struct
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from PIL import Image

from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.office import DOCX, HTML, MOST_MEMBERS, ODT, RTF, Kind, kind_of
from faxgw.documents.parts import Upload
from faxgw.documents.renderer import Renderer, WorkerLimits
from faxgw.errors import RequestError
from tests.faxgw.documents.making import limits
from tests.faxgw.documents.office_files import (
    docx,
    docx_with_links,
    html_with_links,
    odt,
    odt_with_links,
    overlapping_bomb,
    rtf_with_links,
    zipped,
)

TEXT = "Offer 26-1187 canary 7d1e"


@pytest.fixture
def secret() -> Iterator[Path]:
    """Make a black picture that stands for a secret, in no folder that the sandbox hides behind one of its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = Path(folder) / "secret.png"
        Image.new("L", (300, 300), 0).save(path, dpi=(100, 100))
        yield path


@pytest.fixture
def libreoffice(peer: Callable[[str], Path]) -> None:
    peer("soffice")
    peer("bwrap")


def text_of(upload: Upload) -> str:
    """Convert an upload and return what its PDF says."""
    with Renderer() as renderer:
        part = renderer.readable(upload)
    assert isinstance(part, Upload)
    pdf = pdfium.PdfDocument(part.octets)
    pages = [pdf[index] for index in range(len(pdf))]
    texts = [page.get_textpage() for page in pages]
    text = "\n".join(one.get_text_bounded() for one in texts)
    for opened in (*texts, *pages, pdf):
        opened.close()
    return text


def refusal(octets: bytes, name: str = "offer.docx", *, seconds: float = 60.0) -> RequestError:
    with (
        pytest.raises(RequestError) as refused,
        open_document([Upload(name, octets)], RenderOptions(limits=WorkerLimits(seconds))),
    ):
        pass
    assert name in refused.value.reason
    assert refused.value.reason.endswith(".")
    assert "\n" not in refused.value.reason
    return refused.value


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (docx("x"), DOCX),
        (odt("x"), ODT),
        (rb"{\rtf1 x}", RTF),
        (b"<!DOCTYPE html><p>x", HTML),
        (b"\xef\xbb\xbf\n <!-- made by -->\n<HTML lang=de>x", HTML),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">x</html>', HTML),
        (b"A letter about <html> and {\\rtf.", None),
        (b"%PDF-1.7\n<html>", None),
        (b"", None),
    ],
)
def test_office_files_are_told_by_their_content(octets: bytes, kind: Kind | None) -> None:
    assert kind_of(octets, "x") == kind


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("a.docx", docx(f"{TEXT} Größe 5 €")),
        ("a.odt", odt(f"{TEXT} Größe 5 €")),
        ("a.rtf", rb"{\rtf1\ansi\ansicpg1252 Offer 26-1187 canary 7d1e Gr\'f6\'dfe 5 \'80}"),
        ("a.html", f"<html><body>{TEXT} Größe 5 €</body></html>".encode()),
        ("b.html", f'<html><meta charset="iso-8859-15"><body>{TEXT} Größe 5 €</body></html>'.encode("iso-8859-15")),
    ],
)
def test_every_kind_says_what_it_said(name: str, octets: bytes) -> None:
    assert f"{TEXT} Größe 5 €" in text_of(Upload(name, octets))


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
@pytest.mark.parametrize("make", [odt_with_links, docx_with_links, html_with_links, rtf_with_links])
def test_nothing_that_a_file_refers_to_appears_and_nobody_is_called(secret: Path, make: Callable[..., bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        links = ("file:///etc/passwd", secret.as_uri(), f"http://127.0.0.1:{port}/x.png", f"http://localhost:{port}/x")
        upload = Upload("links", make(TEXT, *links))
        text = text_of(upload)
        with pytest.raises(TimeoutError):
            server.accept()
    assert TEXT in text
    assert "root:" not in text
    with open_document([upload]) as document:
        assert document.bitmap(0, document.layout(0, limits())).pels().mean() < 0.02


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_nothing_of_an_office_file_is_written_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XM-14, FP-01. Profile, work and PDF are in the sandbox's memory; home and temporary folders stay empty."""
    for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    before = set(os.listdir("/tmp"))  # noqa: PTH208
    assert TEXT in text_of(Upload("a.odt", odt(TEXT)))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith(("lu", "OSL", "soffice"))]  # noqa: PTH208


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_a_conversion_that_takes_too_long_is_given_up() -> None:
    began = time.monotonic()
    refused = refusal(docx(TEXT), seconds=0.2)
    assert (refused.code, "takes longer than 0.2 s" in refused.reason) == ("document.timeout", True)
    assert time.monotonic() - began < 2


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_a_conversion_ends_when_its_renderer_forgets() -> None:
    renderer = Renderer()
    failures: list[RequestError] = []

    def convert() -> None:
        try:
            renderer.readable(Upload("a.docx", docx(TEXT)))
        except RequestError as error:
            failures.append(error)

    converting = threading.Thread(target=convert)
    converting.start()
    while converting.is_alive() and (renderer._conversion is None or renderer._conversion._process is None):
        time.sleep(0.01)
    renderer.forget()
    converting.join(5)
    assert [failure.code for failure in failures] == ["document.closed"]
    assert len(renderer.shapes(Upload("b.txt", b"x"))) == 1
    renderer.close()


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_what_libreoffice_cannot_read_is_damaged() -> None:
    broken = docx(TEXT, more={"word/document.xml": "<w:document>not so"})
    assert refusal(broken).code == "document.damaged"


def test_a_file_that_is_cut_off_is_damaged() -> None:
    whole = docx(TEXT)
    for length in (10, len(whole) // 2, len(whole) - 1):
        assert refusal(whole[:length]).code == "document.damaged"


@pytest.mark.parametrize(
    "octets",
    [
        docx(TEXT, more={"word/vbaProject.bin": b"\xd0\xcf\x11\xe0"}),
        odt(TEXT, more={"Basic/Standard/Module1.xml": "<x/>"}),
        odt(TEXT, more={"Scripts/python/evil.py": "import os"}),
    ],
    ids=["docm", "basic", "python"],
)
def test_macros_are_refused(octets: bytes) -> None:
    refused = refusal(octets)
    assert (refused.code, "has macros" in refused.reason) == ("document.macros", True)


def test_encrypted_files_and_old_ones_are_refused() -> None:
    entry = '<manifest:file-entry manifest:full-path="a"><manifest:encryption-data/></manifest:file-entry>'
    assert refusal(odt(TEXT, manifest=entry)).code == "document.encrypted"
    refused = refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "letter.doc")
    assert (refused.code, "encrypted office file or one of before 2007" in refused.reason) == (
        "document.unreadable",
        True,
    )


def test_other_zips_are_refused() -> None:
    sheet = zipped({"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"})
    refused = refusal(sheet, "sums.xlsx")
    assert (refused.code, "neither DOCX nor ODT" in refused.reason) == ("document.unreadable", True)


def bomb() -> bytes:
    return docx(TEXT, more={"word/media/1.bmp": bytes(257 << 20)})


def lying_bomb() -> bytes:
    """Write a zip that says of 257 MB that they are a hundred octets."""
    octets = bytearray(docx(TEXT, more={"word/media/1.bmp": bytes(257 << 20)}))
    told, checked = struct.pack("<I", 257 << 20), struct.pack("<I", zlib.crc32(bytes(257 << 20)))
    for wrong, right in ((told, struct.pack("<I", 100)), (checked, struct.pack("<I", zlib.crc32(bytes(100))))):
        while (at := octets.find(wrong)) >= 0:
            octets[at : at + 4] = right
    return bytes(octets)


@pytest.mark.parametrize("make", [bomb, lying_bomb, overlapping_bomb])
def test_a_zip_bomb_is_refused_before_libreoffice_sees_it(
    make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = make()
    assert len(octets) < 1 << 20
    monkeypatch.setenv("PATH", "/nonexistent")
    began = time.monotonic()
    refused = refusal(octets)
    assert (refused.code, "unpacks to more than 256 MB" in refused.reason) == ("document.too_large", True)
    assert time.monotonic() - began < 10


def test_more_members_than_a_document_has_are_refused_uncounted() -> None:
    refused = refusal(b"PK\x03\x04" + b"PK\x01\x02" * (MOST_MEMBERS + 1))
    assert (refused.code, "more than 5,000 members" in refused.reason) == ("document.too_large", True)


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)


def test_without_libreoffice_or_bubblewrap_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path / "bwrap", "exit 1")
    refused = refusal(docx(TEXT))
    assert refused.code == "document.unsupported"
    assert refused.reason == (
        "offer.docx is DOCX, which needs the program soffice (Debian package libreoffice-writer-nogui) on the "
        "gateway's machine; install it, or send the document as a PDF."
    )


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_without_bubblewrap_nothing_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], Path]
) -> None:
    (tmp_path / "soffice").symlink_to(peer("soffice"))
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = refusal(docx(TEXT))
    assert (refused.code, "program bwrap (Debian package bubblewrap)" in refused.reason) == (
        "document.unsupported",
        True,
    )


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_where_namespaces_are_forbidden_the_refusal_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], Path]
) -> None:
    (tmp_path / "soffice").symlink_to(peer("soffice"))
    program(tmp_path / "bwrap", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = refusal(docx(TEXT))
    assert refused.code == "document.unsupported"
    assert "(bwrap: No permissions to create new namespace); allow user namespaces" in refused.reason


def test_a_zip_compressed_in_another_way_is_refused() -> None:
    members: dict[str, str | bytes] = {"[Content_Types].xml": "x", "word/document.xml": "x"}
    assert refusal(zipped(members, compression=zipfile.ZIP_LZMA)).code == "document.damaged"


@pytest.mark.interop
@pytest.mark.usefixtures("libreoffice")
def test_an_office_file_that_grows_without_end_is_given_up() -> None:
    """Entities that make a gigabyte of text out of a page: time, memory and room of the sandbox end it."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    content = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "{"boom " * 10}">{entities}]>'
    with zipfile.ZipFile(io.BytesIO(odt(TEXT))) as archive:
        text = archive.read("content.xml").decode().removeprefix('<?xml version="1.0"?>').replace(TEXT, "&e9;")
    hostile = odt(TEXT, more={"content.xml": content + text})
    assert refusal(hostile, "x.odt", seconds=20).code in {"document.damaged", "document.timeout"}
