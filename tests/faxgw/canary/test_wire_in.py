"""XM-14, FP-01: of a canary that devices hand in, and of their secrets, nobody who listens on the way sees anything."""

import email
import email.policy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.faxgw.canary.capturing import Capture
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.canary.test_wire import seen, wire
from tests.faxgw.dropbox.clients import NUMBER, Box
from tests.faxgw.dropbox.conftest import box, gateway, owner, sftp
from tests.faxgw.mail.sending.authority import Authority
from tests.faxgw.serving import Service, ended, free_port, reachable_folder, upload
from tests.interop.conftest import postfix_program
from tests.interop.postfix import DOMAIN, running

__all__ = ["box", "gateway", "owner", "postfix_program", "sftp", "wire"]

pytestmark = pytest.mark.interop

Peer = Callable[[str], Path]


def canary_with(secret: str) -> Canary:
    return Canary(int(os.environ["FAXGW_SEED"]), {"secret of the device": secret})


@pytest.mark.parametrize("program", ["sftp", "scp"])
async def test_of_a_fax_that_is_dropped_nothing_is_seen_and_no_secret(
    box: Box, peer: Peer, wire: Capture, program: str
) -> None:
    canary = canary_with(box.secret)
    (box.folder / "letter.tif").write_bytes(canary.uploads["image/tiff"])
    cover = {"to_name": canary.sentence[:60], "message": canary.sentence}
    (box.folder / "letter.json").write_text(json.dumps({"to": NUMBER, "cover": cover}))
    words = ("-b", "-", "HOST") if program == "sftp" else ("letter.tif", "letter.json", "HOST:")
    with wire:
        status, said = await box.openssh(peer, program, *words, text="put letter.tif\nput letter.json\n")
    assert status == 0, said
    assert [fax.to_number for fax in await box.faxes()] == [NUMBER]
    assert any(len(each) > 1000 for each in wire.said(box.port)), "nothing was captured"
    assert seen(wire, canary.search()) == set()


@pytest.mark.requirement("FP-01", "XM-04", "XM-17", "WF-11", "WF-16")
def test_of_faxes_that_come_and_go_by_mail_nothing_is_seen_and_results_come_without_content(
    peer: Peer, postfix_program: Path, wire: Capture, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with (
        reachable_folder() as folder,
        running(postfix_program, chain=authority.chain("localhost")) as postfix,
        Service(folder, environment=_environment(postfix.port, authority)) as service,
    ):
        service.start()
        service.set_up()
        with service.api() as api:
            device = api.post("/v1/devices", json={"name": "copier"}).json()
            canary = canary_with(device["secret"])
            (tmp_path / "scan.tif").write_bytes(canary.uploads["image/tiff"])
            (tmp_path / "scan.txt").write_bytes(canary.uploads["text/plain"])
            with wire:
                said = _submitted(peer, service, device, tmp_path, canary)
                fax = api.get("/v1/faxes").json()["items"][0]["id"]
                assert ended(api, fax)["state"] == "delivered", said
                (result,) = postfix.await_messages(1)
                _called(api, service, canary)
                (delivered,) = set(postfix.await_messages(2)) - {result}
        port = int(service.environment["FAXGW_SUBMISSION_PORT"])
        assert any(len(each) > 1000 for each in wire.said(port)), "nothing was captured"
        assert any(len(each) > 1000 for each in wire.said(postfix.port)), "no result was captured"
    search = canary.search()
    assert seen(wire, search) == set()
    assert search.octets(result) == set()
    assert b"15550100" not in result
    assert fax in result.decode()
    (pdf,) = email.message_from_bytes(delivered, policy=email.policy.SMTP).iter_attachments()
    assert "page as filed" in search.octets(pdf.get_content())


def _called(api: httpx.Client, service: Service, canary: Canary) -> None:
    """Have a call come in with the canary, into a box that delivers to a mailbox."""
    settings = {"kind": "mail", "address": f"reception@{DOMAIN}"}
    target = api.post("/v1/targets", json={"name": "reception", "settings": settings})
    assert target.status_code == 201, target.text
    made = api.post(f"/v1/boxes/{service.account['box']}/delivery-rules", json={"target": target.json()["id"]})
    assert made.status_code == 201, made.text
    document = upload(api, canary.uploads["image/tiff"])
    called = api.post("/v1/sandbox/calls", json={"to": "+15550199", "document": document, "from": canary.number})
    assert called.status_code == 202, called.text


def _environment(smarthost: int, authority: Authority) -> dict[str, str]:
    mail = {"SMARTHOST": "localhost", "PORT": str(smarthost), "SENDER": "fax@gateway.example"}
    mail |= {"TRUST": str(authority.path)}
    ports = {"FAXGW_SUBMISSION_PORT": str(free_port()), "FAXGW_SUBMISSIONS_PORT": str(free_port())}
    return {f"FAXGW_MAIL_{name}": value for name, value in mail.items()} | ports


def _submitted(peer: Peer, service: Service, device: dict[str, str], folder: Path, canary: Canary) -> str:
    """Submit it as an office machine does, and return what was said."""
    words = [str(peer("swaks")), "--server", "localhost", "--port", service.environment["FAXGW_SUBMISSION_PORT"]]
    words += ["--tls", "--tls-verify", "--tls-ca-path", str(service.certificate)]
    words += ["--auth", "PLAIN", "--auth-user", device["login"], "--auth-password", device["secret"]]
    words += ["--from", f"copier@{DOMAIN}", "--to", f"FAX={NUMBER}@fax.example"]
    words += ["--header", f"Subject: {canary.sentence}", "--body", canary.sentence]
    words += [
        "--attach-type",
        "image/tiff",
        "--attach",
        "@scan.tif",
        "--attach-type",
        "text/plain",
        "--attach",
        "@scan.txt",
    ]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
