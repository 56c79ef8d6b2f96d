"""The settings of mail that leaves."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyAddress, SecretStr, model_validator

from faxgw.documented import Documented

_HOST = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def _host(name: str) -> str:
    if name and not _HOST.fullmatch(name):
        raise ValueError("it is the name of a host, such as mail.example.com")
    return name


def _address(text: str) -> str:
    name, at, domain = text.rpartition("@")
    if text and not (at and re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}", name) and _HOST.fullmatch(domain)):
        raise ValueError("it is an address in ASCII, such as fax@example.com")
    return text


class MailSettings(Documented, BaseModel):
    """Mail that leaves, always over TLS: by a smarthost, or straight to the hosts of its domain; else none does."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    smarthost: Annotated[str, AfterValidator(_host), Field(examples=["smtp.example.com"])] = ""
    """The host that takes all mail; its certificate must be for this name."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """The smarthost's port."""
    tls: Literal["starttls", "implicit"] = "starttls"
    """How TLS begins on that port: by STARTTLS, which must be there, or with the first octet, as on 465."""
    user: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["fax@example.com"])] = ""
    """As whom to sign in to the smarthost; empty: it asks for nobody's name."""
    password: SecretStr | None = Field(default=None, examples=["PASSWORD"])
    """The password for that."""
    direct: bool = False
    """Without a smarthost, carry mail to the hosts of its domain (MX), proven by MTA-STS, DANE or their name."""
    sender: Annotated[str, AfterValidator(_address), Field(examples=["fax@example.com"])] = ""
    """The address that mail comes from."""
    sender_name: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = "Fax"
    """The name beside that address."""
    name: Annotated[str, AfterValidator(_host), Field(examples=["fax.example.com"])] = ""
    """What this host calls itself to others; if not given, the domain of sender."""
    trust: Annotated[Path | None, Field(examples=["/etc/faxgw/company-ca.pem"])] = None
    """Certificate authorities in PEM of hosts besides the public ones, or the smarthost's own certificate."""
    dns: tuple[IPvAnyAddress, ...] = ()
    """DNS servers to ask where mail goes; if none is given, the machine's."""
    dns_validates: bool = False
    """Whether those servers validate DNSSEC and the way to them is safe, so that DANE can be relied on; servers on this
    machine's own addresses (127.0.0.0/8, ::1) are believed anyway."""
    local_address: IPvAnyAddress | None = Field(default=None, examples=["192.0.2.10"])
    """The address of this machine that connections come from; if not given, the system chooses."""
    timeout: Annotated[float, Field(ge=1, le=600)] = 60
    """The longest that another host may take for one answer, in seconds."""

    @model_validator(mode="after")
    def _one_whole_way(self) -> Self:
        if self.smarthost and self.direct:
            raise ValueError("give smarthost or direct, not both")
        if self.has_route and not self.sender:
            raise ValueError("a way for mail and sender belong together: mail has an address that it comes from")
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password belong together: give both or none")
        if self.user and not self.smarthost:
            raise ValueError("user and smarthost belong together: there is nobody else to sign in to")
        return self

    @property
    def has_route(self) -> bool:
        """Whether mail can leave at all."""
        return bool(self.smarthost) or self.direct

    @property
    def own_name(self) -> str:
        """What this host calls itself."""
        return self.name or self.sender.rpartition("@")[2]
