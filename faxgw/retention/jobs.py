"""What is done in jobs of its own: an erasure, and the end of a fax of which nothing is to be kept."""

from datetime import UTC, datetime
from uuid import UUID

from procrastinate import Blueprint, JobContext
from sqlalchemy import select

from faxgw.gateway import Gateway
from faxgw.retention import erasing
from faxgw.retention.rules import NOT_STORED, Due
from faxgw.retention.shredding import Shredded, Why, remove, shred
from faxgw.store.tables import faxes
from faxgw.tasks.retrying import AGAIN


async def end_unstored(gateway: Gateway, fax_id: UUID, *, now: datetime) -> Shredded:
    """Shred a fax that has ended and of which nothing is to be kept, if it is one; a minimal record stays."""
    due = Due("not_stored", NOT_STORED, unstored=True)
    async with gateway.database.dispatcher() as connection:
        found = await connection.execute(select(faxes.c.id).where(faxes.c.id == fax_id, due.condition(now)))
        done = await shred(connection, gateway, found.scalars().all(), why=UNSTORED, by="service", now=now)
    await remove(gateway, done.objects)
    return done


UNSTORED = Why("not_stored", NOT_STORED, record="minimal")


def tasks() -> Blueprint:
    """Return the tasks of this room."""
    found = Blueprint()

    @found.task(name="erase", retry=AGAIN, pass_context=True)
    async def erase(context: JobContext, erasure_id: str) -> None:
        await erasing.erase(context.additional_context["gateway"], UUID(erasure_id), now=datetime.now(UTC))

    @found.task(name="not_stored", retry=AGAIN, pass_context=True)
    async def not_stored(context: JobContext, fax_id: str) -> None:
        await end_unstored(context.additional_context["gateway"], UUID(fax_id), now=datetime.now(UTC))

    return found
