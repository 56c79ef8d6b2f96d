"""Watches one call: when it was connected, whom its pages are for, and its trace, which is sealed when it is over."""

import asyncio
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from drivers.witness import Witnessed
from faxgw import metrics
from faxgw.archive.objects import StoreError
from faxgw.archive.sealed import StoredObject
from faxgw.boxes.keys import sealing_key
from faxgw.calls import Observer
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.trace.record import Recorder
from t30.capabilities import Dcs, Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import decoded
from t30.line import Action, Connected, Event, FaxLine, FrameReceived, LineError, SendFrames
from t30.outcome import CallEnded, Direction, Outcome
from t30.rates import Modulation

log = structlog.get_logger(__name__)

LAST_WORDS = 0.2
"""Seconds after a call in which a network still says goodbye: that belongs to its trace."""


class Watcher:
    """An observer of one call.

    Attributes:
        connected_at: when fax machines were talking to each other, if they ever were.
        subaddress: what the sender asked for (SUB), if it did.
        station_id: what the other machine calls itself (TSI, CSI), if it did.
        chosen: what the sender, whichever side that is, has chosen last (DCS).
    """

    def __init__(self, line: FaxLine, *, direction: Direction, scheme: str, station: Station) -> None:
        self.connected_at: datetime | None = None
        self.subaddress = ""
        self.station_id = ""
        self.chosen: Dcs | None = None
        self._text = io.StringIO()
        self._recorder = Recorder(self._text, direction=direction, line=scheme, station=station)
        self._recorder.watch(line)
        self._shows = isinstance(line, Witnessed)

    @property
    def observers(self) -> Sequence[Observer]:
        """Whoever is to be told of the call."""
        return (self, self._recorder)

    def action(self, action: Action) -> None:
        """Take note of what we choose as the sender."""
        if isinstance(action, SendFrames) and action.modulation is Modulation.V21:
            for frame in map(Frame.parse, action.frames):
                self._note_choice(frame)

    def event(self, event: Event) -> None:
        """Take note of the connection, and of what the sender says of itself."""
        match event:
            case Connected():
                self.connected_at = datetime.now(UTC)
            case FrameReceived(octets, good=True):
                self._heard(octets)

    def thrown(self, error: LineError | CallEnded, at: float) -> None:
        """How a call ends is in its outcome."""

    def over(self, outcome: Outcome) -> None:
        """Write the outcome into the trace, and count the call."""
        self._recorder.outcome(outcome)
        metrics.CALLS.labels(outcome.direction.value, outcome.verdict).inc()
        metrics.CALL_SECONDS.labels(outcome.direction.value).observe(outcome.seconds)

    async def sealed(self, gateway: Gateway, tenant_id: UUID) -> StoredObject | None:
        """Put the trace into the store; None if it cannot be stored now."""
        if self._shows:
            await asyncio.sleep(LAST_WORDS)
        self._recorder.end()
        if self._recorder.error is not None:
            log.warning("a trace is incomplete", error=repr(self._recorder.error))
        try:
            return await gateway.objects.put(self._text.getvalue().encode(), tenant=tenant_id, kind="trace")
        except StoreError as trouble:
            log.warning("a trace could not be kept", error=str(trouble))
            return None

    def _heard(self, octets: bytes) -> None:
        frame = Frame.parse(octets)
        if frame is not None and frame.fcf is Fcf.SUB:
            self.subaddress = decoded(frame.fif)
        elif frame is not None and frame.fcf in (Fcf.TSI, Fcf.CSI):
            self.station_id = decoded(frame.fif)
        self._note_choice(frame)

    def _note_choice(self, frame: Frame | None) -> None:
        if frame is not None and frame.fcf is Fcf.DCS:
            self.chosen = Dcs(frame.fif)
        elif frame is not None and frame.fcf is Fcf.CTC and self.chosen is not None:
            self.chosen = self.chosen.but(modulation=Dcs(frame.fif).modulation)


async def file_trace(connection: AsyncConnection, trace: StoredObject | None, *, box_id: UUID) -> UUID | None:
    """Seal a trace to the fax's box, in the transaction that ends the call; return its object."""
    if trace is None:
        return None
    await write_down(connection, [trace], boxes=[await sealing_key(connection, box_id)], spool=None)
    return trace.id
