"""What the API answers of the program itself and of what people take with them; as ``shapes``."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from faxgw.api.shapes import Shape


class AdvisoryShape(Shape):
    """Something that is known to be wrong with this version."""

    id: str
    """Its name."""
    title: str
    """What it is."""
    severity: Literal["low", "medium", "high", "critical"]
    """How bad it is."""
    affected: list[str]
    """Which versions have it, such as `>=0.1,<0.1.4`."""
    fixed_in: str
    """The first version without it; empty: none yet."""
    url: str
    """Where there is more to read; may be empty."""


class AdvisoryFeedShape(Shape):
    """Where advisories come from."""

    source: str
    """A file or an address; empty: nowhere."""
    serial: int | None
    """The issue that is believed; null: none."""
    checked_at: datetime | None
    """When it was looked at last."""
    fault: str | None
    """Why what lies there is not believed, or cannot be had; null: all is well."""


class DropBoxShape(Shape):
    """The drop box: an SFTP server for devices (docs/dropbox.md)."""

    host_key: str
    """Its public key, as in known_hosts."""
    fingerprint: str
    """What clients show of that key."""


class VersionShape(Shape):
    """What runs here."""

    name: Literal["faxgw"]
    """The program."""
    version: str
    """Its version."""
    sbom: str
    """Address of what it is made of."""
    feed: AdvisoryFeedShape
    """Where advisories come from."""
    advisories: list[AdvisoryShape]
    """What is known to be wrong with this version, the worst first."""
    text: str
    """The same in one sentence."""
    drop_box: DropBoxShape | None
    """The drop box of the node that answers; null: there is none."""


class CallRecordShape(Shape):
    """One call."""

    fax: UUID
    """Its fax."""
    attempt: int
    """Which call for that fax, from 1."""
    direction: Literal["out", "in"]
    """Which way."""
    box: UUID
    """The box that the fax lies in."""
    api_key: UUID | None
    """The API key with which the fax was sent."""
    from_: Annotated[str, Field(alias="from")]
    """The number that called."""
    to: str
    """The number that was called."""
    remote_id: str
    """What the other machine calls itself."""
    line: str
    """The telephone line."""
    node: str
    """The gateway process."""
    started_at: datetime
    """When the call began."""
    connected_at: datetime | None
    """When the machines were connected."""
    ended_at: datetime
    """When it ended."""
    seconds: float | None
    """How long it was connected."""
    pages: int
    """Pages confirmed, or received."""
    rate: int | None
    """In bit/s."""
    modulation: str | None
    """How the pages were sent."""
    ecm: bool | None
    """Whether with error correction."""
    cause: str
    """Why it failed; empty: it went well."""
    cause_text: str
    """The same in words."""


class CallRecordsShape(Shape):
    """Calls."""

    items: list[CallRecordShape]
    """The earliest first."""
