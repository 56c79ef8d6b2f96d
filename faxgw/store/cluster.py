"""The folder of the private PostgreSQL: how it is laid out, who may enter what, how it is made, what is refused.

Nothing here needs the folder's parents to be open to the account of the server: its programs get the cluster as their
working directory, and know it by that alone.
"""

import ctypes
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from faxgw.errors import RequestError
from faxgw.store import roles
from faxgw.store.account import Account, ClusterLock, server_version
from faxgw.store.roles import Passwords

HERE = "/proc/self/cwd"
"""The data directory as the server's programs see it: they start in it, and need not find the way there."""

ROOM = 40 << 20
"""Octets: a new database takes 30 MB, most of it PostgreSQL's own tables."""

MAX_SOCKET_PATH = 107
SOCKET = ".s.PGSQL.5432"


class Cluster:
    """A folder with everything of one private PostgreSQL.

    ``data/`` is PostgreSQL's own; ``socket/`` and ``log/`` are the server's too. ``passwords.json``, ``lock``,
    ``running`` and ``start.log`` are the gateway's.
    """

    def __init__(self, folder: Path, account: Account, binaries: Path) -> None:
        self.folder = folder
        self.account = account
        self.binaries = binaries
        self.data = folder / "data"
        self.making = folder / "data.new"
        self.socket = folder / "socket"
        self.log = folder / "log"
        self.start_log = folder / "start.log"

    def prepare(self, lock: ClusterLock) -> Passwords:
        """Check what is there; make what is not.

        Raises:
            RequestError: ``database.*``, when something is there that must not be used.
        """
        self._make_folder(self.socket)
        self._make_folder(self.log)
        if self.data.exists():
            self._refuse_foreign_data()
            return read_passwords(self.folder)
        return self._made(lock)

    def ready(self, pid: int) -> bool:
        """Tell whether the server with this id takes connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def lock(self) -> ClusterLock | None:
        """Return the lock on the data directory; None while a process of an earlier server has it."""
        descriptor = os.open(self.folder / "running", os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return ClusterLock(descriptor)

    def survivors(self) -> list[int]:
        """Return whom to tell to end: the earlier server, else what it, or an unfinished making, left behind."""
        if (server := self._noted_pid()) and self._works_here(server):
            return [server]
        every = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())
        return [pid for pid in every if self._works_here(pid)]

    def last_words(self, since: datetime) -> str:
        """Return what the server said last of why it could not go on."""
        start = f"{since:%Y-%m-%d %H:%M:%S}"
        for path in [self.start_log, *self.log.glob("*.log")]:
            lines = path.read_text(errors="replace").splitlines()[-200:]
            for line in reversed([each for each in lines if each >= start]):
                for level in ("PANIC:  ", "FATAL:  "):
                    if level in line:
                        return line.split(level, 1)[1]
        plain = [each for each in self.start_log.read_text(errors="replace").splitlines() if "LOG:  " not in each]
        return " ".join(plain) or f"it did not say why; see {self.log}"

    def forget_dead_server(self) -> None:
        """Remove the notes of a server that is known to be gone: their id may be another process's by now."""
        for note in (self.data / "postmaster.pid", self.socket / SOCKET, self.socket / f"{SOCKET}.lock"):
            note.unlink(missing_ok=True)

    def _noted_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _works_here(self, pid: int) -> bool:
        """Tell whether a process works in this data directory; ids are used again, so a number alone says nothing."""
        try:
            where = Path(f"/proc/{pid}/cwd").stat()
        except OSError:
            return False
        return any(folder.exists() and os.path.samestat(where, folder.stat()) for folder in (self.data, self.making))

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, self.account.uid, self.account.gid)

    def _refuse_foreign_data(self) -> None:
        found = self.data.stat()
        if found.st_uid != self.account.uid:
            raise RequestError(
                "database.owner",
                f"{self.data} belongs to user {found.st_uid}, but the server runs as user {self.account.uid}. "
                f"Start the gateway as before, or hand the folder over: chown -R {self.account.uid} {self.data}",
            )
        if found.st_mode & 0o077:
            raise RequestError(
                "database.permissions", f"{self.data} is open to other users; close it: chmod 700 {self.data}"
            )
        theirs = (self.data / "PG_VERSION").read_text().strip()
        ours = server_version(self.binaries).split(".")[0]
        if theirs != ours:
            raise RequestError(
                "database.version",
                f"{self.data} is of PostgreSQL {theirs}, but this gateway brings PostgreSQL {ours}. Convert it with "
                f"pg_upgrade, or let the earlier version of the gateway run, dump the database with pg_dump, move "
                f"{self.folder} away and restore the dump into the new one.",
            )

    def _made(self, lock: ClusterLock) -> Passwords:
        """Make the cluster beside its place, and move it there when it is whole and on the disk."""
        if self.making.exists():
            shutil.rmtree(self.making)
        if (free := shutil.disk_usage(self.folder).free) < ROOM:
            raise RequestError(
                "database.folder",
                f"{self.folder} has {free >> 20} MB of free space; a new database needs {ROOM >> 20} MB.",
            )
        self._make_folder(self.making)
        passwords = Passwords.generated()
        self._initialize(passwords, lock)
        self._make_roles(passwords, lock)
        _write_private(self.folder / "passwords.json", json.dumps(asdict(passwords)))
        _sync_filesystem(self.making)
        self.making.rename(self.data)
        _sync_folder(self.folder)
        return passwords

    def _initialize(self, passwords: Passwords, lock: ClusterLock) -> None:
        options = ["--no-sync", "--no-locale", "--encoding=UTF8", "--data-checksums", "--wal-segsize=1"]
        options += ["--no-instructions", "--auth=scram-sha-256", f"--username={roles.ADMINISTRATOR}"]
        with _readable_once(passwords.administrator) as (path, descriptor):
            command = [str(self.binaries / "initdb"), "-D", HERE, *options, f"--pwfile={path}"]
            self.account.run(command, self.making, lock=lock, fds=(descriptor,))

    def _make_roles(self, passwords: Passwords, lock: ClusterLock) -> None:
        # The database `postgres` becomes ours: another one would cost 7 MB and 50 ms.
        ours = f"ALTER DATABASE postgres RENAME TO {roles.DATABASE}"
        statements = [ours, *roles.roles(passwords), *roles.database_rights()]
        command = [str(self.binaries / "postgres"), "--single", "-D", HERE, "-c", "fsync=off", "template1"]
        said = self.account.run(command, self.making, lock=lock, stdin="".join(f"{each}\n" for each in statements))
        if "ERROR" in said:  # single mode goes on after one, and ends well
            raise RequestError("database.setup", f"The roles of the database could not be made in {self.making}.")


@contextmanager
def claimed(folder: Path, account: Account) -> Iterator[None]:
    """Make the folder where it is missing, and keep every other gateway process out of it meanwhile.

    Raises:
        RequestError: ``database.in_use`` when another one has it; ``database.owner``, ``database.permissions``.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o710)
    if not any(folder.iterdir()) and folder.stat().st_uid == os.geteuid():
        folder.chmod(0o710)
    _refuse_others_access(folder)
    os.chown(folder, -1, account.gid)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError(
                "database.in_use",
                f"Another gateway process has the database in {folder}. A second node needs a data directory of its "
                f"own and the URLs of this database.",
            ) from error
        yield
    finally:
        os.close(descriptor)


def read_passwords(folder: Path) -> Passwords:
    """Return the passwords that the gateway made up for the database in the folder.

    Raises:
        RequestError: ``database.passwords`` when they are not there, ``database.permissions`` when others can read.
    """
    path = folder / "passwords.json"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise RequestError("database.passwords", f"{path} cannot be read: {error.strerror}. Restore it.") from error
    with os.fdopen(descriptor) as file:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise RequestError("database.permissions", f"{path} is open to other users; close it: chmod 600 {path}")
        return Passwords(**json.load(file))


def _refuse_others_access(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise RequestError(
            "database.owner",
            f"{folder} belongs to user {found.st_uid}, and the gateway runs as user {os.geteuid()}: "
            f"start it as that user, or give it another data directory.",
        )
    if found.st_mode & 0o027:
        raise RequestError("database.permissions", f"{folder} is open to other users; close it: chmod 710 {folder}")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


@contextmanager
def _readable_once(secret: str) -> Iterator[tuple[str, int]]:
    """Give a secret a path for a child of ours, without a command line, a disk or an environment."""
    descriptor = os.memfd_create("secret")
    try:
        os.write(descriptor, f"{secret}\n".encode())
        yield f"/proc/self/fd/{descriptor}", descriptor
    finally:
        os.close(descriptor)


def _sync_filesystem(folder: Path) -> None:
    """Wait until everything below the folder is on the disk; a thousand single fsyncs would take seconds."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), f"{folder} cannot be written to the disk")
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
