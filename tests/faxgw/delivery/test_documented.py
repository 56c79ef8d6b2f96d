"""docs/folders.md says what is so: its examples are taken, its commands open what they are for."""

import asyncio
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from faxgw.delivery.naming import FIELDS
from faxgw.delivery.setting_up import TargetRequest
from faxgw.delivery.targets import SETTINGS
from faxgw.documents.pdf import pdf_octets
from faxgw.gateway import Gateway
from tests.faxgw.api.people import add_person, drawn_page
from tests.faxgw.boxes.house import received
from tests.faxgw.delivery.making import holder, leaving

PAGE = (Path(__file__).parents[3] / "docs" / "folders.md").read_text()


def example(name: str) -> str:
    """Return what stands in the block behind a mark of the page."""
    (found,) = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_folder_of_the_page_is_taken() -> None:
    assert TargetRequest.model_validate_json(example("sftp")).settings.kind == "sftp"


def test_every_way_to_encrypt_is_taken_as_the_page_has_it() -> None:
    for sealing in json.loads(example("sealing")):
        settings = SETTINGS.validate_python({"kind": "local", "sealing": sealing})
        assert settings.sealing is not None
        assert settings.sealing.kind == sealing["kind"]


def test_the_page_has_every_field_of_names() -> None:
    listed = PAGE.partition("<!-- fields -->")[2].partition("<!-- /fields -->")[0]
    assert set(re.findall(r"`\{(\w+)\}`", listed)) == set(FIELDS)


@pytest.mark.requirement("XM-21")
async def test_the_command_of_the_page_opens_what_is_encrypted_by_smime(gateway: Gateway, tmp_path: Path) -> None:
    person, reader = await add_person(gateway), holder()
    fax = await received(gateway, person, [drawn_page(1)], spool=True)
    sealing = {"kind": "smime", "certificates": [reader.certificate]}
    (file, _), _ = await leaving(gateway, person, fax, {"kind": "local", "sealing": sealing})
    given = {"KEY": reader.key.encode(), "CERTIFICATE": reader.certificate.encode(), "FILE": file.content}
    for name, content in given.items():
        (tmp_path / name).write_bytes(content)
    (command,) = re.findall(r"`(openssl cms [^`]*)`", PAGE)
    await asyncio.to_thread(subprocess.run, shlex.split(command), cwd=tmp_path, check=True)
    assert (tmp_path / "fax.pdf").read_bytes() == pdf_octets([drawn_page(1)])
