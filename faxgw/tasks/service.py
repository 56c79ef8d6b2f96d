"""Every task of the gateway, and what a node runs for them."""

import asyncio
from collections.abc import Callable, Mapping

from procrastinate import Blueprint

from faxgw.delivery import courier as delivery
from faxgw.devices import ended
from faxgw.gateway import Gateway
from faxgw.retention import jobs
from faxgw.tasks.worker import make_app, work
from faxgw.upkeep import timetable
from faxgw.webhooks import delivering
from faxgw.webhooks.delivering import Courier
from faxgw.webhooks.posting import Poster

TASKS: Mapping[str, Callable[[], Blueprint]] = {
    "devices": ended.tasks,
    "webhooks": delivering.tasks,
    "retention": jobs.tasks,
    "upkeep": timetable.tasks,
}
"""Namespace -> what makes its tasks."""


async def run_worker(gateway: Gateway) -> None:
    """Run this node's share of the tasks, and carry messages to webhooks and parcels to targets, until cancelled.

    Raises:
        OSError: if the certificate authorities of ``webhooks.trust`` cannot be read.
    """
    config = gateway.config
    settings = config.webhooks
    poster = Poster(allowed=settings.allow_private, trust=settings.trust, seconds=settings.timeout)
    courier = Courier(gateway.database, gateway.server_keys, poster, seconds=settings.timeout)
    app = make_app(gateway.database.urls.dispatcher, {name: tasks() for name, tasks in TASKS.items()})
    context = {"gateway": gateway, "courier": courier}
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(courier.run())
            group.create_task(delivery.Courier(gateway).run())
            group.create_task(work(app, context=context, concurrency=config.tasks.concurrency))
    finally:
        await poster.close()
