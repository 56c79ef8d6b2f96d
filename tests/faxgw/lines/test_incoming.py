"""Calls that come in over lines of the simulated exchange, and the boxes that they lead to."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from faxgw.config import LineSettings
from faxgw.documents.coded import CodedPage, bitmap_of, page_hash
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.faxes.content import coded_page, unlock
from faxgw.ids import new_id
from faxgw.sandbox import call_in
from faxgw.store.tables import boxes, faxes, numbers, pages, wraps
from simulators.sandbox import sandbox
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.outcome import Outcome
from t30.pages import FetchPage, NoteConfirmed, PageAction, PageEvent, Resolution
from tests.faxgw.lines.conftest import Office, new_tenant, sim_line
from tests.faxgw.lines.pages import fax_pages

OWN = "+15550199"


def _hash(page: CodedPage) -> bytes:
    return page_hash(bitmap_of(page), page.resolution)


async def call(to: str, sent: list[CodedPage], *, caller: str = "15550100", **station: Any) -> Outcome:
    """Call in with a machine of the test's own."""
    sheets = [Sheet(bitmap_of(page), page.width, Resolution.FINE) for page in sent]
    machine = Station(f"+{caller}" if caller else "", **station)
    outcome = await sandbox().call_in(to, machine, Tray(sheets), number=caller, within=10)
    assert outcome is not None
    return outcome


async def add_number(office: Office, **values: Any) -> Any:
    """Lead a number to a new box of the tenant's; return the box."""
    box = new_id()
    async with office.gateway.database.dispatcher() as connection:
        own = {"tenant_id": office.tenant.tenant}
        await connection.execute(insert(boxes).values(id=box, **own, owner_id=office.tenant.user, name=str(box)))
        await connection.execute(insert(numbers).values(id=new_id(), **own, box_id=box, **values))
    return box


@pytest.mark.requirement("FP-04", "XM-02")
async def test_a_call_lands_in_the_box_of_its_number_and_only_its_owner_opens_it(office: Office) -> None:
    sent = fax_pages(2)
    outcome = await call_in(OWN, sent, caller="+15550100")
    assert outcome.verdict == "delivered"
    (fax,) = await office.received()
    assert (fax.state, fax.direction, fax.pages, fax.box_id) == ("received", "in", 2, office.tenant.box)
    assert (fax.from_number, fax.to_number, fax.remote_id) == ("+15550100", OWN, "+15550100")
    filed = await office.rows(select(pages).order_by(pages.c.index))
    own = wraps.c.object_id.in_([row.object_id for row in filed])
    assert [row.kind for row in await office.rows(select(wraps).where(own))] == ["box"] * 2
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        key = await unlock(connection, office.actor)
        opened = [await coded_page(connection, office.gateway, key, row._mapping) for row in filed]
    assert [_hash(page) for page in opened] == [_hash(page) for page in sent] == [row.sha256 for row in filed]
    assert await office.told(fax.id) == [
        "fax.ringing",
        "fax.receiving",
        "fax.page_received",
        "fax.page_received",
        "fax.received",
    ]
    (attempt,) = await office.calls(fax.id)
    assert (attempt.state, attempt.cause, attempt.rate, attempt.pages, attempt.ecm) == ("ended", "", 14400, 2, True)
    assert attempt.trace_id is not None and attempt.connected_at is not None


async def test_the_box_is_found_by_number_line_and_subaddress(office: Office) -> None:
    plain = await add_number(office, number="+15550777")
    by_subaddress = await add_number(office, number="", subaddress="4711")
    by_line = await add_number(office, number="", line="two")
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(delete(numbers).where(numbers.c.number == "+15550198"))
    (page,) = fax_pages(1)
    assert (await call("+15550777", [page])).complete
    assert (await call("+15550777", [page], subaddress="4711")).complete
    assert (await call("+15550777", [page], subaddress="99")).complete
    assert (await call("+15550198", [page])).complete
    found = await office.received(4)
    assert [fax.box_id for fax in found] == [plain, by_subaddress, plain, by_line]


async def test_a_call_for_nobody_is_not_answered(office: Office) -> None:
    with pytest.raises(RequestError, match="No simulated line"):
        await call_in("+15550666", fax_pages(1), within=0.5)
    assert await office.rows(select(faxes.c.id)) == []


async def test_junk_is_refused_before_it_is_answered_or_marked_after(office: Office) -> None:
    rules = [
        {"name": "spammer", "callers": ["+1900*"], "action": "reject"},
        {"name": "withheld", "callers": ["withheld"], "pages_at_most": 1, "action": "mark"},
        {"name": "adverts", "stations": ["*555 0105"], "pages_at_most": 1, "action": "mark"},
    ]
    await office.change_policy(junk=rules)
    await office.deny("+15550107", direction="in")
    await office.deny("+19005551234", direction="in", action="allow")
    for caller in ("19001234567", "15550107"):
        with pytest.raises(RequestError, match="No simulated line"):
            await call_in(OWN, fax_pages(1), caller=caller, within=0.5)
    assert await office.rows(select(faxes.c.id)) == []
    for caller, count in (("15550105", 1), ("15550105", 2), ("19005551234", 1), ("15550100", 1)):
        tray = Tray([Sheet(bitmap_of(page), page.width, Resolution.FINE) for page in fax_pages(count)])
        machine = Station(f"+{caller[0]} {caller[1:4]} {caller[4:]}")
        outcome = await sandbox().call_in(OWN, machine, tray, number=caller, within=10)
        assert outcome is not None and outcome.complete
    found = await office.received(4)
    assert [fax.mark for fax in found] == ["junk: adverts", "", "", ""]


async def test_xm_02_a_fax_for_one_tenant_is_invisible_to_another(office: Office) -> None:
    other = await new_tenant(office.gateway, "other", ())
    async with office.gateway.database.dispatcher() as connection:
        theirs = {"id": new_id(), "tenant_id": other.tenant, "number": "+15550888", "box_id": other.box}
        await connection.execute(insert(numbers).values(theirs))
    for number in (OWN, "+15550888"):
        assert (await call(number, fax_pages(1))).complete
    (mine,) = await office.received()
    assert (mine.to_number, mine.box_id) == (OWN, office.tenant.box)
    second = Office(office.gateway, other)
    (fax,) = await second.received()
    assert (fax.to_number, fax.box_id, fax.user_id) == ("+15550888", other.box, other.user)
    assert await office.rows(select(faxes.c.id).where(faxes.c.id == fax.id)) == []
    async with office.gateway.database.tenant(other.tenant) as connection:
        filed = (await connection.execute(select(pages))).mappings().one()
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        key = await unlock(connection, office.actor)
        with pytest.raises(RequestError) as refused:
            await coded_page(connection, office.gateway, key, filed)
    assert refused.value.code == "content.gone"


class PlugPulled(Exception):
    """Somebody pulled the plug of the sending machine."""


class Unplugged(Tray):
    """Sheets of a machine that is unplugged as soon as it does one thing."""

    def __init__(self, until: type, count: int) -> None:
        super().__init__([Sheet(bitmap_of(page), page.width, Resolution.FINE) for page in fax_pages(count)])
        self._until = until

    async def perform(self, action: PageAction) -> PageEvent:
        if isinstance(action, self._until):
            raise PlugPulled
        return await super().perform(action)


@pytest.mark.parametrize(
    ("until", "state", "count"), [(FetchPage, "failed", 0), (NoteConfirmed, "partially_received", 1)]
)
async def test_a_caller_who_hangs_up_leaves_the_pages_that_were_confirmed(
    office: Office, until: type, state: str, count: int
) -> None:
    with pytest.raises(PlugPulled):
        await sandbox().call_in(OWN, Station("+15550100"), Unplugged(until, 3), number="15550100", within=10)
    (fax,) = await office.received()
    assert (fax.state, fax.pages, fax.pages_done) == (state, count, count)
    (attempt,) = await office.calls(fax.id)
    assert attempt.state == "ended" and attempt.cause == fax.reason_code != ""
    assert (await office.told(fax.id))[-1] == f"fax.{state}"
    assert (await call(OWN, fax_pages(1))).complete  # the line is good for the next one


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    return (sim_line("one", "15550199"), sim_line("two", "15550198"))


@pytest.mark.parametrize(
    "lines", [(sim_line("one", "15550199", tenants=frozenset({"acme"})), sim_line("two", "15550198"))]
)
async def test_a_line_of_one_tenant_brings_no_fax_to_another(office: Office) -> None:
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(delete(numbers))
    other = await new_tenant(office.gateway, "other", office.gateway.config.lines)
    async with office.gateway.database.dispatcher() as connection:
        taken = await connection.execute(delete(numbers).returning(numbers.c.number))
        assert [row.number for row in taken] == ["+15550198"]
        theirs = {"id": new_id(), "tenant_id": other.tenant, "number": "", "box_id": other.box}
        await connection.execute(insert(numbers).values(theirs))
    with pytest.raises(RequestError, match="No simulated line"):
        await call_in(OWN, fax_pages(1), within=0.5)
    assert (await call("+15550198", fax_pages(1))).complete
    assert (await Office(office.gateway, other).received())[0].to_number == "+15550198"


@pytest.mark.parametrize(
    "lines", [(sim_line("out", "15550199", use="send"), sim_line("in", "15550198", use="receive"))]
)
async def test_lines_for_sending_or_receiving_only_do_just_that(office: Office) -> None:
    with pytest.raises(RequestError, match="No simulated line"):
        await call_in(OWN, fax_pages(1), within=0.5)
    assert (await call("+15550198", fax_pages(1))).complete
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    faxes_sent = [await office.send(number, document) for number in ("+15550100", "+15550106")]
    assert {(await office.ended(each)).line for each in faxes_sent} == {"out"}
