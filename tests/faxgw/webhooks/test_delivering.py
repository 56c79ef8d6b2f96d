"""Events on their way to real TLS receivers: what arrives, what is sent again, who holds up whom."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import RowMapping, func, select, text, update
from standardwebhooks.webhooks import Webhook

from faxgw.actor import Actor
from faxgw.model import EventType
from faxgw.store.database import Database
from faxgw.store.tables import audit_waiting, deliveries, webhooks
from faxgw.tasks.worker import Pace, make_app, work
from faxgw.webhooks import claiming, delivering, service, signing
from tests.faxgw.databases import add_tenant
from tests.faxgw.webhooks import receiver
from tests.faxgw.webhooks.making import Parts, add_fax, add_webhook, courier, parts, person, put_on_its_way, rows, tell
from tests.faxgw.webhooks.receiver import NAME, Authority, receiving, status

LIMIT = 8.0
NEVER = (1000.0,)
AT_ONCE = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def gateway(tmp_path: Path) -> Parts:
    return parts(tmp_path)


@pytest.fixture
async def actor(database: Database, tenant: UUID) -> Actor:
    return await person(database, tenant)


@asynccontextmanager
async def running(
    database: Database, gateway: Parts, authority: Authority, *, waits: Sequence[float] = NEVER, seconds: float = 5.0
) -> AsyncGenerator[None]:
    """Run what a node runs: the worker of the tasks, and the courier."""
    carries = courier(database, gateway, authority.certificate, waits=waits, seconds=seconds)
    app = make_app(database.urls.dispatcher, {"webhooks": delivering.tasks()})
    both = [
        asyncio.create_task(carries.run()),
        asyncio.create_task(work(app, context={"courier": carries}, concurrency=4, pace=Pace())),
    ]
    try:
        yield
    finally:
        for each in both:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT):
        while not await condition():  # noqa: ASYNC110 (what is waited for happens in the database)
            await asyncio.sleep(0.02)


async def states(database: Database, *wanted: str) -> None:
    async def reached() -> bool:
        return [row["state"] for row in await rows(database)] == list(wanted)

    await until(reached)


async def test_an_event_arrives_signed_and_thin(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor, reason_code="call.busy")
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority):
        _, secret = await add_webhook(database, gateway, actor, taken.url())
        said = {"state": "sending", "page": 2, "pages": 3, "seconds": 12.9, "remote_id": "+49 30 1"}
        event_id = await tell(database, actor, fax, EventType.PAGE_SENT, said)
        await states(database, "succeeded")
    (message,) = taken.messages
    body = Webhook(secret).verify(message.body, message.headers)
    data = body.pop("data")
    assert body == {"type": "fax.page_sent", "timestamp": body["timestamp"]}
    assert abs(datetime.fromisoformat(body["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert data.pop("fax") == str(fax)
    assert UUID(data.pop("box"))
    assert data == {
        **{"event": event_id, "direction": "out", "batch": None},
        **{"state": "sending", "page": 2, "pages": 3},
    }
    (row,) = await rows(database)
    assert message.headers["webhook-id"] == str(row["id"])
    assert (row["tries"], row["status"], row["error"], row["next_at"]) == (1, 200, "", None)


async def test_a_webhook_that_asks_for_more_gets_numbers_and_reason(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor, reason_code="call.busy", reason_text="busy", labels={"case": "7"})
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority):
        await add_webhook(database, gateway, actor, taken.url(), full=True)
        await tell(database, actor, fax, EventType.FAILED, {"state": "failed", "rate": 9600})
        await states(database, "succeeded")
    data = json.loads(taken.messages[0].body)["data"]
    assert {key: data[key] for key in ("from", "to", "remote_id", "reason", "labels", "rate")} == {
        **{"from": "", "to": "+15550100", "remote_id": "THEIRS", "rate": 9600},
        **{"reason": {"code": "call.busy", "text": "busy"}, "labels": {"case": "7"}},
    }


async def test_a_webhook_without_a_secret_is_signed_by_the_published_key(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority):
        _, secret = await add_webhook(database, gateway, actor, taken.url(), signature="v1a")
        await tell(database, actor, fax)
        await states(database, "succeeded")
    assert secret == ""
    (message,) = taken.messages
    (published,) = signing.public_keys(gateway.server_keys.signing.public_key())["keys"]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(published["whpk"].removeprefix("whpk_")))
    version, _, signature = message.headers["webhook-signature"].partition(",")
    stamp = f"{message.headers['webhook-id']}.{message.headers['webhook-timestamp']}."
    key.verify(base64.b64decode(signature), stamp.encode() + message.body)
    assert version == "v1a"


async def test_it_goes_to_every_webhook_that_asks_for_it_and_to_no_other(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    stranger = await person(database, await add_tenant(database, "other"))
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority):
        for path, whose, asked in (
            ("/all", actor, ["*"]),
            ("/family", actor, ["fax.*"]),
            ("/it", actor, ["fax.failed", "fax.delivered"]),
            ("/other", actor, ["fax.failed"]),
            ("/stranger", stranger, ["*"]),
        ):
            await add_webhook(database, gateway, whose, taken.url(path=path), events=asked)
        await add_webhook(database, gateway, actor, taken.url(path="/disabled"), enabled=False)
        await tell(database, actor, fax)
        await states(database, *["succeeded"] * 3)
    assert sorted(message.path for message in taken.messages) == ["/all", "/family", "/it"]


async def test_an_event_of_a_transaction_that_is_rolled_back_is_told_to_nobody(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    await add_webhook(database, gateway, actor, "https://hooks.example/")
    with pytest.raises(ZeroDivisionError):
        async with database.tenant(actor.tenant_id) as connection:
            await service.test(connection, (await connection.scalars(select(webhooks.c.id))).one())
            raise ZeroDivisionError
    assert not await rows(database)


async def test_what_fails_is_sent_again_under_the_same_id_with_the_same_body_until_it_succeeds(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority, waits=AT_ONCE):
        taken.answers = [status(503), status(302, f"Location: {taken.url(path='/there')}"), status(404)]
        await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, fax)
        await states(database, "succeeded")
    (row,) = await rows(database)
    assert (row["tries"], len(taken.messages)) == (4, 4)
    assert len({(each.path, each.headers["webhook-id"], each.body) for each in taken.messages}) == 1


async def test_after_the_last_try_it_has_failed_and_says_why(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority, waits=AT_ONCE):
        taken.answers = [status(500)] * 9
        await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, fax)
        await states(database, "failed")
    (row,) = await rows(database)
    assert (row["tries"], row["status"], row["error"]) == (4, 500, "the receiver answers 500")
    assert row["ended_at"] is not None


def test_tries_go_on_for_a_day_and_further_apart_each_time() -> None:
    assert timedelta(hours=20) < timedelta(seconds=sum(delivering.WAITS)) <= timedelta(hours=24)
    assert all(one < next_one for one, next_one in pairwise(delivering.WAITS))


async def test_a_try_that_went_wrong_is_not_repeated_before_its_time(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority, waits=(100.0,)):
        taken.answers = [status(500)]
        await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, fax)

        async def tried() -> bool:
            return [row["status"] for row in await rows(database)] == [500]

        await until(tried)
        (row,) = await rows(database)
        assert 70 < (row["next_at"] - datetime.now(UTC)).total_seconds() < 121
        async with database.dispatcher() as connection:
            await connection.execute(update(deliveries).values(next_at=func.now()))  # a hundred seconds later
        await states(database, "succeeded")
    assert len(taken.messages) == 2


async def test_a_receiver_that_is_gone_ends_its_webhook(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority):
        taken.answers = [status(500), status(410)]
        await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, fax)

        async def tried() -> bool:
            return [row["status"] for row in await rows(database)] == [500]

        await until(tried)
        await tell(database, actor, fax)
        await states(database, "failed", "failed")
    async with database.dispatcher() as connection:
        assert (await connection.scalars(select(webhooks.c.enabled))).all() == [False]


async def test_a_slow_receiver_holds_up_no_other_and_is_not_overrun(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with (
        receiving(authority.context(NAME)) as slow,
        receiving(authority.context(NAME)) as quick,
        running(database, gateway, authority),
    ):
        slow.answers = [receiver.silence] * 200
        await add_webhook(database, gateway, actor, slow.url())
        for _ in range(30):
            await tell(database, actor, fax)
        await add_webhook(database, gateway, actor, quick.url())
        for _ in range(10):
            await tell(database, actor, fax)

        async def quick_has_all() -> bool:
            return len(quick.messages) == 10

        await until(quick_has_all)
        assert slow.most_open == delivering.WIDTH


async def test_a_receiver_that_failed_gets_one_message_at_a_time(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with (
        receiving(authority.context(NAME)) as taken,
        running(database, gateway, authority, seconds=0.3),
    ):
        taken.answers = [receiver.silence] * 200
        await add_webhook(database, gateway, actor, taken.url())
        for _ in range(8):
            await tell(database, actor, fax)

        async def all_tried() -> bool:
            if len(taken.messages) == delivering.WIDTH:
                taken.most_open = 0
            return len(taken.messages) == 8

        await until(all_tried)
        assert taken.most_open <= 2  # the old one may still be closing


async def test_two_nodes_send_each_message_once(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken:
        await add_webhook(database, gateway, actor, taken.url())
        async with running(database, gateway, authority), running(database, gateway, authority):
            for _ in range(30):
                await tell(database, actor, fax)
            await states(database, *["succeeded"] * 30)
    assert len({message.headers["webhook-id"] for message in taken.messages}) == len(taken.messages) == 30


async def test_what_a_node_held_when_it_died_is_sent_when_its_claim_has_ended(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken:
        taken.answers = [receiver.silence]
        await add_webhook(database, gateway, actor, taken.url())
        async with running(database, gateway, authority):
            await tell(database, actor, fax)

            async def taken_up() -> bool:
                return len(taken.messages) == 1

            await until(taken_up)
        (row,) = await rows(database)
        assert (row["state"], row["tries"]) == ("waiting", 1)
        assert row["next_at"] > datetime.now(UTC)
        async with database.dispatcher() as connection:
            await connection.execute(update(deliveries).values(next_at=func.now()))  # the claim ends
            await connection.execute(text("DELETE FROM procrastinate_jobs"))  # with nobody left to tell of it
        async with running(database, gateway, authority):
            await states(database, "succeeded")


async def test_what_became_of_a_try_counts_only_while_no_later_one_was_begun(
    database: Database, gateway: Parts, actor: Actor
) -> None:
    webhook_id, _ = await add_webhook(database, gateway, actor, "https://hooks.example/")
    await tell(database, actor, await add_fax(database, actor))

    async def claimed(lease: float) -> RowMapping:
        async with database.dispatcher() as connection:
            row = await claiming.claim(connection, webhook_id, lease=lease)
        assert row is not None
        return row

    late, present = await claimed(-1.0), await claimed(30.0)
    async with database.dispatcher() as connection:
        await claiming.failed(connection, late, 500, "late")
    await states(database, "waiting")
    async with database.dispatcher() as connection:
        await claiming.succeeded(connection, present, 200)
        await claiming.again(connection, present, 500, "after the end", wait=0.0)
    (row,) = await rows(database)
    assert (row["state"], row["status"], row["tries"]) == ("succeeded", 200, 2)


async def test_the_dispatcher_who_sees_all_tenants_tells_only_the_faxs_own(
    database: Database, gateway: Parts, actor: Actor
) -> None:
    stranger = await person(database, await add_tenant(database, "other"))
    await add_webhook(database, gateway, stranger, "https://hooks.example/")
    own, _ = await add_webhook(database, gateway, actor, "https://hooks.example/")
    fax = await add_fax(database, actor)
    async with database.dispatcher() as connection:
        await put_on_its_way(connection, actor, fax)
    assert [row["webhook_id"] for row in await rows(database)] == [own]


async def test_a_rotated_secret_and_the_one_before_it_both_count_until_the_old_one_ends(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority):
        webhook_id, old = await add_webhook(database, gateway, actor, taken.url())
        async with database.tenant(actor.tenant_id) as connection:
            new = await service.rotate(connection, gateway, webhook_id, hours=24)
        await tell(database, actor, fax)
        await states(database, "succeeded")
        assert new is not None
        for secret in (old, new):
            Webhook(secret).verify(taken.messages[0].body, taken.messages[0].headers)
        async with database.dispatcher() as connection:
            await connection.execute(update(webhooks).values(old_secret_until=func.now()))  # 24 hours later
        await tell(database, actor, fax)
        await states(database, "succeeded", "succeeded")
        assert Webhook(new).verify(taken.messages[1].body, taken.messages[1].headers)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(old).verify(taken.messages[1].body, taken.messages[1].headers)


async def test_a_test_is_sent_at_once_and_once_whatever_the_webhook_asks_for(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority, waits=AT_ONCE):
        taken.answers = [status(500)]
        webhook_id, _ = await add_webhook(database, gateway, actor, taken.url(), events=["fax.failed"])
        async with database.tenant(actor.tenant_id) as connection:
            delivery_id = await service.test(connection, webhook_id)
        await states(database, "failed")
        assert [row["id"] for row in await rows(database)] == [delivery_id]
        async with database.tenant(actor.tenant_id) as connection:
            await service.test(connection, webhook_id)
        await states(database, "failed", "succeeded")
    assert json.loads(taken.messages[1].body)["type"] == "webhook.test"


async def test_what_has_failed_can_be_replayed_one_by_one_or_all_since_a_time(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority, waits=()):
        taken.answers = [status(500)] * 4
        webhook_id, _ = await add_webhook(database, gateway, actor, taken.url())
        for _ in range(4):
            await tell(database, actor, fax)
        await states(database, *["failed"] * 4)
        failed = [row["id"] for row in await rows(database)]
        async with database.dispatcher() as connection:
            old = update(deliveries).where(deliveries.c.id == failed[0])
            await connection.execute(old.values(created_at=func.now() - timedelta(hours=2)))
        async with database.tenant(actor.tenant_id) as connection:
            assert await service.replay(connection, webhook_id, failed[3])
            assert not await service.replay(connection, webhook_id, webhook_id)
        await states(database, "failed", "failed", "failed", "succeeded")
        async with database.tenant(actor.tenant_id) as connection:
            since = datetime.now(UTC) - timedelta(hours=1)
            assert await service.replay_failed(connection, webhook_id, since) == 2
        await states(database, "failed", "succeeded", "succeeded", "succeeded")
    ids = [message.headers["webhook-id"] for message in taken.messages]
    assert sorted(ids) == sorted(str(each) for each in [*failed, *failed[1:]])


async def test_a_webhook_that_is_disabled_waits_and_goes_on(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken:
        webhook_id, _ = await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, fax)
        request = service.WebhookRequest(url=taken.url(), enabled=False)
        async with database.tenant(actor.tenant_id) as connection:
            row = await service.change(connection, gateway, webhook_id, request, version=1)
            assert row is not None and row["version"] == 2
        async with running(database, gateway, authority):
            await asyncio.sleep(0.3)  # nothing is to happen in this time
            assert not taken.messages
            async with database.tenant(actor.tenant_id) as connection:
                request = service.WebhookRequest(url=taken.url())
                assert await service.change(connection, gateway, webhook_id, request, version=1) is None
                assert await service.change(connection, gateway, webhook_id, request, version=2)
            await states(database, "succeeded")


async def test_a_courier_that_stops_takes_nothing_new_and_lets_whoever_wakes_it_be(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    async with receiving(authority.context(NAME)) as taken:
        taken.answers = [receiver.silence]
        webhook_id, _ = await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, await add_fax(database, actor))
        carries = courier(database, gateway, authority.certificate, waits=NEVER, seconds=LIMIT)
        runs = asyncio.create_task(carries.run())

        async def arrived() -> bool:
            return bool(taken.messages)

        await until(arrived)
        runs.cancel()
        while not runs.done():
            await asyncio.sleep(0)
            carries.wake(webhook_id)


async def audited(database: Database) -> list[tuple[str, dict[str, object]]]:
    """Return what the audit log says of messages, oldest first."""
    async with database.dispatcher() as connection:
        entries = (await connection.scalars(select(audit_waiting.c.entry).order_by(audit_waiting.c.id))).all()
    found = [json.loads(each) for each in entries]
    return [(each["action"], each["data"] | {"webhook": each["object_id"]}) for each in found]


@pytest.mark.requirement("FP-13")
async def test_every_end_of_a_delivery_stands_in_the_audit_log_once(
    database: Database, gateway: Parts, authority: Authority, actor: Actor
) -> None:
    fax = await add_fax(database, actor)
    async with receiving(authority.context(NAME)) as taken, running(database, gateway, authority, waits=(0.0,)):
        taken.answers = [status(503), status(200), status(503), status(503), status(410)]
        webhook, _ = await add_webhook(database, gateway, actor, taken.url())
        await tell(database, actor, fax)
        await states(database, "succeeded")
        await tell(database, actor, fax)
        await states(database, "succeeded", "failed")
        await tell(database, actor, fax)
        await states(database, "succeeded", "failed", "failed")
    same = {"webhook": str(webhook), "fax": str(fax), "event": "fax.delivered"}
    ids = [str(row["id"]) for row in await rows(database)]
    assert await audited(database) == [
        ("webhook.delivered", {**same, "delivery": ids[0], "tries": 2, "status": 200}),
        ("webhook.failed", {**same, "delivery": ids[1], "tries": 2, "status": 503}),
        ("webhook.failed", {**same, "delivery": ids[2], "tries": 1, "status": 410}),
    ]
