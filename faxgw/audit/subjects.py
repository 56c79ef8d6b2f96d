"""Persons in the log: pseudonyms that nobody can tie to a person once the person's key is destroyed.

A row that waits names a subject by an index (an HMAC under the server's key); when it gets its number, the index
becomes a pseudonym: an HMAC under a key that was drawn for this subject of this tenant. Erasing somebody deletes that
key. The rows stay as they are, and so does the tree over them.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.keys.tokens import ServerKeys
from faxgw.store.tables import audit_subjects

OCTETS = 20
KEY_OCTETS = 32
STONE_OCTETS = 16

_INDEX = re.compile(rf"subject:([0-9a-f]{{{2 * OCTETS}}})")


def pseudonym(keys: ServerKeys, *, tenant_id: UUID, subject: str) -> str:
    """Return what stands for a person in ``record``: for an e-mail address, a number in E.164, a name.

    It costs no statement and no lock. What is found in the log in its place is ``pseudonym:`` and 40 digits: the same
    for the same subject in one tenant's log, until it is forgotten.
    """
    return f"subject:{_index(keys, tenant_id, subject).hex()}"


async def forget(connection: AsyncConnection, keys: ServerKeys, *, tenant_id: UUID, subject: str) -> str | None:
    """Destroy a subject's key; return the pseudonym that nobody can tie to the subject any more, None if it had none.

    Should the subject come again, it gets another pseudonym.
    """
    index = _index(keys, tenant_id, subject)
    mine = (audit_subjects.c.tenant_id == tenant_id) & (audit_subjects.c.index == index)
    blob = (await connection.execute(delete(audit_subjects).where(mine).returning(audit_subjects.c.key))).scalar()
    return None if blob is None else _shown(index, _opened(keys, tenant_id, index, blob))


def stone_id(keys: ServerKeys, *, tenant_id: UUID, subject: str) -> UUID:
    """Return by which id a tombstone names a subject: 16 octets of its index, which is an HMAC."""
    return UUID(bytes=_index(keys, tenant_id, subject)[:STONE_OCTETS])


async def known_as(connection: AsyncConnection, keys: ServerKeys, *, tenant_id: UUID, subject: str) -> str | None:
    """Return the pseudonym that a subject has in the log, to look for it; None if it has none."""
    index = _index(keys, tenant_id, subject)
    return (await _pseudonyms(connection, keys, tenant_id, [index])).get(index)


async def resolve(
    connection: AsyncConnection, keys: ServerKeys, tenant_id: UUID, entries: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows with pseudonyms in place of indices; subjects that are new get their keys."""
    indices = {bytes.fromhex(found) for entry in entries for found in _found(entry)}
    if not indices:
        return entries
    known = await _pseudonyms(connection, keys, tenant_id, indices)
    new = [_new(keys, tenant_id, index) for index in sorted(indices - known.keys())]
    if new:
        await connection.execute(upsert(audit_subjects).on_conflict_do_nothing(), new)
        known = await _pseudonyms(connection, keys, tenant_id, indices)
    return [_replaced(entry, known) for entry in entries]


def _index(keys: ServerKeys, tenant_id: UUID, subject: str) -> bytes:
    return keys.audit_subject(tenant_id.bytes + subject.strip().casefold().encode())[:OCTETS]


async def _pseudonyms(
    connection: AsyncConnection, keys: ServerKeys, tenant_id: UUID, indices: Iterable[bytes]
) -> dict[bytes, str]:
    mine = (audit_subjects.c.tenant_id == tenant_id) & audit_subjects.c.index.in_(list(indices))
    rows = await connection.execute(select(audit_subjects.c.index, audit_subjects.c.key).where(mine))
    return {index: _shown(index, _opened(keys, tenant_id, index, key)) for index, key in rows}


def _new(keys: ServerKeys, tenant_id: UUID, index: bytes) -> dict[str, object]:
    sealed = keys.seal_small(secrets.token_bytes(KEY_OCTETS), context=_context(tenant_id, index))
    return {"tenant_id": tenant_id, "index": index, "key": sealed}


def _opened(keys: ServerKeys, tenant_id: UUID, index: bytes, blob: bytes) -> bytes:
    return keys.open_small(blob, context=_context(tenant_id, index))


def _context(tenant_id: UUID, index: bytes) -> bytes:
    return b"faxgw audit subject 1" + tenant_id.bytes + index


def _shown(index: bytes, key: bytes) -> str:
    return f"pseudonym:{hmac.digest(key, index, hashlib.sha256)[:OCTETS].hex()}"


def _found(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        if match := _INDEX.fullmatch(value):
            yield match[1]
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _found(each)
    elif isinstance(value, list):
        for each in value:
            yield from _found(each)


def _replaced(value: Any, known: Mapping[bytes, str]) -> Any:
    if isinstance(value, str):
        match = _INDEX.fullmatch(value)
        return known[bytes.fromhex(match[1])] if match else value
    if isinstance(value, Mapping):
        return {name: _replaced(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, known) for each in value]
    return value
