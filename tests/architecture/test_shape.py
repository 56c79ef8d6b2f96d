"""The shape of the project, where no tool holds it: contracts name every module, the README names what there is."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from faxgw.cli import COMMANDS, SUMMARIES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()


def test_the_contract_of_the_procedures_names_every_module_of_t30() -> None:
    contracts = {each["name"]: each for each in PROJECT["tool"]["importlinter"]["contracts"]}
    named = contracts["the T.30 procedures never look inside a page"]["source_modules"]
    assert sorted(named) == sorted(f"t30.{path.stem}" for path in (ROOT / "t30").glob("[!_]*.py"))


REACH_THE_NETWORK = [
    *("connection", "leg", "line", "options", "place", "port", "ports", "resolving", "streams", "tls", "transports"),
    *("standing", "trunk", "udp"),
]
"""What of drivers/sip may know a loop, sockets or the environment."""


def test_the_contract_of_sip_without_io_names_every_module_but_those_that_reach_the_network() -> None:
    named = next(
        each["source_modules"]
        for each in PROJECT["tool"]["importlinter"]["contracts"]
        if each["name"].startswith("SIP and T.38 are decided without I/O")
    )
    modules = [path.stem for path in (ROOT / "drivers" / "sip").glob("[!_]*.py")]
    assert sorted([*named, *(f"drivers.sip.{name}" for name in REACH_THE_NETWORK)]) == sorted(
        [*(f"drivers.sip.{name}" for name in modules), *(name for name in named if name.startswith("drivers.t38."))]
    )


@pytest.mark.parametrize("command", ["make demo", "make test", "make interop", "make soak"])
def test_the_readme_and_the_makefile_know_the_same_commands(command: str) -> None:
    assert command in README
    assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_in_the_readme(name: str) -> None:
    module, _, attribute = COMMANDS[name].partition(":")
    assert isinstance(getattr(importlib.import_module(module), attribute), typer.Typer)
    assert f"faxgw {name}" in README or name == "demo"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in ROOT.glob("**/*.md"):
        if ".venv" in page.parts:
            continue
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


@pytest.mark.parametrize(
    "package",
    [
        *("t30", "t30/t4", "drivers", "drivers/class1", "drivers/g711", "drivers/sip", "drivers/t38", "simulators"),
        *("faxgw", "faxgw/rules", "faxgw/store"),
    ],
)
def test_every_package_shows_its_rooms(package: str) -> None:
    text = (ROOT / package / "README.md").read_text()
    modules = [path.stem for path in (ROOT / package).glob("[!_]*.py")]
    assert not [name for name in modules if name not in text]


def test_every_command_is_summed_up_in_the_list_of_commands() -> None:
    assert list(SUMMARIES) == list(COMMANDS)


def test_help_needs_nothing_that_takes_long_to_load() -> None:
    heavy = [
        "numpy",
        "numba",
        "PIL",
        "serial",
        "pydantic",
        "sqlalchemy",
        "fastapi",
        "cryptography",
        "httpx",
        "structlog",
    ]
    code = f"""
import sys
from typer.testing import CliRunner
import faxgw.cli
assert "simulate" in CliRunner().invoke(faxgw.cli.app, ["--help"]).stdout
print([m for m in {heavy} if m in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_file_that_the_security_page_names_is_there() -> None:
    named = re.findall(r"`((?:tests|faxgw|docs)/[\w/.]+)`", (ROOT / "docs" / "security.md").read_text())
    assert named
    assert [each for each in named if not (ROOT / each).exists()] == []
