"""What the DNS says of a mail domain: its hosts, their addresses and certificates, and whether that was validated."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.resolver

from faxgw.delivery.carrier import Refused, Unreachable
from faxgw.mail.sending.dane import Tlsa
from faxgw.webhooks.egress import Address

MAX_HOSTS = 4
"""Of one domain that are tried."""
MAX_ADDRESSES = 2
"""Of one host that are tried."""
_ANSWERED = 1232
"""Octets of one datagram that pass every network."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts that take a domain's mail, in the order in which they are tried; ``secure``: DNSSEC vouches for it."""

    names: tuple[str, ...]
    secure: bool


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a host is; ``secure``: DNSSEC vouches for it."""

    found: tuple[Address, ...]
    secure: bool


class Names:
    """Asks DNS servers, those of the machine if none are given."""

    def __init__(
        self, servers: Sequence[Address] = (), *, validates: bool = False, port: int = 53, seconds: float = 8.0
    ) -> None:
        """Take servers, and whether they validate DNSSEC and the way to them is safe."""
        self._servers, self._port, self._seconds = servers, port, seconds
        self._validates = validates
        self._made: dns.asyncresolver.Resolver | None = None

    async def hosts(self, domain: str) -> Hosts:
        """Return who takes mail for a domain.

        Raises:
            Refused: ``mail.domain`` if there is no such domain, or it takes none.
            Unreachable: ``mail.dns`` if nobody answers.
        """
        records, secure = await self._asked(domain, "MX")
        if records is None:
            raise Refused("mail.domain", f"There is no mail domain {domain}.")
        if not records:
            return Hosts((domain,), secure)
        drawn = sorted(records, key=lambda each: (each.preference, random.random()))
        names = [each.exchange.to_text(omit_final_dot=True).lower() for each in drawn]
        names = [each for each in names if each not in ("", ".", "@")]
        if not names:
            raise Refused("mail.domain", f"The domain {domain} says that it takes no mail.")
        return Hosts(tuple(dict.fromkeys(names))[:MAX_HOSTS], secure)

    async def addresses(self, host: str) -> Addresses:
        """Return where a host is.

        Raises:
            Unreachable: ``mail.dns`` if nobody answers, or it is nowhere.
        """
        found: list[Address] = []
        secure, silent = True, None
        for answer in await asyncio.gather(self._asked(host, "A"), self._asked(host, "AAAA"), return_exceptions=True):
            if isinstance(answer, Unreachable):
                silent = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                records, validated = answer
                secure = secure and validated
                found += [ip_address(each.address) for each in records or ()]
        if not found:
            raise silent or Unreachable("mail.dns", f"The host {host} has no address.")
        return Addresses(tuple(found[:MAX_ADDRESSES]), secure and silent is None)

    async def certificates(self, host: str, port: int) -> tuple[Tlsa, ...]:
        """Return what a host says of its certificates (TLSA); nothing that DNSSEC does not vouch for.

        Raises:
            Unreachable: ``mail.dns`` if that cannot be told: then somebody may be hiding it.
        """
        records, secure = await self._asked(f"_{port}._tcp.{host}", "TLSA")
        if not secure:
            return ()
        return tuple(Tlsa(each.usage, each.selector, each.mtype, bytes(each.cert)) for each in records or ())

    async def policy_id(self, domain: str) -> str | None:
        """Return the id of a domain's MTA-STS policy; None where it has none.

        Raises:
            Unreachable: ``mail.dns`` if nobody answers.
        """
        records, _ = await self._asked(f"_mta-sts.{domain}", "TXT")
        texts = [b"".join(each.strings).decode("ascii", "replace") for each in records or ()]
        ours = [each for each in texts if each.partition(";")[0].strip() == "v=STSv1"]
        if len(ours) != 1:
            return None
        fields = dict(part.strip().partition("=")[::2] for part in ours[0].split(";") if "=" in part)
        return fields.get("id") or None

    async def _asked(self, name: str, kind: str) -> tuple[list[Any] | None, bool]:
        """Return the records, None where there is no such name, and whether DNSSEC vouches for them."""
        try:
            answer = await self._resolver().resolve(
                name, kind, raise_on_no_answer=False, search=False, lifetime=self._seconds
            )
        except dns.resolver.NXDOMAIN:
            return None, False
        except (dns.resolver.NoNameservers, dns.exception.Timeout, dns.resolver.NoResolverConfiguration) as error:
            raise Unreachable("mail.dns", f"No DNS server tells where {name} is.") from error
        except (dns.exception.DNSException, UnicodeError) as error:
            raise Refused("mail.domain", f"{name[:100]} cannot be looked up.") from error
        secure = bool(answer.response.flags & dns.flags.AD) and self._is_believed(answer.nameserver)
        return list(answer.rrset or ()), secure

    def _resolver(self) -> dns.asyncresolver.Resolver:
        if self._made is None:
            self._made = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                self._made.nameservers = [str(each) for each in self._servers]
                self._made.port = self._port
            self._made.flags = dns.flags.RD | dns.flags.AD
            self._made.use_edns(0, 0, _ANSWERED)
            self._made.cache = dns.resolver.LRUCache(4096)
        return self._made

    def _is_believed(self, server: str | None) -> bool:
        """Tell whether an answer that says it was validated is believed: that nobody altered it on its way."""
        if self._validates:
            return True
        try:
            return server is not None and ip_address(server).is_loopback
        except ValueError:
            return False
