"""Every operation with whatever its description allows, and with what it forbids, by schemathesis over TLS."""

import asyncio
import sys
from pathlib import Path

import pytest

from faxgw.api.access import ACCESS
from faxgw.gateway import Gateway
from tests.faxgw.api.conftest import Serve
from tests.faxgw.api.household import furnish
from tests.faxgw.api.people import PASSWORD, Person

SHORT = ("--phases", "examples,fuzzing", "--max-examples", "1")
SHORT_SEED = 11
"""The short form asks the same every time; what is new is tried in the soak."""
WHOLE = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50")
NOT_IN_THE_SCHEMA = "positive_data_acceptance"
"""Which ids, numbers and times are good ones no schema says, so a well-formed request may be refused all the same."""


PEOPLE = {name for name, access in ACCESS.items() if access.session} | {
    *("create_session", "recover_session", "set_up_person")
}
"""What is for somebody who signs in, not for an API key."""
ENDS = {"end_session", "end_all_sessions"}


@pytest.mark.soak
@pytest.mark.slow
async def test_schemathesis_finds_nothing(
    gateway: Gateway, owner: Person, serving: Serve, tmp_path: Path, *, soak: bool, soak_seed: int
) -> None:
    await furnish(gateway, owner)
    async with serving() as connect:
        base = str(connect(None).base_url)
        signed_in = await connect(None).post("/v1/sessions", json={"email": owner.email, "password": PASSWORD})
        session = f"Bearer {signed_in.json()['token']}"
        cert = gateway.config.data_dir / "tls" / "cert.pem"
        seed = soak_seed if soak else SHORT_SEED
        common: list[str | Path] = ["--tls-verify", cert, "--seed", str(seed), *(WHOLE if soak else SHORT)]
        without = [part for name in PEOPLE for part in ("--exclude-operation-id", name)]
        only = [part for name in PEOPLE - ENDS for part in ("--include-operation-id", name)]
        code, said = await _fuzz(base, owner.headers["authorization"], tmp_path, *common, *without)
        # Most of these ask for a password, which is not found by trying.
        code_of_people, said_of_people = await _fuzz(base, session, tmp_path, *common, *only)
        assert (await connect(owner).get("/v1/self")).status_code == 200
    print(said, said_of_people)
    assert (code, code_of_people) == (0, 0)
    assert "Authentication failed" not in said


async def _fuzz(base: str, authorization: str, folder: Path, *options: str | Path) -> tuple[int | None, str]:
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("schemathesis"), "run", f"{base}/openapi.json"),
        *("--header", f"Authorization: {authorization}", "--header", "Accept: application/json"),
        *("--exclude-checks", NOT_IN_THE_SCHEMA, "--no-color", "--continue-on-failure", *options),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()
