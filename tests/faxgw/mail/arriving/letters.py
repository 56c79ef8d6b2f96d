"""Messages as devices write them."""

import base64
from collections.abc import Sequence

from faxgw.documents.tiff import tiff_octets
from tests.faxgw.api.people import drawn_page

PDF, TIFF, TEXT, HTML = "application/pdf", "image/tiff", "text/plain; charset=utf-8", "text/html; charset=utf-8"


def lines(*given: str | bytes) -> bytes:
    """Return lines, with CR LF between them."""
    return b"\r\n".join(each.encode() if isinstance(each, str) else each for each in given)


def part(kind: str, octets: bytes, *more: str) -> bytes:
    """Return a part in base64."""
    coded = base64.encodebytes(octets).replace(b"\n", b"\r\n").rstrip()
    return lines(f"Content-Type: {kind}", "Content-Transfer-Encoding: base64", *more, "", coded)


def attachment(kind: str, octets: bytes, name: str = "scan.bin") -> bytes:
    """Return a part that is a file."""
    return part(kind, octets, f'Content-Disposition: attachment; filename="{name}"')


def text(words: str, kind: str = TEXT) -> bytes:
    """Return a part that is a text."""
    return lines(f"Content-Type: {kind}", "Content-Transfer-Encoding: 8bit", "", words)


def multi(parts: Sequence[bytes], kind: str = "mixed", boundary: str = "=_b") -> bytes:
    """Return parts, each between boundaries."""
    inside = [line for each in parts for line in (f"--{boundary}".encode(), each)]
    return lines(f'Content-Type: multipart/{kind}; boundary="{boundary}"', "", *inside, f"--{boundary}--", "")


def letter(body: bytes, subject: str = "") -> bytes:
    """Return a message with a body that has its own header."""
    return lines("From: copier@office.example", f"Subject: {subject}", "MIME-Version: 1.0", body)


def fax_page(seed: int = 1) -> bytes:
    """Return a TIFF-F of one page, which goes as it is."""
    return tiff_octets([drawn_page(seed)])
