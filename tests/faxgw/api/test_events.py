import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from faxgw.api.credentials import tell_of
from faxgw.api.following import MOST_WAITING, Follower, Hub
from faxgw.api.resources import events as resource
from faxgw.faxes.changes import tell
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.model import EventType
from faxgw.store.database import TRANSACTION_LIMIT
from faxgw.store.tables import api_keys, users
from tests.faxgw.api.conftest import Client, Serve
from tests.faxgw.api.people import Person, add_event, add_fax, add_person, now


async def happen(gateway: Gateway, person: Person, fax: Any, event: EventType, **data: Any) -> int:
    async with gateway.database.tenant(person.tenant_id) as connection:
        return await tell(connection, person.tenant_id, fax, event, data)


async def frames(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Read a stream as an EventSource does."""
    frame: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line and frame:
            yield frame
            frame = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            frame[name] = value


async def test_a_fax_is_followed_to_its_end_and_then_the_stream_ends(
    gateway: Gateway, owner: Person, serving: Serve
) -> None:
    fax = await add_fax(gateway, owner, state="sending")
    await happen(gateway, owner, fax, EventType.ACCEPTED)
    async with (
        asyncio.timeout(10),
        serving() as connect,
        connect(owner).stream("GET", f"/v1/faxes/{fax}/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen: list[tuple[str, Any]] = []
        async for frame in frames(answer):
            seen.append((frame["event"], json.loads(frame["data"])["data"]))
            if frame["event"] == "fax.accepted":
                await happen(gateway, owner, fax, EventType.PAGE_SENT, page=1, pages=2)
            elif frame["event"] == "fax.page_sent":
                await happen(gateway, owner, fax, EventType.DELIVERED)
    assert seen == [("fax.accepted", {}), ("fax.page_sent", {"page": 1, "pages": 2}), ("fax.delivered", {})]


async def test_whoever_comes_again_goes_on_after_the_last_event(
    gateway: Gateway, owner: Person, serving: Serve
) -> None:
    fax = await add_fax(gateway, owner, state="delivered")
    ids = [
        await happen(gateway, owner, fax, each) for each in (EventType.ACCEPTED, EventType.DIALING, EventType.DELIVERED)
    ]
    async with asyncio.timeout(10), serving() as connect:
        client = connect(owner)
        for after, rest in ((None, ids), (ids[0], ids[1:]), (ids[1], ids[2:])):
            headers = {} if after is None else {"last-event-id": str(after)}
            async with client.stream("GET", f"/v1/faxes/{fax}/events", headers=headers) as answer:
                assert [int(frame["id"]) async for frame in frames(answer)] == rest
        ended = await client.get(f"/v1/faxes/{fax}/events", headers={"last-event-id": str(ids[2])})
        assert ended.status_code == 204


async def test_all_of_a_tenant_is_followed_and_nothing_of_another_xm_08(
    gateway: Gateway, owner: Person, serving: Serve
) -> None:
    stranger = await add_person(gateway)
    theirs, mine = await add_fax(gateway, stranger), await add_fax(gateway, owner)
    async with asyncio.timeout(10), serving() as connect, connect(owner).stream("GET", "/v1/events") as answer:
        await happen(gateway, stranger, theirs, EventType.DIALING)
        await happen(gateway, owner, mine, EventType.DIALING)
        async for frame in frames(answer):
            assert json.loads(frame["data"])["fax"] == str(mine)
            break


async def test_a_member_follows_their_own_boxes_only_xm_02(gateway: Gateway, owner: Person, serving: Serve) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    theirs, own = await add_fax(gateway, owner), await add_fax(gateway, member)
    async with asyncio.timeout(10), serving() as connect, connect(member).stream("GET", "/v1/events") as answer:
        await happen(gateway, owner, theirs, EventType.DIALING)
        await happen(gateway, member, own, EventType.DIALING)
        async for frame in frames(answer):
            assert json.loads(frame["data"])["fax"] == str(own)
            break


async def test_events_that_came_while_nobody_listened_are_given_to_whoever_comes_again(
    gateway: Gateway, owner: Person, serving: Serve
) -> None:
    fax = await add_fax(gateway, owner)
    first = await happen(gateway, owner, fax, EventType.ACCEPTED)
    missed = [await happen(gateway, owner, fax, each) for each in (EventType.DIALING, EventType.SENDING)]
    headers = {"last-event-id": str(first)}
    async with (
        asyncio.timeout(10),
        serving() as connect,
        connect(owner).stream("GET", "/v1/events", headers=headers) as answer,
    ):
        seen = frames(answer)
        assert [int((await anext(seen))["id"]) for _ in missed] == missed


async def test_an_event_committed_after_a_later_one_is_not_lost(
    gateway: Gateway, owner: Person, serving: Serve
) -> None:
    slow, quick = await add_fax(gateway, owner), await add_fax(gateway, owner)
    async with asyncio.timeout(10), serving() as connect:
        async with connect(owner).stream("GET", "/v1/events") as answer:
            seen = frames(answer)
            first = await happen(gateway, owner, quick, EventType.QUEUED)
            assert int((await anext(seen))["id"]) == first
            async with gateway.database.tenant(owner.tenant_id) as connection:
                late = await tell(connection, owner.tenant_id, slow, EventType.DIALING, {})
                early = await happen(gateway, owner, quick, EventType.DIALING)
                frame = await anext(seen)
                assert json.loads(frame["data"])["id"] == early > late
                go_on_after = frame["id"]
            assert json.loads((await anext(seen))["data"])["id"] == late
        # Cut off after the early one, the late one comes all the same.
        again = connect(owner).stream("GET", "/v1/events", headers={"last-event-id": go_on_after})
        async with again as answer:
            seen = frames(answer)
            assert json.loads((await anext(seen))["data"])["id"] == late


async def test_a_quiet_stream_shows_that_it_is_alive_and_ends_with_its_key(
    gateway: Gateway, owner: Person, serving: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "HEARTBEAT", 0.05)  # a constant, not a part
    other = await add_person(gateway, owner.tenant_id)
    async with asyncio.timeout(10), serving() as connect, connect(other).stream("GET", "/v1/events") as answer:
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith(":")
        await connect(owner).delete(f"/v1/api-keys/{other.key.id}")
        assert not [line async for line in lines if line and not line.startswith(":")]


@pytest.mark.parametrize("what", ["revoked", "demoted"])
async def test_a_busy_stream_ends_too_when_its_key_may_no_longer_do_what_it_might(
    gateway: Gateway, owner: Person, serving: Serve, monkeypatch: pytest.MonkeyPatch, *, what: str
) -> None:
    monkeypatch.setattr(resource, "HEARTBEAT", 0.5)  # a constant, not a part
    other = await add_person(gateway, owner.tenant_id, role="admin")
    fax = await add_fax(gateway, other)

    async def never_quiet() -> None:
        while True:
            await happen(gateway, other, fax, EventType.PAGE_SENT)

    async with asyncio.timeout(10), serving() as connect, connect(other).stream("GET", "/v1/events") as answer:
        traffic = asyncio.create_task(never_quiet())
        seen = frames(answer)
        await anext(seen)
        async with gateway.database.dispatcher() as connection:
            if what == "revoked":
                await connection.execute(update(api_keys).where(api_keys.c.id == other.key.id).values(revoked_at=now()))
            else:
                await connection.execute(update(users).where(users.c.id == other.user_id).values(role="member"))
            await tell_of(connection, other.key.id)
        async for frame in seen:
            assert frame["event"] == "fax.page_sent"
        traffic.cancel()
        await asyncio.gather(traffic, return_exceptions=True)


async def test_a_stream_ends_when_the_service_stops(gateway: Gateway, owner: Person, serving: Serve) -> None:
    async with asyncio.timeout(5):
        async with serving() as connect:
            answer = await connect(owner).send(connect(owner).build_request("GET", "/v1/events"), stream=True)
            assert answer.status_code == 200


async def test_the_history_is_a_list_with_pages(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await add_fax(gateway, owner)
    ids = [await add_event(gateway, owner, fax, "fax.page_sent", page=page) for page in range(5)]
    headers = {"accept": "application/json"}
    for path in (f"/v1/faxes/{fax}/events", "/v1/events"):
        first = (await client.get(path, headers=headers, params={"limit": 3})).json()
        rest = (await client.get(path, headers=headers, params={"limit": 3, "cursor": first["next"]})).json()
        assert [each["id"] for each in first["items"] + rest["items"]] == ids
        assert rest["next"] is None


def test_a_follower_who_is_too_slow_looks_for_itself() -> None:
    follower = Follower(None)
    for event_id in range(MOST_WAITING + 1):
        follower.tell(event_id)
    assert follower.missed
    assert len(follower.news) < MOST_WAITING


def test_a_gap_is_settled_when_it_is_filled_or_its_transaction_must_be_over() -> None:
    now = 0.0
    hub = Hub(lambda: now)

    def tell(event_id: int) -> None:
        hub.tell(json.dumps({"tenant": str(new_id()), "fax": None, "id": event_id, "type": "x"}))

    for event_id in (1, 2, 5):
        tell(event_id)
    assert hub.settled(5) == 2
    tell(3)
    assert hub.settled(5) == 3
    now = TRANSACTION_LIMIT + 1
    assert hub.settled(5) == 5
