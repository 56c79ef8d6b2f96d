"""Where a URI leads: NAPTR, SRV and addresses (RFC 3263), remembered for as long as they may be."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import groupby
from random import Random
from typing import Any, TypeAlias

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import structlog
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from drivers.sip.uri import Uri
from drivers.sip.ways import Target, Transport
from t30.line import LineError

log = structlog.get_logger(__name__)

MOST_TARGETS = 16
"""Targets of one name that are of use: each that is dead costs a caller half a minute."""
MOST_RECORDS = 16
"""Records of one kind that are looked at. Stops answers that lead to ever more questions."""
MOST_NAMES = 1024
"""Answers that are remembered. Stops peers whose Contact is another name each time from filling the memory."""
LONGEST = 3600.0
"""Seconds that an answer is believed at most."""
NOTHING = 30.0
"""Seconds that is believed what has no time of its own: that there is nothing, and what the machine's files say."""

_SERVICES = {Transport.UDP: "_sip._udp", Transport.TCP: "_sip._tcp", Transport.TLS: "_sips._tcp"}
_NAPTR_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}

_FILES = "files"
"""The kind of what does not come from the DNS."""

_Records: TypeAlias = tuple[Any, ...]


class _Silent(Exception):
    """No DNS server gave an answer, of whatever kind."""


class Resolver:
    """Finds out where requests go, and remembers it.

    Args:
        random: chooses among servers of the same priority, by their weights.
        resolver: asks the DNS; None: as the machine is set up.
        patience: seconds for one question.
    """

    def __init__(
        self, random: Random, resolver: dns.asyncresolver.Resolver | None = None, *, patience: float = 3.0
    ) -> None:
        self._random = random
        self._dns = resolver or _of_this_machine()
        self._patience = patience
        self._kept: dict[tuple[str, str], tuple[float, _Records]] = {}

    async def targets(self, uri: Uri, transport: Transport | None) -> list[Target]:
        """Return where requests to a URI go, the best first; with ``transport``, only what is reached by that.

        Raises:
            LineError: ``line.unavailable`` if it leads nowhere.
        """
        host = (uri.params.get("maddr") or uri.host).strip("[]").rstrip(".").lower()
        if not host:
            raise LineError(f"{uri} names no host")
        how = transport or _asked(uri)
        usual = how or Transport.UDP
        if _is_numeric(host):
            return [Target(usual, (str(ip_address(host)), uri.port or usual.port), uri.host)]
        if uri.port is None and "." in host:
            try:
                found = await self._announced(host, how, uri.host)
            except _Silent:
                found = []
            if found:
                return found[:MOST_TARGETS]
        addresses = await self._addresses(host)
        return [Target(usual, (each, uri.port or usual.port), uri.host) for each in addresses[:MOST_TARGETS]]

    async def _announced(self, host: str, how: Transport | None, name: str) -> list[Target]:
        """Return what the DNS says of the services of a host; nothing if it says nothing."""
        services = await self._services(host) if how is None else [(how, f"{_SERVICES[how]}.{host}")]
        found: list[Target] = []
        declined = ""
        for each, service in services:
            records = [record for record in await self._records(service, "SRV") if isinstance(record, SRV)]
            offered = [record for record in records if record.target != dns.name.root]
            if records and not offered:
                declined = each.value
            for record in self._ordered(offered):
                found += await self._server(record, each, name)
            if offered and not found:
                log.warning("servers of a trunk cannot be found", service=service)
        if declined and not found:
            raise LineError(f"{host} leads nowhere: it says that it offers no SIP over {declined}")
        return found

    async def _services(self, host: str) -> list[tuple[Transport, str]]:
        """Return the transports of a host in its own order, and the names that have its servers."""
        records = [record for record in await self._records(host, "NAPTR") if isinstance(record, NAPTR)]
        known = [
            (_NAPTR_SERVICES[service], record.replacement.to_text(omit_final_dot=True))
            for record in sorted(records, key=lambda record: (record.order, record.preference))
            if (service := record.service.decode("ascii", "replace").upper()) in _NAPTR_SERVICES
            and record.flags.lower() == b"s"
        ]
        return known or [(each, f"{service}.{host}") for each, service in _SERVICES.items()]

    def _ordered(self, records: Sequence[SRV]) -> list[SRV]:
        """Return servers by priority, and by chance and weight within one (RFC 2782)."""
        ordered: list[SRV] = []
        for _, group in groupby(sorted(records, key=lambda record: record.priority), lambda record: record.priority):
            left = sorted(group, key=lambda record: record.weight)
            while left:
                chosen = self._random.randint(0, sum(record.weight for record in left))
                index = 0
                while chosen > left[index].weight:
                    chosen -= left[index].weight
                    index += 1
                ordered.append(left.pop(index))
        return ordered

    async def _server(self, record: SRV, how: Transport, name: str) -> list[Target]:
        try:
            addresses = await self._addresses(record.target.to_text(omit_final_dot=True).lower())
        except LineError:
            return []  # there may be others; that there are none at all is said
        return [Target(how, (each, record.port), name) for each in addresses]

    async def _addresses(self, host: str) -> list[str]:
        """Return the addresses of a host: from the DNS, else from wherever this machine has names from.

        Raises:
            LineError: ``line.unavailable`` if it has none.
        """
        if "." in host:
            found = await asyncio.gather(*(self._records(host, kind) for kind in ("A", "AAAA")), return_exceptions=True)
            addresses: list[str] = []
            for records in found:
                if isinstance(records, BaseException) and not isinstance(records, _Silent):
                    raise records
                addresses += [record.address for record in records] if isinstance(records, tuple) else []
            if addresses:
                return addresses
        return list(await self._records(host, _FILES))

    async def _records(self, name: str, kind: str) -> _Records:
        """Return what is known of a name; what was known before, if no server answers any more. Raises _Silent."""
        now = asyncio.get_running_loop().time()
        until, kept = self._kept.get((name, kind), (now, None))
        if kept is not None and now < until:
            return kept
        try:
            seconds, records = await (self._in_files(name) if kind == _FILES else self._in_dns(name, kind))
        except _Silent:
            if kept is None:
                raise
            log.warning("no DNS server answers; what they said before is used", name=name, kind=kind)
            seconds, records = NOTHING, kept
        self._kept.pop((name, kind), None)
        if len(self._kept) >= MOST_NAMES:
            del self._kept[next(iter(self._kept))]
        self._kept[name, kind] = (now + min(seconds, LONGEST), records)
        return records

    async def _in_dns(self, name: str, kind: str) -> tuple[float, _Records]:
        """Return what the DNS says, and for how many seconds."""
        if self._dns is None:
            raise _Silent
        try:
            answer = await self._dns.resolve(
                name, kind, raise_on_no_answer=False, search=False, lifetime=self._patience
            )
        except (dns.resolver.NoNameservers, dns.exception.Timeout):
            raise _Silent from None
        except dns.exception.DNSException:
            return NOTHING, ()  # there is no such name, or there cannot be one
        if answer.rrset is None:
            return NOTHING, ()
        return float(answer.chaining_result.minimum_ttl), tuple(answer.rrset)[:MOST_RECORDS]

    async def _in_files(self, host: str) -> tuple[float, _Records]:
        """Return the addresses that the system itself finds, from /etc/hosts for one; raises LineError."""
        try:
            async with asyncio.timeout(self._patience):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except TimeoutError:
            raise LineError(f"{host} leads nowhere: no answer in {self._patience:g} s") from None
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no name"
            raise LineError(f"{host} leads nowhere: {reason}") from error
        return NOTHING, tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _of_this_machine() -> dns.asyncresolver.Resolver | None:
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return None


def _asked(uri: Uri) -> Transport | None:
    """Return the transport that a URI asks for."""
    if uri.scheme == "sips" or uri.transport == "tls":
        return Transport.TLS
    return {"udp": Transport.UDP, "tcp": Transport.TCP}.get(uri.transport or "")


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
