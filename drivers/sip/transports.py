"""The ports of SIP: whole messages in, whole messages out, over UDP, TCP or TLS."""

from collections.abc import Callable
from typing import Self

from drivers.sip.connection import StreamLimits
from drivers.sip.guard import Guard
from drivers.sip.port import Gate
from drivers.sip.streams import Streams
from drivers.sip.tls import Tls, TlsSettings
from drivers.sip.udp import Datagrams
from drivers.sip.ways import Address, Flow, Target, Transport
from t30.line import LineClock


class Transports:
    """A port of one transport, and all connections that it has.

    Attributes:
        receiver: is given each whole message as octets, and how it came; without one they are dropped.
    """

    def __init__(self, gate: Gate) -> None:
        self.receiver: Callable[[bytes, Flow], None] | None = None
        self._gate = gate
        self._port: Datagrams | Streams

    @classmethod
    async def open(
        cls,
        transport: Transport,
        local: Address,
        *,
        guard: Guard,
        clock: LineClock,
        tls: TlsSettings | None = None,
        limits: StreamLimits | None = None,
    ) -> Self:
        """Open a port, at a numeric host of this machine (``0.0.0.0`` or ``::`` for all); at port 0, any.

        A guard may be shared with other ports. Over TLS nobody can connect to us without a certificate of our own;
        then ``local`` stays as it is given.

        Raises:
            LineError: ``line.unavailable`` if the port is not to be had, or a certificate not to be used.
        """
        gate = Gate(transport, guard, clock)
        port = cls(gate)
        if transport is Transport.UDP:
            port._port = await Datagrams.open(local, port._heard, gate)
        else:
            secured = Tls(tls or TlsSettings()) if transport is Transport.TLS else None
            port._port = await Streams.open(
                transport, local, port._heard, gate=gate, tls=secured, limits=limits or StreamLimits()
            )
        return port

    @property
    def local(self) -> Address:
        """What the port is bound to."""
        return self._port.local

    @property
    def reason(self) -> str:
        """Why the last message that failed could not be sent; "" before."""
        return self._gate.reason

    def holds(self, flow: Flow) -> bool:
        """Tell whether the connection of a flow is still there; there is none of UDP."""
        return self._port.holds(flow)

    def send(self, octets: bytes, to: Target | Flow, failed: Callable[[], None]) -> None:
        """Send a message; to a flow, if it is the answer to a request or a request to who holds the connection open.

        ``failed`` is called soon, and at most once, if it is known not to have arrived: nobody listens there, there is
        no way, the certificate is refused (``reason`` says what). No news over UDP is no good news.
        """
        self._port.send(octets, to, failed)

    async def close(self) -> None:
        """Send what is still to be sent, then release the port; may be called more than once."""
        self._gate.close()
        await self._port.close()

    def _heard(self, octets: bytes, flow: Flow) -> None:
        if self.receiver is not None:
            self.receiver(octets, flow)
