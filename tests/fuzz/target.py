"""What is fuzzed: a function that takes any octets and asserts what must hold of them, and inputs to begin with."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECONDS = 2.0
"""Processor time that one input may take: hundreds of times what the largest needs."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads octets from outside.

    Attributes:
        check: raises whatever it likes if something is wrong with what was made of the octets.
        corpus: inputs that are as they should be, made by our own writers.
    """

    name: str
    check: Callable[[bytes], object]
    corpus: Callable[[], list[bytes]]

    def __call__(self, octets: bytes) -> None:
        """Try one input, within its time."""
        began = time.process_time()
        self.check(octets)
        took = time.process_time() - began
        assert took < SECONDS, f"{took:.1f} s for {len(octets)} octets"


class Reader:
    """Octets as choices: once they are used up, all choices are 0."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there are more."""
        return self._at < len(self._octets)

    def number(self, below: int) -> int:
        """Return a number from 0 on; ``below`` is at most 65536."""
        return int.from_bytes(self.octets(1 if below <= 256 else 2), "big") % below

    def octets(self, most: int) -> bytes:
        """Return the next octets."""
        found = self._octets[self._at : self._at + most]
        self._at += most
        return found

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.octets(len(self._octets))

    def pieces(self) -> Iterator[bytes]:
        """Return what is left in pieces, each with its length (two octets) before it."""
        while self.left:
            yield self.octets(self.number(65536))


def pieced(*pieces: bytes) -> bytes:
    """Return octets that ``Reader.pieces`` takes apart into these."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in pieces)
