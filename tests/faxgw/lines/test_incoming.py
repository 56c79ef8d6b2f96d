"""Calls that come in over lines of the simulated exchange, and the boxes that they lead to."""

from sqlalchemy import select

from faxgw.documents.coded import CodedPage, bitmap_of, page_hash
from faxgw.faxes.content import coded_page, unlock
from faxgw.sandbox import call_in
from faxgw.store.tables import pages, wraps
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages


async def test_a_call_lands_in_the_box_of_its_number_and_only_its_owner_opens_it(office: Office) -> None:
    sent = fax_pages(2)
    outcome = await call_in("+15550199", sent, caller="+15550100")
    assert outcome.verdict == "delivered"
    (fax,) = await office.received()
    assert (fax.state, fax.direction, fax.pages, fax.box_id) == ("received", "in", 2, office.tenant.box)
    assert (fax.from_number, fax.to_number) == ("+15550100", "+15550199")
    filed = await office.rows(select(pages).order_by(pages.c.index))
    own = wraps.c.object_id.in_([row.object_id for row in filed])
    assert [row.kind for row in await office.rows(select(wraps).where(own))] == ["owner"] * 2
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        key = await unlock(connection, office.actor)
        opened = [await coded_page(connection, office.gateway, key, row._mapping) for row in filed]
    assert [_hash(page) for page in opened] == [_hash(page) for page in sent] == [row.sha256 for row in filed]


def _hash(page: CodedPage) -> bytes:
    return page_hash(bitmap_of(page), page.resolution)
