"""However a message is cut into pieces, it is the same message, or refused."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faxgw.mail.submission.commands import Command, Misspelt, Path
from faxgw.mail.submission.content import LONGEST_LINE, Content, Unfit

PARTS = st.sampled_from(
    [b"\r\n", b".", b"\r\n.\r\n", b"\r", b"\n", b"\0", b"a", b"..", b"Subject: x\r\n", b"b" * 4000, b"c" * 300]
)
MESSAGES = st.lists(PARTS, max_size=40).map(b"".join)


def read(pieces: list[bytes], most: int = 20_000) -> tuple[bytes, bytes] | None:
    """Return a message and what came behind it; None if it is refused, or has no end."""
    content = Content(most)
    for place, piece in enumerate(pieces):
        try:
            rest = content.feed(piece)
        except Unfit:
            return None
        assert content.held <= most + LONGEST_LINE + 3
        if rest is not None:
            return content.take_out(), rest + b"".join(pieces[place + 1 :])
    return None


@given(octets=MESSAGES, cuts=st.lists(st.integers(0, 6000), max_size=30))
def test_pieces_make_no_difference(octets: bytes, cuts: list[int]) -> None:
    places = sorted({min(each, len(octets)) for each in cuts} | {0, len(octets)})
    pieces = [octets[a:b] for a, b in pairwise(places)]
    whole = read([octets])
    assert read(pieces) == whole
    if len(octets) < 2000:
        assert read([bytes([each]) for each in octets]) == whole


@given(octets=MESSAGES)
def test_what_is_taken_has_whole_lines_and_is_what_a_reader_of_lines_sees(octets: bytes) -> None:
    found = read([octets])
    if found is None:
        return
    content, rest = found
    assert b"\0" not in content
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    before = octets[: len(octets) - len(rest)]
    *lines, end = before.split(b"\r\n")[:-1]
    assert end == b"." and b"." not in lines
    assert content == b"".join(each.removeprefix(b".") + b"\r\n" for each in lines)


@pytest.mark.parametrize("over", [0, 1])
def test_a_message_may_have_so_many_octets_and_a_line_so_many(over: int) -> None:
    line = b"a" * (LONGEST_LINE - 2 + over) + b"\r\n"
    assert (read([b"\r\n", line, b".\r\n"]) is None) == bool(over)
    assert (read([b"\r\n" + line + b".\r\n"]) is None) == bool(over)
    text = b"\r\n" + b"b" * (96 + over) + b"\r\n"
    assert (read([text + b".\r\n"], most=100) is None) == bool(over)


@settings(max_examples=50)
@given(line=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_line_is_a_command_or_misspelt(line: bytes) -> None:
    try:
        command = Command.read(line)
    except Misspelt as wrong:
        assert 500 <= wrong.code < 600
    else:
        assert command.verb == command.verb.upper() and (not command.verb or command.verb.isalpha())


@given(argument=st.text(st.sampled_from('FROMTo:<>@".\\ \t1a+-,=[]()%!ü'), max_size=30))
def test_an_address_never_has_a_bracket_or_a_line_end(argument: str) -> None:
    try:
        path = Path.read("TO:" + argument, "TO")
    except Misspelt:
        return
    assert not set(path.address if '"' not in path.address else "") & set("<>, \t\r\n\0")
    assert path.address.count("@") <= 1 or '"' in path.address
