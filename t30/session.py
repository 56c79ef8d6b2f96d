"""Runs a procedure: its action, its next event, where in the flow chart it stands; and how a call ends (phase E)."""

from collections.abc import Callable, Generator
from contextlib import suppress

from t30.exchange import Exchange, Procedure
from t30.fcf import Fcf
from t30.line import DROPPED, Action, Event, HangUp, LineError
from t30.outcome import CallEnded, Canceled, Disconnected, NoFaxMachine, NoResponse, NotReached, Outcome, Reason


class Session:
    """One end of one call.

    ``while session.action: session.handle(await (line or pages).perform(session.action))`` is all it takes to run it.

    Attributes:
        action: what to do next; None when the call is over.
        outcome: what it came to; None until it is over.
    """

    def __init__(self, procedure: Procedure[Outcome]) -> None:
        self._procedure = procedure
        self.action: Action | None = None
        self.outcome: Outcome | None = None
        self._advance(lambda: next(procedure))

    def handle(self, event: Event) -> None:
        """Go on with what the action came to; ``event.at`` is stamped with seconds since the call began."""
        self._advance(lambda: self._procedure.send(event))

    def throw(self, fault: LineError | CallEnded) -> None:
        """Go on with a fault of the line or the pages, or the operator's wish to end the call, in place of an event."""
        self._advance(lambda: self._procedure.throw(fault))

    @property
    def path(self) -> str:
        """Where in the flow chart the call stands: the procedures that are running, outermost first."""
        names = []
        running: object = self._procedure
        while isinstance(running, Generator) and running.gi_frame is not None:  # type: ignore[attr-defined]
            names.append(running.gi_code.co_name.strip("_"))  # type: ignore[attr-defined]
            running = running.gi_yieldfrom  # type: ignore[attr-defined]
        return " > ".join(name for name in names if name not in ("do", "conclude"))

    def _advance(self, step: Callable[[], Action]) -> None:
        try:
            self.action = step()
        except StopIteration as end:
            self.action, self.outcome = None, end.value


def conclude(exchange: Exchange, body: Procedure[None]) -> Procedure[Outcome]:
    """Run a call to its end, whatever that is: say goodbye where it makes sense, go on hook, report (phase E)."""
    reason = Reason()
    try:
        yield from body
    except (CallEnded, LineError) as fault:
        reason = Reason(fault.code, str(fault))
        if _is_their_silence(fault) and not exchange.record.complete:
            exchange.record.saw(hung_up_after=exchange.said)
        if not isinstance(fault, NotReached | Disconnected | LineError):
            yield from _say_goodbye(exchange)
    yield from _go_on_hook(exchange)
    return exchange.record.outcome(reason, exchange.now)


def _is_their_silence(fault: CallEnded | LineError) -> bool:
    """Tell whether the other machine ended the call, or said nothing more."""
    return isinstance(fault, Disconnected | NoResponse | NoFaxMachine) or fault.code == DROPPED


def _say_goodbye(exchange: Exchange) -> Procedure[None]:
    """Send DCN, if anybody is there to hear it."""
    if exchange.connected:
        with suppress(CallEnded, LineError):  # they are gone, or the operator insists: hanging up is all that is left
            yield from exchange.say(Fcf.DCN)


def _go_on_hook(exchange: Exchange) -> Procedure[None]:
    """Hang up, even if the operator insists meanwhile or the line has died."""
    for _ in range(2):
        try:
            yield from exchange.do(HangUp())
        except Canceled:
            continue
        except LineError:
            pass  # a line that has died is on hook
        return
