"""What a tenant may lay down about learning: how many calls it takes, and for how long it holds."""

from pydantic import Field

from faxgw.rules.model import Rules


class LearningPolicy(Rules):
    """When calls to a number, or from a sender, do without something that failed before."""

    on: bool = Field(default=True, description="Let calls be adjusted by what earlier calls have taught.")
    calls: int = Field(
        default=2,
        ge=1,
        le=12,
        description="After so many calls in a row with the same fault, calls do without what failed: V.17, a rate.",
    )
    more_calls: int = Field(
        default=3, ge=1, le=12, description="After so many, where it is less certain: MMR, and fine pages that come in."
    )
    days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="For so many days after the last such call; then it is tried again, and one fault is enough.",
    )
    forget_days: int = Field(
        default=90, ge=1, le=3650, description="Calls that are so many days apart are not counted together."
    )
    damaged: float = Field(
        default=0.05,
        gt=0.0,
        le=1.0,
        description="Share of damaged scan lines from which on a call without error correction has gone badly.",
    )
