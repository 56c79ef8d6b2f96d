"""One S3 server for all tests of the archive that ask for it."""

from collections.abc import Iterator

import pytest

from tests.faxgw.archive.s3 import S3Server, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """Return a running S3 server."""
    with s3_server() as server:
        yield server
