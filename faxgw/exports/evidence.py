"""How a tenant's data is kept, for whoever audits it: state and proofs, without content, numbers or names of people."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import __version__
from faxgw.advisories.sbom import bill
from faxgw.advisories.state import State
from faxgw.backup.manifest import shown
from faxgw.exports.zipping import ZipStream
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import (
    api_keys,
    audit_checkpoints,
    certificates,
    documents,
    faxes,
    holds,
    key_slots,
    objects,
    tenants,
    tombstones,
    users,
    wraps,
)

_DOMAIN = b"faxgw evidence 1\n"
ROWS = 500


async def evidence(
    connection: AsyncConnection, tenant_id: UUID, *, state: State, key: Ed25519PrivateKey, at: datetime
) -> AsyncIterator[bytes]:
    """Go through the octets of a ZIP; ``connection`` is a transaction of the tenant."""
    stream = ZipStream(at=at)
    parts = {
        "policy.json": await _policy(connection, tenant_id),
        "keys.json": await _keys(connection),
        "retention.json": await _retention(connection),
        "version.json": {"faxgw": __version__, **state.as_json()},
        "sbom.json": bill(),
        "requirements.json": requirements(),
    }
    for name, said in parts.items():
        yield stream.add(name, _json(said))
    for name, table, columns in (
        ("tombstones.jsonl", tombstones, ("id", "kind", "deleted_at", "signature")),
        ("certificates.jsonl", certificates, ("id", "fax_id", "said", "signature", "created_at")),
        ("audit_checkpoints.jsonl", audit_checkpoints, ("size", "note", "created_at")),
    ):
        async for piece in stream.add_slowly(name, _lines(connection, table, columns)):
            yield piece
    said = {"format": "faxgw evidence", "version": 1, "tenant": tenant_id, "made_at": at, "files": list(stream.files)}
    manifest = _json(said)
    yield stream.add("manifest.json", manifest)
    yield stream.add(
        "signature.json",
        _json({"key": shown(key.public_key()), "signature": key.sign(_DOMAIN + manifest).hex()}),
    )
    yield stream.end()


def signed_octets(manifest: bytes) -> bytes:
    """Return what the signature of an evidence pack is over."""
    return _DOMAIN + manifest


def requirements() -> Any:
    """Return which tests show which requirement, as this version was released."""
    return json.loads((files("faxgw.exports") / "requirements.json").read_text())


async def _policy(connection: AsyncConnection, tenant_id: UUID) -> dict[str, Any]:
    row = (await connection.execute(select(tenants).where(tenants.c.id == tenant_id))).one()
    policy = TenantPolicy.model_validate(row.policy)
    meaning = {name: each.description or "" for name, each in TenantPolicy.model_fields.items()}
    return {"version": row.version, "policy": policy.model_dump(mode="json"), "meaning": meaning}


async def _keys(connection: AsyncConnection) -> dict[str, Any]:
    """Return which keys there are and what opens with them; no key, no salt, no address of a person."""
    slots = select(key_slots.c.user_id, key_slots.c.kind, key_slots.c.created_at, key_slots.c.parameters["kdf"].astext)
    by_user: dict[UUID, list[dict[str, Any]]] = {}
    for user_id, kind, created_at, kdf in await connection.execute(slots):
        by_user.setdefault(user_id, []).append({"kind": kind, "kdf": kdf, "created_at": created_at})
    people = await connection.execute(
        select(users.c.id, users.c.role, users.c.key_id, users.c.public_key, users.c.created_at)
    )
    keys = await connection.execute(
        select(*(api_keys.c[each] for each in ("id", "user_id", "scopes", "created_at", "expires_at", "revoked_at")))
    )
    counted = select(wraps.c.kind, wraps.c.key_id, func.count().label("objects")).group_by(wraps.c.kind, wraps.c.key_id)
    return {
        "objects": "AES-256-GCM, one random key each",
        "users": [
            {
                "id": row.id,
                "role": row.role,
                "key_id": row.key_id,
                "suite": row.public_key[0],
                "created_at": row.created_at,
                "slots": by_user.get(row.id, []),
            }
            for row in people
        ],
        "api_keys": [dict(row) for row in keys.mappings()],
        "wraps": [dict(row) for row in (await connection.execute(counted)).mappings()],
    }


async def _retention(connection: AsyncConnection) -> dict[str, Any]:
    """Return what there is, and what there must not be: each of the last three is nought where all is well."""
    spool = select(func.count()).select_from(wraps).where(wraps.c.kind == "spool")
    deleted = select(tombstones.c.id)
    counts = {
        "faxes": select(func.count()).select_from(faxes),
        "objects": select(func.count()).select_from(objects),
        "documents": select(func.count()).select_from(documents),
        "holds": select(func.count()).select_from(holds).where(holds.c.released_at.is_(None)),
        "tombstones": select(func.count()).select_from(tombstones),
        "certificates": select(func.count()).select_from(certificates),
        "spool_wraps": spool,
        "deleted_faxes_that_are_there": select(func.count()).select_from(faxes).where(faxes.c.id.in_(deleted)),
        "deleted_objects_that_open": select(func.count()).select_from(wraps).where(wraps.c.object_id.in_(deleted)),
        "documents_past_their_time": select(func.count())
        .select_from(documents)
        .where(documents.c.expires_at < func.now() - func.make_interval(0, 0, 0, 1)),
    }
    oldest = await connection.scalar(select(func.min(faxes.c.created_at)))
    return {**{name: await connection.scalar(each) for name, each in counts.items()}, "oldest_fax": oldest}


async def _lines(connection: AsyncConnection, table: Any, names: tuple[str, ...]) -> AsyncIterator[bytes]:
    result = await connection.stream(select(*(table.c[name] for name in names)))
    async for rows in result.mappings().partitions(ROWS):
        yield b"".join(_json(dict(row)) + b"\n" for row in rows)


def _json(said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False, default=_text).encode()


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else value.isoformat() if isinstance(value, datetime) else str(value)
