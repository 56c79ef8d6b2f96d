"""The misdirect guard: whether another machine answers at a number than the one that always did.

Faxes to a wrong number are the classic breach of privacy: a number was given to somebody else, or mistyped once.
"""

from collections.abc import Iterable

_ENOUGH = 6
"""So many digits in common, counted from the end, make two numbers the same: one may lack country and area code."""


def suspicious(known: Iterable[str], answered: str, *, dialled: str = "") -> bool:
    """Tell whether the machine that answered is not one of those that answered before.

    A machine that identifies itself by the number dialled is right. Where nobody ever identified itself, nothing is
    known, and nothing suspicious; a machine that hides its identity is suspicious only where all others showed theirs.

    Args:
        known: station ids that answered at this number when faxes were delivered.
        answered: the station id that answered now; empty when it sent none.
        dialled: the number, in E.164 form.

    >>> suspicious(["+49 30 1234567"], "030/1234567"), suspicious(["+49 30 1234567"], "+49 30 7654321")
    (False, True)
    """
    before = [each.strip() for each in known]
    if not any(before) or _same(answered, dialled):
        return False
    if not answered.strip():
        return all(before)
    return not any(_same(answered, each) for each in before)


def _same(one: str, other: str) -> bool:
    """Tell whether two station ids mean the same machine: the same digits at their ends, or the same letters."""
    ours, theirs = sorted((_digits(one), _digits(other)), key=len)
    if len(ours) >= _ENOUGH:
        return theirs.endswith(ours)
    return bool(_letters(one)) and _letters(one) == _letters(other)


def _digits(text: str) -> str:
    """Return the digits without what stands for a trunk or an international prefix: zeros at the beginning."""
    return "".join(each for each in text if each.isdecimal()).lstrip("0")


def _letters(text: str) -> str:
    return "".join(each for each in text.casefold() if each.isalnum())
