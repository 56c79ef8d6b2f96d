"""``faxgw doctor``: every bad set-up is told in a sentence with the way out, and a good one is not."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from faxgw.cli.doctor import app
from faxgw.config import Config
from faxgw.data_folder import held
from faxgw.doctor import Finding, Level, Machine, deliveries, examined, folders, lines, machine, mail, programs, storage
from faxgw.ids import new_id
from faxgw.tls import VALID, make_certificate
from tests.faxgw.databases import DatabaseServer

HERE = Machine()


def config(tmp_path: Path, **settings: Any) -> Config:
    free = {"host": "127.0.0.1", "port": 0}
    return Config.model_validate({"data_dir": tmp_path / "data", "api": free, "private": free} | settings)


def told(findings: Iterator[Finding], level: Level) -> str:
    """Return the findings of this level as one text; each must say what to do."""
    found = [each for each in findings if each.level is level]
    assert all(each.text.endswith(".") for each in found)
    assert all(each.way_out or each.level is Level.OK for each in found)
    return "\n".join(map(str, found))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def other(tmp_path: Path) -> "OtherMachine":
    return OtherMachine(tmp_path / "root")


class OtherMachine:
    """A machine whose kernel tells something else."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine(root)

    def says(self, path: str, text: str) -> None:
        file = self.machine.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def mounts(self, *mounts: tuple[str, str, str]) -> None:
        """Mount sources on points: (point, file system, source)."""
        lines = [f"{n} 1 8:{n} / {point} rw - {kind} {source} rw" for n, (point, kind, source) in enumerate(mounts)]
        self.says("/proc/self/mountinfo", "\n".join(lines))

    def device(self, name: str, *, uuid: str = "", slaves: tuple[str, ...] = ()) -> None:
        self.says(f"/sys/class/block/{name}/dm/uuid", uuid)
        for slave in slaves:
            self.says(f"/sys/class/block/{name}/slaves/{slave}/x", "")


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.02)


def test_nothing_is_bad_before_the_first_start(tmp_path: Path) -> None:
    findings = examined(config(tmp_path))
    assert told(iter(findings), Level.BAD) == ""
    assert {each.area for each in findings} >= {"folders", "space", "storage", "ports", "clock", "database", "lines"}


# -------------------------------------------------------------------------------------------------- folders and space


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o704])
def test_a_data_directory_that_is_open_to_others_is_bad(tmp_path: Path, data: Path, mode: int) -> None:
    data.chmod(mode)
    assert f"chmod {711 if os.geteuid() == 0 else 700} {data}" in told(
        folders.data_dir(config(tmp_path), HERE), Level.BAD
    )


def test_a_data_directory_that_cannot_be_is_bad(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert "may not write" in told(folders.data_dir(config(tmp_path), HERE), Level.BAD)


@pytest.mark.parametrize("name", ["data.spool_keys", "data/server_keys"])
def test_keys_that_are_open_to_others_are_bad(tmp_path: Path, data: Path, name: str) -> None:
    (tmp_path / name).mkdir(mode=0o700)
    assert not told(folders.keys(config(tmp_path), HERE), Level.BAD)
    (tmp_path / name).chmod(0o750)
    assert f"chmod 700 {tmp_path / name}" in told(folders.keys(config(tmp_path), HERE), Level.BAD)


def test_spool_keys_on_the_disk_of_the_data_are_told(tmp_path: Path, data: Path) -> None:
    assert "FAXGW_SPOOL_KEYS" in told(folders.keys(config(tmp_path), HERE), Level.ADVICE)
    elsewhere = config(tmp_path, spool_keys="/proc/spool_keys")
    assert not told(folders.keys(elsewhere, HERE), Level.ADVICE)


def test_a_private_key_that_is_missing_or_open_to_others_is_bad(tmp_path: Path) -> None:
    given = {"certificate": tmp_path / "cert.pem", "certificate_key": tmp_path / "key.pem"}
    mine = config(tmp_path, api=given)
    assert "key.pem is not there" in told(folders.keys(mine, HERE), Level.BAD)
    make_certificate(given["certificate"], given["certificate_key"])
    assert not told(folders.keys(mine, HERE), Level.BAD)
    given["certificate_key"].chmod(0o644)
    assert f"chmod 600 {given['certificate_key']}" in told(folders.keys(mine, HERE), Level.BAD)


def test_a_full_disk_is_bad(tmp_path: Path) -> None:
    assert not told(folders.space(config(tmp_path), HERE), Level.BAD)
    full = config(tmp_path, storage={"reserve": "1000GiB"})
    assert "nothing new is taken" in told(folders.space(full, HERE), Level.BAD)


# ------------------------------------------------------------------------------------------------------------ storage


def test_xm22_every_path_that_may_hold_fax_data_is_listed_with_how_it_is_stored(
    tmp_path: Path, other: OtherMachine
) -> None:
    other.mounts(("/", "ext4", "/dev/sda1"), (str(tmp_path / "data"), "ext4", "/dev/dm-1"), ("/tmp", "tmpfs", "tmpfs"))
    other.device("dm-1", slaves=("dm-0",))
    other.device("dm-0", uuid="CRYPT-LUKS2-0123")
    other.device("sda1")
    mine = config(tmp_path, spool_keys="/run/keys", server_keys="/tmp/keys")
    table = {each["path"]: each["storage"] for each in storage.as_table(mine, other.machine)}
    assert table == {
        str(tmp_path / "data" / "objects"): "encrypted",
        str(tmp_path / "data" / "postgres"): "encrypted",
        "/run/keys": "on a disk not known as encrypted",
        "/tmp/keys": "in memory",
        "/tmp": "in memory",
    }
    advised = told(storage.paths(mine, other.machine), Level.ADVICE)
    assert "/run/keys" in advised and "LUKS" in advised
    assert "postgres" not in advised


def test_a_volume_that_lies_on_a_plain_disk_too_is_not_encrypted(tmp_path: Path, other: OtherMachine) -> None:
    other.mounts(("/", "ext4", "/dev/dm-2"))
    other.device("dm-2", slaves=("dm-0", "sdb"))
    other.device("dm-0", uuid="CRYPT-LUKS2-0123")
    assert storage.storage_of(tmp_path, other.machine) == "on a disk not known as encrypted"


def test_swap_that_is_not_encrypted_is_told(tmp_path: Path, other: OtherMachine) -> None:
    head = "Filename Type Size Used Priority\n"
    other.mounts(("/", "ext4", "/dev/sda1"))
    other.device("dm-7", uuid="CRYPT-PLAIN-swap")
    other.says("/proc/swaps", head + "/dev/zram0 partition 1 0 -2\n/dev/dm-7 partition 1 0 -3\n")
    assert not told(storage.swap(config(tmp_path), other.machine), Level.ADVICE)
    other.says("/proc/swaps", head + "/dev/dm-7 partition 1 0 -3\n/dev/sda2 partition 1 0 -2\n/swapfile file 1 0 -4\n")
    assert "/dev/sda2, /swapfile" in told(storage.swap(config(tmp_path), other.machine), Level.ADVICE)


def test_core_dumps_that_the_gateway_cannot_switch_off_are_told(tmp_path: Path, other: OtherMachine) -> None:
    other.says("/proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P")
    code = f"""
import resource, sys
from pathlib import Path
from faxgw.config import Config
from faxgw.doctor import Machine, storage
for hardest in (1, 0):
    resource.setrlimit(resource.RLIMIT_CORE, (hardest, hardest))
    print(*[each.level.value for each in storage.core_dumps(Config(), Machine(Path({str(other.machine.root)!r})))])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["ok", "advice"]


# ------------------------------------------------------------------------------------------------------------ machine


def test_a_port_that_is_taken_is_bad_unless_the_gateway_itself_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mine = config(tmp_path, api={"port": taken.getsockname()[1]})
        assert "FAXGW_API_PORT" in told(machine.ports(mine, HERE), Level.BAD)
        with held(mine.data_dir):
            assert not told(machine.ports(mine, HERE), Level.BAD)
        assert "FAXGW_API_PORT" in told(machine.ports(mine, HERE), Level.BAD)


def test_listeners_that_are_open_to_other_machines_are_told(tmp_path: Path) -> None:
    mine = config(tmp_path, private={"host": "0.0.0.0", "port": 0}, api={"host": "::", "port": 0})
    advised = told(machine.ports(mine, HERE), Level.ADVICE)
    assert "FAXGW_PRIVATE_HOST" in advised and "FAXGW_API_ALLOWED" in advised
    mine = config(tmp_path, api={"host": "0.0.0.0", "port": 0, "allowed": ["10.0.0.0/8"]})
    assert not told(machine.ports(mine, HERE), Level.ADVICE)


def test_a_certificate_that_ends_soon_or_cannot_be_used_is_bad(tmp_path: Path) -> None:
    given = {"certificate": tmp_path / "cert.pem", "certificate_key": tmp_path / "key.pem"}
    mine = config(tmp_path, api=given)
    assert "cannot be used" in told(machine.certificate(mine, HERE), Level.BAD)
    make_certificate(given["certificate"], given["certificate_key"], now=datetime.now(UTC) - VALID + timedelta(days=9))
    assert "Renew it." in told(machine.certificate(mine, HERE), Level.BAD)
    make_certificate(given["certificate"], given["certificate_key"])
    assert not told(machine.certificate(mine, HERE), Level.BAD)


# ----------------------------------------------------------------------------------------------------------- programs


def test_a_database_of_another_major_version_is_bad(tmp_path: Path, data: Path) -> None:
    (data / "postgres" / "data").mkdir(parents=True)
    (data / "postgres" / "data" / "PG_VERSION").write_text("13\n")
    assert "pg_upgrade" in told(programs.database(config(tmp_path), HERE), Level.BAD)


def test_office_files_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install libreoffice" in told(programs.office(config(tmp_path), HERE), Level.ADVICE)


def test_the_folder_of_the_compiled_codec_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    assert str(tmp_path / "kernels") in told(programs.kernels(config(tmp_path), HERE), Level.OK)


def test_a_database_that_does_not_answer_is_bad(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"postgresql://faxgw:CANARY@127.0.0.1:{port}/faxgw"
    mine = config(tmp_path, database={"url": url, "owner_url": url, "dispatcher_url": url})
    said = told(programs.database(mine, HERE), Level.BAD)
    assert "database.url does not lead to a database" in said
    assert "CANARY" not in said


def test_roles_that_see_too_much_or_too_little_are_bad(tmp_path: Path, database_server: DatabaseServer) -> None:
    name = database_server.create()
    urls = database_server.urls(name)
    right = {"url": urls.app, "owner_url": urls.owner, "dispatcher_url": urls.dispatcher}
    assert not told(programs.database(config(tmp_path, database=right), HERE), Level.BAD)
    wrong = right | {"url": urls.dispatcher, "dispatcher_url": urls.app}
    said = told(programs.database(config(tmp_path, database=wrong), HERE), Level.BAD)
    assert "sees the rows of every tenant" in said and "BYPASSRLS is missing" in said


# -------------------------------------------------------------------------------------------------------------- lines


def test_a_line_that_cannot_be_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = [
        {"name": "gone", "url": f"class1:{tmp_path}/ttyACM0"},
        {"name": "file", "url": f"class1:{tmp_path}/file"},
        {"name": "good", "url": "sim:1"},
    ]
    said = told(lines.ports(config(tmp_path, lines=given), HERE), Level.BAD)
    assert "Line gone: there is no port" in said
    assert f"Line file: {tmp_path}/file is no serial port" in said
    assert "good" not in said
    assert told(lines.ports(config(tmp_path, lines=[]), HERE), Level.BAD).startswith("There is no line.")


@pytest.mark.slow
def test_a_slow_adapter_is_told_when_a_modem_was_asked(tmp_path: Path, other: OtherMachine) -> None:
    link = tmp_path / "modem"
    mine = config(tmp_path, lines=[{"name": "desk", "url": f"class1:{link}"}])
    command = [str(Path(sys.executable).with_name("faxgw")), "simulate", "modem", "--link", str(link)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as modem:
        try:
            wait_for(link)
            name = link.resolve().name
            other.says(f"/sys/class/tty/{name}/device/latency_timer", "16\n")
            assert "latency 16 ms" in told(lines.ports(mine, other.machine), Level.OK)
            findings = list(lines.modems(mine, other.machine))
        finally:
            modem.terminate()
    assert "a modem answers; it sends at up to 14400 bit/s" in told(iter(findings), Level.OK)
    assert f"echo 1 > /sys/class/tty/{name}/device/latency_timer" in told(iter(findings), Level.ADVICE)
    assert "Line desk: " in told(lines.modems(mine, other.machine), Level.BAD)


# ------------------------------------------------------------------------------------------------------------ command


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout


def test_the_command_ends_with_1_when_something_is_bad(tmp_path: Path, data: Path) -> None:
    settings = tmp_path / "faxgw.toml"
    settings.write_text(f'data_dir = "{data}"\n[api]\nport = 0\n[private]\nport = 0\n')
    code, said = run("--config", settings, "--json")
    assert (code, json.loads(said)["ok"]) == (0, True), said
    assert {each["path"] for each in json.loads(said)["paths"]} >= {str(data / "objects"), str(data / "postgres")}
    data.chmod(0o777)
    code, said = run("--config", settings)
    assert code == 1
    assert said.splitlines()[-1].startswith("bad     folders: Other users may read or write")


# ------------------------------------------------------------------------------------------------------- how late it is


@pytest.mark.case("R24")
def test_r24_how_late_this_machine_is_is_measured_in_less_than_a_second_where_a_modem_minds(tmp_path: Path) -> None:
    began = time.monotonic()
    settings = config(tmp_path, lines=[{"name": "a", "url": "class1:/dev/ttyS77"}])
    (found,) = lines.lateness(settings, HERE)
    assert time.monotonic() - began < 1.0
    assert re.fullmatch(r"This machine woke up at most \d+ ms late; a Class 1 modem .* within 55 ms\.", found.text)
    assert not list(lines.lateness(config(tmp_path), HERE))


@pytest.mark.case("R24")
def test_r24_a_loop_that_is_held_up_is_seen_to_be_late() -> None:
    async def held_up() -> float:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.08)
        return await lines.worst_lateness()

    assert asyncio.run(held_up()) > 0.07


@pytest.mark.case("R24")
@pytest.mark.parametrize(("late", "level"), [(1, Level.OK), (27, Level.OK), (28, Level.ADVICE), (300, Level.ADVICE)])
def test_r24_a_machine_that_is_too_late_for_class_1_is_told_what_to_do(late: int, level: Level) -> None:
    said = told(iter([lines.told_lateness(late)]), level)
    assert f"{late} ms late" in said
    if level is Level.ADVICE:
        assert all(each in said for each in ("virtual machine", "latency timer", "serial over IP"))


def test_the_way_of_mail_is_told_with_what_can_be_relied_on(tmp_path: Path, data: Path, other: OtherMachine) -> None:
    assert "No mail leaves" in told(mail.route(config(tmp_path), HERE), Level.OK)
    by_host = {"smarthost": "mx.example.com", "sender": "fax@example.com", "trust": str(tmp_path / "none.pem")}
    assert "mx.example.com, port 587" in told(mail.route(config(tmp_path, mail=by_host), HERE), Level.OK)
    assert "cannot be read" in told(mail.route(config(tmp_path, mail=by_host), HERE), Level.BAD)
    direct = {"direct": True, "sender": "fax@example.com"}
    other.says("etc/resolv.conf", "nameserver 192.0.2.1\n")
    assert "DANE is not used" in told(mail.route(config(tmp_path, mail=direct), other.machine), Level.ADVICE)
    own = {**direct, "dns": ["127.0.0.1"]}
    assert "DANE or their name" in told(mail.route(config(tmp_path, mail=own), other.machine), Level.OK)
    other.says("etc/resolv.conf", "search x\nnameserver ::1\n")
    assert "DANE or their name" in told(mail.route(config(tmp_path, mail=direct), other.machine), Level.OK)


# ---------------------------------------------------------------------------------------------------------- deliveries


def deliveries_of(database_server: DatabaseServer, tmp_path: Path, **states: int) -> list[Finding]:
    """Return what is said of a database with so many parcels in these states."""
    name = database_server.create()
    urls = database_server.urls(name)
    with psycopg.connect(urls.dispatcher) as database:
        tenant = new_id()
        database.execute("INSERT INTO tenants (id, name) VALUES (%s, %s)", [tenant, name])
        for state, count in states.items():
            for _ in range(count):
                row = [new_id(), tenant, str(new_id()), state]
                database.execute(
                    "INSERT INTO parcels (id, tenant_id, kind, key, state, tries, ended_at)"
                    " VALUES (%s, %s, 'policy', %s, %s, 1, now())",
                    row,
                )
    given = {"url": urls.app, "owner_url": urls.owner, "dispatcher_url": urls.dispatcher}
    return list(deliveries.targets(config(tmp_path, database=given), HERE))


def test_what_cannot_be_delivered_is_told(database_server: DatabaseServer, tmp_path: Path) -> None:
    found = deliveries_of(database_server, tmp_path, held_no_tls=2, failed=1, waiting=3, delivered=4)
    assert "2 parcels wait for a way that is protected: notices by mail." in told(iter(found), Level.BAD)
    advised = told(iter(found), Level.ADVICE)
    assert "1 parcel failed for good" in advised
    assert "3 parcels could not be handed over yet" in advised


def test_where_everything_arrives_nothing_is_to_be_done(database_server: DatabaseServer, tmp_path: Path) -> None:
    (found,) = deliveries_of(database_server, tmp_path, delivered=2)
    assert (found.level, found.text) == (Level.OK, "Every target takes what is delivered to it.")


def test_of_a_gateway_that_does_not_run_nothing_is_asked(tmp_path: Path) -> None:
    assert list(deliveries.targets(config(tmp_path), HERE)) == []


@pytest.mark.requirement("XM-22")
def test_folders_into_which_faxes_are_delivered_are_among_the_places_that_may_hold_them(
    other: "OtherMachine", tmp_path: Path
) -> None:
    other.mounts(("/", "ext4", "/dev/sda1"), ("/srv/safe", "tmpfs", "tmpfs"))
    mine = config(tmp_path, delivery={"folders": ["/srv/fax-out/{tenant}", "/srv/safe/fax/{tenant}"]})
    table = {each["path"]: each["storage"] for each in storage.as_table(mine, other.machine)}
    assert table["/srv/fax-out/{tenant}"] == storage.Stored.UNKNOWN
    assert table["/srv/safe/fax/{tenant}"] == storage.Stored.MEMORY
    assert "/srv/fax-out/{tenant} is on a disk not known as encrypted" in told(
        storage.paths(mine, other.machine), Level.ADVICE
    )


def test_who_can_submit_mail_is_told(tmp_path: Path) -> None:
    assert "port 25 is not used" in told(machine.submission(config(tmp_path), HERE), Level.OK)
    off = config(tmp_path, submission={"enabled": False})
    assert "switched off" in told(machine.submission(off, HERE), Level.OK)
    everybody = config(tmp_path, submission={"host": "0.0.0.0"})
    assert "every machine" in told(machine.submission(everybody, HERE), Level.ADVICE)
    some = config(tmp_path, submission={"host": "0.0.0.0", "allowed": ["10.0.0.0/8"]})
    assert told(machine.submission(some, HERE), Level.ADVICE) == ""


def test_the_certificate_of_the_submission_server_is_looked_at(tmp_path: Path) -> None:
    pair = {"certificate": tmp_path / "cert.pem", "certificate_key": tmp_path / "key.pem"}
    make_certificate(*pair.values(), now=datetime.now(UTC) - VALID + timedelta(days=3))
    assert "ends on" in told(machine.certificate(config(tmp_path, submission=pair), HERE), Level.BAD)
