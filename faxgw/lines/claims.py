"""Faxes that this node has taken on: the attempt of each is a row before anybody dials, or goes on dialling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, func
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.changes import change
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.model import EventType, State
from faxgw.rules.attempt import Adjustments
from faxgw.store.tables import attempts


@dataclass(frozen=True, slots=True)
class Claim:
    """A fax that this node has taken on, and the attempt that says so."""

    fax: RowMapping
    attempt: RowMapping
    lease_ends: float
    """By ``time.monotonic``: after that, the attempt may be another node's."""


def lease_end(gateway: Gateway) -> ColumnElement[datetime]:
    """Return until when what is written now is ours, by the database's clock, as nodes' clocks differ."""
    return func.now() + timedelta(seconds=gateway.config.dispatch.lease)


def new_attempt(
    gateway: Gateway, fax: RowMapping, *, line: str, route: Mapping[str, Any], adjusted: Adjustments
) -> dict[str, Any]:
    """Return the row of an attempt for a fax."""
    return {
        "id": new_id(),
        "tenant_id": fax["tenant_id"],
        "fax_id": fax["id"],
        "index": fax["dials"] + 1,
        "destination": fax["to_number"],
        "node": gateway.node,
        "line": line,
        "lease_until": lease_end(gateway),
        "route": route,
        "adjustments": adjusted.model_dump(mode="json"),
        "first_page": fax["pages_done"],
    }


async def begin(
    connection: AsyncConnection, chosen: Mapping[UUID, RowMapping], rows: Sequence[Mapping[str, Any]]
) -> list[tuple[RowMapping, RowMapping]]:
    """Write attempts down for faxes that are held, but for those to whose numbers there is a call just now.

    All are written in one statement, in the order of the rows. Returns each fax that is dialled, and its attempt.
    """
    new = upsert(attempts).values(list(rows)).on_conflict_do_nothing().returning(attempts)
    begun = [(chosen[attempt["fax_id"]], attempt) for attempt in (await connection.execute(new)).mappings()]
    for fax, attempt in begun:
        await change(
            connection,
            fax["id"],
            to=State.DIALING,
            event=EventType.DIALING,
            data={"attempt": attempt["index"], "line": attempt["line"]},
            dials=attempt["index"],
            line=attempt["line"],
        )
    return begun
