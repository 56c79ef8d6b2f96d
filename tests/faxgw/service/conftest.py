"""A started service with two tenants, each of which has sent a fax; it takes small uploads only."""

from collections.abc import Iterator

import pytest

from faxgw.documents.tiff import tiff_octets
from tests.faxgw.service.residue import noise
from tests.faxgw.serving import Service, ended, reachable_folder, send, upload

LIMIT = 1 << 20
CONFIG = f"""
[api]
max_body = {LIMIT}
failures_per_minute = 10000
[rendering]
memory = "256MiB"
"""


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Return the service; it writes its temporary files below its own folder."""
    with reachable_folder() as folder:
        (folder / "tmp").mkdir()
        with Service(folder, environment={"TMPDIR": str(folder / "tmp")}, config=CONFIG) as running:
            running.start()
            for tenant in ("acme", "other"):
                with running.api(running.set_up(tenant, f"owner@{tenant}.example")["api_key"]) as api:
                    ended(api, send(api, "+15550100", upload(api, tiff_octets([noise(21)]))))
            yield running
