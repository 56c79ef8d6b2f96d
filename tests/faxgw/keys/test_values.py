"""Single values, sealed under a key of the server's."""

import pytest

from faxgw.keys.values import ValueBroken, ValueSeals

SEALS = ValueSeals(b"k" * 32)


@pytest.mark.parametrize("value", [b"x", b"+15550100", b"\0" * 100_000])
@pytest.mark.parametrize("findable", [False, True])
def test_a_value_opens_to_what_it_was_and_lies_nowhere_in_what_is_stored(value: bytes, *, findable: bool) -> None:
    stored = (SEALS.seal_findable if findable else SEALS.seal)(value, context="number")
    assert SEALS.open(stored, context="number") == value
    assert value == b"x" or value not in stored


def test_only_what_can_be_looked_up_is_the_same_when_it_is_sealed_again() -> None:
    assert SEALS.seal_findable(b"1", context="number") == SEALS.seal_findable(b"1", context="number")
    assert SEALS.seal(b"1", context="number") != SEALS.seal(b"1", context="number")


def test_what_is_looked_up_differs_with_the_value_the_context_and_the_key() -> None:
    asked = [(SEALS, b"1", "number"), (SEALS, b"2", "number"), (SEALS, b"1", "email")]
    asked.append((ValueSeals(b"j" * 32), b"1", "number"))
    assert len({seals.seal_findable(value, context=context) for seals, value, context in asked}) == len(asked)


@pytest.mark.parametrize("findable", [False, True])
def test_whatever_is_altered_cut_or_taken_for_something_else_does_not_open(*, findable: bool) -> None:
    stored = (SEALS.seal_findable if findable else SEALS.seal)(b"+15550100", context="number")
    number = int.from_bytes(stored)
    altered = [(number ^ 1 << bit).to_bytes(len(stored)) for bit in range(8 * len(stored))]
    for each in [*altered, stored[:-1], stored[1:], b"+15550100", b"\1", b"\2"]:
        with pytest.raises(ValueBroken):
            SEALS.open(each, context="number")
    with pytest.raises(ValueBroken):
        SEALS.open(stored, context="station")
    with pytest.raises(ValueBroken):
        ValueSeals(b"j" * 32).open(stored, context="number")


def test_nothing_stays_nothing() -> None:
    assert SEALS.seal_findable(b"", context="number") == b""
    assert SEALS.open(b"", context="number") == b""
