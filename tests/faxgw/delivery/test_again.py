"""A fax that is laid down once more, since nobody heard how the try before had ended: it is there once, and whole."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyrage
import pytest

from faxgw.delivery.carrier import Parcel, Refused
from faxgw.documents.pdf import pdf_octets
from faxgw.folders.local import MARKER, LocalCarrier
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from tests.faxgw.api.people import add_person, drawn_page
from tests.faxgw.boxes.house import received
from tests.faxgw.delivery.making import leaving
from tests.faxgw.folders.sending import gateway as rules
from tests.faxgw.folders.sending import lies, target

DRAWN = [drawn_page(1)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    (made / MARKER).touch()
    (made / "in").mkdir()
    return made


@pytest.mark.parametrize("laid_down", [0, 1, 2])
@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_whatever_an_earlier_try_has_laid_down_the_fax_is_there_once_with_its_sidecar(
    gateway: Gateway, root: Path, *, is_encrypted: bool, laid_down: int
) -> None:
    person, reader = await add_person(gateway), pyrage.x25519.Identity.generate()
    fax = await received(gateway, person, DRAWN, spool=True)
    sealing = {"kind": "age", "recipients": [str(reader.to_public())]} if is_encrypted else None
    settings: dict[str, Any] = {"kind": "local", "folder": str(root / "in"), "sealing": sealing}
    carrier = LocalCarrier(target(settings), rules(folders=(root,)))
    parcel_id = new_id()
    tries = [await leaving(gateway, person, fax, settings) for _ in range(2)]
    if laid_down:
        files, words = tries[0]
        await carrier.carry(Parcel(parcel_id, person.tenant_id, files[:laid_down], words))
    files, words = tries[1]
    proof = await carrier.carry(Parcel(parcel_id, person.tenant_id, files, words))
    found = lies(root / "in")
    said = json.loads(found.pop(files[1].name))
    (octets,) = found.values()
    assert said["files"][0]["sha256"] == sha256(octets).hexdigest()
    assert (pyrage.decrypt(octets, [reader]) if is_encrypted else octets) == pdf_octets(DRAWN)
    assert await carrier.take_back(proof.path, files[0].sha256)
    assert lies(root / "in") == {}


async def test_a_file_of_somebody_else_is_not_replaced_by_what_is_the_same_at_every_try(
    gateway: Gateway, root: Path
) -> None:
    person = await add_person(gateway)
    fax = await received(gateway, person, DRAWN, spool=True)
    settings = {"kind": "local", "folder": str(root / "in")}
    files, words = await leaving(gateway, person, fax, settings)
    (root / "in" / files[0].name).write_bytes(b"somebody else's")
    carrier = LocalCarrier(target(settings), rules(folders=(root,)))
    with pytest.raises(Refused) as refused:
        await carrier.carry(Parcel(new_id(), person.tenant_id, files, words))
    assert refused.value.code == "delivery.exists"


async def test_what_two_targets_have_in_one_folder_lies_there_side_by_side_and_is_replaced_by_neither(
    gateway: Gateway, root: Path
) -> None:
    person, template = await add_person(gateway), "{received:%Y}"
    fax = await received(gateway, person, DRAWN, spool=True)
    readers = {new_id(): pyrage.x25519.Identity.generate() for _ in range(2)}
    for _ in range(2):
        for target_id, reader in readers.items():
            sealing = {"kind": "age", "recipients": [str(reader.to_public())]}
            settings = {"kind": "local", "folder": str(root / "in"), "sealing": sealing, "template": template}
            files, words = await leaving(gateway, person, fax, settings, target_id=target_id)
            carrier = LocalCarrier(target(settings), rules(folders=(root,)))
            await carrier.carry(Parcel(new_id(), person.tenant_id, files, words))
    found = lies(root / "in")
    assert len(found) == 4
    for target_id, reader in readers.items():
        name = f"{next(iter(found))[:4]}_{fax}_{target_id.hex[-12:]}"
        assert pyrage.decrypt(found[f"{name}.pdf.age"], [reader]) == pdf_octets(DRAWN)
        assert json.loads(found[f"{name}.json"])["files"][0]["name"] == f"{name}.pdf.age"
