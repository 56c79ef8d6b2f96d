"""The frames that travel with DIS, DTC and DCS: who speaks, whom it asks for, and what it says of itself.

They are optional, each with its own bit in DIS where the other side must know it; the last frame of a signal is DIS,
DTC or DCS itself.
"""

from collections.abc import Mapping

from t30.capabilities import Dcs, Dis, Dtc, Terms
from t30.exchange import Exchange, Message
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import decoded, encoded, internet
from t30.outcome import Incompatible, Record

_IDENTITIES = (Fcf.CSI, Fcf.TSI, Fcf.CIG)
"""What the other machine calls itself: as it was called, as it sends, as it polls."""
_NONSTANDARD = (Fcf.NSF, Fcf.NSS, Fcf.NSC)
_ADDRESSES = (Fcf.CSA, Fcf.TSA, Fcf.CIA)


def of_answerer(exchange: Exchange) -> list[Frame]:
    """Return what an answerer says: [NSF] [CSI] DIS."""
    station = exchange.station
    return _frames(
        exchange, {Fcf.NSF: station.nonstandard, Fcf.CSI: _text(station.ident), Fcf.DIS: station.dis().octets}
    )


def of_poller(exchange: Exchange, answerer: Dis) -> list[Frame]:
    """Return what a caller says that wants the answerer's document: [NSC] [PWD] [SEP] [CIG] DTC.

    Raises:
        Incompatible: if it wants to say what the answerer does not take.
    """
    station = exchange.station
    if station.subaddress and not answerer.selective_polling:
        raise Incompatible("the other machine gives out one document only: it takes no selective polling address (SEP)")
    if station.password and not answerer.password:
        raise Incompatible("the other machine takes no password (PWD) for its document")
    said = {
        Fcf.NSC: station.nonstandard,
        Fcf.PWD: _text(station.password),
        Fcf.SEP: _text(station.subaddress),
        Fcf.CIG: _text(station.ident),
        Fcf.DTC: station.dtc().octets,
    }
    return _frames(exchange, said)


def of_sender(exchange: Exchange, terms: Terms, dcs: Dcs) -> list[Frame]:
    """Return what a sender says before training: [PWD] [SUB] [SID] where they are taken, [TSI] DCS.

    A sender that is polled says neither password nor subaddress: they were the poller's to say.
    """
    station = exchange.station
    polled = isinstance(terms.receiver, Dtc)
    password = station.password if terms.receiver.password and not polled else ""
    sender_id = station.sender_id if terms.receiver.password else ""
    subaddress = station.subaddress if terms.receiver.subaddress and not polled else ""
    said = {
        Fcf.PWD: _text(password),
        Fcf.SUB: _text(subaddress),
        Fcf.SID: _text(sender_id),
        Fcf.TSI: _text(station.ident),
        Fcf.DCS: dcs.but(subaddress=bool(subaddress), sender_id=bool(sender_id)).octets,
    }
    return _frames(exchange, said)


def take_note(record: Record, heard: Message) -> None:
    """Write down what the other machine said of itself; what it did not say again stays."""
    for fcf in _IDENTITIES:
        if (fif := heard.find(fcf)) is not None:
            record.remote_id = decoded(fif)
    record.saw(
        capabilities=heard.fif,
        sender_id=said(heard, Fcf.SID),
        addresses=tuple(internet(frame.fif) for frame in heard.frames if frame.fcf in _ADDRESSES),
    )
    for fcf in _NONSTANDARD:
        record.saw(nonstandard=heard.find(fcf))


def said(heard: Message, fcf: Fcf) -> str:
    """Return the text of the frame that says ``fcf``, "" if there is none."""
    return decoded(heard.find(fcf) or b"")


def _text(text: str) -> bytes:
    return encoded(text) if text else b""


def _frames(exchange: Exchange, said: Mapping[Fcf, bytes]) -> list[Frame]:
    """Return a frame for each field that is not empty."""
    return [exchange.frame(fcf, fif) for fcf, fif in said.items() if fif]
