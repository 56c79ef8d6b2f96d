"""How fast content is sealed and opened on one core, beside the cipher alone in the same run."""

import os
import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from faxgw.bench.figures import Figure
from faxgw.keys.sealing import SEGMENT, Label, Opener, Sealer, new_dek, open_sealed, seal

TARGET = 500.0
"""MB (10**6 octets) of content a second."""

SIZES = {"page": 60_000, "long": 16 << 20}
"""A page in MMR, and a long document."""

ROUNDS = 5


def measure(*, seconds: float) -> list[Figure]:
    """Measure each size for so many seconds in all, in memory and on one core; the best of some rounds counts."""
    label, dek = Label(uuid4(), uuid4(), "document"), new_dek()
    figures = []
    for name, size in SIZES.items():
        content = os.urandom(size)
        sealed = seal(content, dek=dek, label=label)
        works: dict[str, tuple[str, Callable[[], object]]] = {
            "cipher": ("AES-256-GCM alone", partial(_cipher, AESGCM(dek), content)),
            "seal": ("sealed", partial(seal, content, dek=dek, label=label)),
            "open": ("opened", partial(open_sealed, sealed, dek=dek, label=label)),
            "seal_pieces": ("sealed as it comes", partial(_piecewise, partial(Sealer, dek=dek, label=label), content)),
            "open_pieces": ("opened as it comes", partial(_piecewise, partial(Opener, dek=dek, label=label), sealed)),
        }
        share = seconds / len(SIZES) / len(works) / ROUNDS
        rates = {work: _rate(do, size, share) for work, (_, do) in works.items()}
        figures += [
            Figure(
                f"{work}.{name}",
                f"{name}: {works[work][0]}, {size:,} octets",
                rates[work],
                "MB/s",
                TARGET,
                more_is_better=True,
                details={"of_the_cipher": round(rates[work] / rates["cipher"], 2)},
            )
            for work in works
        ]
    return figures


def _cipher(cipher: AESGCM, content: bytes) -> None:
    view, nonce = memoryview(content), bytes(12)
    for start in range(0, len(view), SEGMENT):
        cipher.encrypt(nonce, view[start : start + SEGMENT], None)


def _piecewise(begun: Callable[[], Sealer | Opener], octets: bytes) -> None:
    work, view = begun(), memoryview(octets)
    for start in range(0, len(view), SEGMENT):
        work.update(view[start : start + SEGMENT])
    work.finish()


def _rate(do: Callable[[], object], size: int, seconds: float) -> float:
    best = 0.0
    for _ in range(ROUNDS):
        count, passed, began = 0, 0.0, time.perf_counter()
        while passed < seconds or not count:
            do()
            count += 1
            passed = time.perf_counter() - began
        best = max(best, count * size / passed / 1e6)
    return best
