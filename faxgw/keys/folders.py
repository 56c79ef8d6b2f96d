"""Small secret files in folders that only the gateway's own system user may enter; made once, whatever runs at once."""

import os
import secrets
import stat
from pathlib import Path

from faxgw.errors import RequestError

KEY_OCTETS = 32


def open_folder(folder: Path) -> None:
    """Make sure that there is such a folder and that it is closed to others.

    Raises:
        RequestError: ``keys.folder`` when it cannot be made, ``keys.permissions`` when others may enter it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError("keys.folder", f"the folder of keys {folder} cannot be made: {error.strerror}") from error
    _refuse_open(folder, folder.stat(), fix="700")


def made_once(path: Path) -> bytes:
    """Return the secret in ``path``: 32 random octets, made now if need be; all who do so at once get the same.

    Raises:
        RequestError: ``keys.permissions``, ``keys.damaged``.
        OSError: when the folder cannot be read or written.
    """
    try:
        return read_secret(path)
    except FileNotFoundError:
        pass
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_synced(draft, secrets.token_bytes(KEY_OCTETS))
        try:
            # Unlike rename, link never replaces: whoever comes second takes what the first one made.
            os.link(draft, path)
        except FileExistsError:
            return read_secret(path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """Return the 32 octets of a secret file.

    Raises:
        FileNotFoundError: when there is none.
        RequestError: ``keys.permissions``, ``keys.damaged``.
    """
    try:
        file = path.open("rb")
    except PermissionError as error:
        raise RequestError("keys.permissions", f"{path} is not readable: run as the user it belongs to") from error
    with file:
        _refuse_open(path, os.fstat(file.fileno()), fix="600")
        secret = file.read(KEY_OCTETS + 1)
    if len(secret) != KEY_OCTETS:
        raise RequestError("keys.damaged", f"{path} is damaged: restore it from a backup of that machine's keys")
    return secret


def destroy_secret(path: Path) -> None:
    """Overwrite a secret file, then remove it; nothing happens when it is gone already.

    Raises:
        OSError: when that cannot be done; the secret may still be there then.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(secrets.token_bytes(KEY_OCTETS))
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_synced(path: Path, octets: bytes) -> None:
    """Write a new file that only its owner may read, and see it on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """See a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_open(path: Path, status: os.stat_result, *, fix: str) -> None:
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise RequestError("keys.permissions", f"{path} holds keys and is open to other users: run chmod {fix} {path}")
    if status.st_uid not in {os.geteuid(), 0}:
        raise RequestError("keys.permissions", f"{path} holds keys and belongs to another user: run chown on {path}")
