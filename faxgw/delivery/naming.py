"""Names of files as they are laid down: made from a template, safe on every system, one for each fax.

Of an encrypted fax, also one for each target: what encryption makes is another file each time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from string import Formatter
from uuid import UUID

from faxgw.numbers import masked

LONGEST = 150
"""Letters of a name without its ending; file systems take 255, and carriers add something while they write."""

FIELDS = ("received", "fax", "from", "to", "pages", "state", "target")

_LITERAL = re.compile(r"[A-Za-z0-9_+-]*")
# No dot: what follows one is the ending, and what begins with one is hidden.
_TIME = re.compile(r"(?:%[YymdHMSj]|[A-Za-z0-9_+-])+")
_UNSAFE = re.compile(r"[^A-Za-z0-9+]+")
_NUMBER_LETTERS = 32
_TARGET_LETTERS = 12
_USUAL_TIME = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True)
class Named:
    """What a name can say of a fax.

    Attributes:
        received: when; names have it in UTC.
        sender: the caller's number; empty: unknown.
        recipient: the number that was called.
        target: for which the file is made.
    """

    fax: UUID
    received: datetime
    sender: str
    recipient: str
    pages: int
    state: str
    target: UUID

    def told(self) -> "Named":
        """Return it with its numbers masked."""
        return replace(self, sender=masked(self.sender), recipient=masked(self.recipient))


_WIDEST = Named(
    UUID(int=0), datetime(2000, 1, 1, tzinfo=UTC), "0" * 99, "0" * 99, 9999, "partially_received", UUID(int=0)
)


def check_template(template: str) -> str:
    """Return a template of names, if it is one.

    Raises:
        ValueError: with what is wrong, in words.
    """
    if template.startswith("-"):
        raise ValueError("a name does not begin with a hyphen")
    if len(stem(template, _WIDEST, by_target=True)) > LONGEST:
        raise ValueError(f"names made by this template can be longer than {LONGEST} letters")
    return template


def stem(template: str, named: Named, *, by_target: bool = False) -> str:
    """Return the name of a fax's file without its ending: letters, digits, and ``_ - +`` only, no other fax's.

    ``by_target``: nor that of the same fax for another target.

    >>> fax = Named(UUID(int=1), datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "", "+49…67", 3, "received", UUID(int=2))
    >>> stem("in-{received:%Y%m%d}_{from}_{to}", fax)
    'in-20260504_unknown_+49x67_00000000-0000-0000-0000-000000000001'

    Raises:
        ValueError: if the template is none.
    """
    parts = list(_parts(template))
    for needed in ("fax", "target") if by_target else ("fax",):
        if not any(field == needed for _, field, _ in parts):
            parts.append(("_" if parts else "", needed, ""))
    return "".join(literal + (_said(field, form, named) if field else "") for literal, field, form in parts)


def _parts(template: str) -> Iterator[tuple[str, str, str]]:
    """Go through a template: what stands before a field, the field's name, how it is written.

    Raises:
        ValueError: if it has anything else.
    """
    for literal, field, form, conversion in Formatter().parse(template):
        if not _LITERAL.fullmatch(literal):
            raise ValueError("a name has letters, digits, and _ - + only")
        if field is not None and field not in FIELDS:
            raise ValueError(f"there is no field {{{field[:40]}}}: there are {', '.join(FIELDS)}")
        if conversion or (form and (field != "received" or not _TIME.fullmatch(form))):
            raise ValueError("only {received} is written in a form: of %Y %y %m %d %j %H %M %S, letters, digits, _ - +")
        yield literal, field or "", form or ""


def _said(field: str, form: str, named: Named) -> str:
    if field == "received":
        return named.received.astimezone(UTC).strftime(form or _USUAL_TIME)
    if field in ("from", "to"):
        number = named.sender if field == "from" else named.recipient
        return _UNSAFE.sub("x", number)[:_NUMBER_LETTERS] or "unknown"
    target = named.target.hex[-_TARGET_LETTERS:]
    return {"fax": str(named.fax), "pages": str(named.pages), "state": named.state, "target": target}[field]
