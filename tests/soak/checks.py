"""What must hold of every call, whatever the machines and the line did."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from faxgw.replay import replay
from faxgw.rules.causes import TREATMENTS
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder
from simulators.circuit import CarrierOn, Heard, Octets
from simulators.tray import ReceivedPage
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import FrameReceived, LineError, SendFrames
from t30.outcome import Outcome, PageResult
from t30.pages import JudgePage, KeepData, Verdict
from t30.rates import Modulation
from tests.soak.plans import Way
from tests.soak.playing import Played, Side

CUT = 4500
"""Octets that may be missing at the end of a page without RTC: 2.5 s at 14,400 bit/s."""
SHORT = 4500
"""Octets of a page that takes 2.5 s at most: lost whole, it is not missed, for without error correction pages have no
numbers, and the sender's command comes when it would if our answer to the one before had been lost."""


def check(call: Played) -> None:
    """Check all that must hold of a call."""
    for outcome in (call.sent, call.got):
        check_end(call, outcome)
    check_what_is_kept_was_judged(call)
    check_confirmations_keep_to_the_policy(call)
    if call.plan.way is Way.CIRCUIT:
        check_octets_are_those_of_the_line(call)
    if call.plan.true_sender and call.plan.true_receiver:
        check_nothing_confirmed_is_lost(call)
        check_corrected_pages_are_whole(call)
        check_delivered_is_received(call)


def check_end(call: Played, outcome: Outcome) -> None:
    """Check that an outcome has a cause that is documented, unless the fax is whole; and pages in their order."""
    code = outcome.reason.code
    assert outcome.complete == (code == "") == (outcome.reason.text == ""), outcome
    assert not code or code in TREATMENTS, outcome
    assert code not in ("fax.internal", "fax.failed", "line.unavailable") or not call.plan.pages, outcome
    assert [page.index for page in outcome.pages] == list(range(len(outcome.pages))), outcome
    confirmed = [page.confirmed for page in outcome.pages]
    assert not outcome.complete or (confirmed and all(confirmed)), outcome
    wholes = {"delivered", "received"}
    assert (outcome.verdict in wholes) == outcome.complete
    assert (outcome.verdict == "partial") == (any(confirmed) and not outcome.complete)


def check_what_is_kept_was_judged(call: Played) -> None:
    """Check that the receiver holds each page that it has confirmed, judged and safe."""
    durable = {
        step.action.index
        for step in call.receiver.machine.transcript
        if isinstance(step.action, JudgePage) and isinstance(step.event, Verdict) and step.event.durable
    }
    for page in confirmed(call.got):
        assert call.tray.received[page.index].decoded is not None
        assert page.index in durable


def check_confirmations_keep_to_the_policy(call: Played) -> None:
    """Check that a page is confirmed only if it is safe, and as good as the policy says."""
    quality = call.receiver.machine.station.policy.quality
    verdict: Verdict | None = None
    plain = False
    for action, event in call.receiver.habits.steps:
        if isinstance(action, KeepData):
            plain = not action.format.ecm
        elif isinstance(action, JudgePage) and isinstance(event, Verdict):
            verdict = event
        elif isinstance(action, SendFrames) and says(action, Fcf.MCF) and plain:
            assert verdict is not None
            assert verdict.durable
            assert verdict.bad_rows <= quality.confirm * verdict.rows
            assert verdict.longest_bad_run <= quality.longest_run


def check_octets_are_those_of_the_line(call: Played) -> None:
    """Check that a page that is confirmed is one signal of the line, from its first octet to its end, or past RTC."""
    signals = list(fast_signals(call.heard))
    for each in confirmed(call.got):
        page = call.tray.received[each.index]
        if not page.format.ecm:
            begun = any(signal.startswith(page.octets) for signal in signals)
            whole = page.octets in signals or page.ended or page.decoded is None
            assert begun and whole, "a page that was not on the line"


def check_nothing_confirmed_is_lost(call: Played) -> None:
    """Check that each page that the sender was told is confirmed was, in order."""
    kept = iter([call.tray.received[page.index] for page in confirmed(call.got)])
    for sent in confirmed(call.sent):
        if not sent.format.ecm and sent.octets < SHORT:
            continue
        found = any(can_be(call, page, sent) for page in kept)
        assert found, f"page {sent.index} is confirmed and lost"


def can_be(call: Played, page: ReceivedPage, sent: PageResult) -> bool:
    """Tell whether a page that was stored can be the one that was sent."""
    assert page.decoded is not None
    if page.decoded.bitmap == call.document.sent[sent.index].bitmap:
        return True
    if sent.format.ecm:
        return False
    if not page.ended and sent.octets - len(page.octets) <= CUT:
        return True  # the carrier was lost so late that the command came when it was due
    return page.decoded.bad_rows > 0  # a page that the line damaged cannot be told from another


def check_corrected_pages_are_whole(call: Played) -> None:
    """Check that with error correction the pages that were confirmed are those that were sent, in order, each once.

    If what confirmed EOM is lost for good, the sender begins again with that page, and it is there twice.
    """
    again = sum(training.passed for training in call.sent.evidence.trainings) > 1
    before = None
    if not call.sent.ecm or not call.got.ecm or forged(call):
        return
    sent = iter([sheet.bitmap for _, sheet in sorted(call.document.sent.items())])
    for page in confirmed(call.got):
        if page.format.ecm:
            decoded = call.tray.received[page.index].decoded
            assert decoded is not None
            is_repeated = again and decoded.bitmap == before
            # what is passed over was given up
            assert is_repeated or decoded.bitmap in sent, f"page {page.index} of {call.got}"
            before = decoded.bitmap


def check_delivered_is_received(call: Played) -> None:
    """Check that a fax that counts as delivered is whole at the receiver, too."""
    if call.sent.complete:
        assert call.got.complete, "delivered and not received"
        assert len(call.got.pages) >= len(call.plan.pages) or not call.sent.ecm


def forged(call: Played) -> bool:
    """Tell whether a frame was damaged on the line so that its FCS fits: one in 65,536 is, and nothing notices."""
    said = {
        frame
        for side in (call.sender, call.receiver)
        for step in side.machine.transcript
        if isinstance(step.action, SendFrames)
        for frame in step.action.frames
    }
    return any(
        isinstance(step.event, FrameReceived) and step.event.good and step.event.octets not in said
        for side in (call.sender, call.receiver)
        for step in side.machine.transcript
    )


def check_replays(side: Side) -> None:
    """Check that the recording of what the engine asked and was told makes it do the same again."""
    station, direction = side.machine.station, side.outcome.direction
    with TemporaryDirectory() as folder:
        path = Path(folder) / "call.jsonl"
        at = 0.0
        with Recorder(path, direction=direction, line="sim:", station=station) as recorder:
            for action, event in side.habits.steps:
                recorder.action(action)
                if isinstance(event, LineError):
                    recorder.thrown(event, at)
                else:
                    at = event.at
                    recorder.event(event)
            recorder.outcome(side.outcome)
        assert recorder.error is None
        assert replay(read(path)) is None


# ------------------------------------------------------------------------------------------------------------- reading


def confirmed(outcome: Outcome) -> list[PageResult]:
    """Return the pages that were."""
    return [page for page in outcome.pages if page.confirmed]


def fast_signals(heard: Iterable[Heard]) -> Iterator[bytes]:
    """Yield the octets of each fast carrier that was heard."""
    octets = bytearray()
    for thing in heard:
        if isinstance(thing, CarrierOn):
            yield bytes(octets)
            octets.clear()
        elif isinstance(thing, Octets):
            octets += thing.octets
    yield bytes(octets)


def says(action: SendFrames, fcf: Fcf) -> bool:
    """Tell whether a signal says this."""
    frame = Frame.parse(action.frames[-1]) if action.modulation is Modulation.V21 else None
    return frame is not None and frame.fcf is fcf
