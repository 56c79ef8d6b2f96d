"""Our T.30 engine and codec against libspandsp's, signal by signal, with no modem between."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.pages import text_page, write_pages

pytestmark = pytest.mark.interop

WAYS = [("off", "mh"), ("off", "mh,mr"), ("on", "mh"), ("on", "mh,mr"), ("on", "mh,mr,mmr")]
TROUBLES = [
    {"lost": 0.1},
    {"corrupted": 0.15},
    {"delayed": 0.1},
    {"dropouts": 0.15},
    {"lost": 0.05, "corrupted": 0.05, "delayed": 0.05, "dropouts": 0.05},
]
RECEIVING_RATES = {("v17,v29,v27ter", 14400): 14400, ("v29,v27ter", 14400): 9600, ("v27ter", 14400): 4800}
"""libspandsp's modems and our limit -> the rate that comes of it. DIS cannot name one rate of a modulation."""
SENDING_RATES = RECEIVING_RATES | {
    ("v17,v29,v27ter", 12000): 12000,
    ("v29,v27ter", 7200): 7200,
    ("v27ter", 2400): 2400,
}

Call = dict[str, Any]
Make = Callable[[list[Call]], list[Call]]


@pytest.fixture
def document(tmp_path: Path) -> str:
    return str(write_pages(tmp_path / "two.tif", [text_page(200, title="One"), text_page(200, title="Two")]))


@pytest.mark.parametrize("way", ["send", "receive"])
def test_every_coding_with_and_without_error_correction(spandsp_calls: Make, document: str, way: str) -> None:
    calls = [{"way": way, "file": document, "ecm": ecm, "compression": codings} for ecm, codings in WAYS]
    for (ecm, codings), call in zip(WAYS, spandsp_calls(calls), strict=True):
        assert went_well(call), call
        assert call["ours"]["ecm"] == call["theirs"]["ecm"] == (ecm == "on")
        coding = codings.split(",")[-1].upper()
        assert {page["coding"] for page in call["ours"]["pages"]} == {call["theirs"]["coding"]} == {coding}
        assert call["ours"]["rate"] == call["theirs"]["rate"] == 14400


@pytest.mark.parametrize(("way", "rates"), [("send", SENDING_RATES), ("receive", RECEIVING_RATES)])
@pytest.mark.parametrize("ecm", ["on", "off"])
def test_every_rate(spandsp_calls: Make, document: str, way: str, rates: dict[tuple[str, int], int], ecm: str) -> None:
    calls = [
        {"way": way, "file": document, "ecm": ecm, "modems": modems, "station": {"max_bps": max_bps}}
        for modems, max_bps in rates
    ]
    for rate, call in zip(rates.values(), spandsp_calls(calls), strict=True):
        assert went_well(call), call
        assert call["ours"]["rate"] == call["theirs"]["rate"] == rate


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_rate_that_does_not_train_is_left_for_the_next(spandsp_calls: Make, document: str, way: str) -> None:
    untrainable = {"untrainable": ["V17_14400", "V17_12000"]}
    (made,) = spandsp_calls([{"way": way, "file": document, "faults": untrainable}])
    assert went_well(made), made
    assert made["ours"]["rate"] == made["theirs"]["rate"] == 9600


@pytest.mark.parametrize("way", ["send", "receive"])
def test_frames_of_64_octets(spandsp_calls: Make, document: str, way: str) -> None:
    (made,) = spandsp_calls([{"way": way, "file": document, "station": {"frame_octets": 64}}])
    assert went_well(made), made


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_page_of_several_blocks(spandsp_calls: Make, tmp_path: Path, way: str) -> None:
    long = str(write_pages(tmp_path / "long.tif", [text_page(6000, title="Long"), text_page(100, title="Short")]))
    (made,) = spandsp_calls([{"way": way, "file": long, "ecm": "on", "compression": "mh"}])
    assert went_well(made), made
    assert made["ours"]["pages"][0]["octets"] > 256 * 256


@pytest.mark.parametrize("way", ["send", "receive"])
def test_polling_with_every_coding_with_and_without_error_correction(
    spandsp_calls: Make, document: str, way: str
) -> None:
    calls = [
        {"way": way, "polled": True, "file": document, "ecm": ecm, "compression": codings} for ecm, codings in WAYS
    ]
    for (ecm, codings), call in zip(WAYS, spandsp_calls(calls), strict=True):
        assert went_well(call), call
        assert call["ours"]["direction"] == {"send": "out", "receive": "in"}[way]
        assert call["ours"]["ecm"] == call["theirs"]["ecm"] == (ecm == "on")
        coding = codings.split(",")[-1].upper()
        assert {page["coding"] for page in call["ours"]["pages"]} == {call["theirs"]["coding"]} == {coding}
        assert call["ours"]["rate"] == call["theirs"]["rate"] == 14400


@pytest.mark.parametrize("way", ["send", "receive"])
def test_polling_on_a_line_with_troubles_confirms_what_has_arrived(
    spandsp_calls: Make, document: str, way: str
) -> None:
    calls = [
        {"way": way, "polled": True, "file": document, "ecm": "on", "faults": trouble | {"seed": seed}}
        for trouble in TROUBLES
        for seed in range(6)
    ]
    made = spandsp_calls(calls)
    assert [call["differences"] for call in made] == [[]] * len(calls)
    assert sum(went_well(call) for call in made) > len(calls) // 2, [call["ours"]["reason"] for call in made]


@pytest.mark.soak
def test_what_is_confirmed_on_a_bad_line_has_arrived(
    spandsp_calls: Make, tmp_path: Path, soak: bool, soak_seed: int
) -> None:
    """The peer itself gives up, or confirms pages that it did not get: success is not asked for, honesty is.

    Without error correction nothing numbers the pages: rows may be damaged, and a page may come twice, but none is
    lost. (A page of less than three seconds could be: losing it whole takes as long as losing our response.)
    """
    document = str(write_pages(tmp_path / "two.tif", [text_page(500, title="One"), text_page(500, title="Two")]))
    calls = [
        {
            "way": way,
            "file": document,
            "ecm": WAYS[number % 5][0],
            "compression": WAYS[number % 5][1],
            "faults": TROUBLES[number // 5 % 5] | {"seed": soak_seed + number},
        }
        for number in range(1000 if soak else 50)
        for way in ("send", "receive")
    ]
    outcomes = Counter[str]()
    for call, made in zip(calls, spandsp_calls(calls), strict=True):
        outcomes[made["ours"]["outcome"]] += 1
        confirmed = sum(page["confirmed"] for page in made["ours"]["pages"])
        if call["ecm"] == "on":
            assert made["differences"] == [], (call, made)
            assert confirmed <= 2, (call, made)
        if call["way"] == "receive":
            assert confirmed >= made["theirs"]["pages"], (call, made)
    print(dict(outcomes))


def went_well(call: Call) -> bool:
    """Whether both sides say that both pages went over, and they did."""
    confirmed = [page["confirmed"] for page in call["ours"]["pages"]]
    return confirmed == [True, True] and call["theirs"]["text"] == "OK" and call["differences"] == []
