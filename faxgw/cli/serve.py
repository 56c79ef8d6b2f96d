"""``faxgw serve``: the gateway service, until a signal ends it."""

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from faxgw.config import Config, load
from faxgw.data_folder import held
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
GIVES_WAY = 0.001
"""Seconds after which a thread that computes lets the loop go on, where calls wait for their answers; usually 5 ms."""
SETTLED_AFTER = 10.0
"""Seconds after which all is imported; to search that for garbage now and then would hold the loop up for 0.3 s."""
M_ARENA_MAX, ARENAS = -8, 2  # malloc.h


@app.command()
def serve(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Run the gateway service until SIGINT or SIGTERM."""
    config = load(config_file, data_dir=data)
    keep_memory_private()
    keep_memory_small()
    sys.setswitchinterval(GIVES_WAY)
    gc.disable()  # until it is ready: nothing that is imported is garbage
    with held(config.data_dir), logging_to(config.log) as running:
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
    await run(config, ready=_ready, stop=stop)
    log.info("stopped")


def _ready(_gateway: object) -> None:
    log.info("ready")
    gc.freeze()  # else all of it would be searched at once
    gc.enable()
    asyncio.get_running_loop().call_later(SETTLED_AFTER, gc.freeze)


def keep_memory_private() -> None:
    """Let nobody read this process's memory, which has pages and keys in it, from a core dump or by tracing it."""
    os.umask(0o077)
    hardest = resource.getrlimit(resource.RLIMIT_CORE)[1]
    # Not 0: only at 1 does Linux also keep cores, of our workers too, from a program that core_pattern names.
    limit = min(1, hardest) if hardest != resource.RLIM_INFINITY else 1
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_memory_small() -> None:
    """Have the threads share two heaps (glibc): with one each, what a busy hour took stays scattered over all."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def _first(fault: BaseException) -> BaseException:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
