"""HTTP on one connection: uvicorn's, with limits on the head of a request, and with problems for its own refusals."""

import asyncio

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faxgw.api.hardening import HEADERS
from faxgw.api.problems import Problem, response

HEAD_SECONDS = 20.0
"""Seconds in which the head of a request must be there: from when the connection was made, or from its first octet.

Without it, whoever opens connections and says next to nothing would hold them for ever.
"""
HEAD_LIMIT = 64 * 1024
"""Octets of a head; the parser itself would take any number into memory."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None
    _head: HTTPScope | None = None
    """The request whose head has begun and is not over."""
    _octets = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; TLS is agreed on by now."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._await_no_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take octets of heads and bodies."""
        head = self._head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if head is not None and self._head is head:
            self._octets += len(data)
            if self._octets > HEAD_LIMIT:
                self._refuse(f"The head of a request may have {HEAD_LIMIT:,} octets.")
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            # Uvicorn's own limit, for idle connections, is off now: what comes is a head, or the rest of a body.
            self._await_head()

    def on_message_begin(self) -> None:
        """Take note of a head that begins."""
        super().on_message_begin()
        self._head, self._octets = self.scope, 0

    def on_headers_complete(self) -> None:
        """Take note of a head that is whole, and have it answered."""
        self._head = None
        self._await_no_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what is no HTTP, and close the connection; ``msg`` tells no more than that."""
        self._refuse("")

    def _refuse(self, reason: str) -> None:
        refused = response(Problem("request.http", reason, headers={"connection": "close"}))
        head = [f"{name}: {value}" for name, value in {**HEADERS, **refused.headers}.items()]
        self.transport.write("\r\n".join(["HTTP/1.1 400 Bad Request", *head, "", ""]).encode() + bytes(refused.body))
        self.transport.close()

    def _await_head(self) -> None:
        # Not closed politely: that would wait once more for somebody who says nothing.
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _await_no_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
