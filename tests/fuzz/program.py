"""``python -m tests.fuzz.program TARGET``: octets that Atheris thinks of, one after the other, until something fails.

Exits with 0 if nothing did. What fails is saved below ``--found`` and from then on tried by every run of the tests.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

FOUND = Path(__file__).with_name("found")
LARGEST_INPUT = 4096
MEGABYTES = 1024
ONE_INPUT = 10
"""Seconds after which an input hangs."""

with atheris.instrument_imports(include=["drivers", "faxgw.mail.submission"]):
    from tests.fuzz import packets, pages, signalling, submission

TARGETS = {each.name: each for each in (*packets.TARGETS, *pages.TARGETS, *signalling.TARGETS, *submission.TARGETS)}


def main() -> None:
    """Fuzz one target for a while; never returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=FOUND)
    asked = parser.parse_args()
    target = TARGETS[asked.target]
    with tempfile.TemporaryDirectory() as folder:
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
