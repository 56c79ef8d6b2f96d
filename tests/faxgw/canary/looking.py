"""Where a service may have written something: folders, temporary files, shared memory, deleted files still open."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.faxgw.serving import Service

SHARED = Path("/dev/shm")


def places(service: Service) -> Iterator[Path]:
    """Go through every file that the service may have written, and what is in it now.

    Files of ``memfd`` are memory and not looked at; a file that was removed and is still open lies on a disk.
    """
    for folder, _, names in os.walk(service.folder):
        yield from (path for path in (Path(folder, name) for name in names) if path.is_file() and not path.is_symlink())
    yield from (path for path in _entries(SHARED) if path.is_file())
    for process in family(service.pid):
        yield from _deleted(process)


def family(pid: int) -> Iterator[int]:
    """Go through a process and all that it has started, and those have."""
    yield pid
    for task in _entries(Path(f"/proc/{pid}/task")):
        try:
            children = (task / "children").read_text().split()
        except OSError:  # it has ended
            continue
        for child in children:
            yield from family(int(child))


def _deleted(pid: int) -> Iterator[Path]:
    for opened in _entries(Path(f"/proc/{pid}/fd")):
        try:
            name = str(opened.readlink())
        except OSError:
            continue
        if name.endswith(" (deleted)") and not name.startswith(("/memfd:", "/dev/zero", "/dev/shm/PostgreSQL")):
            yield opened


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it has ended
        return []
