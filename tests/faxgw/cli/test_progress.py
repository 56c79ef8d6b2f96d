"""What a user sees while a call runs: who is there, at what rate, which page, how much of it."""

import asyncio
import io

import pytest
from rich.console import Console

from faxgw.cli.progress import REFRESH, Progress
from t30.capabilities import Dcs
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import encoded
from t30.line import Content, FrameReceived, LineClock, SendData, SendFrames, Sent
from t30.pages import Coding, FetchPage, Length, PageFormat, PageLimits, PageReady, Resolution, Width
from t30.rates import Modulation

LIMITS = PageLimits(Width.A4, Length.A4, frozenset({Resolution.STANDARD}), Coding.MH, ecm=False)
FORMAT = PageFormat(Width.A4, Length.A4, Resolution.STANDARD, Coding.MH, ecm=False)
V29 = Modulation.V29_9600


class Seen:
    """A call of two pages, as it is shown; time stands still unless ``now`` is changed."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.now = 0.0
        self._file = io.StringIO()
        console = Console(file=self._file, force_terminal=terminal, width=100)
        self.progress = Progress(console, LineClock(lambda: self.now), pages=2)

    def says(self, fcf: Fcf, fif: bytes = b"") -> None:
        self.progress.action(SendFrames(Modulation.V21, (Frame.of(fcf, fif, x=True).octets,), 0.075))
        self.progress.event(Sent())

    def hears(self, fcf: Fcf, fif: bytes = b"") -> None:
        self.progress.event(FrameReceived(Frame.of(fcf, fif).octets, good=True))

    def sends_page(self, octets: bytes = bytes(100)) -> None:
        self.progress.action(FetchPage(0, LIMITS, 0))
        self.progress.event(PageReady(FORMAT, octets, 10))
        self.progress.action(SendData(V29, octets, Content.PAGE, 0.075))

    def text(self) -> str:
        return self._file.getvalue()


def test_identity_rate_and_coding_are_shown() -> None:
    seen = Seen()
    seen.hears(Fcf.CSI, encoded("+1 555 0100"))
    seen.says(Fcf.DCS, Dcs().but(modulation=V29, fine=True).octets)
    assert seen.text().splitlines() == [
        "station: +1 555 0100",
        "training: V.29 9600, MH, fine, without error correction",
    ]


@pytest.mark.parametrize("answer", [Fcf.MCF, Fcf.RTP, Fcf.PIP], ids=str)
def test_every_answer_that_confirms_a_page_turns_it(answer: Fcf) -> None:
    seen = Seen()
    for _ in range(2):
        seen.sends_page()
        seen.says(Fcf.MPS)
        seen.hears(answer)
    assert seen.text().splitlines() == ["page 1 of 2 confirmed", "page 2 of 2 confirmed"]


@pytest.mark.parametrize("answer", [Fcf.RTN, Fcf.PIN, Fcf.ERR], ids=str)
def test_every_answer_that_refuses_a_page_is_said_in_words(answer: Fcf) -> None:
    seen = Seen()
    seen.sends_page()
    seen.says(Fcf.EOP)
    seen.hears(answer)
    assert seen.text() == f"page 1 of 2 not confirmed: {answer.words}\n"


def test_part_of_a_page_that_is_confirmed_is_not_the_page() -> None:
    seen = Seen()
    seen.says(Fcf.PPS, bytes((0, 0, 0, 255)))
    seen.hears(Fcf.MCF)
    assert seen.text() == ""


async def test_a_terminal_shows_how_much_of_the_page_is_out() -> None:
    seen = Seen(terminal=True)
    with seen.progress:
        seen.says(Fcf.DCS, Dcs().but(modulation=V29).octets)
        seen.sends_page(bytes(2400))
        seen.now = 0.5
        await asyncio.sleep(1.5 * REFRESH)
    assert "page 1 of 2, V.29 9600" in seen.text()
    assert "25%" in seen.text()
