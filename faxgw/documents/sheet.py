"""The memory that the greys of a page lie in: the worker draws there, and the gateway reads there, without a copy.

It belongs to one worker, and is made white between two documents. Nobody can make it shorter, so that no worker can
pull it away from under the gateway. Where a system has no such memory (macOS), each side has its own, and the worker
sends the octets.
"""

import fcntl
import mmap
import os

import numpy as np

from t30.t4.greys import WHITE
from t30.t4.lanes import Greys

POPULATE = getattr(mmap, "MAP_POPULATE", 0)
"""All pages at once, rather than each when it is first looked at."""

KEPT = 4 << 20
"""Octets that a worker keeps for its next document, since fresh memory takes a page's time: those of A4 in fine."""

APART = -1
"""In place of a file: memory that is not shared."""


class Sheet:
    """Octets for one page at a time, as many as its greys take.

    Attributes:
        file: what the other side opens it by, or ``APART``.
    """

    def __init__(self, file: int) -> None:
        self.file = file
        self._octets: Greys = np.empty(0, np.uint8)

    @classmethod
    def made(cls) -> "Sheet":
        """Make an empty one, for a worker that is about to be started."""
        if not hasattr(os, "memfd_create"):
            return cls(APART)
        file = os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return cls(file)

    def make_room(self, count: int) -> None:
        """Make it so large at least; the gateway does, before it asks for the page."""
        if self.file != APART and os.fstat(self.file).st_size < count:
            os.ftruncate(self.file, count)

    def octets(self, count: int) -> Greys:
        """Return the first octets, so many; they hold until more are asked for.

        Raises:
            MemoryError: if there is not so much memory.
        """
        if self._octets.size < count:
            self._octets = np.frombuffer(self._mapped(count), np.uint8)
        return self._octets[:count]

    def empty(self) -> None:
        """Overwrite the greys of a document with white, and give back what is more than ``KEPT``."""
        size = 0 if self.file == APART else os.fstat(self.file).st_size
        if size:
            memory = mmap.mmap(self.file, size)
            np.frombuffer(memory, np.uint8)[:KEPT] = WHITE
            if size > KEPT:
                memory.madvise(mmap.MADV_REMOVE, KEPT, size - KEPT)

    def close(self) -> None:
        """Let go of it, once."""
        if self.file != APART:
            os.close(self.file)

    def _mapped(self, count: int) -> mmap.mmap:
        """Return memory that the kernel gives in large pieces, where it can: 4 kB at a time take their time."""
        try:
            memory = mmap.mmap(self.file, count, flags=mmap.MAP_SHARED | POPULATE)
        except OSError as error:
            raise MemoryError(count) from error
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        return memory
