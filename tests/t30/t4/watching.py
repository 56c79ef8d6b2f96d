"""Kernels watched while they are interpreted: no place is before the first of an array.

Compiled with bounds checked, a kernel cannot read behind an array; but a place below 0 counts from the end, in Numba as
in Python, in silence.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np

from t30.t4 import careful, stripes, transcode

INTERPRETED = bool(vars(numba.config)["DISABLE_JIT"])
KERNELS = ((careful, "decode"), (transcode, "decode_ends"), (transcode, "drop_fill"), (stripes, "decode"))
"""Where kernels are called from, and their names there."""

CALLS: Counter[str] = Counter()
"""How often each was called."""


class Watched(np.ndarray[Any, Any]):
    """An array that has no place below 0."""

    def __getitem__(self, place: Any) -> Any:
        _look(place)
        return super().__getitem__(place)

    def __setitem__(self, place: Any, value: Any) -> None:
        _look(place)
        super().__setitem__(place, value)


@contextmanager
def watched() -> Iterator[None]:
    """Have an IndexError raised by a place below 0, if kernels are interpreted."""
    kernels = [getattr(module, name) for module, name in KERNELS]
    for (module, name), kernel in zip(KERNELS, kernels, strict=True):
        setattr(module, name, _watching(name, kernel))
    try:
        yield
    finally:
        for (module, name), kernel in zip(KERNELS, kernels, strict=True):
            setattr(module, name, kernel)


def _watching(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        CALLS[name] += 1
        return kernel(*(_seen(each) for each in arguments))

    return call


def _seen(argument: Any) -> Any:
    return argument.view(Watched) if INTERPRETED and isinstance(argument, np.ndarray) else argument


def _look(place: Any) -> None:
    for each in place if isinstance(place, tuple) else (place,):
        if not isinstance(each, slice) and each < 0:
            raise IndexError(f"place {each}")
