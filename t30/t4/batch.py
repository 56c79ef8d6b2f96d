"""Many pages at once, over threads: kernels run without the interpreter lock, so that every core has a page.

The caller's thread takes pages, too; the others last as long as the call. Large pages go first: at the end no thread
then waits for long until another has done a page that it began late.
"""

import os
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TypeVar

from t30.pages import Coding
from t30.t4 import jbig
from t30.t4.decode import Decoded, Decoder
from t30.t4.encode import encode
from t30.t4.jbig import JbigDecoder
from t30.t4.raster import Bitmap

Page = TypeVar("Page")
Done = TypeVar("Done")


def encode_pages(
    bitmaps: Sequence[Bitmap],
    coding: Coding,
    *,
    threads: int | None = None,
    k: int = 4,
    min_row_bits: int = 0,
    end_of_page: bool = True,
    shortest: bool = False,
) -> list[bytes]:
    """Code pages, each as ``encode`` does, or ``jbig.encode`` for T.85, which has no such options.

    Args:
        bitmaps: the pages; their widths may differ.
        coding: MH, MR, MMR or T.85.
        threads: how many work at once; None: as many as there are cores.
        k: as for ``encode``, as are the others.
        min_row_bits: least bits of a row.
        end_of_page: with RTC or EOFB.
        shortest: in the fewest bits.

    Returns:
        The octets of each page, in the order of the pages.

    Raises:
        ValueError: as ``encode`` of the first page that it does not take.
    """

    def octets(bitmap: Bitmap) -> bytes:
        if coding is Coding.T85:
            return jbig.encode(bitmap)
        return encode(bitmap, coding, k=k, min_row_bits=min_row_bits, end_of_page=end_of_page, shortest=shortest)

    return over_threads(octets, bitmaps, size=lambda bitmap: bitmap.words.size, threads=threads)


def decode_pages(
    strips: Sequence[bytes],
    coding: Coding,
    width: int,
    *,
    threads: int | None = None,
    from_first_eol: bool = False,
    conceal: bool = True,
) -> list[Decoded]:
    """Decode pages of one width, each from all of its octets; see ``Decoder`` and ``JbigDecoder``.

    Args:
        strips: the octets of each page, first bit on the wire least significant.
        coding: MH, MR, MMR or T.85.
        width: pels per row, 1 to 4864.
        threads: how many work at once; None: as many as there are cores.
        from_first_eol: as for ``Decoder``.
        conceal: as for ``Decoder``.

    Returns:
        Each page with its damage, in the order of the pages; damage is no error.

    Raises:
        ValueError: if there is no such width.
    """

    def decoded(octets: bytes) -> Decoded:
        if coding is Coding.T85:
            decoder: Decoder | JbigDecoder = JbigDecoder(width, conceal=conceal)
        else:
            decoder = Decoder(coding, width, from_first_eol=from_first_eol, conceal=conceal)
        decoder.feed(octets)
        return decoder.finish()

    return over_threads(decoded, strips, size=len, threads=threads)


def over_threads(
    work: Callable[[Page], Done], pages: Sequence[Page], *, size: Callable[[Page], int], threads: int | None = None
) -> list[Done]:
    """Do any work on each page, several at once; worth it where most of the work is in kernels.

    Args:
        work: what is done, on any thread.
        pages: what it is done on.
        size: tells about how long it takes, in any unit.
        threads: how many work at once, 1 or more; None: as many as there are cores.

    Returns:
        What ``work`` returned, in the order of the pages.

    Raises:
        ValueError: if there are to be no threads.
        Exception: what ``work`` raised, of several the one of the first page in order; all pages have been tried.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"{threads} threads")
    waiting = sorted(range(len(pages)), key=lambda index: size(pages[index]))
    done: dict[int, Done] = {}
    faults: dict[int, Exception] = {}

    def take() -> None:
        while waiting:
            try:
                index = waiting.pop()
            except IndexError:  # another thread was quicker
                return
            try:
                done[index] = work(pages[index])
            except Exception as fault:
                faults[index] = fault

    others = [Thread(target=take) for _ in range(min(threads or _cores(), len(pages)) - 1)]
    try:
        for each in others:
            each.start()
        take()
    finally:
        waiting.clear()
        for each in others:
            if each.ident is not None:
                each.join()
    if faults:
        raise faults[min(faults)]
    return [done[index] for index in range(len(pages))]


def _cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
