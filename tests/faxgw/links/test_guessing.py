"""Guesses at links are counted by address, as wrong keys are."""

import pytest

from faxgw.config.model import ApiSettings
from faxgw.gateway import Gateway
from faxgw.links.making import make_link
from tests.faxgw.api.conftest import Connect
from tests.faxgw.api.people import Person
from tests.faxgw.boxes.house import received

GUESSES = 3


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(port=0, failures_per_minute=GUESSES)


async def test_guessing_is_throttled_by_address_and_links_that_were_good_are_no_guesses(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    fax = await received(gateway, owner, spool=True)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        path = await make_link(connection, gateway, fax, hours=1, most=1)
    nobody = connect(None)
    assert (await nobody.post(path)).status_code == 200
    for _ in range(2 * GUESSES):
        assert (await nobody.get(path)).status_code == 404
    for _ in range(GUESSES):
        assert (await nobody.get("/links/fgl_guess")).status_code == 404
    refused = await nobody.get(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "auth.throttled")
