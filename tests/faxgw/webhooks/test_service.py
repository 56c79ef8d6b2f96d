"""What people do with webhooks, and what nobody is told of them."""

from pathlib import Path
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy import func, insert, select, text, update

from faxgw.actor import Actor
from faxgw.errors import RequestError
from faxgw.keys.tokens import SmallSealBroken
from faxgw.store.database import Database
from faxgw.store.tables import deliveries, events, webhooks
from faxgw.webhooks import service
from faxgw.webhooks.enqueue import MAX_WEBHOOKS, enqueue_each
from faxgw.webhooks.patterns import FAMILIES
from faxgw.webhooks.secrets import opened
from faxgw.webhooks.service import WebhookRequest
from faxgw.webhooks.signing import shown
from tests.faxgw.databases import add_tenant
from tests.faxgw.webhooks.making import Parts, add_fax, add_webhook, parts, person, rows, tell

URL = "https://hooks.example/in"


@pytest.fixture
def gateway(tmp_path: Path) -> Parts:
    return parts(tmp_path)


@pytest.fixture
async def actor(database: Database, tenant: UUID) -> Actor:
    return await person(database, tenant)


async def test_a_secret_is_shown_once_and_stored_sealed_to_its_webhook(
    database: Database, gateway: Parts, actor: Actor
) -> None:
    webhook_id, secret = await add_webhook(database, gateway, actor, URL)
    other_id, _ = await add_webhook(database, gateway, actor, URL)
    async with database.dispatcher() as connection:
        found = await connection.scalars(select(webhooks.c.secret).where(webhooks.c.id == webhook_id))
        stored: bytes = found.one()
    assert shown(opened(gateway.server_keys, webhook_id, stored)) == secret
    with pytest.raises(SmallSealBroken):
        opened(gateway.server_keys, other_id, stored)
    assert {"secret", "old_secret"}.isdisjoint(column.name for column in service.SHOWN)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"url": "https://10.1.2.3/"}, "webhook.address"),
        ({"url": "ftp://hooks.example/"}, "webhook.url"),
        ({"url": URL, "events": ["fax.*", "fax.nothing"]}, "webhook.events"),
        ({"url": URL, "events": ["webhook.test"]}, "webhook.events"),
    ],
)
async def test_what_could_never_work_is_refused(
    database: Database, gateway: Parts, actor: Actor, request_: dict[str, object], code: str
) -> None:
    request = WebhookRequest.model_validate(request_)
    webhook_id, _ = await add_webhook(database, gateway, actor, URL)
    async with database.tenant(actor.tenant_id) as connection:
        with pytest.raises(RequestError) as refused:
            await service.create(connection, gateway, actor, request)
        assert refused.value.code == code
        with pytest.raises(RequestError):
            await service.change(connection, gateway, webhook_id, request, version=1)
        assert await connection.scalar(select(func.count()).select_from(webhooks)) == 1


@pytest.mark.parametrize("wrong", [{"events": []}, {"signature": "v2"}, {"secret": "mine"}, {"url": None}])
def test_a_request_says_what_is_known_and_nothing_else(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebhookRequest.model_validate({"url": URL} | wrong)


def test_each_family_of_events_can_be_asked_for() -> None:
    assert FAMILIES == ("delivery.*", "device.*", "escrow.*", "fax.*", "retention.*", "service.*")


async def test_there_may_be_as_many_webhooks_as_one_event_reaches(
    database: Database, gateway: Parts, actor: Actor
) -> None:
    for _ in range(MAX_WEBHOOKS):
        await add_webhook(database, gateway, actor, URL)
    with pytest.raises(RequestError) as refused:
        await add_webhook(database, gateway, actor, URL)
    assert refused.value.code == "webhook.too_many"
    await tell(database, actor, await add_fax(database, actor))
    assert len({row["webhook_id"] for row in await rows(database)}) == MAX_WEBHOOKS


async def test_another_tenant_can_do_nothing_to_a_webhook(database: Database, gateway: Parts, actor: Actor) -> None:
    webhook_id, _ = await add_webhook(database, gateway, actor, URL)
    await tell(database, actor, await add_fax(database, actor))
    (delivery,) = await rows(database)
    async with database.dispatcher() as connection:
        await connection.execute(update(deliveries).values(state="failed"))
    async with database.tenant(await add_tenant(database, "other")) as connection:
        assert await service.rotate(connection, gateway, webhook_id, hours=1) is None
        assert await service.test(connection, webhook_id) is None
        assert not await service.replay(connection, webhook_id, delivery["id"])
        assert not await service.replay_failed(connection, webhook_id, delivery["created_at"])
        assert await service.change(connection, gateway, webhook_id, WebhookRequest(url=URL), version=1) is None


async def test_what_cannot_be_done_is_said(database: Database, gateway: Parts, actor: Actor) -> None:
    signed, _ = await add_webhook(database, gateway, actor, URL, signature="v1a")
    disabled, _ = await add_webhook(database, gateway, actor, URL, enabled=False)
    async with database.tenant(actor.tenant_id) as connection:
        for call, code in (
            (service.rotate(connection, gateway, signed, hours=1), "webhook.signature"),
            (service.rotate(connection, gateway, disabled, hours=-1), "webhook.overlap"),
            (service.rotate(connection, gateway, disabled, hours=169), "webhook.overlap"),
            (service.test(connection, disabled), "webhook.disabled"),
        ):
            with pytest.raises(RequestError) as refused:
                await call
            assert refused.value.code == code


async def test_a_delivery_that_is_still_on_its_way_is_not_replayed(
    database: Database, gateway: Parts, actor: Actor
) -> None:
    webhook_id, _ = await add_webhook(database, gateway, actor, URL)
    await tell(database, actor, await add_fax(database, actor))
    (row,) = await rows(database)
    async with database.tenant(actor.tenant_id) as connection:
        assert not await service.replay(connection, webhook_id, row["id"])


async def test_many_events_are_put_on_their_way_as_one_is(database: Database, gateway: Parts, actor: Actor) -> None:
    asked = {(await add_webhook(database, gateway, actor, URL, events=[each]))[0] for each in ("*", "fax.accepted")}
    await add_webhook(database, gateway, actor, URL, events=["fax.failed"])
    fax = await add_fax(database, actor)
    async with database.tenant(actor.tenant_id) as connection:
        one = {"tenant_id": actor.tenant_id, "fax_id": fax, "type": "fax.accepted", "data": {}}
        new = insert(events).values([one] * 500).returning(events.c.id)
        ids = (await connection.scalars(new)).all()
        await enqueue_each(connection, tenant_id=actor.tenant_id, event_ids=ids, type="fax.accepted")
    made = await rows(database)
    assert {(row["webhook_id"], row["event_id"]) for row in made} == {(hook, each) for hook in asked for each in ids}
    assert len(made) == 1000
    assert all(row["next_at"] is not None for row in made)
    async with database.dispatcher() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 1
