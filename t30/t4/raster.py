"""A page as pels: the one bitmap that codec, documents and benchmarks share."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Bitmap:
    """A page of scan lines.

    Attributes:
        width: in pels, 1 to 4864.
        words: shape (rows, ceil(width / 64)), uint64; pel 0 in the least significant bit, black = 1, the bits past
            ``width`` zero.
    """

    width: int
    words: NDArray[np.uint64]

    @property
    def rows(self) -> int:
        """Number of scan lines."""
        return int(self.words.shape[0])

    @classmethod
    def from_pels(cls, pels: NDArray[np.uint8]) -> Self:
        """Pack pels, shape (rows, width), 0 = white, anything else = black."""
        rows, width = pels.shape
        padded = np.zeros((rows, -(-width // 64) * 64), np.bool_)
        padded[:, :width] = pels != 0
        return cls(width, np.packbits(padded, axis=1, bitorder="little").view(np.uint64))

    def pels(self) -> NDArray[np.uint8]:
        """Return the pels, shape (rows, width), uint8, 0 = white, 1 = black."""
        return np.unpackbits(self.words.view(np.uint8), axis=1, bitorder="little")[:, : self.width]

    def __eq__(self, other: object) -> bool:
        """Two bitmaps are equal when every pel is."""
        if not isinstance(other, Bitmap):
            return NotImplemented
        return self.width == other.width and np.array_equal(self.words, other.words)

    __hash__ = None  # type: ignore[assignment]
