"""What is not taken on, and that nothing of it is left behind."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.store.tables import batches, counters, events, faxes
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages

FAR_AHEAD = {"send_at": "2026-12-24T00:00:00Z"}


async def code(coming: Any) -> str:
    """Return the code with which something is refused."""
    with pytest.raises(RequestError) as refused:
        await coming
    return refused.value.code


async def rows(office: Office) -> list[int]:
    tables = (faxes, batches, events, counters)
    return [(await office.rows(select(func.count()).select_from(each)))[0][0] for each in tables]


async def test_closed_and_listed_numbers_are_denied_and_leave_nothing_behind(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    await office.change_policy(region="DE", quotas={"tenant": {"calls_per_day": 100}})
    await office.deny("+4930*")
    await office.deny("+493012345678", action="allow")
    await office.deny("+15550105")
    for number in ("112", "110", "+49 900 1234567", "115", "030 7654321", "+15550105"):
        assert await code(office.send(number, document)) == "number.denied_by_policy", number
    for number in ("12", "+4930", "no number", "+999123456789"):
        assert await code(office.send(number, document)) in ("number.invalid", "number.denied_by_policy"), number
    assert await code(office.batch(["+15550100", "+15550105"], document)) == "number.denied_by_policy"
    assert await rows(office) == [0, 0, 0, 0]
    await office.send("030 12345678", document, **FAR_AHEAD)
    await office.change_policy(opened={"premium": True, "short": True})
    await office.send("+49 900 1234567", document, **FAR_AHEAD)
    assert await code(office.send("112", document)) == "number.denied_by_policy"


async def test_the_size_of_a_fax_and_of_a_batch_is_limited(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    await office.change_policy(limits={"pages": 2, "destinations": 2})
    assert await code(office.send("+15550100", document, cover={"subject": "one more"})) == "quota.pages_per_fax"
    assert await code(office.batch(["+15550100", "+15550105", "+15550106"], document)) == "quota.destinations"
    assert await rows(office) == [0, 0, 0, 0]


async def test_documents_that_are_not_there_or_somebody_elses_are_refused(office: Office) -> None:
    other = "01a20000-0000-7000-8000-000000000000"
    assert await code(office.send("+15550100", None, documents=[other])) == "document.unknown"
    assert await code(office.send("+15550100", None, page_set=other)) == "document.unknown"
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    assert await code(office.send("+15550100", document, box=other)) == "box.unknown"
    assert await rows(office) == [0, 0, 0, 0]


@pytest.mark.parametrize("whose", ["tenant", "key"])
async def test_two_faxes_at_once_do_not_both_take_the_last_of_a_quota(office: Office, whose: str) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    await office.change_policy(quotas={whose: {"pages_per_hour": 5}})
    tries = [office.send("+15550100", document, **FAR_AHEAD) for _ in range(6)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    refused = [each.code for each in results if isinstance(each, RequestError)]
    assert refused == ["quota.pages"] * 4
    assert (await rows(office))[0] == 2
    used = await office.rows(select(counters.c.scope, counters.c.pages, counters.c.calls))
    assert [(row.pages, row.calls) for row in used] == [(4, 2)]
    assert await code(office.batch(["+15550100", "+15550105"], document)) == "quota.pages"
