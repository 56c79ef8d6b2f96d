"""MTA-STS: what a domain says by HTTPS of the hosts that take its mail; kept as long as it says."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import httpx
import structlog

from faxgw.delivery.carrier import NotCarried, Unreachable
from faxgw.mail.sending.names import Names
from faxgw.webhooks.egress import Forbidden, Network, admit

log = structlog.get_logger(__name__)

Mode = Literal["enforce", "testing", "none"]

MAX_OCTETS = 64 * 1024
MAX_AGE = 31_557_600
"""Seconds for which a policy may hold at most (RFC 8461)."""
MAX_KEPT = 4096
NOT_AGAIN = 300.0
"""Seconds for which a policy that could not be fetched is not asked for again."""
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """What a domain says: which hosts take its mail, whether that is meant (``enforce``), and for how many seconds."""

    mode: Mode
    hosts: tuple[str, ...]
    seconds: int

    def names(self, host: str) -> bool:
        """Tell whether a host is among them; ``*.example.com`` names those one label below."""
        return any(_is_named(host.lower().rstrip("."), each) for each in self.hosts)


def parsed(text: str) -> StsPolicy:
    """Read a policy.

    Raises:
        ValueError: if it is none.
    """
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in text.splitlines())]
    once = dict(reversed(pairs))  # the first of several counts
    mode, seconds = once.get("mode", ""), once.get("max_age", "")
    hosts = tuple(value.lower().rstrip(".") for name, value in pairs if name == "mx" and value)
    if once.get("version") != "STSv1" or mode not in ("enforce", "testing", "none") or not _NUMBER.fullmatch(seconds):
        raise ValueError("no policy of MTA-STS")
    if not hosts and mode != "none":
        raise ValueError("a policy without hosts")
    return StsPolicy(cast("Mode", mode), hosts, min(int(seconds), MAX_AGE))


@dataclass(frozen=True, slots=True)
class _Kept:
    policy: StsPolicy | None
    id: str
    until: float


class StsPolicies:
    """The policies of domains; one that was fetched is kept in memory for as long as it says."""

    def __init__(
        self,
        names: Names,
        context: ssl.SSLContext,
        *,
        allowed: Sequence[Network] = (),
        port: int = 443,
        seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take whom to ask for ids and addresses, and what certificates must be."""
        self._names, self._context, self._allowed = names, context, tuple(allowed)
        self._port, self._seconds, self._clock = port, seconds, clock
        self._kept: dict[str, _Kept] = {}

    async def of(self, domain: str) -> StsPolicy | None:
        """Return what a domain says; None where it says nothing, or nothing that can be had.

        A policy that holds is not undone by a DNS that says nothing any more, or by a server that is away.
        """
        kept = self._kept.get(domain)
        holds = kept is not None and self._clock() < kept.until
        try:
            found = await self._names.policy_id(domain)
        except NotCarried:
            found = None
        if kept is not None and holds and (found is None or found == kept.id):
            return kept.policy
        if found is None:
            return None
        try:
            policy = await self._fetched(domain)
        except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL, Forbidden, NotCarried) as error:
            log.warning("a mail domain's policy cannot be fetched", reason=type(error).__name__)
            if kept is not None and holds and kept.policy is not None:
                return kept.policy
            self._keep(domain, _Kept(None, found, self._clock() + NOT_AGAIN))
            return None
        self._keep(domain, _Kept(policy, found, self._clock() + policy.seconds))
        return policy

    def _keep(self, domain: str, kept: _Kept) -> None:
        self._kept.pop(domain, None)
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[domain] = kept

    async def _fetched(self, domain: str) -> StsPolicy:
        host = f"mta-sts.{domain}"
        async with asyncio.timeout(self._seconds):
            addresses = (await self._names.addresses(host)).found
            for each in addresses:
                admit(each, self._allowed)
            async with httpx.AsyncHTTPTransport(verify=self._context, trust_env=False) as transport:
                return parsed(await _text(transport, host, str(addresses[0]), self._port))


async def _text(transport: httpx.AsyncHTTPTransport, host: str, address: str, port: int) -> str:
    """Fetch from an address that was looked at, verified by its name; a redirect is no policy."""
    url = httpx.URL(scheme="https", host=address, port=port, path="/.well-known/mta-sts.txt")
    request = httpx.Request("GET", url, headers={"Host": host}, extensions={"sni_hostname": host})
    response = await transport.handle_async_request(request)
    try:
        if response.status_code != 200:
            raise Unreachable("mail.policy", "The policy is not there.")
        octets = b""
        async for part in response.aiter_raw():
            octets += part
            if len(octets) > MAX_OCTETS:
                raise ValueError("too large for a policy")
        return octets.decode("utf-8")
    finally:
        await response.aclose()


def _is_named(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern
