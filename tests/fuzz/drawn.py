"""``python -m tests.fuzz.drawn TARGET``: pages as Hypothesis draws them, until the time is up or one fails.

Atheris turns octets; here code words are strung together that go on where others end, and pages are damaged.
"""

import argparse
import time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from t30.pages import USUAL_CODINGS, Coding
from t30.t4 import Bitmap, encode, jbig
from t30.t4.tables import MODE_WORDS, RUNS
from tests.fuzz.pages import TARGETS
from tests.t30.t4.decoding import octets_of
from tests.t30.t4.samples import bitmaps

EXAMPLES = 500
"""In one round; each round is drawn anew."""
EOL = "000000000001"


def words(coding: Coding) -> st.SearchStrategy[bytes]:
    """Draw code words one after the other: rows that mostly go wrong sooner or later, each in a way of its own."""
    runs = st.sampled_from([word for colour in RUNS for word in colour.values()])
    pairs = st.tuples(*(st.sampled_from(list(colour.values())) for colour in RUNS)).map("".join)
    modes = st.sampled_from(list(MODE_WORDS.values()))
    short = st.sampled_from([RUNS[0][2] + RUNS[1][1], RUNS[0][1] + RUNS[1][3], RUNS[0][0] + RUNS[1][1]])
    across = st.tuples(st.just(MODE_WORDS[8]), pairs | short).map("".join)
    ends = st.sampled_from([EOL, EOL + "1", EOL + "0", EOL * 2, "0" * 11, "0" * 60 + EOL])
    noise = st.text("01", max_size=20)
    likely = [pairs, short, runs] if coding is Coding.MH else [modes, modes, across, runs]
    one = st.one_of(*likely, *likely, ends, noise)
    repeated = st.tuples(one, st.integers(1, 12)).map(lambda drawn: drawn[0] * drawn[1])
    return st.lists(one | repeated, max_size=60).map("".join).map(octets_of)


@st.composite
def damaged(draw: st.DrawFn, coding: Coding) -> bytes:
    """Draw a coded page with bits turned and octets lost, added or zeroed."""
    octets = bytearray(_coded(draw(bitmaps(max_width=160, max_rows=12)), coding, draw(st.sampled_from([0, 99]))))
    for _ in range(draw(st.integers(0, 5))):
        at, length = draw(st.integers(0, len(octets))), draw(st.integers(0, 9))
        octets[at : at + length] = draw(st.sampled_from([b"", bytes(length), b"\xff" * length]) | st.binary(max_size=9))
    return bytes(octets)


def _coded(page: Bitmap, coding: Coding, least: int) -> bytes:
    if coding is Coding.T85:
        return jbig.encode(page, stripe=1 + least)[jbig.HEADER :]
    return encode(page, coding, k=2, min_row_bits=least)


def streams(coding: Coding) -> st.SearchStrategy[bytes]:
    """Draw streams as the target takes them, the octets first that say how."""
    if coding is Coding.T85:
        markers = st.sampled_from([b"\xff\x02", b"\xff\x03", b"\xff\0", b"\xff\x07\0\0\0\3", b"\xff\x05\0\0\0"])
        moves = st.tuples(st.just(b"\xff\x06\0\0\0"), st.binary(min_size=3, max_size=3)).map(b"".join)
        parts = st.lists(st.binary(max_size=20) | markers | moves, max_size=30).map(b"".join)
        options = st.sampled_from([bytes((each,)) for each in (0x08, 0x28, 0x48, 0x68, 0x00, 0x09, 0x80)])
        return st.tuples(st.binary(min_size=3, max_size=3), options, parts | damaged(coding)).map(b"".join)
    return st.tuples(st.binary(min_size=2, max_size=2), words(coding) | damaged(coding)).map(b"".join)


CODINGS = {each.value.lower(): each for each in sorted(USUAL_CODINGS, key=str)} | {"jbig": Coding.T85}


def main() -> None:
    """Draw for a while; fail with what Hypothesis says of the smallest stream that fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=CODINGS)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    target = {each.name: each for each in TARGETS}[asked.target]
    target.corpus()  # compiles what is not compiled yet
    drawn = 0

    def check(octets: bytes) -> None:
        nonlocal drawn
        drawn += 1
        target(octets)

    tell = settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    until, number = time.monotonic() + asked.seconds, asked.seed
    while time.monotonic() < until:
        seed(number)(tell(given(streams(CODINGS[asked.target]))(check)))()
        number += 1
    print(f"drawn: {drawn}")


if __name__ == "__main__":
    main()
