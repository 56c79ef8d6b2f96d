"""``faxgw simulate``: what it refuses, how it ends, and whole calls of ``faxgw send`` and ``receive`` through it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from faxgw.documents.ahead import EVERYTHING
from faxgw.documents.coded import page_hash
from faxgw.documents.document import open_document
from t30.pages import Resolution
from tests import command

FAXGW = Path(sys.executable).with_name("faxgw")
SPEED = 10

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts ``faxgw`` and waits for the links that are to appear."""
    running: list[subprocess.Popen[str]] = []

    def begin(*words: object, links: tuple[Path, ...] = ()) -> subprocess.Popen[str]:
        command = [str(FAXGW), *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        deadline = time.monotonic() + 60
        while not all(link.exists() for link in links):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """Return what it printed, once it has ended well."""
    told, errors = process.communicate(timeout=60)
    print(told, errors)
    assert process.returncode == 0
    return told


def document(path: Path, pages: int = 2) -> Path:
    """Write pages of random blocks, pel for pel of a fax: A4, fine."""
    random = np.random.default_rng(1)
    images = [
        Image.fromarray(np.kron(random.integers(0, 2, (20, 108)), np.ones((16, 16))).astype(np.uint8) * 255).convert(
            "1"
        )
        for _ in range(pages)
    ]
    images[0].save(path, save_all=True, append_images=images[1:], compression="group4", dpi=(204, 196))
    return path


def pels(path: Path) -> list[Any]:
    with Image.open(path) as file:
        return [np.asarray(page.convert("1")).tolist() for page in ImageSequence.Iterator(file)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["modem", "--answer", "a.tif", "--call-with", "b.tif"], "give one of"),
        (["modem", "--offer", "a.tif", "--fetch", "b.tif"], "give one of"),
        (["modem", "--call-with", "nowhere.tif"], "nowhere.tif"),
        (["modem", "--answer", "nowhere/a.tif"], "no folder"),
        (["modem", "--link", "taken"], "something else is there"),
        (["modem", "--link", "nowhere/link"], "cannot be made"),
        (["modem", "--lie", "always"], "not always"),
        (["exchange", "--modem", "a"], "PATH=NUMBER"),
        (["exchange", "--modem", "a=1", "--modem", "b=1"], "taken"),
        (["exchange", "--modem", "a=1", "--machine", "1=."], "taken"),
        (["exchange", "--modem", "a=1", "--machine", "2"], "NUMBER=FOLDER"),
        (["exchange", "--modem", "a=1", "--machine", "office=."], "digits only"),
        (["exchange", "--modem", "a=1", "--machine", "2=nowhere"], "no folder"),
        (["exchange", "--modem", "a=1", "--answer-with", "2=sulks"], "drops-after-K, not sulks"),
        (["exchange", "--modem", "a=1", "--answer-with", "2=drops-after-0"], "not drops-after-0"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], reason: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file of the user's")
    with chdir(tmp_path):
        refused = command.faxgw("simulate", *words)
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_path_comes_first_and_a_signal_ends_it_with_exit_code_0(
    number: signal.Signals, start: Start, tmp_path: Path
) -> None:
    link = tmp_path / "modem"
    process = start("simulate", "modem", "--link", link, "--json", links=(link,))
    assert process.stderr
    assert process.stderr.readline().strip() == str(link.readlink())
    process.send_signal(number)
    assert json.loads(ended(process)) == {"calls": [], "seed": 0}
    assert not link.is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize("ecm", ["on", "off"])
def test_a_fax_is_sent_through_the_modem(ecm: str, start: Start, tmp_path: Path) -> None:
    sent, received, link = document(tmp_path / "sent.tif"), tmp_path / "received.tif", tmp_path / "modem"
    options = ("--link", link, "--calls", 1, "--speed", SPEED, "--ident", "+1 555 0100", "--ecm", ecm, "--json")
    far = start("simulate", "modem", "--answer", received, *options, links=(link,))
    line = f"class1:{link}?speed={SPEED}"
    near = json.loads(ended(start("send", "--line", line, "--to", "5550100", "--json", sent)))
    assert (near["outcome"], near["ecm"], near["remote_id"]) == ("delivered", ecm == "on", "+1 555 0100")
    (call,) = json.loads(ended(far))["calls"]
    assert (call["outcome"], len(call["pages"])) == ("received", 2)
    assert pels(received) == pels(sent)


@pytest.mark.slow
def test_a_fax_is_received_through_the_modem(start: Start, tmp_path: Path) -> None:
    sent, link = document(tmp_path / "sent.tif"), tmp_path / "modem"
    options = ("--link", link, "--calls", 1, "--speed", SPEED, "--no-train", 14400, "--json")
    far = start("simulate", "modem", "--call-with", sent, *options, links=(link,))
    line = f"class1:{link}?speed={SPEED}"
    near = json.loads(ended(start("receive", "--line", line, "--out", tmp_path / "in", "--timeout", 30, "--json")))
    assert (near["outcome"], near["rate"]) == ("received", 12000)
    (call,) = json.loads(ended(far))["calls"]
    assert call["outcome"] == "delivered"
    assert pels(tmp_path / "in" / "fax.tif") == pels(sent)


@pytest.mark.slow
def test_two_modems_on_an_exchange_call_each_other(start: Start, tmp_path: Path) -> None:
    sent, a, b = document(tmp_path / "sent.tif", pages=1), tmp_path / "a", tmp_path / "b"
    exchange = start(
        "simulate", "exchange", "--modem", f"{a}=100", "--modem", f"{b}=200", "--speed", SPEED, links=(a, b)
    )
    receiving = start("receive", "--line", f"class1:{b}?speed={SPEED}", "--out", tmp_path / "in", "--json")
    assert receiving.stderr
    while "listening" not in receiving.stderr.readline():
        assert receiving.poll() is None
    sending = start("send", "--line", f"class1:{a}?speed={SPEED}", "--to", "200", "--json", sent)
    assert json.loads(ended(sending))["outcome"] == "delivered"
    assert json.loads(ended(receiving))["outcome"] == "received"
    exchange.send_signal(signal.SIGINT)
    assert len(ended(exchange).splitlines()) == 2
    assert pels(tmp_path / "in" / "fax.tif") == pels(sent)


# ------------------------------------------------------------------------------------------------- machines that answer


class Exchange:
    """An exchange with two modems, and what its machines say."""

    def __init__(self, start: Start, folder: Path, *options: object) -> None:
        self.kept = folder / "kept"
        self.kept.mkdir()
        self.plugs = (folder / "a", folder / "b")
        plugs = [f"--modem={plug}={number}" for plug, number in zip(self.plugs, (100, 200), strict=True)]
        machine = f"--machine=15550100={self.kept}"
        self._start = start
        self._log = self.kept / "calls.jsonl"
        start("simulate", "exchange", *plugs, machine, "--speed", SPEED, *options, links=self.plugs)

    def send(self, document: Path, *, by: int = 0, to: str = "15550100") -> subprocess.Popen[str]:
        return self._start("send", f"--line=class1:{self.plugs[by]}?speed={SPEED}", "--to", to, "--json", document)

    def told(self, event: str) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [fact for fact in map(json.loads, lines) if fact["event"] == event]

    def wait_for(self, event: str, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 60
        while len(facts := self.told(event)) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return facts


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    told, errors = process.communicate(timeout=60)
    print(told, errors)
    result: dict[str, Any] = json.loads(told)
    return result


@pytest.mark.slow
def test_machines_answer_several_calls_at_once_and_tell_of_each_page(start: Start, tmp_path: Path) -> None:
    sent = document(tmp_path / "sent.tif")
    exchange = Exchange(start, tmp_path)
    for sending in [exchange.send(sent, by=by) for by in (0, 1)]:
        assert said(sending)["outcome"] == "delivered"
    calls = exchange.wait_for("call", 2)
    assert {call["caller"] for call in calls} == {"100", "200"}
    with open_document([sent]) as pages:
        bitmaps = [pages.bitmap(index, pages.layout(index, EVERYTHING)) for index in range(2)]
    hashes = [page_hash(bitmap, Resolution.FINE).hex() for bitmap in bitmaps]
    for call in calls:
        assert (call["outcome"], [page["sha256"] for page in call["pages"]]) == ("received", hashes)
        assert pels(Path(call["file"])) == pels(sent)
        told = [(page["index"], page["sha256"]) for page in exchange.told("page") if page["call"] == call["call"]]
        assert told == list(enumerate(hashes))


@pytest.mark.slow
def test_numbers_may_be_busy_or_drop_calls(start: Start, tmp_path: Path) -> None:
    sent = document(tmp_path / "sent.tif")
    exchange = Exchange(start, tmp_path, "--answer-with=15550100=drops-after-1", "--answer-with=300=busy", "--lines=1")
    sending = exchange.send(sent)
    assert said(exchange.send(sent, by=1, to="300"))["reason"]["code"] == "call.busy"
    assert said(sending)["outcome"] == "partial"
    (call,) = exchange.wait_for("call", 1)
    assert [page["confirmed"] for page in call["pages"]] == [True]
    assert len(pels(Path(call["file"]))) == 1


@pytest.mark.slow
def test_a_call_ends_when_its_program_is_killed_and_the_modem_serves_the_next(start: Start, tmp_path: Path) -> None:
    sent = document(tmp_path / "sent.tif", pages=3)
    exchange = Exchange(start, tmp_path)
    for kills in (1, 2):
        sending = exchange.send(sent)
        exchange.wait_for("page", kills)
        sending.kill()
        assert exchange.wait_for("call", kills)[-1]["reason"]["code"] == "line.dropped"
    assert said(exchange.send(sent))["outcome"] == "delivered"
    *killed, last = exchange.wait_for("call", 3)
    assert [[page["confirmed"] for page in call["pages"]][:1] for call in killed] == [[True]] * 2
    assert pels(Path(last["file"])) == pels(sent)
