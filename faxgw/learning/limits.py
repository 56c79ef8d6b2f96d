"""What a call can do without: one table, with the words for it and what it means for the call."""

from enum import Enum

from faxgw.rules.attempt import Adjustments


class Limit(Enum):
    """Something that a call does without; the value is the name in the API and in what is stored."""

    NO_V17 = "no_v17"
    MAX_BPS = "max_bps"
    ECM_OFF = "ecm_off"
    ECM_ON = "ecm_on"
    NO_MMR = "no_mmr"
    NO_SUPERFINE = "no_superfine"
    NO_FINE = "no_fine"
    ALONE = "alone"


def in_words(limit: Limit, bps: int | None = None) -> str:
    """Return what the call does, as the beginning of a sentence; ``bps`` is where ``MAX_BPS`` begins."""
    return f"begins at {bps} bit/s" if limit is Limit.MAX_BPS else _WORDS[limit]


def applied(adjustments: Adjustments, limit: Limit, bps: int | None = None) -> Adjustments:
    """Return what a call does otherwise, with one limit more."""
    if limit is Limit.MAX_BPS:
        return adjustments.model_copy(update={"max_bps": bps})
    return adjustments.model_copy(update=_CHANGES[limit])


_WORDS = {
    Limit.NO_V17: "V.17 off",
    Limit.ECM_OFF: "error correction off",
    Limit.ECM_ON: "error correction on",
    Limit.NO_MMR: "MMR off",
    Limit.NO_SUPERFINE: "nothing above fine",
    Limit.NO_FINE: "nothing above standard resolution",
    Limit.ALONE: "one fax a call",
}
_CHANGES: dict[Limit, dict[str, bool]] = {
    Limit.NO_V17: {"no_v17": True},
    Limit.ECM_OFF: {"ecm": False},
    Limit.ECM_ON: {"ecm": True},
    Limit.NO_MMR: {"no_mmr": True},
    Limit.NO_SUPERFINE: {"no_superfine": True},
    Limit.NO_FINE: {"no_fine": True},
    Limit.ALONE: {"alone": True},
}
