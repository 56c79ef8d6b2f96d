"""Thousands of calls between fax machines drawn by chance, in virtual time, every one from a seed.

Two machines with what they can do and the bad habits that they have, a document of up to a dozen pages of every kind
and size, and a line with faults of its own: mostly signals on a circuit, for some the Class 1 driver on simulated
modems, or T.38 over a network that loses packets. ``tests.soak.checks`` says what must hold of each.

What T.30 itself cannot see is no failure. Without error correction pages have no numbers: one of at most 2.5 seconds
that is lost whole is not missed, and one that comes twice since its confirmation was lost is kept twice. With error
correction a frame may be damaged so that its check sequence fits.

One call again, with what both machines did: ``python -m tests.soak.test_seeded_calls SEED``.
"""

import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.soak.checks import check, check_replays
from tests.soak.plans import Plan
from tests.soak.playing import played

SHORT, MANY, WHOLE = 100, 2000, 20_000
"""So many calls every day, with ``make interop``, and with ``make soak``."""
PROCESSES = 2
SECONDS_PER_CALL = 0.06
"""Of one processor."""


def have(seeds: range) -> Counter[str]:
    """Have these calls and check them; return how often each end came about.

    Every tenth is done again from its recording.
    """
    ends: Counter[str] = Counter()
    for seed in seeds:
        try:
            call = played(Plan.drawn(seed))
            check(call)
            if seed % 10 == 0:
                check_replays(call.sender)
                check_replays(call.receiver)
        except BaseException as error:
            error.add_note(f"again: python -m tests.soak.test_seeded_calls {seed}")
            raise
        ends[call.sent.reason.code or call.sent.verdict] += 1
    return ends


def check_ends(ends: Counter[str]) -> None:
    """Check that the lines and the machines are bad, and not all of them."""
    print(f"{ends.total()} calls: {dict(ends.most_common())}")
    assert ends["delivered"] >= ends.total() // 5, ends
    assert ends["delivered"] <= ends.total() * 4 // 5, ends
    assert len(ends) >= 7, ends


@pytest.mark.parametrize("part", range(2))
def test_a_hundred_calls_of_any_machines_on_any_line_keep_what_they_confirm(part: int, soak_seed: int) -> None:
    first = soak_seed * WHOLE + part * SHORT // 2
    have(range(first, first + SHORT // 2))


@pytest.mark.slow
@pytest.mark.soak
def test_every_call_of_any_machines_on_any_line_ends_with_a_cause_and_keeps_what_it_confirms(
    soak: bool, soak_seed: int
) -> None:
    count = WHOLE if soak else MANY
    seeds = range(soak_seed * WHOLE, soak_seed * WHOLE + count)
    began = time.perf_counter()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        parts = [seeds[start : start + 100] for start in range(0, count, 100)]
        ends = sum(pool.map(have, parts), Counter[str]())
    print(f"{time.perf_counter() - began:.0f} s in {PROCESSES} processes")
    check_ends(ends)


if __name__ == "__main__":
    again = played(Plan.drawn(int(sys.argv[1])))
    print(again.told())
    check(again)
