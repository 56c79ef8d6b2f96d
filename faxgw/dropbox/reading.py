"""A dropped document is read before it is taken: what is none is refused, and nothing of it is kept."""

import asyncio

from faxgw.devices.device import Device
from faxgw.dropbox.writing import Written
from faxgw.errors import RequestError
from faxgw.faxes.uploading import Received, count_pages, has_room, receive_small
from faxgw.gateway import Gateway

ANY_TYPE = "application/octet-stream"


class Reading:
    """Reads documents; long ones one after the other, since each is held in memory meanwhile."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._long = asyncio.Lock()

    async def document(self, device: Device, name: str, written: Written) -> Received:
        """Read a document, and have it in the store; no row speaks of it yet.

        Raises:
            RequestError: ``document.*``, ``storage.full``; nothing of it is left in the store then.
            StoreError: if it cannot be stored.
        """
        gateway = self._gateway
        if isinstance(written, bytes):
            await self._check_room()
            actor = device.actor
            return await receive_small(gateway, actor, written, name=name, media_type=ANY_TYPE, drawn=True, sent=False)
        try:
            await self._check_room()
            async with self._long:
                octets = await gateway.objects.open(written.label, dek=written.dek)
                return Received(name, ANY_TYPE, written, await count_pages(gateway, name, octets))
        except BaseException:
            await asyncio.shield(gateway.objects.delete([written.id]))
            raise

    async def _check_room(self) -> None:
        if not await has_room(self._gateway):
            raise RequestError("storage.full", "The gateway has no room for more: try again later.")
