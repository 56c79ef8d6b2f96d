"""Minimal records: kept without end, unless the policy says for how long; also of faxes of which nothing was stored."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from faxgw.retention.preview import preview
from faxgw.retention.purging import purge
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import audit_waiting, certificates, events, tombstones
from tests.faxgw.retention.place import NOW, Place

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@pytest.mark.requirement("FP-06", "XM-25")
async def test_the_record_of_a_fax_that_was_not_stored_goes_at_its_days_and_not_before(place: Place) -> None:
    await place.set_policy(storage="none", retention={"record_days": 30})
    fax = await place.add_fax(storage="none")
    assert await purge(place.gateway, now=NOW + DAY) == 1
    assert (await place.row(fax)).shredded_at == NOW + DAY
    assert await purge(place.gateway, now=NOW + 31 * DAY - MOMENT) == 0
    assert await purge(place.gateway, now=NOW + 31 * DAY) == 1
    assert await place.row(fax) is None
    assert await place.count(events, events.c.fax_id.is_not(None)) == 0
    assert await place.count(tombstones, tombstones.c.kind == "fax", tombstones.c.id == fax) == 1
    said = (await place.one(select(certificates.c.said).order_by(certificates.c.id.desc()).limit(1)))["rule"]
    assert said == "records: 30 days"
    assert await place.count(audit_waiting, audit_waiting.c.entry.contains("records: 30 days")) == 1


async def test_without_a_rule_records_stay_and_a_rule_holds_for_those_of_stored_faxes_too(place: Place) -> None:
    await place.set_policy(retention={"days": 10})
    fax, young = await place.add_whole_fax(), await place.add_fax(created=NOW + 40 * DAY)
    assert await purge(place.gateway, now=NOW + 10 * DAY) == 1
    assert await purge(place.gateway, now=NOW + 10_000 * DAY) == 1
    assert None not in (await place.row(fax), await place.row(young))
    await place.set_policy(retention={"days": 10, "record_days": 9_990})
    assert await purge(place.gateway, now=NOW + 10_000 * DAY) == 1
    assert await place.row(fax) is None
    assert await place.row(young) is not None


async def test_a_hold_keeps_a_record_and_the_preview_counts_those_that_go(place: Place) -> None:
    await place.set_policy(retention={"days": 10})
    await place.add_fax(), await place.add_fax(to_number="+15550199")
    assert await purge(place.gateway, now=NOW + 10 * DAY) == 2
    await place.add_hold(numbers=["+15550199"])
    wanted = TenantPolicy.model_validate({"retention": {"record_days": 30}})
    for days, count in ((39, 0), (40, 1)):
        async with place.gateway.database.tenant(place.tenant) as connection:
            assert (await preview(connection, place.tenant, wanted, now=NOW + days * DAY))["records"] == count
    await place.set_policy(retention={"record_days": 30})
    assert await purge(place.gateway, now=NOW + 40 * DAY) == 1
