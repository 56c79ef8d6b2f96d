"""What a machine said that it can do: its last DIS, or of a caller the last DCS, in words."""

from dataclasses import dataclass

from faxgw.model import Direction
from t30.capabilities import Dcs, Dis
from t30.pages import Coding, Resolution


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a machine can do, or as a caller what it chose last.

    Attributes:
        rates: modulations, the fastest first, such as ``V.17 14400``.
        ecm: error correction.
        codings: of pages.
        resolutions: standard among them, always.
    """

    rates: tuple[str, ...]
    ecm: bool
    codings: tuple[str, ...]
    resolutions: tuple[str, ...]


def abilities(direction: Direction, capabilities: bytes) -> Abilities | None:
    """Return what a machine can do; None if it never said so."""
    if not capabilities:
        return None
    return _chosen(Dcs(capabilities)) if direction is Direction.IN else _offered(Dis(capabilities))


def _offered(dis: Dis) -> Abilities:
    modulations = sorted(dis.modulations, key=lambda each: (each.bps, each.family.value), reverse=True)
    codings, resolutions = dis.codings(), dis.resolutions
    return Abilities(
        tuple(str(each) for each in modulations),
        dis.ecm,
        tuple(each.value for each in Coding if each in codings),
        tuple(each.label for each in Resolution if each in resolutions),
    )


def _chosen(dcs: Dcs) -> Abilities:
    rate = dcs.modulation
    return Abilities((str(rate),) if rate else (), dcs.ecm, (dcs.coding.value,), (dcs.resolution.label,))
