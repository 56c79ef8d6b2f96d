"""The code words of T.4 and T.6, and the arrays that the kernels look them up in.

Code words are written as in the Recommendations, first bit on the wire first; in the arrays they are turned round,
since an octet's first bit on the wire is its least significant.
"""

# ruff: noqa: SIM905  (a table of code words is easier to check without quotes)

import numpy as np
from numpy.typing import NDArray

MAX_WIDTH = 4864
"""Pels per scan line of the widest page: A3 at 400 pels per inch."""

WHITE = """
00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101
101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011
00011010 00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100
00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 00100101 01011000 01011001
01011010 01011011 01001010 01001011 00110010 00110011 00110100
""".split()
"""Terminating codes of white runs of 0 to 63 pels (T.4 Table 2)."""

BLACK = """
0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000
0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000
000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 000001101010 000001101011 000011010010
000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 000011011010 000011011011
000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 000001010011 000000100100
000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010
000001100110 000001100111
""".split()
"""Terminating codes of black runs of 0 to 63 pels."""

WHITE_MAKE_UP = """
11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010
011010011 011010100 011010101 011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 010011010
011000 010011011
""".split()
"""Make-up codes of white runs of 64, 128, ... 1728 pels (T.4 Table 3a)."""

BLACK_MAKE_UP = """
0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101
0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 0000001110100 0000001110101
0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 0000001011011
0000001100100 0000001100101
""".split()
"""Make-up codes of black runs of 64, 128, ... 1728 pels."""

LONG_MAKE_UP = """
00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111
000000011100 000000011101 000000011110 000000011111
""".split()
"""Make-up codes of runs of 1792, 1856, ... 2560 pels of either colour (T.4 Table 3b)."""

VERTICAL = {-3: "0000010", -2: "000010", -1: "010", 0: "1", 1: "011", 2: "000011", 3: "0000011"}
"""Vertical mode by a1 - b1 (T.4 Table 4)."""
PASS = "0001"
HORIZONTAL = "001"

RUN_BITS = 13
"""The longest code word of a run."""
MODE_BITS = 7
"""The longest code word of a mode."""
MODE_PASS = 7
MODE_HORIZONTAL = 8
"""How arrays number pass and horizontal mode; vertical mode is a1 - b1 + 3: 0 to 6."""
STEP_BITS = 12
MOST_SAME = 8
"""A step is at most so many vertical modes with a1 = b1, then one other mode."""
STEP_PASSES = 64
STEP_OTHER = 128
"""In a step: its last mode is pass; it is horizontal, or none if the step has no bits."""
PAIR_BITS = 12
PAIR_MAY_BE_EMPTY = 64
PAIR_ENDS = 128
"""In a pair of code words of runs: the second ends a run; it is that of no pels, which may follow a make-up code."""
LONGEST_RUN = 2560 + 63
"""Longer runs have more than one make-up code."""


def blank_row_bits(width: int) -> int:
    """Count the bits of a white row of MH, the shortest there is.

    >>> blank_row_bits(1728)
    17
    """
    white = RUNS[0]
    makes_up = [2560] * ((width - 64) // 2560) if width > 2623 else []
    rest = width - sum(makes_up)
    makes_up += [rest // 64 * 64] if rest > 63 else []
    return sum(len(white[run]) for run in [*makes_up, rest % 64])


def _words(terminating: list[str], make_up: list[str]) -> dict[int, str]:
    words = dict(enumerate(terminating))
    return words | {64 * (index + 1): word for index, word in enumerate(make_up + LONG_MAKE_UP)}


def _turned(word: str) -> int:
    return int(word[::-1], 2)


def _to_send() -> NDArray[np.int32]:
    """Index by colour and run: code words << 5 | bits, the make-up code first where there is one."""
    codes = np.zeros((2, LONGEST_RUN + 1), np.int32)
    for colour, words in enumerate(RUNS):
        for run in range(LONGEST_RUN + 1):
            word = (words[run // 64 * 64] if run > 63 else "") + words[run % 64]
            codes[colour, run] = _turned(word) << 5 | len(word)
    return codes


def _to_receive(words: dict[int, str], bits: int) -> NDArray[np.uint16]:
    """Index by the next ``bits`` bits: value << 4 | length of the code word; 0 where there is none."""
    table = np.zeros(1 << bits, np.uint16)
    for value, word in words.items():
        table[_turned(word) :: 1 << len(word)] = value << 4 | len(word)
    return table


def _steps() -> NDArray[np.uint16]:
    """Index by the next bits: how many vertical modes with a1 = b1 << 12 | a1 - b1 + 3 of the mode after them << 8.

    In the low bits: ``STEP_OTHER``, ``STEP_PASSES``, bits in all.
    """
    table = np.full(1 << STEP_BITS, STEP_OTHER, np.uint16)
    ends_with = {mode: mode << 8 for mode in range(MODE_PASS)} | {MODE_PASS: STEP_PASSES, MODE_HORIZONTAL: STEP_OTHER}
    for same in range(MOST_SAME + 1):
        for mode, word in MODE_WORDS.items():
            words = VERTICAL[0] * same + word
            if len(words) <= STEP_BITS:
                table[_turned(words) :: 1 << len(words)] = same << 12 | ends_with[mode] | len(words)
    return table


def _pairs() -> NDArray[np.uint32]:
    """Index by the colour of the run at hand and the next bits: two code words, or the first alone as the second.

    Bits of both; ``PAIR_ENDS`` if the second ends a run, as make-up codes do not; ``PAIR_MAY_BE_EMPTY`` if it is that
    of no pels; the pels of the first << 8, those of the second << 19, the colour that comes next << 31. The first ends
    a run if it has 1 to 63 pels. 0 if there is no code word.
    """
    table = np.zeros((2, 1 << PAIR_BITS), np.uint32)
    for colour in (0, 1):
        for run, word in RUNS[colour].items():
            after = colour ^ (run < 64)
            if len(word) <= PAIR_BITS:
                table[colour, _turned(word) :: 1 << len(word)] = _pair(0, run, after, word)
            for second, more in RUNS[after].items():
                if run > 0 and len(word + more) <= PAIR_BITS:
                    entry = _pair(run, second, after ^ (second < 64), word + more)
                    table[colour, _turned(word + more) :: 1 << len(word + more)] = entry
    return table


def _pair(first: int, second: int, after: int, words: str) -> int:
    flags = (second < 64) * PAIR_ENDS | (second == 0) * PAIR_MAY_BE_EMPTY
    return after << 31 | second << 19 | first << 8 | flags | len(words)


RUNS = (_words(WHITE, WHITE_MAKE_UP), _words(BLACK, BLACK_MAKE_UP))
"""Code word by length of run, white and black."""

LONGEST_MAKE_UP, LONGEST_MAKE_UP_BITS = _turned(LONG_MAKE_UP[-1]), len(LONG_MAKE_UP[-1])

CODES = _to_send()
"""Shape (2, 2624): colour, then the run; its code words << 5 | their length."""

MODE_WORDS = {d + 3: word for d, word in VERTICAL.items()} | {MODE_PASS: PASS, MODE_HORIZONTAL: HORIZONTAL}
"""Code word by mode."""

MODE_CODES = np.array([_turned(word) << 4 | len(word) for word in MODE_WORDS.values()], np.int32)
"""Shape (9,), by mode; code word << 4 | its length."""

LENGTHS = np.concatenate([_to_receive(words, RUN_BITS) for words in RUNS])
"""Shape (16384,): colour << 13 | the next 13 bits; length of run << 4 | length of the code word, 0 for no code word."""

MODES = _to_receive(MODE_WORDS, MODE_BITS)
"""Shape (128,): mode << 4 | length of the code word, 0 for no code word (the extensions included)."""

STEPS = _steps()
"""Shape (4096,), what to do at the next 12 bits, as ``_steps`` says."""

PAIRS = _pairs().reshape(-1)
"""Shape (8192,), colour of the run at hand << 12 | the next 12 bits; one or two code words, as ``_pairs`` says."""
