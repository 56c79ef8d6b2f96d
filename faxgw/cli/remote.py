"""What ``submit``, ``list``, ``watch`` and ``cancel`` share: a client of the REST API, and faxes told in words."""

import json
import os
import ssl
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self
from uuid import uuid4

import httpx
import typer

from faxgw import __version__
from faxgw.errors import RequestError
from t30.line import LineError

SERVER, KEY, AUTHORITY = "FAXGW_SERVER", "FAXGW_API_KEY", "FAXGW_CA"
TRIES = 4
PAUSE = 0.5
"""Seconds before the second try; doubled for each further one, or what the server asks for."""
LONGEST_PAUSE = 30.0
SILENCE = 45.0
"""Seconds without anything on a stream, where the server sends a sign of life every 15: then it is asked anew."""

GOOD = frozenset({"delivered", "received"})
LAST = frozenset(f"fax.{each}" for each in GOOD | {"partially_sent", "partially_received", "failed", "canceled"})
"""Types of the event after which nothing more happens to a fax."""

ServerOption = Annotated[
    str, typer.Option("--server", metavar="URL", envvar=SERVER, help="The gateway; its API key is in FAXGW_API_KEY.")
]
AuthorityOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        envvar=AUTHORITY,
        help="Certificate to trust besides the public ones; a gateway on this machine is known by its own.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
LOCAL = "https://localhost:8443"


class Unavailable(LineError):
    """The gateway cannot be reached, or cannot answer now; commands end with exit code 1.

    Attributes:
        again: whether the same request may succeed in a moment.
        pause: seconds that the gateway asks to wait for; None if it does not say.
    """

    def __init__(self, text: str, *, code: str = "server.unavailable", again: bool, pause: float | None = None) -> None:
        super().__init__(text, code=code)
        self.again = again
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    id: str
    type: str
    data: Mapping[str, Any]


class _Nothing(Exception):
    """There are no more events, and there will be none."""


class Gateway:
    """A gateway somewhere, by its REST API.

    Requests that failed on the way, or that the server could not take just now, are tried again: ones that make
    something carry an Idempotency-Key, so that nothing is made twice.
    """

    def __init__(self, server: str, authority: Path | None) -> None:
        """Take the API key from the environment: on the command line, every user of the machine would see it.

        Raises:
            RequestError: without a key, or with a URL or file that makes no sense.
        """
        key = os.environ.get(KEY, "")
        if not key:
            raise RequestError("usage", f"Put your API key into the environment variable {KEY}.")
        url = httpx.URL(server)
        if url.scheme != "https" or not url.host:
            raise RequestError("usage", f"{server!r} is no gateway; one looks like {LOCAL}")
        self._http = httpx.Client(
            base_url=url,
            verify=_trusted(url.host, authority),
            timeout=httpx.Timeout(30.0),
            headers={"Authorization": f"Bearer {key}", "User-Agent": f"faxgw/{__version__}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return what is there.

        Raises:
            RequestError: with the API's code, if it refuses.
            Unavailable: if there is no answer.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return self._asked("GET", path, params=given)

    def post(self, path: str, body: Any = None) -> Any:
        """Send JSON and return the answer; raises as ``get`` does."""
        return self._asked("POST", path, headers={"Idempotency-Key": str(uuid4())}, json=body)

    def upload(self, name: str, content: bytes, media_type: str) -> Any:
        """Send a document and return what it is there; raises as ``get`` does."""
        headers = {"Idempotency-Key": str(uuid4()), "Content-Type": media_type}
        return self._asked("POST", "/v1/documents", headers=headers, content=content, params={"name": name})

    def items(self, path: str, *, most: int, **query: Any) -> Iterator[dict[str, Any]]:
        """Return up to ``most`` items of a list, page by page."""
        cursor: str | None = None
        while most > 0:
            page = self.get(path, **query, cursor=cursor, limit=min(most, 200))
            yield from page["items"][:most]
            most -= len(page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def events(self, path: str, *, last: frozenset[str]) -> Iterator[Event]:
        """Return events as they happen, up to one of a type in ``last``; a stream that breaks goes on where it was."""
        after, tries = "", 0
        while True:
            try:
                with closing(self._stream(path, after)) as stream:
                    for event in stream:
                        after, tries = event.id or after, 0
                        yield event
                        if event.type in last:
                            return
                fault: Exception = Unavailable("the gateway is being stopped", again=True)
            except _Nothing:
                return
            except (httpx.TransportError, Unavailable) as broken:
                fault = broken
            tries += 1
            self._wait(fault, tries)

    def _stream(self, path: str, last: str) -> Generator[Event]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        with self._http.stream("GET", path, headers=headers, timeout=httpx.Timeout(30.0, read=SILENCE)) as answer:
            if answer.status_code >= 400:
                answer.read()
            _check(answer)
            if answer.status_code == httpx.codes.NO_CONTENT:
                raise _Nothing
            yield from _events(answer.iter_lines())

    def _asked(self, method: str, path: str, **request: Any) -> Any:
        tries = 0
        while True:
            try:
                answer = self._http.request(method, path, **request)
                _check(answer)
                return answer.json() if answer.content else None
            except (httpx.TransportError, Unavailable) as fault:
                tries += 1
                self._wait(fault, tries)

    def _wait(self, fault: Exception, tries: int) -> None:
        """Wait before another try, or raise where there is no point in one."""
        again, pause = (fault.again, fault.pause) if isinstance(fault, Unavailable) else (True, None)
        # Nobody listens there, or shows a certificate that is not trusted: that will not be otherwise in a moment.
        if tries >= TRIES or not again or (isinstance(fault, httpx.ConnectError) and tries == 1):
            code = fault.code if isinstance(fault, Unavailable) else "server.unreachable"
            raise Unavailable(f"{self._http.base_url}: {_said(fault)}", code=code, again=False) from None
        time.sleep(min(PAUSE * 2**tries if pause is None else pause, LONGEST_PAUSE))


@contextmanager
def connected(server: str, authority: Path | None, *, as_json: bool) -> Iterator[Gateway]:
    """Give the gateway; where it cannot answer, say so, as JSON too if wanted, and end the command with exit code 1."""
    try:
        with Gateway(server, authority) as gateway:
            yield gateway
    except Unavailable as fault:
        if as_json:
            typer.echo(json.dumps({"error": {"code": fault.code, "text": str(fault)}}))
        typer.echo(f"faxgw: {fault}", err=True)
        raise typer.Exit(1) from None


def follow(gateway: Gateway, fax: str) -> dict[str, Any]:
    """Tell the events of a fax on standard error until its end, and return the fax."""
    for event in gateway.events(f"/v1/faxes/{fax}/events", last=LAST):
        typer.echo(event_in_words(event), err=True)
    found: dict[str, Any] = gateway.get(f"/v1/faxes/{fax}")
    return found


def finish(fax: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a fax has come to and end the command: exit code 0 if it went through whole, else 1."""
    typer.echo(json.dumps(fax) if as_json else fax_in_words(fax))
    raise typer.Exit(0 if fax["state"] in GOOD else 1)


def fax_in_words(fax: Mapping[str, Any]) -> str:
    """Say in one line how a fax is."""
    pages = f", {fax['pages_done']} of {fax['pages']} pages" if fax.get("pages") else ""
    reason = (fax.get("reason") or {}).get("text", "")
    return f"{fax['id']} {fax['state']}{pages}{f': {reason}' if reason else ''}"


def event_in_words(event: Event) -> str:
    """Say in one line what happened."""
    data = event.data.get("data") or {}
    words = event.type.removeprefix("fax.").replace("_", " ")
    if "page" in data:
        words += f": page {data['page']}" + (f" of {data['pages']}" if data.get("pages") else "")
    reason = data.get("reason") or {}
    if isinstance(reason, Mapping) and reason.get("text"):
        words += f": {reason['text']}"
    if data.get("at"):
        words += f", again at {data['at']}"
    return words


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Take server-sent events apart."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":")
        if line:
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif fields.get("data"):
            yield Event(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
            fields = {}


def _check(answer: httpx.Response) -> None:
    if answer.status_code < 400:
        return
    try:
        problem = answer.json()
        code, detail = str(problem["code"]), str(problem.get("detail") or problem["title"])
        again = bool(problem.get("retryable"))
    except (ValueError, KeyError, TypeError, AttributeError):
        problem, again = {}, False
        code, detail = "server.unclear", f"it answers {answer.status_code}; is it a gateway?"
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= 500:
        asked = answer.headers.get("Retry-After", "")
        raise Unavailable(detail, code=code, again=again, pause=float(asked) if asked.isdigit() else None)
    fields = "".join(f"; {each.get('pointer')}: {each.get('detail')}" for each in problem.get("errors") or [])
    raise RequestError(code, detail + fields)


def _said(fault: Exception) -> str:
    text = str(fault) or type(fault).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not trusted; name it with --ca FILE ({AUTHORITY})"
    return text


def _trusted(host: str, authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if authority is None and _is_here(host):
            authority = _own_certificate()
        if authority is not None:
            context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise RequestError("usage", f"{authority} is no certificate in PEM: {error}") from None
    return context


def _own_certificate() -> Path | None:
    from faxgw.config import ConfigError, load  # noqa: PLC0415 (only for a gateway on this machine)

    try:
        path = load().data_dir / "tls" / "cert.pem"
    except ConfigError:
        return None
    return path if os.access(path, os.R_OK) else None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
