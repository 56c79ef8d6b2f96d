"""What is shredded is gone with every key to it, and what is shared or held stays."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from faxgw.backup.tombstones import TombstoneLog, read_log
from faxgw.retention import Shredded, Why, remove, shred
from faxgw.retention.certificates import is_genuine, shape
from faxgw.store.tables import (
    attempts,
    audit_waiting,
    certificates,
    confirmations,
    copies,
    documents,
    events,
    faxes,
    held_faxes,
    objects,
    page_sets,
    pages,
    tombstones,
    wraps,
)
from tests.faxgw.databases import add_tenant
from tests.faxgw.retention.place import CANARY, NOW, Place, make_place

DELETED = Why("deleted", record="minimal")
WHOLE = Why("deleted", record="none")


async def shredded(place: Place, *fax_ids: UUID, why: Why = DELETED) -> Shredded:
    async with place.gateway.database.dispatcher() as connection:
        done = await shred(connection, place.gateway, fax_ids, why=why, by="service", now=NOW)
    await remove(place.gateway, done.objects)
    return done


async def test_of_a_shredded_fax_no_wrap_no_object_and_no_word_is_left(place: Place) -> None:
    fax = await place.add_whole_fax()
    done = await shredded(place, fax)
    for table in (wraps, objects, pages, page_sets, documents, confirmations):
        assert await place.count(table) == 0, table
    assert await place.stored() == set()
    row = await place.row(fax)
    assert (row.request, row.labels, row.remote_id, row.private_id, row.page_set_id) == ({}, {}, "", None, None)
    assert (row.state, row.to_number, row.pages_done, row.shredded_at) == ("delivered", "+15550100", 2, NOW)
    own = events.c.fax_id == fax
    assert await place.one(select(events.c.data).where(own)) == {"state": "delivered"}
    attempt = select(attempts.c.trace_id.is_(None) & (attempts.c.remote_id == ""))
    assert await place.one(attempt)
    assert len(done.objects) == len(set(done.objects)) == 5
    assert CANARY not in str([tuple(row), done.certificates])


async def test_the_recording_of_a_call_that_took_several_faxes_goes_with_the_last_of_them(place: Place) -> None:
    faxes_of_one_call = [await place.add_whole_fax() for _ in range(2)]
    trace = await place.add_object("trace")
    async with place.gateway.database.dispatcher() as connection:
        await connection.execute(update(attempts).values(trace_id=trace))
        await connection.execute(delete(objects).where(objects.c.kind == "trace", objects.c.id != trace))
    await shredded(place, faxes_of_one_call[0])
    assert await place.count(objects, objects.c.id == trace) == 1
    await shredded(place, faxes_of_one_call[1])
    assert await place.count(objects) == 0


@pytest.mark.parametrize("fields", [(), ("numbers", "remote_id", "labels")])
async def test_a_minimal_record_has_what_the_policy_says(place: Place, fields: tuple[str, ...]) -> None:
    await place.set_policy(retention={"record_fields": list(fields)})
    fax = await place.add_whole_fax()
    await shredded(place, fax)
    row = await place.row(fax)
    assert (row.to_number, row.remote_id, row.labels) == (
        ("+15550100", "REMOTE", {"patient": CANARY}) if fields else ("", "", {})
    )
    assert await place.one(select(attempts.c.destination)) == ("+15550100" if fields else "")


async def test_with_its_record_everything_of_a_fax_is_gone(place: Place) -> None:
    fax = await place.add_whole_fax()
    await shredded(place, fax, why=WHOLE)
    for table in (faxes, attempts, wraps, objects, pages, page_sets, documents, confirmations):
        assert await place.count(table) == 0, table
    assert await place.count(events, events.c.fax_id.is_not(None)) == 0


async def test_a_record_can_go_after_its_content(place: Place) -> None:
    fax = await place.add_whole_fax()
    await shredded(place, fax)
    assert (await shredded(place, fax)).certificates == []
    assert len((await shredded(place, fax, why=WHOLE)).certificates) == 1
    assert await place.row(fax) is None


@pytest.mark.requirement("FP-11")
async def test_a_certificate_says_what_went_and_is_signed(place: Place) -> None:
    fax = await place.add_whole_fax()
    await place.add(copies, fax_id=fax, kind="download", location="user", sha256=b"")
    (certificate,) = (await shredded(place, fax, why=Why("deleted", "asked", record="minimal"))).certificates
    said = certificate.said
    assert (said["fax"], said["why"], said["rule"], said["record"]) == (str(fax), "deleted", "asked", "minimal")
    assert sorted(each["kind"] for each in said["objects"]) == ["document", "page", "page", "request", "trace"]
    assert (said["wraps"], said["shared"], said["copies_outside_control"]) == ({"owner": 5}, 0, 1)
    key = place.gateway.server_keys.signing.public_key()
    assert is_genuine(shape(certificate), key)
    for name in said:
        forged = {**shape(certificate), "certificate": {**said, name: "another"}}
        assert not is_genuine(forged, key), name
    assert await place.count(certificates) == 1
    logged = await place.one(select(audit_waiting.c.entry))
    assert certificate.digest in logged
    assert str(fax) in logged


@pytest.mark.requirement("FP-11")
async def test_what_is_deleted_is_noted_for_whoever_restores_a_backup(place: Place) -> None:
    fax = await place.add_whole_fax()
    done = await shredded(place, fax, why=WHOLE)
    noted = dict.fromkeys(done.objects, "object") | {fax: "fax"}
    async with place.gateway.database.dispatcher() as connection:
        rows = await connection.execute(select(tombstones.c.id, tombstones.c.kind))
        assert {row.id: row.kind for row in rows} == noted
    key = place.gateway.server_keys.signing.public_key()
    log = TombstoneLog(place.gateway.config.data_dir).path
    assert {each.id: each.kind for each in read_log(log, key)} == noted


async def test_a_fax_that_runs_stays(place: Place) -> None:
    fax = await place.add_whole_fax(state="sending", finished_at=None)
    done = await shredded(place, fax, why=WHOLE)
    assert (done.running, done.certificates, done.objects) == ([fax], [], [])
    assert await place.count(wraps) == 5


async def test_pages_words_and_documents_stay_as_long_as_another_fax_has_them(place: Place) -> None:
    first = await place.add_whole_fax()
    row = await place.row(first)
    second = await place.add_fax(page_set_id=row.page_set_id, private_id=row.private_id, request=row.request)
    (certificate,) = (await shredded(place, first)).certificates
    assert certificate.said["shared"] == 3
    assert [each["kind"] for each in certificate.said["objects"]] == ["trace"]
    assert await place.count(pages) == 2
    done = await shredded(place, second)
    assert sorted(each["kind"] for each in done.certificates[0].said["objects"]) == [
        "document",
        "page",
        "page",
        "request",
    ]
    assert await place.stored() == set()


async def test_a_page_that_two_page_sets_have_stays_for_the_other(place: Place) -> None:
    first, second = await place.add_whole_fax(), await place.add_whole_fax()
    shared = await place.one(
        select(pages.c.object_id).where(pages.c.page_set_id == (await place.row(second)).page_set_id).limit(1)
    )
    row = {"index": 9, "sha256": b"", "width": "A4", "resolution": "FINE", "rows": 1, "octets": 1}
    await place.add(pages, page_set_id=(await place.row(first)).page_set_id, object_id=shared, **row)
    await shredded(place, first)
    assert shared in await place.stored()
    assert await place.count(pages) == 2


@pytest.mark.parametrize("kind", ["any", "box", "number", "span", "fax"])
async def test_a_held_fax_stays_whole_whatever_the_hold_is_over(place: Place, kind: str) -> None:
    fax, other = await place.add_whole_fax(), await place.add_fax(box_id=await place.add_box("other"), to_number="+1")
    overs: dict[str, dict[str, Any]] = {
        "any": {},
        "box": {"boxes": [place.box]},
        "number": {"numbers": ["+15550100"]},
        "span": {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=1)},
        "fax": {"by_fax": True},
    }
    hold = await place.add_hold(**overs[kind])
    if kind == "fax":
        await place.add(held_faxes, hold_id=hold, fax_id=fax)
    done = await shredded(place, fax, other, why=WHOLE)
    assert done.held == ([fax, other] if kind in {"any", "span"} else [fax])
    assert await place.count(wraps) == 5
    assert len(await place.stored()) == 5


async def test_a_hold_that_was_released_or_is_over_something_else_holds_nothing(place: Place) -> None:
    fax = await place.add_whole_fax()
    await place.add_hold(released_at=NOW)
    await place.add_hold(boxes=[await place.add_box("other")])
    await place.add_hold(numbers=["+15550199"])
    await place.add_hold(until=NOW)
    await place.add_hold(by_fax=True)
    assert len((await shredded(place, fax)).certificates) == 1


async def test_faxes_of_two_tenants_are_never_taken_together(place: Place) -> None:
    other = await make_place(place.gateway, await add_tenant(place.gateway.database, "other"))
    with pytest.raises(ValueError, match="several tenants"):
        await shredded(place, await place.add_fax(), await other.add_fax())
