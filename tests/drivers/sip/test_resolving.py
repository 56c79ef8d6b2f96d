"""Where URIs lead: asked of a real DNS server on loopback, of which each test says what it knows."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from drivers.sip.resolving import Resolver
from drivers.sip.uri import Uri
from drivers.sip.ways import Target, Transport
from t30.line import LineError

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
TRUNK = "trunk.example.com"
ADDRESSES = {"a.example.com A": "192.0.2.1", "b.example.com A": "192.0.2.2", "c.example.com A": "192.0.2.3"}


class Server(asyncio.DatagramProtocol):
    """Answers from a zone: ``NAME KIND`` -> the records, one a line; ``ttl`` seconds for all."""

    def __init__(self, zone: Mapping[str, str], *, ttl: int = 60) -> None:
        self.zone = dict(zone)
        self.ttl = ttl
        self.asked: Counter[str] = Counter()
        self.silent = False
        self.failing = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{name} {kind}"] += 1
        if self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        known = self.zone.get(f"{name} {kind}")
        if self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif known is not None:
            answer.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", kind, *known.splitlines()))
        elif not any(each.startswith(f"{name} ") for each in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)


Serving = Callable[..., "asyncio.Task[Server]"]


@pytest.fixture
async def serve() -> AsyncIterator[Serving]:
    """Return a function that starts a server for a zone."""
    started: list[Server] = []

    async def start(zone: Mapping[str, str], *, ttl: int = 60) -> Server:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(lambda: Server(zone, ttl=ttl), ("127.0.0.1", 0))
        started.append(server)
        return server

    yield lambda zone, ttl=60: asyncio.get_running_loop().create_task(start(zone, ttl=ttl))
    for server in started:
        server.transport.close()


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return what /etc/hosts has beside ``localhost``; no question leaves this machine."""
    known: dict[str, str] = {}
    real = socket.getaddrinfo

    def found(host: Any, *args: Any, **named: Any) -> Any:
        if host in known or host == "localhost" or str(host).replace(".", "").isdigit():
            return real(known.get(host, host), *args, **named)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return known


def resolver_at(server: Server, *, seed: int = 1, patience: float = 2.0) -> Resolver:
    asks = dns.asyncresolver.Resolver(configure=False)
    asks.nameservers = ["127.0.0.1"]
    asks.port = server.transport.get_extra_info("sockname")[1]
    return Resolver(random.Random(seed), asks, patience=patience)


async def led(server: Server, uri: str, transport: Transport | None = None) -> list[str]:
    """Return where a URI leads, as texts."""
    return said(await resolver_at(server).targets(Uri.parse(uri), transport))


def said(targets: list[Target]) -> list[str]:
    return [f"{each.transport.value} {each.address[0]}:{each.address[1]}" for each in targets]


@pytest.mark.parametrize(
    ("uri", "transport", "expected"),
    [
        ("sip:1@192.0.2.9", None, "UDP 192.0.2.9:5060"),
        ("sip:1@192.0.2.9:5070", None, "UDP 192.0.2.9:5070"),
        ("sip:192.0.2.9;transport=tcp", None, "TCP 192.0.2.9:5060"),
        ("sip:192.0.2.9;transport=TLS", None, "TLS 192.0.2.9:5061"),
        ("sips:192.0.2.9", None, "TLS 192.0.2.9:5061"),
        ("sip:192.0.2.9;transport=tcp", TLS, "TLS 192.0.2.9:5061"),
        ("sip:[2001:DB8::0:1]", None, "UDP 2001:db8::1:5060"),
        ("sip:trunk.example.com;maddr=192.0.2.8", None, "UDP 192.0.2.8:5060"),
    ],
)
async def test_a_numeric_host_asks_no_dns(serve: Serving, uri: str, transport: Transport | None, expected: str) -> None:
    server = await serve({})
    assert await led(server, uri, transport) == [expected]
    assert not server.asked


async def test_a_port_asks_for_addresses_alone(serve: Serving) -> None:
    server = await serve({f"{TRUNK} A": "192.0.2.1\n192.0.2.2", f"{TRUNK} AAAA": "2001:db8::1"})
    assert sorted(await led(server, f"sip:{TRUNK}:5070")) == [
        "UDP 192.0.2.1:5070",
        "UDP 192.0.2.2:5070",
        "UDP 2001:db8::1:5070",
    ]
    assert set(server.asked) == {f"{TRUNK} A", f"{TRUNK} AAAA"}


@pytest.mark.parametrize(("transport", "service"), [(UDP, "_sip._udp"), (TCP, "_sip._tcp"), (TLS, "_sips._tcp")])
async def test_a_transport_asks_for_its_servers(serve: Serving, transport: Transport, service: str) -> None:
    server = await serve({f"{service}.{TRUNK} SRV": "1 0 5062 a.example.com.", **ADDRESSES})
    assert await led(server, f"sip:{TRUNK}", transport) == [f"{transport.value} 192.0.2.1:5062"]
    assert f"{TRUNK} NAPTR" not in server.asked


async def test_servers_come_by_priority_and_each_with_all_its_addresses(serve: Serving) -> None:
    records = "20 0 5060 a.example.com.\n10 0 5062 b.example.com.\n30 0 5060 c.example.com."
    server = await serve({f"_sip._udp.{TRUNK} SRV": records, **ADDRESSES, "b.example.com AAAA": "2001:db8::2"})
    assert await led(server, f"sip:{TRUNK}", UDP) == [
        "UDP 192.0.2.2:5062",
        "UDP 2001:db8::2:5062",
        "UDP 192.0.2.1:5060",
        "UDP 192.0.2.3:5060",
    ]


async def test_the_certificate_has_to_name_who_was_asked_for_not_the_server(serve: Serving) -> None:
    server = await serve({f"_sips._tcp.{TRUNK} SRV": "1 0 5061 a.example.com.", **ADDRESSES})
    targets = await resolver_at(server).targets(Uri.parse(f"sips:{TRUNK}"), None)
    assert targets == [Target(TLS, ("192.0.2.1", 5061), TRUNK)]


async def test_weights_share_the_load_as_they_say(serve: Serving) -> None:
    records = "10 75 5060 a.example.com.\n10 25 5060 b.example.com.\n10 0 5060 c.example.com."
    server = await serve({f"_sip._udp.{TRUNK} SRV": records, **ADDRESSES})
    resolver = resolver_at(server, seed=7)
    first: Counter[str] = Counter()
    for _ in range(1000):
        targets = said(await resolver.targets(Uri.parse(f"sip:{TRUNK}"), UDP))
        assert len(set(targets)) == 3
        first[targets[0]] += 1
    assert 700 < first["UDP 192.0.2.1:5060"] < 800
    assert 200 < first["UDP 192.0.2.2:5060"] < 300
    assert 0 < first["UDP 192.0.2.3:5060"] < 30


async def test_without_transport_and_port_the_host_says_its_order_of_transports(serve: Serving) -> None:
    server = await serve(
        {
            f"{TRUNK} NAPTR": f'20 50 "s" "SIP+D2U" "" _sip._udp.{TRUNK}.\n10 90 "s" "sip+d2t" "" other.{TRUNK}.\n'
            f'10 50 "S" "SIPS+D2T" "" _sips._tcp.{TRUNK}.\n5 5 "s" "SIP+D2S" "" _sip._sctp.{TRUNK}.\n'
            '1 1 "u" "E2U+sip" "!^.*$!sip:x@y!" .',
            f"_sip._udp.{TRUNK} SRV": "1 0 5060 a.example.com.",
            f"other.{TRUNK} SRV": "1 0 5070 b.example.com.",
            f"_sips._tcp.{TRUNK} SRV": "1 0 5061 c.example.com.",
            **ADDRESSES,
        }
    )
    assert await led(server, f"sip:{TRUNK}") == ["TLS 192.0.2.3:5061", "TCP 192.0.2.2:5070", "UDP 192.0.2.1:5060"]


async def test_without_naptr_each_transport_is_asked_for(serve: Serving) -> None:
    server = await serve({f"_sip._tcp.{TRUNK} SRV": "1 0 5062 a.example.com.", f"{TRUNK} A": "192.0.2.9", **ADDRESSES})
    assert await led(server, f"sip:{TRUNK}") == ["TCP 192.0.2.1:5062"]


@pytest.mark.parametrize(("uri", "expected"), [("sip", "UDP 192.0.2.9:5060"), ("sips", "TLS 192.0.2.9:5061")])
async def test_without_services_the_addresses_of_the_host_count(serve: Serving, uri: str, expected: str) -> None:
    server = await serve({f"{TRUNK} A": "192.0.2.9"})
    assert await led(server, f"{uri}:{TRUNK}") == [expected]


async def test_a_service_that_is_not_offered_is_not_asked_for_elsewhere(serve: Serving) -> None:
    server = await serve({f"_sip._udp.{TRUNK} SRV": "0 0 0 .", f"{TRUNK} A": "192.0.2.9"})
    with pytest.raises(LineError, match=f"{TRUNK} leads nowhere: it says that it offers no SIP over UDP"):
        await led(server, f"sip:{TRUNK}", UDP)


async def test_a_server_without_addresses_is_left_out(serve: Serving) -> None:
    records = "10 0 5060 gone.example.com.\n20 0 5060 b.example.com."
    server = await serve({f"_sip._udp.{TRUNK} SRV": records, **ADDRESSES})
    assert await led(server, f"sip:{TRUNK}", UDP) == ["UDP 192.0.2.2:5060"]


async def test_a_name_that_leads_nowhere_is_a_clear_error(serve: Serving) -> None:
    server = await serve({})
    with pytest.raises(LineError, match=r"gone\.example\.com leads nowhere: Name or service not known") as caught:
        await led(server, "sip:gone.example.com")
    assert caught.value.code == "line.unavailable"


@pytest.mark.parametrize("host", ["x" * 64 + ".example.com", "a..b.example.com", ".".join(["x" * 60] * 6)])
async def test_a_name_that_cannot_be_one_is_a_clear_error(serve: Serving, host: str) -> None:
    with pytest.raises(LineError, match="leads nowhere"):
        await led(await serve({}), f"sip:{host}")


async def test_a_number_without_a_host_is_a_clear_error(serve: Serving) -> None:
    with pytest.raises(LineError, match=r"tel:\+15550100 names no host"):
        await led(await serve({}), "tel:+15550100")


async def test_names_of_this_machine_lead_where_its_files_say(serve: Serving, files: dict[str, str]) -> None:
    server = await serve({})
    files["sbc"] = "127.0.0.9"
    files["sbc.example.com"] = "127.0.0.8"
    assert "UDP 127.0.0.1:5060" in await led(server, "sip:localhost")
    assert await led(server, "sip:sbc", TCP) == ["TCP 127.0.0.9:5060"]
    assert not server.asked
    assert await led(server, "sip:sbc.example.com") == ["UDP 127.0.0.8:5060"]


async def test_without_any_dns_the_names_of_this_machine_still_lead_somewhere(files: dict[str, str]) -> None:
    files["sbc.example.com"] = "127.0.0.8"
    asks = dns.asyncresolver.Resolver(configure=False)
    resolver = Resolver(random.Random(1), asks, patience=0.5)
    assert said(await resolver.targets(Uri.parse("sip:sbc.example.com"), UDP)) == ["UDP 127.0.0.8:5060"]


async def test_an_answer_is_asked_for_once_while_it_is_valid(serve: Serving) -> None:
    for ttl, times in ((60, 1), (0, 3)):
        server = await serve({f"_sip._udp.{TRUNK} SRV": "1 0 5060 a.example.com.", **ADDRESSES}, ttl=ttl)
        resolver = resolver_at(server)
        for _ in range(3):
            assert said(await resolver.targets(Uri.parse(f"sip:{TRUNK}"), UDP)) == ["UDP 192.0.2.1:5060"]
        assert server.asked[f"_sip._udp.{TRUNK} SRV"] == server.asked["a.example.com A"] == times
        assert server.asked["a.example.com AAAA"] == 1  # that there is none is remembered, too


async def test_no_answer_is_believed_for_longer_than_an_hour(serve: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await serve({f"{TRUNK} A": "192.0.2.1"}, ttl=100_000)
    resolver = resolver_at(server)
    for now in (0.0, 3599.0, 3601.0):
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda now=now: now)
        found = asyncio.ensure_future(resolver._records(TRUNK, "A"))
        assert [each.address for each in await found] == ["192.0.2.1"]
    assert server.asked[f"{TRUNK} A"] == 2


async def test_the_memory_for_names_is_bounded(serve: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.sip.resolving.MOST_NAMES", 20)
    server = await serve({f"h{number}.example.com A": "192.0.2.1" for number in range(50)})
    resolver = resolver_at(server)
    for number in range(50):
        await resolver.targets(Uri.parse(f"sip:h{number}.example.com:5060"), None)
    assert len(resolver._kept) == 20


@pytest.mark.parametrize("how", ["silent", "failing"])
async def test_when_the_dns_is_down_what_it_said_before_counts(serve: Serving, how: str) -> None:
    server = await serve({f"_sip._udp.{TRUNK} SRV": "1 0 5062 a.example.com.", **ADDRESSES}, ttl=0)
    resolver = resolver_at(server, patience=0.05)
    before = await resolver.targets(Uri.parse(f"sip:{TRUNK}"), UDP)
    setattr(server, how, True)
    assert await resolver.targets(Uri.parse(f"sip:{TRUNK}"), UDP) == before
    with pytest.raises(LineError, match=r"other\.example\.com leads nowhere"):
        await resolver.targets(Uri.parse("sip:other.example.com"), UDP)


async def test_an_endless_answer_is_cut_short(serve: Serving) -> None:
    numbers = range(1, 30)
    zone = {f"h{number}.example.com A": "192.0.2.1" for number in numbers}
    zone[f"_sip._udp.{TRUNK} SRV"] = "\n".join(f"1 0 5060 h{number}.example.com." for number in numbers)
    zone["many.example.com A"] = "\n".join(f"192.0.2.{number}" for number in numbers)
    zone["many.example.com AAAA"] = "\n".join(f"2001:db8::{number}" for number in numbers)
    server = await serve(zone)
    assert len(await led(server, f"sip:{TRUNK}", UDP)) == 16
    assert sum(asked.endswith(" A") for asked in server.asked) == 16
    assert len(await led(server, "sip:many.example.com:5060")) == 16
