"""Which line a call takes, and the sentences that say why."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis.strategies import booleans, builds, floats, integers, lists, permutations, sampled_from, text

from faxgw.rules.routing import HEALTHY, Choice, Health, LineState, Route, channel_of, choose

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBER = "+4930123456"
ONE, TWO, THREE = LineState("one"), LineState("two"), LineState("three")


def chosen(*routes: Route, lines: list[LineState] | None = None, tenant: str = "acme", avoid: str = "") -> Choice:
    return choose(NUMBER, routes=routes, lines=lines or [ONE, TWO, THREE], tenant=tenant, now=NOW, avoid=avoid)


def names(choice: Choice) -> list[str]:
    return [each.line for each in choice.candidates]


def test_without_routes_every_sending_line_takes_every_number() -> None:
    choice = chosen(lines=[THREE, LineState("fax", sends=False), ONE])
    assert names(choice) == ["one", "three"]
    assert choice.steps[0].code == "route.none"


def test_the_longest_prefix_wins_whatever_it_costs() -> None:
    routes = [
        Route(prefix="", lines=("one",)),
        Route(prefix="+4930", lines=("two",), cost=9),
        Route(prefix="+49", lines=("three",)),
    ]
    assert names(chosen(*routes)) == ["two"]
    assert names(chosen(*reversed(routes))) == ["two"]


def test_then_the_cheaper_route_goes_first() -> None:
    assert names(chosen(Route(prefix="+49", lines=("one",), cost=2), Route(prefix="+49", lines=("two",), cost=1))) == [
        "two",
        "one",
    ]
    assert names(chosen(Route(lines=("one",), cost=2), Route(lines=("one", "two"), cost=3))) == ["one", "two"]


def test_then_the_line_that_failed_less_of_late() -> None:
    limping = LineState("one", health=HEALTHY.failed(NOW - timedelta(minutes=5)))
    assert names(chosen(lines=[limping, TWO])) == ["two", "one"]
    recovered = LineState("one", health=HEALTHY.failed(NOW - timedelta(hours=2)))
    assert names(chosen(lines=[recovered, TWO])) == ["one", "two"]


def test_a_call_takes_the_first_idle_line_and_waits_when_there_is_none() -> None:
    busy = [LineState("one", idle=False), TWO]
    choice = chosen(lines=busy)
    assert choice.line is not None
    assert choice.line.line == "two"
    waiting = chosen(lines=[LineState("one", idle=False)])
    assert waiting.line is None
    assert names(waiting) == ["one"]
    assert waiting.steps[-1].code == "line.wait"
    assert waiting.steps[-2].text == "1. line one: costs 0, recent failures count 0; it is busy now."
    assert choice.steps[-2].text == "2. line two: costs 0, recent failures count 0."


def test_the_line_that_failed_just_now_comes_last() -> None:
    assert names(chosen(Route(lines=("one",)), Route(lines=("two",), cost=5), avoid="one")) == ["two", "one"]
    assert names(chosen(lines=[ONE], avoid="one")) == ["one"]


def test_what_cannot_take_the_call_is_left_out_and_the_explanation_says_why() -> None:
    lines = [
        LineState("in", sends=False),
        LineState("theirs", tenants=frozenset({"other"})),
        LineState("ours", tenants=frozenset({"acme", "other"})),
        LineState("dead", up=False),
        LineState("elsewhere"),
    ]
    choice = chosen(Route(prefix="+49", lines=("in", "theirs", "ours", "dead")), lines=lines)
    assert names(choice) == ["ours"]
    assert [(step.code, step.data.get("line")) for step in choice.steps] == [
        ("route.prefix", None),
        ("line.down", "dead"),
        ("line.not_routed", "elsewhere"),
        ("line.receives_only", "in"),
        ("line.other_tenant", "theirs"),
        ("line.candidate", "ours"),
        ("line.chosen", "ours"),
    ]
    assert [step.text for step in choice.steps][:2] == [
        "The route for numbers that begin with +49 is the most exact one.",
        "Line dead is out of order.",
    ]


def test_a_number_that_no_route_fits_takes_no_line() -> None:
    choice = chosen(Route(prefix="+44", lines=("one",)))
    assert choice.candidates == ()
    assert (choice.steps[0].code, choice.steps[-1].code) == ("route.no_match", "line.nothing")


def test_failures_age_and_successes_forgive() -> None:
    health = HEALTHY.failed(NOW).failed(NOW)
    assert health.now(NOW) == 2
    assert health.now(NOW + timedelta(minutes=10)) == 1
    assert health.now(NOW + timedelta(hours=2)) == 0
    assert health.succeeded(NOW).now(NOW) == 1
    assert Health.model_validate_json(health.model_dump_json()) == health


def test_a_clock_that_was_put_back_makes_no_line_worse() -> None:
    assert HEALTHY.failed(NOW).now(NOW - timedelta(hours=1)) == 1


some_routes = lists(
    builds(
        Route,
        prefix=sampled_from(["", "+4", "+49", "+493", "+4930123456", "+44", "+49301234567"]),
        lines=lists(sampled_from(["one", "two", "three"]), min_size=1, max_size=3).map(tuple),
        cost=integers(0, 2).map(float),
    ),
    max_size=6,
)
some_lines = lists(
    builds(
        LineState,
        name=sampled_from(["one", "two", "three"]),
        node=text("ab", max_size=2),
        sends=booleans(),
        idle=booleans(),
        up=booleans(),
        health=builds(Health, score=floats(0, 5), at=sampled_from([None, NOW])),
    ),
    max_size=5,
    unique_by=lambda line: (line.name, line.node),
)


@given(routes=some_routes, lines=some_lines)
def test_no_candidate_has_a_shorter_prefix_than_another_route_that_fits(
    routes: list[Route], lines: list[LineState]
) -> None:
    choice = chosen_among(routes, lines)
    longest = max((len(route.prefix) for route in routes if NUMBER.startswith(route.prefix)), default=0)
    assert all(len(each.prefix) == longest for each in choice.candidates)
    keys = [(each.cost, each.failures) for each in choice.candidates]
    assert keys == sorted(keys)
    usable = {(line.name, line.node) for line in lines if line.up and line.sends}
    assert {(each.line, each.node) for each in choice.candidates} <= usable


@given(routes=some_routes.flatmap(permutations), lines=some_lines.flatmap(permutations))
def test_the_order_of_routes_and_lines_does_not_matter(routes: list[Route], lines: list[LineState]) -> None:
    ordered = chosen_among(sorted(routes, key=repr), sorted(lines, key=repr))
    assert chosen_among(routes, lines) == ordered


def chosen_among(routes: list[Route], lines: list[LineState]) -> Choice:
    return choose(NUMBER, routes=routes, lines=lines, tenant="acme", now=NOW)


def test_a_route_names_a_trunk_and_means_all_its_channels() -> None:
    channels = [LineState(channel_of("carrier", number)) for number in (1, 2)]
    assert names(chosen(Route(lines=("carrier",)), lines=[*channels, ONE])) == ["carrier:1", "carrier:2"]


def test_after_a_failure_on_one_channel_the_whole_trunk_comes_last() -> None:
    channels = [LineState(channel_of("carrier", number)) for number in (1, 2)]
    assert names(chosen(lines=[*channels, THREE], avoid="carrier:1")) == ["three", "carrier:1", "carrier:2"]
