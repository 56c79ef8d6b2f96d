"""What every answer has, whatever made it: security headers; and the access log, without numbers and ids of people."""

import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from faxgw.metrics import REQUEST_SECONDS

log = structlog.get_logger("faxgw.api.access")

HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Hardening:
    """Adds the headers and writes the log; a pure ASGI layer, since nothing may be held back of a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def send_hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                for name, value in scope.get("state", {}).get("rate_headers", {}).items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_hardened)
        finally:
            path = getattr(scope.get("route"), "path", "")
            seconds = time.perf_counter() - began
            REQUEST_SECONDS.labels(scope["method"], path, str(status)).observe(seconds)
            # The path as declared: a path as sent, or a query, may hold a telephone number.
            log.info("request", method=scope["method"], path=path, status=status, ms=round(seconds * 1000, 1))
