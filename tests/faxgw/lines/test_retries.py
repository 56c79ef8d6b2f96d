"""What follows from each way in which a call fails; retries are brought about by moving them into the past."""

from datetime import timedelta

import pytest

from faxgw.documents.tiff import tiff_octets
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

FALLIBLE = "+15550121"


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (FarEnd("15550121", drops_after=(1, 2, None)),)


@pytest.mark.parametrize(
    ("number", "cause", "seconds"),
    [("+15550101", "call.busy", 180), ("+15550102", "call.no_answer", 300), ("+15550103", "fax.training", 60)],
)
async def test_each_cause_has_its_delay(office: Office, number: str, cause: str, seconds: float) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.waits(await office.send(number, document))
    (call,) = await office.calls(fax.id)
    assert (call.cause, call.state, fax.dials, fax.reason_code) == (cause, "ended", 1, cause)
    assert timedelta(seconds=seconds) <= fax.next_call_at - call.ended_at <= timedelta(seconds=seconds * 1.25)
    assert (call.connected_at is None) == cause.startswith("call.")


async def test_only_unconfirmed_pages_are_sent_again(office: Office, far_ends: tuple[FarEnd, ...]) -> None:
    document = await office.upload(tiff_octets(fax_pages(4)), 4)
    fax_id = await office.send(FALLIBLE, document)
    fax = await office.waits(fax_id)
    assert fax.pages_done == 1 and fax.reason_code.startswith(("fax.", "line."))
    await office.again(fax_id)
    fax = await office.waits(fax_id)
    assert fax.pages_done == 3
    await office.again(fax_id)
    fax = await office.ended(fax_id)
    assert (fax.state, fax.pages_done, fax.dials) == ("delivered", 4, 3)
    drawn = await office.hashes(fax_id)
    confirmed = [[call.hashes[index] for index in call.confirmed] for call in far_ends[0].calls]
    assert confirmed == [drawn[:1], drawn[1:3], drawn[3:]]
    assert [(call.first_page, call.pages) for call in await office.calls(fax_id)] == [(0, 1), (1, 2), (3, 1)]
    steps = await office.told(fax_id)
    assert steps.count("fax.page_sent") == 4 and steps.count("fax.waiting_retry") == 2
    assert steps[steps.index("fax.waiting_retry") :][:3] == ["fax.waiting_retry", "fax.queued", "fax.dialing"]


async def test_a_fax_that_is_given_up_has_failed_or_was_sent_in_part(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    failed = await office.ended(await office.send("+15550101", document, retry={"max_dials": 1}))
    assert (failed.state, failed.reason_code, failed.pages_done) == ("failed", "call.busy", 0)
    assert "1 calls" in failed.reason_text
    partial = await office.ended(await office.send("+15550104", document, retry={"max_dials": 1}))
    assert (partial.state, partial.pages_done) == ("partially_sent", 1)
    assert (await office.told(partial.id))[-1] == "fax.partially_sent"
    assert failed.finished_at is not None and failed.next_call_at is None


async def test_a_tenant_lays_down_what_follows_from_a_cause(office: Office) -> None:
    await office.change_policy(retry={"causes": {"call.busy": {"delay": 1000, "tries": 2}}, "jitter": 0})
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.waits(await office.send("+15550101", document))
    (call,) = await office.calls(fax.id)
    assert abs((fax.next_call_at - call.ended_at).total_seconds() - 1000) < 5
    await office.again(fax.id)
    ended = await office.ended(fax.id)
    assert (ended.state, ended.reason_code, ended.dials) == ("failed", "call.busy", 2)


async def test_a_fault_of_a_line_has_the_next_call_take_the_other_one(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    waiting = await office.waits(await office.send("+15550130", document))
    (call,) = await office.calls(waiting.id)
    assert call.cause == "call.rejected" and waiting.plan["avoid"] == call.line
    await office.again(waiting.id)
    await office.waits(waiting.id)
    first, second = await office.calls(waiting.id)
    assert {first.line, second.line} == {"one", "two"}
