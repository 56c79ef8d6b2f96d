"""Devices sign in by a secret of their own: what lets them in, what does not, and what is written down of it."""

import string
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log2
from statistics import median
from time import perf_counter_ns

import pytest
from sqlalchemy import update

from faxgw.devices.keeping import revoke, rotate
from faxgw.devices.signing_in import new_secret, sign_in_by_key
from faxgw.gateway import Gateway
from faxgw.store.tables import users
from tests.faxgw.api.people import Person
from tests.faxgw.devices.making import HERE, TLS, change, come, make, row_of

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJMvjlkJq8ENX5mQ4vUMNRJPYsCSUxlyDHM4uvhmzVvI"


async def test_a_device_comes_in_with_its_own_secret_and_no_other(gateway: Gateway, owner: Person) -> None:
    one, secret = await make(gateway, owner, "one")
    _, other = await make(gateway, owner, "other")
    assert (await come(gateway, one.login, secret)) is not None
    for wrong in (other, "", secret[:-1], secret.upper(), secret + " ", "\udc80\0", "x" * 100_000):
        assert await come(gateway, one.login, wrong) is None
    for login in ("", "nobody", one.login + "x", "%", "\0", "\u0130", one.login * 100):
        assert await come(gateway, login, secret) is None
    found = await come(gateway, f"{one.login.upper()}@fax.example", secret)
    assert found is not None
    assert (found.id, found.actor.device_id, found.actor.user_id) == (one.id, one.id, owner.user_id)


async def test_disabled_revoked_or_from_elsewhere_nobody_comes_in(gateway: Gateway, owner: Person) -> None:
    device, secret = await make(gateway, owner, networks=("192.0.2.0/28", "2001:db8::/32"))
    for address, let_in in (
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("192.0.2.16", False),
        ("2001:db9::1", False),
        ("", False),
    ):
        assert (await come(gateway, device.login, secret, address=address) is not None) == let_in, address
    await change(gateway, device.login, enabled=False)
    assert await come(gateway, device.login, secret) is None
    await change(gateway, device.login, enabled=True)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await revoke(connection, device.id)
    assert await come(gateway, device.login, secret) is None
    async with gateway.database.tenant(owner.tenant_id) as connection:
        new = await rotate(connection, gateway.server_keys, device.id)
    assert await come(gateway, device.login, secret) is None
    assert await come(gateway, device.login, new) is not None
    async with gateway.database.dispatcher() as connection:
        gone = update(users).where(users.c.id == owner.user_id).values(deactivated_at=datetime.now(UTC))
        await connection.execute(gone)
    assert await come(gateway, device.login, new) is None


async def test_how_it_came_is_noted_at_once_when_it_is_new_and_else_once_a_minute(
    gateway: Gateway, owner: Person
) -> None:
    device, secret = await make(gateway, owner)
    first = await row_of(gateway, device.login)
    assert (first["seen_tls"], first["seen_address"]) == (TLS, HERE)
    await come(gateway, device.login, secret)
    assert (await row_of(gateway, device.login))["seen_at"] == first["seen_at"]
    await come(gateway, device.login, secret, protocol="TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256")
    changed = await row_of(gateway, device.login)
    assert changed["seen_tls"].startswith("TLSv1.2")
    before = datetime.now(UTC) - timedelta(minutes=2)
    await change(gateway, device.login, seen_at=before)
    await come(gateway, device.login, secret, protocol=changed["seen_tls"])
    assert (await row_of(gateway, device.login))["seen_at"] > before
    await come(gateway, device.login, "wrong", address="192.0.2.99")
    assert (await row_of(gateway, device.login))["seen_address"] == HERE


async def test_an_ssh_key_lets_its_own_device_in_whatever_its_comment(gateway: Gateway, owner: Person) -> None:
    with_key, _ = await make(gateway, owner, "one", ssh_key=f"{KEY} copier@office")
    without, _ = await make(gateway, owner, "two")

    async def by_key(login: str, key: str) -> bool:
        return await sign_in_by_key(gateway.database, login, key, address=HERE, protocol="SSH-2.0") is not None

    assert await by_key(with_key.login, f"{KEY} another comment")
    assert not await by_key(with_key.login, KEY[:-1] + "J")
    assert not await by_key(without.login, KEY)
    assert not await by_key(without.login, "")
    assert not await by_key("nobody", KEY)


def test_secrets_have_160_bits_and_fit_into_the_forms_of_office_machines() -> None:
    made = [new_secret() for _ in range(100)]
    assert len(set(made)) == len(made)
    for each, after in pairwise(made):
        assert len(each) == len(after) <= 32
        assert each.isalnum() or set(each) - set(string.ascii_letters + string.digits) == {"_"}
    assert log2(62) * len(made[0].removeprefix("fgd_")) >= 160


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.requirement("WF-10")
async def test_an_unknown_login_takes_as_long_as_a_wrong_secret(gateway: Gateway, owner: Person) -> None:
    device, _ = await make(gateway, owner)
    wrong = new_secret()

    async def took(login: str) -> int:
        began = perf_counter_ns()
        assert await come(gateway, login, wrong) is None
        return perf_counter_ns() - began

    for _ in range(10):
        await took(device.login)
    pairs = [(await took(device.login), await took("fax-0000000000")) for _ in range(60)]
    known, unknown = (median(each) for each in zip(*pairs, strict=True))
    # Reading a row that is there takes some tens of microseconds more; the network's own time varies by more.
    assert 0.4 < unknown / known < 2.5, (known, unknown)
