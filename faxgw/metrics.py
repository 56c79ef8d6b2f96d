"""What the service measures of itself: one table of metrics, fed from where things happen, shown to Prometheus.

No label ever holds a telephone number, a tenant, a user or an address.
"""

import asyncio

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

from faxgw import __version__

REGISTRY = CollectorRegistry()

SAMPLE_LAG = 0.05
"""Seconds between two measurements of how late the loop is."""

_WAITS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_CALL_LENGTHS = (5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)

CALLS = Counter(
    "faxgw_calls",
    "Calls that ended; direction: in, out; outcome: delivered, received, partial, failed.",
    ("direction", "outcome"),
    registry=REGISTRY,
)
ATTEMPTS = Counter(
    "faxgw_attempts",
    "Attempts to send that ended, by cause: none when it went through whole, else a code such as call.busy.",
    ("cause",),
    registry=REGISTRY,
)
PAGES = Counter("faxgw_pages", "Pages that were confirmed; direction: in, out.", ("direction",), registry=REGISTRY)
CALL_SECONDS = Histogram(
    "faxgw_call_seconds",
    "How long calls lasted, by the clock of the line; direction: in, out.",
    ("direction",),
    registry=REGISTRY,
    buckets=_CALL_LENGTHS,
)
LINES = Gauge("faxgw_lines", "Lines of this node; state: idle, busy, down.", ("state",), registry=REGISTRY)
QUEUE = Gauge(
    "faxgw_faxes_waiting",
    "Faxes of all nodes that are not at their end, by state, such as queued or waiting_retry.",
    ("state",),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "faxgw_request_seconds",
    "From a request to the end of its answer; route: its pattern, such as /v1/faxes/{id}.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=_WAITS,
)
REFUSED = Counter(
    "faxgw_refused_credentials",
    "Secrets that were refused; kind: key (an API key or a session that is unknown, wrong, revoked or over), sign_in, "
    "device.",
    ("kind",),
    registry=REGISTRY,
)
DROPS = Counter(
    "faxgw_drops",
    "Files that devices dropped by SFTP; outcome: sent, waiting (for its sidecar, or its document), refused.",
    ("outcome",),
    registry=REGISTRY,
)
DROP_CONNECTIONS = Gauge("faxgw_drop_connections", "Connections of devices to the drop box.", registry=REGISTRY)
SUBMISSIONS = Counter(
    "faxgw_submissions",
    "Messages that came after DATA; outcome: taken, rejected (not to be made a fax, or not now), refused (malformed, "
    "too large, no memory), broken (not whole).",
    ("outcome",),
    registry=REGISTRY,
)
SUBMISSION_CONNECTIONS = Gauge(
    "faxgw_submission_connections", "Connections that devices have open to submit mail.", registry=REGISTRY
)
SUBMISSION_CLOSED = Counter(
    "faxgw_submission_closed",
    "Connections to submit mail that we closed; reason: network (not allowed), full, clear (anything but STARTTLS "
    "without TLS), injected (said after STARTTLS), tls (no handshake), malformed, slow, limit.",
    ("reason",),
    registry=REGISTRY,
)
RENDER_SECONDS = Histogram(
    "faxgw_render_seconds",
    "How long it took to turn documents into fax pages.",
    registry=REGISTRY,
    buckets=_WAITS,
)
PARCELS = Counter(
    "faxgw_parcels",
    "Tries to deliver a fax or a notice, or to delete a copy; state: what the parcel was then, such as delivered.",
    ("state",),
    registry=REGISTRY,
)
PARCELS_OPEN = Gauge(
    "faxgw_parcels_open",
    "Parcels of all nodes, by state: waiting, held_no_tls, failed (which somebody may have tried again).",
    ("state",),
    registry=REGISTRY,
)
WEBHOOKS = Counter(
    "faxgw_webhook_deliveries",
    "Attempts to deliver a message to another program; outcome: delivered, failed.",
    ("outcome",),
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "faxgw_loop_lag_seconds",
    "How late the event loop came to something that was due: what a running call may have to wait.",
    registry=REGISTRY,
    buckets=_WAITS,
)
FREE_SPACE = Gauge("faxgw_disk_free_bytes", "Free space of the disk under the data directory.", registry=REGISTRY)
LOG_LOST = Gauge("faxgw_log_entries_lost", "Log entries that nobody read in time, since the start.", registry=REGISTRY)
READY = Gauge(
    "faxgw_ready", "1 when all is well with what a check looks at, by check; else 0.", ("check",), registry=REGISTRY
)
BUILD = Gauge("faxgw_build_info", "1; the label has the version.", ("version",), registry=REGISTRY)
BUILD.labels(__version__).set(1)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

METRICS: tuple[MetricWrapperBase, ...] = (
    *(CALLS, ATTEMPTS, PAGES, CALL_SECONDS, LINES, QUEUE, REQUEST_SECONDS, REFUSED, RENDER_SECONDS, WEBHOOKS),
    *(PARCELS, PARCELS_OPEN),
    *(DROPS, DROP_CONNECTIONS, SUBMISSIONS, SUBMISSION_CONNECTIONS, SUBMISSION_CLOSED),
    *(LOOP_LAG, FREE_SPACE, LOG_LOST, READY, BUILD),
)
"""All of them, in the order of the documentation."""


def table() -> str:
    """Return the metrics as a table in Markdown."""
    families = [(each, "_total" if each.type == "counter" else "") for metric in METRICS for each in metric.describe()]
    rows = [f"| `{each.name}{end}` | {each.type} | {each.documentation} |" for each, end in families]
    return "| metric | kind | what it is |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def exposition() -> bytes:
    """Return all metrics in the text format of Prometheus."""
    return generate_latest(REGISTRY)


async def sample_loop_lag() -> None:
    """Measure how late the loop is, until cancelled."""
    loop = asyncio.get_running_loop()
    due = loop.time() + SAMPLE_LAG
    while True:
        await asyncio.sleep(max(due - loop.time(), 0))
        LOOP_LAG.observe(max(loop.time() - due, 0))
        due = loop.time() + SAMPLE_LAG
