"""Deliveries while the gateway runs: targets that take nothing, and what waits for a way that is protected."""

from collections.abc import Iterator
from typing import Any

import psycopg

from faxgw.config import Config
from faxgw.data_folder import is_held
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok
from faxgw.errors import RequestError
from faxgw.store.server import urls_for_another_node

AREA = "deliveries"
CONNECT_SECONDS = 3
DAYS = 7
"""So long a dead letter is told of here."""
MOST = 10
"""Targets that are named."""

_QUERY = """
SELECT target_id, count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'held_no_tls') AS held,
       count(*) FILTER (WHERE state = 'waiting' AND tries > 0) AS late
FROM parcels
WHERE state IN ('waiting', 'held_no_tls') OR state = 'failed' AND ended_at > now() - %s * interval '1 day'
GROUP BY target_id ORDER BY target_id LIMIT 1000
"""


def targets(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look at what is on its way; nothing is connected to but the database, and that only while the gateway runs."""
    url = _url(config)
    if url is None:
        return
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            rows = connection.execute(_QUERY, [DAYS]).fetchall()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        yield advice(AREA, f"What is on its way cannot be looked at: {reason}.", "Start the gateway once.")
        return
    yield from _told(rows)


def _told(rows: list[tuple[Any, ...]]) -> Iterator[Finding]:
    failed, held, late = ([row for row in rows if row[at]] for at in (1, 2, 3))
    if held:
        yield bad(
            AREA,
            f"{_sum(held, 2)} wait for a way that is protected: {_names(held)}.",
            "Have the other side offer TLS with a certificate that can be verified; until then nothing leaves.",
        )
    if failed:
        text = f"{_sum(failed, 1)} failed for good in the last {DAYS} days: {_names(failed)}."
        yield advice(AREA, text, "See why in GET /v1/parcels?state=failed, mend it, and have them tried again.")
    if late:
        text = f"{_sum(late, 3)} could not be handed over yet, and are tried again: {_names(late)}."
        yield advice(AREA, text, "See why in GET /v1/parcels?state=waiting.")
    if not (held or failed or late):
        yield ok(AREA, "Every target takes what is delivered to it.")


def _sum(rows: list[tuple[Any, ...]], at: int) -> str:
    count = sum(row[at] for row in rows)
    return f"{count} {'parcel' if count == 1 else 'parcels'}"


def _names(rows: list[tuple[Any, ...]]) -> str:
    names = [f"target {row[0]}" if row[0] else "notices by mail" for row in rows]
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _url(config: Config) -> str | None:
    """Return how the database is reached; None if it is our own and is not running."""
    if not config.database.private:
        return config.database.dispatcher_url.get_secret_value() if config.database.dispatcher_url else None
    if not is_held(config.data_dir):
        return None
    try:
        return urls_for_another_node(config.data_dir / "postgres").dispatcher
    except (RequestError, OSError):
        return None
