"""What a notice says: a template for each kind, in plain text, and beneath it why somebody gets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from faxgw.notices.kinds import KINDS

_SUBJECT = "Subject: "


@dataclass(frozen=True, slots=True)
class Said:
    """A notice as it is sent: one line, and plain text."""

    subject: str
    text: str


def rendered(kind: str, data: Mapping[str, Any], *, organisation: str, stop: str = "") -> Said:
    """Return what a notice of a kind says.

    Args:
        kind: one of ``KINDS``.
        data: as ``kinds.checked`` has let it pass.
        organisation: the tenant's name, for those who belong to several.
        stop: the address at which one kind is switched off without signing in; empty: it is not offered.
    """
    whole = _template(kind).render(data)
    head, _, text = whole.partition("\n")
    return Said(head.removeprefix(_SUBJECT).strip(), f"{_tidy(text)}\n\n-- \n{_why(kind, organisation, stop)}\n")


@cache
def _template(kind: str) -> Template:
    loader = PackageLoader("faxgw.notices", "templates")
    # Plain text: nothing to escape; line breaks in values are gone already.
    found = Environment(
        loader=loader, autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return found.get_template(f"{kind}.txt")


def _tidy(text: str) -> str:
    """Leave no more than one empty line between two others."""
    lines: list[str] = []
    for line in (each.rstrip() for each in text.strip("\n").splitlines()):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).rstrip("\n")


def _why(kind: str, organisation: str, stop: str) -> str:
    why = f"This is a notice of the fax gateway of {organisation}; it has nothing of what is in a fax."
    if not KINDS[kind].chosen:
        return why
    if stop:
        return f"{why}\nNo more notices of this kind: {stop}"
    return f"{why}\nWho has an account there chooses which notices to get (PUT /v1/me/notices)."
