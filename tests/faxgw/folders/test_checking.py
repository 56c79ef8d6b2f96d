"""What is refused while a target is set up, and with which words."""

from pathlib import Path
from typing import Any

import pytest

from faxgw.delivery.targets import SETTINGS
from faxgw.errors import RequestError
from faxgw.folders.checking import check
from tests.faxgw.folders.ftp_server import ftp_server
from tests.faxgw.folders.sending import gateway, target
from tests.faxgw.folders.test_sftp import OTHER_KEY

SFTP = {"kind": "sftp", "host": "sftp.example", "user": "fax", "host_keys": [OTHER_KEY]}
FTPS = {"kind": "ftps", "host": "ftps.example", "user": "fax"}
S3 = {"kind": "s3", "bucket": "faxes", "access_key_id": "id"}
WRONG: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "target.host_keys": (SFTP | {"host_keys": ["ssh-ed25519 what"]}, {}),
    "target.private_key": (SFTP, {"private_key": "what"}),
    "target.address": (SFTP | {"host": "10.1.2.3"}, {}),
    "target.endpoint": (S3 | {"endpoint": "http://s3.example"}, {"password": "secret"}),
    "target.credentials": (S3, {}),
    "target.folder": ({"kind": "local", "folder": "/srv/out/../etc"}, {}),
    "target.authorities": (FTPS | {"authorities": "what"}, {}),
}


@pytest.mark.parametrize("code", WRONG)
def test_what_cannot_work_is_told_while_it_is_set_up(code: str) -> None:
    settings, secret = WRONG[code]
    with pytest.raises(RequestError) as refused:
        check(target(settings, **secret), gateway(folders=(Path("/srv/out"),)).config.delivery)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "settings",
    [
        SFTP,
        FTPS,
        SFTP | {"host": "127.0.0.1"},
        S3,
        S3 | {"endpoint": "https://s3.example:9000/"},
        {"kind": "local", "folder": "/srv/out/in"},
        {"kind": "mail", "address": "a@b.example"},
    ],
)
def test_what_can_work_is_taken(settings: dict[str, Any]) -> None:
    check(target(settings, password="secret"), gateway(folders=(Path("/srv/out"),)).config.delivery)


@pytest.mark.requirement("XM-18")
async def test_plain_ftp_is_refused_when_it_is_set_up_and_its_server_hears_nothing() -> None:
    async with ftp_server() as server:
        for settings in (
            {"kind": "ftp", "host": "127.0.0.1", "port": server.port, "user": "fax"},
            FTPS | {"host": f"ftp://127.0.0.1:{server.port}"},
            {"kind": "s3", "bucket": "faxes", "endpoint": f"ftp://127.0.0.1:{server.port}"},
        ):
            with pytest.raises(RequestError) as refused:
                SETTINGS.validate_python(settings)
            assert refused.value.code == "target.plain_ftp"
    assert (server.connections, server.octets) == (0, 0)
