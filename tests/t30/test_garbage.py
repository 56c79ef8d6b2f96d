"""Garbage at any point of a call never raises anything, and the call ends in time with a cause that is documented.

The garbage is what a line may tell of: frames of any content and length, good or bad, in V.21 and in partial pages;
octets of no page; carriers that come, go and are of another kind. What looks like page after page is none, and goes on
for as long as the other side likes: the gateway's ``dispatch.max_call`` ends that.
"""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy, binary, booleans, builds, integers, lists, none, one_of, sampled_from

from faxgw.rules.causes import TREATMENTS
from t30.answering import answering
from t30.calling import calling, polling
from t30.capabilities import Offer, Station
from t30.exchange import Procedure
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import (
    CarrierLost,
    Cause,
    Connected,
    DataReceived,
    Event,
    FrameReceived,
    LineError,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    Sent,
    WrongCarrier,
)
from t30.outcome import Outcome
from t30.pages import Admitted, Kept, NoMorePages, Noted, Verdict
from t30.rates import Modulation
from t30.session import Session
from tests.t30.lockstep import Interruption, Side, run

HOUR = 3600.0
PAGES = (bytes(range(256)) * 5, bytes(range(255, -1, -1)) * 300)
"""The second is longer than a partial page of 64 KB."""
EXAMPLES = 2000 if os.environ.get("FAXGW_SOAK") == "1" else 40

OFFERING = Station("2", offer=Offer())

Make = Callable[[bool], tuple[Procedure[Outcome], Procedure[Outcome]]]
ROLES: dict[str, Make] = {
    "sending": lambda ecm: (calling(Station("1", ecm=ecm), "2"), answering(Station("2"))),
    "receiving": lambda ecm: (answering(Station("2", ecm=ecm)), calling(Station("1"), "2")),
    "polling": lambda ecm: (polling(Station("1", ecm=ecm), "2"), answering(OFFERING)),
    "polled": lambda ecm: (answering(replace(OFFERING, ecm=ecm)), polling(Station("1"), "2")),
}
SENDS = ("sending", "polled")


def _frame(code: int, fif: bytes, *, address: int, control: int) -> bytes:
    return bytes((address, control, code)) + fif


codes = one_of(sampled_from([fcf.octet(x=x) for fcf in Fcf for x in (False, True)]), integers(0, 255))
said = builds(
    _frame,
    codes,
    one_of(binary(max_size=40), binary(min_size=256, max_size=257)),
    address=sampled_from([0xFF] * 7 + [0]),
    control=one_of(sampled_from([0x13, 0x13, 0x03]), integers(0, 255)),
)
octets = one_of(said, said, said, binary(max_size=8), binary(max_size=4096))
frames = builds(FrameReceived, octets, sampled_from([True, True, True, False]))
carriers = one_of(
    builds(Quiet), builds(CarrierLost), builds(WrongCarrier, one_of(none(), sampled_from(list(Modulation))))
)
Garbage = tuple[Event, Event]
garbage: SearchStrategy[Garbage] = builds(
    lambda frame, data: (frame, data),
    one_of(frames, frames, carriers),
    one_of(builds(DataReceived, binary(min_size=1, max_size=2000)), carriers),
)
"""What is heard where a frame is listened for, and where octets are."""


def interrupting(things: list[Garbage], *, since: int, for_ever: bool = False) -> Interruption:
    """Put these things in the place of what a side is due to hear, one after the other, from its n-th reception on."""

    def interrupt(action: ListenFrame | ListenData, number: int) -> Event | None:
        place = number - since
        if place < 0 or (place >= len(things) and not for_ever):
            return None
        frame, data = things[place % len(things)]
        return frame if isinstance(action, ListenFrame) else data

    return interrupt


def talk(role: str, *, ecm: bool, interrupt: Interruption) -> tuple[Outcome, float]:
    """Have a call in which one side, in this role, hears garbage; return what it came to there, and its length."""
    ours, theirs = ROLES[role](ecm)
    one = Side(Session(ours), PAGES if role in SENDS else (), interrupt=interrupt)
    other = Side(Session(theirs), () if role in SENDS else PAGES)
    seconds = run(one, other)
    assert one.session.outcome is not None
    assert other.session.outcome is not None
    for outcome in (one.session.outcome, other.session.outcome):
        assert outcome.complete == (outcome.reason.code == "")
        assert outcome.complete or outcome.reason.code in TREATMENTS
        assert outcome.reason.code not in ("fax.internal", "fax.failed"), outcome.reason
    return one.session.outcome, seconds


@pytest.mark.soak
@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=EXAMPLES)
@given(things=lists(garbage, min_size=1, max_size=30), since=integers(0, 60), ecm=booleans())
def test_garbage_at_any_point_of_a_call_ends_in_an_outcome(
    role: str, things: list[Garbage], since: int, ecm: bool
) -> None:
    _, seconds = talk(role, ecm=ecm, interrupt=interrupting(things, since=since))
    assert seconds < HOUR


@pytest.mark.soak
@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=EXAMPLES)
@given(
    things=lists(builds(lambda frame, data: (frame, data), one_of(frames, carriers), carriers), min_size=1, max_size=4),
    since=integers(0, 30),
    ecm=booleans(),
)
def test_garbage_for_ever_ends_a_call_within_an_hour(role: str, things: list[Garbage], since: int, ecm: bool) -> None:
    """What comes on a fast carrier is another carrier or none."""
    interrupt = interrupting(things, since=since, for_ever=True)

    def no_pages(action: ListenFrame | ListenData, number: int) -> Event | None:
        event = interrupt(action, number)
        fast = action.modulation is not Modulation.V21
        return CarrierLost() if fast and isinstance(event, FrameReceived) else event

    _, seconds = talk(role, ecm=ecm, interrupt=no_pages)
    assert seconds < HOUR


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("ecm", [False, True])
def test_the_call_goes_through_when_nothing_is_garbled(role: str, ecm: bool) -> None:
    outcome, _ = talk(role, ecm=ecm, interrupt=lambda *_: None)
    assert outcome.verdict in ("delivered", "received")


WRONG: list[Event] = [
    Ringing("", ""),
    Connected(),
    NotConnected(Cause.BUSY),
    Sent(),
    FrameReceived(Frame.of(Fcf.DCN).octets, good=True),
    Quiet(),
    CarrierLost(),
    WrongCarrier(None),
    DataReceived(b"\0"),
    NoMorePages(),
    Noted(),
    Admitted(granted=True),
    Kept(page_ended=False),
    Verdict(1, 0, 0, durable=True),
]


@pytest.mark.soak
@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=EXAMPLES)
@given(events=lists(one_of(sampled_from(WRONG), builds(LineError, sampled_from(["gone"]))), min_size=1, max_size=60))
def test_any_event_in_answer_to_any_action_ends_in_an_outcome(role: str, events: list[Event | LineError]) -> None:
    """A line or a page port that answers what it must not is a fault of ours (``fax.internal``), and no exception."""
    session = Session(ROLES[role](True)[0])
    for event in events:
        if session.action is not None:
            session.throw(event) if isinstance(event, LineError) else session.handle(event)
    run(Side(session))
    assert session.outcome is not None
    assert session.outcome.reason.code in TREATMENTS
