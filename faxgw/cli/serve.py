"""``faxgw serve``: the gateway service, until a signal ends it."""

import asyncio
import ctypes
import fcntl
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from faxgw.config import Config, load
from faxgw.errors import RequestError
from faxgw.logs import logging_to
from faxgw.metrics import LOG_LOST

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
log = structlog.get_logger(__name__)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration; else FAXGW_CONFIG, or none at all.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Where everything is stored; else as configured.")
]

PR_SET_DUMPABLE = 4  # linux/prctl.h


@app.command()
def serve(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Run the gateway service until SIGINT or SIGTERM."""
    config = load(config_file, data_dir=data)
    keep_memory_private()
    with one_per_folder(config.data_dir), logging_to(config.log) as running:
        LOG_LOST.set_function(lambda: running.lost)
        try:
            uvloop.run(_serve(config))
        except Exception as fault:
            cause = _first(fault)
            if isinstance(cause, RequestError):
                raise cause from None
            log.exception("the service ended because a part of it failed")
            raise typer.Exit(1) from None


async def _serve(config: Config) -> None:
    # What it stands on takes half a second to import; a mistake in the configuration is told before.
    from faxgw.service import serve as run  # noqa: PLC0415

    stop, task = asyncio.Event(), asyncio.current_task()
    assert task is not None

    def end() -> None:
        if stop.is_set():
            task.cancel()  # asked for twice: at once
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    log.info("starting", node=config.node, data_dir=config.data_dir)
    await run(config, ready=lambda _gateway: log.info("ready"), stop=stop)
    log.info("stopped")


@contextmanager
def one_per_folder(data_dir: Path) -> Iterator[None]:
    """Hold the data directory, made where it is missing, for this process alone.

    Raises:
        RequestError: ``data.in_use`` if another process holds it, ``data.folder`` if it cannot be written.
    """
    try:
        make_folder(data_dir)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = f"{data_dir} cannot hold the gateway's data: {error.strerror}; name another folder with --data."
        raise RequestError("data.folder", reason) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        reason = f"Another gateway process runs with {data_dir}; end it, or give this one a data directory of its own."
        raise RequestError("data.in_use", reason) from None
    finally:
        os.close(lock)


def make_folder(data_dir: Path) -> None:
    """Make the data directory where it is missing."""
    if not data_dir.exists():
        data_dir.mkdir(parents=True)
        # Run by root, the private PostgreSQL has a user of its own, which must get through to its folder.
        data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)


def keep_memory_private() -> None:
    """Let nobody read this process's memory, which has pages and keys in it, from a core dump or by tracing it."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        # A limit of 0 does not keep cores from a program that core_pattern names; this does.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _first(fault: BaseException) -> BaseException:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
