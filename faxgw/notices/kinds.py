"""The kinds of notices as a table: what each may say, who may switch it off, and what it is without a choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faxgw.numbers import masked
from faxgw.redaction import scrubbed

LONGEST = 500
"""Characters of one value: a reason, not a document."""
MOST = 100
"""Entries of one list."""
NUMBER = "number"
"""Of any kind, the field that is a telephone number; it is masked before it is stored."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of notice.

    Attributes:
        about: what it tells, for those who choose.
        needs: names that ``data`` must have; what is not named here or in ``may`` cannot be said.
        chosen: members switch it off and on by themselves; others always go.
        usual: what holds while a member has chosen nothing.
    """

    about: str
    needs: frozenset[str]
    may: frozenset[str] = frozenset()
    chosen: bool = True
    usual: bool = True


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KINDS: Mapping[str, Kind] = {
    "result": Kind(
        "What became of a fax that you, or a device of yours, sent by mail.",
        _names("state at"),
        _names("fax number pages tries reason device code batch count delivered others"),
    ),
    "failure": Kind(
        "A fax of your box, or a delivery of it, has failed for good.",
        _names("fax number reason at"),
        _names("direction tries code target"),
    ),
    "held": Kind(
        "Deliveries wait, because the way there cannot be protected as its rule demands.",
        _names("target kind code reason at"),
        _names("waiting"),
        chosen=False,
    ),
    "retention": Kind(
        "Faxes are about to be deleted, or were deleted, by the rules of retention: how many.",
        _names("count at done"),
        _names("boxes"),
    ),
    "recall": Kind(
        "A fax that was sent to your mailbox has been deleted at its source; delete your copy, too.",
        _names("fax number received"),
        chosen=False,
    ),
    "policy": Kind("Switches of your organisation's policy were changed.", _names("changes at")),
    "certificate": Kind(
        "A certificate is about to expire: the gateway's own, or one that mail is encrypted to.",
        _names("what subject expires days"),
        _names("target"),
    ),
    "update": Kind(
        "There is a new version, or something is known to be wrong with yours.",
        _names("version release advisories"),
        _names("url"),
        usual=False,
    ),
    "exposed": Kind(
        "A device of yours has sent its secret without protection, and how to mend it.",
        _names("device protocol at revoked"),
        _names("peer"),
        chosen=False,
    ),
}
"""Name of a kind, as in ``parcels.kind``, -> what it is."""


def checked(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a notice of a kind will say: numbers masked, also within a text, and no line breaks.

    Raises:
        ValueError: if there is no such kind, or something is missing, not meant to be said, or too long to be a notice.
    """
    known = KINDS.get(kind)
    if known is None:
        raise ValueError(f"there is no notice of the kind {kind!r}")
    if not known.needs <= data.keys() <= known.needs | known.may:
        raise ValueError(f"a notice of the kind {kind!r} says {sorted(known.needs)}, and not {sorted(data)}")
    return {name: masked(str(value)) if name == NUMBER else _short(value) for name, value in data.items()}


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str) and len(value) <= LONGEST:
        return scrubbed("".join(sign if sign.isprintable() else " " for sign in value))
    if isinstance(value, Mapping) and len(value) <= MOST:
        return {str(name): masked(str(each)) if name == NUMBER else _short(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) <= MOST:
        return [_short(each) for each in value]
    raise ValueError(f"a notice cannot say a value of the type {type(value).__name__}, or one so long")
