"""Notices by mail: the way of faxes, with its TLS, or none at all."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from faxgw.config.model import PeopleSettings
from faxgw.delivery.carrier import NotProtected, Proof, Unreachable
from faxgw.gateway import Gateway
from faxgw.mail.sending.postman import Postman
from faxgw.notices.choosing import Stop
from faxgw.notices.sending import NoticeCarrier
from faxgw.notices.telling import Recipient, Role, notify
from faxgw.store.tables import parcels
from tests.faxgw.api.conftest import Connect
from tests.faxgw.api.people import Person
from tests.faxgw.boxes.house import set_policy
from tests.faxgw.mail.sending.far_hosts import Host
from tests.faxgw.mail.sending.far_side import FarSide, far_side
from tests.faxgw.mail.sending.reading import nothing_in_clear, read

POLICY = {"changes": [{"name": "allow_forwarding", "old": "on", "new": "off"}], "at": "2026-11-22 10:00 UTC"}
RESULT = {"fax": "0190", "number": "+49301234567", "state": "delivered", "at": "2026-11-22 10:00 UTC"}


@dataclass
class Sender:
    """A gateway whose mail goes to a smarthost of the test."""

    gateway: Gateway
    far: FarSide
    tenant: Any

    async def by(self, **how: Any) -> Host:
        """Have mail go by a smarthost."""
        host, port = await self.far.host(**how)
        self.gateway.postman = await self.far.by_smarthost(port)
        return host

    async def send(self, to: Recipient, kind: str = "policy", data: dict[str, Any] = POLICY) -> Proof:
        """Tell somebody something, and carry it as the courier does."""
        async with self.gateway.database.dispatcher() as connection:
            await notify(connection, self.tenant, kind=kind, key="k", to=to, data=data)
            row = (await connection.execute(select(parcels))).mappings().one()
        return await NoticeCarrier(self.gateway).carry(row)


@pytest_asyncio.fixture
async def sender(gateway: Gateway, owner: Person, tmp_path: Path) -> AsyncIterator[Sender]:
    url = PeopleSettings(url="https://fax.example.com")
    gateway.config = gateway.config.model_copy(update={"people": url})
    async with far_side(tmp_path) as far:
        yield Sender(gateway, far, owner.tenant_id)


@pytest.mark.requirement("XM-17", "XM-24")
async def test_a_notice_goes_by_tls_and_its_header_stops_such_notices_with_one_click(
    sender: Sender, owner: Person, connect: Connect
) -> None:
    host = await sender.by()
    proof = await sender.send(Role.OWNERS)
    assert (proof.protocol, proof.verified) == ("TLSv1.3", True)
    assert proof.decision == "require-verified by default: smarthost"
    message = read(host.messages[0])
    assert message["Subject"] == "Your organisation's fax policy was changed"
    assert message["To"] == owner.email
    token = Stop(owner.user_id, "policy").token(sender.gateway.server_keys)
    link = f"https://fax.example.com/notices/stop/{token}"
    assert message["List-Unsubscribe"] == f"<{link}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in message.get_content()
    nothing_in_clear(host)
    path = link.removeprefix("https://fax.example.com")
    done = await connect(None).post(path, data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert (await connect(owner).get("/v1/me/notices")).json()["policy"] is False


@pytest.mark.requirement("XM-17")
async def test_somebody_outside_and_what_cannot_be_stopped_gets_no_such_address(sender: Sender) -> None:
    host = await sender.by()
    await sender.send("mfp@clinic.example", "result", RESULT)
    message = read(host.messages[0])
    assert message["List-Unsubscribe"] is None
    assert "1234567" not in host.messages[0].decode()
    assert "Your fax to +49…67 has been delivered." in message.get_content()


@pytest.mark.requirement("XM-17")
@pytest.mark.parametrize(
    "how",
    [{"strips": True}, {"refuses_tls": "454 4.7.0 not now"}, {"hangs_up": "handshake"}],
    ids=["stripped", "refused", "no handshake"],
)
@pytest.mark.parametrize("protection", ["require-verified", "require-encrypted", "link-only"])
async def test_a_downgraded_relay_gets_nothing_of_a_notice_whatever_the_policy(
    sender: Sender, how: dict[str, Any], protection: str
) -> None:
    await set_policy(sender.gateway, sender.tenant, mail={"protection": protection})
    host = await sender.by(**how)
    with pytest.raises((NotProtected, Unreachable)):
        await sender.send(Role.OWNERS)
    assert host.messages == []
    assert b"policy" not in host.clear
    nothing_in_clear(host)


async def test_a_stripped_relay_means_held_and_not_failed(sender: Sender) -> None:
    await sender.by(strips=True)
    with pytest.raises(NotProtected):
        await sender.send(Role.OWNERS)


async def test_a_gateway_without_a_route_sends_no_notice(sender: Sender) -> None:
    sender.gateway.postman = Postman(sender.gateway.config)
    with pytest.raises(Unreachable) as told:
        await sender.send(Role.OWNERS)
    assert told.value.code == "mail.no_route"
