"""A message as it comes in after DATA: fed in pieces of any size, checked, and held in memory once.

The end is CR LF . CR LF and nothing that only looks like it: a CR or LF by itself is refused, since two servers that
do not agree on where a message ends can be made to see two messages in one.
"""

from io import BytesIO

LONGEST_LINE = 8192
"""Octets of a line with its end; RFC 5321 has 1000, and some programs do not know."""
LARGEST_HEADER = 128 * 1024
MOST_FIELDS = 2000
"""Octets and lines of the header: many times what any mail has, and no flood."""

END = b".\r\n"


class Unfit(Exception):
    """A message that is not taken; ``code``, ``enhanced`` and the text are the answer."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.enhanced = enhanced
        self.text = text


class Content:
    """One message; ``most``: how many octets it may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._whole = BytesIO()
        self._line = b""
        """The beginning of a line whose end has not come."""
        self._in_header = True
        self._header = 0
        self._fields = 0

    @property
    def held(self) -> int:
        """How many octets are in memory."""
        return self._whole.tell() + len(self._line)

    def feed(self, octets: bytes) -> bytes | None:
        """Take more; return None as long as the end has not come, then what came after it.

        Raises:
            Unfit: if the message is not to be taken, however it goes on.
        """
        octets = self._line + octets
        cut = octets.rfind(b"\n") + 1
        lines, self._line = octets[:cut], octets[cut:]
        end = 0 if lines.startswith(END) else lines.find(b"\r\n" + END) + 2
        if end == 1:  # not found
            self._take(lines)
            self._check_line()
            return None
        if end or not lines.startswith(END):
            self._take(lines[:end])
        rest, self._line = lines[end + len(END) :] + self._line, b""
        return rest

    def take_out(self) -> bytes:
        """Return the message, which is no longer held here."""
        whole, self._whole = self._whole.getvalue(), BytesIO()
        return whole

    def _take(self, lines: bytes) -> None:
        """Take lines, each with its end."""
        _check(lines)
        if self._in_header:
            self._check_header(lines)
        if lines.startswith(b"."):
            lines = lines[1:]
        lines = lines.replace(b"\r\n.", b"\r\n")
        if self._whole.tell() + len(lines) > self._most:
            raise _too_large(self._most)
        self._whole.write(lines)

    def _check_line(self) -> None:
        if len(self._line) > LONGEST_LINE:
            raise TOO_LONG
        if b"\0" in self._line or b"\r" in self._line[:-1]:
            _check(self._line + b"\r\n")
        if self.held > self._most + len(END):
            raise _too_large(self._most)

    def _check_header(self, lines: bytes) -> None:
        blank = 0 if lines.startswith(b"\r\n") else lines.find(b"\r\n\r\n")
        part = lines if blank < 0 else lines[:blank]
        self._in_header = blank < 0
        self._header += len(part)
        self._fields += part.count(b"\n")
        if self._header > LARGEST_HEADER or self._fields > MOST_FIELDS:
            raise Unfit(552, "5.3.4", "The header is too large")


TOO_LONG = Unfit(554, "5.6.0", f"A line is longer than {LONGEST_LINE} octets")


def _too_large(most: int) -> Unfit:
    return Unfit(552, "5.3.4", f"The message is larger than {most} octets")


def _check(lines: bytes) -> None:
    """Check whole lines.

    Raises:
        Unfit: for a CR or LF by itself, a NUL, or a line that is too long.
    """
    ends = lines.count(b"\r\n")
    if lines.count(b"\n") != ends or lines.count(b"\r") != ends:
        raise Unfit(554, "5.6.0", "A line does not end with CR LF")
    if b"\0" in lines:
        raise Unfit(554, "5.6.0", "There is a NUL in the message")
    begin = 0
    while len(lines) - begin > LONGEST_LINE:
        begin = lines.rfind(b"\n", begin, begin + LONGEST_LINE) + 1 or len(lines) + 1
    if begin > len(lines):
        raise TOO_LONG
