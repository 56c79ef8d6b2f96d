"""Faxes to mailboxes: the content over a way that is good enough, else a link or word of it, else nothing at all."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import pkcs7_decrypt_der
from sqlalchemy import func, select, update

from faxgw.delivery import carrying, queue
from faxgw.delivery.carrier import NotCarried, NotProtected, Proof, Refused, Unreachable
from faxgw.delivery.carriers import carrier_for
from faxgw.delivery.ending import end_try
from faxgw.delivery.setting_up import try_out
from faxgw.delivery.targets import SETTINGS, Target
from faxgw.delivery.waits import WAITS
from faxgw.gateway import Gateway
from faxgw.mail.sending.postman import Ports, Postman
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import copies, faxes, links, parcels
from tests.faxgw.api.people import Person, add_person, drawn_page
from tests.faxgw.boxes.house import received, set_policy
from tests.faxgw.delivery.making import holder
from tests.faxgw.delivery.shelf import add_target
from tests.faxgw.mail.sending.far_hosts import Host
from tests.faxgw.mail.sending.far_side import FarSide
from tests.faxgw.mail.sending.reading import nothing_in_clear, read

DRAWN = [drawn_page(1), drawn_page(2)]
BAA = {"hipaa": True, "baa": {"partner": "Example Hosting Ltd.", "signed_on": "2026-02-01"}}
OWN, FOREIGN = "mx.clinic.example", "mx.elsewhere.test"
URL = "https://fax.gateway.example"


@dataclass
class Site:
    """A gateway with a tenant and a fax in its box, and a mailbox at ``clinic.example``."""

    gateway: Gateway
    far: FarSide
    person: Person
    fax: UUID

    async def carry(self, **settings: Any) -> Proof:
        """Carry the fax to a mailbox with these settings, as the courier does."""
        tenant_id = self.person.tenant_id
        address = {"address": "fax@clinic.example", **settings}
        target = await add_target(self.gateway, tenant_id, uuid4().hex, "mail", **address)
        async with self.gateway.database.dispatcher() as connection:
            given = {"fax_id": self.fax, "target_id": target, "format": "tiff"}
            await queue.put(connection, tenant_id, queue.FAX, str(target), **given)
        return await self.try_again(target)

    async def try_again(self, target: UUID) -> Proof:
        """Carry what waits for a mailbox."""
        if self.gateway.postman is None:
            ports = Ports(self.far.zones.port, self.far.smtp, self.far.policies.port)
            self.gateway.postman = Postman(self.gateway.config, ports)
        async with self.gateway.database.dispatcher() as connection:
            await connection.execute(update(parcels).values(next_at=func.now()))
        async with self.gateway.database.dispatcher() as connection:
            row = await queue.claim(connection, target, lease=60)
        assert row is not None
        try:
            came: Any = await carrying.carry(self.gateway, row)
        except NotCarried as fault:
            came = fault
        async with self.gateway.database.dispatcher() as connection:
            await end_try(connection, row, came, waits=WAITS)
        if isinstance(came, NotCarried):
            raise came
        proof: Proof = came.proof
        return proof

    async def parcel(self, *columns: Any) -> Any:
        """Return columns of the only parcel with a fax, and of that fax."""
        async with self.gateway.database.dispatcher() as connection:
            found = select(*columns).select_from(parcels.join(faxes, faxes.c.id == parcels.c.fax_id))
            return (await connection.execute(found.where(parcels.c.kind == queue.FAX))).one()

    async def copies(self) -> list[str]:
        """Return where the ledger says that copies in mailboxes are."""
        async with self.gateway.database.dispatcher() as connection:
            found = select(copies.c.location).where(copies.c.kind == "mail")
            return list((await connection.execute(found)).scalars())

    async def links(self) -> int:
        async with self.gateway.database.dispatcher() as connection:
            return int(await connection.scalar(select(func.count()).select_from(links)) or 0)


@pytest_asyncio.fixture
async def site(far: FarSide, database: Database) -> AsyncIterator[Site]:
    whole = far.config(direct=True).model_dump()
    config = type(far.config()).model_validate({**whole, "lines": (), "people": {"url": URL}})
    async with open_gateway(config, database.urls) as gateway:
        person = await add_person(gateway)
        yield Site(gateway, far, person, await received(gateway, person, DRAWN, spool=True))


def words_only(host: Host) -> Any:
    """Return the one message that a host got, which has no content and no full number."""
    (message,) = host.messages
    found = read(message)
    assert found.get_content_type() == "text/plain"
    assert "+493012345" not in found.as_string() and "+15550199" not in found.as_string()
    return found


@pytest.mark.requirement("WF-06", "WF-16")
async def test_a_fax_goes_to_a_mailbox_as_an_attachment_with_masked_numbers(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", OWN)
    proof = await site.carry()
    parcel = await site.parcel(parcels.c.id, parcels.c.state, parcels.c.sha256, parcels.c.proof)
    assert proof.verified and proof.content and proof.decision == "require-verified by default: own-name"
    assert not proof.path and proof.place == "fax@clinic.example"
    message = read(host.messages[0])
    (attached,) = message.iter_attachments()
    assert attached.get_content_type() == "image/tiff" and attached.get_content()[:4] == b"II*\0"
    assert message["Message-ID"] == f"<{parcel.id}@gateway.example>"
    assert (parcel.state, parcel.sha256) == ("delivered", hashlib.sha256(attached.get_content()).digest())
    assert parcel.proof == proof.as_json()
    assert await site.copies() == ["fax@clinic.example"]
    assert message["Subject"] == "Fax from +49…45, 2 pages"
    assert "3012345" not in message.as_string()
    nothing_in_clear(host)


@pytest.mark.parametrize(("name", "expected"), [(OWN, ""), (FOREIGN, "mail.not_protected")])
async def test_a_mailbox_is_tried_out_by_how_it_can_be_reached_and_gets_no_mail(
    site: Site, name: str, expected: str
) -> None:
    host = await site.far.of_domain("clinic.example", name)
    ports = Ports(site.far.zones.port, site.far.smtp, site.far.policies.port)
    site.gateway.postman = Postman(site.gateway.config, ports)
    settings = SETTINGS.validate_python({"kind": "mail", "address": "fax@clinic.example"})
    tried = await try_out(site.gateway, Target(uuid4(), site.person.tenant_id, "desk", settings))
    assert (tried.fault.code if tried.fault else "") == expected
    assert expected or (tried.proof is not None and tried.proof.verified)
    assert host.messages == []


@pytest.mark.requirement("WF-06", "WF-16")
async def test_a_way_that_is_only_encrypted_gets_word_of_a_fax_and_nothing_that_opens_it(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", FOREIGN)
    proof = await site.carry()
    assert not proof.content and not proof.verified
    assert proof.decision == "link-only by default, notice: encrypted, not verified"
    text = words_only(host).get_content()
    assert f"Sign in to the gateway to read it: {URL}" in text and "/links/" not in text
    assert not await site.links() and not await site.copies(), "what never left is no copy"
    assert (await site.parcel(parcels.c.state, parcels.c.sha256)) == ("delivered", b"")


async def test_a_policy_that_asks_for_encryption_only_lets_content_go_there(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", FOREIGN)
    await set_policy(site.gateway, site.person.tenant_id, mail={"protection": "require-encrypted"})
    proof = await site.carry()
    assert proof.content and proof.decision == "require-encrypted by default: encrypted, not verified"
    assert list(read(host.messages[0]).iter_attachments())


@pytest.mark.requirement("WF-06")
async def test_where_no_content_may_go_a_link_goes_over_a_verified_way(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", OWN, extensions=("REQUIRETLS",))
    proof = await site.carry(protection="link-only", link_hours=2, link_openings=1)
    assert proof.verified and not proof.content and proof.decision == "link-only by target, link: own-name"
    text = words_only(host).get_content()
    assert f"{URL}/links/" in text and "2 hours" in text and "once" in text
    assert await site.links() == 1 and host.connections == 1
    assert host.envelopes[0][0].endswith("REQUIRETLS")


@pytest.mark.requirement("WF-06")
async def test_a_link_does_not_go_over_a_way_that_is_only_encrypted(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", FOREIGN)
    proof = await site.carry(protection="link-only")
    assert proof.decision == "link-only by target, notice: encrypted, not verified"
    assert "/links/" not in words_only(host).get_content()
    assert not await site.links(), "no link is made that nobody gets"


@pytest.mark.requirement("WF-15")
async def test_health_records_go_to_attested_mailboxes_only(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", OWN)
    await set_policy(site.gateway, site.person.tenant_id, mail={**BAA, "protection": "require-encrypted"})
    proof = await site.carry()
    assert proof.decision == "link-only by hipaa, link: own-name"
    words_only(host)
    host.messages.clear()
    site.fax = await received(site.gateway, site.person, DRAWN, spool=True)
    assert (await site.carry(baa_attested=True)).decision == "require-verified by hipaa: own-name"
    assert list(read(host.messages[0]).iter_attachments())


@pytest.mark.requirement("WF-16", "XM-17")
@pytest.mark.parametrize("protection", ["require-verified", "require-encrypted", "link-only"])
async def test_without_tls_nothing_goes_not_even_word_of_a_fax(site: Site, protection: str) -> None:
    host = await site.far.of_domain("clinic.example", OWN, strips=True)
    with pytest.raises(NotProtected):
        await site.carry(protection=protection)
    assert not host.messages and not await site.links()
    assert await site.parcel(parcels.c.state, parcels.c.code) == ("held_no_tls", "mail.not_protected")
    nothing_in_clear(host)


async def test_another_try_is_the_same_message(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", OWN, hangs_up="message")
    with pytest.raises(Unreachable):
        await site.carry()
    first = await site.parcel(parcels.c.id, parcels.c.target_id)
    host.hangs_up = ""
    await site.try_again(first.target_id)
    assert read(host.messages[0])["Message-ID"] == f"<{first.id}@gateway.example>"


@pytest.mark.parametrize("protection", ["require-verified", "require-encrypted"])
async def test_a_fax_that_is_not_stored_stays_if_a_mailbox_has_only_word_of_it(site: Site, protection: str) -> None:
    await site.far.of_domain("clinic.example", FOREIGN)
    async with site.gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).values(storage="none"))
    proof = await site.carry(protection=protection)
    erased = (await site.parcel(faxes.c.erase_at)).erase_at is not None
    assert erased == proof.content == (protection == "require-encrypted")


async def test_a_mailbox_with_certificates_gets_a_message_encrypted_as_a_whole(site: Site) -> None:
    host = await site.far.of_domain("clinic.example", OWN)
    reader = holder()
    await site.carry(sealing={"kind": "smime", "certificates": [reader.certificate]})
    message = read(host.messages[0])
    assert message.get_content_type() == "application/pkcs7-mime"
    certificate = x509.load_pem_x509_certificate(reader.certificate.encode())
    key: Any = load_pem_private_key(reader.key.encode(), None)
    sealed: Any = message.get_payload(decode=True)
    inside = read(pkcs7_decrypt_der(sealed, certificate, key, []))
    assert inside.get_content_type() == "image/tiff"


async def test_a_mail_is_not_taken_back(site: Site) -> None:
    target = Target(
        uuid4(), site.person.tenant_id, "x", SETTINGS.validate_python({"kind": "mail", "address": "a@b.example"})
    )
    with pytest.raises(Refused, match="cannot be taken back") as told:
        await carrier_for(target, site.gateway).take_back("x", b"")
    assert told.value.code == "mail.sent"
