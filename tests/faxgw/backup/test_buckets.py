"""A backup out of a bucket and into another one, by the commands, with services that run: nothing lies in folders."""

import asyncio
import shutil
from collections.abc import Iterator

import pytest

from faxgw.archive.objects import open_store
from faxgw.documents.tiff import tiff_octets
from tests.faxgw.archive.s3 import S3Server, options, s3_server
from tests.faxgw.backup.test_backup import answering, done
from tests.faxgw.service.residue import noise
from tests.faxgw.serving import Service, ended, reachable_folder, send, upload

pytestmark = [pytest.mark.slow, pytest.mark.requirement("XM-20")]

NUMBER = "+15550100"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def settings(s3: S3Server, bucket: str) -> str:
    lines = [f'{name} = "{value}"' for name, value in options(s3.url).items()]
    return "\n".join(["[objects]", f'url = "s3://{bucket}"', "[objects.options]", *lines, ""])


def stored(s3: S3Server, bucket: str) -> set[str]:
    """Return the ids of the objects in a bucket."""

    async def listed() -> set[str]:
        store = open_store(f"s3://{bucket}", options=options(s3.url))
        try:
            return {str(each) async for each in store.list()}
        finally:
            await store.close()

    return asyncio.run(listed())


def test_a_service_is_restored_from_one_bucket_into_another_without_what_was_deleted(s3: S3Server) -> None:
    first, second = s3.new_bucket(), s3.new_bucket()
    with (
        reachable_folder() as here,
        reachable_folder() as there,
        Service(here, config=settings(s3, first)) as service,
        Service(there, config=settings(s3, second)) as other,
    ):
        service.start()
        account = service.set_up()
        with service.api() as api:
            kept = send(api, NUMBER, upload(api, tiff_octets([noise(1), noise(2)])))
            doomed = send(api, NUMBER, upload(api, tiff_octets([noise(3)])))
            assert [ended(api, each)["state"] for each in (kept, doomed)] == ["delivered"] * 2
            content = api.get(f"/v1/faxes/{kept}/content", params={"format": "tiff"}).content
            before = stored(s3, first)
            recipient = done("new-key", "--to", here / "identity").strip()
            configured = ("--data", service.data, "--config", here / "faxgw.toml")
            done("create", *configured, "--recipient", recipient, "--to", here / "backup.age")
            api.delete(f"/v1/faxes/{doomed}", params={"record": "true"}).raise_for_status()
        log = shutil.copy(service.data / "tombstones", there / "tombstones")
        service.stop()
        left = stored(s3, first)
        assert left < before
        words = ("--data", other.data, "--config", there / "faxgw.toml", "--identity", here / "identity")
        done("restore", here / "backup.age", *words, "--tombstones", log)
        assert stored(s3, second) == left
        assert not [path for data in (service.data, other.data) for path in data.glob("objects/*/*/*")]
        other.account = account
        other.start()
        answering(other)
        with other.api() as api:
            assert api.get(f"/v1/faxes/{kept}/content", params={"format": "tiff"}).content == content
            assert api.get(f"/v1/faxes/{doomed}").status_code == 404
            assert ended(api, send(api, NUMBER, upload(api, tiff_octets([noise(4)]))))["state"] == "delivered"
        assert stored(s3, second) > left
