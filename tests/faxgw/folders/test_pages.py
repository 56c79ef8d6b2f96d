"""The pages about folders say what is in the code."""

import json
import re
import tomllib
from pathlib import Path
from uuid import uuid4

import asyncssh
import pytest

from faxgw.api.codes import CODES
from faxgw.config.folders import DeliverySettings
from faxgw.delivery.carriers import CARRIERS, carrier_for
from faxgw.delivery.protection import check_sealing
from faxgw.delivery.setting_up import TargetRequest
from faxgw.delivery.targets import Target, TargetSecret
from faxgw.folders.carrying import FolderCarrier
from faxgw.folders.checking import check
from tests.faxgw.folders.sending import gateway

ROOT = Path(__file__).parents[3]
FOLDERS = ROOT / "faxgw" / "folders"
RAISED = re.compile(r"\b(Unreachable|Refused|NotProtected|RequestError)\(\s*\"((?:delivery|target)\.\w+)\"")
ROW = re.compile(r"^\| `(delivery\.\w+)` \| `(\w+)` \|", re.MULTILINE)


def raised() -> set[tuple[str, str]]:
    return {(code, kind) for path in FOLDERS.glob("*.py") for kind, code in RAISED.findall(path.read_text())}


def test_every_code_that_a_carrier_has_is_in_the_table_and_no_other() -> None:
    rows = ROW.findall((FOLDERS / "README.md").read_text())
    assert sorted(rows) == sorted(pair for pair in raised() if pair[1] != "RequestError")


@pytest.mark.parametrize("code", sorted(code for code, kind in raised() if kind == "RequestError"))
def test_every_mistake_in_a_target_is_a_problem_of_the_api(code: str) -> None:
    assert code in CODES
    assert f"`{code}`" in (FOLDERS / "README.md").read_text()


def test_the_readme_has_a_row_for_every_module() -> None:
    text = (FOLDERS / "README.md").read_text()
    assert [path.name for path in FOLDERS.glob("[!_]*.py") if f"| `{path.name}` |" not in text] == []


PAGE = (ROOT / "docs" / "targets.md").read_text()
TARGETS = re.findall(r"<!-- target -->\n```json\n(.*?)```", PAGE, re.DOTALL)
CONFIGURED = re.findall(r"<!-- configuration -->\n```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_an_example_of_every_kind_of_folder() -> None:
    kinds = {json.loads(each)["settings"]["kind"] for each in TARGETS}
    assert kinds == set(CARRIERS) - {"mail"}
    assert {f"| `{kind}` |" in PAGE for kind in kinds} == {True}


@pytest.mark.parametrize("text", TARGETS)
def test_every_target_of_the_page_is_one_that_is_taken(text: str) -> None:
    tenant = uuid4()
    own = json.dumps(asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode())
    asked = TargetRequest.model_validate_json(text.replace('"PRIVATE KEY"', own).replace("TENANT", str(tenant)))
    rules = DeliverySettings.model_validate(tomllib.loads(CONFIGURED[0])["delivery"])
    made = Target(uuid4(), tenant, asked.name, asked.settings, asked.secret or TargetSecret())
    check(made, rules)
    check_sealing(made.settings, made.secret)


@pytest.mark.parametrize("text", CONFIGURED)
def test_every_setting_of_the_page_is_one(text: str) -> None:
    DeliverySettings.model_validate(tomllib.loads(text)["delivery"])


def test_every_code_of_the_page_is_one() -> None:
    named = set(re.findall(r"`((?:delivery|target)\.\w+)`", PAGE))
    assert named
    assert named <= {code for code, _ in raised()} | {"target.plain_ftp"}


@pytest.mark.parametrize("text", TARGETS)
def test_every_target_of_the_page_has_a_carrier_that_can_be_tried_out(text: str) -> None:
    asked = TargetRequest.model_validate_json(text)
    carrier = carrier_for(Target(uuid4(), uuid4(), asked.name, asked.settings), gateway())
    assert isinstance(carrier, FolderCarrier)
    assert carrier.origin.startswith(("file://", f"{asked.settings.kind}://"))
