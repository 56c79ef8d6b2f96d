"""Every operation with whatever its description allows, and with what it forbids, by schemathesis over TLS."""

import asyncio
import sys
from pathlib import Path

import pytest

from faxgw.gateway import Gateway
from tests.faxgw.api.conftest import Serve
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import Person

SHORT = ("--phases", "examples,fuzzing", "--max-examples", "1")
WHOLE = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50")
NOT_IN_THE_SCHEMA = "positive_data_acceptance"
"""Which ids, numbers and times are good ones no schema says, so a well-formed request may be refused all the same."""


@pytest.mark.soak
async def test_schemathesis_finds_nothing(
    gateway: Gateway, owner: Person, serving: Serve, tmp_path: Path, *, soak: bool, soak_seed: int
) -> None:
    await furnish(gateway, owner)
    async with serving() as connect:
        command: list[str | Path] = [
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{connect(None).base_url}/openapi.json"),
            *("--header", f"Authorization: {owner.headers['authorization']}", "--header", "Accept: application/json"),
            *("--tls-verify", gateway.config.data_dir / "tls" / "cert.pem"),
            *("--exclude-checks", NOT_IN_THE_SCHEMA, "--seed", str(soak_seed), "--no-color", "--continue-on-failure"),
            *(WHOLE if soak else SHORT),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert (await connect(owner).get("/v1/self")).status_code == 200
    print(said.decode())
    assert process.returncode == 0
    assert "Authentication failed" not in said.decode()
