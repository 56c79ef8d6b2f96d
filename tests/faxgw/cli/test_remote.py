"""The client of the remote commands against a server that is not always there: what is asked again, and what is not."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from faxgw.cli import remote
from faxgw.errors import RequestError
from faxgw.tls import make_certificate

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers each request with the next answer of a script, and remembers what was asked."""

    daemon_threads = True

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Scripted)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.script: list[Answer] = []
        self.asked: list[tuple[str, dict[str, str]]] = []


class _Scripted(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((f"{self.command} {self.path}", {**self.headers}))
        self.server.script.pop(0)(self)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def says(status: int, body: Any, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        octets = json.dumps(body).encode()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(octets)))
        request.end_headers()
        request.wfile.write(octets)

    return answer


def problem(status: int, code: str, *, retryable: bool, **headers: str) -> Answer:
    return says(status, {"code": code, "title": code, "detail": f"{code}.", "retryable": retryable}, **headers)


def streams(*events: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        request.wfile.write("".join(events).encode())

    return answer


def event(number: int, kind: str) -> str:
    return f": beat\n\nid: {number}\nevent: {kind}\ndata: {json.dumps({'id': number, 'data': {}})}\n\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    make_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Server(tmp_path / "cert.pem", tmp_path / "key.pem") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[remote.Gateway]:
    monkeypatch.setenv("FAXGW_API_KEY", "fgw_key")
    with remote.Gateway(f"https://localhost:{server.server_port}", tmp_path / "cert.pem") as gateway:
        yield gateway


def test_what_the_server_cannot_do_now_is_asked_again_under_the_same_key(
    server: Server, gateway: remote.Gateway
) -> None:
    server.script = [
        problem(503, "service.unavailable", retryable=True, Retry_After="0"),
        problem(429, "rate.limited", retryable=True, Retry_After="0"),
        says(202, {"id": "x", "state": "accepted"}),
    ]
    assert gateway.post("/v1/faxes", {"to": "1"})["id"] == "x"
    assert [what for what, _ in server.asked] == ["POST /v1/faxes"] * 3
    assert len({headers["Idempotency-Key"] for _, headers in server.asked}) == 1
    assert {headers["Authorization"] for _, headers in server.asked} == {"Bearer fgw_key"}


def test_what_is_wrong_for_good_is_not_asked_again(server: Server, gateway: remote.Gateway) -> None:
    server.script = [problem(500, "internal.error", retryable=False), problem(422, "number.invalid", retryable=False)]
    with pytest.raises(remote.Unavailable, match=r"internal\.error"):
        gateway.get("/v1/faxes")
    with pytest.raises(RequestError) as refused:
        gateway.get("/v1/faxes")
    assert refused.value.code == "number.invalid"
    assert len(server.asked) == 2


def test_a_server_that_never_can_is_given_up(server: Server, gateway: remote.Gateway) -> None:
    busy = problem(503, "service.unavailable", retryable=True, Retry_After="0")
    server.script = [busy] * (remote.TRIES + 1)
    with pytest.raises(remote.Unavailable) as given_up:
        gateway.get("/v1/faxes")
    assert given_up.value.code == "service.unavailable"
    assert len(server.asked) == remote.TRIES


def test_something_that_is_no_gateway_is_said_so(server: Server, gateway: remote.Gateway) -> None:
    server.script = [says(404, "not here"), says(502, ["neither"])]
    with pytest.raises(RequestError, match="is it a gateway"):
        gateway.get("/v1/faxes")
    with pytest.raises(remote.Unavailable, match="is it a gateway"):
        gateway.get("/v1/faxes")


def test_a_stream_that_breaks_goes_on_after_the_last_event_that_came(server: Server, gateway: remote.Gateway) -> None:
    server.script = [
        streams(event(1, "fax.queued"), event(2, "fax.dialing"), "id: 3\ndata: {"),
        streams(event(3, "fax.sending"), event(4, "fax.delivered"), event(5, "never.read")),
    ]
    told = [(each.id, each.type) for each in gateway.events("/v1/faxes/x/events", last=remote.LAST)]
    assert told == [("1", "fax.queued"), ("2", "fax.dialing"), ("3", "fax.sending"), ("4", "fax.delivered")]
    assert [headers.get("Last-Event-ID") for _, headers in server.asked] == [None, "2"]


def test_a_list_is_read_page_by_page_up_to_what_is_wanted(server: Server, gateway: remote.Gateway) -> None:
    server.script = [
        says(200, {"items": [{"n": 1}, {"n": 2}], "next": "c1"}),
        says(200, {"items": [{"n": 3}, {"n": 4}], "next": "c2"}),
    ]
    assert [each["n"] for each in gateway.items("/v1/faxes", most=3, box=None, state=["a", "b"])] == [1, 2, 3]
    assert [what for what, _ in server.asked] == [
        "GET /v1/faxes?state=a&state=b&limit=3",
        "GET /v1/faxes?state=a&state=b&cursor=c1&limit=1",
    ]


@pytest.mark.parametrize("url", ["http://localhost:8443", "localhost:8443", "ftp://x"])
def test_only_https_is_spoken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAXGW_API_KEY", "fgw_key")
    with pytest.raises(RequestError, match="is no gateway"):
        remote.Gateway(url, None)
