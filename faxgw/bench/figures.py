"""Figures with their targets, as a table and as JSON; and what is made of many measurements."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


class CannotMeasure(Exception):
    """Something that was to be measured did not come about; the reason is one sentence."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    Attributes:
        name: stable, with dots.
        what: in words.
        value: in ``unit``.
        target: of the value: at most, or with ``more_is_better`` at least.
        holds: what has to be true besides, such as a flat backlog.
        details: further figures that belong to it, as JSON.
    """

    name: str
    what: str
    value: float
    unit: str
    target: float
    more_is_better: bool = False
    holds: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether it is as good as its target, and what has to be true besides is."""
        good = self.value >= self.target if self.more_is_better else self.value <= self.target
        return good and self.holds

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in the result of ``--json``."""
        return {
            "what": self.what,
            "value": rounded(self.value),
            "unit": self.unit,
            "target": self.target,
            "better": "more" if self.more_is_better else "less",
            "met": self.met,
            **self.details,
        }


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """Print figures, their targets, and whether they are met."""
    table = Table(box=None, pad_edge=False)
    for title, right in (("figure", False), ("measured", True), ("target", True), ("", False), ("", False)):
        table.add_column(title, justify="right" if right else "left", no_wrap=right)
    for each in figures:
        bound = "at least" if each.more_is_better else "at most"
        target = f"{bound} {each.target:g} {each.unit}"
        table.add_row(each.what, f"{rounded(each.value):g} {each.unit}", target, "met" if each.met else "SHORT")
    console.print(table)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many per cent of the values do not exceed (nearest rank)."""
    if not values:
        raise CannotMeasure("Nothing was measured of which there could be a percentile.")
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line through points ``(x, y)`` by least squares; 0 for fewer than two."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def rounded(value: float) -> float:
    """Return a value with three digits that count, or all before the point."""
    if not value or not math.isfinite(value):
        return value
    return round(value, max(2 - math.floor(math.log10(abs(value))), 0))
