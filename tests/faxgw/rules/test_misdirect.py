"""Whether another machine answers than the one that always did."""

import pytest

from faxgw.rules.misdirect import suspicious

KNOWN = ["+49 30 1234567"]


@pytest.mark.parametrize(
    "answered",
    ["+49 30 1234567", "+49301234567", "0049 30 1234567", "030/1234567", "1234567", "FAX 030-1234567", " 1234567 "],
)
def test_the_same_number_however_it_is_written_is_the_same_machine(answered: str) -> None:
    assert not suspicious(KNOWN, answered)
    assert not suspicious([answered], KNOWN[0])


@pytest.mark.parametrize("answered", ["+49 30 7654321", "+49 40 1234567", "67", "ACME GMBH", "", "   "])
def test_another_number_another_name_or_none_is_suspicious(answered: str) -> None:
    assert suspicious(KNOWN, answered)


def test_six_digits_in_common_are_enough_and_five_are_not() -> None:
    assert not suspicious(KNOWN, "234567")
    assert suspicious(KNOWN, "34567")


def test_names_are_compared_by_their_letters() -> None:
    assert not suspicious(["Acme GmbH"], "ACME-GMBH")
    assert suspicious(["Acme GmbH"], "Other GmbH")
    assert suspicious(["FAX 1"], "FAX 2")


def test_where_nothing_is_known_nothing_is_suspicious() -> None:
    assert not suspicious([], "+49 30 7654321")
    assert not suspicious([""], "+49 30 7654321")
    assert not suspicious([], "")


def test_a_machine_that_hides_is_suspicious_only_where_all_others_showed_themselves() -> None:
    assert suspicious(KNOWN, "")
    assert not suspicious(["", *KNOWN], "")
    assert suspicious(["", *KNOWN], "+49 30 7654321")


def test_any_machine_that_answered_before_is_right() -> None:
    assert not suspicious(["+49 30 7654321", "Acme", *KNOWN], "acme")


def test_a_machine_that_calls_itself_by_the_number_dialled_is_right() -> None:
    assert not suspicious(["+49 30 7654321"], "030 1234567", dialled="+49301234567")
    assert suspicious(["+49 30 7654321"], "", dialled="+49301234567")
    assert suspicious(["Acme"], "17", dialled="+49301234517")
