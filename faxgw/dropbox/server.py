"""The drop box as a part of the service: it listens, looks at where somebody comes from, and lets SSH begin."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable

import asyncssh
import structlog

from faxgw.config.folders import SftpSettings
from faxgw.dropbox.door import Door, Limits, Shared
from faxgw.dropbox.hostkey import fingerprint, host_key, private_text, public_text
from faxgw.gateway import Gateway
from faxgw.health import NotReady
from faxgw.metrics import DROP_CONNECTIONS
from faxgw.private import bound

log = structlog.get_logger(__name__)

CIPHERS = ("aes256-gcm@openssh.com",)
"""No other, since the client's order decides, and OpenSSH's has this one late."""
KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
)
MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com")
"""Named since they must be; the cipher has its own."""
SIGNATURES = (
    *("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"),
    *("ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256"),
)
WINDOW = 512 * 1024
"""Octets that a client may send ahead in one session."""
KEEP_ALIVE = 60
SOFTLY = 5.0
"""Seconds that connections have to end when the service stops."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class DropBox:
    """The listener and its connections."""

    def __init__(self, gateway: Gateway, *, limits: Limits | None = None) -> None:
        self._gateway = gateway
        self._settings = gateway.config.sftp
        self._shared = Shared(gateway, self._settings, limits or Limits())
        self._tasks: set[asyncio.Task[None]] = set()
        self._port: int | None = None

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._tasks)

    async def check(self) -> str:
        """Say how it is, for whoever asks whether the service is ready.

        Raises:
            NotReady: as long as it does not listen.
        """
        if self._port is None:
            raise NotReady("The drop box does not listen.")
        return f"The drop box listens on port {self._port}, and {self.connections} are connected."

    async def run(self, started: Callable[[int], None] | None = None) -> None:
        """Listen until cancelled; ``started`` is called with the port.

        Raises:
            RequestError: ``listener.unavailable``, ``keys.*``.
        """
        settings = self._settings
        assert settings.port is not None
        key = await asyncio.to_thread(host_key, self._gateway.config.data_dir)
        options = await _options(private_text(key), self._shared.limits)
        with bound(settings.host, settings.port, "sftp") as listener:
            listener.setblocking(False)
            port = listener.getsockname()[1]
            known = fingerprint(public_text(key))
            log.info("listening", what="drop box", host=settings.host, port=port, fingerprint=known)
            self._port = port
            if started is not None:
                started(port)
            try:
                await self._accept(listener, options)
            finally:
                self._port = None
                await self._end()

    async def _accept(self, listener: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError as fault:  # no descriptor left, or the client was gone already
                log.warning("a connection to the drop box was lost", fault=str(fault))
                await asyncio.sleep(0.1)
                continue
            address = _address(peer[0])
            caller = _caller(address)
            if not _may_connect(address, self._settings) or not self._shared.has_room_for(caller):
                log.info("a connection to the drop box was refused", address=str(address))
                connection.close()
                continue
            self._shared.callers[caller] += 1
            DROP_CONNECTIONS.inc()
            task = asyncio.create_task(self._serve(connection, options, address, caller), name="drop box")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(
        self,
        connection: socket.socket,
        options: asyncssh.SSHServerConnectionOptions,
        address: Address,
        caller: str,
    ) -> None:
        server: asyncssh.SSHServerConnection | None = None
        try:
            server = await asyncssh.run_server(
                connection, options=options, server_factory=lambda: Door(self._shared, str(address), caller)
            )
            await server.wait_closed()
        except (OSError, asyncssh.Error) as fault:
            log.debug("a connection to the drop box ended", address=str(address), fault=type(fault).__name__)
        finally:
            if server is not None:
                server.abort()
            connection.close()
            DROP_CONNECTIONS.dec()
            self._shared.callers[caller] -= 1
            if not self._shared.callers[caller]:
                del self._shared.callers[caller]

    async def _end(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        if left := {*self._tasks, *self._shared.running}:
            await asyncio.wait(left, timeout=SOFTLY)


async def _options(key: bytes, limits: Limits) -> asyncssh.SSHServerConnectionOptions:
    options: asyncssh.SSHServerConnectionOptions = await asyncssh.SSHServerConnectionOptions.construct(
        server_host_keys=[asyncssh.import_private_key(key)],
        server_version="faxgw",
        encryption_algs=CIPHERS,
        kex_algs=KEX,
        mac_algs=MACS,
        signature_algs=SIGNATURES,
        compression_algs=["none"],
        host_based_auth=False,
        kbdint_auth=False,
        gss_host=None,
        gss_kex=False,
        gss_auth=False,
        allow_pty=False,
        line_editor=False,
        x11_forwarding=False,
        agent_forwarding=False,
        encoding=None,
        window=WINDOW,
        login_timeout=limits.sign_in,
        keepalive_interval=KEEP_ALIVE,
        config=None,
    )
    return options


def _address(text: str) -> Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _caller(address: Address) -> str:
    """Return who counts as one caller: of an IPv6 address its network."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _may_connect(address: Address, settings: SftpSettings) -> bool:
    return not settings.allowed or any(address in each for each in settings.allowed)
