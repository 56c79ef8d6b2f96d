"""Any call that the simulator can make is recorded so that the engine does it again exactly, and can be told.

One call again: ``python -m tests.faxgw.trace.test_exactness SEED FOLDER`` leaves both recordings in the folder.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from faxgw.replay import replay
from faxgw.trace.ladder import ladder
from faxgw.trace.line_time import line_time
from faxgw.trace.listing import listing
from faxgw.trace.reading import read
from faxgw.trace.synthesis import synthesised
from simulators.faults import Faults
from simulators.machine import Habit
from simulators.personalities import (
    NEVER_CONFIRMS,
    NEVER_READY,
    NEVER_SATISFIED,
    Answers,
    CutsPagesShort,
    Echoes,
    GoesSilentAfter,
    HangsUpAfter,
    RepeatsItself,
    SaysOutOfTurn,
)
from simulators.tray import Sheet
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.policy import REFUSED, Correction, Policy
from t30.rates import LADDER
from tests.faxgw.trace.modem_calls import modem_calls
from tests.simulators.calls import FIVE_WAYS, sheet, station

CALLS, SHORT = 2000, 60
CHANCES = (0.0, 0.0, 0.02, 0.1, 0.3)
HABITS = (
    Echoes,
    RepeatsItself,
    CutsPagesShort,
    HangsUpAfter,
    lambda: GoesSilentAfter(Fcf.CFR),
    lambda: SaysOutOfTurn(Frame.of(Fcf.EOR, b"\x2e")),
    lambda: Answers(NEVER_CONFIRMS),
    lambda: Answers(NEVER_READY),
    lambda: Answers(NEVER_SATISFIED),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One call, as drawn from its seed; one of the two ends may misbehave, and only the other one is replayed."""

    pages: tuple[Sheet, ...]
    caller: Station
    answerer: Station
    habits: tuple[Habit | None, Habit | None]
    faults: Faults
    slow: int
    cancel_at: float | None

    @classmethod
    def drawn(cls, seed: int) -> "Plan":
        random = Random(seed)
        coding, ecm = random.choice(FIVE_WAYS)
        policy = Policy(
            refused=random.choice(list(REFUSED.values())),
            correction=Correction(random.choice((1, 4)), random.random() < 0.5, random.random() < 0.5),
        )
        faults = Faults(
            seed=seed,
            lost=random.choice(CHANCES),
            corrupted=random.choice(CHANCES),
            delayed=random.choice(CHANCES),
            echoed=random.choice(CHANCES),
            dropouts=random.choice(CHANCES),
            error_density=random.choice((0.0003, 0.002, 0.02)),
            untrainable=frozenset(modulation for modulation in LADDER if random.random() < 0.15),
            drop_at=random.uniform(0.0, 60.0) if random.random() < 0.1 else None,
        )
        bad = random.choice((None, None, random.choice(HABITS)()))
        return cls(
            tuple(sheet(number, rows=random.choice((40, 250))) for number in range(random.randint(1, 2))),
            replace(station(coding, ecm=ecm, frame_octets=random.choice((64, 256))), policy=policy),
            Station("+1 555 0100", policy=policy),
            (bad, None) if random.random() < 0.5 else (None, bad),
            faults,
            random.choice((0, 0, 0, 1, 3)),
            random.uniform(0.0, 40.0) if random.random() < 0.1 else None,
        )

    def played(self, folder: Path) -> tuple[Path, Path]:
        """Have the call, and return both recordings, the caller's first."""
        return modem_calls(
            folder,
            self.pages,
            caller=self.caller,
            answerer=self.answerer,
            habits=self.habits,
            faults=self.faults,
            slow=self.slow,
            cancel_at=self.cancel_at,
        )


@pytest.mark.soak
def test_any_call_is_done_again_exactly(tmp_path: Path, soak: bool, soak_seed: int) -> None:
    reasons = set()
    for seed in range(soak_seed, soak_seed + (CALLS if soak else SHORT)):
        plan = Plan.drawn(seed)
        for path, habit in zip(plan.played(tmp_path), plan.habits, strict=True):
            trace = read(path)
            reasons.add(trace.outcome.reason.code if trace.outcome else None)
            difference = replay(trace) if habit is None else None
            assert difference is None, f"seed {seed}, {path.name}: {difference}"
            if seed % 8 == 0:
                check_is_told(path)
    assert {"", "call.canceled", "line.dropped"} <= reasons or not soak


def check_is_told(path: Path) -> None:
    """Check that a call can be looked at in every way."""
    trace = read(path)
    assert list(listing(trace))
    ElementTree.fromstring(ladder(trace))
    time = line_time(trace)
    if trace.outcome is not None:
        assert time.seconds == pytest.approx(trace.outcome.seconds, abs=0.01)
    assert all(seconds >= 0.0 for seconds in time.spent.values())
    assert time.least_seconds <= time.seconds + 0.5
    made = synthesised(trace)
    assert [each.at for each in made] == sorted(each.at for each in made)


if __name__ == "__main__":
    Plan.drawn(int(sys.argv[1])).played(Path(sys.argv[2]))
