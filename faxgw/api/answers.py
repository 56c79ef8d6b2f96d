"""Answers that are not problems: JSON from plain values, and content with ETag and ranges."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from faxgw.api.json import dumped
from faxgw.api.problems import Problem

JSON = "application/json"
_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in JSON.

    Attributes:
        body: what is answered; None: nothing (204).
        secret: members of the body that are shown this once; they are null when the answer is given again.
    """

    status: int
    body: Mapping[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()

    def octets(self, *, again: bool = False) -> bytes:
        """Return the body as it is sent; ``again``: without what is shown only once."""
        if self.body is None:
            return b""
        hidden = dict.fromkeys(self.secret) if again else {}
        return dumped({**self.body, **hidden})

    def response(self) -> Response:
        """Return it as the server takes it."""
        return json_response(self.octets(), self.status, self.headers)


def json_response(octets: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON that is not to be kept by anybody on the way."""
    media_type = JSON if octets else None
    return Response(octets, status, headers={"cache-control": "no-store", **(headers or {})}, media_type=media_type)


def ok(body: Mapping[str, Any], **headers: str) -> Response:
    """Return a body with status 200; ``etag="3"`` becomes a header."""
    return json_response(dumped(body), 200, {name.replace("_", "-"): value for name, value in headers.items()})


def nothing() -> Response:
    """Return 204."""
    return json_response(b"", 204)


def version_tag(version: int) -> str:
    """Return the ETag of a row of that version."""
    return f'"{version}"'


def version_of(if_match: str | None) -> int | None:
    """Return the version that an If-Match asks for; None: any (``*``).

    Raises:
        Problem: ``request.precondition_required`` without one, ``request.precondition`` for a tag that is none of ours.
    """
    if if_match is None:
        raise Problem("request.precondition_required", "Send If-Match with the ETag of what you have read.")
    if if_match.strip() == "*":
        return None
    found = re.fullmatch(r'\s*"(\d{1,9})"\s*', if_match, re.ASCII)
    if not found:
        raise Problem("request.precondition", "This If-Match has no ETag of this thing; read it again.")
    return int(found[1])


def content_tag(hashes: Sequence[bytes], form: str) -> str:
    """Return the ETag of pages in a form: it follows from what is on them."""
    return f'"{hashlib.sha256(form.encode() + b"".join(hashes)).hexdigest()[:32]}"'


def unchanged(tag: str, if_none_match: str | None) -> bool:
    """Return whether the caller has that content already."""
    given = {each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")}
    return tag in given or "*" in given


def content(octets: bytes, media_type: str, tag: str, asked: Mapping[str, str], *, name: str) -> Response:
    """Return content, or the one range of it that the request asks for.

    Args:
        octets: all of it.
        media_type: of all of it.
        tag: its ETag.
        asked: headers of the request, of which Range and If-Range count.
        name: of the file, where it is saved.

    Raises:
        Problem: ``request.range``.
    """
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "no-store",
        "content-disposition": f'inline; filename="{name}"',
    }
    wanted = asked.get("range") if asked.get("if-range", tag) == tag else None
    part = _range(wanted, len(octets)) if wanted else None
    if part is None:
        return Response(octets, 200, headers=headers, media_type=media_type)
    headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(octets)}"
    return Response(octets[part.start : part.stop], 206, headers=headers, media_type=media_type)


def _range(wanted: str, size: int) -> range | None:
    """Return the octets of a Range; None where it is to be passed over (several ranges, other units).

    >>> _range("bytes=-2", 10), _range("bytes=4-", 10), _range("bytes=0-99", 10), _range("lines=1-2", 10)
    (range(8, 10), range(4, 10), range(0, 10), None)
    """
    found = _RANGE.fullmatch(wanted)
    if not found or not (found[1] or found[2]):
        return None
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    end = min(size, int(found[2]) + 1) if found[1] and found[2] else size
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return None
    if first >= size:
        raise Problem("request.range", headers={"content-range": f"bytes */{size}"})
    return range(first, end)
