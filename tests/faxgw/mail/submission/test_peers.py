"""Other programs at the listeners of a whole service: swaks and Postfix submit, testssl.sh looks for faults."""

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from faxgw.documents.tiff import tiff_octets
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.serving import Service, ended, reachable_folder
from tests.interop.postfix import Postfix, running

pytestmark = pytest.mark.interop

TO = "FAX=+15550100@fax.example"
"""A plus alone at the beginning is an option to swaks."""
WITHIN = 40.0
TESTSSL_WITHIN = 240
PASSED_OVER = {"cert_chain_of_trust", "cert_revocation"}
"""Of a certificate that signed itself, as ours does where none is given."""
FAULTS = {"LOW", "MEDIUM", "HIGH", "CRITICAL"}
"""WARN is trouble of testssl.sh's own: what it must have looked for is not to have any."""
LOOKED_FOR = {
    *("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_3", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT"),
    *("cipherlist_3DES_IDEA", "cipherlist_AVERAGE", "heartbleed", "CCS", "ROBOT", "secure_renego", "LUCKY13", "RC4"),
    *("secure_client_renego", "CRIME_TLS", "POODLE_SSL", "FREAK", "DROWN", "LOGJAM", "BEAST"),
}


class Office:
    """A service with one device."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._known: set[str] = set()
        with service.api() as api:
            made = api.post("/v1/devices", json={"name": "Copier"})
            assert made.status_code == httpx.codes.CREATED, made.text
            self.device: dict[str, Any] = made.json()

    @property
    def login(self) -> str:
        return str(self.device["login"])

    @property
    def secret(self) -> str:
        return str(self.device["secret"])

    def new_faxes(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many faxes are there that were not there before, and have ended."""
        end = time.monotonic() + WITHIN
        with self.service.api() as api:
            while True:
                found = {each["id"] for each in api.get("/v1/faxes?direction=out").json()["items"]} - self._known
                if len(found) >= count:
                    break
                assert time.monotonic() < end, self.service.last_words()
                time.sleep(0.05)
            self._known |= found
            return [ended(api, each) for each in found]


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with reachable_folder() as folder, Service(folder) as service:
        service.start()
        service.set_up()
        yield Office(service)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.tif"
    path.write_bytes(tiff_octets(fax_pages(1)))
    return path


@pytest.fixture
def swaks(peer: Callable[[str], Path], office: Office) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    program = peer("swaks")

    def run(port: int, *words: object) -> "subprocess.CompletedProcess[str]":
        said = [program, "--server", "127.0.0.1", "--port", port, "--helo", "copier.example", f"--to={TO}"]
        said += ["--from", "scan@office.example", "--auth-user", office.login, "--auth-password", office.secret]
        return subprocess.run(
            [str(each) for each in (*said, *words)], capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.requirement("WF-09", "XM-16")
@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["--tls", "--tlsc"], ids=["starttls", "tls"])
def test_swaks_submits_a_page_that_becomes_a_fax(
    office: Office, swaks: Callable[..., "subprocess.CompletedProcess[str]"], page: Path, auth: str, tls: str
) -> None:
    service = office.service
    port = service.submission_port if tls == "--tls" else service.submissions_port
    verify = ["--tls-verify", "--tls-ca-path", service.certificate]
    done = swaks(port, tls, *verify, "--auth", auth, "--attach-type", "image/tiff", "--attach", f"@{page}")
    assert done.returncode == 0, done.stdout
    (fax,) = office.new_faxes(1)
    assert (fax["state"], fax["to"]) == ("delivered", "+15550100"), fax


@pytest.mark.requirement("WF-12", "WF-10")
def test_swaks_without_tls_gets_nothing_but_the_end_of_the_connection(
    office: Office, swaks: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    port = office.service.submission_port
    without_credential = swaks(port, "--auth-optional", "PLAIN")
    assert without_credential.returncode != 0
    assert "530 5.7.0" in without_credential.stdout
    wrong = swaks(port, "--tls", "--auth", "LOGIN", "--auth-password", "wrong")
    assert "535 5.7.8" in wrong.stdout
    with office.service.api() as api:
        assert api.get("/v1/faxes?direction=out&limit=1").status_code == httpx.codes.OK


@pytest.fixture
def postfix(office: Office, peer: Callable[[str], Path]) -> Iterator[Callable[..., Postfix]]:
    program = peer("postfix")
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("FAXGW_REQUIRE_PEERS") == "1" else pytest.skip)("Postfix starts as root only")
    with ExitStack() as stack:

        def start(port: int, **options: str) -> Postfix:
            where = f"[127.0.0.1]:{port}"
            given: Mapping[str, str] = {
                "relayhost": where,
                "smtp_tls_security_level": "encrypt",
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_security_options": "noanonymous",
                "smtp_sasl_password_maps": f"inline:{{ {{ {where} = {office.login}:{office.secret} }} }}",
                **options,
            }
            return stack.enter_context(running(program, options=given))

        yield start


def hand_over(postfix: Postfix, page: Path, swaks: Path, count: int = 1) -> None:
    """Leave mail with Postfix, which carries it on."""
    for _ in range(count):
        command = [
            swaks,
            "--server",
            f"{postfix.address}:{postfix.port}",
            f"--to={TO}",
            "--from",
            "scan@office.example",
        ]
        command += ["--attach-type", "image/tiff", "--attach", f"@{page}"]
        done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.requirement("WF-09", "WF-11")
@pytest.mark.parametrize("wrapped", [False, True], ids=["starttls", "tls"])
def test_postfix_that_must_encrypt_submits_by_either_port(
    office: Office, postfix: Callable[..., Postfix], peer: Callable[[str], Path], page: Path, wrapped: bool
) -> None:
    service = office.service
    port = service.submissions_port if wrapped else service.submission_port
    sender = postfix(port, **({"smtp_tls_wrappermode": "yes"} if wrapped else {}))
    hand_over(sender, page, peer("swaks"), count=3)
    sender.await_said("status=sent (250 2.0.0", times=3)
    assert re.search(r"TLS connection established to .*: TLSv1\.3 with cipher TLS_AES_256_GCM_SHA384", sender.log)
    assert {each["state"] for each in office.new_faxes(3)} == {"delivered"}


@pytest.mark.requirement("WF-12", "WF-11")
@pytest.mark.parametrize(
    "options",
    [{"smtp_tls_security_level": "none"}, {"smtp_tls_mandatory_protocols": "<=TLSv1.1"}],
    ids=["in-clear", "by-tls-1.1"],
)
def test_postfix_that_does_not_keeps_its_mail(
    postfix: Callable[..., Postfix],
    office: Office,
    peer: Callable[[str], Path],
    page: Path,
    options: dict[str, str],
) -> None:
    sender = postfix(office.service.submission_port, smtp_sasl_auth_enable="no", **options)
    hand_over(sender, page, peer("swaks"))
    sender.await_said("status=")
    assert "status=sent" not in sender.log, sender.log


# -------------------------------------------------------------------------------------------------------------- testssl


@pytest.mark.requirement("WF-11", "XM-15", "FP-10")
def test_testssl_finds_nothing_at_any_of_the_three_listeners(
    office: Office, peer: Callable[[str], Path], tmp_path: Path
) -> None:
    program, service = peer("testssl"), office.service
    places: dict[str, tuple[int, tuple[str, ...]]] = {
        "https": (service.api_port, ()),
        "starttls": (service.submission_port, ("--starttls", "smtp")),
        "tls": (service.submissions_port, ()),
    }

    def look(name: str) -> list[dict[str, str]]:
        port, words = places[name]
        found = tmp_path / f"{name}.json"
        command = [program, "--quiet", "--warnings", "off", "--color", "0", "--nodns", "none", "--jsonfile", found]
        command += ["-p", "-s", "-f", "-S", "-U", *words, f"127.0.0.1:{port}"]
        subprocess.run([str(each) for each in command], capture_output=True, timeout=TESTSSL_WITHIN, check=False)
        findings: list[dict[str, str]] = json.loads(found.read_text())
        return findings

    with ThreadPoolExecutor(len(places)) as threads:
        looked = dict(zip(places, threads.map(look, places), strict=True))
    for name, findings in looked.items():
        counts = Counter(each["severity"] for each in findings)
        print(f"{name}: {', '.join(f'{count} {severity}' for severity, count in counts.items())}")
        assert not [each for each in findings if each["severity"] in FAULTS and each["id"] not in PASSED_OVER]
        seen = {each["id"] for each in findings if each["severity"] in {"OK", "INFO"}}
        assert seen >= LOOKED_FOR, LOOKED_FOR - seen
