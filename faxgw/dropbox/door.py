"""Who is let in by SSH: devices, by secret or key, from where they may come; and to nothing but a folder."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import asyncssh
import structlog
from asyncssh.stream import SSHServerStreamSession

from faxgw.api.throttle import Buckets
from faxgw.config.folders import SftpSettings
from faxgw.devices.device import Device
from faxgw.devices.memory import Memory
from faxgw.devices.signing_in import find_device, sign_in, sign_in_by_key
from faxgw.dropbox.folder import Folder
from faxgw.dropbox.reading import Reading
from faxgw.dropbox.scp import ScpRefused, Sink, target_of
from faxgw.dropbox.sftp import FolderHandler, FolderServer
from faxgw.gateway import Gateway
from faxgw.metrics import REFUSED
from faxgw.store.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

MINUTE = 60.0
MEMORY = 64 * 1024 * 1024
"""Octets for files that are being written, of all connections together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do; times in seconds.

    Attributes:
        sign_in: until a device has signed in.
        tarpit: before a wrong secret is answered, however long it took to look at it.
        failures: wrong secrets.
        keys: keys that are offered.
        sessions: SFTP sessions, or runs of scp, at the same time.
    """

    sign_in: float = 30.0
    tarpit: float = 1.0
    failures: int = 3
    keys: int = 20
    sessions: int = 4


@dataclass
class Shared:
    """What all connections share."""

    gateway: Gateway
    settings: SftpSettings
    limits: Limits = Limits()
    failures: Buckets = field(init=False)
    """By address: wrong secrets."""
    callers: Counter[str] = field(default_factory=Counter)
    """By address: its connections."""
    reading: Reading = field(init=False)
    memory: Memory = field(default_factory=partial(Memory, MEMORY))
    """For files that are being written."""
    running: set[asyncio.Task[None]] = field(default_factory=set)
    """What is going on in all sessions; each gives up at its end what is not finished."""

    def __post_init__(self) -> None:
        self.failures = Buckets(self.settings.failures_per_minute, MINUTE)
        self.reading = Reading(self.gateway)

    def has_room_for(self, caller: str) -> bool:
        """Tell whether this address may have one more connection."""
        settings = self.settings
        return self.callers.total() < settings.connections and self.callers[caller] < settings.connections_per_address


class Door(asyncssh.SSHServer):
    """One connection: who it is, and what it may begin."""

    def __init__(self, shared: Shared, address: str, caller: str) -> None:
        self._shared = shared
        self._address = address
        self._caller = caller
        self._connection: asyncssh.SSHServerConnection | None = None
        self._device: Device | None = None
        self._by_key: tuple[str, str] | None = None
        self._failures = self._keys = 0
        self._sessions: set[FolderSession] = set()
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember the connection."""
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc
        if self._idle is not None:
            self._idle.cancel()
        self._connection = None

    def begin_auth(self, username: str) -> bool:
        """Ask everybody who they are."""
        del username
        return True

    def password_auth_supported(self) -> bool:
        """Take secrets."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Take keys."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Tell whether this is the secret of a device that may come in from here."""
        due = asyncio.get_running_loop().time() + self._shared.limits.tarpit
        gateway = self._shared.gateway
        if not self._shared.failures.left(self._caller).wait:
            try:
                self._device = await sign_in(
                    gateway.database,
                    gateway.server_keys,
                    username,
                    password,
                    address=self._address,
                    protocol=self._protocol(),
                )
            except DatabaseUnavailable as fault:
                self._turn_away("The gateway cannot let anybody in now: try again later.", str(fault))
                return False
            if self._device is not None:
                return True
        await self._not_let_in(due)
        return False

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Tell whether this is the key of a device that may come in from here; that it holds it is checked after."""
        self._keys += 1
        if self._keys > self._shared.limits.keys:
            self._turn_away("Too many keys.", "")
            return False
        public = key.export_public_key("openssh").decode().strip()
        try:
            async with self._shared.gateway.database.dispatcher() as connection:
                device = await find_device(connection, username)
        except DatabaseUnavailable as fault:
            self._turn_away("The gateway cannot let anybody in now: try again later.", str(fault))
            return False
        if device is None or not device.ssh_key or device.ssh_key.split()[:2] != public.split()[:2]:
            return False
        self._by_key = (username, public)
        return device.usable and device.may_come_from(self._address)

    async def session_requested(self) -> "FolderSession":
        """Let a device begin what ``FolderSession`` takes."""
        device = await self._signed_in()
        if device is None or len(self._sessions) >= self._shared.limits.sessions:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "Not now, or no more of these.")
        folder = Folder(self._shared.gateway, device, self._shared.reading, self._shared.memory)
        session = FolderSession(self._shared, folder, over=self._over)
        self._sessions.add(session)
        return session

    async def _signed_in(self) -> Device | None:
        """Return the device, which may have shown its key."""
        if self._device is None and self._by_key is not None:
            login, public = self._by_key
            self._device = await sign_in_by_key(
                self._shared.gateway.database, login, public, address=self._address, protocol=self._protocol()
            )
        self._rest()
        return self._device

    async def _not_let_in(self, due: float) -> None:
        """Answer at a fixed time after the question: what was wrong is not to be told by how long it took."""
        self._failures += 1
        self._shared.failures.take(self._caller)
        REFUSED.labels("device").inc()
        log.warning("device sign-in failed", address=self._address)
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        if self._failures >= self._shared.limits.failures:
            self._turn_away("Too many wrong secrets.", "")

    def _turn_away(self, text: str, why: str) -> None:
        if why:
            log.warning("nobody can sign in to the drop box", fault=why)
        if self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, text)

    def _over(self, session: "FolderSession") -> None:
        self._sessions.discard(session)
        self._rest()

    def _rest(self) -> None:
        """Close a connection with which nothing is done for a while."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._shared.settings.silence, self._look)

    def _look(self) -> None:
        if self._sessions:
            self._rest()
        elif self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, "Nothing happened for too long.")

    def _protocol(self) -> str:
        cipher = self._connection.get_extra_info("recv_cipher") if self._connection else ""
        return f"SSH-2.0 {cipher}"


class FolderSession(SSHServerStreamSession[bytes]):
    """One run of SFTP, or of scp as a receiver; there is no shell, no other command, no terminal, no forwarding."""

    def __init__(self, shared: Shared, folder: Folder, *, over: Callable[["FolderSession"], None]) -> None:
        super().__init__(None)
        self._shared = shared
        self._folder = folder
        self._silence = shared.settings.silence
        self._when_over = over
        self._command = ""

    def shell_requested(self) -> bool:
        """Refuse."""
        return False

    def exec_requested(self, command: str) -> bool:
        """Take scp."""
        self._command = command
        return command.startswith("scp ")

    def subsystem_requested(self, subsystem: str) -> bool:
        """Take SFTP."""
        return subsystem == "sftp"

    def session_started(self) -> None:
        """Begin."""
        assert self._chan is not None
        reader = asyncssh.SSHReader[bytes](self, self._chan)
        task = asyncio.create_task(
            self._run(reader, asyncssh.SSHWriter[bytes](self, self._chan)), name="drop box session"
        )
        self._shared.running.add(task)
        task.add_done_callback(self._shared.running.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the channel, also if nothing was begun."""
        super().connection_lost(exc)
        self._when_over(self)

    async def _run(self, reader: "asyncssh.SSHReader[bytes]", writer: "asyncssh.SSHWriter[bytes]") -> None:
        assert isinstance(self._chan, asyncssh.SSHServerChannel)
        try:
            if self._command:
                await self._receive(reader, writer)
            else:
                server = FolderServer(self._chan, self._folder)
                await FolderHandler(server, reader, writer, silence=self._silence).run()
        except (EOFError, OSError, asyncssh.Error):
            writer.close()  # the other side is gone, or has said nothing for too long
        except Exception:
            log.exception("a session of the drop box failed")
            writer.close()
        finally:
            await asyncio.shield(self._folder.abandon())

    async def _receive(self, reader: "asyncssh.SSHReader[bytes]", writer: "asyncssh.SSHWriter[bytes]") -> None:
        assert isinstance(self._chan, asyncssh.SSHServerChannel)
        status = 1
        try:
            status = await Sink(self._folder, reader, writer, self._silence).run(target_of(self._command))
        except ScpRefused as refused:
            writer.write(f"\1scp: {refused}\n".encode())
        self._chan.exit(status)
