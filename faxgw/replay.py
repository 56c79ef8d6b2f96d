"""Runs the engine over a recorded call: it must do now what it did then, or the first difference is found."""

from dataclasses import dataclass

from faxgw import __version__
from faxgw.errors import RequestError
from faxgw.trace.privacy import shown_action
from faxgw.trace.record import Thrown, Trace
from faxgw.trace.values import agrees
from t30 import ENGINE
from t30.answering import answering
from t30.calling import calling, polling
from t30.line import Action, AwaitCall, Dial, LineError
from t30.outcome import CallEnded, Canceled, Direction, Outcome
from t30.session import Session


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the engine leaves the recording.

    Attributes:
        line: of the file; 0 for its end.
        path: where in the flow chart the engine stands.
        recorded: what was done then, or what the call came to.
        engine: what is done now, or the outcome where the call is over for the engine.
    """

    line: int
    path: str
    recorded: Action | Outcome
    engine: Action | Outcome | None


def replay(trace: Trace) -> Difference | None:
    """Run a recorded call again and return the first difference, or None.

    A recording that was cut off is compared as far as it goes. Page data is compared by its length, since a trace has
    no more of it; everything else exactly, but for what the version that wrote the trace did not know yet.

    Raises:
        RequestError: if the recording is of no call that the engine could have made, or of a newer one.
    """
    if trace.unknown and trace.header.engine > ENGINE:
        names = ", ".join(trace.unknown[:3]) + (", ..." if len(trace.unknown) > 3 else "")
        raise RequestError(
            "usage",
            f"the trace cannot be replayed: {trace.header.writer} wrote it, and what it says of {names} means nothing "
            f"to this faxgw {__version__} (engine {ENGINE})",
        )
    session = _session(trace)
    for step in trace.steps:
        engine = shown_action(session.action) if session.action else session.outcome
        if not agrees(engine, step.action, step.given or None):
            return Difference(step.line, session.path, step.action, engine)
        match step.result:
            case Thrown():
                session.throw(_fault(step.result))
            case None:
                return None
            case event:
                session.handle(event)
    if trace.outcome is None or agrees(session.outcome, trace.outcome, trace.given or None):
        return None
    return Difference(0, session.path, trace.outcome, session.action or session.outcome)


def _session(trace: Trace) -> Session:
    """Begin the same call as the recorded one."""
    if not trace.steps:
        raise RequestError("usage", "the recording ends before the call began: there is nothing to replay")
    match trace.steps[0].action:
        case Dial(number) if trace.header.direction is Direction.IN:
            return Session(polling(trace.header.station, number))
        case Dial(number):
            return Session(calling(trace.header.station, number))
        case AwaitCall():
            return Session(answering(trace.header.station))
    raise RequestError("usage", "the trace begins neither with a number dialled nor with the wait for a call")


def _fault(thrown: Thrown) -> LineError | CallEnded:
    """Return what ended the call; the engine tells a line's fault, the operator's wish, and the rest apart."""
    if thrown.kind == LineError.__name__:
        return LineError(thrown.text, code=thrown.code)
    fault = Canceled(thrown.text) if thrown.kind == Canceled.__name__ else CallEnded(thrown.text)
    fault.code = thrown.code
    return fault
