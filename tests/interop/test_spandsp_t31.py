"""faxgw through a modem and to a fax machine that nobody here wrote: libspandsp's, over a pseudo-terminal."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import LONGEST_CALL, SpandspLine
from tests.interop.pages import (
    FINE,
    STANDARD,
    Pels,
    differences,
    read_pages,
    text_page,
    write_mixed,
    write_pages,
)

pytestmark = [pytest.mark.interop, pytest.mark.real_time]

SPEED = 8
FAXGW = Path(sys.executable).with_name("faxgw")
WAYS = [("off", "mh"), ("off", "mr"), ("on", "mh"), ("on", "mr"), ("on", "mmr")]
FAMILIES = [("v29,v27ter", 9600, "V.29"), ("v27ter", 4800, "V.27ter")]
SIZES = {
    (1728, FINE): "fine",
    (1728, STANDARD): "standard",
    (2048, FINE): "fine",
    (2432, FINE): "fine",
    (1728, (204, 391)): "superfine",
    (2592, (300, 300)): "300",
    (3456, (408, 391)): "400",
    (4864, (408, 391)): "400",
}
"""Pels per scan line and dots per inch -> what the result calls it."""
FIRST = text_page(title="One")
MID_PAGE_2 = 22

Start = Callable[..., SpandspLine]


@pytest.mark.parametrize(("ecm", "coding"), WAYS)
def test_pages_sent_arrive_at_spandsp_pel_for_pel(spandsp_line: Start, tmp_path: Path, ecm: str, coding: str) -> None:
    pages = [text_page(title="One"), text_page(title="Two")]
    line = spandsp_line("--answer", tmp_path / "out.tif", "--speed", SPEED)
    result = send(line, write_pages(tmp_path / "in.tif", pages), "--ecm", ecm, "--coding", coding)
    report = line.report()
    assert result["outcome"] == "delivered", result["reason"]
    assert (result["rate"], result["modulation"], result["ecm"]) == (14400, "V.17", ecm == "on")
    assert [(page["coding"], page["confirmed"], page["rows"]) for page in result["pages"]] == [
        (coding.upper(), True, 300)
    ] * 2
    assert (report["text"], report["ecm"], report["coding"], report["on_hook"]) == (
        "OK",
        ecm == "on",
        coding.upper(),
        True,
    )
    assert differences(pages, read_pages(tmp_path / "out.tif")) == []


@pytest.mark.parametrize(("ecm", "coding"), WAYS)
def test_pages_from_spandsp_are_stored_pel_for_pel(spandsp_line: Start, tmp_path: Path, ecm: str, coding: str) -> None:
    pages = [text_page(title="One"), text_page(title="Two")]
    sent = write_pages(tmp_path / "in.tif", pages)
    # spandsp chooses the best coding that it has itself and that we announce
    codings = {"mh": "mh", "mr": "mh,mr", "mmr": "mh,mr,mmr"}[coding]
    line = spandsp_line("--call-with", sent, "--ecm", ecm, "--compression", codings, "--speed", SPEED)
    result = receive(line, tmp_path / "inbox")
    report = line.report()
    assert result["outcome"] == "received", result["reason"]
    assert (result["rate"], result["ecm"], result["remote_id"]) == (14400, ecm == "on", "+1 555 0100")
    assert [(page["coding"], page["bad_rows"]) for page in result["pages"]] == [(coding.upper(), 0)] * 2
    assert (report["text"], report["pages"], report["on_hook"]) == ("OK", 2, True)
    assert differences(pages, read_pages(tmp_path / "inbox" / "fax.tif")) == []


@pytest.mark.parametrize(("modems", "rate", "modulation"), FAMILIES)
def test_slower_modems_are_met_when_sending(
    spandsp_line: Start, tmp_path: Path, modems: str, rate: int, modulation: str
) -> None:
    pages = [text_page(120)]
    line = spandsp_line("--answer", tmp_path / "out.tif", "--modems", modems, "--speed", SPEED)
    result = send(line, write_pages(tmp_path / "in.tif", pages))
    assert (result["outcome"], result["rate"], result["modulation"]) == ("delivered", rate, modulation)
    assert line.report()["rate"] == rate
    assert differences(pages, read_pages(tmp_path / "out.tif")) == []


@pytest.mark.parametrize(("modems", "rate", "modulation"), FAMILIES)
def test_slower_modems_are_met_when_receiving(
    spandsp_line: Start, tmp_path: Path, modems: str, rate: int, modulation: str
) -> None:
    pages = [text_page(120)]
    line = spandsp_line("--call-with", write_pages(tmp_path / "in.tif", pages), "--modems", modems, "--speed", SPEED)
    result = receive(line, tmp_path / "inbox")
    assert (result["outcome"], result["rate"], result["modulation"]) == ("received", rate, modulation)
    assert differences(pages, read_pages(tmp_path / "inbox" / "fax.tif")) == []


def test_a_page_longer_than_the_modem_buffers_is_sent_whole(spandsp_line: Start, tmp_path: Path) -> None:
    pages = [text_page(1000)]
    line = spandsp_line("--answer", tmp_path / "out.tif", "--speed", SPEED)
    result = send(line, write_pages(tmp_path / "in.tif", pages), "--ecm", "off", "--coding", "mh")
    assert result["outcome"] == "delivered", result["reason"]
    assert result["pages"][0]["octets"] > 4 * 4096
    assert differences(pages, read_pages(tmp_path / "out.tif")) == []


def test_a_long_page_is_received_whole(spandsp_line: Start, tmp_path: Path) -> None:
    pages = [text_page(1000)]
    sent = write_pages(tmp_path / "in.tif", pages)
    line = spandsp_line("--call-with", sent, "--ecm", "off", "--compression", "mh", "--speed", SPEED)
    result = receive(line, tmp_path / "inbox")
    assert result["outcome"] == "received", result["reason"]
    assert differences(pages, read_pages(tmp_path / "inbox" / "fax.tif")) == []


def test_a_document_of_every_size_and_resolution_is_sent_pel_for_pel(spandsp_line: Start, tmp_path: Path) -> None:
    pages = every_size()
    line = spandsp_line("--answer", tmp_path / "out.tif", "--speed", 2 * SPEED)
    result = send(line, write_mixed(tmp_path / "in.tif", pages), speed=2 * SPEED)
    assert result["outcome"] == "delivered", result["reason"]
    assert [page["resolution"] for page in result["pages"]] == [SIZES[page.shape[1], dpi] for page, dpi in pages]
    assert differences([page for page, _ in pages], read_pages(tmp_path / "out.tif")) == []


def test_a_document_of_every_size_and_resolution_is_stored_pel_for_pel(spandsp_line: Start, tmp_path: Path) -> None:
    pages = every_size()
    line = spandsp_line("--call-with", write_mixed(tmp_path / "in.tif", pages), "--speed", 2 * SPEED)
    result = receive(line, tmp_path / "inbox", speed=2 * SPEED)
    assert result["outcome"] == "received", result["reason"]
    assert [page["resolution"] for page in result["pages"]] == [SIZES[page.shape[1], dpi] for page, dpi in pages]
    assert differences([page for page, _ in pages], read_pages(tmp_path / "inbox" / "fax.tif")) == []


@pytest.mark.parametrize("refusal", ["busy", "no-answer", "no-dialtone"])
def test_a_call_that_does_not_come_about_says_why(spandsp_line: Start, tmp_path: Path, refusal: str) -> None:
    line = spandsp_line("--refuse", refusal, "--speed", SPEED)
    result = send(line, write_pages(tmp_path / "in.tif", [text_page(60)]), exits=1)
    assert (result["outcome"], result["reason"]["code"]) == ("failed", "call." + refusal.replace("-", "_"))
    assert line.report()["on_hook"]


def test_pages_before_a_drop_are_kept_and_the_modem_hangs_up(spandsp_line: Start, tmp_path: Path) -> None:
    line = spandsp_line(
        "--call-with", two_pages(tmp_path), "--ecm", "off", "--drop-after", MID_PAGE_2, "--speed", SPEED
    )
    result = receive(line, tmp_path / "inbox", exits=1)
    assert (result["outcome"], result["reason"]["code"]) == ("partial", "fax.no_response")
    assert line.report()["on_hook"]
    assert differences([FIRST], read_pages(tmp_path / "inbox" / "fax.tif")[:1]) == []


def test_a_modem_unplugged_in_mid_page_ends_the_call_and_keeps_the_page_before(
    spandsp_line: Start, tmp_path: Path
) -> None:
    line = spandsp_line(
        "--call-with", two_pages(tmp_path), "--ecm", "off", "--unplug-after", MID_PAGE_2, "--speed", SPEED
    )
    result = receive(line, tmp_path / "inbox", exits=1)
    assert (result["outcome"], result["reason"]["code"]) == ("partial", "line.unavailable")
    assert differences([FIRST], read_pages(tmp_path / "inbox" / "fax.tif")[:1]) == []


@pytest.mark.parametrize(("way", "carrier"), [("send", "AT+FTM=146"), ("receive", "AT+FRM=146")])
def test_interrupted_in_mid_page_it_says_goodbye_hangs_up_and_is_gone_in_time(
    spandsp_line: Start, tmp_path: Path, way: str, carrier: str
) -> None:
    document = two_pages(tmp_path)
    if way == "send":
        line = spandsp_line("--answer", tmp_path / "out.tif", "--speed", SPEED)
        words = faxgw_words("send", line, "--to", "5550100", document, speed=SPEED)
    else:
        line = spandsp_line("--call-with", document, "--speed", SPEED)
        words = faxgw_words("receive", line, "--out", tmp_path / "inbox", speed=SPEED)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        line.await_said(carrier, times=2)
        running.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        printed, told = running.communicate(timeout=20)
        took = time.monotonic() - interrupted
    print(told, printed)
    assert running.returncode == 1
    result = json.loads(printed)
    assert (result["outcome"], result["reason"]["code"]) == ("partial", "call.canceled")
    assert took < 3.0
    report = line.report()
    assert report["on_hook"]
    if way == "send":  # a machine that is sending itself does not hear our DCN
        assert "DCN" in report["text"]


def test_the_caller_is_known_before_the_call_is_taken(spandsp_line: Start, tmp_path: Path) -> None:
    sent = write_pages(tmp_path / "in.tif", [text_page(60)])
    line = spandsp_line("--call-with", sent, "--caller", "+4930123456", "--speed", SPEED)
    receive(line, tmp_path / "inbox", "--trace", tmp_path / "call.jsonl")
    said = [json.loads(each) for each in (tmp_path / "call.jsonl").read_text().splitlines()]
    (ringing,) = [each for each in said if each.get("event") == "Ringing"]
    assert ringing["caller"] == "+4930123456"


def test_a_recorded_call_replays(spandsp_line: Start, tmp_path: Path) -> None:
    line = spandsp_line("--answer", tmp_path / "out.tif", "--speed", SPEED)
    send(line, write_pages(tmp_path / "in.tif", [text_page(60)]), "--trace", tmp_path / "call.jsonl")
    replayed = subprocess.run([FAXGW, "replay", tmp_path / "call.jsonl"], capture_output=True, text=True, check=False)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def every_size() -> list[tuple[Pels, tuple[int, int]]]:
    """Draw a page of each size, so that every page break is a new negotiation (EOM)."""
    return [(text_page(120, title=f"{width} {dpi}", width=width), dpi) for width, dpi in SIZES]


def two_pages(folder: Path) -> Path:
    """Write a document whose second page takes from second 17 to 29 of a call."""
    return write_pages(folder / "in.tif", [FIRST, text_page(1500, title="Two")])


def send(line: SpandspLine, document: Path, *options: object, exits: int = 0, speed: int = SPEED) -> dict[str, Any]:
    return faxgw("send", line, "--to", "5550100", *options, document, exits=exits, speed=speed)


def receive(line: SpandspLine, folder: Path, *options: object, exits: int = 0, speed: int = SPEED) -> dict[str, Any]:
    return faxgw("receive", line, "--out", folder, "--timeout", 30, *options, exits=exits, speed=speed)


def faxgw(command: str, line: SpandspLine, *options: object, exits: int, speed: int) -> dict[str, Any]:
    """Run one command of the product on the line and return its JSON."""
    words = faxgw_words(command, line, *options, speed=speed)
    finished = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_CALL, check=False)
    print(f"--- faxgw {command}\n{finished.stdout}\n{finished.stderr}")
    assert finished.returncode == exits
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


def faxgw_words(command: str, line: SpandspLine, *options: object, speed: int) -> list[str]:
    words = [FAXGW, command, "--line", f"class1:{line.path}?speed={speed}", "--json", *options]
    return [str(word) for word in words]
