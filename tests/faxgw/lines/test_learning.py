"""What calls teach, from one to the next, over lines of the simulated exchange."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from faxgw.documents.coded import bitmap_of
from faxgw.documents.tiff import tiff_octets
from faxgw.learning.evidence import Seen
from faxgw.learning.keeping import CALLS_KEPT, Who, keep, opened
from faxgw.learning.limits import Limit
from faxgw.learning.policy import LearningPolicy
from faxgw.model import Direction
from faxgw.rules.attempt import Adjustments
from faxgw.store.tables import machines
from simulators.sandbox import sandbox
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.pages import Resolution
from t30.rates import Modulation
from tests.faxgw.learning.calls import fell_back
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages

FAILS_V17, FAULTLESS, OWN = "+15550109", "+15550100", "+15550199"
PLAIN, NO_V17 = Adjustments(), Adjustments(no_v17=True)


async def machine(office: Office, **who: Any) -> Any:
    """Return the row of a machine."""
    statement = select(machines).where(*(machines.c[name] == value for name, value in who.items()))
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        return (await connection.execute(statement)).mappings().one_or_none()


async def explained(office: Office, **who: Any) -> list[str]:
    """Return the sentences about a machine."""
    known = opened(await machine(office, **who)).known(LearningPolicy(), at=datetime.now(UTC))
    return [each.text for each in known.standings]


async def keep_calls(office: Office, who: Who, *days: float) -> None:
    """Have calls kept in which V.17 never trained, so many days ago."""
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        for each in days:
            seen = Seen(fell_back(each, at=datetime.now(UTC)), b"", b"")
            await keep(connection, office.tenant.tenant, who, seen)


async def call_in(caller: str, *, station: str = "STATION") -> None:
    sheets = [Sheet(bitmap_of(page), page.width, Resolution.FINE) for page in fax_pages(1)]
    outcome = await sandbox().call_in(OWN, Station(station), Tray(sheets), number=caller, within=10)
    assert outcome is not None
    assert outcome.verdict == "delivered"


@pytest.mark.case("R22")
async def test_a_number_that_fails_v17_twice_is_called_without_it_the_third_time_until_an_operator_brings_it_back(
    office: Office,
) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    used, trained = [], []
    for _ in range(3):
        fax = await office.ended(await office.send(FAILS_V17, document))
        (call,) = await office.calls(fax.id)
        assert (fax.state, call.rate, call.modulation) == ("delivered", 9600, "V.29")
        used.append(Adjustments.model_validate(call.adjustments))
        kept = opened(await machine(office, direction="out", number=FAILS_V17)).calls[-1]
        trained.append([(each.family.value, passed) for each, passed in kept.trainings])
    assert used == [PLAIN, PLAIN, NO_V17]
    assert trained == [[("V.17", False), ("V.17", False), ("V.29", True)]] * 2 + [[("V.29", True)]]
    row = await machine(office, direction="out", number=FAILS_V17)
    assert (row["station"], len(opened(row).calls)) == ("", 3)
    assert len(opened(row).capabilities) >= 3
    end = opened(row).calls[1].at + timedelta(days=30)
    (text,) = await explained(office, number=FAILS_V17)
    assert text.startswith(f"V.17 off until {end.day} {end:%B}")
    assert text.endswith(": training failed in 2 of 2 calls")

    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        never = {Limit.NO_V17.value: {"say": "never"}}
        await connection.execute(update(machines).where(machines.c.id == row["id"]).values(verdicts=never))
    fax = await office.ended(await office.send(FAILS_V17, document))
    (call,) = await office.calls(fax.id)
    assert Adjustments.model_validate(call.adjustments) == PLAIN
    (text,) = await explained(office, number=FAILS_V17)
    assert text == "never V.17 off: laid down (training failed in 3 of 3 calls)"


async def test_v17_is_tried_again_when_its_time_is_up(office: Office) -> None:
    await keep_calls(office, Who(Direction.OUT, number=FAULTLESS), 33, 31)
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    for _ in range(2):
        fax = await office.ended(await office.send(FAULTLESS, document))
        (call,) = await office.calls(fax.id)
        assert (Adjustments.model_validate(call.adjustments), call.rate) == (PLAIN, 14400)


async def test_a_caller_of_whom_v17_never_trained_is_not_offered_it(office: Office) -> None:
    await call_in(FAULTLESS)
    await office.received(1)
    row = await machine(office, direction="in", number=FAULTLESS)
    assert [call.modulation for call in opened(row).calls] == [Modulation.V17_14400]
    assert row["station"] == ""
    await keep_calls(office, Who(Direction.IN, number=FAULTLESS), 0.1, 0.05)
    await call_in(FAULTLESS)
    fax = (await office.received(2))[1]
    (call,) = await office.calls(fax.id)
    assert (Adjustments.model_validate(call.adjustments), call.rate, call.modulation) == (NO_V17, 9600, "V.29")
    await call_in("+15550105")
    (call,) = await office.calls((await office.received(3))[2].id)
    assert call.rate == 14400, "another caller"


async def test_a_caller_without_a_number_is_known_by_what_it_calls_itself(office: Office) -> None:
    await call_in("", station="ACME BERLIN")
    await office.received(1)
    row = await machine(office, direction="in", station="ACME BERLIN")
    assert (row["number"], len(opened(row).calls)) == ("", 1)


async def test_what_a_tenant_does_not_want_to_learn_changes_no_call(office: Office) -> None:
    await keep_calls(office, Who(Direction.OUT, number=FAULTLESS), 2, 1)
    await office.change_policy(learning={"on": False})
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.ended(await office.send(FAULTLESS, document))
    (call,) = await office.calls(fax.id)
    assert (Adjustments.model_validate(call.adjustments), call.rate) == (PLAIN, 14400)


async def test_only_the_last_calls_are_kept(office: Office) -> None:
    await keep_calls(office, Who(Direction.OUT, number=FAULTLESS), *range(CALLS_KEPT + 3, 0, -1))
    calls = opened(await machine(office, number=FAULTLESS)).calls
    assert len(calls) == CALLS_KEPT
    assert datetime.now(UTC) - calls[-1].at < timedelta(days=1.1)
