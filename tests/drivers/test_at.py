"""The AT dialogue without I/O: fed whole, octet by octet and with rubbish, it understands the same."""

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from, text

from drivers.class1.at import (
    NUMBERS,
    Code,
    Data,
    DataEnd,
    Dialogue,
    Heard,
    Line,
    Result,
    State,
    Then,
    dial_string,
    numbers,
)
from t30.rates import Modulation

FRAME = bytes.fromhex("FF 13 84 EA 7D")


def heard(dialogue: Dialogue, octets: bytes, *, size: int = 1 << 30) -> list[Heard]:
    """Feed octets in pieces; neighbouring data are joined, as their boundaries mean nothing."""
    joined: list[Heard] = []
    for start in range(0, len(octets), size):
        for one in dialogue.feed(octets[start : start + size]):
            if isinstance(one, Data) and joined and isinstance(joined[-1], Data):
                joined[-1] = Data(joined[-1].octets + one.octets)
            else:
                joined.append(one)
    return joined


def state_of(dialogue: Dialogue) -> State:
    return dialogue.state


def held(dialogue: Dialogue) -> bool:
    return dialogue.held


@given(size=integers(1, 40))
def test_a_frame_is_understood_whatever_the_chunking(size: int) -> None:
    dialogue = Dialogue()
    assert dialogue.command("+FRH=3", Then.RECEIVE) == b"AT+FRH=3\r"
    stream = b"AT+FRH=3\r\r\nCONNECT\r\n" + FRAME + b"\x10\x03\r\nOK\r\n"
    assert heard(dialogue, stream, size=size) == [
        Line("AT+FRH=3"),
        Result(Code.CONNECT),
        Data(FRAME),
        DataEnd(),
        Result(Code.OK),
    ]
    assert state_of(dialogue) is State.COMMAND


@given(size=integers(1, 40), first=sampled_from([b"\n", b"\r", b"\n\r\n", b"\x11\x13"]))
def test_line_ends_and_flow_control_in_data_are_data(size: int, first: bytes) -> None:
    dialogue = Dialogue(software_flow=True)
    dialogue.command("+FRM=145", Then.RECEIVE)
    octets = first + b"OK\r\nNO CARRIER\r\n" + bytes(range(0x10)) + bytes(range(0x11, 0x100))
    got = heard(dialogue, b"\r\nCONNECT\r\n" + octets + b"\x10\x03\r\nNO CARRIER\r\n", size=size)
    assert got == [Result(Code.CONNECT), Data(octets), DataEnd(), Result(Code.NO_CARRIER)]


def test_adaptive_reception_goes_on_with_the_frame_in_one_read() -> None:
    dialogue = Dialogue()
    dialogue.command("+FRM=145", Then.RECEIVE)
    got = heard(dialogue, b"\r\n+FRH:3\r\n\r\nCONNECT\r\n" + FRAME + b"\x10\x03\r\nOK\r\n")
    assert got == [Line("+FRH:3"), Result(Code.CONNECT), Data(FRAME), DataEnd(), Result(Code.OK)]


def test_connect_means_sending_after_fth_and_no_data_follow() -> None:
    dialogue = Dialogue()
    dialogue.command("+FTH=3", Then.SEND)
    assert heard(dialogue, b"\r\nCONNECT\r\n") == [Result(Code.CONNECT)]
    assert state_of(dialogue) is State.SENDING
    assert dialogue.end() == b"\x10\x03"
    assert heard(dialogue, b"\r\nOK\r\n") == [Result(Code.OK)]
    assert state_of(dialogue) is State.COMMAND


@pytest.mark.parametrize("remains", [b"\x10\x03\r\nOK\r\n", b"\r\nOK\r\n", b"\xff\xd0\x10\x03\r\nNO CARRIER\r\n"])
@given(size=integers(1, 40))
def test_after_an_abort_only_the_result_code_counts(remains: bytes, size: int) -> None:
    dialogue = Dialogue()
    dialogue.command("+FRM=145", Then.RECEIVE)
    heard(dialogue, b"\r\nCONNECT\r\n\x00\x00")
    assert dialogue.abort() == b"\x18"
    assert isinstance(heard(dialogue, remains, size=size)[-1], Result)
    assert state_of(dialogue) is State.COMMAND


def test_a_connect_that_crosses_an_abort_does_not_begin_a_reception() -> None:
    dialogue = Dialogue()
    dialogue.command("+FRH=3", Then.RECEIVE)
    dialogue.abort()
    heard(dialogue, b"\r\nCONNECT\r\n\xff\x10\x03")
    assert state_of(dialogue) is State.ABORTING
    heard(dialogue, b"\r\nOK\r\n")
    assert state_of(dialogue) is State.COMMAND


def test_xoff_holds_and_xon_releases_only_while_sending() -> None:
    dialogue = Dialogue(software_flow=True)
    heard(dialogue, b"\x13")
    assert not held(dialogue)
    dialogue.command("+FTM=145", Then.SEND)
    heard(dialogue, b"\r\nCONNECT\r\n\x13")
    assert held(dialogue)
    heard(dialogue, b"\x11")
    assert not held(dialogue)
    assert heard(dialogue, b"\x13\x11\r\nOK\r\n") == [Result(Code.OK)]


@given(octets=binary(max_size=200), size=integers(1, 50))
def test_no_rubbish_hurts_and_the_next_command_is_understood(octets: bytes, size: int) -> None:
    dialogue = Dialogue()
    heard(dialogue, octets, size=size)
    dialogue.command("+FTS=8")
    assert heard(dialogue, b"\r\nOK\r\n", size=size) == [Result(Code.OK)]


def test_a_line_without_end_is_not_kept_whole() -> None:
    dialogue = Dialogue()
    for _ in range(100):
        assert dialogue.feed(b"x" * 1000) == []
    assert len(dialogue.feed(b"\r\n")[0].text) <= 512  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("OK", Code.OK),
        ("NO DIAL TONE", Code.NO_DIALTONE),
        ("NO DIALTONE", Code.NO_DIALTONE),
        ("RING A", Code.RING),
        ("CONNECT 2400", Code.CONNECT),
        ("CONNECT/FAX", Code.CONNECT),
        ("+FCERROR", Code.FCERROR),
        ("DELAYED", Code.BLACKLISTED),
    ],
)
def test_result_codes_are_known_in_every_spelling(words: str, code: Code) -> None:
    assert heard(Dialogue(), f"\r\n{words}\r\n".encode()) == [Result(code)]


@pytest.mark.parametrize("words", ["OKAY", "RINGING", "ERRORS", "+FRH:3", "NMBR = 5550100"])
def test_what_only_looks_like_a_result_code_is_a_line(words: str) -> None:
    assert heard(Dialogue(), f"\r\n{words}\r\n".encode()) == [Line(words)]


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("24,48,72,96", {24, 48, 72, 96}),
        ("(3)", {3}),
        ("+FTS: (0-3)", {0, 1, 2, 3}),
        ("0,1,1.0", {0, 1}),
        ("", set()),
        ("9-1", set()),
        ("0-99999999999", set(range(1001))),
    ],
)
def test_ranges_are_read_in_any_notation(answer: str, values: set[int]) -> None:
    assert numbers(answer) == values


def test_every_modulation_has_a_number_of_its_own() -> None:
    assert set(NUMBERS) == set(Modulation)
    assert len(set(NUMBERS.values())) == len(NUMBERS)


@given(number=text(max_size=20))
def test_nothing_that_is_dialled_can_be_another_command(number: str) -> None:
    try:
        dialled = dial_string(number)
    except ValueError:
        return
    assert set(dialled) <= set("0123456789*#+,W@!")


@pytest.mark.parametrize("number", ["", "fax", "5550100;H0", "555\r", "+", "٣"])
def test_what_is_no_number_is_not_dialled(number: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        dial_string(number)
