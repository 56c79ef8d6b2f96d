"""How long the gateway itself can open what it sends, and how a fax is sent once more."""

import asyncio

import pytest
from sqlalchemy import delete, select

from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.faxes.accepting import accept
from faxgw.faxes.actions import resend
from faxgw.faxes.requests import FaxRequest
from faxgw.model import State
from faxgw.store.tables import key_slots, wraps
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

FALLIBLE = "+15550121"


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (FarEnd("15550121", drops_after=(2, None)),)


async def test_fp_01_after_its_end_the_gateway_can_open_nothing_of_a_fax(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    shared = await office.send("+15550101", document)
    await office.waits(shared)
    fax = await office.ended(await office.send("+15550100", document))
    # What it was drawn from nobody needs any more; the fax that waits has pages of its own.
    assert await office.spooled(fax.id) == set()
    assert await office.spooled(shared) == {"page"}
    await office.cancel(shared)
    assert await office.spooled(shared) == set()
    owners = await office.rows(select(wraps.c.kind).where(wraps.c.kind.not_in(["owner", "box"])))
    assert owners == []


async def test_a_document_stays_open_while_another_fax_is_yet_to_be_drawn_from_it(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    first = await office.waits(await office.send("+15550101", document))
    async with office.gateway.renderers.lease(), office.gateway.renderers.lease():
        second = await office.send("+15550100", document, header=True)
        await office.cancel(first.id)
        assert "document" in await office.spooled(second)
    assert (await office.ended(second)).state == "delivered"
    assert await office.spooled(second) == set()


async def test_an_ended_fax_is_sent_again_with_the_owners_key_and_only_what_was_missing(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    document = await office.upload(tiff_octets(fax_pages(3)), 3)
    fax = await office.ended(await office.send(FALLIBLE, document, retry={"max_dials": 1}, labels={"case": "7"}))
    assert (fax.state, fax.pages_done, await office.spooled(fax.id)) == ("partially_sent", 2, set())
    again = await office.do(resend, office.gateway, office.actor, fax.id)
    done = await office.ended(again.id)
    assert (done.state, done.pages_done, done.labels, done.page_set_id) == (
        "delivered",
        3,
        {"case": "7"},
        fax.page_set_id,
    )
    drawn = await office.hashes(fax.id)
    assert [len(call.confirmed) for call in far_ends[0].calls] == [2, 1]
    assert far_ends[0].calls[1].hashes == drawn[2:]
    whole = await office.do(resend, office.gateway, office.actor, done.id)
    assert (await office.ended(whole.id)).pages_done == 3
    assert far_ends[0].calls[2].hashes == drawn
    assert await office.spooled(done.id) == set()


async def test_a_key_that_opens_nothing_cannot_send_again_and_policy_holds_for_a_resend(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.ended(await office.send("+15550100", document))
    await office.deny("+15550100")
    with pytest.raises(RequestError) as refused:
        await office.do(resend, office.gateway, office.actor, fax.id)
    assert refused.value.code == "number.denied_by_policy"
    other = await office.ended(await office.send("+15550105", document))
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(delete(key_slots).where(key_slots.c.kind == "api_key"))
    with pytest.raises(RequestError) as refused:
        await office.do(resend, office.gateway, office.actor, other.id)
    assert refused.value.code == "key.locked"
    with pytest.raises(RequestError) as refused:
        await office.send("+15550105", document)
    assert refused.value.code == "key.locked"


async def test_a_document_is_not_closed_between_acceptance_and_its_commit(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    first = await office.waits(await office.send("+15550101", document))

    request = FaxRequest.model_validate({"to": "+15550100", "documents": [document]})
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        accepted = await accept(connection, office.gateway, office.actor, request)
        ending = asyncio.ensure_future(office.cancel(first.id))
        done, _ = await asyncio.wait([ending], timeout=0.3)
        assert not done  # it waits until this fax is written
    assert await ending is State.CANCELED
    assert (await office.ended(accepted.id)).state == "delivered"
