"""Pages of a long list: as people and programs ask for them."""

import time
from typing import Any
from urllib.parse import quote

import psycopg

from faxgw.bench.client import Connection
from faxgw.bench.figures import Figure, percentile, rounded
from faxgw.bench.gateway import Gateway
from faxgw.keys.tokens import ServerKeys
from faxgw.store.tables import NUMBER

DEEP = 0.5
"""How far down the list the deep page is."""

_FILL = """
WITH ages AS (
    SELECT n, now() - make_interval(secs => 90 * n) AS at FROM generate_series(1, %(faxes)s) AS n
), row AS (
    SELECT n, at, md5(n::text || %(tenant)s) AS noise, n %% 5 = 0 AS incoming, n %% 20 = 1 AS failed FROM ages
)
INSERT INTO faxes (id, tenant_id, direction, state, user_id, box_id, from_number, to_number, pages, pages_done, dials,
    created_at, finished_at, reason_code, request)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(noise, 1, 3)
        || '8' || substr(noise, 4, 15))::uuid,
    %(tenant)s::uuid,
    CASE WHEN incoming THEN 'in' ELSE 'out' END,
    CASE WHEN incoming THEN 'received' WHEN failed THEN 'failed' ELSE 'delivered' END,
    %(user)s::uuid, %(box)s::uuid,
    %(from)s, (%(to)s::bytea[])[1 + n %% 5000],
    1 + n %% 4, CASE WHEN failed THEN 0 ELSE 1 + n %% 4 END, 1, at, at + interval '1 minute',
    CASE WHEN failed THEN 'call.busy' ELSE '' END, '{}'
FROM row
"""


async def fill(gateway: Gateway, faxes: int) -> None:
    """Put ended faxes into the first tenant's list, a third of a year of them, past the gateway."""
    seal = ServerKeys(gateway.data / "server_keys").values.seal_findable
    given: dict[str, Any] = {name: gateway.account[name] for name in ("tenant", "user", "box")}
    given["from"] = seal(b"+15550199", context=NUMBER)
    given["to"] = [seal(f"+1646{2300000 + each}".encode(), context=NUMBER) for each in range(5000)]
    async with await psycopg.AsyncConnection.connect(gateway.urls.dispatcher, autocommit=True) as database:
        await database.execute(_FILL, {"faxes": faxes, **given})
    async with await psycopg.AsyncConnection.connect(gateway.urls.owner, autocommit=True) as database:
        await database.execute("ANALYZE faxes")  # as autovacuum does within a minute


async def list_pages(gateway: Gateway, faxes: int, *, times: int, target: float) -> list[Figure]:
    """Ask for each kind of page so many times, one after the other, and return how long they took."""
    async with gateway.connection() as connection, gateway.connection(await _own_key(gateway)) as own:
        deep, item = await _middle(connection, int(faxes * DEEP))
        when = quote(item["created_at"])
        kinds: list[tuple[str, str, Connection, str]] = [
            ("first", "the first page", connection, ""),
            ("deep", "a page half-way down", connection, f"cursor={deep}"),
            ("largest", "a page of 200", connection, f"limit=200&cursor={deep}"),
            ("own", "the first page of a user's own boxes", own, ""),
            ("own_deep", "half-way down a user's own boxes", own, f"cursor={deep}"),
            ("box", "half-way down a box", connection, f"box={gateway.account['box']}&cursor={deep}"),
            ("incoming", "half-way down what came in", connection, f"direction=in&cursor={deep}"),
            ("failed", "half-way down what failed", connection, f"state=failed&cursor={deep}"),
            ("none", "a filter that finds nothing", connection, "state=held"),
            ("number", "what went to one number", connection, f"to={quote(item['to'])}"),
            ("before", "what is older than a time half-way down", connection, f"created_before={when}"),
            ("between", "one hour of what failed", connection, _hour_of(item, "state=failed")),
        ]
        return [
            _figure(name, what, await _timed(each, f"/v1/faxes?{query}".rstrip("?"), times), target=target)
            for name, what, each, query in kinds
        ]


async def _timed(connection: Connection, path: str, times: int) -> tuple[list[float], int]:
    """Return how many milliseconds each request took, and how many items came."""
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        answer = await connection.get(path)
        taken.append(1000 * (time.perf_counter() - began))
    return taken, len(answer.json()["items"])


def _figure(name: str, what: str, timed: tuple[list[float], int], *, target: float) -> Figure:
    taken, items = timed
    details = {"p50_ms": rounded(percentile(taken, 50)), "items": items, "requests": len(taken)}
    return Figure(f"list.{name}", f"list: {what}, p99", percentile(taken, 99), "ms", target, details=details)


async def _middle(connection: Connection, depth: int) -> tuple[str, dict[str, Any]]:
    """Walk down the list; return the cursor there and the item before it."""
    page = (await connection.get("/v1/faxes?limit=200")).json()
    for _ in range(depth // 200):
        page = (await connection.get(f"/v1/faxes?limit=200&cursor={page['next']}")).json()
    return page["next"], page["items"][-1]


def _hour_of(item: dict[str, Any], query: str) -> str:
    day_and_hour = item["created_at"][:13]
    return f"{query}&created_after={day_and_hour}:00:00Z&created_before={day_and_hour}:59:59Z"


async def _own_key(gateway: Gateway) -> str:
    """Make a key that sees its user's own boxes only."""
    async with gateway.connection() as connection:
        made = await connection.post("/v1/api-keys", {"name": "own", "scopes": ["faxes:read"]})
        return str(made.json()["key"])
