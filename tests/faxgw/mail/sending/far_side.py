"""Everything that a postman meets, and mails to send."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from faxgw.config import Config
from faxgw.delivery.carrier import File
from faxgw.mail.sending.mail import Mail
from faxgw.mail.sending.postman import Ports, Postman
from tests.faxgw.mail.sending.authority import Authority
from tests.faxgw.mail.sending.far_hosts import Host, Policies, Zones, naming, publishing, taking

CANARY = "canary-of-the-content-7d1f"
TENANT = UUID(int=7)
PAGE = bytes(range(256)) * 40


@dataclass
class FarSide:
    """Names and policies, an authority that is believed, hosts on ports that tests give them.

    Attributes:
        smtp: where hosts of domains listen: all of them, at different addresses.
    """

    folder: Path
    authority: Authority
    stack: AsyncExitStack
    zones: Zones = field(default_factory=Zones)
    policies: Policies = field(default_factory=Policies)
    smtp: int = 0

    async def host(self, *names: str, **how: Any) -> tuple[Host, int]:
        """Run a host at a port of its own, with a certificate for names; ``context=None`` gives it none."""
        how.setdefault("context", self.authority.context(*(names or ("localhost",))))
        made = Host(**how)
        return made, await self.stack.enter_async_context(taking(made))

    async def of_domain(self, domain: str, *names: str, preference: int = 10, last: int = 1, **how: Any) -> Host:
        """Run a host at 127.0.0.``last`` that takes the mail of a domain; the first name is its own."""
        how.setdefault("context", self.authority.context(*names))
        made = Host(**how)
        self.smtp = await self.stack.enter_async_context(taking(made, f"127.0.0.{last}", self.smtp))
        self.zones.records.setdefault((domain, "MX"), []).append(f"{preference} {names[0]}.")
        self.zones.records[names[0], "A"] = [f"127.0.0.{last}"]
        return made

    def policy(self, domain: str, *hosts: str, mode: str = "enforce", id_: str = "1", max_age: int = 86400) -> None:
        """Publish a domain's policy."""
        self.zones.records[f"_mta-sts.{domain}", "TXT"] = [f'"v=STSv1; id={id_};"']
        self.zones.records[f"mta-sts.{domain}", "A"] = ["127.0.0.1"]
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {each}" for each in hosts), f"max_age: {max_age}", ""]
        self.policies.texts[f"mta-sts.{domain}"] = "\r\n".join(lines)

    def config(self, **mail: Any) -> Config:
        """Return a configuration with these settings of mail."""
        settings = {"sender": "fax@gateway.example", "trust": self.authority.path, "dns": ["127.0.0.1"], **mail}
        return Config.model_validate(
            {"data_dir": self.folder / "data", "mail": settings, "delivery": {"allow_private": ["127.0.0.0/8"]}}
        )

    async def by_smarthost(self, port: int, **mail: Any) -> Postman:
        """Return a postman with a smarthost."""
        return await self._made(smarthost="localhost", port=port, **mail)

    async def direct(self, **mail: Any) -> Postman:
        """Return a postman that goes to the hosts of a domain."""
        return await self._made(direct=True, **mail)

    async def _made(self, **mail: Any) -> Postman:
        ports = Ports(dns=self.zones.port, smtp=self.smtp, https=self.policies.port)
        postman = Postman(self.config(**mail), ports)
        self.stack.push_async_callback(postman.close)
        return postman


@asynccontextmanager
async def far_side(folder: Path) -> AsyncGenerator[FarSide]:
    """Run names and policies; hosts come as tests ask for them."""
    async with AsyncExitStack() as stack:
        made = FarSide(folder, Authority(folder), stack)
        await stack.enter_async_context(naming(made.zones))
        await stack.enter_async_context(
            publishing(made.policies, made.authority.context(*(f"mta-sts.{each}" for each in DOMAINS)))
        )
        yield made


DOMAINS = ("clinic.example", "other.example")
"""Whose policies the HTTPS server has a certificate for."""


def file(name: str = "fax.tif", content: bytes = PAGE) -> File:
    """Return an attachment."""
    return File(name, "image/tiff", content, hashlib.sha256(content).digest())


def mail(to: str = "fax@clinic.example", **given: Any) -> Mail:
    """Return a mail with content."""
    usual = {"subject": "Fax", "text": f"It says {CANARY}.", "attachments": (file(),), "sensitive": True}
    return Mail(**{"id": uuid4(), "tenant_id": TENANT, "to": to, **usual, **given})
