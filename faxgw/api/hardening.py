"""What every answer has: security headers; who may connect at all; the access log, without numbers."""

import time
from collections.abc import Sequence

import structlog
from pydantic import IPvAnyNetwork
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from faxgw.api.addresses import may_connect
from faxgw.api.problems import Problem, response
from faxgw.metrics import REQUEST_SECONDS

log = structlog.get_logger("faxgw.api.access")

MOST_UNDER_WAY = 2000
"""Requests, streams among them, that are answered at once; more get 503."""

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

    def __init__(self, app: ASGIApp, *, allowed: Sequence[IPvAnyNetwork]) -> None:
        self._app = app
        self._allowed = allowed
        self._under_way = 0

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
                    headers.setdefault(name, value)
                for name, value in scope.get("state", {}).get("rate_headers", {}).items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        self._under_way += 1
        try:
            await self._app_for(scope)(scope, receive, send_hardened)
        finally:
            self._under_way -= 1
            path = getattr(scope.get("route"), "path", "")
            seconds = time.perf_counter() - began
            REQUEST_SECONDS.labels(scope["method"], path, str(status)).observe(seconds)
            # The path as declared: a path as sent, or a query, may hold a telephone number.
            log.info("request", method=scope["method"], path=path, status=status, ms=round(seconds * 1000, 1))

    def _app_for(self, scope: Scope) -> ASGIApp:
        if not may_connect(scope, self._allowed):
            return response(Problem("access.address"))
        return self._app if self._under_way <= MOST_UNDER_WAY else response(Problem("service.busy"))
