"""Phases A and B for the station that dialled (T.30 Figure 5-2, from the caller's entry)."""

from t30.capabilities import Station
from t30.exchange import Exchange, Procedure
from t30.line import Cause, Connected, Dial, NotConnected, Tone
from t30.outcome import Direction, LocalError, NotReached, Outcome, Record
from t30.sending import await_dis, send_document
from t30.session import conclude

NOT_REACHED = {
    Cause.BUSY: "the number is busy",
    Cause.NO_ANSWER: "nobody answered",
    Cause.NO_CARRIER: "somebody answered, but no fax machine",
    Cause.NO_DIALTONE: "the line has no dial tone",
    Cause.REJECTED: "the call was rejected",
    Cause.UNALLOCATED: "the number is not in use",
    Cause.CONGESTION: "the network is congested",
    Cause.NETWORK: "the network could not carry the call",
    Cause.TIMEOUT: "the network gave no answer in time",
    Cause.NO_T38: "the call was answered, but the other side did not go over to T.38",
}
"""Why a call did not come about, in words."""


def calling(station: Station, number: str) -> Procedure[Outcome]:
    """Call ``number`` and send it the document that the page port holds."""
    exchange = Exchange(station, Record(Direction.OUT), x=True)
    return (yield from conclude(exchange, _call(exchange, number)))


def _call(exchange: Exchange, number: str) -> Procedure[None]:
    event = yield from exchange.do(Dial(number))
    match event:
        case Connected():
            exchange.connected = True
        case NotConnected(cause, detail=detail):
            raise NotReached(NOT_REACHED[cause] + (f" ({detail})" if detail else ""), cause.value)
        case _:
            raise LocalError(f"Dial was answered by {event!r}")
    receiver = yield from await_dis(exchange, calling=Tone.CNG)
    yield from send_document(exchange, receiver)
