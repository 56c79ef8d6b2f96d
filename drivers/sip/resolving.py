"""Where a URI leads: the addresses of its host."""

import asyncio
import socket
from random import Random

from drivers.sip.uri import Uri
from drivers.sip.ways import Target, Transport
from t30.line import LineError


class Resolver:
    """Finds addresses."""

    def __init__(self, random: Random) -> None:
        self._random = random

    async def targets(self, uri: Uri, transport: Transport | None) -> list[Target]:
        """Return where requests to a URI go, the best first.

        Raises:
            LineError: ``line.unavailable`` if its host leads nowhere.
        """
        how = transport or Transport.UDP
        try:
            found = await asyncio.get_running_loop().getaddrinfo(uri.host, uri.port or how.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise LineError(f"{uri.host} leads nowhere: {error.strerror}") from error
        return [Target(how, (str(each[4][0]), int(each[4][1])), uri.host) for each in found]
