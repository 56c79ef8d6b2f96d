"""What other transactions leave for this node: work to look for, and calls that are not wanted any more."""

from uuid import UUID

from faxgw.faxes.changes import WORK_CHANNEL
from faxgw.faxes.ending import CANCELED, CANCELED_TEXT
from faxgw.gateway import Gateway, LiveCall
from faxgw.lines.outgoing import OutgoingCall


async def run_ears(gateway: Gateway) -> None:
    """Listen for work that other transactions leave, until cancelled."""
    async with gateway.database.listen(WORK_CHANNEL) as notices:
        async for notice in notices:
            if notice.missed:
                gateway.draw_bell.set()
                gateway.call_bell.set()
            elif notice.payload == "draw":
                gateway.draw_bell.set()
            elif notice.payload == "call":
                gateway.call_bell.set()
            elif notice.payload.startswith("cancel "):
                _cancel_fax(gateway, UUID(notice.payload.removeprefix("cancel ")))


def cancel_call(call: LiveCall) -> None:
    """Hang up, since the fax is not wanted any more; an incoming call goes on."""
    if isinstance(call, OutgoingCall):
        call.hang_up(CANCELED_TEXT, why=CANCELED)


def _cancel_fax(gateway: Gateway, fax_id: UUID) -> None:
    for call in gateway.calls:
        if isinstance(call, OutgoingCall) and call.claim.fax["id"] == fax_id:
            cancel_call(call)
