"""A port that is late (R24): how late it may be, and what is said of a machine that is."""

import asyncio
import logging
import re
from pathlib import Path

import pytest

from drivers.class1.modem import TOO_LATE, Class1Line
from simulators.cable import Cable
from simulators.circuit import End
from t30.capabilities import Station
from t30.line import HangUp, ListenFrame, SendFrames
from t30.rates import Modulation
from tests.drivers.rig import in_call
from tests.drivers.test_class1_calls import bitmaps_of, fax, pages

README = Path(__file__).parents[2] / "drivers" / "class1" / "README.md"
ROWS = re.findall(r"^\| (\d+) ms \| (goes through|fails) \| (goes through|fails) \|$", README.read_text(), re.MULTILINE)
MCF = bytes.fromhex("FF 13 8C")


def test_the_table_of_delays_has_its_rows() -> None:
    assert [int(delay) for delay, *_ in ROWS] == [0, 20, 55, 100, 200, 300]


@pytest.mark.case("R24")
@pytest.mark.parametrize("ecm", [False, True], ids=["plain", "ecm"])
@pytest.mark.parametrize("ours", [True, False], ids=["sends", "receives"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
@pytest.mark.slow
def test_r24_a_delay_of_the_port_ends_a_fax_where_the_table_says_and_not_before(
    row: tuple[str, str, str], ours: bool, ecm: bool
) -> None:
    delay = int(row[0]) / 1000
    done = fax(pages(), Station(ecm=ecm), delays=(delay, 0.0) if ours else (0.0, delay))
    goes = row[1 if ours else 2] == "goes through"
    assert (done.sent.verdict == "delivered", done.received.verdict == "received") == (goes, goes), (done.sent, delay)
    assert done.sent.reason.code in (("",) if goes else ("fax.training", "fax.no_response"))
    if goes:
        assert bitmaps_of(done.tray) == pages()
        assert done.sent.modulation is Modulation.V17_14400


@pytest.mark.case("R24")
@pytest.mark.parametrize("late", [0.04, 0.07])
def test_r24_the_worst_reaction_of_a_call_is_logged_and_one_above_55_ms_is_a_warning(
    late: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(line: Class1Line, end: End, cable: Cable) -> None:
        await line.perform(ListenFrame(Modulation.V21, 3.0))
        await asyncio.sleep(late)
        await line.perform(SendFrames(Modulation.V21, (MCF,), 0.0))
        caplog.clear()
        await line.perform(HangUp())
        await line.perform(HangUp())
        assert line.worst_reaction == pytest.approx(late, abs=0.005)

    with caplog.at_level(logging.INFO, "drivers.class1"):
        in_call(body)
    told = [each for each in caplog.records if hasattr(each, "worst_ms")]
    assert [each.levelno for each in told] == [logging.WARNING if late > TOO_LATE else logging.INFO]
    assert vars(told[0])["worst_ms"] == pytest.approx(late * 1000, abs=5)
