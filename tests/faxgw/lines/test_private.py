"""What a request says in confidence: the words of the cover page and the password are written nowhere in clear."""

import json
from uuid import UUID

from sqlalchemy import select, text

from faxgw.documents.coded import bitmap_of
from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.accepting import accept_batch
from faxgw.faxes.content import coded_page, unlock
from faxgw.faxes.requests import BatchRequest
from faxgw.model import State
from faxgw.store.tables import faxes, pages, wraps
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages

WORDS = "Quizjagd-Vioxblech"


async def everything_written(office: Office) -> str:
    """Return every row of every table as text."""
    async with office.gateway.database.dispatcher() as connection:
        names = (
            await connection.execute(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
            )
        ).scalars()
        rows = ["\n".join(await connection.scalars(text(f"SELECT t::text FROM {name} t"))) for name in list(names)]
    assert len(rows) > 20
    return "\n".join(rows)


async def test_the_words_of_a_cover_page_are_sent_and_written_nowhere_in_clear(office: Office) -> None:
    cover = {"to_name": WORDS, "subject": WORDS, "message": WORDS}
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax_id = await office.send("+15550100", document, cover=cover, password="4711")
    assert WORDS not in await everything_written(office)
    fax = await office.ended(fax_id)
    assert (fax.state, fax.pages) == ("delivered", 2)
    told = await everything_written(office)
    assert WORDS not in told
    assert json.dumps("4711") not in told
    (row, _) = await office.rows(select(pages).where(pages.c.page_set_id == fax.page_set_id).order_by(pages.c.index))
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        drawn = await coded_page(connection, office.gateway, await unlock(connection, office.actor), row._mapping)
    assert bitmap_of(drawn).words.any()


async def test_the_gateway_forgets_them_with_the_fax(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax_id = await office.send("+15550101", document, cover={"message": WORDS})
    fax = await office.in_state(fax_id, State.WAITING_RETRY)
    kinds = select(wraps.c.kind).where(wraps.c.object_id == fax.private_id).order_by(wraps.c.kind)
    assert [row.kind for row in await office.rows(kinds)] == ["box", "spool"]
    delivered = await office.send("+15550100", document, cover={"message": WORDS})
    ended = await office.ended(delivered)
    own = select(wraps.c.kind).where(wraps.c.object_id == ended.private_id)
    assert [row.kind for row in await office.rows(own)] == ["box"]


async def test_each_fax_of_a_batch_has_its_own_name_on_the_cover(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    to = [{"to": f"+155501{number}", "to_name": f"{WORDS} {number}"} for number in ("00", "07")]
    request = BatchRequest.model_validate({"to": to, "documents": [document], "cover": {"subject": WORDS}})
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        batch = await accept_batch(connection, office.gateway, office.actor, request)
    rows = await office.rows(select(faxes.c.id).where(faxes.c.batch_id == batch.id))
    ended = [await office.ended(UUID(str(row.id)), within=60) for row in rows]
    assert [fax.state for fax in ended] == ["delivered"] * 2
    assert WORDS not in await everything_written(office)
    first = [
        (await office.rows(select(pages.c.sha256).where(pages.c.page_set_id == fax.page_set_id, pages.c.index == 0)))[0]
        for fax in ended
    ]
    assert first[0] != first[1]
