"""Connections by SSH: to hosts whose keys are pinned, by modern methods, with nothing of this machine's own user."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import asyncssh

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.delivery.targets import ScpTarget, SftpTarget, TargetSecret
from faxgw.errors import RequestError
from faxgw.folders.folder import Hop
from faxgw.folders.reaching import reach
from faxgw.webhooks.egress import Network

CIPHERS = ("aes256-gcm@openssh.com", "aes256-ctr")
MACS = (
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512",
    "hmac-sha2-256",
)
"""For ``aes256-ctr`` only."""
KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp521",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)
"""No group exchange: asyncssh would take groups of 1,024 bits."""
HOST_KEYS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Type of a host key -> the signatures that are taken of it; SHA-1 is not."""
SECONDS = 30.0
"""For the handshake, and for signing in."""
_MODERN: Any = {
    "encryption_algs": CIPHERS,
    "mac_algs": MACS,
    "kex_algs": KEY_EXCHANGES,
    "compression_algs": None,
    "agent_path": None,
    "config": None,
    "gss_host": None,
    "gss_kex": False,
    "gss_auth": False,
    "connect_timeout": SECONDS,
}


@dataclass(frozen=True, slots=True)
class HostKey:
    """What a host shows; nothing says yet that it is the right one.

    Attributes:
        line: as ``host_keys`` of a target has it.
        fingerprint: as ``ssh-keygen -l`` says it.
    """

    line: str
    fingerprint: str


class _Noting(asyncssh.SSHClient):
    """Takes note of the key that a host shows, and takes none that is not pinned."""

    def __init__(self) -> None:
        self.shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.shown = key
        return False


@asynccontextmanager
async def signed_in(
    settings: SftpTarget | ScpTarget, secret: TargetSecret, *, allowed: Sequence[Network]
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Sign in; at the end the connection is gone.

    Raises:
        NotProtected: ``delivery.host_key`` for a host with another key, ``delivery.ssh`` for one with nothing modern;
            nobody has signed in there.
        Refused: ``delivery.sign_in`` for a wrong user, password or key; ``delivery.address``.
        Unreachable: ``delivery.unreachable``.
    """
    try:
        pinned, own = pinned_keys(settings.host_keys), own_key(secret)
    except RequestError as error:
        raise Refused(error.code, error.reason) from error
    noting = _Noting()
    made = await reach(settings.host, settings.port, allowed=allowed)
    try:
        connection = await asyncssh.connect(
            settings.host,
            settings.port,
            sock=made,
            client_factory=lambda: noting,
            username=settings.user,
            password=secret.password or None,
            client_keys=[own] if own else None,
            known_hosts=(pinned, [], []),
            server_host_key_algs=[each for key in pinned for each in HOST_KEYS[key.get_algorithm()]],
            x509_trusted_certs=None,
            preferred_auth=("publickey", "keyboard-interactive", "password"),
            login_timeout=SECONDS,
            keepalive_interval=SECONDS,
            **_MODERN,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        shown = f" ({noting.shown.get_fingerprint()})" if noting.shown else ""
        raise NotProtected(
            "delivery.host_key", f"{settings.host} shows a host key{shown} that is not one of the target's."
        ) from error
    except asyncssh.KeyExchangeFailed as error:
        raise NotProtected(
            "delivery.ssh", f"{settings.host} has neither a host key of the target's kinds nor anything modern: {error}"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise Refused("delivery.sign_in", f"{settings.host} does not let this user in with this secret.") from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise Unreachable("delivery.unreachable", f"{settings.host} ends the handshake: {_told(error)}") from error
    try:
        yield connection
    finally:
        connection.abort()
        await connection.wait_closed()


def hop(connection: asyncssh.SSHClientConnection) -> Hop:
    """Return how a connection is protected."""
    key = connection.get_server_host_key()
    assert key is not None
    return Hop(
        protocol="SSH-2.0",
        decision="host-key-pinned",
        cipher=str(connection.get_extra_info("send_cipher")),
        peer=sha256(key.public_data).hexdigest(),
    )


def pinned_keys(lines: Sequence[str]) -> list[asyncssh.SSHKey]:
    """Return the keys of lines as in known_hosts, or as in a file of a public key.

    Raises:
        RequestError: ``target.host_keys`` for what is no key that is taken.
    """
    keys = [_pinned_key(line) for line in lines]
    if not keys:
        raise RequestError("target.host_keys", "Give the public keys of the host; without one nothing is sent there.")
    return keys


async def host_key_of(host: str, port: int, *, allowed: Sequence[Network]) -> HostKey:
    """Return the key that a host shows now, for a person to compare; it is pinned by nobody else.

    Raises:
        Refused: ``delivery.address``.
        NotProtected: ``delivery.ssh`` if it has nothing modern.
        Unreachable: ``delivery.unreachable``.
    """
    made = await reach(host, port, allowed=allowed)
    algorithms = [each for kind in HOST_KEYS.values() for each in kind]
    options = asyncssh.SSHClientConnectionOptions(**_MODERN)
    try:
        key = await asyncssh.get_server_host_key(
            host, port, sock=made, config=None, options=options, server_host_key_algs=algorithms
        )
    except asyncssh.KeyExchangeFailed as error:
        raise NotProtected("delivery.ssh", f"{host} has nothing modern to offer: {error}") from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise Unreachable("delivery.unreachable", f"{host} ends the handshake: {_told(error)}") from error
    assert key is not None
    return HostKey(key.export_public_key().decode().strip(), key.get_fingerprint())


def _pinned_key(line: str) -> asyncssh.SSHKey:
    words = line.split()
    kind = next((at for at, word in enumerate(words[:3]) if word in HOST_KEYS), None)
    if kind is None or words[0].startswith("@"):
        raise RequestError(
            "target.host_keys", f"A host key begins with one of {', '.join(HOST_KEYS)}, or with the name of its host."
        )
    try:
        return asyncssh.import_public_key(" ".join(words[kind : kind + 2]))
    except asyncssh.KeyImportError as error:
        raise RequestError("target.host_keys", f"A host key cannot be read: {error}.") from error


def own_key(secret: TargetSecret) -> asyncssh.SSHKey | None:
    """Return the private key with which we sign in, None without one.

    Raises:
        RequestError: ``target.private_key`` for what is none.
    """
    if not secret.private_key:
        return None
    try:
        return asyncssh.import_private_key(secret.private_key)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise RequestError("target.private_key", f"The private key cannot be read: {error}.") from error


def _told(error: Exception) -> str:
    return f"{str(error)[:200] or type(error).__name__}."
