"""Backups of a whole service: encrypted, signed, restored on a clean host; what was deleted does not come back."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from faxgw.archive.folder import FolderStore
from faxgw.backup.agekeys import identities
from faxgw.backup.bundle import writing
from faxgw.backup.manifest import octets_of, read_key, signature
from faxgw.backup.restoring import Source, restore, restore_files, verify
from faxgw.backup.tombstones import Tombstone, TombstoneLog, signed
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.keys.tokens import ServerKeys
from faxgw.store.server import urls_for_another_node
from tests.faxgw.databases import DatabaseServer
from tests.faxgw.service.residue import found, marks_of, noise, places
from tests.faxgw.serving import FAXGW, Service, ended, reachable_folder, send, upload

pytestmark = pytest.mark.slow

NUMBER = "+15550100"
LATER = (datetime.now(UTC) + timedelta(days=30)).isoformat()


def backup(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FAXGW, "backup", *map(str, words)], capture_output=True, text=True, check=False)


def done(*words: object) -> str:
    ran = backup(*words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@dataclass
class Story:
    """A service that was backed up twice, once running and once stopped; then one of its faxes was shredded."""

    folder: Path
    service: Service
    account: dict[str, str] = field(default_factory=dict)
    kept: str = ""
    doomed: str = ""
    waiting: str = ""
    online: Path = Path()
    offline: Path = Path()
    identity: Path = Path()
    recipient: str = ""
    signer: str = ""
    keys: list[Any] = field(default_factory=list)
    objects: frozenset[str] = frozenset()
    doomed_objects: frozenset[str] = frozenset()
    said: dict[str, object] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with reachable_folder() as folder, Service(folder) as service:
        story = Story(folder, service, identity=folder / "identity.txt")
        service.start()
        story.account = service.set_up()
        with service.api() as api:
            story.kept = send(api, NUMBER, upload(api, tiff_octets([noise(1), noise(2)])))
            ended(api, story.kept)
            story.doomed = send(api, NUMBER, upload(api, tiff_octets([noise(3)])))
            ended(api, story.doomed)
            story.waiting = send(api, NUMBER, upload(api, tiff_octets([noise(4)])), send_at=LATER)
        link_to(service, story.kept)
        story.recipient = done("new-key", "--to", story.identity).strip()
        story.online, story.offline = folder / "online.age", folder / "offline.age"
        story.keys = identities(story.identity)
        making = ("--data", service.data, "--recipient", story.recipient)
        story.said = json.loads(done("create", *making, "--to", story.online, "--json"))
        story.signer = str(story.said["signer"])
        assert audited(service) == ["backup.created"]
        story.objects = frozenset(path.name for path in objects_in(service.data))
        shred(story)
        service.stop()
        done("create", *making, "--to", story.offline)
        yield story


def link_to(service: Service, fax: str) -> None:
    """Put down a link to a fax, with a wrap of each page's key."""
    with psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher) as database:
        database.execute(
            "INSERT INTO links (id, tenant_id, fax_id, mac, key_id, parameters, blob, most, expires_at)"
            " SELECT id, tenant_id, id, '', 'key', '{}', '', 3, %s FROM faxes WHERE id = %s",
            (LATER, fax),
        )
        made = database.execute(
            "INSERT INTO wraps (tenant_id, object_id, kind, key_id, blob) SELECT pages.tenant_id, object_id, 'link',"
            " 'key', '' FROM pages JOIN faxes USING (page_set_id) WHERE faxes.id = %s",
            (fax,),
        )
        assert made.rowcount == 2


def answering(service: Service) -> None:
    """Wait until the API, which is up a moment after the service is ready, answers."""
    end = time.monotonic() + 30
    while True:
        try:
            with service.api() as api:
                api.get("/v1/self").raise_for_status()
        except (httpx.TransportError, FileNotFoundError):
            assert time.monotonic() < end, service.last_words()
            time.sleep(0.05)
        else:
            return


def audited(service: Service) -> list[str]:
    """Return what the log says of backups."""
    with psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher) as database:
        rows = database.execute("SELECT entry FROM audit_waiting UNION ALL SELECT entry FROM audit_rows").fetchall()
    return [said for row in rows if (said := json.loads(row[0])["action"]).startswith("backup.")]


def objects_in(data: Path) -> list[Path]:
    return [path for path in (data / "objects").rglob("*") if path.is_file()]


def shred(story: Story) -> None:
    """Delete a fax as the service does: tombstones first, in the log beside the database."""
    with psycopg.connect(urls_for_another_node(story.service.data / "postgres").dispatcher) as database:
        tenant, page_set = database.execute(
            "SELECT tenant_id, page_set_id FROM faxes WHERE id = %s", (story.doomed,)
        ).fetchone() or ("", "")
        rows = database.execute("SELECT object_id FROM pages WHERE page_set_id = %s", (page_set,)).fetchall()
        story.doomed_objects = frozenset(str(row[0]) for row in rows)
        named = [(UUID(story.doomed), "fax"), *((UUID(each), "object") for each in story.doomed_objects)]
        stones = [Tombstone(each, UUID(str(tenant)), kind, datetime.now(UTC)) for each, kind in named]
        TombstoneLog(story.service.data).append(signed(ServerKeys(story.service.data / "server_keys"), stones))
        database.execute("DELETE FROM faxes WHERE id = %s", (story.doomed,))


@pytest.fixture(scope="module")
def restored(story: Story) -> Iterator[tuple[Service, dict[str, int]]]:
    """Return the service on another data directory, from the first backup and the log of tombstones."""
    with reachable_folder() as folder, Service(folder) as service:
        log = shutil.copy(story.service.data / "tombstones", folder / "tombstones")
        words = ("--data", service.data, "--identity", story.identity, "--signer", story.signer)
        said = json.loads(done("restore", story.online, *words, "--tombstones", log, "--json"))
        service.account = story.account
        service.start()
        answering(service)
        yield service, said


@pytest.mark.requirement("XM-20", "FP-11")
def test_a_restored_service_has_its_faxes_opens_them_and_none_that_was_deleted_since(
    story: Story, restored: tuple[Service, dict[str, int]]
) -> None:
    service, said = restored
    with service.api() as api:
        fax = api.get(f"/v1/faxes/{story.kept}").json()
        assert (fax["state"], fax["pages"]) == ("delivered", 2)
        pages = api.get(f"/v1/faxes/{story.kept}/content", params={"format": "tiff"})
        assert pages.status_code == 200
        assert pages.content[:2] == b"II"
        assert api.get(f"/v1/faxes/{story.doomed}").status_code == 404
    assert story.doomed_objects
    assert not story.doomed_objects & {path.name for path in objects_in(service.data)}
    assert story.doomed_objects <= story.objects
    assert said["deleted"] >= 1


def test_what_waited_at_the_time_of_the_backup_is_not_sent_after_a_restore(
    story: Story, restored: tuple[Service, dict[str, int]]
) -> None:
    service, said = restored
    with service.api() as api:
        fax = api.get(f"/v1/faxes/{story.waiting}").json()
        assert (fax["state"], fax["reason"]["code"]) == ("failed", "service.restored")
        assert said["ended"] == 1
        again = ended(api, send(api, NUMBER, upload(api, tiff_octets([noise(9)]))))
    assert again["state"] == "delivered"


def test_backups_and_restores_stand_in_the_audit_log(restored: tuple[Service, dict[str, int]], story: Story) -> None:
    service, _ = restored
    assert audited(service) == ["backup.restored"]
    with psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher) as database:
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def test_no_link_is_good_again_that_may_have_been_taken_back_since(restored: tuple[Service, dict[str, int]]) -> None:
    with psycopg.connect(urls_for_another_node(restored[0].data / "postgres").dispatcher) as database:
        assert database.execute("SELECT count(*) FROM links").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM wraps WHERE kind = 'link'").fetchone() == (0,)


def test_a_restored_service_can_be_backed_up_and_restored_with_its_tombstones(
    story: Story, restored: tuple[Service, dict[str, int]], tmp_path: Path
) -> None:
    service, _ = restored
    said = done("tombstones", "--data", service.data, "--to", tmp_path / "stones")
    assert f"{1 + len(story.doomed_objects)} tombstones" in said
    assert story.doomed in (service.data / "tombstones").read_text()
    assert sorted((tmp_path / "stones").read_text().splitlines()) == sorted(
        (service.data / "tombstones").read_text().splitlines()
    )


@pytest.mark.requirement("XM-20")
def test_a_backup_shows_nothing_to_who_has_no_key_and_no_content_to_who_has(story: Story, tmp_path: Path) -> None:
    content, others = marks_of("kept", noise(1)), (b"delivered", b"FAXGWOBJ", b"tables/faxes")
    assert not found(content, [story.online, story.offline])
    assert not [each for each in others if each in story.online.read_bytes()]
    opened = pyrage.decrypt(story.online.read_bytes(), story.keys)
    assert all(each in opened for each in others)
    assert not [name for name, mark in content.items() if mark in opened]
    assert NUMBER.encode() not in opened


@pytest.mark.requirement("XM-20")
def test_no_key_of_the_spool_is_in_a_backup(story: Story, tmp_path: Path) -> None:
    opened = pyrage.decrypt(story.online.read_bytes(), story.keys)
    spool = list(story.service.data.with_name("data.spool_keys").iterdir())
    assert spool
    assert not [path for path in spool if path.is_file() and path.stat().st_size and path.read_bytes() in opened]
    assert next((story.service.data / "server_keys").iterdir()).read_bytes() in opened


def test_nothing_in_clear_lies_about_while_a_backup_is_made_and_restored(
    story: Story, restored: tuple[Service, dict[str, int]]
) -> None:
    marks = marks_of("kept", noise(1)) | marks_of("doomed", noise(3))
    assert not found(marks, places(story.service))
    assert not found(marks, places(restored[0]))


@pytest.mark.requirement("XM-20")
def test_a_restore_takes_the_right_key_and_the_right_signer(story: Story, tmp_path: Path) -> None:
    assert verify(Source(story.online, story.keys, read_key(story.signer)))["objects"]["count"] == len(story.objects)
    with pytest.raises(RequestError) as refused:
        verify(Source(story.online, [pyrage.x25519.Identity.generate()]))
    assert refused.value.code == "backup.key"
    with pytest.raises(RequestError) as refused:
        verify(Source(story.online, story.keys, Ed25519PrivateKey.generate().public_key()))
    assert refused.value.code == "backup.signature"


@pytest.mark.requirement("XM-20")
@pytest.mark.parametrize("place", [0.0, 0.001, 0.3, 0.6, 0.95, 1.0])
def test_a_backup_with_a_turned_bit_is_refused(story: Story, tmp_path: Path, place: float) -> None:
    octets = bytearray(story.online.read_bytes())
    octets[int((len(octets) - 1) * place)] ^= 1
    (tmp_path / "turned.age").write_bytes(octets)
    with pytest.raises(RequestError) as refused:
        verify(Source(tmp_path / "turned.age", story.keys))
    assert refused.value.code in ("backup.damaged", "backup.key")


@pytest.mark.parametrize("left", [0, 100, 70_000, -40_000, -1])
def test_a_backup_that_was_cut_off_is_refused(story: Story, tmp_path: Path, left: int) -> None:
    (tmp_path / "cut.age").write_bytes(story.online.read_bytes()[:left])
    with pytest.raises(RequestError) as refused:
        verify(Source(tmp_path / "cut.age", story.keys))
    assert refused.value.code == "backup.damaged"


@pytest.mark.parametrize(
    ("of", "by", "code"),
    [
        (b"delivered", b"withdrawn", "backup.damaged"),
        (b'"objects":{"count"', b'"objects":{"cOunt"', "backup.signature"),
    ],
)
def test_a_backup_is_refused_when_what_is_in_it_was_exchanged(
    story: Story, tmp_path: Path, of: bytes, by: bytes, code: str
) -> None:
    opened = pyrage.decrypt(story.online.read_bytes(), story.keys)
    assert opened.count(of)
    forged = pyrage.encrypt(opened.replace(of, by), [each.to_public() for each in story.keys])
    (tmp_path / "forged.age").write_bytes(forged)
    with pytest.raises(RequestError) as refused:
        verify(Source(tmp_path / "forged.age", story.keys))
    assert refused.value.code == code


def test_a_backup_of_the_right_form_signed_by_nobody_known_is_refused(story: Story, tmp_path: Path) -> None:
    keys = [each.to_public() for each in story.keys]
    with writing(tmp_path / "own.age", keys) as writer:
        writer.add("header.json", b"{}")
        manifest = octets_of({"format": "faxgw backup", "version": 1, "groups": writer.tally.said()})
        writer.add("manifest.json", manifest)
        writer.add("signature.json", signature(manifest, Ed25519PrivateKey.generate()))
    assert verify(Source(tmp_path / "own.age", story.keys))  # nobody was named
    with pytest.raises(RequestError, match="not by the gateway named"):
        verify(Source(tmp_path / "own.age", story.keys, read_key(story.signer)))


def test_a_backup_of_a_stopped_service_has_what_it_has(story: Story) -> None:
    manifest = verify(Source(story.offline, story.keys, read_key(story.signer)))
    assert manifest["tables"]["faxes"]["rows"] == 2
    assert manifest["objects"]["count"] == len(story.objects)


def test_a_forged_tombstone_stops_a_restore(story: Story, tmp_path: Path, database_server: DatabaseServer) -> None:
    genuine = json.loads((story.service.data / "tombstones").read_text().splitlines()[0])
    log, source, data = tmp_path / "forged", Source(story.online, story.keys), tmp_path / "data"
    log.write_text(json.dumps(genuine | {"id": story.kept}) + "\n")
    data.mkdir()
    restore_files(source, data)
    urls = database_server.urls(database_server.create("template0"))
    with asyncio.Runner() as runner, pytest.raises(RequestError, match="was not signed by the gateway"):
        restore(
            source,
            verify(source),
            data_dir=data,
            urls=urls,
            store=FolderStore(data / "objects"),
            logs=[log],
            run=runner.run,
        )
    assert not objects_in(data)


def test_a_backup_goes_into_an_empty_place_only(story: Story) -> None:
    words = ("--data", story.service.data, "--identity", story.identity)
    refused = backup("restore", story.online, *words)
    assert (refused.returncode, "is not empty" in refused.stderr) == (2, True)
