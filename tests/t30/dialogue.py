"""Plays the other machine for one procedure, move by move and without a clock: what it must do, what it hears back."""

from collections.abc import Sequence

from t30.exchange import Procedure
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import (
    Action,
    CarrierLost,
    Connected,
    Content,
    DataReceived,
    Event,
    FrameReceived,
    HangUp,
    ListenData,
    ListenFrame,
    Quiet,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    stamped,
)
from t30.outcome import Outcome
from t30.pages import (
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageFormat,
    PageReady,
    Resolution,
    Verdict,
    Width,
)
from t30.rates import Modulation
from t30.session import Session

RTC = b"(end of page)"
"""What this page target takes for the end of a page."""

GOOD = Verdict(100, 0, 0, durable=True)


SILENCE = (0.055, 0.095)
"""Seconds between two signals: 75 ± 20 ms (T.30)."""


class Dialogue:
    """One session whose line is this object.

    Args:
        procedure: the station under test.
        pages: what a sender's page source holds: the resolution and octets of each page.
        verdicts: what a receiver's page target says, one judgement after the other; then ``GOOD``.
        x: the direction bit of the far machine: set when it has received DIS.
    """

    def __init__(
        self,
        procedure: Procedure[Outcome],
        *,
        pages: Sequence[tuple[Resolution, bytes]] = (),
        verdicts: Sequence[Verdict] = (),
        x: bool = False,
    ) -> None:
        self.session = Session(procedure)
        self.pages = pages
        self.verdicts = list(verdicts)
        self.x = x
        self.now = 0.0
        self.kept: dict[int, bytes] = {}
        self.judged: list[int] = []
        self.fetched: list[FetchPage] = []
        self.noted: list[int] = []

    @property
    def action(self) -> Action:
        """What the station does next on the line; pages and tones are seen to."""
        while True:
            action = self.session.action
            assert action is not None, self.session.outcome
            match action:
                case SendTone():
                    self.gives(Sent(), 0.5)
                case FetchPage():
                    self.fetched.append(action)
                    self.gives(self._page(action), 0)
                case NoteConfirmed(index):
                    self.noted.append(index)
                    self.gives(Noted(), 0)
                case KeepData(index, _, octets):
                    self.kept[index] = self.kept.get(index, b"") + octets
                    self.gives(Kept(page_ended=octets.endswith(RTC)), 0)
                case JudgePage(index):
                    self.judged.append(index)
                    self.gives(self.verdicts.pop(0) if self.verdicts else GOOD, 0)
                case _:
                    return action

    def gives(self, event: Event, seconds: float = 1.0) -> None:
        """Let ``seconds`` pass, and the event happen."""
        self.now += seconds
        self.session.handle(stamped(event, self.now))

    def connects(self) -> None:
        """Dial, or wait and answer: whatever the station wants, the call stands."""
        self.gives(Connected())

    def says(self, *fcfs: Fcf, after: tuple[float, float] = SILENCE) -> list[Frame]:
        """Expect one V.21 signal of these frames, after so much silence; return them."""
        action = self.action
        assert isinstance(action, SendFrames), action
        assert after[0] <= action.after <= after[1], action
        assert action.modulation is Modulation.V21
        frames = [Frame.parse(octets) for octets in action.frames]
        assert all(frames), action
        parsed = [frame for frame in frames if frame]
        assert [frame.fcf for frame in parsed] == list(fcfs), action
        assert [frame.final for frame in parsed] == [False] * (len(parsed) - 1) + [True]
        self.gives(Sent())
        return parsed

    def sends_data(self, modulation: Modulation, content: Content) -> bytes:
        """Expect TCF or a page at this rate; return its octets."""
        action = self.action
        assert isinstance(action, SendData), action
        assert (action.modulation, action.content) == (modulation, content)
        assert SILENCE[0] <= action.after <= SILENCE[1], action
        self.gives(Sent())
        return action.octets

    def sends_frames(self, modulation: Modulation) -> list[Frame]:
        """Expect the frames of a partial page at this rate; return those that hold data."""
        action = self.action
        assert isinstance(action, SendFrames), action
        assert action.modulation is modulation
        assert SILENCE[0] <= action.after <= SILENCE[1], action
        frames = [Frame.parse(octets) for octets in action.frames]
        assert [frame.fcf for frame in frames[-3:] if frame] == [Fcf.RCP] * 3
        self.gives(Sent())
        return [frame for frame in frames if frame and frame.fcf is Fcf.FCD]

    def hears(self, *frames: tuple[Fcf, bytes] | Fcf, good: bool = True) -> None:
        """Expect a wait for a V.21 signal, and send one of these frames."""
        assert isinstance(self.action, ListenFrame), self.action
        assert self.action.modulation is Modulation.V21
        for number, each in enumerate(frames, 1):
            fcf, fif = each if isinstance(each, tuple) else (each, b"")
            self.gives(FrameReceived(Frame.of(fcf, fif, x=self.x, final=number == len(frames)).octets, good=good))
        if not good:
            self.gives(CarrierLost(), 0)

    def hears_nothing(self) -> None:
        """Expect a wait, and let it end in vain."""
        action = self.action
        assert isinstance(action, ListenFrame | ListenData), action
        self.gives(Quiet(), action.within)

    def hears_data(self, modulation: Modulation, content: Content, octets: bytes) -> None:
        """Expect a wait for TCF or a page at this rate, and send it."""
        action = self.action
        assert isinstance(action, ListenData), action
        assert (action.modulation, action.content) == (modulation, content)
        self.gives(DataReceived(octets))
        self.action  # noqa: B018 - what was kept is seen to
        self.gives(CarrierLost(), 0)

    def hears_burst(self, modulation: Modulation, *frames: Frame) -> None:
        """Expect a wait for a partial page at this rate, and send these frames and RCP."""
        action = self.action
        assert isinstance(action, ListenFrame), action
        assert action.modulation is modulation
        for frame in (*frames, *[Frame.of(Fcf.RCP, final=False)] * 3):
            self.gives(FrameReceived(frame.octets, good=True), 0.1)
        self.gives(CarrierLost(), 0)

    def hangs_up(self) -> Outcome:
        """Expect the end of the call; return what it came to."""
        assert isinstance(self.action, HangUp), self.action
        self.gives(Sent())
        assert self.session.outcome is not None
        return self.session.outcome

    def _page(self, action: FetchPage) -> PageReady | NoMorePages:
        if action.index >= len(self.pages):
            return NoMorePages()
        resolution, octets = self.pages[action.index]
        limits = action.limits
        page = PageFormat(Width.A4, Length.A4, resolution, limits.coding, limits.ecm)
        return PageReady(page, octets, rows=100)
