"""What may be sent, and to whom."""

from typing import Literal

import pytest
from pydantic import ValidationError

from faxgw.errors import RequestError
from faxgw.numbers import Numbering
from faxgw.rules.admission import Limits, ListEntry, Opened, admit_number, admit_size, listed
from faxgw.rules.patterns import exactness

GERMAN = Numbering("DE")
FAX, PREMIUM, SHORT, EMERGENCY = "+4930123456", "+499001123456", "115", "112"


def entry(
    pattern: str, action: Literal["allow", "deny"], direction: Literal["in", "out", "both"] = "both"
) -> ListEntry:
    return ListEntry(pattern=pattern, action=action, direction=direction)


def admitted(number: str, *entries: ListEntry, opened: Opened | None = None) -> bool:
    try:
        admit_number(number, numbering=GERMAN, opened=opened or Opened(), entries=entries)
    except RequestError as refused:
        assert refused.code == "number.denied_by_policy"
        assert number not in refused.reason or number == EMERGENCY
        return False
    return True


def test_an_ordinary_number_may_be_called_and_the_others_not() -> None:
    assert admitted(FAX)
    assert not any(admitted(number) for number in (PREMIUM, SHORT, EMERGENCY, "+49112"))


def test_a_tenant_opens_premium_and_short_numbers_each_by_itself_and_emergency_numbers_never() -> None:
    assert admitted(PREMIUM, opened=Opened(premium=True))
    assert admitted(SHORT, opened=Opened(short=True))
    assert not admitted(PREMIUM, opened=Opened(short=True))
    assert not admitted(SHORT, opened=Opened(premium=True))
    everything = Opened(premium=True, short=True)
    assert not admitted(EMERGENCY, entry("112", "allow"), entry("*", "allow"), opened=everything)


def test_only_an_entry_with_the_whole_number_opens_a_premium_one() -> None:
    assert admitted(PREMIUM, entry(PREMIUM, "allow"))
    assert not admitted(PREMIUM, entry("+49900*", "allow"), entry("*", "allow"))
    assert not admitted(PREMIUM, entry(PREMIUM, "deny"), opened=Opened(premium=True))


@pytest.mark.parametrize(
    ("entries", "may"),
    [
        ([entry("*", "deny")], False),
        ([entry("*", "deny"), entry("+49*", "allow")], True),
        ([entry("+49*", "allow"), entry("+4930*", "deny")], False),
        ([entry("+4930*", "deny"), entry(FAX, "allow")], True),
        ([entry(FAX + "*", "deny"), entry(FAX, "allow")], True),
        ([entry(FAX + "*", "allow"), entry(FAX, "deny")], False),
        ([entry("+49*", "deny"), entry("+49*", "allow")], True),
        ([entry("+49*", "allow"), entry("+49*", "deny")], True),
        ([entry("+4930", "deny")], True),
        ([entry("+49*", "deny", "in")], True),
        ([entry("+49*", "deny", "out")], False),
    ],
)
def test_the_more_exact_entry_wins_and_allow_beats_deny(entries: list[ListEntry], may: bool) -> None:
    assert admitted(FAX, *entries) is may


def test_an_entry_for_one_direction_does_not_hold_for_the_other() -> None:
    inwards = entry("+49*", "deny", "in")
    assert listed(FAX, [inwards], "in") == inwards
    assert listed(FAX, [inwards], "out") is None


def test_a_withheld_number_is_met_by_the_pattern_for_all_only() -> None:
    assert exactness("*", "") == 0
    assert exactness("+*", "") is None


@pytest.mark.parametrize("pattern", ["", "49 30", "+49**", "**", "a", "+", "+49*30", "+" + "1" * 21])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        entry(pattern, "deny")


def test_a_request_may_be_no_larger_than_the_limits() -> None:
    limits = Limits(pages=10, destinations=3)
    admit_size(limits, pages=10, destinations=3)
    for size, code in (((11, 1), "quota.pages_per_fax"), ((1, 4), "quota.destinations")):
        with pytest.raises(RequestError) as refused:
            admit_size(limits, pages=size[0], destinations=size[1])
        assert refused.value.code == code
