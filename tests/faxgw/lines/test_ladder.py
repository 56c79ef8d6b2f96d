"""The last resort for a number: what the next call does otherwise, what is remembered, and who may overrule it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from faxgw.documents.tiff import tiff_octets
from faxgw.rules.attempt import Adjustments
from faxgw.store.tables import destinations
from simulators.numbers import Far
from simulators.personalities import NEVER_TRAINS, Answers
from t30.capabilities import Station
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

MOODY = "+15550122"
PLAIN = Adjustments().model_dump(mode="json")


class Moody(FarEnd):
    """Trains in no call but those after the first two."""

    def __init__(self, number: str) -> None:
        super().__init__(number)
        trains = self.far.habit
        self.far = Far(Station(f"+{number}"), habit=lambda told: self._choose(trains(told)))

    def _choose(self, habit: Any) -> Any:
        return Answers(NEVER_TRAINS) if len(self.calls) <= 2 else habit


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (Moody("15550122"),)


async def known(office: Office) -> Any:
    found = await office.rows(select(destinations).where(destinations.c.number == MOODY))
    return found[0] if found else None


async def test_calls_after_training_failures_go_without_v17_and_then_without_ecm_and_that_is_remembered(
    office: Office,
) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.waits(await office.send(MOODY, document))
    await office.again(fax.id)
    await office.waits(fax.id)
    await office.again(fax.id)
    fax = await office.ended(fax.id)
    calls = await office.calls(fax.id)
    assert [(call.adjustments["no_v17"], call.adjustments["ecm"]) for call in calls] == [
        (False, None),
        (True, None),
        (True, False),
    ]
    assert (fax.state, calls[2].rate, calls[2].modulation, calls[2].ecm) == ("delivered", 9600, "V.29", False)
    learned = (await known(office)).learned
    assert learned["adjustments"] == calls[2].adjustments
    days = (datetime.fromisoformat(learned["expires"]) - calls[2].ended_at) / timedelta(days=1)
    assert abs(days - 30) < 0.01

    following = await office.ended(await office.send(MOODY, document))
    (call,) = await office.calls(following.id)
    assert (call.adjustments, call.rate, call.ecm) == (calls[2].adjustments, 9600, False)

    async with office.gateway.database.dispatcher() as connection:
        past = learned | {"expires": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
        await connection.execute(update(destinations).values(learned=past))
    after_expiry = await office.ended(await office.send(MOODY, document))
    (call,) = await office.calls(after_expiry.id)
    assert (call.adjustments, call.rate, call.ecm) == (PLAIN, 14400, True)


@pytest.mark.parametrize(
    ("override", "learned", "rate"),
    [
        (Adjustments(max_bps=4800), None, 4800),
        (Adjustments(), Adjustments(no_v17=True), 14400),
        (None, Adjustments(no_v17=True), 9600),
    ],
)
async def test_what_an_operator_lays_down_wins_even_if_it_says_plain(
    office: Office, override: Adjustments | None, learned: Adjustments | None, rate: int
) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    memory = {"adjustments": learned.model_dump(mode="json"), "expires": later} if learned else {}
    row = {
        "tenant_id": office.tenant.tenant,
        "number": "+15550100",
        "override": override.model_dump(mode="json") if override else {},
        "learned": memory,
    }
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        await connection.execute(insert(destinations).values(row))
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.ended(await office.send("+15550100", document))
    (call,) = await office.calls(fax.id)
    assert call.rate == rate
    assert (await office.rows(select(destinations.c.override)))[0].override == row["override"]


async def test_a_tenant_may_do_without_the_ladder(office: Office) -> None:
    await office.change_policy(ladder={"on": False})
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.waits(await office.send(MOODY, document))
    await office.again(fax.id)
    await office.waits(fax.id)
    assert [call.adjustments for call in await office.calls(fax.id)] == [PLAIN, PLAIN]
