"""Sends what waits for webhooks: a few at a time to each, so that a slow receiver holds up nobody else."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from procrastinate import Blueprint, JobContext
from sqlalchemy import RowMapping

from faxgw.keys.tokens import ServerKeys, SmallSealBroken
from faxgw.lanes import Lanes
from faxgw.metrics import WEBHOOKS
from faxgw.model import EventType
from faxgw.store.database import Database
from faxgw.tasks.retrying import AGAIN
from faxgw.webhooks import claiming, signing
from faxgw.webhooks.payload import message_body
from faxgw.webhooks.posting import NotAnswered, Poster
from faxgw.webhooks.secrets import opened

log = structlog.get_logger(__name__)

WAITS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000)
"""Seconds after the first, second, ... try that went wrong; after the last, a day in all, the delivery has failed."""

JITTER = 0.2
"""Share of a wait by which it is longer or shorter, so that what failed together does not come back together."""

WIDTH = 4
"""Messages on their way to one receiver at the same time; one while the last of them went wrong."""

HANDS = 64
"""Messages on their way at the same time, from this node."""

DESK = 2
"""Connections that this takes of the dispatcher's, which calls need too."""

GONE = 410
"""The status by which a receiver ends its webhook."""

TICK = 2.0
"""Seconds between two looks for what is due again."""

LEASE = 15.0
"""Seconds that a claim lasts beyond the longest that a try may take."""


def tasks() -> Blueprint:
    """Return the tasks of webhooks, for one app."""
    found = Blueprint()

    @found.task(name="deliver", retry=AGAIN, pass_context=True)
    async def deliver(context: JobContext, webhook_ids: Sequence[str]) -> None:
        """Send what waits for these webhooks; what is sent, and when again, is in the rows of the deliveries."""
        courier: Courier = context.additional_context["courier"]
        for webhook_id in webhook_ids:
            courier.wake(UUID(webhook_id))

    return found


class Courier:
    """Carries messages to webhooks while ``run`` runs; on every node one."""

    def __init__(
        self,
        database: Database,
        server_keys: ServerKeys,
        poster: Poster,
        *,
        seconds: float = 15.0,
        waits: Sequence[float] = WAITS,
        tick: float = TICK,
    ) -> None:
        """Take where the messages are, who signs them, who posts them, and how long that may take it."""
        self._database = database
        self._keys = server_keys
        self._poster = poster
        self._lease = seconds + LEASE
        self._waits = waits
        self._desk = asyncio.Semaphore(DESK)
        self._lanes = Lanes(self._look, self._carry, width=WIDTH, hands=HANDS, tick=tick)

    async def run(self) -> None:
        """Carry until cancelled; what is on its way then is sent again when its claim has ended."""
        await self._lanes.run()

    def wake(self, webhook_id: UUID) -> None:
        """Have what is due for a webhook sent."""
        self._lanes.wake(webhook_id)

    async def _look(self) -> Iterable[UUID]:
        async with self._desk, self._database.dispatcher() as connection:
            return await claiming.due(connection)

    async def _carry(self, webhook_id: UUID, taken: Callable[[], None]) -> bool | None:
        """Claim a delivery and try it; None when none is due."""
        async with self._desk, self._database.dispatcher() as connection:
            row = await claiming.claim(connection, webhook_id, lease=self._lease)
        if row is None:
            return None
        taken()
        status, error = await self._try(row)
        WEBHOOKS.labels("failed" if error else "delivered").inc()
        async with self._desk, self._database.dispatcher() as connection:
            if not error and status is not None:
                await claiming.succeeded(connection, row, status)
            elif status == GONE:
                await claiming.gone(connection, row, status, error)
            elif (wait := self._wait(row)) is None:
                await claiming.failed(connection, row, status, error)
            else:
                await claiming.again(connection, row, status, error, wait=wait)
        log.info("webhook tried", delivery=row["id"], tries=row["tries"], status=status, error=error)
        return not error

    async def _try(self, row: RowMapping) -> tuple[int | None, str]:
        """Return the status, if there was one, and what went wrong, if anything did."""
        body = message_body(row)
        try:
            signers = self._signers(row)
            headers = signing.headers(str(row["id"]), body, at=datetime.now(UTC), signers=signers)
            status = await self._poster.post(row["url"], headers=headers, body=body)
        except NotAnswered as fault:
            return None, str(fault)
        except SmallSealBroken:
            return None, "the secret cannot be opened with this server's keys: rotate it"
        return status, "" if 200 <= status < 300 else _meaning(status)

    def _signers(self, row: RowMapping) -> list[signing.Signer]:
        if row["signature"] == "v1a":
            return [signing.by_key(self._keys.signing)]
        sealed = [row["secret"], row["old_secret"]] if row["old_secret_counts"] else [row["secret"]]
        return [signing.by_secret(opened(self._keys, row["webhook_id"], each)) for each in sealed]

    def _wait(self, row: RowMapping) -> float | None:
        """Return the seconds until the next try; None after the last."""
        tries: int = row["tries"]
        if row["type"] == EventType.TEST.value or tries > len(self._waits):
            return None
        return self._waits[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)


def _meaning(status: int) -> str:
    if status == GONE:
        return "the receiver says that it is gone (410); the webhook is disabled"
    if 300 <= status < 400:
        return f"the receiver redirects ({status}), which is not followed: give the URL that it leads to"
    return f"the receiver answers {status}"
