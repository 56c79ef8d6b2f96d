"""Mail becomes faxes: whose, to which numbers, of which documents; and of what is refused nothing stays."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select

from faxgw.devices.device import Device
from faxgw.devices.keeping import revoke
from faxgw.documents.coded import bitmap_of, page_hash
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.mail.arriving.desk import Desk
from faxgw.mail.submission.port import Peer, Rejected, Submission
from faxgw.store.tables import (
    audit_waiting,
    batches,
    documents,
    events,
    faxes,
    number_rules,
    objects,
    page_sets,
    pages,
    parcels,
    wraps,
)
from tests.faxgw.api.people import Person, drawn_page
from tests.faxgw.boxes.house import set_policy
from tests.faxgw.devices.making import HERE, change, make, row_of
from tests.faxgw.mail.arriving.letters import HTML, PDF, TIFF, attachment, fax_page, letter, multi, part, text

PEER = Peer(HERE, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
SENDER = "scans@office.example"
TO = "+15550100@fax.example"


@pytest.fixture
def desk(gateway: Gateway) -> Desk:
    return Desk(gateway)


def message(device: Device, content: bytes, *recipients: str, sender: str = SENDER) -> Submission:
    name = f"Message-ID: <{new_id()}@office.example>\r\n".encode()
    return Submission(device, sender, recipients or (TO,), name + content, PEER)


def scanned(*more: bytes) -> bytes:
    return letter(multi([text("Regards"), attachment(TIFF, fax_page()), *more]))


async def all_of(gateway: Gateway, *columns: Any) -> list[Any]:
    async with gateway.database.dispatcher() as connection:
        return list((await connection.execute(select(*columns))).all())


async def refusal(work: Any) -> tuple[int, str, str]:
    with pytest.raises(Rejected) as found:
        await work
    return found.value.code, found.value.enhanced, found.value.text


async def nothing_is_left(gateway: Gateway) -> None:
    async with gateway.database.dispatcher() as connection:
        for table in (documents, page_sets, pages, objects, wraps, faxes, batches, events, parcels):
            assert await connection.scalar(select(func.count()).select_from(table)) == 0, table.name
    assert [each async for each in gateway.objects.objects.list()] == []


# ----------------------------------------------------------------------------------------------------------- signing in


@pytest.mark.requirement("WF-10", "WF-14")
async def test_a_device_signs_in_and_what_it_spoke_is_noted(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, secret = await make(gateway, owner)
    found = await desk.sign_in(device.login, secret, PEER)
    assert found is not None and (found.id, found.tenant_id) == (device.id, owner.tenant_id)
    assert await desk.sign_in(device.login, secret + "x", PEER) is None
    await desk.sign_in(device.login, secret, Peer(HERE, "TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"))
    assert (await row_of(gateway, device.login))["seen_tls"] == "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384"


# -------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.requirement("WF-09")
@pytest.mark.parametrize(
    "local",
    [
        "+49301234567",
        "0049301234567",
        "%2B49-30-123.45.67",
        "+49.30/1234567",
        '"+49 (30) 123 45 67"',
        "FAX=+49301234567",
        "fax=+49301234567/T33S=12",
        "fax",
    ],
)
async def test_the_number_is_found_however_a_device_writes_it(
    gateway: Gateway, owner: Person, desk: Desk, local: str
) -> None:
    device, _ = await make(gateway, owner)
    recipient = f"{local}@fax.example"
    await desk.admit(device, recipient)
    content = letter(multi([attachment(TIFF, fax_page())]), "+49 30 1234567" if local == "fax" else "4711")
    await desk.take(message(device, content, recipient))
    ((number, subaddress),) = await all_of(gateway, faxes.c.to_number, faxes.c.subaddress)
    assert (number, subaddress) == ("+49301234567", "12" if "T33S" in local else "")


async def test_which_addresses_have_the_number_in_the_subject_is_configured(gateway: Gateway, owner: Person) -> None:
    settings = gateway.config.submission.model_copy(update={"subject_addresses": ("send",)})
    gateway.config = gateway.config.model_copy(update={"submission": settings})
    desk, (device, _) = Desk(gateway), await make(gateway, owner)
    await desk.admit(device, "Send@fax.example")
    code, enhanced, _ = await refusal(desk.admit(device, "fax@fax.example"))
    assert (code, enhanced) == (550, "5.1.3")
    content = letter(multi([attachment(TIFF, fax_page())]), "+49 30 1234567, +49 30 7654321")
    await desk.take(message(device, content, "SEND@fax.example"))
    assert {row.to_number for row in await all_of(gateway, faxes)} == {"+49301234567", "+49307654321"}


@pytest.mark.parametrize("local", ["sales", "4711x", "", "+", "+49301234567+1", "FAX=", "+0", "%2B", "1" * 300])
async def test_what_is_no_number_is_refused_at_once(gateway: Gateway, owner: Person, desk: Desk, local: str) -> None:
    device, _ = await make(gateway, owner)
    code, enhanced, said = await refusal(desk.admit(device, f"{local}@fax.example"))
    assert (code, enhanced) == (550, "5.1.3") and "(number.invalid)" in said


async def test_numbers_denied_by_policy_or_to_the_device_are_refused_at_once(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner, numbers=("+4930",))
    await desk.admit(device, "+49301234567@fax.example")
    code, enhanced, said = await refusal(desk.admit(device, "+49401234567@fax.example"))
    assert (code, enhanced, "number.denied_to_device" in said) == (550, "5.7.1", True)
    content = letter(multi([attachment(TIFF, fax_page())]), "+49 40 1234567")
    code, enhanced, said = await refusal(desk.take(message(device, content, "fax@fax.example")))
    assert (code, "number.denied_to_device" in said) == (554, True)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        rule = {"id": new_id(), "tenant_id": owner.tenant_id, "direction": "out", "action": "deny"}
        await connection.execute(insert(number_rules).values(**rule, pattern="+4930*"))
    content = letter(multi([attachment(TIFF, fax_page())]))
    code, enhanced, said = await refusal(desk.take(message(device, content, "+49301234567@fax.example")))
    assert (code, "number.denied_by_policy" in said) == (554, True)  # also where it was admitted a moment before
    code, enhanced, said = await refusal(Desk(gateway).admit(device, "+49301234567@fax.example"))
    assert (code, enhanced, "number.denied_by_policy" in said) == (550, "5.7.1", True)
    assert "49301234567" not in said
    await nothing_is_left(gateway)


async def test_a_subject_has_the_number_alone_or_the_message_is_refused(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    for subject in ("", "Your order 4711", "call +49301234567"):
        content = letter(multi([attachment(TIFF, fax_page())]), subject)
        code, enhanced, said = await refusal(desk.take(message(device, content, "fax@fax.example")))
        assert (code, enhanced, "mail.no_number" in said) == (554, "5.1.3", True)
    await nothing_is_left(gateway)


# ------------------------------------------------------------------------------------------------------- becoming a fax


@pytest.mark.requirement("WF-09", "WF-14")
async def test_a_fax_tiff_is_sent_as_it_is_from_the_devices_own_box(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    said = await desk.take(message(device, scanned()))
    (fax,) = await all_of(gateway, faxes)
    assert said == f"fax {fax.id} accepted"
    assert (fax.device_id, fax.user_id, fax.box_id) == (device.id, owner.user_id, device.box_id)
    assert (fax.state, fax.to_number, fax.pages) == ("queued", "+15550100", 1)
    (page,) = await all_of(gateway, pages)
    drawn = drawn_page(1)
    assert page.sha256 == page_hash(bitmap_of(drawn), drawn.resolution)
    kinds = {(row.kind, row.object_id == page.object_id) for row in await all_of(gateway, wraps)}
    # The page is the box's; what came is nobody's but the gateway's, which forgets it.
    assert kinds == {("box", True), ("spool", True), ("spool", False)}


async def test_several_documents_are_one_fax_in_their_order(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, _ = await make(gateway, owner)
    picture = part(
        "text/plain; charset=iso-8859-1", b"Gr\xfc\xdfe", 'Content-Disposition: attachment; filename="a.txt"'
    )
    await desk.take(message(device, scanned(picture, attachment(TIFF, fax_page(2)))))
    (fax,) = await all_of(gateway, faxes)
    there = {str(row.id): row for row in await all_of(gateway, documents)}
    assert [there[each].media_type for each in fax.request["documents"]] == [TIFF, "text/plain", TIFF]
    assert (fax.state, fax.pages) == ("accepted", 3)
    assert {row.name for row in there.values()} == {"attachment 1", "attachment 2", "attachment 3"}


async def test_the_text_goes_onto_a_cover_page_where_the_device_is_set_so(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    plain, _ = await make(gateway, owner, "plain")
    covered, _ = await make(gateway, owner, "covered", cover=True)
    for device in (plain, covered):
        await desk.take(message(device, scanned()))
    found = {row.device_id: row for row in await all_of(gateway, faxes)}
    assert (found[plain.id].pages, found[plain.id].private_id) == (1, None)
    assert found[covered.id].pages == 2 and found[covered.id].private_id is not None


async def test_a_message_without_attachments_is_sent_as_its_text(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(message(device, letter(multi([text("Hello"), text("<p>Hello</p>", HTML)], "alternative"))))
    (fax,) = await all_of(gateway, faxes)
    assert (fax.state, fax.pages) == ("accepted", 1)


async def test_several_recipients_are_one_batch_and_one_refused_has_all_refused(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner, numbers=("+1555",))
    said = await desk.take(message(device, scanned(), TO, "+15550101@fax.example", "+1.555.0100@fax.example"))
    (batch,) = await all_of(gateway, batches)
    assert said == f"batch {batch.id} accepted"
    found = await all_of(gateway, faxes)
    assert sorted(row.to_number for row in found) == ["+15550100", "+15550101"]
    assert {(row.device_id, row.batch_id) for row in found} == {(device.id, batch.id)}
    code, _, _ = await refusal(desk.take(message(device, scanned(), TO, "+49301234567@fax.example")))
    assert code == 554
    assert len(await all_of(gateway, batches)) == 1


@pytest.mark.requirement("WF-14")
async def test_each_device_has_a_quota_of_its_own(gateway: Gateway, owner: Person, desk: Desk) -> None:
    one, _ = await make(gateway, owner, "one", faxes_per_day=2)
    other, _ = await make(gateway, owner, "other", pages_per_day=1)
    for _ in range(2):
        await desk.take(message(one, scanned()))
    code, enhanced, said = await refusal(desk.take(message(one, scanned())))
    assert (code, enhanced, "(quota.calls)" in said) == (451, "4.7.0", True)
    await desk.take(message(other, scanned()))
    code, _, said = await refusal(desk.take(message(other, scanned())))
    assert (code, "(quota.pages)" in said) == (451, True)
    assert len(await all_of(gateway, faxes)) == 3


# ----------------------------------------------------------------------------------------- refused, and nothing is left


@pytest.mark.requirement("WF-05")
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (letter(multi([attachment(PDF, b"%PDF-1.7 broken")])), "document."),
        (
            letter(multi([attachment(TIFF, fax_page()), attachment("application/x-msdownload", b"MZ\0\1" * 99)])),
            "document.",
        ),
        (letter(multi([attachment("application/zip", b"PK\3\4" + b"x" * 100)])), "document."),
        (letter(multi([attachment("application/ms-tnef", b"x")])), "mail.winmail"),
        (letter(multi([])), "mail.empty"),
    ],
    ids=["broken", "a program", "zip", "winmail", "empty"],
)
async def test_of_a_refused_message_nothing_is_left(
    gateway: Gateway, owner: Person, desk: Desk, content: bytes, code: str
) -> None:
    device, _ = await make(gateway, owner)
    status, _, said = await refusal(desk.take(message(device, content)))
    assert status == 554 and f"({code}" in said
    assert said.isascii() and "\r" not in said and len(said) < 450
    await nothing_is_left(gateway)


@pytest.mark.requirement("WF-05")
async def test_of_a_message_whose_connection_breaks_while_it_is_read_nothing_is_left(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    slow = attachment(PDF, b"%PDF-1.7 a worker has to be started to see that it is none")
    taking = asyncio.ensure_future(desk.take(message(device, scanned(slow))))
    async with asyncio.timeout(10):
        while not [each async for each in gateway.objects.objects.list()]:  # noqa: ASYNC110 (the store tells nobody)
            await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    assert taking.cancelled()
    await nothing_is_left(gateway)


async def test_a_device_that_was_revoked_on_the_way_sends_no_more(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, _ = await make(gateway, owner)
    device = replace(device, at=device.at - 10)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await revoke(connection, device.id)
    code, enhanced, _ = await refusal(desk.take(message(device, scanned())))
    assert (code, enhanced) == (550, "5.7.1")
    await nothing_is_left(gateway)


# -------------------------------------------------------------------------------------------------------- seen in clear


@pytest.mark.requirement("WF-12")
async def test_a_secret_seen_in_clear_is_revoked_and_its_owner_told_by_policy(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    one, secret = await make(gateway, owner, "one")
    other, other_secret = await make(gateway, owner, "other")
    await desk.exposed(one.login, secret, Peer("192.0.2.9", "", ""))
    row = await row_of(gateway, one.login)
    assert row["exposed_at"] is not None and row["revoked_at"] is not None
    assert await desk.sign_in(one.login, secret, PEER) is None
    assert await desk.sign_in(other.login, other_secret, PEER) is not None
    ((kind, said),) = await all_of(gateway, parcels.c.kind, parcels.c.data)
    assert (kind, said["device"], said["revoked"], said["peer"]) == ("exposed", "one", True, "192.0.2.9")
    actions = [row.entry for row in await all_of(gateway, audit_waiting.c.entry)]
    assert ["device.exposed" in each or "device.revoked" in each for each in actions].count(True) == 2
    assert {row.type for row in await all_of(gateway, events.c.type)} == {"device.exposed"}
    await set_policy(gateway, owner.tenant_id, mail={"clear_credentials": "tell"})
    await desk.exposed(other.login, other_secret, Peer("192.0.2.9", "", ""))
    row = await row_of(gateway, other.login)
    assert row["exposed_at"] is not None and row["revoked_at"] is None
    assert await desk.sign_in(other.login, other_secret, PEER) is not None


async def test_nobody_has_a_device_revoked_without_its_secret(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, secret = await make(gateway, owner)
    for login, given in ((device.login, None), (device.login, "guessed"), (device.login, ""), ("nobody", secret)):
        await desk.exposed(login, given, PEER)
    row = await row_of(gateway, device.login)
    assert (row["exposed_at"], row["revoked_at"]) == (None, None)
    await change(gateway, device.login, enabled=False)
    await desk.exposed(device.login, secret, PEER)
    assert (await row_of(gateway, device.login))["exposed_at"] is not None


# -------------------------------------------------------------------------------------------------- who gets the result


@pytest.mark.parametrize(
    ("reply", "sender", "kept"), [("sender", SENDER, SENDER), ("sender", "", None), ("owner", SENDER, None)]
)
async def test_the_senders_address_is_kept_only_for_the_result(  # noqa: PLR0917 (fixtures)
    gateway: Gateway, owner: Person, desk: Desk, reply: str, sender: str, kept: str | None
) -> None:
    device, _ = await make(gateway, owner, reply=reply)
    await desk.take(message(device, scanned(), sender=sender))
    found = await all_of(gateway, parcels.c.recipient, parcels.c.next_at, parcels.c.fax_id)
    (fax,) = await all_of(gateway, faxes.c.id)
    assert found == ([(kept, None, UUID(str(fax.id)))] if kept else [])
