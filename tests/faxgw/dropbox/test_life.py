"""FP-01: what was dropped is sent, and after its end nobody but its box's readers can open any of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from faxgw.config import LineSettings
from faxgw.config.folders import SftpSettings
from faxgw.devices.keeping import DeviceRequest, create
from faxgw.devices.signing_in import find_device
from faxgw.store.tables import wraps
from tests.faxgw.dropbox.clients import SIDECAR, document, put, served
from tests.faxgw.lines.conftest import Office, far_ends, office, seen, sim_line

__all__ = ["far_ends", "office"]


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    """Return a line on which a call does not fail because the machine is busy with other tests."""
    return (sim_line("one", "15550199", speed=60),)


@pytest.mark.requirement("FP-01")
async def test_what_was_dropped_is_sent_and_then_nothing_opens_it_but_its_box(office: Office, tmp_path: Path) -> None:
    config = office.gateway.config.model_copy(update={"sftp": SftpSettings(port=0)})
    gateway = replace(office.gateway, config=config)
    row, secret = await office.do(create, gateway.server_keys, office.actor, DeviceRequest(name="copier"))
    device = await office.do(find_device, row["login"])
    async with served(gateway, device, secret, tmp_path) as box, box.sftp() as client:
        await put(client, "letter.tif", document(2))
        assert {row.kind for row in await office.rows(select(wraps))} == {"spool"}
        await put(client, "letter.json", SIDECAR)

        async def result() -> bool:
            return await client.exists("results/letter.result.json")

        await seen(result)
        async with client.open("results/letter.result.json", "rb") as file:
            said = json.loads(await file.read())
    assert (said["state"], said["pages_done"]) == ("delivered", 2)

    async def closed() -> bool:
        return not await office.rows(select(wraps).where(wraps.c.kind != "box"))

    await seen(closed)
