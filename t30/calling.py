"""Phases A and B for the station that dialled (T.30 Figure 5-2, from the caller's entry)."""

from t30.capabilities import Dis, Station
from t30.exchange import Exchange, Message, Procedure
from t30.fcf import Fcf
from t30.identification import of_poller
from t30.line import Cause, Connected, Dial, NotConnected, Tone
from t30.outcome import (
    Direction,
    Disconnected,
    LocalError,
    NothingToPoll,
    NotReached,
    Outcome,
    PollRefused,
    Record,
)
from t30.receiving import Reception
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
    return (yield from conclude(exchange, _deliver(exchange, number)))


def polling(station: Station, number: str) -> Procedure[Outcome]:
    """Call ``number`` and fetch the document that it has for callers; the page port keeps it."""
    exchange = Exchange(station, Record(Direction.IN), x=True)
    return (yield from conclude(exchange, _fetch(exchange, number)))


def _deliver(exchange: Exchange, number: str) -> Procedure[None]:
    receiver = yield from _reach(exchange, number)
    yield from send_document(exchange, receiver)


def _fetch(exchange: Exchange, number: str) -> Procedure[None]:
    answerer = yield from _reach(exchange, number)
    if not answerer.polled:
        raise NothingToPoll("the other machine has no document to be fetched")
    reception = Reception(exchange)
    try:
        command = yield from _ask(exchange, answerer)
    except Disconnected as end:
        raise PollRefused("the other machine refused to give its document, and hung up (DCN)") from end
    while (yield from reception.until_end(command)):
        command = yield from _ask(exchange, answerer)


def _ask(exchange: Exchange, answerer: Dis) -> Procedure[Message]:
    """Ask for the document (DTC) until it is announced (DCS); DIS says that we were not heard."""
    return (yield from exchange.response(*of_poller(exchange, answerer), again=(Fcf.DIS,)))


def _reach(exchange: Exchange, number: str) -> Procedure[Dis]:
    """Call, and return what the machine that answers can do."""
    event = yield from exchange.do(Dial(number))
    match event:
        case Connected():
            exchange.connected = True
        case NotConnected(cause, detail=detail):
            raise NotReached(NOT_REACHED[cause] + (f" ({detail})" if detail else ""), cause.value)
        case _:
            raise LocalError(f"Dial was answered by {event!r}")
    return (yield from await_dis(exchange, calling=Tone.CNG))
