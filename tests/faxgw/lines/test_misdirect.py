"""The guard against wrong numbers: another machine answers than before."""

from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.actions import release
from faxgw.model import State
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages

CHANGES = "+15550106"


async def test_a_fax_is_held_before_page_one_until_it_is_released(office: Office) -> None:
    await office.change_policy(misdirect="hold")
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    first = await office.ended(await office.send(CHANGES, document))
    assert (first.state, first.remote_id, first.mark) == ("delivered", "+1 555 0106", "")
    fax = await office.in_state(await office.send(CHANGES, document), State.HELD)
    assert fax.reason_code == "policy.misdirect" and "+1 555 0116" in fax.mark
    assert (fax.pages_done, fax.next_call_at, await office.confirmed(fax.id)) == (0, None, [])
    assert await office.spooled(fax.id) == {"page", "document"}
    assert (await office.told(fax.id))[-2:] == ["fax.dialing", "fax.held"]
    await office.do(release, fax.id)
    released = await office.ended(fax.id)
    assert (released.state, released.remote_id, released.mark, released.reason_code) == (
        "delivered",
        "+1 555 0126",
        "",
        "",
    )
    steps = await office.told(fax.id)
    assert steps[steps.index("fax.held") :] == [
        "fax.held",
        "fax.released",
        "fax.dialing",
        "fax.sending",
        "fax.page_sent",
        "fax.delivered",
    ]
    # What was approved and delivered is known from then on; the machine after it is new again.
    held = await office.in_state(await office.send(CHANGES, document), State.HELD)
    assert await office.cancel(held.id) is State.CANCELED
    assert await office.spooled(held.id) == set()


async def test_where_policy_says_report_the_fax_goes_and_is_marked(office: Office) -> None:
    await office.change_policy(misdirect="report")
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    await office.ended(await office.send(CHANGES, document))
    second = await office.ended(await office.send(CHANGES, document))
    assert second.state == "delivered" and "+1 555 0116" in second.mark
    await office.change_policy(misdirect="off")
    third = await office.ended(await office.send(CHANGES, document))
    assert (third.state, third.mark) == ("delivered", "")
