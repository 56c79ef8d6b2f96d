"""Files that cannot be sent, hostile ones among them: one clear sentence each, and nothing left running."""

import io
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from PIL import Image

from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.renderer import WorkerLimits
from faxgw.documents.sample import write_sample
from faxgw.errors import RequestError
from tests.faxgw.documents.making import children_of, endless, limits, pdf_page, pdf_with_too_large_an_image, png_header


def sample(folder: Path) -> Path:
    path = folder / "sample.pdf"
    write_sample(path)
    return path


def noise(kind: str) -> bytes:
    image = Image.fromarray(np.random.default_rng(5).integers(0, 256, (300, 300), np.uint8))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def encrypted(folder: Path) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(sample(folder)) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(user="secret", owner="owner"))
    return out.getvalue()


def without_pages() -> bytes:
    out = io.BytesIO()
    pikepdf.new().save(out)
    return out.getvalue()


def refusal(path: Path, options: RenderOptions | None = None) -> RequestError:
    """Open and draw the file, which must be refused at one or the other; the sentence must name the file."""
    with pytest.raises(RequestError) as refused, open_document([path], options) as document:
        document.bitmap(0, document.layout(0, limits()))
    assert path.name in refused.value.reason
    assert refused.value.reason.endswith(".")
    assert "\n" not in refused.value.reason
    return refused.value


@pytest.mark.parametrize(
    ("name", "octets", "code"),
    [
        ("empty.pdf", b"", "document.empty"),
        ("random.dat", np.random.default_rng(1).bytes(4000), "document.unreadable"),
        ("zeros.tif", bytes(500), "document.unreadable"),
        ("program", b"\x7fELF\2\1\1" + bytes(200), "document.unreadable"),
        ("junk.pdf", b"%PDF-1.7\nnothing of the kind", "document.damaged"),
        ("no-pages.pdf", without_pages(), "document.no_pages"),
        ("huge.png", png_header(100_000, 100_000), "document.too_large"),
        ("wide.png", png_header(100_000, 10), "document.too_large"),
        ("large.png", png_header(20_000, 20_000), "document.too_large"),
        ("short.png", png_header(300, 300), "document.damaged"),
        ("cut.png", noise("PNG")[:30_000], "document.damaged"),
        ("cut.jpg", noise("JPEG")[:9_000], "document.damaged"),
        ("cut.tif", noise("TIFF")[:40_000], "document.damaged"),
        ("header.tif", b"II*\0\x08\0\0\0", "document.damaged"),
        ("no-pages.tif", b"II*\0\0\0\0\0", "document.damaged"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_sentence(tmp_path: Path, name: str, octets: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(octets)
    assert refusal(tmp_path / name).code == code


@pytest.mark.parametrize(("kind", "octets"), [("PNG", 30_000), ("JPEG", 9_000), ("TIFF", 40_000)])
def test_an_image_that_is_cut_off_is_refused_when_it_is_opened_before_any_call(
    tmp_path: Path, kind: str, octets: int
) -> None:
    (tmp_path / "cut").write_bytes(noise(kind)[:octets])
    with pytest.raises(RequestError) as refused:
        open_document([tmp_path / "cut"])
    assert refused.value.code == "document.damaged"


def test_an_encrypted_pdf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.pdf").write_bytes(encrypted(tmp_path))
    refused = refusal(tmp_path / "secret.pdf")
    assert (refused.code, "is encrypted" in refused.reason) == ("document.encrypted", True)


def test_a_pdf_that_only_forbids_changes_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "owner.pdf"
    with pikepdf.open(sample(tmp_path)) as pdf:
        pdf.save(path, encryption=pikepdf.Encryption(user="", owner="owner"))
    with open_document([path]) as document:
        assert len(document) == 3


def test_an_image_in_a_pdf_that_would_be_left_out_is_refused(tmp_path: Path) -> None:
    refused = refusal(pdf_with_too_large_an_image(tmp_path / "page.pdf"))
    assert (refused.code, "An image on page 1" in refused.reason) == ("document.too_large", True)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "not-there.pdf").code == "document.missing"
    assert refusal(tmp_path).code == "document.unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = sample(tmp_path)
    path.chmod(0)
    assert refusal(path).code == "document.unreadable"


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(RequestError, match="no document to send"):
        open_document([])


def test_a_large_image_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(png_header(100_000, 100_000))
    began = time.monotonic()
    refusal(tmp_path / "huge.png", RenderOptions(limits=WorkerLimits(memory=64 << 20)))
    assert time.monotonic() - began < 5


def test_a_page_that_takes_too_long_is_given_up_and_the_next_one_drawn(tmp_path: Path) -> None:
    slow, good = endless(tmp_path / "slow.pdf"), pdf_page(tmp_path / "good.pdf", b"10 10 50 50 re f")
    with open_document([slow, good], RenderOptions(limits=WorkerLimits(seconds=1))) as document:
        with pytest.raises(RequestError, match=r"Page 1 of slow\.pdf takes longer than 1 s") as refused:
            document.bitmap(0, document.layout(0, limits()))
        assert refused.value.code == "document.timeout"
        assert document.bitmap(1, document.layout(1, limits())).pels().any()


def test_a_page_that_needs_too_much_memory_is_refused_and_the_gateway_lives(tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    pdf_page(path, b"0 0 100 100 re f")
    refused = refusal(path, RenderOptions(limits=WorkerLimits(memory=2 << 20)))
    assert refused.code in {"document.too_large", "document.crashed"}


def test_closing_ends_a_page_in_mid_drawing(tmp_path: Path) -> None:
    document = open_document([endless(tmp_path / "slow.pdf")])
    failures: list[BaseException] = []

    def draw() -> None:
        try:
            document.bitmap(0, document.layout(0, limits()))
        except RequestError as error:
            failures.append(error)

    drawing = threading.Thread(target=draw)
    drawing.start()
    drawing.join(0.3)
    assert drawing.is_alive()
    document.close()
    drawing.join(5)
    assert not drawing.is_alive()
    assert len(failures) == 1


ORPHANING = """
import os, sys, threading
from pathlib import Path
from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.renderer import WorkerLimits
from tests.faxgw.documents.making import limits
document = open_document([Path(sys.argv[1])], RenderOptions(limits=WorkerLimits(seconds=3)))
threading.Thread(target=document.bitmap, args=(0, document.layout(0, limits()))).start()
print(document._renderer._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
@pytest.mark.slow
def test_a_worker_busy_with_an_endless_page_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHANING, str(endless(tmp_path / "slow.pdf"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as gateway:
        assert gateway.stdout is not None
        worker = int(gateway.stdout.readline())
        drawing = children_of(worker)[0]
        while _seconds_used(drawing) < 0.2:
            time.sleep(0.02)
        gateway.kill()
    ends = time.monotonic() + 10
    while (_runs(worker) or _runs(drawing)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not _runs(drawing)
    assert not _runs(worker)


def _seconds_used(process: int) -> float:
    """Return how long a process has computed, user time only."""
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


def _runs(process: int) -> bool:
    """Say whether a process runs; one that has ended and waits to be noted by its parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_worker_has_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        leave_and_call = (
            "import socket; from faxgw.documents.worker import leave_network; print(leave_network(), flush=True);"
            f"socket.create_connection(('127.0.0.1', {port}), 5)"
        )
        done = subprocess.run([sys.executable, "-c", leave_and_call], capture_output=True, text=True, check=False)
    if done.stdout == "False\n":
        pytest.skip("this system does not let a process give up its network")
    assert "Error: [Errno" in done.stderr
    with open_document([pdf_page(tmp_path / "page.pdf", b"")]) as document:
        worker = document._renderer._process
        assert worker is not None
        assert Path(f"/proc/{worker.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@pytest.mark.slow
@pytest.mark.soak
def test_random_damage_to_any_kind_of_file_ends_in_pages_or_in_a_refusal(
    tmp_path: Path, soak: bool, soak_seed: int
) -> None:
    random = np.random.default_rng(soak_seed)
    wholes = {"pdf": sample(tmp_path).read_bytes(), **{kind: noise(kind.upper()) for kind in ("png", "tiff", "jpeg")}}
    options = RenderOptions(limits=WorkerLimits(seconds=20))
    for number in range(2000 if soak else 24):
        kind = list(wholes)[number % len(wholes)]
        octets = bytearray(wholes[kind])
        for _ in range(int(random.integers(1, 20))):
            octets[int(random.integers(0, min(len(octets), 4000)))] = int(random.integers(256))
        path = tmp_path / f"damaged.{kind}"
        path.write_bytes(octets)
        try:
            with open_document([path], options) as document:
                document.bitmap(0, document.layout(0, limits()))
        except RequestError as refused:
            assert refused.code.startswith("document.")
            assert refused.code != "document.crashed", f"seed {soak_seed}, file {number}: {refused.reason}"
