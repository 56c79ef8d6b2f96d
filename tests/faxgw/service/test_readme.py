"""The service as a user starts it: one command, nothing configured, asked with curl as README shows."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faxgw.documents.sample import write_sample
from tests.faxgw.serving import Service, reachable_folder

README = Path(__file__).parents[3] / "README.md"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with reachable_folder() as folder, Service(folder) as running:
        running.start()
        running.set_up()
        yield running


@pytest.mark.slow
def test_the_commands_that_readme_shows_send_a_pdf_and_follow_it_to_delivered(service: Service, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    write_sample(tmp_path / "letter.pdf")
    (shown,) = re.findall(r"```sh\n(export FAXGW_API_KEY=.*?)```", README.read_text(), re.DOTALL)
    script = (
        shown.replace("https://localhost:8443", service.url)
        .replace("faxgw-data/tls/cert.pem", shlex.quote(str(service.certificate)))
        .replace("export FAXGW_API_KEY=fgw_...", f"export FAXGW_API_KEY={service.account['api_key']}")
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    told = re.findall(r"^event: (\S+)$", done.stdout.decode(), re.MULTILINE)
    assert told[0] == "fax.accepted"
    assert told[-1] == "fax.delivered"
    assert told.count("fax.page_sent") == 3
