"""The HTTPS listener: uvicorn in our loop, which leaves signals and logging to the service."""

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from faxgw.api.call import Api
from faxgw.api.listening import listen
from faxgw.api.protocol import Protocol
from faxgw.gateway import Gateway
from faxgw.private import bound
from faxgw.tls import ServerTls

log = structlog.get_logger(__name__)

GRACE = 5
"""Seconds that requests under way have when the service stops."""
KEEP_ALIVE = 75


class _Server(uvicorn.Server):
    """Uvicorn without its own handling of signals; ``ready`` is set once connections are taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the service."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.ready.set()


async def serve(
    gateway: Gateway, app: FastAPI, *, tls: ServerTls, started: Callable[[int], None] | None = None
) -> None:
    """Serve the API until cancelled; then streams end, and requests under way have a few seconds.

    Args:
        gateway: what the API works with.
        app: made by ``create_app``.
        tls: certificate and context of the listener.
        started: called with the port once connections are taken.

    Raises:
        RequestError: ``listener.unavailable``, if the port cannot be had.
    """
    api: Api = app.state.api
    server = _Server(_config(app, tls))
    settings = gateway.config.api
    with bound(settings.host, settings.port, "api") as listener:
        hearing = asyncio.create_task(listen(api), name="notifications for the API")
        serving = asyncio.create_task(server.serve([listener]), name="the API")
        ready = asyncio.create_task(server.ready.wait())
        try:
            await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
            if server.ready.is_set():
                log.info("listening", what="API", host=settings.host, port=listener.getsockname()[1])
                if started is not None:
                    started(listener.getsockname()[1])
            await asyncio.wait({hearing, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            api.hub.stop()
            server.should_exit = True
            hearing.cancel()
            ready.cancel()
            await asyncio.shield(asyncio.gather(serving, hearing, return_exceptions=True))
    for each in (hearing, serving):
        if not each.cancelled() and (fault := each.exception()):
            raise fault


def _config(app: FastAPI, tls: ServerTls) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ssl_context_factory=lambda _config, _default: tls.context,
    )
