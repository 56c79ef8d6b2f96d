"""Any octets at all, for IFP, UDPTL, TPKT, T.38 streams, SIP, SDP, SMTP: twenty seconds each, or ten minutes.

Those of pages are in ``test_decoders``.
"""

from pathlib import Path

import pytest

from tests.fuzz import packets, pages, signalling, submission
from tests.fuzz.running import fuzz
from tests.fuzz.target import Reader, Target, pieced

OTHERS = {each.name: each for each in (*packets.TARGETS, *signalling.TARGETS, *submission.TARGETS)}
TARGETS = OTHERS | {each.name: each for each in pages.TARGETS}
FOUND = sorted(Path(__file__).with_name("found").glob("*-*"))
"""Inputs that were found to fail once; the name begins with that of their target."""


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_our_own_writers_make_stands_the_test(target: Target) -> None:
    corpus = target.corpus()
    assert len(corpus) > 3
    for each in corpus:
        target(each)
        for cut in range(0, len(each), 1 + len(each) // 50):
            target(each[:cut])
            target(each[:cut] + b"\xff" + each[cut + 1 :])


def test_what_was_found_once_is_mended() -> None:
    for path in FOUND:
        print(path.name)
        TARGETS[path.name.partition("-")[0]](path.read_bytes())


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("name", OTHERS)
def test_no_octets_do_harm(name: str, soak: bool, soak_seed: int) -> None:
    fuzz(name, soak=soak, seed=soak_seed, floor=100)


def test_a_target_takes_pieces_apart_as_they_were_put_together() -> None:
    assert list(Reader(pieced(b"abc", b"", b"d")).pieces()) == [b"abc", b"", b"d"]
