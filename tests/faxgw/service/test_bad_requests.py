"""WF-04: what is wrong over TLS has its documented error, and nothing of it is left: no row, no file, no content."""

import hashlib
import json
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from faxgw.documents.tiff import tiff_octets
from tests.faxgw.documents.office_files import overlapping_bomb
from tests.faxgw.documents.test_bad_uploads import cut_jpeg, encrypted_pdf, pdf_bomb
from tests.faxgw.service.conftest import LIMIT
from tests.faxgw.service.residue import LONG_ENOUGH, found, left_behind, marks_of, noise, places, wait_for
from tests.faxgw.serving import Service, ended, send, upload

CANARY = "this sentence is in no other file 58f1c3"
ANSWERS = "+15550100"
ERRORS = Path(__file__).parents[3] / "docs" / "errors.md"


def flood() -> bytes:
    """Make a TIFF that says it has 60,000 by 60,000 pels."""
    entries = {256: 60_000, 257: 60_000, 258: 1, 259: 4, 262: 0, 273: 8, 278: 60_000, 279: 40}
    head = struct.pack("<2sHI", b"II", 42, 48) + CANARY.encode()
    assert len(head) == 48
    return (
        head
        + struct.pack("<H", 8)
        + b"".join(struct.pack("<HHII", tag, 4, 1, each) for tag, each in entries.items())
        + bytes(4)
    )


def png_bomb() -> bytes:
    """Make a PNG of 30,000 by 30,000 pels in 110 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    words = chunk(b"tEXt", b"Comment\0" + CANARY.encode())
    data = zlib.compress(bytes(3751) * 30_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + words + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def big(octets: bytes, *, over: int = 300_000) -> bytes:
    """Make an upload so long that it goes into the archive before it is read."""
    return octets + hashlib.shake_256(octets).digest(over)


UPLOADS: dict[str, tuple[Callable[[], bytes], str, int, str]] = {
    "empty": (lambda: b"", "text/plain", 422, "document.empty"),
    "of no kind": (lambda: b"\x7fELF\2\1\1\0" + CANARY.encode(), "application/pdf", 422, "document.unreadable"),
    "malformed": (lambda: b"%PDF-1.7\n" + CANARY.encode(), "application/pdf", 422, "document.damaged"),
    "malformed and long": (lambda: big(b"%PDF-1.7\n" + CANARY.encode()), "application/pdf", 422, "document.damaged"),
    "cut off": (cut_jpeg, "image/jpeg", 422, "document.damaged"),
    "encrypted": (encrypted_pdf, "application/pdf", 422, "document.encrypted"),
    "pixel flood": (flood, "image/tiff", 422, "document.too_large"),
    "PNG bomb": (png_bomb, "image/png", 422, "document.too_large"),
    "zip bomb": (overlapping_bomb, "application/octet-stream", 422, "document.too_large"),
    "oversize": (lambda: big(CANARY.encode(), over=LIMIT), "text/plain", 413, "request.too_large"),
    "a form": (CANARY.encode, "multipart/form-data; boundary=x", 415, "request.media_type"),
    "of no type": (CANARY.encode, "", 415, "request.media_type"),
}
"""What is uploaded, with which Content-Type, and the status and code of the answer."""


@pytest.mark.slow
def test_every_bad_upload_has_its_error_and_nothing_of_it_is_left(service: Service) -> None:
    answers, marks = {}, {"the sentence": CANARY.encode()}
    with service.api() as api:
        before = left_behind(service)
        for name, (make, media_type, _, _) in UPLOADS.items():
            octets = make()
            if len(octets) > 2 * LONG_ENOUGH:
                marks[name] = octets[len(octets) // 2 :][:LONG_ENOUGH]
            answer = api.post("/v1/documents", content=octets, headers={"Content-Type": media_type})
            answers[name] = documented(answer)
            assert left_behind(service) == before, name
        in_pieces = api.post(
            "/v1/documents", content=iter([CANARY.encode() * 1000] * 40), headers={"Content-Type": "text/plain"}
        )
        assert documented(in_pieces) == (413, "request.too_large")
        assert left_behind(service) == before
    assert answers == {name: (status, code) for name, (_, _, status, code) in UPLOADS.items()}
    marks = {name: mark for name, mark in marks.items() if len(set(mark)) > LONG_ENOUGH // 3}
    assert not found(marks, places(service))


@pytest.mark.slow
def test_a_decompression_bomb_is_refused_when_it_is_to_be_drawn(service: Service) -> None:
    with service.api() as api:
        bomb = upload(api, pdf_bomb(), "application/pdf")
        before = left_behind(service)
        assert documented(api.post("/v1/documents:render", json={"documents": [bomb]})) == (422, "document.crashed")
        assert left_behind(service) == before


@pytest.mark.parametrize("announced", [5_000, 900_000], ids=["short", "long"])
def test_an_upload_whose_connection_ends_before_it_is_whole_leaves_nothing(service: Service, announced: int) -> None:
    page = noise(announced, rows=announced * 8 // 1728 // 2)
    with service.api():
        before = left_behind(service)
    connection = connected(service)
    head = f"POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.account['api_key']}\r\n"
    head += f"Content-Type: image/tiff\r\nContent-Length: {announced}\r\n\r\n"
    connection.sendall(head.encode() + tiff_octets([page])[: announced // 2])
    port = connection.getsockname()[1]
    connection.close()
    until_gone(service, port)
    wait_for(lambda: left_behind(service) == before)
    assert not found(marks_of("the page", page), places(service))


def test_what_is_no_http_is_refused(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(b"\x16\x03\x01 whatever this is\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "request.http"


REQUESTS: dict[str, tuple[dict[str, Any] | bytes, int, str]] = {
    "no number": ({"to": "not a number"}, 422, "number.invalid"),
    "too short a number": ({"to": "+4930"}, 422, "number.invalid"),
    "an emergency number": ({"to": "112"}, 403, "number.denied_by_policy"),
    "an emergency number of a country": ({"to": "+1911"}, 403, "number.denied_by_policy"),
    "a premium number": ({"to": "+49 900 1234567"}, 403, "number.denied_by_policy"),
    "a denied number": ({"to": "+15550177"}, 403, "number.denied_by_policy"),
    "an unknown document": ({"documents": ["018f3f3e-0000-7000-8000-000000000000"]}, 422, "document.unknown"),
    "an unknown box": ({"box": "018f3f3e-0000-7000-8000-000000000000"}, 404, "box.unknown"),
    "an unknown field": ({"colour": "red"}, 400, "request.invalid"),
    "a wrong type": ({"priority": "1"}, 400, "request.invalid"),
    "a character that no database takes": ({"labels": {"a": "\0"}}, 400, "request.invalid"),
    "and as a name": ({"labels": {"\0": "a"}}, 400, "request.invalid"),
    "half a character": (b'{"to": "+15550100", "labels": {"a": "\\ud800"}}', 400, "request.invalid"),
    "broken JSON": (b'{"to": "+15550100"', 400, "request.invalid"),
    "no UTF-8": (b'{"to": "\xff\xfe"}', 400, "request.invalid"),
    "too deep JSON": (b"[" * 100_000, 400, "request.invalid"),
    "oversize JSON": (b'{"to": "' + b"1" * (5 << 20) + b'"}', 413, "request.too_large"),
}
"""What is asked besides what every fax has, and the status and code of the answer."""


def test_every_bad_request_for_a_fax_has_its_error_and_leaves_nothing(service: Service) -> None:
    answers = {}
    with service.api() as api:
        document = upload(api, CANARY.encode(), "text/plain")
        denied = api.post("/v1/number-rules", json={"pattern": "+15550177", "direction": "out", "action": "deny"})
        assert denied.status_code == 201, denied.text
        before = left_behind(service)
        for name, (wish, _, _) in REQUESTS.items():
            body = wish if isinstance(wish, bytes) else json.dumps({"to": ANSWERS, "documents": [document], **wish})
            answers[name] = documented(
                api.post("/v1/faxes", content=body, headers={"Content-Type": "application/json"})
            )
            assert left_behind(service) == before, name
        answers["not JSON"] = documented(api.post("/v1/faxes", data={"to": ANSWERS}))
        answers["no text"] = documented(api.get("/v1/faxes?to=%00"))
        answers["a wrong method"] = documented(api.put("/v1/faxes", json={}))
        answers["a wrong address"] = documented(api.get("/v1/nothing"))
        assert left_behind(service) == before
    expected = {name: (status, code) for name, (_, status, code) in REQUESTS.items()}
    expected["not JSON"] = (415, "request.media_type")
    expected["no text"] = (400, "request.invalid")
    expected["a wrong method"] = (405, "request.method")
    expected["a wrong address"] = (404, "request.not_found")
    assert answers == expected


def test_an_idempotency_key_with_another_body_sends_nothing_more(service: Service) -> None:
    with service.api() as api:
        document = upload(api, tiff_octets([noise(1)]))
        wish = {"to": ANSWERS, "documents": [document]}
        first = api.post("/v1/faxes", json=wish, headers={"Idempotency-Key": "once"})
        assert first.status_code == 202
        ended(api, first.json()["id"])
        before = settled(service)
        other = api.post("/v1/faxes", json={**wish, "to": "+15550107"}, headers={"Idempotency-Key": "once"})
        assert documented(other) == (409, "idempotency.mismatch")
        again = api.post("/v1/faxes", json=wish, headers={"Idempotency-Key": "once"})
        assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
        assert left_behind(service) == before


def test_wrong_keys_get_401_and_another_tenants_things_are_not_there(service: Service) -> None:
    stranger = service.set_up("stranger", "owner@stranger.example")["api_key"]
    with service.api() as api, service.api(stranger) as other:
        document = upload(api, tiff_octets([noise(2)]))
        fax = send(api, ANSWERS, document)
        ended(api, fax)
        before = settled(service)
        good = service.account["api_key"]
        for header, code in {
            "": "auth.missing",
            "Basic dXNlcjpwYXNz": "auth.missing",
            "Bearer nonsense": "auth.invalid_key",
            f"Bearer {good[:-4]}{'AAAA' if good[-4:] != 'AAAA' else 'BBBB'}": "auth.invalid_key",
        }.items():
            for method, path in (("GET", f"/v1/faxes/{fax}"), ("POST", "/v1/documents"), ("POST", "/v1/faxes")):
                answer = api.request(method, path, content=b"x", headers={"Authorization": header})
                assert documented(answer) == (401, code), (header, method, path)
        for path in (
            f"/v1/faxes/{fax}",
            f"/v1/faxes/{fax}/pages",
            f"/v1/faxes/{fax}/pages/1",
            f"/v1/faxes/{fax}/content",
            f"/v1/faxes/{fax}/attempts",
            f"/v1/faxes/{fax}/attempts/1/trace",
            f"/v1/faxes/{fax}/events",
            f"/v1/documents/{document}",
            f"/v1/boxes/{service.account['box']}",
        ):
            assert api.get(path).status_code == 200, path
            assert other.get(path).status_code == 404, path
        for action in ("cancel", "resend"):
            assert other.post(f"/v1/faxes/{fax}:{action}").status_code == 404
        taken = other.post("/v1/faxes", json={"to": ANSWERS, "documents": [document]})
        assert documented(taken) == (422, "document.unknown")
        assert other.get("/v1/faxes").json()["items"] == []
        assert left_behind(service) == before


def test_connections_that_never_finish_a_request_hold_nobody_up(service: Service) -> None:
    with service.api() as api, ExitStack() as slow:
        assert api.get("/v1/me").status_code in (200, 404)
        for number in range(150):
            if number % 3 == 0:
                slow.enter_context(socket.create_connection(("127.0.0.1", service.api_port)))
                continue
            connection = slow.enter_context(connected(service))
            connection.sendall(b"POST /v1/documents HTTP/1.1\r\nHost: localh"[: 9 + number % 30])
        began = time.monotonic()
        with service.api() as fresh:
            assert upload(fresh, CANARY.encode(), "text/plain")
        assert time.monotonic() - began < 3


# ------------------------------------------------------------------------------------------------------------- helpers


def documented(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem, which must be of the documented form and in the table of docs/errors.md."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    row = f"| `{problem['code']}` | {answer.status_code} | {problem['title']} |"
    assert row in ERRORS.read_text(), row
    assert CANARY not in answer.text
    return answer.status_code, problem["code"]


def connected(service: Service) -> ssl.SSLSocket:
    """Connect over TLS, without anything that knows HTTP."""
    context = ssl.create_default_context(cafile=str(service.certificate))
    plain = socket.create_connection(("127.0.0.1", service.api_port), timeout=20)
    return context.wrap_socket(plain, server_hostname="localhost")


def until_gone(service: Service, port: int) -> None:
    """Wait until the service has closed its side of the connection from this port."""
    ours = f":{service.api_port:04X} 0100007F:{port:04X} 01"
    wait_for(lambda: ours not in Path("/proc/net/tcp").read_text())


def settled(service: Service) -> dict[str, object]:
    """Return what is there once nothing more comes of what was asked before."""
    before = left_behind(service)
    while (now := left_behind(service)) != before:
        before = now
    return before
