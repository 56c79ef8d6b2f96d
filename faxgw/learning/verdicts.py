"""What an operator lays down about one limit of one machine; it wins over what was learned."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from faxgw.learning.limits import Limit
from faxgw.rules.model import Rules


class Verdict(Rules):
    """What an operator says about one limit."""

    say: Literal["never", "always", "until"] = Field(
        description="`never`: calls are not limited so, whatever was learned; `always`: they are; `until`: they are "
        "until a moment, and then what was learned holds again."
    )
    until: AwareDatetime | None = Field(default=None, description="The moment, with `until`.")
    bps: int | None = Field(
        default=None, ge=2400, le=14400, description="Where calls begin, for `max_bps`.", examples=[9600]
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.say == "until") != (self.until is not None):
            raise ValueError("`until` says a moment, and nothing else does")
        return self

    def holds(self, at: datetime) -> bool:
        """Tell whether it still says something."""
        return self.until is None or at < self.until


Verdicts = Mapping[Limit, Verdict]


def checked(verdicts: Verdicts) -> Verdicts:
    """Return verdicts that fit their limits.

    Raises:
        ValueError: if a rate is missing, or one is given where there is none; if error correction were on and off.
    """
    for limit, verdict in verdicts.items():
        wants = limit is Limit.MAX_BPS and verdict.say != "never"
        if wants != (verdict.bps is not None):
            raise ValueError(f"{limit.value}: a rate in bit/s (`bps`) goes with max_bps, and with nothing else")
    both = [verdicts.get(each) for each in (Limit.ECM_OFF, Limit.ECM_ON)]
    if all(each is not None and each.say != "never" for each in both):
        raise ValueError("error correction cannot be laid down to be both on and off")
    return verdicts
