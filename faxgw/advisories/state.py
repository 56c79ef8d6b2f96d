"""What is known of this version, for whoever asks; light, since every service has it before it listens."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from faxgw import __version__

if TYPE_CHECKING:
    from faxgw.advisories.feed import Advisory, Release


@dataclass(frozen=True, slots=True)
class State:
    """What a check came to.

    Attributes:
        source: where the feed lies; empty: nowhere, and nothing is known.
        fault: why the feed that lies there is not believed, or cannot be had; then the one before it counts.
        release: the newest version, if it is newer than this one.
    """

    source: str = ""
    checked_at: datetime | None = None
    serial: int = 0
    advisories: "tuple[Advisory, ...]" = ()
    fault: str = ""
    release: "Release | None" = None

    @property
    def text(self) -> str:
        """One sentence: how this version is."""
        if self.advisories:
            first = self.advisories[0]
            ids = ", ".join(each.id for each in self.advisories)
            way_out = f"install {first.fixed_in} or newer" if first.fixed_in else "see what it advises"
            return f"faxgw {__version__} has known faults ({ids}; the worst is {first.severity}): {way_out}."
        if self.fault:
            return f"Whether this version has known faults is not certain: {self.fault}"
        if not self.source:
            return "No feed of advisories is configured."
        return f"No fault of faxgw {__version__} is known."

    @property
    def is_degraded(self) -> bool:
        """Whether an administrator has something to do."""
        return bool(self.advisories or self.fault)

    def as_json(self) -> dict[str, Any]:
        """Return it as the API and the command show it."""
        return {
            "feed": {
                "source": self.source,
                "serial": self.serial or None,
                "checked_at": self.checked_at,
                "fault": self.fault or None,
            },
            "advisories": [each.as_json() for each in self.advisories],
            "text": self.text,
        }


@dataclass(slots=True)
class Board:
    """The state of this node, for whoever asks."""

    state: State = field(default_factory=State)
