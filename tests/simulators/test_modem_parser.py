"""Characters to lines, lines to commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.modem.parser import BadCommandError, Command, Form, LineReader, commands


def lines(octets: bytes) -> list[str]:
    reader = LineReader()
    return [line for octet in octets if (line := reader.feed(octet)) is not None]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (b"AT\r", [""]),
        (b"at+fclass=1\r\n", ["+fclass=1"]),
        (b"\x18\x10\x03junk AAT E0\r", [" E0"]),
        (b"A A/AT E1\r", ["", " E1"]),
        (b"ATE0\rA/a/", ["E0", "E0", "E0"]),
        (b"ATE0X\x08\x08\x081\r", ["1"]),
        (b"T+FRH=3\r", []),
        (b"\xc1\xd4E0\x8d", ["E0"]),
    ],
)
def test_a_line_starts_at_at_and_ends_at_cr(typed: bytes, read: list[str]) -> None:
    assert lines(typed) == read


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    reader = LineReader()
    for octet in b"AT" + b"E" * 100_000:
        assert reader.feed(octet) is None
    line = reader.feed(13)
    assert line is not None
    with pytest.raises(BadCommandError):
        list(commands(line))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Q0V1", [Command("Q", value="0"), Command("V", value="1")]),
        ("e0 s0 = 0 &k3", [Command("E", value="0"), Command("S0", Form.SET, "0"), Command("&K", value="3")]),
        ("S7?S12=50", [Command("S7", Form.READ), Command("S12", Form.SET, "50")]),
        (
            "+FTS=7;+FTM=146",
            [Command("+FTS", Form.SET, "7"), Command("+FTM", Form.SET, "146")],
        ),
        ("+FCLASS=1.0;E0", [Command("+FCLASS", Form.SET, "1.0"), Command("E", value="0")]),
        ("+FTM=?", [Command("+FTM", Form.TEST)]),
        ("+FMI?;#CID=1", [Command("+FMI", Form.READ), Command("#CID", Form.SET, "1")]),
        ("X4DT 9,W0-555;", [Command("X", value="4"), Command("D", value="T9,W0-555;")]),
        ("\\Q3", [Command("\\Q", value="3")]),
    ],
)
def test_several_commands_stand_on_a_line(line: str, expected: list[Command]) -> None:
    assert list(commands(line)) == expected


@pytest.mark.parametrize("line", ["!7", "E0!", "+", "+FMI?x", "&"])
def test_what_is_no_command_is_refused_after_those_before_it(line: str) -> None:
    read = commands("E1" + line)
    assert next(read) == Command("E", Form.PLAIN, "1")
    with pytest.raises(BadCommandError):
        list(read)


@given(st.binary(max_size=400))
def test_no_octets_break_the_parser(octets: bytes) -> None:
    for line in lines(octets + b"\r"):
        try:
            for command in commands(line):
                assert command.name
        except BadCommandError:
            pass
