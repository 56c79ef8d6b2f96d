"""FP-09: with links that are good, what a thief opens who has everything but one of them."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from faxgw.gateway import Gateway
from faxgw.keys.tokens import LinkToken
from faxgw.links.ending import end_links_of
from faxgw.links.making import make_link
from faxgw.store.tables import faxes, links, pages, wraps
from tests.faxgw.api.people import Person, drawn_page, now
from tests.faxgw.boxes.house import received
from tests.faxgw.canary.hostile import Loot, Opened, keys_in, open_all

pytestmark = pytest.mark.requirement("FP-09")

DRAWN = [drawn_page(1), drawn_page(2)]


async def linked(gateway: Gateway, owner: Person) -> tuple[UUID, LinkToken]:
    """Return a fax that the gateway itself opens no more, and a link to it."""
    fax = await received(gateway, owner, DRAWN, spool=True)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        path = await make_link(connection, gateway, fax, hours=1, most=3)
        await connection.execute(wraps.delete().where(wraps.c.kind == "spool"))
    return fax, LinkToken.parse(path.rpartition("/")[2])


def opened_by(loot: Loot, gateway: Gateway, *secrets: bytes) -> Opened:
    """Return what opens with some secrets, all server keys and every value of the database."""
    folders = (gateway.config.data_dir, gateway.config.spool_keys)
    files = [path for folder in folders for path in Path(folder).rglob("*") if _may_hold_keys(path)]
    keys, found = keys_in(files, loot.every_value())
    assert len(files) >= 5
    return open_all(loot, keys, secrets={*found, *secrets})


def _may_hold_keys(path: Path) -> bool:
    return path.is_file() and "objects" not in path.parts and path.stat().st_size < 2**16


def stolen(gateway: Gateway) -> Loot:
    return Loot.of(gateway.database.urls.dispatcher, gateway.config.data_dir / "objects")


async def pages_of(gateway: Gateway, fax: UUID) -> set[UUID]:
    async with gateway.database.dispatcher() as connection:
        mine = select(pages.c.object_id).join(faxes, faxes.c.page_set_id == pages.c.page_set_id)
        return set((await connection.execute(mine.where(faxes.c.id == fax))).scalars())


async def test_a_link_opens_its_own_fax_and_without_it_nothing_does(gateway: Gateway, owner: Person) -> None:
    fax, token = await linked(gateway, owner)
    _, other = await linked(gateway, owner)
    loot = stolen(gateway)
    assert opened_by(loot, gateway).content == {}
    opened = opened_by(loot, gateway, token.secret).content
    assert opened.keys() == await pages_of(gateway, fax)
    assert set(opened.values()) == {each.octets for each in DRAWN}
    assert len(opened_by(loot, gateway, token.secret, other.secret).content) == 2 * len(DRAWN)


async def test_a_link_that_has_ended_opens_nothing_of_what_is_stolen_later(gateway: Gateway, owner: Person) -> None:
    fax, token = await linked(gateway, owner)
    async with gateway.database.dispatcher() as connection:
        await end_links_of(connection, [fax], now=now())
    assert opened_by(stolen(gateway), gateway, token.secret).content == {}


async def test_a_row_that_says_a_link_is_good_again_brings_nothing_back(gateway: Gateway, owner: Person) -> None:
    fax, token = await linked(gateway, owner)
    async with gateway.database.dispatcher() as connection:
        await end_links_of(connection, [fax], now=now())
        await connection.execute(update(links).values(revoked_at=None))
    assert opened_by(stolen(gateway), gateway, token.secret).content == {}
