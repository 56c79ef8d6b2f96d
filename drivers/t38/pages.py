"""How pages without error correction go over the network: as on the line, without their fill, or as MMR.

Which coding they have on the line is in the DCS that passes by, ours or theirs. The Recommendation leaves open how MMR
is written; here it is one page of T.6 with EOFB in ``t4-non-ecm-data``, and DCS says what it said.
"""

import asyncio
import math

import numpy as np

from drivers.t38.media import Agreed
from t30.capabilities import Dcs
from t30.fcf import Fcf
from t30.frame import Frame
from t30.pages import Coding
from t30.rates import Modulation
from t30.t4 import Bitmap, encode, usual_k
from t30.t4.transcode import FromMmr, as_mmr, without_fill

AT_ONCE = 8192
"""Octets of a page that are turned into something else while everybody waits; more take a thread of their own."""


async def prepare(*, fill: bool, mmr: bool) -> None:
    """Load what turns pages into something else, if they may be, so that no call has to wait for it."""
    if fill or mmr:
        await asyncio.to_thread(_try)


def _try() -> None:
    page = encode(Bitmap.from_pels(np.zeros((2, 8), np.uint8)), Coding.MH)
    without_fill(page, 1)
    FromMmr(Coding.MH, 8, k=1, min_row_bits=0).feed(b"".join(as_mmr(page, Coding.MH, 8, 1)))


class Pages:
    """The pages of one call."""

    def __init__(self, agreed: Agreed) -> None:
        self._agreed = agreed
        self._dcs: Dcs | None = None

    def learn(self, frame: bytes) -> None:
        """Take note of a frame, from the address octet to the last FIF octet: it may say how pages are coded."""
        parsed = Frame.parse(frame)
        if parsed is not None and parsed.fcf is Fcf.DCS:
            self._dcs = Dcs(parsed.fif)

    async def outgoing(self, octets: bytes, step: int) -> list[bytes]:
        """Return a page as it goes over the network, a piece for each ``step`` octets that it has on the line."""
        if len(octets) <= AT_ONCE:
            return self._turned(octets, step)
        return await asyncio.to_thread(self._turned, octets, step)

    def incoming(self, modulation: Modulation) -> FromMmr | None:
        """Return what makes a page that begins now what it is on the line; None if it comes so."""
        dcs = self._plain()
        if dcs is None or not self._agreed.transcoding_mmr:
            return None
        least = math.ceil(modulation.bps * dcs.scan_time / 1000)
        return FromMmr(dcs.coding, dcs.format.pels, k=usual_k(dcs.resolution), min_row_bits=least)

    def _plain(self) -> Dcs | None:
        """Return the DCS that holds, if it is for pages without error correction."""
        return None if self._dcs is None or self._dcs.ecm or self._dcs.coding is Coding.MMR else self._dcs

    def _turned(self, octets: bytes, step: int) -> list[bytes]:
        dcs = self._plain()
        if dcs is not None and self._agreed.transcoding_mmr:
            return as_mmr(octets, dcs.coding, dcs.format.pels, step)
        if dcs is not None and self._agreed.fill_bit_removal:
            return without_fill(octets, step)
        return [octets[start : start + step] for start in range(0, len(octets), step)]
