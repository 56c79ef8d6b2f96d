"""Error correction mode's small arithmetic (T.30 Annex A): partial pages, their frames, PPS, and the map of PPR."""

from collections.abc import Iterable, Iterator, Mapping

from t30.fcf import POST_PAGE, Fcf
from t30.frame import MORE_FOLLOW

FRAMES_PER_BLOCK = 256
FRAME_OCTETS = (256, 64)
"""Octets of page data in a frame: as DCS says."""
RCP_TIMES = 3


def partial_pages(octets: bytes, frame_octets: int) -> Iterator[list[bytes]]:
    """Cut a coded page into blocks of at most 256 pieces of ``frame_octets``, the last one filled up with zeros.

    >>> [len(block) for block in partial_pages(bytes(70_000), 256)]
    [256, 18]
    """
    block_octets = FRAMES_PER_BLOCK * frame_octets
    for start in range(0, max(1, len(octets)), block_octets):
        block = octets[start : start + block_octets]
        pieces = [block[at : at + frame_octets] for at in range(0, max(1, len(block)), frame_octets)]
        yield [*pieces[:-1], pieces[-1].ljust(frame_octets, b"\0")]


def burst(block: list[bytes], numbers: Iterable[int]) -> tuple[bytes, ...]:
    """Return the frames of one in-message signal: the wanted pieces of ``block``, then RCP three times."""
    data = [_frame(Fcf.FCD, bytes((number,)) + block[number]) for number in numbers]
    return (*data, *[_frame(Fcf.RCP)] * RCP_TIMES)


def _frame(fcf: Fcf, fif: bytes = b"") -> bytes:
    # In-message frames are all "more follow": the end of the signal is RCP, not the final bit.
    return bytes((0xFF, MORE_FOLLOW, fcf.code)) + fif


def pps(after: Fcf | None, *, page: int, block: int, frames: int) -> bytes:
    """Return the information field of PPS: what follows, page and block counter, frames sent less one."""
    return bytes((second(after), page % 256, block % 256, frames - 1))


def second(after: Fcf | None) -> int:
    """Return the second control field of PPS and EOR: its first bit is always set, unless it is NULL."""
    return after.octet(x=True) if after else 0


def requested(ppr: bytes, frames: int) -> list[int]:
    """Return the numbers of the frames that PPR asks for, of a block of ``frames``."""
    wanted = int.from_bytes(ppr, "little")
    return [number for number in range(frames) if wanted >> number & 1]


def ppr(held: Iterable[int]) -> bytes:
    """Return the information field of PPR: a bit for each of 256 frames, set for all that are not held."""
    return (~sum(1 << number for number in held) & (1 << FRAMES_PER_BLOCK) - 1).to_bytes(32, "little")


def after_page(fif: bytes) -> Fcf | None:
    """Return what PPS or EOR says comes next; None for the next part of the same page.

    Raises:
        ValueError: if it says something else.
    """
    code = fif[0] if fif else -1
    if code in POST_PAGE:
        return POST_PAGE[code]
    raise ValueError(f"no post-page command: {fif.hex(' ')}")


def missing(held: Mapping[int, bytes], frames: int, frame_octets: int) -> list[int]:
    """Return which of ``frames`` frames are not held whole; only the last one may be short."""
    return [
        number
        for number in range(frames)
        if len(held.get(number, b"")) != frame_octets and not (number == frames - 1 and held.get(number))
    ]
