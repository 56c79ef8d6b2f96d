"""The settings of deliveries to places outside."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork

from faxgw.documented import Documented


def _whole(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts or path == Path("/"):
        raise ValueError("it is a whole path, as in /srv/fax-out")
    return path


Root = Annotated[Path, AfterValidator(_whole)]


class DeliverySettings(Documented, BaseModel):
    """Faxes and notices on their way to mailboxes and folders."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    allow_private: Annotated[tuple[IPvAnyNetwork, ...], Field(examples=[["10.1.2.0/24"]])] = ()
    """Private or local networks in which targets may lie all the same."""
    folders: Annotated[tuple[Root, ...], Field(examples=[["/srv/fax-out"]])] = ()
    """Folders of this machine below which targets of the kind local may lie; with none, there are no such targets."""
    timeout: Annotated[float, Field(ge=5, le=3600)] = 300
    """The longest that one try to hand something over may take, in seconds."""
