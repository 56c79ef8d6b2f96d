"""A carrier of the tests' own: a shelf in memory, which is away, full or unsafe as a test wants it to be."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from faxgw.delivery.carrier import NotCarried, Parcel, Proof
from faxgw.delivery.targets import Target
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.store.tables import delivery_rules, parcels, targets

PATH = f"{__name__}:Shelf"


@dataclass
class Place:
    """What lies on one shelf, how often somebody came, and what goes wrong the next times."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[NotCarried | Exception] = field(default_factory=list)
    tries: int = 0


PLACES: defaultdict[str, Place] = defaultdict(Place)
"""Name of a target -> its shelf."""


class Shelf:
    """Carries to the place of its target's name."""

    def __init__(self, target: Target, gateway: Gateway) -> None:
        self._place, self._name = PLACES[target.name], target.name
        self._gateway = gateway

    async def carry(self, parcel: Parcel) -> Proof:
        """Lay the files down."""
        self._meet()
        self._place.files |= {each.name: each.content for each in parcel.files}
        path = " ".join(each.name for each in parcel.files)
        return Proof(
            "none", "", "", True, "local", f"shelf:{self._name}/{parcel.files[0].name}", datetime.now(UTC), path=path
        )

    async def take_back(self, path: str, sha256: bytes) -> bool:
        """Take a file away, if it is the same, and what lies beside it."""
        self._meet()
        first, *beside = path.split()
        there = self._place.files.get(first)
        for name in beside:
            self._place.files.pop(name, None)
        if there is None or hashlib.sha256(there).digest() != sha256:
            return False
        del self._place.files[first]
        return True

    async def probe(self) -> Proof:
        """Say whether it could be used now."""
        self._meet()
        return Proof("none", "", "", True, "local", f"shelf:{self._name}/", datetime.now(UTC))

    def _meet(self) -> None:
        self._place.tries += 1
        if self._place.faults:
            raise self._place.faults.pop(0)


async def add_target(gateway: Gateway, tenant_id: UUID, name: str, kind: str = "local", **settings: Any) -> UUID:
    """Set a target up; return its id."""
    row = {"id": new_id(), "tenant_id": tenant_id, "name": name, "kind": kind, "settings": {"kind": kind, **settings}}
    async with gateway.database.tenant(tenant_id) as connection:
        await connection.execute(insert(targets).values(row))
    return UUID(str(row["id"]))


async def add_rule(gateway: Gateway, tenant_id: UUID, box_id: UUID, target_id: UUID, prefix: str = "") -> UUID:
    """Have what comes into a box delivered to a target."""
    row = {"id": new_id(), "tenant_id": tenant_id, "box_id": box_id, "target_id": target_id, "prefix": prefix}
    async with gateway.database.tenant(tenant_id) as connection:
        await connection.execute(upsert(delivery_rules).values(row))
    return UUID(str(row["id"]))


async def parcels_of(gateway: Gateway, tenant_id: UUID) -> list[Any]:
    """Return a tenant's parcels, oldest first."""
    async with gateway.database.tenant(tenant_id) as connection:
        return list((await connection.execute(select(parcels).order_by(parcels.c.id))).all())
