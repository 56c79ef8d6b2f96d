"""Tests of ``specimen.py`` with two gaps: a length over 100, and a number that is none though its text is one."""

import pytest

from tests.mutation.specimen import Counter, evens, kind, sized


def test_lengths() -> None:
    assert [sized(5), sized(50)] == ["short", "middling"]
    with pytest.raises(ValueError):
        sized(-1)


def test_counting() -> None:
    assert list(Counter().up(limit=3)) == [0, 1, 2]
    assert Counter().first == 0


def test_kinds() -> None:
    assert [kind(each) for each in (0, 0.0, 1, "", "a", b"")] == ["nothing", "nothing", "other"] + ["text"] * 3


def test_even_numbers() -> None:
    assert evens([1, 2, "x", 4, "0", 12]) == [2, 4]
