"""docs/mail.md says what is so, and its session is run as it stands there."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faxgw.config import Config
from faxgw.delivery.targets import SETTINGS
from faxgw.mail.arriving.addressing import number_of, numbers_of_subject
from faxgw.notices.kinds import KINDS
from faxgw.rules.policy import TenantPolicy
from tests.faxgw.canary.looking import family
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.serving import Service, ended, free_port, reachable_folder

LISTEN = "0A"
"""The state in /proc/net/tcp."""
PAGE = (Path(__file__).parents[3] / "docs" / "mail.md").read_text()


def example(name: str) -> str:
    """Return what stands in the block behind a mark of the page."""
    (found,) = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_policies_of_the_page_can_be_laid_down() -> None:
    mail = TenantPolicy.model_validate_json(example("policy")).mail
    wanted = [mail.required(f"a@{domain}")[0] for domain in ("x.example", "partner.example", "a.freemail.example")]
    assert wanted == ["require-verified", "require-encrypted", "link-only"]


@pytest.mark.requirement("WF-15")
def test_the_agreement_of_the_page_is_what_hipaa_needs() -> None:
    """WF-15: without it there is no hipaa, and without the mailbox's own, there is no content."""
    given = json.loads(example("hipaa"))
    mail = TenantPolicy.model_validate(given).mail
    assert mail.required("a@clinic.example", target="require-encrypted") == ("link-only", "hipaa")
    assert mail.required("a@clinic.example", target="require-encrypted", baa_attested=True)[0] == "require-verified"
    del given["mail"]["baa"]
    with pytest.raises(ValueError, match="agreement"):
        TenantPolicy.model_validate(given)


def test_the_target_and_the_settings_of_the_page_are_taken(tmp_path: Path) -> None:
    assert SETTINGS.validate_json(example("target")).kind == "mail"
    config = Config.model_validate({"data_dir": tmp_path} | tomllib.loads(example("config")))
    assert config.mail.has_route


def test_the_addresses_of_the_page_are_numbers() -> None:
    cells = re.findall(r"`([^`]*)@[^`]*`", PAGE[PAGE.index("| recipient |") : PAGE.index("Attachments are faxed")])
    assert len(cells) == 7
    assert [number_of(each) is not None for each in cells] == [each != "fax" for each in cells]
    assert numbers_of_subject("+49 30 1234567; 030/7654321")


def test_the_page_has_every_kind_of_notice_and_whether_it_can_be_switched_off() -> None:
    table = PAGE.split("<!-- notices -->")[1].split("<!-- /notices -->")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| (yes|no)(; off at first)? \|$", table, re.MULTILINE)
    assert {name: (can == "yes", not off) for name, can, off in rows} == {
        name: (kind.chosen, kind.usual) for name, kind in KINDS.items()
    }


# --------------------------------------------------------------------------------------------------------- the session


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with reachable_folder() as folder:
        ports = {"FAXGW_SUBMISSION_PORT": str(free_port()), "FAXGW_SUBMISSIONS_PORT": str(free_port())}
        with Service(folder, environment=ports) as running:
            running.start()
            running.set_up()
            yield running


@pytest.mark.interop
@pytest.mark.requirement("XM-16", "WF-09", "WF-14")
@pytest.mark.parametrize("implicit", [False, True])
def test_the_session_of_the_page_sends_a_fax_by_the_device_of_the_page(
    service: Service, peer: Callable[[str], Path], tmp_path: Path, implicit: bool
) -> None:
    asked = json.loads(example("device")) | {"name": f"copier {implicit}"}
    with service.api() as api:
        made = api.post("/v1/devices", json=asked)
        assert made.status_code == 201, made.text
        (tmp_path / "scan.tif").write_bytes(Canary(int(os.environ["FAXGW_SEED"])).uploads["image/tiff"])
        port = service.environment["FAXGW_SUBMISSIONS_PORT" if implicit else "FAXGW_SUBMISSION_PORT"]
        given = {"HOST": "localhost", "PORT": port, "CA": str(service.certificate)}
        given |= {"LOGIN": made.json()["login"], "SECRET": made.json()["secret"]}
        command = example("session").replace("swaks", str(peer("swaks")), 1)
        command = command.replace("--tls ", "--tls-on-connect ", 1) if implicit else command
        ran = ["sh", "-c", command]
        said = subprocess.run(ran, cwd=tmp_path, env=os.environ | given, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
        assert re.search(r"^<~\s+250 .*\n( ~>|.*)*", said.stdout, re.MULTILINE), said.stdout
        fax = api.get("/v1/faxes").json()["items"][0]
        assert fax["to"] == "+15550100"
        assert ended(api, fax["id"])["state"] == "delivered"


@pytest.mark.interop
@pytest.mark.requirement("WF-13")
def test_what_comes_and_what_leaves_by_mail_meets_in_one_process_without_any_port_between(service: Service) -> None:
    """WF-13: there is no link between parts that somebody could listen to: these listeners are all there are."""
    asked = {int(service.environment[f"FAXGW_{name}_PORT"]) for name in ("API", "PRIVATE", "SUBMISSION", "SUBMISSIONS")}
    assert set(_listening(service.pid)) == asked


def _listening(pid: int) -> Iterator[int]:
    """Go through the TCP ports on which a process, or one that it has started, listens."""
    links = [str(each.readlink()) for one in family(pid) for each in Path(f"/proc/{one}/fd").iterdir()]
    sockets = {link[8:-1] for link in links if link.startswith("socket:[")}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and fields[9] in sockets:
                yield int(fields[1].rpartition(":")[2], 16)
