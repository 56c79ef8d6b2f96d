"""What a trace shows of an action or event: no page content, no passwords; everything that the engine decides by."""

from dataclasses import replace
from hashlib import sha256

from faxgw.trace.values import Payload
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import SECRET
from t30.identity import LENGTH
from t30.line import (
    Action,
    Content,
    DataReceived,
    Event,
    FrameReceived,
    ListenData,
    ListenFrame,
    SendData,
    SendFrames,
)
from t30.pages import AdmitPoller, KeepData, PageReady
from t30.rates import Modulation

FCF_END = 3
"""Address, control and facsimile control field: all that is shown of a damaged frame, which may have been a secret."""
FRAME_NUMBER_END = 4
"""A frame of page data has its number next; the engine needs it."""


def shown_action(action: Action) -> Action:
    """Return the action as a trace has it."""
    match action:
        case SendFrames(modulation, frames):
            return replace(action, frames=tuple(shown_frame(each, modulation) for each in frames))
        case SendData(content=Content.PAGE, octets=octets) | KeepData(octets=octets):
            return replace(action, octets=hidden(octets))
        case AdmitPoller():
            # Whether something was said shows in the frames; here it must be the same when it is masked there.
            return replace(action, address="*" * LENGTH, password="*" * LENGTH)
    return action


def shown_event(event: Event, after: Action | None) -> Event:
    """Return the event as a trace has it; ``after`` is the action that it answers."""
    match event, after:
        case FrameReceived(octets, good), _:
            modulation = after.modulation if isinstance(after, ListenFrame) else Modulation.V21
            return replace(event, octets=(shown_frame if good else shown_damaged)(octets, modulation))
        case DataReceived(), ListenData(content=Content.TCF):
            return event
        case ((DataReceived(octets=octets) | PageReady(octets=octets)), _):
            return replace(event, octets=hidden(octets))
    return event


def shown_station(station: Station) -> Station:
    """Return the station without its secrets. Masks are as long as a secret on the wire, which tells nothing."""
    return replace(station, password=_masked(station.password), subaddress=_masked(station.subaddress))


def hidden(octets: bytes, *, head: int = 0) -> Payload:
    """Return what stands for octets of which only the first ``head`` may be shown."""
    if isinstance(octets, Payload):
        return octets
    return Payload(octets[:head], len(octets), sha256(octets[head:]).hexdigest())


def shown_frame(octets: bytes, modulation: Modulation) -> bytes:
    """Return an undamaged frame as it is shown; it keeps its length."""
    fcf = Fcf.of(octets[FCF_END - 1]) if len(octets) >= FCF_END else None
    if fcf in SECRET:
        return octets[:FCF_END] + b"*" * (len(octets) - FCF_END)
    if modulation is Modulation.V21 and fcf is not Fcf.FCD:
        return octets
    return hidden(octets, head=FRAME_NUMBER_END) if len(octets) > FRAME_NUMBER_END else octets


def shown_damaged(octets: bytes, modulation: Modulation) -> bytes:
    """Return a damaged frame as it is shown: of a short password with a wrong bit, a hash would be as good as it."""
    head = FCF_END if modulation is Modulation.V21 else FRAME_NUMBER_END
    return Payload(octets[:head], len(octets), "") if len(octets) > head else octets


def _masked(secret: str) -> str:
    return "*" * LENGTH if secret else ""
