"""Polling on the command line: a document that is fetched from another machine, and one that others may fetch."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests import command
from tests.faxgw.cli.test_send_receive import LONGEST, one_object, run, simulated_modem
from tests.faxgw.job import drawn, received


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.tif"
    Image.new("1", (1728, 1100), 1).save(path, dpi=(204, 196), compression="group4")
    return path


@pytest.mark.slow
def test_a_document_is_fetched_recorded_and_replayed(page: Path, tmp_path: Path) -> None:
    out, trace = tmp_path / "in", tmp_path / "call.jsonl"
    with simulated_modem(tmp_path, "--offer", page) as (line, modem):
        got = run("receive", "--line", line, "--poll", "--to", 1, "--out", out, "--json", "--trace", trace)
        told, _ = modem.communicate(timeout=LONGEST)
    assert got.returncode == 0, got.stderr
    result = one_object(got)
    assert (result["outcome"], result["direction"], result["remote_id"]) == ("received", "in", "+1 555 0100")
    (theirs,) = json.loads(told)["calls"]
    assert (theirs["outcome"], theirs["direction"]) == ("delivered", "out")
    assert received(out / "fax.tif") == drawn([page])
    assert command.faxgw("replay", trace).returncode == 0
    assert "send me your document" in command.faxgw("trace", trace, "--text").stdout


def test_a_document_is_offered_until_somebody_fetches_it(page: Path, tmp_path: Path) -> None:
    trace = tmp_path / "call.jsonl"
    with simulated_modem(tmp_path, "--fetch", tmp_path / "got.tif") as (line, modem):
        sent = run("send", "--line", line, "--poll", "--timeout", 30, "--json", "--trace", trace, page)
        told, _ = modem.communicate(timeout=LONGEST)
    assert sent.returncode == 0, sent.stderr
    assert "listening" in sent.stderr.splitlines()
    result = one_object(sent)
    assert (result["outcome"], result["direction"], result["pages"][0]["confirmed"]) == ("delivered", "out", True)
    assert json.loads(told)["calls"][0]["outcome"] == "received"
    assert received(tmp_path / "got.tif") == drawn([page])
    assert command.faxgw("replay", trace).returncode == 0


@pytest.mark.slow
def test_who_does_not_know_the_password_gets_nothing(page: Path, tmp_path: Path) -> None:
    with simulated_modem(tmp_path, "--fetch", tmp_path / "got.tif") as (line, modem):
        words = ("--subaddress", "12", "--password", "99")
        sent = run("send", "--line", line, "--poll", "--timeout", 30, "--json", *words, page)
        told, _ = modem.communicate(timeout=LONGEST)
    assert sent.returncode == 1
    assert one_object(sent)["reason"]["code"] == "fax.poll_refused"
    assert json.loads(told)["calls"][0]["reason"]["code"] == "fax.poll_refused"
    assert not (tmp_path / "got.tif").exists()


@pytest.mark.slow
def test_a_machine_without_a_document_gives_none(tmp_path: Path) -> None:
    with simulated_modem(tmp_path) as (line, _):
        got = run("receive", "--line", line, "--poll", "--to", 1, "--out", tmp_path / "in", "--json")
    assert got.returncode == 1
    assert one_object(got)["reason"]["code"] == "fax.nothing_to_poll"
    assert not list((tmp_path / "in").iterdir())


@pytest.mark.slow
def test_nobody_fetches(page: Path, tmp_path: Path) -> None:
    with simulated_modem(tmp_path) as (line, _):
        sent = run("send", "--line", line, "--poll", "--timeout", 0.5, "--json", page)
    assert sent.returncode == 1
    assert one_object(sent)["reason"]["code"] == "call.none"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["send", "--poll", "--to", "1", "PAGE"], "--poll waits for a caller: give --to or --poll, not both."),
        (["send", "PAGE"], "Whom to call is missing"),
        (["send", "--to", "1", "--timeout", "3", "PAGE"], "--timeout limits the wait for a caller"),
        (["receive", "--out", "OUT", "--poll"], "--poll calls to fetch a document: give --to NUMBER."),
        (["receive", "--out", "OUT", "--poll", "--to", "1", "--timeout", "3"], "--timeout limits the wait for a call"),
        (["receive", "--out", "OUT", "--to", "1"], "--to goes with --poll only"),
        (["receive", "--out", "OUT", "--subaddress", "1"], "--subaddress goes with --poll only"),
        (["receive", "--out", "OUT", "--password", "1"], "--password goes with --poll only"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    page: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    places = {"PAGE": str(page), "OUT": str(tmp_path / "in")}
    ended = command.faxgw(words[0], "--line", "class1:/dev/null", *(places.get(word, word) for word in words[1:]))
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "in").exists()
