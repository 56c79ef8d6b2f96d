"""A node's whole share of the tasks, in a gateway with nothing replaced."""

import asyncio
import time
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from uuid import UUID

from faxgw.config import Config
from faxgw.config.model import WebhookSettings
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.tasks.service import run_worker
from tests.faxgw.webhooks.making import Parts, add_fax, add_webhook, person, rows, tell
from tests.faxgw.webhooks.receiver import Authority, receiving


async def test_a_node_tells_a_private_receiver_that_is_allowed_and_stops_in_time(
    database: Database, tenant: UUID, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path)
    settings = WebhookSettings(allow_private=(IPv4Network("127.0.0.0/8"),), trust=authority.certificate)
    config = Config(data_dir=tmp_path / "data", webhooks=settings)
    async with open_gateway(config, database.urls) as gateway, receiving(authority.context("127.0.0.1")) as taken:
        own = gateway.database  # with the keys that this gateway has made
        actor = await person(own, tenant)
        node = asyncio.create_task(run_worker(gateway))
        parts = Parts(gateway.config, gateway.server_keys)
        await add_webhook(own, parts, actor, taken.url("127.0.0.1"))
        await tell(own, actor, await add_fax(own, actor))
        async with asyncio.timeout(10):
            while [row["state"] for row in await rows(own)] != ["succeeded"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        began = time.monotonic()
        node.cancel()
        with suppress(asyncio.CancelledError):
            await node
        assert time.monotonic() - began < 2.0
    assert len(taken.messages) == 1
