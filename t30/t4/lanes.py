"""Instructions of the processor that look at 64 greys at a time, and say of each whether something is true of it.

The answer is a word whose bit ``n`` is about ``greys[at + n]``; greys are octets, 0 to 255, as are limits.

Each is written here in Python, as in ``instructions.py``, and so are what ``emitted`` gives in their place.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Greys = NDArray[np.uint8]

LANES = 64


def darker(greys: Greys, at: int, limit: int) -> np.uint64:
    """Tell which greys are darker than a limit."""
    word = np.uint64(0)
    for lane in range(LANES):
        word |= np.uint64(greys[at + lane] < limit) << np.uint64(lane)
    return word


def darker_than_those(greys: Greys, at: int, limits: Greys, first: int) -> np.uint64:
    """Tell which greys are darker than the limit for each, ``limits[first + n]``."""
    word = np.uint64(0)
    for lane in range(LANES):
        word |= np.uint64(greys[at + lane] < limits[first + lane]) << np.uint64(lane)
    return word


def alike(greys: Greys, at: int, other: int, steep: int) -> np.uint64:
    """Tell which greys differ from ``greys[other + n]`` by less than ``steep``."""
    word = np.uint64(0)
    for lane in range(LANES):
        near = abs(np.int64(greys[at + lane]) - np.int64(greys[other + lane])) < steep
        word |= np.uint64(near) << np.uint64(lane)
    return word


def stands_out(greys: Greys, at: int, step: int, ridge: int) -> np.uint64:
    """Tell which greys are the darkest of three, and darker by ``ridge`` than both that are two steps away.

    Of two that are as dark as one another the first counts; black needs no ridge.
    """
    word = np.uint64(0)
    for lane in range(LANES):
        place = at + lane
        here = np.int64(greys[place])
        darkest = here < greys[place - step] and here <= greys[place + step]
        before, behind = np.int64(greys[place - 2 * step]), np.int64(greys[place + 2 * step])
        darkest = darkest and (here == 0 or (here <= before - ridge and here <= behind - ridge))
        word |= np.uint64(darkest) << np.uint64(lane)
    return word


def emitted(numba: Any) -> dict[Callable[..., Any], Any]:
    """Return what stands in place of each: itself, compiled with its bounds checked, or a few instructions."""
    if numba.config.DISABLE_JIT:
        return {}
    if numba.config.BOUNDSCHECK:
        return {each: numba.njit(nogil=True)(each) for each in (darker, darker_than_those, alike, stands_out)}
    return {
        darker: _darker(),
        darker_than_those: _darker_than_those(),
        alike: _alike(),
        stands_out: _stands_out(),
    }


def _darker() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def darker(_context: Any, greys: Any, _at: Any, _limit: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            here = _loaded(context, builder, (signature.args[0], args[0]), args[1])
            return _word(builder, builder.icmp_unsigned("<", here, _in_all(builder, args[2])))

        return types.uint64(greys, types.int64, types.int64), generate

    return intrinsic(darker)


def _darker_than_those() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def darker_than_those(_context: Any, greys: Any, _at: Any, limits: Any, _first: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            here = _loaded(context, builder, (signature.args[0], args[0]), args[1])
            limits = _loaded(context, builder, (signature.args[2], args[2]), args[3])
            return _word(builder, builder.icmp_unsigned("<", here, limits))

        return types.uint64(greys, types.int64, limits, types.int64), generate

    return intrinsic(darker_than_those)


def _alike() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def alike(_context: Any, greys: Any, _at: Any, _other: Any, _steep: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            here, other = (_loaded(context, builder, (signature.args[0], args[0]), args[at]) for at in (1, 2))
            apart = builder.sub(_more(builder, here, other), _less(builder, here, other))
            return _word(builder, builder.icmp_unsigned("<", apart, _in_all(builder, args[3])))

        return types.uint64(greys, types.int64, types.int64, types.int64), generate

    return intrinsic(alike)


def _stands_out() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def stands_out(_context: Any, greys: Any, _at: Any, _step: Any, _ridge: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at, step = args[1], args[2]
            above, below = builder.sub(at, step), builder.add(at, step)
            places = (builder.sub(above, step), above, at, below, builder.add(below, step))
            array = (signature.args[0], args[0])
            two_above, one_above, here, one_below, two_below = (
                _loaded(context, builder, array, place) for place in places
            )
            ridge = _in_all(builder, args[3])
            # Darker by a ridge: compared where neither side can fall below 0.
            around = builder.sub(_more(builder, _less(builder, two_above, two_below), ridge), ridge)
            darkest = builder.and_(
                builder.icmp_unsigned("<", here, one_above), builder.icmp_unsigned("<=", here, one_below)
            )
            return _word(builder, builder.and_(darkest, builder.icmp_unsigned("<=", here, around)))

        return types.uint64(greys, types.int64, types.int64, types.int64), generate

    return intrinsic(stands_out)


def _loaded(context: Any, builder: Any, array: tuple[Any, Any], at: Any) -> Any:
    """Load 64 greys of an array (its type and value)."""
    kind, value = array
    start = context.make_array(kind)(context, builder, value).data
    place = builder.gep(start, [at])
    return builder.load(builder.bitcast(place, _lanes(8).as_pointer()), align=1)


def _in_all(builder: Any, number: Any) -> Any:
    """Put a number into every lane."""
    from llvmlite import ir  # noqa: PLC0415

    nothing = ir.Constant(_lanes(8), ir.Undefined)
    one = builder.insert_element(nothing, builder.trunc(number, ir.IntType(8)), ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(_lanes(32), None))


def _less(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.icmp_unsigned("<", one, other), one, other)


def _more(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.icmp_unsigned("<", one, other), other, one)


def _word(builder: Any, truths: Any) -> Any:
    from llvmlite import ir  # noqa: PLC0415

    return builder.bitcast(truths, ir.IntType(LANES))


def _lanes(bits: int) -> Any:
    from llvmlite import ir  # noqa: PLC0415

    return ir.VectorType(ir.IntType(bits), LANES)
