"""What nobody but the owner of a box learns: content on the disk and on the wire, and who else may look.

XM-14, XM-19, FP-09: no content in anything that the service writes, and it receives while nobody can open anything;
XM-08: other users of the machine, and other tenants, see nothing; WF-01: it talks to nobody who is not configured.
"""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest

from faxgw.documents.sample import write_sample
from faxgw.documents.tiff import tiff_octets
from faxgw.store.roles import TENANT
from faxgw.store.server import urls_for_another_node
from faxgw.store.tables import metadata
from tests.faxgw.far_ends import Exchange
from tests.faxgw.service.residue import found, marks_of, noise, places, wait_for
from tests.faxgw.serving import Service, ended, reachable_folder, send, upload

ANSWERS = "+15550100"
SENTENCE = "Nobody but the two of us must ever read this, 7d20a9c4."
NOBODY = 65534
NEW_NETWORK = 0x40000000
EVERY_PROTOCOL = 3
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user, which takes root")


@pytest.mark.slow
def test_a_locked_server_receives_and_nothing_that_it_wrote_can_be_read() -> None:
    uploaded, came = noise(11), noise(12)
    marks = {"the sentence": SENTENCE.encode(), **marks_of("uploaded", uploaded), **marks_of("received", came)}
    with reachable_folder() as folder, reachable_folder() as elsewhere, ExitStack() as ends:
        (folder / "tmp").mkdir()
        (elsewhere / "sheet.tif").write_bytes(tiff_octets([came]))
        exchange = ends.enter_context(Exchange(elsewhere, lines=("bell", "caller"), numbers=()))
        lines = exchange.config(("bell",), use="receive") + '[[lines]]\nname = "sim"\nurl = "sim:15550199"\n'
        service = ends.enter_context(Service(folder, environment={"TMPDIR": str(folder / "tmp")}, config=lines))
        service.start()
        account = service.set_up()
        with service.api() as api:
            assert api.post("/v1/numbers", json={"line": "bell", "box": account["box"]}).status_code == 201
            documents = [upload(api, tiff_octets([uploaded])), upload(api, SENTENCE.encode(), "text/plain")]
            for document in documents:
                assert ended(api, send(api, ANSWERS, document))["state"] == "delivered"
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            send(api, ANSWERS, upload(api, tiff_octets([uploaded])), send_at=tomorrow)
            bare = api.post("/v1/api-keys", json={"name": "without slot", "scopes": ["content", "faxes:read"]}).json()
        service.stop()

        service.start()
        outcome = exchange.calling("caller", "bell", elsewhere / "sheet.tif").outcome()
        assert [page["confirmed"] for page in outcome["pages"]] == [True], outcome
        with psycopg.connect(urls_for_another_node(service.data / "postgres").dispatcher, autocommit=True) as database:
            wait_for(lambda: database.execute(RECEIVED).fetchone() is not None)
            database.execute("DELETE FROM key_slots WHERE api_key_id = %s", (bare["id"],))
        with service.api() as owner, service.api(bare["key"]) as locked:
            (fax,) = owner.get("/v1/faxes", params={"direction": "in"}).json()["items"]
            for part in ("content", "pages/1", "attempts/1/trace"):
                answer = locked.get(f"/v1/faxes/{fax['id']}/{part}")
                assert (answer.status_code, answer.json()["code"]) == (423, "key.locked"), part
            assert locked.get(f"/v1/faxes/{fax['id']}").json()["state"] == "received"
            assert came.octets in owner.get(f"/v1/faxes/{fax['id']}/content?format=tiff").content

        assert not found(marks, places(service))  # while it runs
        service.stop()
        assert not found(marks, places(service))
        (folder / "leak").write_bytes(bytes(7) + marks["received, coded"])
        assert list(found(marks, places(service))) == [f"received, coded in {folder / 'leak'}"]


RECEIVED = "SELECT 1 FROM faxes WHERE direction = 'in' AND state = 'received'"


# -------------------------------------------------------------------------------------------------------- who may look


@needs_root
def test_another_user_of_the_machine_reads_nothing_and_does_not_reach_the_database(service: Service) -> None:
    urls = urls_for_another_node(service.data / "postgres")
    secret = [path for folder in (service.data, spool_keys(service)) for path in (folder, *folder.rglob("*"))]
    assert any(path.name == "passwords.json" for path in secret)
    assert sum("objects" in path.parts for path in secret) > 4
    assert any(spool_keys(service) in path.parents for path in secret)

    def look() -> list[str]:
        seen = [str(path) for path in secret if os.access(path, os.R_OK)]
        for url in (urls.owner, urls.app, urls.dispatcher, urls.app.replace("faxgw_app", "faxgw_admin")):
            try:
                psycopg.connect(url, connect_timeout=3).close()
                seen.append("the database")
            except psycopg.OperationalError as refused:
                assert "Permission denied" in str(refused), refused
        return seen

    psycopg.connect(urls.app).close()
    assert as_nobody(look) == []


def test_the_app_role_without_filters_sees_one_tenant_only(service: Service) -> None:
    urls = urls_for_another_node(service.data / "postgres")
    tables = [table.name for table in metadata.sorted_tables if "tenant_id" in table.columns]
    with psycopg.connect(urls.dispatcher) as every, psycopg.connect(urls.app) as app:
        tenants = [row[0] for row in every.execute("SELECT id FROM tenants")]
        rows = {name: seen(every, name) for name in tables}
        filled = [name for name in tables if len(rows[name]) > 1]
        assert {"faxes", "objects", "wraps", "pages", "attempts", "events", "users", "key_slots"} <= set(filled)
        assert [name for name in tables if seen(app, name)] == []
        for tenant in tenants:
            app.execute("SELECT set_config(%s, %s, false)", (TENANT, str(tenant)))
            assert {name: seen(app, name) for name in tables} == {name: rows[name] & {tenant} for name in tables}


def seen(connection: psycopg.Connection, table: str) -> set[object]:
    """Return the tenants whose rows somebody sees without any filter."""
    return {row[0] for row in connection.execute(f"SELECT DISTINCT tenant_id FROM {table}".encode())}


def spool_keys(service: Service) -> Path:
    return service.data.with_name(f"{service.data.name}.spool_keys")


def as_nobody(look: Callable[[], list[str]]) -> list[str]:
    """Return what another user of this machine sees."""
    there, here = socket.socketpair()
    context = get_context("fork")

    def child() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        there.sendall("\n".join(look()).encode() or b"nothing")

    process = context.Process(target=child)
    process.start()
    there.close()
    told = b"".join(iter(lambda: here.recv(65536), b"")).decode()
    here.close()
    process.join()
    assert process.exitcode == 0
    return [] if told == "nothing" else told.splitlines()


# ----------------------------------------------------------------------------------------------------- whom it talks to


@needs_root
@pytest.mark.requirement("WF-01", "XM-14")
@pytest.mark.slow
def test_it_sends_no_packet_to_anybody_and_none_in_clear_on_this_machine() -> None:
    """WF-01, XM-14: in a network of its own, where every packet can be seen, whomever it is for."""
    page = noise(31)
    marks = {"the sentence": SENTENCE.encode(), **marks_of("page", page)}

    def run(folder: Path) -> list[bytes]:
        with watched("lo") as packets, Service(folder) as service:
            service.start()
            service.set_up()
            write_sample(folder / "letter.pdf")
            with service.api() as api:
                documents = [
                    upload(api, tiff_octets([page])),
                    upload(api, SENTENCE.encode(), "text/plain"),
                    upload(api, f"<p>{SENTENCE}</p><img src='https://example.com/x.png'>".encode(), "text/html"),
                    upload(api, (folder / "letter.pdf").read_bytes(), "application/pdf"),
                ]
                faxes = [send(api, ANSWERS, document) for document in documents]
                assert [ended(api, fax)["state"] for fax in faxes] == ["delivered"] * 4
                sheet = upload(api, tiff_octets([page]))
                assert api.post("/v1/sandbox/calls", json={"to": "+15550199", "document": sheet}).is_success
                wait_for(lambda: bool(api.get("/v1/faxes", params={"state": "received"}).json()["items"]))
                (came,) = api.get("/v1/faxes", params={"state": "received"}).json()["items"]
                assert page.octets in api.get(f"/v1/faxes/{came['id']}/content?format=tiff").content
            service.stop()
            assert [packet for packet in packets if leaves(packet)] == []
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as test:
                test.sendto(b"the watch works", ("192.0.2.1", 53))
            wait_for(lambda: any(map(leaves, packets)))
            return packets

    with reachable_folder() as folder:
        heard = b"".join(in_its_own_network(lambda: run(folder)))
    assert len(heard) > 100_000
    assert [name for name, mark in marks.items() if mark in heard] == []


def leaves(packet: bytes) -> bool:
    """Tell whether a packet on this network's loopback is for somebody outside of this machine."""
    kind, ip = packet[12:14], packet[14:]
    if kind == b"\x08\x00":
        return ip[16] != 127
    if kind == b"\x86\xdd":
        return ip[24:40] != bytes(15) + b"\1"
    return True


def in_its_own_network(work: Callable[[], list[bytes]]) -> list[bytes]:
    """Do work in a thread that, with its children, has a network in which loopback leads everywhere."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepared() -> list[bytes]:
        if libc.unshare(NEW_NETWORK):
            pytest.skip(f"no network of its own: {os.strerror(ctypes.get_errno())}")
        for command in ("ip link set lo up", "ip route add default dev lo", "ip -6 route add default dev lo"):
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode and "-6" not in command:
                pytest.skip(f"no network of its own: {command}: {done.stderr.strip()}")
        return work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(prepared).result()


@contextmanager
def watched(interface: str) -> Iterator[list[bytes]]:
    """Give every packet on an interface of this network, as they come."""
    packets: list[bytes] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
        tap.bind((interface, EVERY_PROTOCOL))
        tap.settimeout(0.1)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    packets.append(tap.recv(1 << 17))
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield packets
        finally:
            over.set()
            listener.join()
