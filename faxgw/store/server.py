"""The private PostgreSQL: made on the first start, run under a user of its own, and brought back when it dies.

It listens on a Unix socket in a folder that only its user and ours may enter; every role needs its password there.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from faxgw.errors import RequestError
from faxgw.store import account
from faxgw.store.account import ClusterLock
from faxgw.store.cluster import HERE, MAX_SOCKET_PATH, SOCKET, Cluster, claimed, read_passwords
from faxgw.store.roles import Urls

log = structlog.get_logger(__name__)

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": "../socket",
    "unix_socket_permissions": "0700",
    "cluster_name": "faxgw",
    "timezone": "UTC",
    # Fit for a small service that is idle most of the time.
    "max_connections": "60",
    "shared_buffers": "32MB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    # No replica and no archive: less is written.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "15min",
    "recovery_init_sync_method": "syncfs",  # after a crash: one call, not a thousand files in up to 2 s
    # Its log names no value: neither statements nor parameters, nor the keys in the details of an error.
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}
POLL = 0.01
START_LIMIT = 60.0
STOP_LIMIT = 10.0
FIRST_PAUSE, LAST_PAUSE, STEADY = 0.1, 5.0, 30.0
"""Seconds: between looks at a server that starts; for a start, recovery included; for a stop; between tries, back to
the first pause after a steady run."""

ENDINGS = (
    (signal.SIGINT, 0.1),
    (signal.SIGQUIT, STOP_LIMIT),
    (signal.SIGKILL, STOP_LIMIT),
    (signal.SIGKILL, STOP_LIMIT),
)
"""How an earlier server is asked to end: after how many seconds without an end which signal comes."""


class PrivateServer:
    """A PostgreSQL of our own in a folder; start it, use ``urls``, stop it.

    Attributes:
        urls: how the roles reach it; from ``start`` on.
        fault: why it does not run at the moment, in one sentence; None while it does.
    """

    def __init__(
        self, folder: Path, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """Name the folder (made when it starts), and where the programs and settings differ from the usual ones."""
        self.folder = folder.absolute()
        self.urls = Urls("", "", "")
        self.fault: str | None = "PostgreSQL has not been started."
        self._binaries = binaries
        self._settings = {**SETTINGS, **(settings or {})}
        self._cluster: Cluster
        self._spawned_at = datetime.min
        self._process: subprocess.Popen[str] | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._held = ExitStack()

    async def start(self) -> None:
        """Make the database where there is none, and start the server; return when it takes connections.

        Raises:
            RequestError: ``database.*``, when it cannot be: the reason says what to do.
        """
        try:
            await _in_thread(self._claim)
            with closing(await self._vacated()) as lock:
                await _in_thread(self._prepare, lock)
                await self._launch(lock)
        except OSError as error:
            self._held.close()
            raise RequestError("database.folder", f"{self.folder} cannot hold the database: {error}") from error
        except BaseException:
            self._held.close()
            raise
        self._supervision = asyncio.create_task(self._supervise(), name="private PostgreSQL")

    async def stop(self) -> None:
        """End the server in good order: transactions in progress are rolled back."""
        if not self._supervision:
            return
        self._supervision.cancel()
        await asyncio.wait([self._supervision])
        self._supervision = None
        self.fault = "PostgreSQL has been stopped."
        try:
            await self._end_process(signal.SIGINT)
            (await self._vacated()).close()  # its logger ends a moment later
        finally:
            self._held.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the server; None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def _claim(self) -> None:
        user = account.account()
        self._held.enter_context(claimed(self.folder, user))
        binaries = account.reachable_binaries(self._binaries or account.installed_binaries(), user)
        self._cluster = Cluster(self.folder, user, binaries)

    def _prepare(self, lock: ClusterLock) -> None:
        passwords = self._cluster.prepare(lock)
        socket = os.open(self._cluster.socket, os.O_PATH | os.O_DIRECTORY)
        self._held.callback(os.close, socket)
        path = str(self._cluster.socket)
        if not _fits(path):
            path = f"/proc/self/fd/{socket}"  # short enough in every case, and good for this process
        self.urls = Urls.of_socket(path, passwords)

    async def _launch(self, lock: ClusterLock) -> None:
        began = time.monotonic()
        self._spawn(lock)
        try:
            await self._ready(began + START_LIMIT)
        except BaseException:
            await self._end_process(signal.SIGQUIT)
            raise
        self.fault = None
        log.info("PostgreSQL is ready", folder=self.folder, seconds=round(time.monotonic() - began, 3))

    def _spawn(self, lock: ClusterLock) -> None:
        """Start the server; on the loop, for all its 5 ms: in a thread it could outlive the wish for it."""
        options = [part for name, value in self._sized_settings().items() for part in ("-c", f"{name}={value}")]
        self._cluster.forget_dead_server()
        self._spawned_at = datetime.now(UTC)
        with self._cluster.start_log.open("wb") as errors:
            self._process = self._cluster.account.start(
                [str(self._cluster.binaries / "postgres"), "-D", HERE, *options],
                self._cluster.data,
                lock=lock,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )

    async def _ready(self, until: float) -> None:
        process = self._process
        assert process
        while not self._cluster.ready(process.pid):
            if process.poll() is not None:
                raise RequestError("database.start", self._obituary())
            if time.monotonic() > until:
                words = self._cluster.last_words(self._spawned_at)
                raise RequestError("database.start", f"PostgreSQL was not ready after {START_LIMIT:.0f} s: {words}")
            await asyncio.sleep(POLL)

    async def _supervise(self) -> None:
        pause = FIRST_PAUSE
        while True:
            assert self._process
            began = time.monotonic()
            await _end_of(self._process.pid)
            self.fault = self._obituary()
            if time.monotonic() > began + STEADY:
                pause = FIRST_PAUSE
            while self.fault:
                log.error("PostgreSQL does not run", reason=self.fault, next_try_in=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
                try:
                    with closing(await self._vacated()) as lock:
                        await self._launch(lock)
                except (RequestError, OSError) as error:
                    self.fault = str(error)

    async def _vacated(self) -> ClusterLock:
        """Return the lock on the cluster, once every process of an earlier server is gone; they are told to go.

        They are there after a kill -9 of the gateway (a whole server) or of the server (its children, for a moment).
        """
        for number, limit in ENDINGS:
            until = time.monotonic() + limit
            while time.monotonic() < until:
                if lock := self._cluster.lock():
                    return lock
                await asyncio.sleep(POLL)
            for pid in self._cluster.survivors():
                log.warning("an earlier PostgreSQL is still there; it is told to end", pid=pid, signal=number.name)
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        raise RequestError(
            "database.in_use",
            f"An earlier PostgreSQL still works in {self._cluster.data} and cannot be ended from here.",
        )

    async def _end_process(self, number: signal.Signals) -> None:
        for each in (number, signal.SIGQUIT, signal.SIGKILL):
            if not self._process or self._process.poll() is not None:
                return
            self._process.send_signal(each)
            try:
                await asyncio.wait_for(_end_of(self._process.pid), STOP_LIMIT)
            except TimeoutError:
                log.warning("PostgreSQL does not end", signal=each.name)

    def _sized_settings(self) -> dict[str, str]:
        """Return the settings, with as much write-ahead log as the disk has room for: more of it costs fewer writes."""
        free = shutil.disk_usage(self.folder).free >> 20
        most = min(max(free // 16, 8), 256)
        return {"max_wal_size": f"{most}MB", "min_wal_size": f"{max(most // 4, 4)}MB", **self._settings}

    def _obituary(self) -> str:
        code = self._process.poll() if self._process else None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"PostgreSQL ended with {how}: {self._cluster.last_words(self._spawned_at)}"


def urls_for_another_node(folder: Path) -> Urls:
    """Return how another gateway process on this machine reaches the private database in the folder while it runs.

    Raises:
        RequestError: ``database.passwords``, ``database.permissions``; ``database.folder`` when the path is too long.
    """
    path = str(folder.absolute() / "socket")
    if not _fits(path):
        raise RequestError(
            "database.folder",
            f"{path} is too long for a socket: another node needs a data directory with a shorter path.",
        )
    return Urls.of_socket(path, read_passwords(folder))


def _fits(folder: str) -> bool:
    return len(os.fsencode(f"{folder}/{SOCKET}")) <= MAX_SOCKET_PATH


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    """Run work in a thread; to its end, even if nobody wants it any more: it holds what is given up afterwards."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def _end_of(pid: int) -> None:
    """Wait until a child of ours has ended, whatever loop this is."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
