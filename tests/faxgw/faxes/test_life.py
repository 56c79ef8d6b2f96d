"""What is said of the life of a fax is what the code does."""

import re
from pathlib import Path

from faxgw.model import FOLLOWS, LAST_EVENTS, ON_LINE, WAITING, EventType, State

HOUSE = Path(__file__).parents[3]


def test_the_picture_of_the_life_is_that_of_the_code() -> None:
    text = (HOUSE / "faxgw/faxes/README.md").read_text()
    (shown,) = re.findall(r"<!-- life -->\n```\n(.*?)```", text, re.DOTALL)
    drawn = "".join(
        f"{state.value:18} -> {', '.join(sorted(each.value for each in after))}\n"
        for state, after in FOLLOWS.items()
        if after
    )
    assert shown == drawn


def test_the_users_page_names_every_state_and_every_event_of_a_fax() -> None:
    text = (HOUSE / "docs/life-of-a-fax.md").read_text()
    assert set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == {state.value for state in State}
    named = set(re.findall(r"`((?:delivery|device|escrow|fax|retention|service)\.\w+)`", text))
    assert named == {each.value for each in EventType} - {"webhook.test"}


def test_every_state_leads_to_an_end() -> None:
    assert FOLLOWS.keys() == set(State)
    ends = {state for state in State if state.final}
    assert {f"fax.{state.value}" for state in ends} == {event.value for event in LAST_EVENTS}
    for state in State:
        reached, new = set[State](), {state}
        while new:
            reached |= new
            new = {after for each in new for after in FOLLOWS[each]} - reached
        assert reached & ends, state
    assert all(State.QUEUED in FOLLOWS[state] for state in WAITING - {State.QUEUED})
    assert not any(state.final for state in ON_LINE)
