"""Phases A and B for the station that was called (T.30 Figure 5-2, from the called station's entry)."""

from t30 import timers
from t30.capabilities import Station
from t30.exchange import Exchange, Message, Procedure
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import encoded
from t30.line import Answer, AwaitCall, Connected, LineError, NotConnected, Ringing, SendTone, Sent, Tone
from t30.outcome import Direction, Disconnected, LocalError, NoFaxMachine, Outcome, Record
from t30.receiving import Reception
from t30.session import conclude


def answering(station: Station) -> Procedure[Outcome]:
    """Wait for a call, answer it, and receive what it brings."""
    exchange = Exchange(station, Record(Direction.IN), x=False)
    return (yield from conclude(exchange, _answer(exchange)))


def _answer(exchange: Exchange) -> Procedure[None]:
    yield from exchange.do(AwaitCall(), Ringing)
    event = yield from exchange.do(Answer())
    match event:
        case Connected():
            exchange.connected = True
        case NotConnected():
            raise LineError("the caller was gone before the call was answered", code="line.dropped")
        case _:
            raise LocalError(f"Answer was answered by {event!r}")
    yield from exchange.do(SendTone(Tone.CED), Sent)
    reception = Reception(exchange)
    again = True
    while again:
        command = yield from identify(exchange)
        again = yield from reception.until_end(command)


def identify(exchange: Exchange) -> Procedure[Message]:
    """Say what we can do until the caller has chosen, up to T1 (T.30 flow diagram, entry R).

    Raises:
        NoFaxMachine: if T1 elapses.
    """
    began = exchange.now
    while exchange.now - began < timers.T1:
        yield from exchange.send(*_identification(exchange), after=timers.CED_TO_DIS)
        heard = yield from exchange.message(timers.T4)
        if not isinstance(heard, Message) or heard.fcf in (Fcf.CRP, Fcf.DIS):
            continue
        if heard.fcf is Fcf.DCN:
            raise Disconnected("the caller hung up (DCN) when it heard what this station can do")
        return heard
    raise NoFaxMachine(f"no fax machine answered to DIS within {timers.T1:.0f} s")


def _identification(exchange: Exchange) -> list[Frame]:
    station = exchange.station
    said = {
        Fcf.NSF: station.nonstandard,
        Fcf.CSI: encoded(station.ident) if station.ident else b"",
        Fcf.DIS: station.dis().octets,
    }
    return [exchange.frame(fcf, fif) for fcf, fif in said.items() if fif]
