"""Sends 200 pages in a process of its own, and prints how much memory it held at the tenth page and at the last."""

import json
import resource
import sys
from pathlib import Path

from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import Action, Event, FrameReceived, LineError
from t30.outcome import CallEnded
from tests.faxgw.job import fax

PAGES = 200
LINES = 40


class Meter:
    """Reads the process's memory each time a page is confirmed."""

    def __init__(self) -> None:
        self.at: list[int] = []

    def action(self, action: Action) -> None:
        """Nothing to read."""

    def event(self, event: Event) -> None:
        """Read the memory when a page is confirmed."""
        if isinstance(event, FrameReceived) and (frame := Frame.parse(event.octets)) and frame.fcf is Fcf.MCF:
            self.at.append(resident())

    def thrown(self, error: LineError | CallEnded, at: float) -> None:
        """Nothing to read."""


def resident() -> int:
    """Return the memory that this process holds now, in octets, or the most that it ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(folder: Path) -> None:
    """Write the document, fax it, print the figures."""
    text = folder / "long.txt"
    page = "\n".join(f"Line {number}: the quick brown fox jumps over the lazy dog." for number in range(LINES))
    text.write_text("\f".join(f"Page {number + 1}\n{page}" for number in range(PAGES)))
    meter = Meter()
    sent, got = fax([text], folder / "in", Station(), observers=[meter])
    result = {
        "sent": sent.verdict,
        "received": got.verdict,
        "pages": sum(page.confirmed for page in got.pages),
        "tenth": meter.at[9],
        "last": meter.at[-1],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
