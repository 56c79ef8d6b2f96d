"""One call for a fax: what it does otherwise than its line is set to, and what it came to."""

from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import Field

from faxgw.rules.model import Rules
from t30.capabilities import Station
from t30.pages import Coding, Resolution
from t30.rates import Family


class Adjustments(Rules):
    """What a call does otherwise than its line is set to."""

    no_v17: bool = Field(default=False, description="Leave out V.17 (14400 and 12000 bit/s), however good the line is.")
    ecm: bool | None = Field(default=None, description="Error correction on or off; null: as the line is set.")
    max_bps: int | None = Field(
        default=None, ge=2400, le=14400, description="Highest rate in bit/s; null: as the line is set.", examples=[9600]
    )
    no_mmr: bool = Field(default=False, description="Leave out MMR, the coding that needs error correction.")
    no_superfine: bool = Field(default=False, description="No page is finer than fine.")
    alone: bool = Field(default=False, description="One fax goes in the call, however many wait for the number.")
    no_fine: bool = Field(default=False, description="No page is finer than standard.")

    def adjusted(self, station: Station) -> Station:
        """Return the station as this call shall use it. A station that knows nothing but V.17 keeps it."""
        without_v17 = station.families - {Family.V17}
        return replace(
            station,
            families=without_v17 if self.no_v17 and without_v17 else station.families,
            ecm=station.ecm if self.ecm is None else self.ecm,
            max_bps=min(station.max_bps, self.max_bps or station.max_bps),
            codings=station.codings - {Coding.MMR} if self.no_mmr else station.codings,
            resolutions=station.resolutions & self._resolutions(),
        )

    def _resolutions(self) -> frozenset[Resolution]:
        coarse = {Resolution.STANDARD} if self.no_fine else {Resolution.STANDARD, Resolution.FINE}
        return frozenset(coarse if self.no_fine or self.no_superfine else Resolution)


NONE = Adjustments()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call for a fax, as far as the next one depends on it.

    Attributes:
        cause: reason code; empty when everything went through.
        ended: when it was over.
        connected: fax machines were talking to each other.
        confirmed: pages confirmed in this call.
        adjustments: what this call did otherwise.
        ecm: error correction was agreed on; None when it never came to that.
    """

    cause: str
    ended: datetime
    connected: bool = False
    confirmed: int = 0
    adjustments: Adjustments = NONE
    ecm: bool | None = None
