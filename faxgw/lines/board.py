"""A node's telephone lines together: who is idle, who is down; their rows in the database follow."""

import asyncio
from typing import Any

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert as upsert

from faxgw.config import Config, LineSettings
from faxgw.lines.keeper import Answer, Keeper
from faxgw.rules.routing import LineState
from faxgw.store.database import Database, DatabaseUnavailable
from faxgw.store.tables import lines, nodes

SHOWN_EVERY = 30.0
"""Seconds after which rows are written again, changed or not."""
SHOWN_WITHIN = 0.5


class Board:
    """The lines of this node."""

    def __init__(self, config: Config, *, node: str, bell: asyncio.Event) -> None:
        """Take the lines of the configuration; ``bell`` is rung whenever the state of one has changed."""
        self._node = node
        self._name = config.node
        self._bell = bell
        self._dirty = asyncio.Event()
        self.keepers = {
            each.name: Keeper(each, _url(each, config.sandbox.speed), node=node, changed=self._changed)
            for line in config.lines
            for each in line.each_channel()
        }

    def states(self) -> list[LineState]:
        """Return every line of this node as routing looks at it."""
        return [keeper.seen for keeper in self.keepers.values()]

    async def run(self, answer: Answer) -> None:
        """Keep every line until cancelled."""
        async with asyncio.TaskGroup() as group:
            for keeper in self.keepers.values():
                group.create_task(keeper.run(answer), name=f"line {keeper.settings.name}")

    async def show(self, database: Database) -> None:
        """Keep the rows of this node's lines true until cancelled."""
        while True:
            self._dirty.clear()
            try:
                await self._write(database)
            except DatabaseUnavailable:
                self._dirty.set()
            await asyncio.sleep(SHOWN_WITHIN)
            try:
                async with asyncio.timeout(SHOWN_EVERY):
                    await self._dirty.wait()
            except TimeoutError:
                continue

    async def _write(self, database: Database) -> None:
        rows = [
            {
                "node": self._node,
                "name": name,
                "kind": keeper.settings.scheme,
                "sends": keeper.settings.sends,
                "receives": keeper.settings.receives,
                "tenants": sorted(keeper.settings.tenants),
                "state": keeper.state,
                "fault": keeper.fault,
                "health": keeper.health.model_dump(mode="json"),
            }
            for name, keeper in self.keepers.items()
        ]
        async with database.dispatcher() as connection:
            # Another node forgets one that was silent for a day, such as a machine that slept.
            known = upsert(nodes).values(id=self._node, name=self._name).on_conflict_do_nothing()
            await connection.execute(known)
            await connection.execute(delete(lines).where(lines.c.node == self._node, lines.c.name.not_in(self.keepers)))
            if rows:
                row = upsert(lines).values(rows)
                news: dict[str, Any] = {name: row.excluded[name] for name in rows[0]}
                news["updated_at"] = func.now()
                await connection.execute(row.on_conflict_do_update(index_elements=["node", "name"], set_=news))

    def _changed(self) -> None:
        self._dirty.set()
        self._bell.set()


def _url(settings: LineSettings, speed: float) -> str:
    """Return a line's URL; simulated ones run at the sandbox's speed unless they say another."""
    if settings.scheme != "sim" or "speed=" in settings.url:
        return settings.url
    return f"{settings.url}{'&' if '?' in settings.url else '?'}speed={speed:g}"
