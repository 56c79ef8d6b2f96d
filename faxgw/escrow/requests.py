"""Requests for emergency access: made, denied, taken back, ended; ``approvals`` has what opens a box."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import unexpired
from faxgw.errors import RequestError
from faxgw.escrow.covering import Escrow, Trustee, open_to_escrow, read_escrow
from faxgw.escrow.policy import off, ready_trustees
from faxgw.ids import new_id
from faxgw.keys.wraps import KeyPair
from faxgw.store.tables import (
    box_keys,
    boxes,
    escrow_answers,
    escrow_requests,
    escrow_trustees,
    grants,
)

Row = Mapping[Any, Any]

GROUNDS = ("absence", "illness", "safety", "legal", "other")
LIFE = timedelta(hours=24)
"""How long a request may be answered and opened."""
LONGEST = 72
"""Hours that a box may be read at the most."""
_KEY_ID = 20
PENDING, OPENED, DENIED, WITHDRAWN, EXPIRED = "pending", "opened", "denied", "withdrawn", "expired"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for.

    Attributes:
        ground: one of ``GROUNDS``.
        reason: in words.
        hours: how long they want to read the box, 1 to 72.
    """

    box_id: UUID
    ground: str
    reason: str
    hours: int


async def ask(connection: AsyncConnection, asked: Asked, *, user_id: UUID, key: KeyPair, now: datetime) -> Row:
    """Ask for a box, and return the request's row.

    Args:
        connection: a transaction of the tenant.
        asked: for what.
        user_id: who asks.
        key: their private key, which approvals are going to be wrapped to.
        now: when.

    Raises:
        RequestError: ``box.unknown``, ``escrow.off``, ``escrow.needless``, ``escrow.not_covered``, ``escrow.too_few``,
            ``escrow.exists``.
    """
    box = await box_of(connection, asked.box_id)
    escrow = await read_escrow(connection, box["tenant_id"])
    if escrow is None:
        raise off()
    await check_needed(connection, box, user_id)
    await _check_possible(connection, escrow, box["id"], user_id)
    row = {"id": new_id(), "tenant_id": box["tenant_id"], "escrow_id": escrow.id, "box_id": box["id"]}
    row |= {
        "user_id": user_id,
        "ground": asked.ground,
        "reason": asked.reason,
        "hours": asked.hours,
        "threshold": escrow.threshold,
    }
    row |= {"key_id": key.public.key_id, "public_key": key.public.octets, "created_at": now, "expires_at": now + LIFE}
    made = upsert(escrow_requests).values(row).on_conflict_do_nothing().returning(escrow_requests)
    found: Row | None = (await connection.execute(made)).mappings().one_or_none()
    if found is None:
        raise RequestError("escrow.exists", "You have asked for that box already, and the answer is still open.")
    return found


async def deny(connection: AsyncConnection, request_id: UUID, *, user_id: UUID, now: datetime) -> Row:
    """Deny a request as one of the trustees, also after having approved; return its row, ended if it is hopeless now.

    Raises:
        RequestError: ``escrow.unknown``, ``escrow.own_request``, ``escrow.over``, ``escrow.answered``.
    """
    escrow, row, _ = await to_answer(connection, request_id, user_id, now=now)
    if await answer_of(connection, request_id, user_id) is False:
        raise RequestError("escrow.answered", "You have denied this request already.")
    await write_answer(connection, row, user_id, approved=False, blob=None, now=now)
    against = select(escrow_answers.c.user_id).where(answers_to(request_id), escrow_answers.c.approved.is_(False))
    denied = set((await connection.execute(against)).scalars())
    left = {each.user_id for each in escrow.trustees} - denied - {row["user_id"]}
    return row if len(left) >= escrow.threshold else await end_request(connection, row, DENIED, now=now)


async def withdraw(connection: AsyncConnection, request_id: UUID, *, user_id: UUID, now: datetime) -> Row:
    """Take one's request back.

    Raises:
        RequestError: ``access.not_yours``, ``escrow.over``.
    """
    row = await request_row(connection, request_id)
    if row["user_id"] != user_id:
        raise RequestError("access.not_yours", "Only whoever asked takes it back; a trustee denies it.")
    check_pending(row, now)
    return await end_request(connection, row, WITHDRAWN, now=now)


async def concerned(connection: AsyncConnection, row: Row) -> set[UUID]:
    """Return who is told of a request: trustees, the box's owner and its readers, and whoever asks."""
    readers = select(grants.c.user_id).where(
        grants.c.box_id == row["box_id"], grants.c.rights.overlap(["read"]), unexpired()
    )
    owner = select(boxes.c.owner_id).where(boxes.c.id == row["box_id"])
    trustees = select(escrow_trustees.c.user_id).where(escrow_trustees.c.escrow_id == row["escrow_id"])
    found = set((await connection.execute(readers.union(owner, trustees))).scalars())
    return found | {row["user_id"]}


def over(state: str) -> RequestError:
    """Return the problem that a request is not pending any more."""
    why = {"opened": "was opened", "void": "ended when the escrow was changed", "expired": "has expired"}
    return RequestError(
        "escrow.over", f"The request {why.get(state, f'was {state}')}: ask again if it is needed still."
    )


# ------------------------------------------------------------------------------------------------------ what is checked


async def box_of(connection: AsyncConnection, box_id: UUID) -> Row:
    """Return the row of a box of the tenant.

    Raises:
        RequestError: ``box.unknown``.
    """
    row: Row | None = (await connection.execute(select(boxes).where(boxes.c.id == box_id))).mappings().one_or_none()
    if row is None:
        raise RequestError("box.unknown", f"There is no box of the id {box_id}.")
    return row


async def check_needed(connection: AsyncConnection, box: Row, user_id: UUID) -> None:
    """Refuse emergency access to somebody who has rights to the box already.

    Raises:
        RequestError: ``escrow.needless``.
    """
    held = select(grants.c.id).where(grants.c.box_id == box["id"], grants.c.user_id == user_id, unexpired())
    if box["owner_id"] == user_id or (await connection.execute(held)).first() is not None:
        reason = "You have rights to that box, by yourself or by a grant: open it, or ask its owner for more."
        raise RequestError("escrow.needless", reason)


async def _check_possible(connection: AsyncConnection, escrow: Escrow, box_id: UUID, user_id: UUID) -> None:
    covered = select(box_keys.c.key_id).where(box_keys.c.box_id == box_id, open_to_escrow())
    if (await connection.execute(covered)).first() is None:
        raise RequestError(
            "escrow.not_covered",
            "The trustees have no shares of that box yet: it takes somebody who reads it to open a fax there.",
        )
    others = await ready_trustees(connection, escrow) - {user_id}
    if len(others) < escrow.threshold:
        reason = f"{escrow.threshold} trustees besides you would have to approve, and only {len(others)} can."
        raise RequestError("escrow.too_few", reason)


async def to_answer(
    connection: AsyncConnection, request_id: UUID, user_id: UUID, *, now: datetime
) -> tuple[Escrow, Row, Trustee]:
    """Return the escrow, the request's row, locked, and the trustee, if that one may answer it now.

    Raises:
        RequestError: ``escrow.unknown``, ``escrow.own_request``, ``escrow.over``.
    """
    before = await request_row(connection, request_id)
    escrow = await read_escrow(connection, before["tenant_id"])
    row = await request_row(connection, request_id, change=True)
    if row["user_id"] == user_id:
        raise RequestError("escrow.own_request", "Nobody answers their own request: others have to.")
    seat = next((each for each in escrow.trustees if each.user_id == user_id), None) if escrow else None
    if seat is None or escrow is None:
        raise unknown()
    check_pending(row, now)
    return escrow, row, seat


def unknown() -> RequestError:
    """Return the problem that there is no such request, for whoever asks."""
    return RequestError("escrow.unknown", "There is no such request for you.")


async def request_row(connection: AsyncConnection, request_id: UUID, *, change: bool = False) -> Row:
    """Return a request's row; the escrow is locked before the request is, by everybody alike."""
    found = select(escrow_requests).where(escrow_requests.c.id == request_id)
    row = (await connection.execute(found.with_for_update() if change else found)).mappings().one_or_none()
    if row is None:
        raise unknown()
    return row


def check_pending(row: Row, now: datetime) -> None:
    """Refuse what is too late for a request.

    Raises:
        RequestError: ``escrow.over``.
    """
    if row["state"] != PENDING:
        raise over(row["state"])
    if row["expires_at"] <= now:
        raise over(EXPIRED)


async def answer_of(connection: AsyncConnection, request_id: UUID, user_id: UUID) -> bool | None:
    """Return whether somebody has approved of a request; None: they have not answered."""
    mine = select(escrow_answers.c.approved).where(answers_to(request_id), escrow_answers.c.user_id == user_id)
    return (await connection.execute(mine)).scalar_one_or_none()


# -------------------------------------------------------------------------------------------------------------- rows


async def write_answer(
    connection: AsyncConnection, row: Row, user_id: UUID, *, approved: bool, blob: bytes | None, now: datetime
) -> None:
    """Write down what a trustee says, in place of what they said before."""
    values = {"approved": approved, "blob": blob, "created_at": now}
    ids = {"tenant_id": row["tenant_id"], "request_id": row["id"], "user_id": user_id}
    made = upsert(escrow_answers).values(**ids, **values)
    await connection.execute(
        made.on_conflict_do_update(index_elements=["request_id", "user_id", "tenant_id"], set_=values)
    )


async def end_request(connection: AsyncConnection, row: Row, state: str, *, now: datetime) -> Row:
    """End a request; nothing is left of what trustees gave for it."""
    gone = update(escrow_answers).where(answers_to(row["id"])).values(blob=None)
    await connection.execute(gone)
    this = update(escrow_requests).where(escrow_requests.c.id == row["id"])
    ended: Row = (
        (await connection.execute(this.values(state=state, ended_at=now).returning(escrow_requests))).mappings().one()
    )
    return ended


def answers_to(request_id: UUID) -> ColumnElement[bool]:
    """Return whether an answer is to that request."""
    return escrow_answers.c.request_id == request_id
