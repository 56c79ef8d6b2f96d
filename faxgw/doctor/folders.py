"""The data directory, the keys beside it, and the room on their disk."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from faxgw.config import Config
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok

AREA = "folders"
LITTLE_SPACE = 2**30
FEW_FILES = 10_000


def data_dir(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the data directory is there, ours, and closed to others."""
    folder = config.data_dir
    if not folder.exists():
        parent = _existing(folder)
        if not os.access(parent, os.W_OK | os.X_OK):
            yield bad(
                AREA, f"The data directory {folder} is not there, and this user may not make it in {parent}.", _choose()
            )
        else:
            yield ok(AREA, f"The data directory {folder} is not there yet; the first start makes it.")
        return
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield bad(AREA, f"This user may not write to the data directory {folder}.", _choose())
        return
    status = folder.stat()
    if status.st_mode & 0o066:
        closed = "711" if os.geteuid() == 0 else "700"
        yield bad(AREA, f"Other users may read or write the data directory {folder}.", f"Run: chmod {closed} {folder}")
    else:
        yield ok(AREA, f"The data directory {folder} is closed to other users.")


def keys(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the keys are closed to others, and kept apart from what they open."""
    for name, folder in (("spool", config.spool_keys), ("server", config.server_keys)):
        yield from _closed(f"folder of {name} keys", folder, made=True)
    if _existing(config.spool_keys).stat().st_dev == _existing(config.data_dir).stat().st_dev:
        yield advice(
            AREA,
            f"The spool keys in {config.spool_keys} are on the same disk as the data directory: an image or a backup "
            f"of the disk opens the faxes under way.",
            f"Leave {config.spool_keys} out of every backup, or set FAXGW_SPOOL_KEYS to a folder on another disk "
            f"that outlives a restart.",
        )
    else:
        yield ok(AREA, "The spool keys are on another disk than the data directory.")
    if config.api.certificate_key:
        yield from _closed("private key", config.api.certificate_key, made=False)


def space(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether there is room for faxes."""
    place = _existing(config.data_dir)
    usage, keep = shutil.disk_usage(place), config.storage.keep_free(shutil.disk_usage(place).total)
    free, files = usage.free >> 20, os.statvfs(place)
    if usage.free < keep:
        yield bad(
            "space",
            f"The disk under {config.data_dir} has {free} MiB left, and {keep >> 20} MiB are kept free.",
            "Make room: nothing new is taken until there is.",
        )
    elif usage.free < LITTLE_SPACE:
        yield advice("space", f"The disk under {config.data_dir} has only {free} MiB left.", "Make room.")
    else:
        yield ok("space", f"The disk under {config.data_dir} has {free} MiB left.")
    if files.f_files and files.f_favail < FEW_FILES:
        yield bad("space", f"The disk under {config.data_dir} has room for {files.f_favail} files only.", "Make room.")


def _closed(what: str, path: Path, *, made: bool) -> Iterable[Finding]:
    try:
        status = path.stat()
    except FileNotFoundError:
        if made:
            return [ok(AREA, f"The {what} {path} is not there yet; the first start makes it.")]
        return [bad(AREA, f"The {what} {path} is not there.", "Put it there, or name another one.")]
    except OSError as error:
        return [bad(AREA, f"The {what} {path} cannot be looked at: {error.strerror}.", _choose())]
    if status.st_mode & 0o077:
        mode = "700" if path.is_dir() else "600"
        return [bad(AREA, f"Other users may get at the {what} {path}.", f"Run: chmod {mode} {path}")]
    if not os.access(path, os.R_OK):
        return [bad(AREA, f"This user may not read the {what} {path}.", _choose())]
    return [ok(AREA, f"The {what} {path} is closed to other users.")]


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def _choose() -> str:
    return "Run as the user that the gateway runs as, or choose another folder in the configuration."
