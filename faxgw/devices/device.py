"""One device as it signs in: whose it is, what it may send, from where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import Any, Self
from uuid import UUID

from faxgw.actor import Actor, OfDevice

SCOPES = frozenset({"faxes:send"})
"""What a device may do in its owner's name."""


@dataclass(frozen=True, slots=True)
class Device:
    """A machine or a program that submits by mail or SFTP.

    Attributes:
        user_id: its owner, whose faxes its faxes are.
        box_id: where they lie.
        login: what it signs in with, beside its secret.
        ssh_key: a public key of its own for SFTP, as in authorized_keys; empty: it has none.
        networks: from where it may sign in; empty: from anywhere.
        numbers: prefixes of numbers that it may send to; empty: whatever its tenant may.
        faxes_per_day, pages_per_day: so many it may send within a day; None: no limit of its own.
        cover: the text of a mail, beside attachments, goes onto a cover page.
        reply: who is told of results by mail: sender, owner or none.
        seen_tls: version and cipher of its last connection, as ``seen_as`` says them.
        exposed_at: when its secret was last seen in clear.
    """

    id: UUID
    tenant_id: UUID
    tenant: str
    user_id: UUID
    box_id: UUID
    name: str
    login: str
    ssh_key: str
    networks: tuple[str, ...]
    numbers: tuple[str, ...]
    faxes_per_day: int | None
    pages_per_day: int | None
    reply: str
    cover: bool
    enabled: bool
    version: int
    seen_at: datetime | None
    seen_address: str
    seen_tls: str
    exposed_at: datetime | None
    revoked_at: datetime | None
    role: str
    public_key: bytes = field(repr=False)
    at: float = field(default_factory=monotonic, compare=False)

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """Return a row of ``devices``, with its owner's ``role`` and ``public_key`` and the name of its ``tenant``."""
        said: dict[str, Any] = {name: row[name] for name in COLUMNS}
        return cls(**said | {name: tuple(row[name]) for name in ("networks", "numbers")})

    @property
    def age(self) -> float:
        """How many seconds ago it was read."""
        return monotonic() - self.at

    @property
    def usable(self) -> bool:
        """Whether it may sign in at all."""
        return self.enabled and self.revoked_at is None

    @property
    def actor(self) -> Actor:
        """In whose name it sends."""
        return Actor(
            tenant_id=self.tenant_id,
            tenant=self.tenant,
            user_id=self.user_id,
            role=self.role,
            api_key_id=None,
            scopes=SCOPES,
            public_key=self.public_key,
            device=OfDevice(self.id, self.numbers, self.faxes_per_day, self.pages_per_day),
        )

    def may_come_from(self, address: str) -> bool:
        """Tell whether it may sign in from an IP address."""
        if not self.networks:
            return True
        try:
            given = ip_address(address)
        except ValueError:
            return False
        if isinstance(given, IPv6Address) and given.ipv4_mapped:
            given = given.ipv4_mapped
        return any(given in _network(each) for each in self.networks)

    def may_call(self, number: str) -> bool:
        """Tell whether it may send to a number in E.164 form; the tenant's own rules hold besides."""
        return not self.numbers or number.startswith(self.numbers)


COLUMNS = tuple(name for name in Device.__dataclass_fields__ if name != "at")
"""What is read of it."""


@lru_cache(maxsize=1024)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
