"""Streams damaged at random, many of them: no exception, nothing that depends on chunks, little damage unseen."""

import random

import numpy as np
import pytest

from t30.pages import USUAL_CODINGS, Coding
from t30.t4 import encode
from tests.t30.t4 import samples
from tests.t30.t4.decoding import cut, decode

STREAMS = {False: 400, True: 100_000}
PAGES = {False: 30, True: 1500}
HITS = 5
"""On each page."""
DAMAGED_PER_HIT = {Coding.MH: 1.5, Coding.MR: 4.0}
"""At most, on average: in MR with K 4 a hit lasts for two rows and a half."""


@pytest.mark.soak
def test_random_damage_is_survived_whatever_the_chunks(*, soak: bool, soak_seed: int) -> None:
    rng = random.Random(soak_seed)
    for _ in range(STREAMS[soak]):
        width, coding = rng.choice([1, 7, 64, 300, 1728, 4864]), rng.choice(sorted(USUAL_CODINGS, key=str))
        page = rng.choice(list(samples.PAGES.values()))(width) if rng.random() < 0.02 else samples.alike(width, 20)
        octets = _damaged(rng, encode(page, coding, k=rng.choice([2, 4]), min_row_bits=rng.choice([0, 0, 200])))
        whole, first = decode(coding, width, [octets])
        decoder, second = decode(coding, width, cut(octets, [rng.randrange(1 << 20) for _ in range(5)]))
        assert first.bitmap == second.bitmap
        assert np.array_equal(first.damaged, second.damaged)
        assert decoder.page_ended == whole.page_ended


@pytest.mark.soak
@pytest.mark.parametrize("min_row_bits", [0, 288])
@pytest.mark.parametrize("coding", [Coding.MH, Coding.MR])
def test_line_noise_is_seen_and_stays_where_it_is(
    *, coding: Coding, min_row_bits: int, soak: bool, soak_seed: int
) -> None:
    rng = random.Random(soak_seed)
    page = samples.text(1728, 400)
    octets = encode(page, coding, min_row_bits=min_row_bits)
    rows = {row.tobytes() for row in page.words}
    hits = PAGES[soak] * HITS
    shifted = unseen = bad = 0
    for _ in range(PAGES[soak]):
        noisy = bytearray(octets)
        for _ in range(HITS):
            _error_of_a_scrambler(noisy, rng.randrange(len(noisy) - 3))
        _, received = decode(coding, 1728, [bytes(noisy)])
        bad += received.bad_rows
        shifted += abs(received.rows - page.rows)
        unseen += sum(row.tobytes() not in rows for row in received.bitmap.words[~received.damaged])
    print(
        f"{coding.value}, fill to {min_row_bits}, {hits} hits: {bad} rows damaged, {unseen} wrong unseen, {shifted} off"
    )
    assert bad < hits * DAMAGED_PER_HIT[coding]
    assert unseen < hits / 3
    assert shifted < hits / 3


def _error_of_a_scrambler(octets: bytearray, at: int) -> None:
    """Turn three bits, as one wrong bit on the line does behind the descrambler of V.29 (1 + x^-18 + x^-23)."""
    for bit in (0, 18, 23):
        octets[at + bit // 8] ^= 1 << bit % 8


def _damaged(rng: random.Random, octets: bytes) -> bytes:
    noisy = bytearray(octets)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(noisy) + 1)
        end = at + rng.randrange(1, 12)
        noisy[at:end] = rng.choice([b"", rng.randbytes(3), rng.randbytes(end - at), bytes(end - at), b"\xff" * 8])
    return bytes(noisy)
