"""Trustees' approvals, and how enough of them open a box for whoever asked, for a time.

An approval is the trustee's shares of this box's keys, and of no other's, wrapped to the key of whoever asked. So what
enough approvals give is this box; no key ever exists that opens all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.grants import grant
from faxgw.boxes.keys import hand
from faxgw.errors import RequestError
from faxgw.escrow.covering import Escrow, Trustee, commitment_context, read_escrow, share_context
from faxgw.escrow.requests import (
    OPENED,
    answer_of,
    answers_to,
    box_of,
    check_needed,
    check_pending,
    end_request,
    over,
    request_row,
    to_answer,
    write_answer,
)
from faxgw.escrow.shares import Share, WrongShares, combine
from faxgw.keys.wraps import SEED_OCTETS, KeyPair, PublicKey, WrapBroken, unwrap, wrap, wrap_context
from faxgw.store.tables import box_keys, escrow_answers, escrow_shares, escrow_trustees

Row = Mapping[Any, Any]

_KEY_ID = 20
"""Letters of a key's id."""
_PIECE = _KEY_ID + 1 + 1 + SEED_OCTETS
"""Octets of a share with the id of its key: index, suite, seed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A box that is open now: the grant's row; how many of its keys were opened, and how many were not."""

    grant: Row
    keys: int
    closed: int


async def approve(connection: AsyncConnection, request_id: UUID, *, user_id: UUID, key: KeyPair, now: datetime) -> Row:
    """Approve of a request as one of the trustees, by shares that only their own key opens; return its row.

    Raises:
        RequestError: as ``deny``; ``key.locked``, if the key is not the one that they became a trustee with;
            ``escrow.share``, if one of their shares was altered.
    """
    escrow, row, trustee = await to_answer(connection, request_id, user_id, now=now)
    if await answer_of(connection, request_id, user_id) is not None:
        raise RequestError("escrow.answered", "You have answered this request already.")
    if key.public.key_id != trustee.public_key.key_id:
        raise RequestError(
            "key.locked",
            "Your shares are sealed to the key that you had before your password was reset: give an older secret to "
            "POST /v1/me/keys:recover, or have an owner name you as a trustee again.",
        )
    shares = await _own_shares(connection, escrow, row, trustee, key)
    if not shares:
        raise RequestError("escrow.not_covered", "You have no share of any key of that box.")
    content = b"".join(key_id.encode() + share.octets for key_id, share in shares.items())
    blob = wrap(content, PublicKey.from_octets(row["public_key"]), context=answer_context(row, user_id))
    await write_answer(connection, row, user_id, approved=True, blob=blob, now=now)
    return row


async def open_box(
    connection: AsyncConnection, request_id: UUID, *, user_id: UUID, key: KeyPair, now: datetime
) -> Opened:
    """Open a box for whoever asked, once enough trustees have approved: they read it as long as they had asked for.

    What was put together for this is forgotten: the box's keys are wrapped to the reader, as for any grant, and the
    approvals are deleted.

    Raises:
        RequestError: ``access.not_yours``, ``escrow.over``, ``escrow.pending``, ``escrow.needless``; ``key.locked``, if
            the key is not the one that they asked with; ``escrow.share``, if something was altered.
    """
    before = await request_row(connection, request_id)
    escrow = await read_escrow(connection, before["tenant_id"])
    row = await request_row(connection, request_id, change=True)
    if row["user_id"] != user_id:
        raise RequestError("access.not_yours", "Only whoever asked for the box opens it.")
    check_pending(row, now)
    if escrow is None or escrow.id != row["escrow_id"]:
        raise over("void")
    if key.public.key_id != row["key_id"]:
        raise RequestError("key.locked", "You asked with a key of before your password was reset: ask again.")
    box = await box_of(connection, row["box_id"])
    await check_needed(connection, box, user_id)
    pairs, closed = await _pairs(connection, escrow, row, key)
    ids = {"tenant": row["tenant_id"], "box": box["id"], "user_id": user_id}
    until = now + timedelta(hours=row["hours"])
    made = await grant(
        connection,
        box=box,
        user_id=user_id,
        rights=["read"],
        expires_at=until,
        by=user_id,
        key=None,
        request_id=row["id"],
    )
    await hand(connection, pairs, key.public, **ids)
    await end_request(connection, row, OPENED, now=now)
    return Opened(made, len(pairs), closed)


async def _own_shares(
    connection: AsyncConnection, escrow: Escrow, row: Row, trustee: Trustee, key: KeyPair
) -> dict[str, Share]:
    """Return a trustee's shares of a box's keys, by the keys' ids."""
    mine = escrow_shares.c.trustee_id == trustee.id
    found = (
        select(escrow_shares)
        .join(box_keys, box_keys.c.key_id == escrow_shares.c.key_id)
        .where(mine, box_keys.c.box_id == row["box_id"])
        .order_by(escrow_shares.c.key_id)
    )
    shares = {}
    for each in await connection.execute(found):
        context = share_context(escrow.tenant_id, escrow.id, key_id=each.key_id, user_id=trustee.user_id)
        try:
            share = Share.from_octets(unwrap(each.blob, key, context=context))
        except (WrapBroken, ValueError):
            raise _wrong(trustee.user_id) from None
        _check_share(share, trustee.user_id, each.commitment, escrow, each.key_id)
        shares[each.key_id] = share
    return shares


async def _pairs(connection: AsyncConnection, escrow: Escrow, row: Row, key: KeyPair) -> tuple[list[KeyPair], int]:
    """Return the box's key pairs that the approvals give, and how many keys of the box they do not give."""
    said = select(escrow_answers).where(
        answers_to(row["id"]), escrow_answers.c.approved, escrow_answers.c.blob.is_not(None)
    )
    theirs = {each.user_id for each in escrow.trustees} - {row["user_id"]}
    answers = [each for each in await connection.execute(said) if each.user_id in theirs]
    if len(answers) < escrow.threshold:
        reason = f"{len(answers)} trustees have approved, and {escrow.threshold} have to."
        raise RequestError("escrow.pending", reason)
    committed = await _commitments(connection, escrow, row["box_id"])
    by_key: dict[str, list[Share]] = {}
    for answer in answers:
        for key_id, share in _approved(answer, row, key):
            if (key_id, answer.user_id) in committed:
                _check_share(share, answer.user_id, committed[key_id, answer.user_id], escrow, key_id)
                by_key.setdefault(key_id, []).append(share)
    pairs = [
        _pair(key_id, some[: escrow.threshold]) for key_id, some in by_key.items() if len(some) >= escrow.threshold
    ]
    counted = select(func.count()).select_from(box_keys).where(box_keys.c.box_id == row["box_id"])
    if not pairs:
        raise RequestError("escrow.pending", "The trustees who approved have too few shares of any one key.")
    return pairs, int((await connection.execute(counted)).scalar_one()) - len(pairs)


def _approved(answer: Any, row: Row, key: KeyPair) -> Iterable[tuple[str, Share]]:
    try:
        return read_approval(unwrap(answer.blob, key, context=answer_context(row, answer.user_id)))
    except (WrapBroken, ValueError):
        raise _wrong(answer.user_id) from None


async def _commitments(connection: AsyncConnection, escrow: Escrow, box_id: UUID) -> dict[tuple[str, UUID], bytes]:
    found = (
        select(escrow_shares.c.key_id, escrow_trustees.c.user_id, escrow_shares.c.commitment)
        .join(escrow_trustees, escrow_trustees.c.id == escrow_shares.c.trustee_id)
        .join(box_keys, box_keys.c.key_id == escrow_shares.c.key_id)
        .where(box_keys.c.box_id == box_id, escrow_trustees.c.escrow_id == escrow.id)
    )
    return {(row.key_id, row.user_id): row.commitment for row in await connection.execute(found)}


def _check_share(share: Share, user_id: UUID, commitment: bytes, escrow: Escrow, key_id: str) -> None:
    if not share.is_of(commitment, commitment_context(escrow.id, key_id)):
        raise _wrong(user_id)


def _pair(key_id: str, shares: Sequence[Share]) -> KeyPair:
    try:
        pair = KeyPair.from_octets(combine(shares))
    except (WrongShares, ValueError):
        raise _wrong(None) from None
    if pair.public.key_id != key_id:
        raise _wrong(None)
    return pair


def _wrong(user_id: UUID | None) -> RequestError:
    whose = f"The share of the trustee {user_id} is" if user_id else "Together, the shares are"
    return RequestError("escrow.share", f"{whose} not what was handed out: it was altered where it is stored.")


def read_approval(content: bytes) -> list[tuple[str, Share]]:
    """Return the shares that an approval has in it, each with the id of its key.

    Raises:
        ValueError: if it is none.
    """
    pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
    return [(piece[:_KEY_ID].decode(), Share.from_octets(piece[_KEY_ID:])) for piece in pieces]


def answer_context(row: Row, user_id: UUID) -> bytes:
    """Return what an approval is bound to: this request as it was made, so that nothing of it can be exchanged."""
    asked = f"{row['escrow_id']} {row['box_id']} {row['user_id']} {row['key_id']} {row['ground']} {row['hours']}"
    kind = f"escrow approval {user_id} {asked} "
    return wrap_context(tenant=row["tenant_id"], object_id=row["id"], kind=kind + row["reason"])
