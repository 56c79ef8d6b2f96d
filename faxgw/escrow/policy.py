"""Whether a tenant has an escrow, who the trustees are, and what everybody in the tenant is told of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.escrow.covering import Escrow, read_escrow, take_shares, uncovered
from faxgw.ids import new_id
from faxgw.store.tables import (
    box_keys,
    escrow_answers,
    escrow_requests,
    escrow_trustees,
    escrows,
    retired_keys,
    users,
)

LEAST = 2
"""Trustees who must approve at the least: nobody gives anybody access by themselves."""
MOST = 10
"""Trustees at the most: every key of every box has a share for each."""

Facts = dict[str, Any] | None
"""An escrow as the audit log tells of it: threshold and trustees."""


async def set_up(
    connection: AsyncConnection, *, tenant_id: UUID, trustees: Sequence[UUID], threshold: int, by: UUID, now: datetime
) -> tuple[Facts, Facts]:
    """Give a tenant an escrow, in place of the one that it had, and return what it was and what it is.

    The shares of before are deleted, and whoever asks for access at the moment has to ask again. Where nothing would
    change, nothing is done.

    Raises:
        RequestError: ``escrow.threshold``; ``user.unknown`` for somebody who is no active member.
    """
    if not LEAST <= threshold <= len(set(trustees)) == len(trustees) <= MOST:
        reason = f"There are 2 to {MOST} different trustees, and at least 2 and at most all of them must approve."
        raise RequestError("escrow.threshold", reason)
    members = await _members(connection, trustees)
    escrow = await read_escrow(connection, tenant_id, change=True)
    before, keys = facts(escrow), {each.user_id: each.public_key.key_id for each in escrow.trustees} if escrow else {}
    if escrow and escrow.threshold == threshold and keys == {row["id"]: row["key_id"] for row in members}:
        return before, before
    await _shred(connection, escrow, now=now)
    new = {"id": new_id(), "tenant_id": tenant_id, "threshold": threshold, "user_id": by, "created_at": now}
    await connection.execute(insert(escrows).values(new))
    seats = [
        {"id": new_id(), "tenant_id": tenant_id, "escrow_id": new["id"], "user_id": row["id"], "index": index}
        | {"key_id": row["key_id"], "public_key": row["public_key"]}
        for index, row in enumerate(members, start=1)
    ]
    await connection.execute(insert(escrow_trustees), seats)
    return before, facts(await read_escrow(connection, tenant_id))


async def switch_off(connection: AsyncConnection, tenant_id: UUID, *, now: datetime) -> Facts:
    """Take a tenant's escrow away, with all shares of all boxes, and return what it was.

    Raises:
        RequestError: ``escrow.off``.
    """
    escrow = await read_escrow(connection, tenant_id, change=True)
    if escrow is None:
        raise off()
    await _shred(connection, escrow, now=now)
    return facts(escrow)


async def leave(connection: AsyncConnection, user: Mapping[Any, Any]) -> bool:
    """Delete the shares, and the pending approvals, of a member who was deactivated; tell whether they had any."""
    escrow = await read_escrow(connection, user["tenant_id"], change=True)
    if escrow is None or user["id"] not in {each.user_id for each in escrow.trustees}:
        return False
    await take_shares(connection, escrow, user["id"])
    pending = select(escrow_requests.c.id).where(escrow_requests.c.state == "pending")
    theirs = (escrow_answers.c.user_id == user["id"]) & escrow_answers.c.request_id.in_(pending)
    await connection.execute(delete(escrow_answers).where(theirs))
    return True


async def said(connection: AsyncConnection, tenant_id: UUID) -> dict[str, Any]:
    """Return an escrow as every member may see it; see ``EscrowShape``."""
    row = (await connection.execute(select(escrows).where(escrows.c.tenant_id == tenant_id))).mappings().one_or_none()
    if row is None:
        nobody: dict[str, Any] = {"threshold": None, "trustees": [], "since": None, "set_up_by": None, "able": False}
        return {"on": False, **nobody, "detail": _OFF, "boxes_covered": 0, "boxes_waiting": 0}
    people = [dict(each) for each in (await connection.execute(_trustees(row["id"]))).mappings()]
    ready = sum(each["state"] == "ready" for each in people)
    covered, waiting = (await connection.execute(_counts(tenant_id))).one()
    return {
        "on": True,
        "threshold": row["threshold"],
        "trustees": people,
        "since": row["created_at"],
        "set_up_by": row["user_id"],
        "able": ready >= row["threshold"],
        "detail": _detail(row, ready, waiting),
        "boxes_covered": covered,
        "boxes_waiting": waiting,
    }


async def in_policy(connection: AsyncConnection, tenant_id: UUID) -> dict[str, Any] | None:
    """Return what GET /v1/policy says of the escrow; None: there is none."""
    found = await said(connection, tenant_id)
    if not found["on"]:
        return None
    names = [each["email"] for each in found["trustees"]]
    return {"threshold": found["threshold"], "trustees": names, "since": found["since"]}


def facts(escrow: Escrow | None) -> Facts:
    """Return an escrow as the audit log tells of it."""
    if escrow is None:
        return None
    return {"threshold": escrow.threshold, "trustees": [str(each.user_id) for each in escrow.trustees]}


def off() -> RequestError:
    """Return the problem that there is no escrow."""
    return RequestError("escrow.off", _OFF)


_OFF = "The tenant has no escrow: nobody but its readers opens a box, in an emergency neither."


def _detail(row: RowMapping, ready: int, waiting: int) -> str:
    if ready < row["threshold"]:
        return (
            f"Only {ready} trustees can approve, and {row['threshold']} would have to: nothing can be opened. An owner "
            "names other trustees by PUT /v1/escrow."
        )
    said = f"{row['threshold']} of {ready} trustees, besides whoever asks, can have a box opened for a time."
    if waiting:
        said += f" {waiting} boxes wait until somebody who reads them opens a fax, or asks for :escrow."
    return said


def _trustees(escrow_id: UUID) -> Any:
    """Select the trustees; locked: whoever has the account now has not the key that their shares are sealed to."""
    lost = select(retired_keys.c.id).where(
        retired_keys.c.user_id == escrow_trustees.c.user_id, retired_keys.c.key_id == escrow_trustees.c.key_id
    )
    locked = or_(users.c.key_id != escrow_trustees.c.key_id, exists(lost))
    state = case((users.c.deactivated_at.is_not(None), "gone"), (locked, "locked"), else_="ready").label("state")
    columns = (users.c.id.label("user"), users.c.email, state)
    joined = escrow_trustees.join(users, users.c.id == escrow_trustees.c.user_id)
    return (
        select(*columns)
        .select_from(joined)
        .where(escrow_trustees.c.escrow_id == escrow_id)
        .order_by(escrow_trustees.c.index)
    )


async def ready_trustees(connection: AsyncConnection, escrow: Escrow) -> set[UUID]:
    """Return the trustees who can approve at this moment, were they signed in."""
    rows = (await connection.execute(_trustees(escrow.id))).all()
    return {row.user for row in rows if row.state == "ready"}


def _counts(tenant_id: UUID) -> Any:
    """Count the boxes that have keys: those of which every key in use is split, and the others."""
    mine = select(box_keys.c.box_id, func.bool_or(uncovered()).label("waits")).where(box_keys.c.tenant_id == tenant_id)
    each = mine.group_by(box_keys.c.box_id).subquery()
    return select(func.count().filter(~each.c.waits), func.count().filter(each.c.waits)).select_from(each)


async def _members(connection: AsyncConnection, ids: Sequence[UUID]) -> Sequence[RowMapping]:
    active = (users.c.id.in_(ids)) & users.c.deactivated_at.is_(None) & users.c.person_id.is_not(None)
    found = select(users.c.id, users.c.key_id, users.c.public_key).where(active).order_by(users.c.id)
    rows = (await connection.execute(found.with_for_update(read=True, key_share=True))).mappings().all()
    missing = sorted(set(ids) - {row["id"] for row in rows})
    if missing:
        raise RequestError("user.unknown", f"There is no active member of the id {missing[0]}.")
    return rows


async def _shred(connection: AsyncConnection, escrow: Escrow | None, *, now: datetime) -> None:
    """Delete an escrow with all its shares, and end what was asked for under it."""
    if escrow is None:
        return
    pending = (escrow_requests.c.escrow_id == escrow.id) & (escrow_requests.c.state == "pending")
    over = update(escrow_requests).where(pending).values(state="void", ended_at=now).returning(escrow_requests.c.id)
    ended = (await connection.execute(over)).scalars().all()
    await connection.execute(update(escrow_answers).where(escrow_answers.c.request_id.in_(ended)).values(blob=None))
    await connection.execute(delete(escrows).where(escrows.c.id == escrow.id))
