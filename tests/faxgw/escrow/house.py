"""Who is there in the tests of escrow, and what they do in most of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select

from faxgw.audit.sequencing import sequence
from faxgw.gateway import Gateway
from faxgw.store.tables import audit_rows, escrow_shares, events
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.boxes.house import received
from tests.faxgw.people.conftest import Clock, SignIn

WHY = "Ms Example is in hospital, and an order is due today."


@dataclass(frozen=True)
class Rooms:
    """What everything takes place in."""

    gateway: Gateway
    owner: Person
    connect: Connect
    sign_in: SignIn
    clock: Clock


@dataclass(frozen=True)
class House:
    """The owner sets up, the admin asks, trustees answer, and the nurse, who is away, has a fax in her box."""

    rooms: Rooms
    admin: Person
    trustees: list[Person]
    nurse: Person
    fax: UUID
    boss_in: Client
    admin_in: Client
    trustees_in: list[Client]

    @classmethod
    async def of(cls, rooms: Rooms) -> "House":
        gateway, tenant = rooms.gateway, rooms.owner.tenant_id
        admin = await add_person(gateway, tenant, role="admin")
        members = [await add_person(gateway, tenant, role="member") for _ in range(4)]
        fax = await received(gateway, members[3])
        boss_in, admin_in = await rooms.sign_in(rooms.owner), await rooms.sign_in(admin)
        trustees_in = [await rooms.sign_in(each) for each in members[:3]]
        return cls(rooms, admin, members[:3], members[3], fax, boss_in, admin_in, trustees_in)

    @property
    def gateway(self) -> Gateway:
        return self.rooms.gateway

    async def set_up(self, *, threshold: int = 2, trustees: Sequence[Person] | None = None) -> dict[str, Any]:
        people = self.trustees if trustees is None else trustees
        asked = {"trustees": [str(each.user_id) for each in people], "threshold": threshold}
        answer = await self.boss_in.put("/v1/escrow", json=asked)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def read(self, who: Person) -> httpx.Response:
        """Have somebody open the fax, by their API key."""
        return await self.rooms.connect(who).get(f"/v1/faxes/{self.fax}/pages/1")

    async def cover(self) -> None:
        """Have the nurse's box covered: she opens the fax."""
        assert (await self.read(self.nurse)).status_code == 200

    async def ready(self, *, threshold: int = 2) -> str:
        """Set an escrow up, cover the box, and have the admin ask for it; return the request's address."""
        await self.set_up(threshold=threshold)
        await self.cover()
        answer = await self.ask()
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    async def ask(self, client: Client | None = None, **more: Any) -> httpx.Response:
        asked = {"box": str(self.nurse.box_id), "ground": "illness", "reason": WHY, "hours": 8, **more}
        return await (client or self.admin_in).post("/v1/escrow/requests", json=asked)

    async def approve(self, url: str, *which: int) -> None:
        for each in which:
            answer = await self.trustees_in[each].post(f"{url}:approve")
            assert answer.status_code == 200, answer.text

    async def shares(self) -> int:
        async with self.gateway.database.dispatcher() as connection:
            return int((await connection.execute(select(func.count()).select_from(escrow_shares))).scalar_one())

    async def told(self) -> list[str]:
        """Return the types of all events of the escrow, in order."""
        async with self.gateway.database.dispatcher() as connection:
            found = select(events.c.type).where(events.c.type.startswith("escrow.")).order_by(events.c.id)
            return list((await connection.execute(found)).scalars())

    async def logged(self) -> list[str]:
        """Return the rows of the audit log that tell of the escrow, in order."""
        await sequence(self.gateway.database, self.gateway.server_keys, now=self.rooms.clock.now)
        async with self.gateway.database.dispatcher() as connection:
            mine = audit_rows.c.action.startswith("escrow.") | (audit_rows.c.action == "box.escrowed")
            found = select(audit_rows.c.entry).where(mine).order_by(audit_rows.c.seq)
            return list((await connection.execute(found)).scalars())


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["code"]
