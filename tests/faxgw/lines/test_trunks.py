"""Faxes over SIP trunks of the gateway: two trunks that lead to each other, so that what goes out comes in."""

import asyncio

import pytest
from sqlalchemy import insert, select

from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.ids import new_id
from faxgw.store.tables import numbers, pages
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages

HERE, THERE = "127.0.0.1:25160", "127.0.0.1:25161"
TRUNKS = (
    LineSettings(name="carrier", url=f"sip:{THERE}?local={HERE}&ports=26000-26099", channels=3, use="send"),
    LineSettings(name="branch", url=f"sip:{HERE}?local={THERE}&ports=26100-26199", channels=3, use="receive"),
)


@pytest.mark.slow
@pytest.mark.parametrize("lines", [TRUNKS])
async def test_faxes_go_out_at_once_on_the_channels_of_one_trunk_and_come_in_on_those_of_another(
    office: Office,
) -> None:
    async with office.gateway.database.dispatcher() as connection:
        own = {"tenant_id": office.tenant.tenant, "box_id": office.tenant.box}
        await connection.execute(insert(numbers).values(id=new_id(), **own, number="", line="branch"))
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    called = ["+493012345601", "+493012345602"]
    sent = [await office.send(number, document) for number in called]
    ended = await asyncio.gather(*(office.ended(each, within=120) for each in sent))
    assert [each.state for each in ended] == ["delivered"] * 2
    calls = [(await office.calls(each))[0] for each in sent]
    assert {each.line.partition(":")[0] for each in calls} == {"carrier"}
    assert calls[0].line != calls[1].line, "they were not at once"
    assert all(each.trace_id for each in calls)
    came = await office.received(2, within=30)
    assert sorted(each.to_number for each in came) == called
    for one in came:
        filed = await office.rows(select(pages).where(pages.c.page_set_id == one.page_set_id).order_by(pages.c.index))
        assert [row.sha256 for row in filed] == await office.hashes(sent[0])
