"""Instructions of the processor that NumPy and Numba have no word for.

Each is written here in Python, which is how it runs where bounds are checked or nothing is compiled at all
(``NUMBA_BOUNDSCHECK=1``, ``NUMBA_DISABLE_JIT=1``); else what ``emitted`` gives stands in its place.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Ends = NDArray[np.int32]

EIGHT = 8
"""Numbers that ``copy_eight`` copies."""


def trailing_zeros(word: np.uint64) -> int:
    """Count the zero bits below the lowest one; 64 for 0."""
    number = int(word)
    return (number & -number).bit_length() - 1 if number else 64


def leading_zeros(word: np.uint64) -> int:
    """Count the zero bits above the highest one; 64 for 0."""
    return 64 - int(word).bit_length()


def ones(word: np.uint64) -> int:
    """Count the bits that are one."""
    return int(word).bit_count()


def turned(word: np.uint64) -> np.uint64:
    """Turn each of its octets round: what was their lowest bit is their highest."""
    found = np.uint64(0)
    for bit in range(64):
        found |= (word >> np.uint64(bit) & np.uint64(1)) << np.uint64(bit ^ 7)
    return found


def octets_at(words: Words, octet: int) -> np.uint64:
    """Return the 64 bits from an octet of ``words`` on, the first of them lowest."""
    shift = np.uint64(8 * (octet & 7))
    word: np.uint64 = words[octet >> 3] >> shift | words[(octet >> 3) + 1] << np.uint64(1) << (np.uint64(63) - shift)
    return word


def put_octets(words: Words, octet: int, word: np.uint64) -> None:
    """Write 64 bits from an octet of ``words`` on."""
    shift = np.uint64(8 * (octet & 7))
    below = (np.uint64(1) << shift) - np.uint64(1)
    words[octet >> 3] = words[octet >> 3] & below | word << shift
    words[(octet >> 3) + 1] = words[(octet >> 3) + 1] & ~below | word >> np.uint64(1) >> (np.uint64(63) - shift)


def copy_eight(source: Ends, at: int, target: Ends, to: int) -> None:
    """Copy eight numbers from ``source[at:]`` to ``target[to:]``."""
    for index in range(EIGHT):
        target[to + index] = source[at + index]


def copy_words(words: Words, at: int, to: int, count: int) -> None:
    """Copy ``count`` words from ``words[at:]`` to ``words[to:]``, which do not overlap."""
    for index in range(count):
        words[to + index] = words[at + index]


def clear_words(words: Words, at: int, count: int) -> None:
    """Write ``count`` zeros to ``words[at:]``."""
    for index in range(at, at + count):
        words[index] = 0


def which_differ(words: Words, at: int, other: int) -> np.uint64:
    """Compare eight words of ``words[at:]`` with those of ``words[other:]``; return a bit each, 1 if they differ."""
    differ = 0
    for index in range(EIGHT):
        differ |= int(words[at + index] != words[other + index]) << index
    return np.uint64(differ)


def emitted(numba: Any) -> dict[Callable[..., Any], Any]:
    """Return what stands in place of each: itself, compiled with its bounds checked, or one instruction."""
    if numba.config.DISABLE_JIT:
        return {}
    counts = {
        trailing_zeros: _count(_trailing),
        leading_zeros: _count(_leading),
        ones: _count(_ones),
        turned: _turned(),
    }
    if numba.config.BOUNDSCHECK:
        return counts | {each: numba.njit(nogil=True)(each) for each in _WRITTEN_HERE}
    return counts | {
        octets_at: _octets_at(),
        put_octets: _put_octets(),
        copy_eight: _copy_eight(),
        copy_words: _copy_words(),
        clear_words: _clear_words(),
        which_differ: _which_differ(),
    }


_WRITTEN_HERE = (octets_at, put_octets, copy_eight, copy_words, clear_words, which_differ)


def _trailing(builder: Any, word: Any) -> Any:
    return builder.cttz(word, _no())


def _leading(builder: Any, word: Any) -> Any:
    return builder.ctlz(word, _no())


def _ones(builder: Any, word: Any) -> Any:
    return builder.ctpop(word)


def _no() -> Any:
    """Return the bit that says: of 0, the count is 64, not undefined."""
    from llvmlite import ir  # noqa: PLC0415

    return ir.Constant(ir.IntType(1), 0)


def _count(emit: Callable[[Any, Any], Any]) -> Any:
    """Make an instruction that takes one word: ``emit(builder, word)`` writes it."""
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def count(_context: Any, word: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return emit(builder, args[0])

        return types.int64(word), generate

    return intrinsic(count)


def _turned() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def turned(_context: Any, _word: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bswap(builder.bitreverse(args[0]))

        return types.uint64(types.uint64), generate

    return intrinsic(turned)


def _octets_at() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def octets_at(_context: Any, words: Any, _octet: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _place(context, builder, (signature.args[0], args[0]), args[1], 8)
            return builder.load(builder.bitcast(place, _integers(64).as_pointer()), align=1)

        return types.uint64(words, types.int64), generate

    return intrinsic(octets_at)


def _put_octets() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def put_octets(_context: Any, words: Any, _octet: Any, _word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _place(context, builder, (signature.args[0], args[0]), args[1], 8)
            builder.store(args[2], builder.bitcast(place, _integers(64).as_pointer()), align=1)
            return context.get_dummy_value()

        return types.none(words, types.int64, types.uint64), generate

    return intrinsic(put_octets)


def _copy_eight() -> Any:
    from llvmlite import ir  # noqa: PLC0415
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def copy_eight(_context: Any, source: Any, _at: Any, target: Any, _to: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            eight = ir.VectorType(_integers(32), EIGHT).as_pointer()
            source_place = _place(context, builder, (signature.args[0], args[0]), args[1], 32)
            target_place = _place(context, builder, (signature.args[2], args[2]), args[3], 32)
            numbers = builder.load(builder.bitcast(source_place, eight), align=4)
            builder.store(numbers, builder.bitcast(target_place, eight), align=4)
            return context.get_dummy_value()

        return types.none(source, types.int64, target, types.int64), generate

    return intrinsic(copy_eight)


def _which_differ() -> Any:
    from llvmlite import ir  # noqa: PLC0415
    from numba import types  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def which_differ(_context: Any, words: Any, _at: Any, _other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            eight = ir.VectorType(_integers(64), EIGHT).as_pointer()
            array = signature.args[0], args[0]
            places = (builder.bitcast(_place(context, builder, array, at, 64), eight) for at in args[1:3])
            these, others = (builder.load(place, align=8) for place in places)
            differ = builder.icmp_unsigned("!=", these, others)
            return builder.zext(builder.bitcast(differ, _integers(EIGHT)), _integers(64))

        return types.uint64(words, types.int64, types.int64), generate

    return intrinsic(which_differ)


def _copy_words() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.core import cgutils  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def copy_words(_context: Any, words: Any, _at: Any, _to: Any, _count: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            words = signature.args[0], args[0]
            source, target = (_place(context, builder, words, place, 64) for place in args[1:3])
            cast(Any, cgutils).raw_memcpy(builder, target, source, args[3], 8)
            return context.get_dummy_value()

        return types.none(words, types.int64, types.int64, types.int64), generate

    return intrinsic(copy_words)


def _clear_words() -> Any:
    from numba import types  # noqa: PLC0415
    from numba.core import cgutils  # noqa: PLC0415
    from numba.extending import intrinsic  # noqa: PLC0415

    def clear_words(_context: Any, words: Any, _at: Any, _count: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _place(context, builder, (signature.args[0], args[0]), args[1], 64)
            cast(Any, cgutils).memset(builder, place, builder.mul(args[2], _integers(64)(8)), 0)
            return context.get_dummy_value()

        return types.none(words, types.int64, types.int64), generate

    return intrinsic(clear_words)


def _integers(bits: int) -> Any:
    from llvmlite import ir  # noqa: PLC0415

    return ir.IntType(bits)


def _place(context: Any, builder: Any, array: tuple[Any, Any], index: Any, bits: int) -> Any:
    """Return a pointer into an array (its type and value), ``index`` numbers of so many bits from its beginning."""
    kind, value = array
    start = context.make_array(kind)(context, builder, value).data
    return builder.gep(builder.bitcast(start, _integers(bits).as_pointer()), [index])
