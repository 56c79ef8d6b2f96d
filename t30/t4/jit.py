"""The one door to Numba: how kernels are compiled, and where what was compiled is kept.

Numba keeps compiled kernels in the ``__pycache__`` beside the source, or where that is not writable in the user's
cache folder; ``NUMBA_CACHE_DIR`` overrides both. It refuses to define a kernel when no folder can be written, so
then kernels are compiled anew in each process. Its cache does not know whether bounds were checked
(``NUMBA_BOUNDSCHECK=1``), so such kernels get a folder of their own.

A cached kernel is thrown away when its own source file changes, not when a function or constant that it uses from
another file does: so all kernels live in one file, and tables are handed to them as arrays.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

_SETTINGS: Any = numba.config

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile ``function`` at its first call; it runs without the interpreter lock and survives in the cache."""
    if _CACHED:
        try:
            return cast(Function, numba.njit(cache=True, nogil=True)(function))
        except RuntimeError:  # "no locator available": no folder can be written
            pass
    return cast(Function, numba.njit(nogil=True)(function))


def _bounds_checked_apart() -> bool:
    """Set the cache folder for kernels that check bounds; false if there can be none."""
    if not _SETTINGS.BOUNDSCHECK:
        return True
    folder = Path(_SETTINGS.CACHE_DIR or Path(__file__).with_name("__pycache__")) / "boundscheck"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "writable").touch()
        (folder / "writable").unlink(missing_ok=True)
    except OSError:
        return False
    _SETTINGS.CACHE_DIR = str(folder)
    return True


_CACHED = _bounds_checked_apart()

_count = cast(Callable[[Callable[[Any, Any], Any]], Callable[[np.uint64], int]], intrinsic)


@_count
def trailing_zeros(_context: Any, word: Any) -> Any:
    """Count the zero bits below the lowest one; 64 for 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return numba.types.int64(word), generate


@_count
def leading_zeros(_context: Any, word: Any) -> Any:
    """Count the zero bits above the highest one; 64 for 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return numba.types.int64(word), generate


@_count
def ones(_context: Any, word: Any) -> Any:
    """Count the one bits of a word."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return numba.types.int64(word), generate
