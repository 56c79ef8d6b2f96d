"""FP-01, WF-05: a canary that a device drops lies nowhere in clear, from its first octet on."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from faxgw.dropbox.writing import SMALL
from tests.faxgw.canary.looking import places
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.dropbox.clients import put
from tests.faxgw.service.residue import wait_for
from tests.faxgw.serving import Service, free_port, reachable_folder

BUSY = "+15550101"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Return a started service with a drop box and one tenant."""
    with reachable_folder() as folder:
        (folder / "tmp").mkdir()
        environment = {"TMPDIR": str(folder / "tmp"), "FAXGW_SFTP_PORT": str(free_port())}
        with Service(folder, environment=environment) as running:
            running.start()
            running.set_up()
            yield running


@pytest.mark.slow
@pytest.mark.requirement("FP-01")
def test_at_no_stage_does_anything_that_the_service_wrote_have_what_was_dropped(
    service: Service, tmp_path: Path
) -> None:
    with service.api() as api:
        device = api.post("/v1/devices", json={"name": "copier"}).raise_for_status().json()
        version = api.get("/v1/version").json()
        canary = Canary(int(os.environ["FAXGW_SEED"]), {"secret of the device": device["secret"]})
        search = canary.search()

        def nowhere(stage: str) -> None:
            assert search.files(places(service)) == set(), stage

        async def drop() -> None:
            known = asyncssh.import_known_hosts(
                f"[127.0.0.1]:{service.environment['FAXGW_SFTP_PORT']} {version['drop_box']['host_key']}\n"
            )
            options: dict[str, Any] = {"username": device["login"], "password": device["secret"], "known_hosts": known}
            port = int(service.environment["FAXGW_SFTP_PORT"])
            options |= {"client_keys": None, "config": None}
            async with (
                asyncssh.connect("127.0.0.1", port, **options) as connection,
                connection.start_sftp_client() as client,
            ):
                await story(client, canary, nowhere)

        asyncio.run(drop())
        (fax,) = api.get("/v1/faxes").json()["items"]
        wait_for(lambda: api.get(f"/v1/faxes/{fax['id']}").json()["dials"] > 0)
        nowhere("called")
        api.post(f"/v1/faxes/{fax['id']}:cancel").raise_for_status()
        wait_for(lambda: api.get(f"/v1/faxes/{fax['id']}").json()["finished_at"])
        nowhere("ended")
    assert service.health()[1]["drop_box"]["ok"]
    assert version["drop_box"]["fingerprint"] in service.log.read_text()
    service.stop()
    nowhere("stopped")
    (tmp_path / "planted").write_bytes(canary.uploads["text/plain"])
    assert search.files(tmp_path.iterdir())


async def story(client: asyncssh.SFTPClient, canary: Canary, nowhere: Any) -> None:
    """Drop the canary piece by piece, and look after each."""
    text = canary.uploads["text/plain"]
    letter = (text + b"\n") * (2 * SMALL // len(text))
    async with client.open("letter.txt.part", "wb") as file:
        await file.write(text)
        nowhere("a piece in memory")
        await file.write(letter[len(text) :], len(text))
        nowhere("a piece in the store")
    nowhere("not renamed")
    await client.rename("letter.txt.part", "letter.txt")
    nowhere("waiting")
    await put(client, "other.tif", canary.uploads["image/tiff"])
    said = {"to": BUSY, "cover": {"to_name": canary.words["label"], "message": canary.sentence}}
    await put(client, "other.json", json.dumps(said | {"labels": {"word": canary.words["document"]}}).encode())
    nowhere("sent")
    with pytest.raises(asyncssh.SFTPFailure):
        await put(client, "bad.json", json.dumps({"to": BUSY, "cover": canary.sentence}).encode())
    nowhere("refused")
    await client.remove("letter.txt")
    nowhere("removed")
