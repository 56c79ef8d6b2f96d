"""What every test may ask for: the peers that Debian ships, the long runs and their seed, how Hypothesis runs."""

import ctypes.util
import gc
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import structlog  # noqa: F401 (keeps the standard output of its first import, which must not be that of one test)
from hypothesis import settings

PROGRAMS = {
    "bwrap": "bubblewrap",
    "postfix": "postfix",
    "proftpd": "proftpd-core",
    "scp": "openssh-client",
    "sftp": "openssh-client",
    "sshd": "openssh-server",
    "swaks": "swaks",
    "testssl": "testssl.sh",
    "efax": "efax",
    "fax2tiff": "libtiff-tools",
    "gs": "ghostscript",
    "jbgtopbm": "jbigkit-bin",
    "jbgtopbm85": "jbigkit-bin",
    "pbmtojbg85": "jbigkit-bin",
    "pdfinfo": "poppler-utils",
    "sipp": "sip-tester",
    "pdfimages": "poppler-utils",
    "pdftoppm": "poppler-utils",
    "soffice": "libreoffice-writer-nogui",
    "tiffcmp": "libtiff-tools",
    "tiffcp": "libtiff-tools",
    "tiffinfo": "libtiff-tools",
    "tshark": "tshark",
}
"""Program -> the Debian package that has it."""

SEARCHED = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/lib/openssh"))
"""Where programs are: servers are not on everybody's path."""

LIBRARIES = {"spandsp": "libspandsp2"}
"""Library, as the linker calls it -> the Debian package that has it."""

UNPACKED = Path(__file__).parents[1] / ".peers"
"""Peers whose packages are not installed but only unpacked."""

CHARTS = Path(__file__).parents[2] / "shared" / "charts"

settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")


def pytest_configure() -> None:
    """Choose the seed of this run once, before xdist starts its workers, which inherit the environment."""
    os.environ.setdefault("FAXGW_SEED", str(random.SystemRandom().randrange(2**31)))


def pytest_collection_finish() -> None:
    """Let nothing that was collected be searched for garbage again and again: that is a sixth of the tests' time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end how to have the same run again."""
    terminalreporter.write_line(f"FAXGW_SEED={os.environ['FAXGW_SEED']}")


@pytest.fixture(scope="session")
def peer() -> Callable[[str], Path]:
    """Return a function that finds a program of ``PROGRAMS``, and skips (or fails, where required) without it."""

    def find(name: str) -> Path:
        package = PROGRAMS[name]
        found = shutil.which(name, path=SEARCHED)
        return Path(found) if found else _lacking(name, package)

    return find


@pytest.fixture(scope="session")
def peer_library() -> Callable[[str], str]:
    """Return a function that finds a library of ``LIBRARIES``; its answer is for ``ctypes.CDLL``."""

    def find(name: str) -> str:
        package = LIBRARIES[name]
        return ctypes.util.find_library(name) or _lacking(f"lib{name}", package)

    return find


@pytest.fixture(scope="session")
def unpacked() -> Callable[[str], Path]:
    """Return a function that finds the files of a peer in ``.peers``, which ``tests/interop/unpack`` fills."""

    def find(name: str) -> Path:
        if os.geteuid() != 0:
            _skip(f"{name} runs as root only")
        found = UNPACKED / name
        return found if found.is_dir() else _skip(f"{name} is not unpacked (run tests/interop/unpack)")

    return find


@pytest.fixture(scope="session")
def soak() -> bool:
    """Return whether the long figures are asked for; a test marked ``soak`` runs short otherwise."""
    return os.environ.get("FAXGW_SOAK") == "1"


@pytest.fixture
def soak_seed() -> int:
    """Return the seed of this run: ``FAXGW_SEED`` where it is set, else a new one, shown with every failure."""
    seed = int(os.environ["FAXGW_SEED"])
    print(f"FAXGW_SEED={seed}")
    return seed


@pytest.fixture(scope="session")
def charts() -> Path:
    """Return the folder of the eight ITU charts, or skip where this checkout has none beside it."""
    if not CHARTS.is_dir():
        pytest.skip("no ../shared/charts beside the repository")
    return CHARTS


def _lacking(name: str, package: str) -> NoReturn:
    _skip(f"{name} is not installed (Debian package {package})")


def _skip(reason: str) -> NoReturn:
    """Skip the test, or fail it where every peer is required."""
    if os.environ.get("FAXGW_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
