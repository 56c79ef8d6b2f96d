"""The one door to Numba: how kernels are compiled, and where what was compiled is kept.

Numba keeps compiled kernels in the ``__pycache__`` beside the source, or where that is not writable in the user's
cache folder; ``NUMBA_CACHE_DIR`` overrides both. It refuses to define a kernel when no folder can be written, so
then kernels are compiled anew in each process. Its cache does not know whether bounds were checked
(``NUMBA_BOUNDSCHECK=1``), so such kernels get a folder of their own.

A cached kernel is thrown away when its own source file changes, not when a function or constant that it uses from
another file does: so all kernels live in one file, and tables are handed to them as arrays.

Numba takes 0.2 s and 40 MB to load, and who imports the codec may not need it for a while: it is loaded at the first
call of a kernel. All kernels of that file are then put in place of what stood for them, since they call each other.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

_written: list[Callable[..., Any]] = []
_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}


def kernel(function: Function) -> Function:
    """Compile ``function`` at its first call; it runs without the interpreter lock and survives in the cache."""
    _written.append(function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if function not in _compiled:
            _put_in_place(function.__globals__)
        return _compiled[function](*arguments)

    return cast(Function, call)


def trailing_zeros(word: np.uint64) -> int:
    """Count the zero bits below the lowest one; 64 for 0. Within kernels only."""
    raise NotImplementedError(word)


def leading_zeros(word: np.uint64) -> int:
    """Count the zero bits above the highest one; 64 for 0. Within kernels only."""
    raise NotImplementedError(word)


def ones(word: np.uint64) -> int:
    """Count the bits that are one. Within kernels only."""
    raise NotImplementedError(word)


def _put_in_place(names: dict[str, Any]) -> None:
    """Put what can be compiled in place of the kernels of a file and of the instructions that they use.

    Two threads may do so at once: either's kernels are as good as the other's.
    """
    import numba  # noqa: PLC0415

    cached = _bounds_checked_apart(numba.config)
    for name, value in list(names.items()):
        if isinstance(value, FunctionType) and value in _INSTRUCTIONS:
            names[name] = _INSTRUCTIONS[value]()
    own = [each for each in _written if each.__globals__ is names]
    made = {function: _dispatcher(numba, function, cached=cached) for function in own}
    for function, compiled in made.items():
        names[function.__name__] = compiled
    _compiled.update(made)


def _dispatcher(numba: Any, function: Callable[..., Any], *, cached: bool) -> Callable[..., Any]:
    if cached:
        try:
            return cast(Callable[..., Any], numba.njit(cache=True, nogil=True)(function))
        except RuntimeError:  # "no locator available": no folder can be written
            pass
    return cast(Callable[..., Any], numba.njit(nogil=True)(function))


def _bounds_checked_apart(settings: Any) -> bool:
    """Set the cache folder for kernels that check bounds; false if there can be none."""
    if not settings.BOUNDSCHECK:
        return True
    folder = Path(settings.CACHE_DIR or Path(__file__).with_name("__pycache__"))
    folder = folder if folder.name == _CHECKED else folder / _CHECKED
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "writable").touch()
        (folder / "writable").unlink(missing_ok=True)
    except OSError:
        return False
    settings.CACHE_DIR = str(folder)
    return True


def _instruction(emit: Callable[[Any, Any], Any]) -> Callable[[], Any]:
    """Return what makes an instruction of the processor that takes one word: ``emit(builder, word)`` writes it."""

    def make() -> Any:
        from numba import types  # noqa: PLC0415
        from numba.extending import intrinsic  # noqa: PLC0415

        def count(_context: Any, word: Any) -> Any:
            def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
                return emit(builder, args[0])

            return types.int64(word), generate

        return intrinsic(count)

    return make


def _no() -> Any:
    """Return the bit that says: of 0, the count is 64, not undefined."""
    from llvmlite import ir  # noqa: PLC0415

    return ir.Constant(ir.IntType(1), 0)


_CHECKED = "boundscheck"

_INSTRUCTIONS: dict[Callable[..., Any], Callable[[], Any]] = {
    trailing_zeros: _instruction(lambda builder, word: builder.cttz(word, _no())),
    leading_zeros: _instruction(lambda builder, word: builder.ctlz(word, _no())),
    ones: _instruction(lambda builder, word: builder.ctpop(word)),
}
