"""Several faxes to one number in one call: how many, and which may follow which."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from faxgw.rules.model import Rules


class TogetherPolicy(Rules):
    """How much goes in one call to a number, where more than one fax waits for it."""

    faxes: int = Field(
        default=1, ge=1, le=100, description="So many faxes to one number go in one call; 1: each has its own."
    )
    pages: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="And so many pages: a fax that makes it more has its own call.",
    )

    def takes(self, pages: int, *, faxes_so_far: int, pages_so_far: int) -> bool:
        """Tell whether a fax of so many pages may still go with what went before it in a call."""
        return faxes_so_far < self.faxes and pages_so_far + pages <= self.pages


ALIKE = ("tenant_id", "direction", "box_id", "to_number", "from_number", "subaddress", "private_id", "storage")
"""What faxes in one call have in common: who sends, to whom, and who may read the recording of the call."""


def goes_with(fax: Mapping[Any, Any], before: Mapping[Any, Any], *, line: str) -> bool:
    """Tell whether a fax may follow another one on a line, as far as their rows say.

    A fax with words in confidence, such as a password, goes alone.
    """
    alike = all(fax[name] == before[name] for name in ALIKE)
    return alike and fax["private_id"] is None and fax["plan"].get("avoid", "") != line
