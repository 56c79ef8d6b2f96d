"""Phases A and B for the station that was called (T.30 Figure 5-2, from the called station's entry)."""

from t30 import timers
from t30.capabilities import Dtc, Station
from t30.exchange import Exchange, Message, Procedure
from t30.fcf import Fcf
from t30.identification import of_answerer, said, take_note
from t30.line import Answer, AwaitCall, Connected, LineError, NotConnected, Ringing, SendTone, Sent, Tone
from t30.outcome import Direction, Disconnected, Incompatible, LocalError, NoFaxMachine, NotAdmitted, Outcome, Record
from t30.pages import AdmitPoller, Admitted
from t30.receiving import Reception
from t30.sending import send_document
from t30.session import conclude


def answering(station: Station) -> Procedure[Outcome]:
    """Wait for a call, answer it, and do what the caller wants: take its fax, or give it the document on offer."""
    record = Record(Direction.IN if station.receives else Direction.OUT)
    exchange = Exchange(station, record, x=False)
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
    command = yield from identify(exchange)
    if command.fcf is Fcf.DTC and exchange.station.offer is not None:
        yield from _be_polled(exchange, command)
    else:
        yield from _receive(exchange, command)


def _receive(exchange: Exchange, command: Message) -> Procedure[None]:
    """Take what the caller sends, from its first command on."""
    if not exchange.station.receives:
        yield from exchange.command(timers.T4, after_carrier=timers.AFTER_CARRIER)  # over its training check
        raise Incompatible("the caller wants to send a fax, and this station only has one to be fetched")
    reception = Reception(exchange)
    while (yield from reception.until_end(command)):
        command = yield from identify(exchange)


def _be_polled(exchange: Exchange, command: Message) -> Procedure[None]:
    """Send the document on offer to a caller who has asked for it (DTC).

    Raises:
        NotAdmitted: if it is not given to this caller.
    """
    record = exchange.record
    record.direction = Direction.OUT
    take_note(record, command)
    wish = AdmitPoller(record.remote_id, said(command, Fcf.SEP) or said(command, Fcf.PSA), said(command, Fcf.PWD))
    admitted = yield from exchange.do(wish, Admitted)
    if not admitted.granted:
        raise NotAdmitted("the caller asked for another document than the one on offer, or with a wrong password")
    # Whoever asks for a document receives it, whether or not the bit for that is set.
    yield from send_document(exchange, Dtc(command.fif).but(receiver=True))


def identify(exchange: Exchange) -> Procedure[Message]:
    """Say what we can do until the caller has chosen, up to T1 (T.30 flow diagram, entry R).

    Raises:
        NoFaxMachine: if T1 elapses.
    """
    began = exchange.now
    while exchange.now - began < timers.T1:
        yield from exchange.send(*of_answerer(exchange), after=timers.CED_TO_DIS)
        heard = yield from exchange.message(timers.T4)
        if not isinstance(heard, Message) or heard.fcf in (Fcf.CRP, Fcf.DIS):
            continue
        if heard.fcf is Fcf.DTC and not heard.whole:
            continue  # the password or the address was lost: it is not to be judged by what is left
        if heard.fcf is Fcf.DCN:
            raise Disconnected("the caller hung up (DCN) when it heard what this station can do")
        return heard
    raise NoFaxMachine(f"no fax machine answered to DIS within {timers.T1:.0f} s")
