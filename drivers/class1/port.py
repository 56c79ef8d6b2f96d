"""The octets between the driver and a modem: what the driver needs of a serial port, a pseudo-terminal or a cable."""

from typing import Protocol


class OctetStream(Protocol):
    """A full-duplex stream of octets with a modem at its other end. One task reads; one task writes."""

    @property
    def pending(self) -> int:
        """Octets written that have not left this machine yet, those in the kernel's queue included."""
        ...

    async def read(self) -> bytes:
        """Return the next octets, at least one; ``b""`` when the modem is gone. Cancelling it loses nothing."""
        ...

    def write(self, octets: bytes) -> None:
        """Take octets to be written; never blocks and never fails (a modem that is gone shows in ``read``)."""
        ...

    async def drain(self, low: int = 0) -> None:
        """Wait until at most ``low`` octets are pending, or the modem is gone."""
        ...

    async def drop_dtr(self) -> None:
        """Take DTR away for a moment, which makes a modem hang up; nothing happens where there is no such wire."""
        ...

    async def close(self) -> None:
        """Release the port at once; what is pending is thrown away. May be called more than once."""
        ...
