"""What a check says, and the machine that it looks at."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    ADVICE = "advice"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it is about: ``ports``, ``folders``, ``clock``, ...
        text: one sentence: what there is.
        way_out: one sentence: what to do; empty when nothing needs to be done.
    """

    area: str
    level: Level
    text: str
    way_out: str = ""

    def __str__(self) -> str:
        return f"{self.text}{f' {self.way_out}' if self.way_out else ''}"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the kernel tells about itself; another root than ``/`` shows another machine."""

    root: Path = Path("/")

    def read(self, path: str) -> str:
        """Return what a file of ``/proc``, ``/sys`` or ``/etc`` says; nothing where there is none."""
        try:
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        """Return the names in a folder of ``/proc`` or ``/sys``; none where there is no such folder."""
        try:
            return sorted(each.name for each in (self.root / path.lstrip("/")).iterdir())
        except OSError:
            return []


def ok(area: str, text: str) -> Finding:
    """Say that all is well."""
    return Finding(area, Level.OK, text)


def advice(area: str, text: str, way_out: str) -> Finding:
    """Say what works, and could be better."""
    return Finding(area, Level.ADVICE, text, way_out)


def bad(area: str, text: str, way_out: str) -> Finding:
    """Say what does not work, or is unsafe."""
    return Finding(area, Level.BAD, text, way_out)
