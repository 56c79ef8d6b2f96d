"""Usage: what was sent and received, counted from the calls that were made."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Select, Text, cast, func, select
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import ok
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import Time
from faxgw.api.problems import Problem
from faxgw.api.shapes import UsagesShape
from faxgw.boxes.access import may
from faxgw.store.tables import attempts, boxes, faxes

router = APIRouter(prefix="/v1/usage", route_class=GuardedRoute, tags=["usage"])

USUAL = timedelta(days=31)
LONGEST = timedelta(days=366)
MOST_ROWS = 5000

_DAY = cast(func.date(func.timezone("UTC", attempts.c.ended_at)), Text)
_BY = {"day": _DAY, "key": faxes.c.api_key_id, "box": faxes.c.box_id}
_FIELD = {"day": "day", "key": "api_key", "box": "box"}


@router.get("", response_model=UsagesShape)
async def get_usage(
    call: Caller,
    by: Annotated[Literal["day", "key", "box"], Query(description="What to count by.")] = "day",
    after: Annotated[Time | None, Query(description="Calls that ended from then on; 31 days ago.")] = None,
    before: Annotated[Time | None, Query(description="Calls that ended before that; now.")] = None,
) -> Response:
    """Count faxes, calls, pages and seconds of one's own boxes; an owner or admin with `admin` gets everybody's."""
    start, end = period(after, before)
    async with call.transaction() as connection:
        rows = (await connection.execute(_counted(call, by, start, end))).mappings().all()
    empty: dict[str, Any] = {"day": None, "api_key": None, "box": None}
    counts = ("direction", "faxes", "calls", "pages", "seconds")
    return ok({"items": [{**empty, _FIELD[by]: row["by"], **{name: row[name] for name in counts}} for row in rows]})


def _counted(call: Call, by: str, start: datetime, end: datetime) -> Select[Any]:
    statement = (
        select(
            _BY[by].label("by"),
            faxes.c.direction,
            func.count(func.distinct(attempts.c.fax_id)).label("faxes"),
            func.count().label("calls"),
            func.coalesce(func.sum(attempts.c.pages), 0).label("pages"),
            func.coalesce(func.sum(attempts.c.seconds), 0.0).label("seconds"),
        )
        .join(faxes, faxes.c.id == attempts.c.fax_id)
        .where(attempts.c.tenant_id == call.actor.tenant_id)
        .where(attempts.c.ended_at >= start, attempts.c.ended_at < end)
        .group_by(_BY[by], faxes.c.direction)
        .order_by(_BY[by], faxes.c.direction)
        .limit(MOST_ROWS)
    )
    if sees_all(call.actor):
        return statement
    own = select(boxes.c.id).where(may(call.actor.user_id, "read"))
    return statement.where(faxes.c.box_id.in_(own))


def period(after: datetime | None, before: datetime | None) -> tuple[datetime, datetime]:
    """Return from when to when calls are asked for; a month, if nothing is said.

    Raises:
        Problem: ``request.invalid``, if that is more than a year.
    """
    try:
        end = before or datetime.now(UTC)
        start = after or end - USUAL
        too_long = not timedelta(0) <= end - start <= LONGEST
    except OverflowError:
        too_long = True
    if too_long:
        reason = "Ask for at most 366 days, the earlier time first."
        raise Problem("request.invalid", reason, extra={"errors": [{"pointer": "query after", "detail": reason}]})
    return start, end
