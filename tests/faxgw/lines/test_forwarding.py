"""Calls that come into a box which forwards: their pages lie in both boxes, each sealed to its own key."""

import pytest
from sqlalchemy import insert, select

from faxgw.documents.coded import CodedPage, bitmap_of, page_hash
from faxgw.faxes.content import coded_page
from faxgw.ids import new_id
from faxgw.keys.wraps import KeyPair, Suite
from faxgw.sandbox import call_in
from faxgw.store.tables import attempts, box_keys, boxes, copies, faxes, forwarding_rules, pages, users, wraps
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages

OWN = "+15550199"


def _hash(page: CodedPage) -> bytes:
    return page_hash(bitmap_of(page), page.resolution)


@pytest.mark.requirement("XM-04", "XM-06")
async def test_a_call_is_forwarded_by_rule_to_somebody_who_opens_it_and_to_nobody_while_that_is_off(
    office: Office,
) -> None:
    colleague, other = KeyPair.generate(Suite.X25519), new_id()
    own = {"tenant_id": office.tenant.tenant}
    async with office.gateway.database.dispatcher() as connection:
        user = {"id": new_id(), "email": "b@example.com", "role": "member"}
        public = {"key_id": colleague.public.key_id, "public_key": colleague.public.octets}
        await connection.execute(insert(users).values(**user, **public, **own))
        await connection.execute(insert(boxes).values(id=other, owner_id=user["id"], name="theirs", **own))
        rule = {"id": new_id(), "box_id": office.tenant.box, "prefix": "+1555", "to_box_id": other}
        await connection.execute(insert(forwarding_rules).values(**rule, **own))
    sent = fax_pages(2)
    assert (await call_in(OWN, sent, caller="+15550100")).verdict == "delivered"
    first, copy = await office.received(2)
    assert (first.box_id, first.forwarded_from) == (office.tenant.box, None)
    assert (copy.box_id, copy.user_id, copy.forwarded_from) == (other, user["id"], first.id)
    assert (copy.state, copy.pages, copy.from_number) == ("received", 2, "+15550100")
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        rows = await connection.execute(select(pages).where(pages.c.page_set_id == copy.page_set_id))
        opened = [await coded_page(connection, office.gateway, colleague, row) for row in rows.mappings()]
    assert sorted(map(_hash, opened)) == sorted(map(_hash, sent))
    # The recording of the call belongs to the box that it came into.
    theirs = select(box_keys.c.key_id).where(box_keys.c.box_id == other)
    traces = select(attempts.c.trace_id)
    recording = select(wraps).where(wraps.c.object_id.in_(traces), wraps.c.key_id.in_(theirs))
    assert await office.rows(recording) == []
    ledger = await office.rows(select(copies.c.fax_id, copies.c.kind, copies.c.location))
    assert ledger == [(first.id, "forward", f"box:{other}")]

    assert (await call_in(OWN, sent, caller="+44201234567")).verdict == "delivered"
    await office.change_policy(allow_forwarding=False)
    assert (await call_in(OWN, sent, caller="+15550100")).verdict == "delivered"
    assert len(await office.received(4)) == 4
    assert len(await office.rows(select(faxes.c.id).where(faxes.c.box_id == other))) == 1
