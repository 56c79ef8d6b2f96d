"""A submission server for tests."""

from collections.abc import Iterator
from io import StringIO

import pytest

from faxgw.config.model import LogSettings
from faxgw.logs import logging_to
from tests.faxgw.mail.submission.listening import Listening, listening
from tests.faxgw.mail.submission.probe import until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("submission"), failures_per_minute=10_000) as server:
        yield server


@pytest.fixture
def server(shared: Listening) -> Listening:
    """Return a server whose desk has nothing in its book."""
    until(lambda: not shared.connections)
    desk = shared.desk
    for each in (desk.asked, desk.seen, desk.taken):
        each.clear()
    desk.fault, desk.is_slow = None, False
    desk.noted.clear()
    return shared


@pytest.fixture
def log() -> Iterator[StringIO]:
    stream = StringIO()
    with logging_to(LogSettings(format="json", level="debug"), stream):
        yield stream
