"""What is told by the clock, and of changes: certificates, retention, the policy, new versions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import delete, insert, select, update

from faxgw.advisories.telling import check
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.notices.due import STEPS, expiry_of, tell_what_is_due
from faxgw.retention.purging import purge
from faxgw.store.tables import parcels, targets, users
from tests.faxgw.advisories.test_feed import NOW as FEED_NOW
from tests.faxgw.advisories.test_watching import Issue, config, feed, issue, watched
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.retention.place import Place

__all__ = ["config", "feed", "issue", "watched"]

MONDAY = datetime(2026, 11, 23, 6, 23, tzinfo=UTC)


async def told(gateway: Gateway, tenant_id: UUID, kind: str) -> list[dict[str, Any]]:
    async with gateway.database.tenant(tenant_id) as connection:
        mine = select(parcels).where(parcels.c.kind == kind).order_by(parcels.c.id)
        return [row._asdict() for row in await connection.execute(mine)]


def certificate(until: datetime, host: str = "") -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "someone@clinic.example")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(7).not_valid_before(until - timedelta(days=400)).not_valid_after(until)
    if host:
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return built.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("days", "step"),
    [(31, None), (30, 30), (29, 30), (28, None), (14, 14), (7, 7), (2, None), (1, 1), (0, 1), (-1, None)],
)
def test_a_certificate_is_told_of_at_its_days_and_on_the_day_after(days: int, step: int | None) -> None:
    expiry = expiry_of("x", certificate(MONDAY + timedelta(days=days, hours=5)))
    assert (expiry.days(MONDAY), expiry.step(MONDAY)) == (days, step)
    assert step is None or step in STEPS


async def test_admins_are_told_once_of_a_targets_certificate_and_not_whose_it_is(
    gateway: Gateway, owner: Person
) -> None:
    pem = certificate(MONDAY + timedelta(days=7, hours=1))
    settings = {"kind": "mail", "address": "a@b.example", "sealing": {"kind": "smime", "certificates": [pem]}}
    row = {"id": new_id(), "tenant_id": owner.tenant_id, "name": "t", "kind": "mail", "settings": settings}
    async with gateway.database.dispatcher() as connection:
        await connection.execute(insert(targets).values(**row))
    for day in range(2):
        await tell_what_is_due(gateway, now=MONDAY + timedelta(days=day))
    (notice,) = await told(gateway, owner.tenant_id, "certificate")
    assert notice["recipient"] == owner.email
    assert notice["data"]["days"] == 7
    assert notice["data"]["target"] == f"{row['id']} (mail)"
    assert "someone" not in str(notice)


async def test_a_certificate_that_was_given_to_the_gateway_is_named_by_its_host(
    gateway: Gateway, owner: Person, tmp_path: Path
) -> None:
    file = tmp_path / "cert.pem"
    file.write_text(certificate(MONDAY + timedelta(days=30), "fax.example.com"))
    api = gateway.config.api.model_copy(update={"certificate": file})
    other = tmp_path / "mail-cert.pem"
    other.write_text(certificate(MONDAY + timedelta(days=1), "mail.example.com"))
    mail = gateway.config.submission.model_copy(update={"certificate": other})
    gateway.config = gateway.config.model_copy(update={"api": api, "submission": mail})
    await tell_what_is_due(gateway, now=MONDAY)
    notices = [each["data"] for each in await told(gateway, owner.tenant_id, "certificate")]
    assert {each["what"]: each["subject"] for each in notices} == {
        "the API": "fax.example.com",
        "the submission server": "mail.example.com",
    }
    file.write_text("no certificate")
    await tell_what_is_due(gateway, now=MONDAY)


async def test_on_mondays_admins_hear_how_many_faxes_went_and_how_many_will(gateway: Gateway, owner: Person) -> None:
    place = Place(gateway, owner.tenant_id, owner.key_pair, owner.user_id, owner.box_id)
    await place.set_policy(retention={"days": 30})
    for age in (32, 31, 29, 24, 22):
        await place.add_fax(created=MONDAY - timedelta(days=age))
    await purge(gateway, now=MONDAY)
    await tell_what_is_due(gateway, now=MONDAY - timedelta(days=1))
    assert await told(gateway, owner.tenant_id, "retention") == []
    for _ in range(2):
        await tell_what_is_due(gateway, now=MONDAY)
    notices = [row["data"] for row in await told(gateway, owner.tenant_id, "retention")]
    assert notices == [
        {"count": 2, "at": "the week until 2026-11-23", "done": True},
        {"count": 2, "at": "2026-11-30", "done": False, "boxes": 1},
    ]


async def test_owners_and_admins_hear_which_switch_was_changed_from_what_to_what(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    admin = await add_person(gateway, owner.tenant_id, role="admin")
    await add_person(gateway, owner.tenant_id, role="member")
    policy = {"allow_forwarding": False, "retention": {"days": 30}, "header": {"text": "+49 30 1234567"}}
    asked = await client.put("/v1/policy", json=policy, headers={"if-match": "*"})
    assert asked.status_code == 200, asked.text
    again = await client.put("/v1/policy", json=policy, headers={"if-match": "*"})
    assert again.status_code == 200
    notices = await told(gateway, owner.tenant_id, "policy")
    assert sorted(each["recipient"] for each in notices) == sorted([owner.email, admin.email])
    changes = {each["name"]: (each["old"], each["new"]) for each in notices[0]["data"]["changes"]}
    assert changes["allow_forwarding"] == ("on", "off")
    assert changes["retention.days"] == ("not set", "30")
    assert changes["header.text"] == ("(changed)", "(changed)")
    assert "1234567" not in str(notices)


@pytest.mark.requirement("XM-24")
async def test_who_subscribed_gets_one_mail_of_a_new_version_and_one_of_an_advisory(
    watched: Gateway, issue: Issue
) -> None:
    subscriber, other = [await add_person(watched) for _ in range(2)]
    async with watched.database.dispatcher() as connection:
        mine = update(users).where(users.c.id == subscriber.user_id)
        await connection.execute(mine.values(notices={"update": True}))
    releases = [{"version": name, "url": f"https://x.example/{name}"} for name in ("0.1.1", "0.2.0", "0.3.0rc1")]
    issue(releases=releases)
    await check(watched, now=FEED_NOW, version="0.1.0")
    found = [row["data"] for row in await told(watched, subscriber.tenant_id, "update")]
    assert [(each["release"], len(each["advisories"])) for each in found] == [("", 1), ("0.2.0", 0)]
    async with watched.database.dispatcher() as connection:
        await connection.execute(delete(parcels))  # as ended notices are, some day
    await check(watched, now=FEED_NOW, version="0.1.0")
    await check(watched, now=FEED_NOW, version="0.2.0")
    assert await told(watched, subscriber.tenant_id, "update") == []
    assert await told(watched, other.tenant_id, "update") == []
