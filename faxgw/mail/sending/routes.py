"""Which hosts a mail goes to, and what would prove each of them: the smarthost, or the hosts of the domain."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from faxgw.delivery.carrier import NotCarried, NotProtected, Refused, Unreachable
from faxgw.mail.sending.names import Names
from faxgw.mail.sending.session import Hop
from faxgw.mail.sending.sts import StsPolicies, StsPolicy
from faxgw.webhooks.egress import Forbidden, Network, admit
from faxgw.webhooks.posting import by_system


@dataclass(frozen=True, slots=True)
class Route:
    """One host, and what becomes of it where nothing proves it.

    Attributes:
        hop: as it is tried first.
        open: the same where no proof is asked for; None: its domain itself asks for proof (MTA-STS, DANE), or the
            operator does (the smarthost), so without it there is nothing.
    """

    hop: Hop
    open: Hop | None = None


async def to_smarthost(hop: Hop) -> list[Route]:
    """Return the one way by a smarthost: it is always proven by its name.

    Raises:
        Unreachable: ``mail.dns`` if it is nowhere.
    """
    try:
        found = await by_system(hop.host, hop.port)
    except OSError as error:
        raise Unreachable("mail.dns", f"The smarthost {hop.host} has no address.") from error
    whole = Hop(
        hop.host,
        tuple(found[:3]),
        hop.port,
        implicit=hop.implicit,
        by_name=True,
        evidence="smarthost",
        login=hop.login,
    )
    return [Route(whole)]


@dataclass(frozen=True, slots=True)
class Direct:
    """Finds the hosts of a domain."""

    names: Names
    policies: StsPolicies
    allowed: Sequence[Network] = ()
    port: int = 25

    async def to(self, domain: str) -> list[Route]:
        """Return the hosts in the order in which they are tried.

        Raises:
            Refused: ``mail.domain`` if the domain takes no mail.
            Unreachable: if nobody tells where its hosts are.
            NotProtected: if its policy (MTA-STS) names none of its hosts.
        """
        hosts, policy = await asyncio.gather(self.names.hosts(domain), self.policies.of(domain))
        found = await asyncio.gather(*(self._tried(each, domain, policy, secure=hosts.secure) for each in hosts.names))
        routes = [each for each in found if isinstance(each, Route)]
        if not routes:
            raise next(each for each in found if isinstance(each, NotCarried))
        return routes

    async def _tried(self, host: str, domain: str, policy: StsPolicy | None, *, secure: bool) -> Route | NotCarried:
        """Return a host as it is tried, or why it cannot be."""
        try:
            return await self._one(host, domain, policy, secure=secure)
        except NotCarried as error:
            return error

    async def _one(self, host: str, domain: str, policy: StsPolicy | None, *, secure: bool) -> Route:
        addresses = await self.names.addresses(host)
        try:
            for each in addresses.found:
                admit(each, self.allowed)
        except Forbidden as error:
            raise Refused("mail.address", f"{host} is at an address that is private or reserved.") from error
        anybody = Hop(host, addresses.found, self.port)
        recorded = await self.names.certificates(host, self.port) if secure and addresses.secure else ()
        if any(each.usable for each in recorded):
            return Route(Hop(host, addresses.found, self.port, tlsa=recorded, evidence="dane"))
        named = policy is not None and policy.mode != "none" and policy.names(host)
        enforced = policy is not None and policy.mode == "enforce"
        if enforced and not named:
            raise NotProtected("mail.not_protected", f"{host} is no host that {domain} names in its policy (MTA-STS).")
        evidence = "mta-sts" if named else "dnssec" if secure else "own-name" if _is_own(host, domain) else ""
        if not evidence:
            return Route(anybody, anybody)
        proven = Hop(host, addresses.found, self.port, by_name=True, evidence=evidence)
        return Route(proven, None if enforced else anybody)


def _is_own(host: str, domain: str) -> bool:
    """Tell whether a host has its domain's own name: then a certificate for it proves it, whoever answered for DNS."""
    return host == domain or host.endswith(f".{domain}")
