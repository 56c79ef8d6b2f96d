"""``faxgw send`` and ``faxgw receive`` from outside: what they print, how they end, what they leave behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image

from faxgw.documents.document import RenderOptions
from faxgw.documents.screening import Screen
from tests import command
from tests.faxgw.job import drawn, received

SPEED = 10
LONGEST = 60


def faxgw(*words: object) -> list[str]:
    return [sys.executable, "-c", "from faxgw.cli import main; main()", *map(str, words)]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(faxgw(*words), capture_output=True, text=True, timeout=LONGEST, check=False)


@contextmanager
def simulated_modem(folder: Path, *options: object) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run ``faxgw simulate modem``; yield the line URL that leads to it, and the process."""
    link = folder / "modem"
    words = faxgw("simulate", "modem", "--link", link, "--speed", SPEED, "--calls", 1, "--json", *options)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()
        try:
            yield f"class1:{link}?speed={SPEED}", process
        finally:
            process.terminate()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Three fax pages: two short ones, and noise that takes a minute of line time."""
    path = tmp_path / "document.tif"
    noise = Image.frombytes("1", (1728, 500), random.Random(1).randbytes(1728 * 500 // 8))
    short = Image.new("1", (1728, 1100), 1)
    short.save(path, save_all=True, append_images=[short, noise], dpi=(204, 196), compression="group4")
    return path


def one_object(process: subprocess.CompletedProcess[str] | command.Ran) -> dict[str, Any]:
    (line,) = process.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_document_is_sent_and_its_pages_arrive(tmp_path: Path) -> None:
    document = tmp_path / "document.txt"
    document.write_text("one\ftwo\fthree")
    with simulated_modem(tmp_path, "--answer", tmp_path / "got.tif") as (line, modem):
        sent = run("send", "--line", line, "--to", "5550100", "--ident", "+49 30", "--json", document)
        told, _ = modem.communicate(timeout=LONGEST)
    result = one_object(sent)
    assert sent.returncode == 0, sent.stderr
    assert (result["outcome"], result["direction"], result["modulation"]) == ("delivered", "out", "V.17")
    assert [page["confirmed"] for page in result["pages"]] == [True] * 3
    assert "page 3 of 3 confirmed" in sent.stderr
    assert received(tmp_path / "got.tif") == drawn([document])
    assert json.loads(told)["calls"][0]["remote_id"] == "+49 30"


@pytest.mark.slow
def test_grey_is_screened_as_asked_for(tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.linear_gradient("L").resize((800, 200)).save(grey, dpi=(100, 100))
    with simulated_modem(tmp_path, "--answer", tmp_path / "got.tif") as (line, modem):
        sent = run("send", "--line", line, "--to", "5550100", "--screen", "text", grey)
        modem.communicate(timeout=LONGEST)
    assert sent.returncode == 0, sent.stderr
    assert received(tmp_path / "got.tif") == drawn([grey], options=RenderOptions(screen=Screen.TEXT))
    assert received(tmp_path / "got.tif") != drawn([grey])


@pytest.mark.slow
def test_a_call_is_received_stored_recorded_and_replayed(tmp_path: Path) -> None:
    page = tmp_path / "page.tif"
    Image.new("1", (1728, 1100), 1).save(page, dpi=(204, 196))
    trace, out = tmp_path / "call.jsonl", tmp_path / "in"
    with simulated_modem(tmp_path, "--call-with", page) as (line, _):
        got = run("receive", "--line", line, "--out", out, "--timeout", 30, "--json", "--trace", trace)
    assert got.returncode == 0, got.stderr
    assert one_object(got)["outcome"] == "received"
    assert "listening" in got.stderr
    assert received(out / "fax.tif") == drawn([page])
    assert run("replay", trace).returncode == 0
    again = run("receive", "--line", line, "--out", out)
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.slow
def test_a_line_that_drops_in_mid_page_keeps_every_page_received(document: Path, tmp_path: Path) -> None:
    out = tmp_path / "in"
    with simulated_modem(tmp_path, "--call-with", document, "--drop-after", 40) as (line, _):
        got = run("receive", "--line", line, "--out", out, "--json")
    result = one_object(got)
    assert got.returncode == 1
    assert (result["outcome"], len(result["pages"])) == ("partial", 2)
    assert result["reason"]["text"]
    assert received(out / "fax.tif") == drawn([document])[:2]
    assert (out / "fax.pdf").exists()


@pytest.mark.slow
def test_a_folder_that_takes_no_page_any_more_is_the_reason_given(document: Path, tmp_path: Path) -> None:
    out = tmp_path / "in"
    with simulated_modem(tmp_path, "--call-with", document) as (line, modem):
        words = faxgw("receive", "--line", line, "--out", out, "--json")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as receiving:
            assert receiving.stderr
            assert receiving.stderr.readline() == "listening\n"
            out.rmdir()
            printed, _ = receiving.communicate(timeout=LONGEST)
        told, _ = modem.communicate(timeout=LONGEST)
    result = json.loads(printed)
    assert receiving.returncode == 1
    assert (result["outcome"], result["reason"]["code"]) == ("failed", "storage.failed")
    assert not any(page["confirmed"] for page in json.loads(told)["calls"][0]["pages"])


@pytest.mark.slow
def test_a_pdf_that_cannot_be_written_is_one_sentence_and_the_tiff_is_whole(tmp_path: Path) -> None:
    page, out = tmp_path / "page.tif", tmp_path / "in"
    Image.new("1", (1728, 1100), 1).save(page, dpi=(204, 196))
    (out / ".fax.pdf.part").mkdir(parents=True)
    with simulated_modem(tmp_path, "--call-with", page) as (line, _):
        got = run("receive", "--line", line, "--out", out, "--json")
    assert one_object(got)["outcome"] == "received"
    assert "the PDF could not be written" in got.stderr
    assert "Traceback" not in got.stderr
    assert received(out / "fax.tif") == drawn([page])


@pytest.mark.slow
def test_nobody_calls(tmp_path: Path) -> None:
    with simulated_modem(tmp_path) as (line, _):
        got = run("receive", "--line", line, "--out", tmp_path / "in", "--timeout", 0.5, "--json")
    assert got.returncode == 1
    assert one_object(got)["reason"]["code"] == "call.none"
    assert not list((tmp_path / "in").iterdir())


@pytest.mark.slow
def test_a_call_that_lasts_longer_than_allowed_is_ended_politely(document: Path, tmp_path: Path) -> None:
    with simulated_modem(tmp_path, "--answer", tmp_path / "got.tif") as (line, modem):
        sent = run("send", "--line", line, "--to", "1", "--max-call", 4, "--json", document)
        told, _ = modem.communicate(timeout=LONGEST)
    assert sent.returncode == 1
    assert one_object(sent)["reason"] == {"code": "call.canceled", "text": "the call lasted longer than 4 s"}
    assert json.loads(told)["calls"][0]["reason"]["code"] == "fax.disconnected"


@pytest.mark.slow
def test_ctrl_c_says_goodbye_hangs_up_and_ends_within_3_s(document: Path, tmp_path: Path) -> None:
    with simulated_modem(tmp_path, "--answer", tmp_path / "got.tif") as (line, modem):
        words = faxgw("send", "--line", line, "--to", "1", "--json", document)
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sending:
            assert sending.stderr
            while "page 1 of 3 confirmed" not in sending.stderr.readline():
                assert sending.poll() is None
            interrupted = time.monotonic()
            sending.send_signal(signal.SIGINT)
            printed, _ = sending.communicate(timeout=LONGEST)
            took = time.monotonic() - interrupted
        told, _ = modem.communicate(timeout=LONGEST)
    assert took < 3
    assert sending.returncode == 1
    assert json.loads(printed)["reason"]["code"] == "call.canceled"
    assert json.loads(told)["calls"][0]["reason"]["code"] == "fax.disconnected"


# ------------------------------------------------------------------------------------------------- bad input, faults


def encrypted(path: Path) -> None:
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(path, encryption=pikepdf.Encryption(owner="owner", user="user"))


BAD_DOCUMENTS: dict[str, Callable[[Path], object]] = {
    "empty.pdf": lambda path: path.write_bytes(b""),
    "noise.pdf": lambda path: path.write_bytes(os.urandom(3000)),
    "cut.tif": lambda path: path.write_bytes(b"II*\0\x08\0\0\0\x05"),
    "encrypted.pdf": encrypted,
    "wide.png": lambda path: Image.new("1", (100_000, 10)).save(path),
    "missing.pdf": lambda _: None,
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_what_is_no_document_ends_with_2_and_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    BAD_DOCUMENTS[name](path)
    sent = command.faxgw("send", "--line", "class1:/dev/null", "--to", "1", "--json", path)
    assert sent.returncode == 2, sent.stdout
    assert len(sent.stderr.splitlines()) == 1, sent.stderr
    assert sent.stderr.startswith("faxgw: ")


@pytest.mark.parametrize(
    "words",
    [
        ("--line", "nonsense", "--to", "1"),
        ("--line", "isdn:trunk.example", "--to", "1"),
        ("--line", "class1:/dev/null?flow=sideways", "--to", "1"),
        ("--line", "class1:/dev/null", "--to", "1", "--max-rate", "1200"),
        ("--line", "class1:/dev/null", "--to", "1", "--modems", "v34"),
        ("--line", "class1:/dev/null", "--to", "1", "--screen", "raster"),
        ("--line", "class1:/dev/null", "--to", "1", "--ident", "more than twenty characters"),
        ("--line", "class1:/dev/null"),
    ],
    ids=lambda words: words[-1],
)
def test_bad_usage_ends_with_2(words: tuple[str, ...], tmp_path: Path) -> None:
    text = tmp_path / "page.txt"
    text.write_text("page")
    sent = command.faxgw("send", *words, text)
    assert sent.returncode == 2, sent.stderr
    assert "Traceback" not in sent.stderr


def test_a_demo_that_can_leave_nothing_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    in_the_way = _text(tmp_path)
    shown = command.faxgw("demo", "--out", in_the_way / "demo")
    assert shown.returncode == 2
    assert len(shown.stderr.splitlines()) == 1, shown.stderr


def test_a_port_that_is_not_there_ends_with_1(tmp_path: Path) -> None:
    sent = command.faxgw("send", "--line", f"class1:{tmp_path / 'nowhere'}", "--to", "1", "--json", _text(tmp_path))
    assert sent.returncode == 1
    assert one_object(sent)["reason"]["code"] == "line.unavailable"


def test_what_a_trunk_logs_is_no_part_of_the_result(tmp_path: Path) -> None:
    sent = run("send", "--line", "sip:127.0.0.1:9?transport=tcp", "--to", "1", "--json", _text(tmp_path))
    assert sent.returncode == 1
    assert one_object(sent)["outcome"] == "failed"
    assert "message not sent" in sent.stderr


@pytest.mark.slow
def test_a_modem_that_answers_nothing_ends_with_1(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        line = f"class1:{os.ttyname(slave)}?speed={SPEED}"
        sent = run("send", "--line", line, "--to", "1", "--json", _text(tmp_path))
    finally:
        os.close(master)
        os.close(slave)
    assert sent.returncode == 1
    assert one_object(sent)["reason"]["code"] == "line.unavailable"


def test_a_port_in_use_ends_with_1(tmp_path: Path) -> None:
    with simulated_modem(tmp_path) as (line, _):
        waiting = subprocess.Popen(
            faxgw("receive", "--line", line, "--out", tmp_path / "in"), stdout=subprocess.PIPE, text=True
        )
        assert waiting.stdout
        assert waiting.stdout.readline() == "listening\n"
        sent = run("send", "--line", line, "--to", "1", "--json", _text(tmp_path))
        waiting.send_signal(signal.SIGINT)
        waiting.communicate(timeout=LONGEST)
    assert sent.returncode == 1
    assert one_object(sent)["reason"]["code"] == "line.unavailable"
    assert waiting.returncode == 1


def _text(folder: Path) -> Path:
    path = folder / "page.txt"
    path.write_text("page")
    return path
