"""Patterns of telephone numbers: a whole number, everything that begins with some digits, or everything."""

from typing import Annotated

from pydantic import Field

NumberPattern = Annotated[
    str,
    Field(
        pattern=r"^(\*|\+?[0-9]{1,20}\*?)$",
        description="`+4930123456` is that number only, `+4930*` every number that begins so, `*` every number.",
        examples=["+4930*"],
    ),
]


def exactness(pattern: str, number: str) -> int | None:
    """Return how exactly a pattern matches a number, the most exact the highest; None when it does not.

    >>> exactness("*", "+4930123"), exactness("+49*", "+4930123"), exactness("+4930123", "+4930123")
    (0, 6, 17)
    >>> exactness("+4930123", "+49301234") is None
    True
    """
    digits = pattern.removesuffix("*")
    if pattern.endswith("*"):
        return 2 * len(digits) if number.startswith(digits) else None
    return 2 * len(digits) + 1 if number == digits else None
