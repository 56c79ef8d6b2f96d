"""docs/dropbox.md says what is so."""

import json
import re
from io import StringIO
from pathlib import Path

import asyncssh
import pytest

from faxgw.config.model import LogSettings
from faxgw.dropbox.naming import _UNFINISHED, name_of
from faxgw.dropbox.sidecar import FIELDS, read_sidecar
from faxgw.logs import logging_to
from tests.faxgw.dropbox.clients import Box, document, put

PAGE = (Path(__file__).parents[3] / "docs" / "dropbox.md").read_text()


async def test_the_sidecar_of_the_page_is_taken(box: Box) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    async with box.sftp() as client:
        await put(client, "letter.tif", document())
        await put(client, "letter.json", example.encode())
    (fax,) = await box.faxes()
    said = json.loads(example)
    assert (fax.to_number, fax.priority, fax.labels) == (said["to"], said["priority"], said["labels"])


def test_the_page_has_every_field_and_no_other() -> None:
    table = PAGE[PAGE.index("| field |") : PAGE.index("- **Without")]
    named = {each for row in table.strip().splitlines()[2:] for each in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == FIELDS
    assert read_sidecar(b'{"to": ["+15550100"], "name": "May"}').numbers == ["+15550100"]


def test_the_page_has_every_temporary_name_and_names_with_numbers_that_are_numbers() -> None:
    for ending in _UNFINISHED:
        assert f"`{ending}`" in PAGE
    found = re.findall(r"`(\+1555[^`]*)`", PAGE)
    assert [name_of(each).number for each in found] == ["+15550100"] * len(found)
    assert len(found) == 2


@pytest.mark.requirement("WF-04")
async def test_a_wrong_secret_is_one_line_of_the_log_that_fail2ban_reads(box: Box) -> None:
    stream = StringIO()
    with logging_to(LogSettings(format="json"), stream), pytest.raises(asyncssh.PermissionDenied):
        async with box.connected(password="fgd_no"):
            pass
    (pattern,) = re.findall(r"failregex = (.*)", PAGE)
    lines = [re.search(pattern.replace("<HOST>", '(?P<host>[^"]+)'), line) for line in stream.getvalue().splitlines()]
    assert [match["host"] for match in lines if match] == ["127.0.0.1"]
    assert "fgd_no" not in stream.getvalue()
