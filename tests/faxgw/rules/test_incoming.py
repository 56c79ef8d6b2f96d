"""Where an incoming call goes, and what is done with junk."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis.strategies import builds, integers, lists, none, permutations, sampled_from, tuples
from pydantic import ValidationError

from faxgw.rules.admission import ListEntry
from faxgw.rules.incoming import (
    ACCEPTED,
    Arrival,
    Assignment,
    JunkRule,
    Screened,
    Screening,
    after_receiving,
    before_answering,
    choose_box,
)
from faxgw.rules.windows import Hours, Span

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
A, B, C, D = (UUID(int=n) for n in range(1, 5))
CALL = Arrival("isdn1", dialled="+4930123456", caller="+4940987654")


def box(*assignments: Assignment, arrival: Arrival = CALL) -> UUID | None:
    chosen = choose_box(arrival, assignments).assignment
    return chosen.box if chosen else None


def test_xm02_a_fax_to_a_number_lands_in_the_box_of_that_number_only() -> None:
    a, b = Assignment(box=A, number="+4930123456"), Assignment(box=B, number="+4930123457")
    assert box(a, b) == box(b, a) == A
    assert box(a, b, arrival=Arrival("isdn1", dialled="+4930123457")) == B
    assert box(a, b, arrival=Arrival("isdn1", dialled="+4930123458")) is None
    assert box(a, b, arrival=Arrival("isdn1")) is None


def test_the_most_exact_assignment_wins() -> None:
    everything = Assignment(box=A)
    line = Assignment(box=B, line="isdn1")
    prefix = Assignment(box=C, number="+4930*")
    exact = Assignment(box=D, number="+4930123456")
    assert box(everything) == A
    assert box(line, everything) == B
    assert box(everything, line, prefix) == C
    assert box(prefix, exact, line, everything) == D
    both = Assignment(box=A, number="+4930123456", line="isdn1")
    assert box(exact, both) == A
    sub = Assignment(box=B, subaddress="12")
    assert box(exact, sub) == D
    assert box(exact, sub, arrival=Arrival("isdn1", dialled="+4930123456", subaddress="12")) == B


def test_an_assignment_fits_only_where_everything_fits() -> None:
    picky = Assignment(box=A, number="+4930*", line="isdn2", subaddress="12")
    assert box(picky, arrival=Arrival("isdn2", dialled="+4930123456", subaddress="12")) == A
    assert box(picky, arrival=Arrival("isdn1", dialled="+4930123456", subaddress="12")) is None
    assert box(picky, arrival=Arrival("isdn2", dialled="+4930123456")) is None
    assert box(picky, arrival=Arrival("isdn2", dialled="+4940123456", subaddress="12")) is None


def test_the_choice_says_why() -> None:
    assert (
        choose_box(CALL, [Assignment(box=A, number="+49*", line="isdn1")]).text
        == "The box was found by its number and line."
    )
    assert choose_box(CALL, [Assignment(box=A)]).text == "The box takes every call."
    assert choose_box(CALL, []).text.endswith("the call is refused.")


assignments = lists(
    builds(
        Assignment,
        box=sampled_from([A, B, C, D]),
        number=none() | sampled_from(["*", "+49*", "+4930*", "+4930123456", "+44*"]),
        line=none() | sampled_from(["isdn1", "isdn2"]),
        subaddress=none() | sampled_from(["1", "2"]),
    ),
    max_size=6,
)


@given(pair=assignments.flatmap(lambda each: tuples(permutations(each), permutations(each))))
def test_the_order_of_assignments_does_not_matter(pair: tuple[list[Assignment], list[Assignment]]) -> None:
    assert box(*pair[0]) == box(*pair[1])


# ---------------------------------------------------------------------------------------------------------------- junk

REJECTED = Screened(Screening.REJECT, "junk")
MARKED = Screened(Screening.MARK, "junk")


def junk(action: str = "reject", **known_by: object) -> JunkRule:
    return JunkRule.model_validate({"name": "junk", "action": action, **known_by})


def answered(
    rule: JunkRule, arrival: Arrival = CALL, at: datetime = NOON, entries: tuple[ListEntry, ...] = ()
) -> Screened:
    return before_answering(arrival, rules=[rule], entries=entries, at=at)


def received(rule: JunkRule, arrival: Arrival = CALL, entries: tuple[ListEntry, ...] = ()) -> Screened:
    return after_receiving(arrival, rules=[rule], entries=entries, at=NOON)


@pytest.mark.parametrize(
    ("callers", "caller", "expected"),
    [
        (["+4940*"], "+4940987654", REJECTED),
        (["+4940987654"], "+4940987654", REJECTED),
        (["+494098765"], "+4940987654", ACCEPTED),
        (["+44*", "+4940*"], "+4940987654", REJECTED),
        (["withheld"], "", REJECTED),
        (["withheld"], "+4940987654", ACCEPTED),
        (["+49*"], "", ACCEPTED),
        (["4711"], "4711", REJECTED),
    ],
)
def test_a_call_is_refused_by_who_calls(callers: list[str], caller: str, expected: Screened) -> None:
    assert answered(junk(callers=callers), Arrival("isdn1", caller=caller)) == expected


def test_a_call_is_refused_by_the_time_of_the_day() -> None:
    nights = Hours(spans=(Span(opens="22:00", closes="06:00"),))
    assert answered(junk(hours=nights), at=NOON.replace(hour=23)) == REJECTED
    assert answered(junk(hours=nights)) == ACCEPTED
    assert answered(junk(hours=nights, callers=["+44*"]), at=NOON.replace(hour=23)) == ACCEPTED


@pytest.mark.parametrize(
    ("stations", "station", "expected"),
    [
        (["*best offers*"], "BEST OFFERS 99", MARKED),
        (["+44 ?0*"], "+44 20 123", MARKED),
        (["best"], "BEST OFFERS", ACCEPTED),
        (["*"], "", MARKED),
    ],
)
def test_a_fax_is_marked_by_what_its_sender_calls_itself(stations: list[str], station: str, expected: Screened) -> None:
    assert received(junk("mark", stations=stations), Arrival("isdn1", station=station, pages=1)) == expected


def test_a_fax_is_marked_by_its_number_of_pages() -> None:
    single = junk("mark", pages_at_most=1)
    assert received(single, Arrival("isdn1", pages=1)) == MARKED
    assert received(single, Arrival("isdn1", pages=2)) == ACCEPTED


def test_an_entry_of_the_list_stands_above_the_junk_rules() -> None:
    rule, marking = junk(callers=["*"]), junk("mark", callers=["*"])
    allowed = ListEntry(pattern="+4940987654", direction="in", action="allow")
    denied = ListEntry(pattern="+49*", direction="in", action="deny")
    outwards = ListEntry(pattern="+49*", direction="out", action="deny")
    assert answered(rule, entries=(allowed, denied)) == ACCEPTED
    assert received(marking, entries=(allowed, denied)) == ACCEPTED
    assert answered(junk(callers=["+44*"]), entries=(denied,)) == Screened(Screening.REJECT, "+49*")
    assert answered(junk(callers=["+44*"]), entries=(outwards,)) == ACCEPTED


patterns = sampled_from(["*", "withheld", "+49*"])
rules = lists(
    builds(
        JunkRule,
        name=sampled_from(["a", "b"]),
        callers=lists(patterns, min_size=1, max_size=2).map(tuple),
        action=sampled_from(["reject", "mark"]),
    ),
    max_size=4,
)
entries = lists(
    builds(ListEntry, pattern=sampled_from(["*", "+49*", "+4940987654"]), action=sampled_from(["allow", "deny"])),
    max_size=3,
)
calls = builds(
    Arrival, line=sampled_from(["isdn1"]), caller=sampled_from(["", "+4940987654", "+44"]), pages=integers(0, 2)
)


@given(rules=rules, entries=entries, arrival=calls)
def test_a_fax_that_was_received_is_never_thrown_away(
    rules: list[JunkRule], entries: list[ListEntry], arrival: Arrival
) -> None:
    assert after_receiving(arrival, rules=rules, entries=entries, at=NOON).screening is not Screening.REJECT
    assert before_answering(arrival, rules=rules, entries=entries, at=NOON).screening is not Screening.MARK


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "reject"},
        {"action": "reject", "stations": ["*"]},
        {"action": "reject", "callers": ["*"], "pages_at_most": 1},
        {"action": "drop", "callers": ["*"]},
        {"action": "mark", "callers": ["hidden"]},
        {"action": "mark", "callers": ["*"], "until": "tomorrow"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JunkRule.model_validate({"name": "junk", **wrong})
