"""The settings of deliveries to places outside."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork

from faxgw.documented import Documented

TENANT = "{tenant}"
"""In the path of a folder of this machine: the id of the tenant whose folder it is."""


def _whole(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts or path == Path("/"):
        raise ValueError("it is a whole path, as in /srv/fax-out/{tenant}")
    return path


def _one_for_each_tenant(path: Path) -> Path:
    if TENANT not in str(path):
        raise ValueError(f"{path} would be every tenant's: have one for each, as in {path / TENANT}")
    return path


Root = Annotated[Path, AfterValidator(_whole), AfterValidator(_one_for_each_tenant)]


class DeliverySettings(Documented, BaseModel):
    """Faxes and notices on their way to mailboxes and folders."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    allow_private: Annotated[tuple[IPvAnyNetwork, ...], Field(examples=[["10.1.2.0/24"]])] = ()
    """Private or local networks in which targets may lie all the same."""
    folders: Annotated[tuple[Root, ...], Field(examples=[["/srv/fax-out/{tenant}"]])] = ()
    """Folders of this machine below which targets of the kind local may lie; with none, there are no such targets.
    {tenant} is in each path, and stands for the id of the tenant that it is for: no other's targets lie there. In each
    lies a file .faxgw, which tells it from an empty mount point."""
    timeout: Annotated[float, Field(ge=5, le=3600)] = 300
    """The longest that one try to hand something over may take, in seconds."""


class SftpSettings(Documented, BaseModel):
    """The drop box: an SFTP server, each of whose accounts is a device; documents dropped there are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on; 0.0.0.0 or :: for all of this machine's."""
    port: Annotated[int | None, Field(ge=0, le=65535, examples=[8022])] = None
    """The port to listen on; 0 for any free one. If not given, there is no drop box."""
    allowed: Annotated[tuple[IPvAnyNetwork, ...], Field(examples=[["10.0.0.0/8", "2001:db8::/32"]])] = ()
    """Networks whose machines may connect; any, if none is named."""
    connections: Annotated[int, Field(ge=1, le=1000)] = 64
    """How many may be connected at once."""
    connections_per_address: Annotated[int, Field(ge=1, le=1000)] = 16
    """How many of them may come from one address."""
    failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 20
    """How many wrong secrets one address may send in a minute; then it is not let in."""
    silence: Annotated[float, Field(ge=10, le=3600)] = 300
    """Seconds after which a connection is closed on which nothing happens."""
