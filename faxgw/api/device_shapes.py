"""What the API answers about devices, field by field."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from faxgw.api.shapes import Shape


class DeviceShape(Shape):
    """A machine or a program that submits by mail or SFTP."""

    id: UUID
    """Its id; faxes have it as `device`."""
    name: str
    """What it is called."""
    login: str
    """The user name that it signs in with, besides its secret."""
    owner: UUID
    """Whose faxes its faxes are."""
    box: UUID
    """The box that they lie in."""
    numbers: list[str]
    """It sends only to numbers that begin so; empty: to whatever the policy allows."""
    networks: list[str]
    """It signs in only from these; empty: from anywhere."""
    faxes_per_day: int | None
    """So many faxes within a day at the most."""
    pages_per_day: int | None
    """So many pages within a day at the most."""
    ssh_key: str
    """The public key by which it signs in over SFTP, too; empty: none."""
    reply: Literal["sender", "owner", "none"]
    """Who gets a mail with results."""
    cover: bool
    """Whether the text of a mail with attachments goes onto a cover page."""
    enabled: bool
    """Whether it may sign in."""
    version: int
    """Goes up with every change; the ETag."""
    created_at: datetime
    """When it was made."""
    seen_at: datetime | None
    """When it last signed in, to about a minute; null: never."""
    seen_address: str
    """From where."""
    seen_tls: str
    """By which version and cipher."""
    exposed_at: datetime | None
    """When its secret was last seen in clear; it is to be given another one."""
    revoked_at: datetime | None
    """Since when its secret is good no more."""


class NewDevice(DeviceShape):
    """A device that was just made."""

    secret: str | None
    """The password that it signs in with; shown this once, null when this answer is given again."""


class NewDeviceSecret(Shape):
    """The new secret of a device."""

    id: UUID
    """The device."""
    login: str
    """The user name that goes with it."""
    secret: str | None
    """The secret; shown this once, null when this answer is given again."""


Finding = Literal["exposed", "never_connected", "tls_1_2", "revoked", "disabled"]


class CheckedDevice(Shape):
    """A device that is not as it should be."""

    id: UUID
    """Its id."""
    name: str
    """What it is called."""
    owner: UUID
    """Whose it is."""
    findings: list[Finding]
    """`exposed`: its secret was seen in clear. `never_connected`: it has not signed in yet. `tls_1_2`: it spoke TLS 1.2
    when it was last seen. `revoked`, `disabled`: it may not sign in."""
    seen_at: datetime | None
    """When it last signed in."""
    seen_tls: str
    """By which version and cipher."""


class DevicesChecked(Shape):
    """Which devices are ready, and which are not."""

    devices: int
    """How many there are."""
    ready: int
    """Of how many nothing is to be said: they have signed in, by TLS 1.3 or SSH."""
    items: list[CheckedDevice]
    """The others, by their names."""
