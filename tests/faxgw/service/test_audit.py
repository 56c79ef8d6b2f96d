"""The audit log of a running service: what was read is there, and its export is verified by the command alone."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.faxgw.service.residue import wait_for
from tests.faxgw.serving import FAXGW, Service

pytestmark = pytest.mark.slow


@pytest.mark.requirement("FP-13")
def test_a_page_that_was_read_is_in_the_log_and_one_altered_row_of_its_export_is_found(
    service: Service, tmp_path: Path
) -> None:
    export, keys, kept = tmp_path / "audit.jsonl", tmp_path / "keys.json", tmp_path / "checkpoint"
    with service.api(service.account["api_key"]) as api:
        fax = api.get("/v1/faxes").json()["items"][-1]["id"]
        assert api.get(f"/v1/faxes/{fax}/pages/1").status_code == 200
        wait_for(lambda: bool(api.get("/v1/audit", params={"object_id": fax, "action": "fax.read"}).json()["items"]))
        kept.write_text(api.get("/v1/audit/checkpoint").json()["note"])
        keys.write_bytes(api.get("/.well-known/audit-keys.json").content)
        export.write_bytes(api.get("/v1/audit:export").content)
    verify = [*FAXGW, "audit", "verify", str(export), "--key", str(keys), "--checkpoint", str(kept), "--json"]
    whole = subprocess.run(verify, capture_output=True, check=True)
    assert json.loads(whole.stdout)["tenant"] == service.account["tenant"]
    assert b"tenant.created" in export.read_bytes()
    export.write_bytes(export.read_bytes().replace(b'"action":"fax.read"', b'"action":"fax.seen"', 1))
    altered = subprocess.run(verify, capture_output=True, check=False)
    said = json.loads(altered.stdout)
    assert (altered.returncode, said["reason"]["code"]) == (1, "audit.altered")
    assert said["reason"]["text"] == f"Row {said['row']} was altered: it has not the hash that stands with it."
