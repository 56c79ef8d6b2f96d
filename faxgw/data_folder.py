"""The data directory: made for the gateway alone, and held by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faxgw.errors import RequestError

LOCK = "lock"


def make_folder(data_dir: Path) -> None:
    """Make the data directory where it is missing.

    Raises:
        RequestError: ``data.folder`` if it cannot be made.
    """
    if data_dir.is_dir():
        return
    try:
        data_dir.mkdir(parents=True)
        # Run by root, the private PostgreSQL has a user of its own, which must get through to its folder.
        data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise _refused(data_dir, error) from None


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Make the data directory where it is missing, and hold it for this process: two would share one node's calls.

    Raises:
        RequestError: ``data.in_use`` if another process holds it, ``data.folder`` if it cannot be written.
    """
    make_folder(data_dir)
    try:
        lock = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(data_dir, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        reason = f"Another gateway process runs with {data_dir}; end it, or give this one a data directory of its own."
        raise RequestError("data.in_use", reason) from None
    finally:
        os.close(lock)


def is_held(data_dir: Path) -> bool:
    """Return whether a gateway runs with this data directory."""
    try:
        lock = os.open(data_dir / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _refused(data_dir: Path, error: OSError) -> RequestError:
    reason = f"{data_dir} cannot hold the gateway's data: {error.strerror}; name another folder with --data."
    return RequestError("data.folder", reason)
