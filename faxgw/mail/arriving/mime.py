"""A message taken apart into its parts, within bounds: so many parts, so deep, headers so long.

The parts are ranges of the message: nothing is copied until one is decoded. Python's own parser takes each line by
itself, about 5 ms for a fax of 100 KB and without any bound of parts; here the time goes into searches in C.
"""

import binascii
import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.header import decode_header

MOST_PARTS = 100
MOST_DEPTH = 10
MOST_HEADER = 64 * 1024
"""Octets of the header of a message, or of a part."""
MOST_SUBJECT = 1000
MOST_DECOYS = 1000
"""Lines that begin like a boundary and are none."""
MOST_BOUNDARY = 200
"""Octets of a boundary; RFC 2046 allows 70."""

_END = re.compile(rb"\r\n\r\n")
_PARAMETER = re.compile(r';\s*([!-:<-~]{1,60}?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?=\r\n|\Z)")
_WORDS = re.compile(r"\s+")
_CHARSETS = re.compile(
    r"ascii|utf-(8|8-sig|16|16-le|16-be|32|32-le|32-be)|iso8859-\d+|cp\d+|koi8-[rut]|gb\w+|hz|big5\w*|johab"
    r"|shift_?jis\w*|euc_\w+|iso2022_\w+|mac-\w+|tis-620"
)
"""Names, as Python has them, of what a text may be in: others are no text, or take their time."""


class Unreadable(Exception):
    """A message is not as mail has to be, or goes beyond the bounds; the text is a sentence for its sender.

    Attributes:
        code: a stable dotted name, ``mail.parts``.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class MimePart:
    """A part that has no parts itself.

    Attributes:
        kind: such as ``application/pdf``; small letters.
        parameters: of its type, such as ``charset``; names in small letters.
        disposition: ``attachment``, ``inline``, or empty.
        name: of a file, as far as it is in ASCII.
        encoding: how its octets are written.
        related: it lies beside a text that may show it, as pictures of a signature do.
        content_id: by which that text names it.
    """

    kind: str
    parameters: Mapping[str, str]
    disposition: str
    name: str
    encoding: str
    related: bool
    content_id: str
    coded: memoryview = field(repr=False)

    @property
    def is_text(self) -> bool:
        """Whether it is to be read as the message itself, and no file."""
        return self.kind in ("text/plain", "text/html") and self.disposition != "attachment" and not self.name

    def octets(self) -> bytes:
        """Return what is in it.

        Raises:
            Unreadable: ``mail.encoding``.
        """
        if self.encoding in ("", "7bit", "8bit", "binary"):
            return bytes(self.coded)
        try:
            if self.encoding == "base64":
                return binascii.a2b_base64(self.coded)
            if self.encoding == "quoted-printable":
                return binascii.a2b_qp(self.coded)
        except binascii.Error:
            raise Unreadable("mail.encoding", "An attachment is damaged: its base64 is not whole.") from None
        raise Unreadable("mail.encoding", "An attachment is encoded in a way that is not known here.")

    def text(self) -> str:
        """Return a text, whatever it is written in.

        Raises:
            Unreadable: ``mail.encoding``.
        """
        return decoded(self.octets(), self.parameters.get("charset", ""))


@dataclass(frozen=True, slots=True)
class Message:
    """A message, taken apart.

    Attributes:
        subject: decoded, on one line; empty: it has none.
        parts: those without parts of their own, in their order.
        kind: what the whole message is, such as ``multipart/mixed``.
        name: its Message-ID without the angle brackets, which no other message has; empty: it has none.
        date: when it was written, as it says.
    """

    subject: str
    kind: str
    parts: tuple[MimePart, ...]
    name: str = ""
    date: str = ""


def read_message(content: bytes) -> Message:
    """Take a message apart; its lines end in CR LF.

    Raises:
        Unreadable: ``mail.parts``, ``mail.depth``, ``mail.header`` or ``mail.encoding``.
    """
    reader = _Reader(content)
    headers, body = reader.header(0, len(content))
    parts = tuple(reader.parts(headers, body, len(content)))
    kind, _ = _value(headers.get("content-type", ""))
    name = headers.get("message-id", "").strip("<> \t")
    return Message(_subject(headers.get("subject", "")), kind or "text/plain", parts, name, headers.get("date", ""))


def decoded(octets: bytes, charset: str) -> str:
    """Return a text; a charset that is not known, or wrong, costs no letter of ASCII."""
    try:
        known = codecs.lookup(charset.strip() or "utf-8").name
        if not _CHARSETS.fullmatch(known):
            known = "utf-8"
        return octets.decode(known)
    except (LookupError, ValueError):
        return octets.decode("cp1252", "replace")


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._view = memoryview(content)
        self._found = 0
        self._decoys = 0

    def header(self, start: int, end: int) -> tuple[dict[str, str], int]:
        """Return the header that begins at ``start``, and where the body begins; of a field said twice, the first."""
        if self._content.startswith(b"\r\n", start):
            return {}, start + 2
        most = min(end, start + MOST_HEADER)
        over = _END.search(self._content, start, most)
        if over is None and most < end:
            raise Unreadable("mail.header", f"A header of the message is longer than {MOST_HEADER // 1024} KB.")
        stop, body = (over.start(), over.end()) if over else (end, end)
        lines = bytes(self._view[start:stop]).decode("utf-8", "replace")
        found: dict[str, str] = {}
        for line in re.sub(r"\r\n(?=[ \t])", "", lines).split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                found.setdefault(name.strip().lower(), value.strip())
        return found, body

    def parts(
        self, headers: Mapping[str, str], start: int, end: int, *, depth: int = 0, related: bool = False
    ) -> Iterator[MimePart]:
        """Give what lies between two places, part by part."""
        self._found += 1
        if self._found > MOST_PARTS:
            raise Unreadable("mail.parts", f"The message has more than {MOST_PARTS} parts.")
        kind, parameters = _value(headers.get("content-type", ""))
        if not kind.startswith("multipart/"):
            yield self._part(headers, kind or "text/plain", parameters, start, end, related=related)
            return
        if depth >= MOST_DEPTH:
            raise Unreadable("mail.depth", f"The message has parts within parts, more than {MOST_DEPTH} deep.")
        boundary = parameters.get("boundary", "").encode("utf-8", "replace")
        if not 0 < len(boundary) <= MOST_BOUNDARY:
            raise Unreadable("mail.header", "The message does not say where its parts begin.")
        inside = related or kind == "multipart/related"
        for first, last in self._ranges(b"--" + boundary, start, end):
            own, body = self.header(first, last)
            yield from self.parts(own, min(body, last), last, depth=depth + 1, related=inside)

    def _part(
        self,
        headers: Mapping[str, str],
        kind: str,
        parameters: Mapping[str, str],
        start: int,
        end: int,
        *,
        related: bool,
    ) -> MimePart:
        disposition, of_disposition = _value(headers.get("content-disposition", ""))
        return MimePart(
            kind=kind,
            parameters=parameters,
            disposition=disposition,
            name=of_disposition.get("filename") or of_disposition.get("filename*") or parameters.get("name", ""),
            encoding=headers.get("content-transfer-encoding", "").strip().lower(),
            related=related,
            content_id=headers.get("content-id", ""),
            coded=self._view[start:end],
        )

    def _ranges(self, dashes: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Give where each part of a multipart begins and ends."""
        first = None
        for place, after, is_last in self._boundaries(dashes, start, end):
            if first is not None:
                yield first, max(first, place)
            if is_last:
                return
            first = after
        if first is not None and first < end:
            yield first, end  # the end was forgotten; the message itself is whole, the server has seen to that

    def _boundaries(self, dashes: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Give the boundaries: where the line break before it begins, what follows it, and whether it is the last."""
        if self._content.startswith(dashes, start, end):
            at, before = start, start
        else:
            before = self._content.find(b"\r\n" + dashes, max(start - 2, 0), end)
            at = before + 2
        while before >= 0:
            rest = _AFTER_BOUNDARY.match(self._content, at + len(dashes), min(end, at + len(dashes) + 1000))
            if rest:
                yield before, min(rest.end() + 2, end), rest.group(1) is not None
            else:
                self._decoys += 1
                if self._decoys > MOST_DECOYS:
                    raise Unreadable("mail.parts", "The message does not say clearly where its parts begin.")
            before = self._content.find(b"\r\n" + dashes, at + len(dashes), end)
            at = before + 2


def _value(header: str) -> tuple[str, dict[str, str]]:
    """Return what a structured field says, in small letters, and its parameters."""
    value, _, rest = header.partition(";")
    found: dict[str, str] = {}
    for name, given in _PARAMETER.findall(";" + rest):
        text = re.sub(r"\\(.)", r"\1", given[1:-1]) if given.startswith('"') else given
        found.setdefault(name.lower(), text)
    return value.strip().lower(), found


def _subject(text: str) -> str:
    try:
        parts = decode_header(text[:MOST_SUBJECT])
    except (ValueError, binascii.Error):
        return ""
    said = "".join(each if isinstance(each, str) else decoded(each, charset or "") for each, charset in parts)
    return _WORDS.sub(" ", said).strip()
