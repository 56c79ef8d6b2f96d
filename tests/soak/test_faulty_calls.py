"""Thousands of calls over faulty lines, in virtual time, every one from a seed.

One call again, with what both machines did: ``python -m tests.soak.test_faulty_calls SEED``.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

import pytest

from simulators import clock
from simulators.circuit import CarrierOn, Circuit, Faults, Heard, Octets
from simulators.line import CircuitLine
from simulators.machine import Machine
from simulators.tray import ReceivedPage, Sheet, Tray
from t30 import timers
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import LineClock, SendFrames
from t30.outcome import Outcome
from t30.pages import Coding, JudgePage, Verdict
from t30.policy import Correction
from t30.rates import LADDER, Modulation
from t30.t4 import Bitmap
from tests.simulators.calls import FIVE_WAYS, sheet, station

CALLS, SHORT, PARTS = 2000, 200, 8
SECONDS = 60.0
"""All of ``CALLS`` on two cores."""
SIGNAL = 180.0
"""No signal of these calls is longer: 400 scan lines at 2400 bit/s."""
CUT = 4500
"""Octets that may be missing at the end of a page without RTC: 2.5 s at 14,400 bit/s."""
CHANCES = (0.0, 0.0, 0.0, 0.02, 0.1, 0.3)


@dataclass(frozen=True, slots=True)
class Plan:
    """One call, as drawn from its seed."""

    seed: int
    coding: Coding
    ecm: bool
    sender: Station
    pages: tuple[Sheet, ...]
    faults: Faults
    slow: int

    @classmethod
    def drawn(cls, seed: int) -> "Plan":
        random = Random(seed)
        coding, ecm = random.choice(FIVE_WAYS)
        fast = [modulation for modulation in LADDER if random.random() < 0.15]
        faults = Faults(
            seed=seed,
            lost=random.choice(CHANCES),
            corrupted=random.choice(CHANCES),
            delayed=random.choice(CHANCES),
            echoed=random.choice(CHANCES),
            dropouts=random.choice(CHANCES),
            error_density=random.choice((0.0003, 0.002, 0.02)),
            untrainable=frozenset(fast),
            drop_at=random.uniform(0.0, 60.0) if random.random() < 0.1 else None,
        )
        # Without error correction a page shorter than T4 that is lost whole cannot be told from a repeated command.
        rows = (40, 150, 400) if ecm else (250, 400)
        pages = tuple(sheet(random.randrange(4), rows=random.choice(rows)) for _ in range(random.randint(1, 3)))
        sender = station(coding, ecm=ecm, frame_octets=random.choice((64, 256)))
        return cls(seed, coding, ecm, sender, pages, faults, random.choice((0, 0, 0, 1, 3)))

    @property
    def limit(self) -> float:
        """Return the sum of the timers: every command as often as may be, every answer as late as may be."""
        exchange = timers.TRIES * (SIGNAL + timers.T4 + timers.T2)
        page = (len(LADDER) * (Correction().requests + 2) + timers.TRIES) * exchange + timers.T5
        return timers.T0 + timers.T1 + len(self.pages) * page


@dataclass(frozen=True, slots=True)
class Played:
    """A call that is over."""

    plan: Plan
    sender: Machine
    receiver: Machine
    sent: Outcome
    got: Outcome
    tray: Tray
    heard: list[Heard]

    def told(self) -> str:
        halves = (("sender", self.sender, self.sent), ("receiver", self.receiver, self.got))
        return "\n".join([str(self.plan), *(f"--- {name}: {end}\n{machine.told()}" for name, machine, end in halves)])

    def arrived(self) -> Iterator[ReceivedPage]:
        """Yield every page that was handed to the target, those that were replaced first."""
        yield from self.tray.replaced
        yield from self.tray.received.values()


def played(plan: Plan) -> Played:
    """Have one call; it must be over in time, with both machines on hook."""

    async def both() -> Played:
        line_clock = LineClock(asyncio.get_running_loop().time)
        circuit = Circuit(line_clock, faults=plan.faults, delay=0.01)
        tray, heard = Tray(slow=plan.slow), list[Heard]()
        circuit.answerer.on_heard = heard.append
        sender = Machine(plan.sender, CircuitLine(circuit.caller, line_clock), Tray(plan.pages))
        receiver = Machine(Station("+1 555 0100"), CircuitLine(circuit.answerer, line_clock), tray)
        try:
            async with asyncio.timeout(plan.limit):
                sent, got = await asyncio.gather(sender.send("200"), receiver.receive())
        except TimeoutError:
            raise AssertionError(
                f"not over in {plan.limit} s\n{sender.told(last=60)}\n{receiver.told(last=60)}"
            ) from None
        assert circuit.caller.hung_up
        assert circuit.answerer.hung_up
        return Played(plan, sender, receiver, sent, got, tray, heard)

    return clock.run(both())


def check(call: Played) -> None:
    """Check all that must hold of a call, however bad the line was."""
    for outcome in (call.sent, call.got):
        assert outcome.complete == (outcome.reason.code == ""), outcome
        assert outcome.reason.code not in ("fax.internal", "fax.failed"), outcome
    check_nothing_confirmed_is_lost(call)
    if call.plan.ecm and call.sent.ecm:
        check_confirmed_pages_are_whole(call)
    else:
        check_octets_are_those_of_the_line(call)
        check_confirmations_keep_to_the_policy(call)


def check_nothing_confirmed_is_lost(call: Played) -> None:
    """Check that what the sender was told is confirmed was, in order; without page numbers a page may come twice."""
    kept = iter([call.tray.received[page.index] for page in call.got.pages if page.confirmed])
    for sent in call.sent.pages:
        bitmap = call.plan.pages[sent.index].bitmap
        if sent.confirmed:
            assert any(can_be(page, bitmap, sent.octets) for page in kept), f"page {sent.index} is confirmed and lost"


def can_be(page: ReceivedPage, bitmap: Bitmap, octets: int) -> bool:
    assert page.decoded is not None
    if not page.ended and octets - len(page.octets) <= CUT:
        return True  # the carrier was lost so late that the command came when it was due
    # A page that the line damaged cannot be told from another.
    return page.decoded.bitmap == bitmap or page.decoded.bad_rows > 0


def check_confirmed_pages_are_whole(call: Played) -> None:
    for outcome in (call.sent, call.got):
        for page in outcome.pages:
            if page.confirmed:
                decoded = call.tray.received[page.index].decoded
                assert decoded is not None
                assert decoded.bitmap == call.plan.pages[page.index].bitmap, f"page {page.index} of {outcome}"


def check_octets_are_those_of_the_line(call: Played) -> None:
    """Check that a page is what the line delivered: a signal from its first octet to its end, or past RTC."""
    signals = list(fast_signals(call.heard))
    for page in call.arrived():
        begun = any(signal.startswith(page.octets) for signal in signals)
        whole = page.octets in signals or page.ended or page.decoded is None
        assert begun and whole, "a page that was not on the line"


def check_confirmations_keep_to_the_policy(call: Played) -> None:
    quality = call.receiver.station.policy.quality
    verdict: Verdict | None = None
    for step in call.receiver.transcript:
        if isinstance(step.action, JudgePage) and isinstance(step.event, Verdict):
            verdict = step.event
        elif isinstance(step.action, SendFrames) and says(step.action, Fcf.MCF):
            assert verdict is not None
            assert verdict.durable
            assert verdict.bad_rows <= quality.confirm * verdict.rows
            assert verdict.longest_bad_run <= quality.longest_run


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
    frame = Frame.parse(action.frames[-1]) if action.modulation is Modulation.V21 else None
    return frame is not None and frame.fcf is fcf


def seeds(soak: bool, base: int, part: int) -> range:
    count = (CALLS if soak else SHORT) // PARTS
    return range(base * CALLS + part * count, base * CALLS + (part + 1) * count)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_every_call_over_a_faulty_line_ends_in_time_with_nothing_confirmed_that_is_not_kept(
    part: int, soak: bool, soak_seed: int
) -> None:
    began = time.process_time()  # of the processor: what else the machine does meanwhile does not count
    outcomes: Counter[str] = Counter()
    for seed in seeds(soak, soak_seed, part):
        try:
            call = played(Plan.drawn(seed))
            check(call)
        except BaseException as error:
            error.add_note(f"again: python -m tests.soak.test_faulty_calls {seed}")
            raise
        outcomes[call.sent.reason.code or call.sent.verdict] += 1
    elapsed = time.process_time() - began
    print(f"{outcomes.total()} calls in {elapsed:.1f} s: {dict(outcomes.most_common())}")
    assert outcomes["delivered"] >= outcomes.total() // 5, outcomes
    assert not soak or outcomes["delivered"] <= outcomes.total() * 19 // 20, "these lines are not faulty"
    assert not soak or elapsed < 2 * SECONDS / PARTS


if __name__ == "__main__":
    again = played(Plan.drawn(int(sys.argv[1])))
    print(again.told())
    check(again)
