"""A tenant of several people with an escrow, who sign in to the API of one gateway."""

from datetime import UTC, datetime

import pytest
import pytest_asyncio

from faxgw.gateway import Gateway
from tests.faxgw.api.conftest import Connect
from tests.faxgw.api.people import Person
from tests.faxgw.escrow.house import House, Rooms
from tests.faxgw.people.conftest import Clock, SignIn, app, client, connect, gateway, owner, settings, sign_in
from tests.faxgw.people.conftest import clock as stopped

__all__ = ["app", "client", "connect", "gateway", "owner", "settings", "sign_in", "stopped"]


@pytest.fixture
def clock(stopped: Clock) -> Clock:
    """Return a clock that says what the database's says: grants end by that one."""
    stopped.now = datetime.now(UTC)
    return stopped


@pytest_asyncio.fixture
async def house(gateway: Gateway, owner: Person, connect: Connect, sign_in: SignIn, clock: Clock) -> House:
    """Return an owner, an admin, three trustees and somebody with a fax in their box; there is no escrow yet."""
    return await House.of(Rooms(gateway, owner, connect, sign_in, clock))
