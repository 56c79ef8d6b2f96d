"""The last resort for a fax: what its next call does otherwise, and who may overrule it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from faxgw.documents.tiff import tiff_octets
from faxgw.learning.evidence import Seen
from faxgw.learning.keeping import Who, keep
from faxgw.model import Direction
from faxgw.rules.attempt import Adjustments
from faxgw.store.tables import destinations
from simulators.numbers import Far
from simulators.personalities import NEVER_TRAINS, Answers
from t30.capabilities import Station
from tests.faxgw.learning.calls import fell_back
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

MOODY = "+15550122"
PLAIN = Adjustments().model_dump(mode="json")
NO_V17 = Adjustments(no_v17=True).model_dump(mode="json")


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


async def test_calls_after_training_failures_go_without_v17_and_then_without_ecm_and_the_number_has_taught_it(
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
    following = await office.ended(await office.send(MOODY, document))
    (call,) = await office.calls(following.id)
    assert (call.adjustments, call.rate, call.ecm) == (NO_V17, 9600, True), "training has nothing to do with ECM"


@pytest.mark.parametrize(
    ("override", "rate"), [(Adjustments(max_bps=4800), 4800), (Adjustments(), 14400), (None, 9600)]
)
async def test_what_an_operator_lays_down_for_a_number_wins_even_if_it_says_plain(
    office: Office, override: Adjustments | None, rate: int
) -> None:
    kept = override.model_dump(mode="json") if override else {}
    row = {"tenant_id": office.tenant.tenant, "number": "+15550100", "override": kept}
    who = Who(Direction.OUT, number="+15550100")
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        await connection.execute(insert(destinations).values(row))
        for days in (2, 1):
            await keep(connection, office.tenant.tenant, who, Seen(fell_back(days, at=datetime.now(UTC)), b"", b""))
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
