"""Documents from memory: read as files are, and never on a disk."""

import os
from pathlib import Path

import pytest

from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.parts import LARGEST, Upload
from faxgw.errors import RequestError
from tests.faxgw.documents.making import children_of, fax_tiff, limits, pdf_page, text_like

CANARY = "canary 8c2f91e07a"


def test_an_upload_gives_the_pages_that_its_file_gives(tmp_path: Path) -> None:
    pdf = pdf_page(tmp_path / "a.pdf", b"10 10 50 50 re f", pages=2)
    tiff = fax_tiff(tmp_path / "b.tif", [text_like(500, 1728)], dpi=(204, 196))
    text = tmp_path / "c.txt"
    text.write_text("Hello\fWorld\n")
    files = [pdf, tiff, text]
    with open_document(files) as named, open_document([Upload(one.name, one.read_bytes()) for one in files]) as sent:
        assert len(named) == len(sent) == 5
        for page in range(5):
            layout = named.layout(page, limits())
            assert sent.layout(page, limits()) == layout
            assert sent.bitmap(page, layout) == named.bitmap(page, layout)


def test_parts_whose_files_were_closed_meanwhile_are_read_again(tmp_path: Path) -> None:
    """A worker keeps two files open; pages are asked for here and there."""
    parts = [Upload(f"{count}.txt", b"x\n" * count) for count in range(1, 6)]
    with open_document(parts) as document:
        first = [document.bitmap(page, document.layout(page, limits())) for page in range(5)]
        again = [document.bitmap(page, document.layout(page, limits())) for page in (4, 0, 3, 1, 2)]
    assert again == [first[page] for page in (4, 0, 3, 1, 2)]
    assert len({page.words.tobytes() for page in first}) == 5


def test_a_refused_upload_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"offer\.pdf is empty") as refused:
        open_document([Upload("offer.pdf", b"")])
    assert refused.value.code == "document.empty"


def test_more_octets_than_a_worker_can_hold_are_refused_unread() -> None:
    with pytest.raises(RequestError, match="has more than 512 MB") as refused:
        open_document([Upload("large.pdf", bytes(LARGEST + 1))])
    assert refused.value.code == "document.too_large"


def test_what_a_user_sent_is_not_shown_where_an_upload_is_printed() -> None:
    assert CANARY not in repr(Upload("a.txt", CANARY.encode()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system has no /proc")
def test_nothing_of_an_upload_is_written_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XM-14, FP-01. The worker may write no file at all; open for writing are the pipe of its answers and the sheet."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with open_document([Upload("secret.txt", CANARY.encode())], RenderOptions()) as document:
        document.bitmap(0, document.layout(0, limits()))
        worker = document._renderer._process
        assert worker is not None
        for process in (worker.pid, *children_of(worker.pid)):
            assert "Max file size             0                    0" in Path(f"/proc/{process}/limits").read_text()
            # Memory, in spite of its name.
            assert set(open_for_writing(process)) == {"/memfd:page (deleted)"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def open_for_writing(process: int) -> list[str]:
    found = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        flags = int(Path(f"/proc/{process}/fdinfo/{descriptor.name}").read_text().split("flags:")[1].split()[0], 8)
        target = str(descriptor.readlink())
        if flags & (os.O_WRONLY | os.O_RDWR) and target.startswith("/") and target != "/dev/null":
            found.append(target)
    return found
