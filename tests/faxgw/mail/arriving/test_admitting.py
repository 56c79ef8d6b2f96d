"""Recipients are judged by what was laid down a moment ago, and by what holds now where that is too long ago."""

import pytest
from sqlalchemy import insert

from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.mail.arriving.admitting import KNOWN, MOST, Admission
from faxgw.store.tables import number_rules
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.devices.making import make

TO = "+49301234567"


async def deny(gateway: Gateway, person: Person, *patterns: str) -> None:
    rule = {"tenant_id": person.tenant_id, "direction": "out", "action": "deny"}
    rows = [{"id": new_id(), "pattern": each, **rule} for each in patterns]
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(number_rules), rows)


@pytest.mark.parametrize("pattern", [TO, "+4930*"])
async def test_what_is_laid_down_holds_for_recipients_within_moments(
    gateway: Gateway, owner: Person, pattern: str
) -> None:
    device, _ = await make(gateway, owner)
    now = [0.0]
    admission = Admission(gateway.database, clock=lambda: now[0])
    await admission.admit(device, TO)
    await deny(gateway, owner, pattern)
    now[0] = KNOWN
    await admission.admit(device, TO)
    now[0] = KNOWN + 0.1
    with pytest.raises(RequestError) as refused:
        await admission.admit(device, TO)
    assert refused.value.code == "number.denied_by_policy"


async def test_what_one_tenant_has_laid_down_is_nothing_to_another(gateway: Gateway, owner: Person) -> None:
    other = await add_person(gateway)
    ours, theirs = (await make(gateway, owner))[0], (await make(gateway, other))[0]
    await deny(gateway, owner, "+4930*")
    admission = Admission(gateway.database)
    for _ in range(2):
        await admission.admit(theirs, TO)
        with pytest.raises(RequestError):
            await admission.admit(ours, TO)


async def test_lists_that_are_too_long_to_be_kept_are_asked_for_each_number(gateway: Gateway, owner: Person) -> None:
    device, _ = await make(gateway, owner)
    await deny(gateway, owner, TO, *(f"+4940{each:07}" for each in range(MOST)))
    admission = Admission(gateway.database)
    await admission.admit(device, "+49301234568")
    for number in (TO, "+49400000999"):
        with pytest.raises(RequestError) as refused:
            await admission.admit(device, number)
        assert refused.value.code == "number.denied_by_policy"
