"""Several faxes to one number in one call: each with its attempt, its confirmations, its ending."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update

from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.actions import release
from faxgw.learning.keeping import opened
from faxgw.learning.policy import LearningPolicy
from faxgw.model import State
from faxgw.store.tables import attempts, destinations, faxes, machines
from t30.capabilities import Station
from tests.faxgw.lines.conftest import SPEED, Office, seen, sim_line
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

NUMBER = "+15550123"
TWO = tiff_octets(fax_pages(2))
LONG = tiff_octets(fax_pages(4, rows=2200))


@pytest.fixture
def far_ends(request: pytest.FixtureRequest) -> tuple[FarEnd, ...]:
    """Return the machine; a test may say after how many pages it hangs up in each call."""
    drops = getattr(request, "param", ())
    return (FarEnd("15550123", Station("ACME"), drops_after=drops),)


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> tuple[LineSettings, ...]:
    """Return two lines; a test may say how fast they are."""
    speed = getattr(request, "param", SPEED)
    return (sim_line("one", "15550199", speed=speed), sim_line("two", "15550198", speed=speed))


slowly = pytest.mark.parametrize("lines", [100], indirect=True)


async def waiting(office: Office, *asked: dict[str, Any], together: int = 3, **policy: Any) -> list[UUID]:
    """Have faxes of two pages accepted that wait for their time."""
    await office.change_policy(together={"faxes": together, **policy})
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    found = []
    for each in map(dict, asked):
        document = await office.upload(each.pop("octets", TWO), each.pop("pages", 2))
        fax = await office.send(each.pop("to", NUMBER), document, send_at=later, **each)
        found.append((await office.in_state(fax, State.SCHEDULED)).id)
    return found


async def go(office: Office, ids: list[UUID]) -> None:
    """Let their time come, in their order and all at once."""
    async with office.gateway.database.dispatcher() as connection:
        for place, each in enumerate(ids):
            past = func.now() - timedelta(seconds=60 - place)
            await connection.execute(update(faxes).where(faxes.c.id == each).values(next_call_at=past))
        await connection.execute(text("SELECT pg_notify('faxgw_work', 'call')"))


async def causes(office: Office, fax_id: UUID) -> list[str]:
    return [call.cause for call in await office.calls(fax_id)]


async def test_three_faxes_go_in_one_call_and_each_has_its_own_attempt_and_ending(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    ids = await waiting(office, {}, {"octets": tiff_octets(fax_pages(1)), "pages": 1}, {"priority": 60})
    await go(office, ids)
    done = [await office.ended(each) for each in ids]
    assert [(fax.state, fax.pages_done, fax.dials) for fax in done] == [
        ("delivered", 2, 1),
        ("delivered", 1, 1),
        ("delivered", 2, 1),
    ]
    (heard,) = far_ends[0].calls
    assert heard.hashes == [page for each in ids for page in await office.hashes(each)]
    assert await seen(_traced, office)
    calls = [call for each in ids for call in await office.calls(each)]
    assert [(call.cause, call.pages, call.first_page, call.remote_id) for call in calls] == [
        ("", 2, 0, "ACME"),
        ("", 1, 0, "ACME"),
        ("", 2, 0, "ACME"),
    ]
    assert {(call.rate, call.modulation, call.ecm, call.line) for call in calls} == {
        (14400, "V.17", True, calls[0].line)
    }
    assert all(call.seconds > 5 for call in calls)
    assert len({call.trace_id for call in calls}) == 1
    for each, pages in zip(ids, (2, 1, 2), strict=True):
        steps = await office.told(each)
        assert steps[steps.index("fax.dialing") :] == [
            "fax.dialing",
            "fax.sending",
            *["fax.page_sent"] * pages,
            "fax.delivered",
        ]
        assert [row.index for row in await office.confirmed(each)] == list(range(pages))


async def _traced(office: Office) -> Any:
    rows = await office.rows(select(attempts.c.trace_id, attempts.c.state))
    return all(row.trace_id is not None and row.state == "ended" for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "calls"),
    [({"together": 1}, 3), ({"together": 2}, 2), ({"pages": 4}, 2)],
    ids=str,
)
async def test_no_more_go_in_one_call_than_the_policy_says(
    office: Office, far_ends: tuple[FarEnd, ...], policy: dict[str, int], calls: int
) -> None:
    ids = await waiting(office, {}, {}, {}, **policy)
    await go(office, ids)
    assert [(await office.ended(each)).state for each in ids] == ["delivered"] * 3
    assert len(far_ends[0].calls) == calls


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"password": "4711"},
        {"to": "+15550100"},
    ],
    ids=lambda each: next(iter(each)),
)
async def test_only_faxes_that_are_alike_go_together(
    office: Office, far_ends: tuple[FarEnd, ...], other: dict[str, Any]
) -> None:
    ids = await waiting(office, {}, other, {})
    await go(office, ids)
    assert [(await office.ended(each)).state for each in ids] == ["delivered"] * 3
    heard = [len(call.confirmed) for call in far_ends[0].calls]
    assert sorted(heard) == ([4] if "to" in other else [2, 4])


@pytest.mark.parametrize("far_ends", [(3,)], indirect=True)
async def test_the_first_page_that_fails_ends_the_call_and_later_faxes_are_untouched(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    ids = await waiting(office, {}, {}, {})
    await go(office, ids)
    second = await office.waits(ids[1])
    assert (second.pages_done, second.reason_code) == (1, "line.dropped")
    assert (await office.ended(ids[0])).state == "delivered"
    third = await office.ended(ids[2])
    assert (third.state, third.dials, await causes(office, ids[2])) == ("delivered", 1, [""])
    await office.again(ids[1])
    assert (await office.ended(ids[1])).state == "delivered"
    assert [call.first_page for call in await office.calls(ids[1])] == [0, 1]
    pages = [page for each in ids for page in await office.hashes(each)]
    assert far_ends[0].calls[0].hashes[:3] == pages[:3]


@pytest.mark.parametrize("far_ends", [(2,)], indirect=True)
async def test_a_machine_that_hangs_up_between_two_faxes_gets_one_a_call_from_then_on(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    ids = await waiting(office, {}, {}, {})
    await go(office, ids)
    assert [(await office.ended(each)).state for each in ids] == ["delivered"] * 3
    assert await causes(office, ids[0]) == [""]
    assert await causes(office, ids[1]) == ["line.taken", ""]
    assert await causes(office, ids[2]) == [""]
    assert len(far_ends[0].calls) == 3
    (row,) = await office.rows(select(machines))
    known = opened(row._mapping).known(LearningPolicy(), at=datetime.now(UTC))
    assert [each.text.partition(": ")[2] for each in known.standings] == [
        "the call ended between two faxes in 1 of 1 call"
    ]
    assert (await office.calls(ids[2]))[0].adjustments["alone"]


@slowly
@pytest.mark.slow
async def test_a_fax_that_is_canceled_before_its_turn_is_skipped(office: Office, far_ends: tuple[FarEnd, ...]) -> None:
    ids = await waiting(office, {"octets": LONG, "pages": 4}, {}, {})
    await go(office, ids)
    await office.in_state(ids[0], State.SENDING)
    await office.in_state(ids[1], State.QUEUED)
    assert await office.cancel(ids[1]) is State.CANCELED
    assert [(await office.ended(each)).state for each in ids] == ["delivered", "canceled", "delivered"]
    assert await causes(office, ids[1]) == []
    assert [len(call.confirmed) for call in far_ends[0].calls] == [6]


@slowly
async def test_a_call_ends_well_when_the_fax_that_was_to_follow_is_canceled_at_the_last_moment(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    ids = await waiting(office, {"octets": LONG, "pages": 4}, {})
    await go(office, ids)
    await seen(_at_its_last_page, office, ids[0])
    assert await office.cancel(ids[1]) is State.CANCELED
    fax = await office.ended(ids[0])
    assert (fax.state, fax.dials, await causes(office, ids[0])) == ("delivered", 1, [""])
    (heard,) = far_ends[0].calls
    assert len(heard.confirmed) == 4


async def _at_its_last_page(office: Office, fax_id: UUID) -> bool:
    return bool((await office.fax(fax_id)).pages_done == 3)


@slowly
@pytest.mark.slow
async def test_the_call_ends_when_the_fax_on_the_line_is_canceled_and_the_others_go_in_the_next(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    ids = await waiting(office, {}, {"octets": LONG, "pages": 4}, {})
    await go(office, ids)
    await office.in_state(ids[1], State.SENDING)
    await office.cancel(ids[1])
    assert [(await office.ended(each)).state for each in ids] == ["delivered", "canceled", "delivered"]
    assert len(far_ends[0].calls) == 2


@pytest.mark.slow
async def test_each_fax_is_held_where_another_machine_than_before_answers(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    ids = await waiting(office, {}, {}, {})
    await office.change_policy(misdirect="hold")
    known = {"tenant_id": office.tenant.tenant, "number": NUMBER, "station_ids": ["+1 555 0999"]}
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        await connection.execute(insert(destinations).values(known))
    await go(office, ids)
    for each in ids:
        assert "ACME" in (await office.in_state(each, State.HELD)).mark
    assert [call.confirmed for call in far_ends[0].calls] == [[], [], []]
    for each in ids:
        await office.do(release, each)
    assert [(await office.ended(each)).state for each in ids] == ["delivered"] * 3
