"""Carries what is due: a few parcels at a time to each target, so that one bad host holds up nobody else.

A try is a claim, then the way itself, outside of any transaction, then one transaction in which all that the try comes
to is written. Whoever dies in between has lost the claim when its time is up, and the parcel is carried again.
"""

import asyncio
from collections.abc import Callable, Iterable
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from faxgw import metrics
from faxgw.delivery import carrying, ending, queue
from faxgw.delivery.carrier import NotCarried, Unreachable
from faxgw.delivery.carrying import Carried
from faxgw.delivery.waits import WAITS, Waits
from faxgw.gateway import Gateway
from faxgw.lanes import Lanes
from faxgw.store.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

WIDTH = 4
"""Parcels on their way to one target at the same time; one while the last of them went wrong."""

HANDS = 32
"""Parcels on their way at the same time, from this node."""

DESK = 2
"""Connections that this takes of the dispatcher's, which calls need too."""

TICK = 1.0
"""Seconds between two looks for what is due."""

LEASE = 30.0
"""Seconds that a claim lasts beyond the longest that a try may take."""


class Courier:
    """Carries parcels while ``run`` runs; on every node one."""

    def __init__(self, gateway: Gateway, *, waits: Waits = WAITS, tick: float = TICK) -> None:
        """Take what it works with, when parcels are tried again, and the seconds between two looks."""
        self._gateway = gateway
        self._seconds = gateway.config.delivery.timeout
        self._waits = waits
        self._desk = asyncio.Semaphore(DESK)
        self._lanes = Lanes(self._look, self._carry, width=WIDTH, hands=HANDS, tick=tick)

    async def run(self) -> None:
        """Carry until cancelled; what is on its way then is carried again when its claim has ended."""
        await self._lanes.run()

    async def _look(self) -> Iterable[UUID]:
        async with self._desk, self._gateway.database.dispatcher() as connection:
            return await queue.due(connection)

    async def _carry(self, lane: UUID, taken: Callable[[], None]) -> bool | None:
        """Claim a parcel and try it; None when none is due."""
        async with self._desk, self._gateway.database.dispatcher() as connection:
            row = await queue.claim(connection, lane, lease=self._seconds + LEASE)
        if row is None:
            return None
        taken()
        came = await self._try(row)
        async with self._desk, self._gateway.database.dispatcher() as connection:
            state = await ending.end_try(connection, row, came, waits=self._waits)
        code = came.code if isinstance(came, NotCarried) else ""
        metrics.PARCELS.labels(state).inc()
        log.info("parcel tried", parcel=row["id"], kind=row["kind"], tries=row["tries"], state=state, code=code)
        return not code

    async def _try(self, row: RowMapping) -> Carried | NotCarried:
        try:
            async with asyncio.timeout(self._seconds):
                return await carrying.carry(self._gateway, row)
        except NotCarried as fault:
            return fault
        except TimeoutError:
            return Unreachable("delivery.timeout", f"it was not handed over within {self._seconds:.0f} s")
        except DatabaseUnavailable:
            raise
        except Exception:  # of one carrier; that this parcel comes again, and has an end, is ours to see to
            log.exception("a carrier broke off", parcel=row["id"], kind=row["kind"])
            return Unreachable("delivery.internal", "a fault in the gateway; its log has more")
