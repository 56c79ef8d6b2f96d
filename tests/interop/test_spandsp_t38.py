"""Our T.38 line against libspandsp's T.38 terminal, and packet by packet against its packet layer."""

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.interop.pages import text_page, write_pages

pytestmark = pytest.mark.interop

LIMIT = 600.0
WAYS, VERSIONS, ECM = ("send", "receive"), range(4), ("on", "off")
RECEIVING_RATES = {("v17,v29,v27ter", 14400): 14400, ("v29,v27ter", 14400): 9600, ("v27ter", 14400): 4800}
"""libspandsp's modems and our limit -> the rate that comes of it. DIS cannot name one rate of a modulation."""
SENDING_RATES = RECEIVING_RATES | {
    ("v17,v29,v27ter", 12000): 12000,
    ("v29,v27ter", 7200): 7200,
    ("v27ter", 2400): 2400,
}
Asked = dict[str, Any]
Make = Callable[[list[Asked]], list[Asked]]


@pytest.fixture
def t38_calls(peer_library: Callable[[str], str]) -> Make:
    """Return a function that has ``spandsp_t38.py`` do what it describes."""
    peer_library("spandsp")

    def make(asked: list[Asked]) -> list[Asked]:
        command = [sys.executable, "-m", "tests.interop.spandsp_t38"]
        lines = "".join(json.dumps(each) + "\n" for each in asked)
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=LIMIT, check=False)
        print(done.stderr)
        assert done.returncode == 0
        return [json.loads(line) for line in done.stdout.splitlines()]

    return make


@pytest.fixture
def document(tmp_path: Path) -> str:
    return str(write_pages(tmp_path / "two.tif", [text_page(200, title="One"), text_page(200, title="Two")]))


def went_well(call: Asked) -> bool:
    ours, theirs = call["ours"], call["theirs"]
    good = ours["outcome"] in {"delivered", "received"} and theirs["result"] == 0
    return good and theirs["pages"] == len(ours["pages"]) == 2 and not call["differences"]


@pytest.mark.parametrize("way", WAYS)
def test_every_combination_of_ecm_version_and_rate(t38_calls: Make, document: str, way: str) -> None:
    rates = SENDING_RATES if way == "send" else RECEIVING_RATES
    asked: list[Asked] = [
        {
            "way": way,
            "file": document,
            "ecm": ecm,
            "version": version,
            "modems": modems,
            "station": {"max_bps": max_bps},
        }
        for ecm, version, (modems, max_bps) in product(ECM, VERSIONS, rates)
    ]
    for wanted, call in zip(asked, t38_calls(asked), strict=True):
        assert went_well(call), (wanted, call)
        rate = rates[wanted["modems"], wanted["station"]["max_bps"]]
        assert call["ours"]["rate"] == call["theirs"]["rate"] == rate
        assert call["ours"]["ecm"] == call["theirs"]["ecm"] == (wanted["ecm"] == "on")


@pytest.mark.parametrize("way", WAYS)
def test_every_coding(t38_calls: Make, document: str, way: str) -> None:
    asked = [
        {"way": way, "file": document, "ecm": ecm, "compression": codings}
        for ecm, codings in [("off", "mh"), ("off", "mh,mr"), ("on", "mh"), ("on", "mh,mr"), ("on", "mh,mr,mmr")]
    ]
    for wanted, call in zip(asked, t38_calls(asked), strict=True):
        assert went_well(call), (wanted, call)
        assert call["theirs"]["coding"] == wanted["compression"].split(",")[-1].upper()


def test_a_page_without_its_fill_is_the_same_to_it(t38_calls: Make, document: str) -> None:
    call = {"way": "send", "file": document, "ecm": "off", "scan-time": 20}
    for coding in ("mh", "mh,mr"):
        filled, bare = t38_calls([call | {"compression": coding, "fill": fill} for fill in (False, True)])
        assert went_well(filled) and went_well(bare), (filled, bare)
        assert bare["octets"] < filled["octets"] * 0.9


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_network_costs_nothing(t38_calls: Make, document: str, way: str) -> None:
    weathers = [{"loss": 0.05}, {"loss": 0.02, "burst": 3}, {"jitter": 0.2}, {"doubled": 0.3}]
    asked = [{"way": way, "file": document, "ecm": ecm, "weather": each} for ecm, each in product(ECM, weathers)]
    for wanted, call in zip(asked, t38_calls(asked), strict=True):
        assert went_well(call), (wanted, call)


@pytest.mark.parametrize("ecm", ECM)
def test_it_says_nothing_for_minutes_while_a_long_page_comes(t38_calls: Make, tmp_path: Path, ecm: str) -> None:
    long = write_pages(tmp_path / "long.tif", [text_page(1200, title="Long")])
    slow = {"compression": "mh", "modems": "v27ter", "station": {"max_bps": 2400}}
    (call,) = t38_calls([{"way": "send", "file": str(long), "ecm": ecm} | slow])
    assert call["ours"]["outcome"] == "delivered" and not call["differences"], call
    assert call["ours"]["pages"][0]["seconds"] > 100


@pytest.mark.parametrize("tpkt", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_its_packet_layer_agrees_packet_by_packet(t38_calls: Make, version: int, tpkt: bool) -> None:
    (compared,) = t38_calls([{"packets": 2000, "version": version, "seed": 1 + version, "tpkt": tpkt}])
    assert compared["differences"] == []
