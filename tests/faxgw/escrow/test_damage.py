"""Whatever was altered on the way of a share is found, told, and opens nothing."""

import random
from typing import Any

import pytest
from sqlalchemy import Column, ColumnElement, select, update

from faxgw.escrow.covering import commitment_context, read_escrow, share_context
from faxgw.escrow.shares import Share
from faxgw.keys.wraps import PublicKey, unwrap, wrap
from faxgw.store.tables import escrow_answers, escrow_requests, escrow_shares, escrow_trustees, users
from tests.faxgw.canary.test_damage import some_bits, turned
from tests.faxgw.escrow.house import House, problem

SHARE = (409, "escrow.share")


def of(column: Column[Any], user: Any) -> ColumnElement[bool]:
    """Return whose row it is: a trustee's share, or their answer."""
    if column.table is not escrow_shares:
        mine: ColumnElement[bool] = column.table.c.user_id == user
        return mine
    return escrow_shares.c.trustee_id.in_(select(escrow_trustees.c.id).where(escrow_trustees.c.user_id == user))


async def values_of(house: House, column: Column[Any], user: Any) -> Any:
    async with house.gateway.database.dispatcher() as connection:
        return (await connection.execute(select(column).where(of(column, user)))).scalar_one()


async def write(house: House, column: Column[Any], value: Any, user: Any) -> None:
    async with house.gateway.database.dispatcher() as connection:
        await connection.execute(update(column.table).where(of(column, user)).values({column.name: value}))


@pytest.mark.parametrize("column", [escrow_shares.c.blob, escrow_shares.c.commitment], ids=str)
async def test_a_turned_bit_of_a_share_is_found_when_the_trustee_approves(house: House, column: Column[Any]) -> None:
    url = await house.ready()
    me = house.trustees[0].user_id
    octets = await values_of(house, column, me)
    for bit in some_bits(octets, random.Random(0xE5)):
        await write(house, column, turned(octets, bit), me)
        answer = await house.trustees_in[0].post(f"{url}:approve")
        assert problem(answer) == SHARE
        assert str(me) in answer.json()["detail"]
    await write(house, column, octets, me)
    await house.approve(url, 0)


async def test_a_turned_bit_of_an_approval_is_found_when_the_box_is_opened(house: House) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    me = house.trustees[1].user_id
    octets = await values_of(house, escrow_answers.c.blob, me)
    for bit in some_bits(octets, random.Random(0xE6)):
        await write(house, escrow_answers.c.blob, turned(octets, bit), me)
        assert problem(await house.admin_in.post(f"{url}:open")) == SHARE
        assert problem(await house.read(house.admin)) == (403, "access.not_yours")
    await write(house, escrow_answers.c.blob, octets, me)
    assert (await house.admin_in.post(f"{url}:open")).status_code == 200


@pytest.mark.parametrize("column", ["hours", "ground", "reason", "escrow_id"])
async def test_a_request_that_was_altered_after_it_was_approved_opens_nothing(house: House, column: str) -> None:
    url = await house.ready()
    await house.approve(url, 0, 1)
    values: dict[str, Any] = {"hours": 72, "ground": "legal", "reason": "for fun", "escrow_id": house.fax}
    async with house.gateway.database.dispatcher() as connection:
        await connection.execute(update(escrow_requests).values({column: values[column]}))
    answer = await house.admin_in.post(f"{url}:open")
    assert problem(answer) in (SHARE, (409, "escrow.over"))
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")


async def test_an_approval_of_one_request_is_none_of_another(house: House) -> None:
    """Replayed, word for word, by somebody who can write into the database."""
    url = await house.ready()
    await house.approve(url, 0, 1)
    me = house.trustees[1].user_id
    kept = await values_of(house, escrow_answers.c.blob, me)
    await house.admin_in.post(f"{url}:withdraw")
    again = (await house.ask()).headers["location"]
    await house.approve(again, 0)
    async with house.gateway.database.dispatcher() as connection:
        moved = update(escrow_answers).where(escrow_answers.c.user_id == me)
        await connection.execute(moved.values(request_id=again.split("/")[-1], approved=True, blob=kept))
    assert problem(await house.admin_in.post(f"{again}:open")) == SHARE


async def test_a_share_of_somebodys_own_making_is_found(house: House) -> None:
    """Wrapped as ours are, and with a commitment that fits: the shares do not give the box's key."""
    url = await house.ready()
    me = house.trustees[0].user_id
    async with house.gateway.database.dispatcher() as connection:
        escrow = await read_escrow(connection, house.admin.tenant_id)
        assert escrow is not None
        row = (await connection.execute(select(escrow_shares).where(of(escrow_shares.c.blob, me)))).one()
        context = share_context(escrow.tenant_id, escrow.id, key_id=row.key_id, user_id=me)
        seat = next(each for each in escrow.trustees if each.user_id == me)
        share = Share.from_octets(unwrap(row.blob, house.trustees[0].key_pair, context=context))
        forged = Share(seat.index, turned(share.value, 100))
        values = {
            "blob": wrap(forged.octets, seat.public_key, context=context),
            "commitment": forged.commitment(commitment_context(escrow.id, row.key_id)),
        }
        await connection.execute(update(escrow_shares).where(of(escrow_shares.c.blob, me)).values(values))
    await house.approve(url, 0, 1)
    answer = await house.admin_in.post(f"{url}:open")
    assert problem(answer) == SHARE
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")


async def test_a_lower_threshold_in_the_database_opens_nothing(house: House) -> None:
    """What the row says does not matter: the shares are of a polynomial that takes three."""
    url = await house.ready(threshold=3)
    await house.approve(url, 0, 1)
    async with house.gateway.database.dispatcher() as connection:
        await connection.exec_driver_sql("UPDATE escrows SET threshold = 2")
    assert problem(await house.admin_in.post(f"{url}:open")) == SHARE
    assert problem(await house.read(house.admin)) == (403, "access.not_yours")


async def test_a_seat_that_is_moved_to_somebody_elses_key_gets_no_share_that_opens(house: House) -> None:
    """What is there is wrapped to the trustee's key, whatever the row says now."""
    url = await house.ready()
    intruder = house.trustees[2]
    async with house.gateway.database.dispatcher() as connection:
        theirs = select(users.c.key_id, users.c.public_key).where(users.c.id == intruder.user_id)
        row = (await connection.execute(theirs)).one()
        assert PublicKey.from_octets(row.public_key).key_id == row.key_id
        seat = update(escrow_trustees).where(escrow_trustees.c.user_id == intruder.user_id)
        await connection.execute(seat.values(key_id=house.admin.key_pair.public.key_id))
        await connection.execute(seat.values(public_key=house.admin.key_pair.public.octets))
    assert problem(await house.trustees_in[2].post(f"{url}:approve")) == (423, "key.locked")
