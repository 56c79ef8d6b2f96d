"""``python -m tests.fuzz.program TARGET``: octets that Atheris thinks of, one after the other, until something fails.

Exits with 0 if nothing did. What fails is saved below ``--found`` and from then on tried by every run of the tests.

With ``NUMBA_DISABLE_JIT=1`` Atheris sees which branches of the codec's kernels are taken, and is given short inputs, as
they are a thousand times slower then; with ``NUMBA_BOUNDSCHECK=1`` they are compiled, and check every index.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import atheris

FOUND = Path(__file__).with_name("found")
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
LARGEST_INPUT = 64 if INTERPRETED else 4096
MEGABYTES = 1024
ONE_INPUT = 10
"""Seconds after which an input hangs."""

# What is to be compiled must stay as it was written.
CODEC = ["t30.t4"] if INTERPRETED else []

with atheris.instrument_imports(
    include=["drivers", "faxgw.mail.submission", *CODEC], exclude=["t30.t4.instructions", "t30.t4.tables"]
):
    from tests.fuzz import packets, pages, signalling, submission

TARGETS = {each.name: each for each in (*packets.TARGETS, *pages.TARGETS, *signalling.TARGETS, *submission.TARGETS)}


def main() -> None:
    """Fuzz one target for a while; never returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=FOUND)
    parser.add_argument("--kept", type=Path, help="folder of inputs to begin with, and to keep those that were new in")
    asked = parser.parse_args()
    target = TARGETS[asked.target]
    with tempfile.TemporaryDirectory() as made:
        folder = str(asked.kept or made)
        for place, octets in enumerate(target.corpus()):
            (Path(folder) / f"{place:03}").write_bytes(octets)
        options = {
            "max_total_time": asked.seconds,
            "seed": asked.seed,
            "max_len": LARGEST_INPUT,
            "rss_limit_mb": MEGABYTES,
            "timeout": ONE_INPUT,
            "print_final_stats": 1,
            "verbosity": 0,
            "artifact_prefix": f"{asked.found}/{asked.target}-",
        }
        atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
