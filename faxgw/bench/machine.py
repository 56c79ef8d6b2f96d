"""What was measured on: the machine, how busy it is, and which core who runs on."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faxgw import __version__
from faxgw.bench.figures import CannotMeasure

CALM = 2.5
"""A load average above which figures say more of the machine's other work than of the gateway."""

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def described() -> dict[str, Any]:
    """Return what machine this is."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mb": (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) >> 20,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "faxgw": __version__,
    }


def load() -> list[float]:
    """Return the load averages of the last 1, 5 and 15 minutes."""
    return [round(each, 2) for each in os.getloadavg()]


def cores() -> tuple[set[int], set[int]] | None:
    """Return one core for the service and one for the client, or None where that cannot be had."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = sorted(os.sched_getaffinity(0))
    return ({ours[0]}, {ours[-1]}) if len(ours) > 1 else None


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this thread, and processes that it starts, on one core meanwhile, where the system lets one choose."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(ours)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it.

    Raises:
        CannotMeasure: where there is no /proc.
    """
    if not (_PROC / "self" / "stat").exists():
        raise CannotMeasure("What processes need is read from /proc, which only Linux has; leave it out by --only.")
    children: dict[int, list[int]] = {}
    for path in _PROC.glob("[0-9]*/stat"):
        if fields := _stat(path):
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def name_of(pid: int) -> str:
    """Return what a process is: ``gateway``, ``worker`` or ``postgresql``."""
    words = _read(_PROC / str(pid) / "cmdline").replace("\0", " ")
    if "postgres" in words and "python" not in words:
        return "postgresql"
    return "worker" if "faxgw.documents.worker" in words or "documents/worker" in words else "gateway"


def memory(pid: int) -> float:
    """Return the proportional set size of a process, in MB (2**20): what is shared counts by shares."""
    for line in _read(_PROC / str(pid) / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """Return how long a process, and children of its that it has seen end, have kept a core busy."""
    return sum(map(int, _stat(_PROC / str(pid) / "stat")[11:15])) / _TICKS  # nothing of one that is gone


def _stat(path: Path) -> list[str]:
    """Return the fields after the name, the state first; none of a process that is gone."""
    return _read(path).rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _processor() -> str:
    for line in _read(_PROC / "cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
