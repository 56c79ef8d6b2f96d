"""FP-09: with escrow on, what a thief opens who has everything but the secrets of enough trustees."""

from dataclasses import replace
from uuid import UUID

import pytest

from tests.faxgw.api.people import Person
from tests.faxgw.boxes.house import received
from tests.faxgw.canary.hostile import Loot, Opened, keys_in, open_all
from tests.faxgw.escrow.house import WHY, House

pytestmark = pytest.mark.requirement("FP-09")


def stolen(house: House) -> Loot:
    """Return what a thief has, who has also read why the admin asked."""
    loot = Loot.of(house.gateway.database.urls.dispatcher, house.gateway.config.data_dir / "objects")
    asked = [{**row, "reason": WHY} for row in loot.rows["escrow_requests"]]
    return replace(loot, rows={**loot.rows, "escrow_requests": asked})


def opened_by(house: House, *whose: Person) -> Opened:
    """Return what opens with the secrets of some, all server keys and every value of the database."""
    loot = stolen(house)
    files = [path for path in house.gateway.config.data_dir.rglob("*.key") if path.is_file()]
    files += [path for path in house.gateway.config.spool_keys.rglob("*") if path.is_file()]
    keys, secrets = keys_in(files)
    assert keys
    return open_all(loot, keys, secrets={*secrets, *(each.key.secret for each in whose)})


def test_the_folders_of_keys_are_looked_through() -> None:
    """The assertion in ``opened_by`` means something only where the search finds what is in a file."""
    assert keys_in([], [bytes(range(32))]) == ({bytes(range(32))}, {bytes(range(at, at + 20)) for at in range(13)})


async def test_one_trustees_secret_opens_nothing_of_anybody_elses_and_a_threshold_of_them_does(house: House) -> None:
    url = await house.ready(threshold=3)
    await house.approve(url, 0, 1)
    objects = {row["object_id"] for row in stolen(house).rows["wraps"]}
    assert len(objects) == 1
    assert opened_by(house, house.nurse).content.keys() == objects
    one, two, three = house.trustees
    for thieves in ([], [one], [two, three], [one, three, house.rooms.owner], [house.admin, one, two]):
        assert opened_by(house, *thieves).content == {}
    # Two have approved for the admin: with the third's secret besides, it is enough.
    assert opened_by(house, house.admin, three).content.keys() == objects
    assert opened_by(house, *house.trustees).content.keys() == objects


async def test_shares_that_were_deleted_with_the_escrow_are_not_there(house: House) -> None:
    await house.ready()
    await house.boss_in.delete("/v1/escrow")
    assert opened_by(house, *house.trustees, house.admin).content == {}


async def test_what_was_given_for_one_box_opens_no_other(house: House) -> None:
    """The admin has got the nurse's box, and keeps all that there was: a trustee's own box stays closed."""
    url = await house.ready()
    await received(house.gateway, house.trustees[2])
    await house.approve(url, 0, 1)
    loot = stolen(house)
    assert (len(loot.rows["escrow_answers"]), len(loot.rows["escrow_shares"])) == (2, 6)
    boxes = {row["key_id"]: row["box_id"] for row in loot.rows["box_keys"]}
    opened = open_all(loot, [], secrets=[house.admin.key.secret])
    reached: set[UUID] = {boxes[key_id] for key_id in opened.pairs if key_id in boxes}
    assert reached == {house.nurse.box_id}
