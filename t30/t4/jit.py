"""The one door to Numba: how kernels are compiled, and where what was compiled is kept.

Numba keeps compiled kernels in the ``__pycache__`` beside the source, or where that is not writable in the user's
cache folder; ``NUMBA_CACHE_DIR`` overrides both. It refuses to define a kernel when no folder can be written; then
kernels are kept where ``keep_in`` says, or are compiled anew in each process. Its cache does not know whether bounds
were checked (``NUMBA_BOUNDSCHECK=1``), so such kernels get a folder of their own.

Numba throws a cached kernel away when its own source file changes, not when a function or constant that it uses from
another file does. So its stamp of the source file is replaced by one of all files in the folder.

Numba takes 0.2 s and 40 MB to load, and who imports the codec may not need it for a while: it is loaded at the first
call of a kernel. All kernels are then put in place of what stood for them, since they call each other.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

from t30.t4 import instructions, lanes

Function = TypeVar("Function", bound=Callable[..., Any])

_stands_for: dict[Callable[..., Any], Callable[..., Any]] = {}
"""What stands for a kernel until the first call -> the kernel as written."""
_parts: set[Callable[..., Any]] = set()
_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
_kept_in: list[Path] = []
"""Where compiled kernels are kept if Numba finds no folder that can be written."""


def keep_in(folder: Path) -> None:
    """Have kernels that are not loaded yet kept in this folder, where Numba finds no other that can be written.

    Whoever can write there decides what this program does: it must be no one else's.
    """
    _kept_in[:] = [folder]


def kernel(function: Function) -> Function:
    """Compile ``function`` at its first call; it runs without the interpreter lock and survives in the cache.

    One whose name begins with ``_`` is for kernels only to call.
    """
    return _stand_for(function)


def part(function: Function) -> Function:
    """Make ``function`` a part of each kernel that calls it: a call with arrays costs more than most parts do."""
    _parts.add(function)
    return _stand_for(function)


def _stand_for(function: Function) -> Function:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        if function not in _compiled:
            _put_in_place()
        return _compiled[function](*arguments)

    _stands_for[call] = function
    return cast(Function, call)


def _put_in_place() -> None:
    """Put what can be compiled in place of the kernels and of the instructions that they use.

    Two threads may do so at once: either's kernels are as good as the other's.
    """
    import numba  # noqa: PLC0415

    cached = _bounds_checked_apart(numba.config)
    new = {stand: function for stand, function in list(_stands_for.items()) if function not in _compiled}
    made = {function: _dispatcher(numba, function, cached=cached) for function in new.values()}
    instead = {stand: made.get(function) or _compiled[function] for stand, function in list(_stands_for.items())}
    instead |= instructions.emitted(numba) | lanes.emitted(numba)
    for function in made:
        names = function.__globals__
        for name, value in list(names.items()):
            if isinstance(value, FunctionType) and value in instead:
                names[name] = instead[value]
    _compiled.update(made)


def _dispatcher(numba: Any, function: Callable[..., Any], *, cached: bool) -> Callable[..., Any]:
    # To count references to arrays costs a fifth of the time on a sparse page in MH, and no kernel keeps or makes any.
    # The way in from Python takes as long to compile as a small kernel does, and nothing calls one as from C.
    inner = function in _parts or function.__name__.startswith("_")
    ways_in = {"no_cpython_wrapper": inner, "no_cfunc_wrapper": True}
    options = {"nogil": True, "forceinline": function in _parts, "_nrt": False, **ways_in}
    if cached and not numba.config.DISABLE_JIT:
        try:
            return _cached(numba, function, options)
        except RuntimeError:  # "no locator available": no folder can be written
            if _kept_in:
                numba.config.CACHE_DIR = str(_kept_in[0])
                with suppress(RuntimeError):
                    return _cached(numba, function, options)
    return cast(Callable[..., Any], numba.njit(**options)(function))


def _cached(numba: Any, function: Callable[..., Any], options: dict[str, bool]) -> Callable[..., Any]:
    compiled = numba.njit(cache=True, **options)(function)
    compiled._cache._cache_file._source_stamp = _stamp(function)
    return cast(Callable[..., Any], compiled)


def _stamp(function: Callable[..., Any]) -> tuple[tuple[str, int, int], ...]:
    """Return what changes whenever a kernel that ``function`` may use does: when and how large the files are."""
    folder = Path(function.__code__.co_filename).parent
    files = {path.name: path.stat() for path in sorted(folder.glob("*.py"))}
    return tuple((name, file.st_mtime_ns, file.st_size) for name, file in files.items())


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


_CHECKED = "boundscheck"
