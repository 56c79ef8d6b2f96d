"""The task that hears the database's notifications for the API: events, and API keys that changed."""

from uuid import UUID

from faxgw.api.call import Api
from faxgw.api.credentials import CHANNEL
from faxgw.faxes.changes import EVENTS_CHANNEL


async def listen(api: Api) -> None:
    """Hand notifications on until cancelled."""
    try:
        async with api.gateway.database.listen(EVENTS_CHANNEL, CHANNEL) as notices:
            async for notice in notices:
                if notice.missed:
                    api.credentials.forget()
                    api.credentials.hears = True
                    api.hub.missed()
                elif notice.channel == CHANNEL:
                    api.credentials.forget(UUID(notice.payload))
                else:
                    api.hub.tell(notice.payload)
    finally:
        api.credentials.hears = False
