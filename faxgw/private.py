"""The private listener: health and metrics over plain HTTP, for this machine and whoever watches it."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from faxgw.config.model import PrivateSettings
from faxgw.errors import RequestError
from faxgw.health import Health
from faxgw.metrics import exposition

log = structlog.get_logger(__name__)

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
GRACE = 1
"""Seconds that a request has when the service stops."""
NO_STORE = {"Cache-Control": "no-store"}


def private_app(health: Health) -> Starlette:
    """Return the application: ``/health/live``, ``/health/ready`` and ``/metrics``."""

    async def live(_request: Request) -> Response:
        return JSONResponse({"live": True}, headers=NO_STORE)

    async def ready(_request: Request) -> Response:
        findings = await health.findings()
        is_ready = all(each.ok for each in findings.values())
        is_degraded = any(each.degraded for each in findings.values())
        checks = {
            name: {"ok": each.ok, "degraded": each.degraded, "text": each.text, "seconds": round(each.seconds, 4)}
            for name, each in findings.items()
        }
        said = {"ready": is_ready, "degraded": is_degraded, "checks": checks}
        return JSONResponse(said, 200 if is_ready else 503, headers=NO_STORE)

    async def metrics(_request: Request) -> Response:
        return Response(exposition(), media_type=TEXT_FORMAT, headers=NO_STORE)

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)])


@asynccontextmanager
async def private_listener(settings: PrivateSettings, health: Health) -> AsyncIterator[int]:
    """Listen until the end of the block; gives the port.

    Raises:
        RequestError: ``listener.unavailable`` if the address or port is not to be had.
    """
    with bound(settings.host, settings.port, "private") as listening:
        port: int = listening.getsockname()[1]
        config = uvicorn.Config(
            private_app(health),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
        server = _Server(config)
        log.info("listening", what="health and metrics", host=settings.host, port=port)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield port
        finally:
            server.should_exit = True
            await serving


def bound(host: str, port: int, section: str) -> socket.socket:
    """Return a socket that listens there; ``section`` is where the configuration says so.

    Raises:
        RequestError: ``listener.unavailable`` with what to do.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(
            (host, port), family=family, backlog=1024, dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6()
        )
    except OSError as error:
        raise RequestError("listener.unavailable", f"{section}: {_why(error, host, port, section)}") from None


def _why(error: OSError, host: str, port: int, section: str) -> str:
    variable = f"FAXGW_{section.upper()}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use; end the other program, or set {variable}_PORT to another port"
        case errno.EACCES:
            return f"this user may not listen on port {port}; set {variable}_PORT to one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; set {variable}_HOST to one of its own"
        case _:
            return f"{host} port {port} cannot be listened on: {error.strerror}"


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave signals to the service."""
        return nullcontext()
