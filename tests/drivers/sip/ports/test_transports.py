"""Ports of SIP on real sockets of loopback, on both event loops: what arrives, what fails and why, what is ended."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog

from drivers.sip.connection import StreamLimits
from drivers.sip.guard import Guard, Limits
from drivers.sip.messages import LARGEST, Response, parse
from drivers.sip.tls import TlsSettings
from drivers.sip.transports import Transports
from drivers.sip.udp import READ_AT_ONCE
from drivers.sip.ways import Address, Flow, Target, Transport
from t30.line import LineClock, LineError
from tests.drivers.sip.authority import DAY, Authority
from tests.drivers.sip.wire import wire

HERE = "127.0.0.1"
STREAMS = [Transport.TCP, Transport.TLS]
QUICK = StreamLimits(connect=1.0, whole=0.15, idle=30.0, ping=0.05, pong=0.1, most=3, of_one=2)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Port:
    """A port of ours, and what it has seen."""

    def __init__(self, transports: Transports) -> None:
        self.transports = transports
        self.messages: list[bytes] = []
        self.flows: list[Flow] = []
        self.failures = 0
        self.answers = False
        transports.receiver = self._received

    @property
    def local(self) -> Address:
        return self.transports.local

    def target(self, name: str = "") -> Target:
        return Target(self.kind, self.local, name)

    @property
    def kind(self) -> Transport:
        return self.transports._gate.transport

    def send(self, octets: bytes, to: Target | Flow) -> None:
        self.transports.send(octets, to, self._failed)

    def _received(self, octets: bytes, flow: Flow) -> None:
        self.messages.append(octets)
        self.flows.append(flow)
        if self.answers:
            message = parse(octets)
            if not isinstance(message, Response):
                self.send(message.answer(200).octets(), flow)

    def _failed(self) -> None:
        self.failures += 1


Opening = Callable[..., "asyncio.Future[Port]"]


@pytest.fixture
async def opened(authority: Authority) -> AsyncIterator[Callable[..., "asyncio.Task[Port]"]]:
    """Return a function that opens a port; all are closed in the end."""
    ports: list[Port] = []

    async def open_port(
        transport: Transport,
        local: Address = (HERE, 0),
        *,
        limits: StreamLimits | None = None,
        guard: Guard | None = None,
        tls: TlsSettings | None = None,
        speed: float = 1.0,
    ) -> Port:
        loop = asyncio.get_running_loop()
        made = await Transports.open(
            transport,
            local,
            guard=guard or Guard(),
            clock=LineClock(loop.time, speed),
            tls=tls or authority.settings(HERE, "gw.example.com", "::1"),
            limits=limits,
        )
        ports.append(Port(made))
        return ports[-1]

    yield lambda *args, **named: asyncio.get_running_loop().create_task(open_port(*args, **named))
    for port in ports:
        await port.transports.close()


async def until(condition: Callable[[], object], *, within: float = 2.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 (of many kinds)
            await asyncio.sleep(0.001)


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as made:
        made.bind((HERE, 0))
        port: int = made.getsockname()[1]
        return port


def via(port: int, transport: str = "UDP", params: str = ";rport") -> dict[str, str | None]:
    return {"Via": f"SIP/2.0/{transport} {HERE}:{port};branch=z9hG4bK1{params}"}


ANSWER = "SIP/2.0 200 OK"


# ------------------------------------------------------------------------------------------------------------- every


@pytest.mark.parametrize("host", [HERE, "::1"])
@pytest.mark.parametrize("kind", Transport)
async def test_a_message_arrives_whole_and_its_answer_comes_back(opened: Opening, kind: Transport, host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    us, them = await opened(kind, (host, 0)), await opened(kind, (host, 0))
    them.answers = True
    request = wire(fields={"Via": f"SIP/2.0/{kind.value} [::1]:5060;branch=z9hG4bK1;rport"}, body=b"x" * 5000)
    us.send(request, them.target("gw.example.com"))
    await until(lambda: us.messages)
    assert them.messages == [request]
    assert us.messages[0].startswith(b"SIP/2.0 200 ")
    assert them.flows[0].transport is kind
    assert them.flows[0].local == them.local
    assert us.flows[0].peer == them.local
    assert us.failures == them.failures == 0


@pytest.mark.parametrize("kind", Transport)
async def test_a_port_that_is_taken_is_a_clear_error(opened: Opening, kind: Transport) -> None:
    one = await opened(kind)
    with pytest.raises(LineError, match=rf"{kind.value} at 127.0.0.1 port {one.local[1]}: .*in use") as caught:
        await opened(kind, one.local)
    assert caught.value.code == "line.unavailable"


@pytest.mark.parametrize("kind", Transport)
async def test_where_nobody_listens_the_message_fails(opened: Opening, kind: Transport) -> None:
    us = await opened(kind)
    us.send(wire(), Target(kind, (HERE, free_port()), "gw.example.com"))
    await until(lambda: us.failures)
    assert "refused" in us.transports.reason.lower()
    us.answers = True
    us.send(wire(fields=via(5060, kind.value)), us.target("gw.example.com"))
    await until(lambda: len(us.messages) == 2)
    assert us.failures == 1


@pytest.mark.parametrize("kind", Transport)
async def test_an_address_of_the_other_ip_fails_at_once(opened: Opening, kind: Transport) -> None:
    us = await opened(kind)
    us.send(wire(), Target(kind, ("::1", 5060)))
    await until(lambda: us.failures)
    assert us.transports.reason == "the port is of the other version of IP"


@pytest.mark.parametrize("kind", Transport)
async def test_after_the_end_a_message_fails(opened: Opening, kind: Transport) -> None:
    us = await opened(kind)
    await us.transports.close()
    await us.transports.close()
    us.send(wire(), Target(kind, (HERE, 5060)))
    await until(lambda: us.failures)
    assert us.transports.reason == "the port is closed"


@pytest.mark.parametrize("kind", Transport)
async def test_who_is_not_allowed_is_not_heard(opened: Opening, kind: Transport) -> None:
    guard = Guard(Limits(allowed=(ip_network("127.0.0.3/32"),)))
    them, friend = await opened(kind, guard=guard), await opened(kind, ("127.0.0.3", 0))
    stranger = await opened(kind, ("127.0.0.2", 0))
    stranger.send(wire(body=b"stranger"), them.target("gw.example.com"))
    friend.send(wire(body=b"friend"), them.target("gw.example.com"))
    await until(lambda: them.messages)
    await until(lambda: kind is Transport.UDP or stranger.failures)
    assert [parse(each).body for each in them.messages] == [b"friend"]
    assert {flow.peer[0] for flow in them.flows} == {"127.0.0.3"}


# --------------------------------------------------------------------------------------------------------------- UDP


async def test_what_is_dropped_is_logged_once_a_second(opened: Opening) -> None:
    guard = Guard(Limits(allowed=(ip_network("127.0.0.3/32"),)))
    us, them = await opened(Transport.UDP), await opened(Transport.UDP, guard=guard, speed=20.0)
    with structlog.testing.capture_logs() as logs:
        for times in (1, 2):
            for _ in range(10):
                us.send(wire(), them.target())
            await until(lambda times=times: sum(each["dropped"] for each in logs) == 10 * times)  # type: ignore[misc]
    assert {(each["event"], each["worst"], each["sources"]) for each in logs} == {("messages dropped", HERE, 1)}
    assert len(logs) <= 4


async def test_that_a_stranger_takes_no_answer_is_not_logged(opened: Opening) -> None:
    us = await opened(Transport.UDP, guard=Guard(Limits(trusted=(ip_network("127.0.0.3/32"),))))
    answer = wire(ANSWER, via(5060))
    with structlog.testing.capture_logs() as logs:
        for number, (octets, host) in enumerate([(answer, HERE), (wire(), HERE), (answer, "127.0.0.3")]):
            us.send(octets, Target(Transport.UDP, (host, free_port())))
            await until(lambda number=number: us.failures > number)  # type: ignore[misc]
    assert [(each["peer"][0], each["untold"]) for each in logs] == [(HERE, 0)]
    assert us.transports._gate._told == {"message not sent": (us.transports._gate._told["message not sent"][0], 1)}


async def test_each_datagram_that_bounces_fails_its_own_message_once(opened: Opening) -> None:
    us, them = await opened(Transport.UDP), await opened(Transport.UDP)
    failed: list[str] = []

    def send(call: str, to: Target, what: str) -> None:
        us.transports.send(wire(fields={"Call-ID": call}), to, lambda: failed.append(what))

    send("a", them.target(), "arrived")
    await until(lambda: them.messages)
    await them.transports.close()
    for call, what in (("b", "one"), ("b", "its copy"), ("c", "two")):
        send(call, them.target(), what)
    await until(lambda: len(failed) == 3)
    assert sorted(failed) == ["its copy", "one", "two"]


async def test_what_bounces_takes_no_other_message_with_it(opened: Opening) -> None:
    us, them = await opened(Transport.UDP), await opened(Transport.UDP)
    us.send(wire(), Target(Transport.UDP, (HERE, free_port())))
    us.send(wire(), them.target())
    await until(lambda: us.failures and them.messages)
    assert us.failures == 1


async def test_others_have_their_turn_while_many_datagrams_wait(opened: Opening) -> None:
    us, them = await opened(Transport.UDP), await opened(Transport.UDP)
    loop = asyncio.get_running_loop()
    turn = 0
    turns: list[int] = []

    def others() -> None:
        nonlocal turn
        turn += 1
        if len(turns) < 40:
            loop.call_soon(others)

    them.transports.receiver = lambda *_: turns.append(turn)
    for _ in range(40):
        us.send(wire(), them.target())
    others()
    await until(lambda: len(turns) == 40)
    assert max(turns.count(each) for each in turns) == READ_AT_ONCE


async def test_a_datagram_that_is_too_large_fails(opened: Opening) -> None:
    us = await opened(Transport.UDP)
    us.send(b"x" * 65536, us.target())
    await until(lambda: us.failures)
    assert us.transports.reason == "Message too long"
    assert us.messages == []


async def test_answers_go_to_the_port_in_via_unless_the_peer_asked_for_its_own(opened: Opening) -> None:
    us, from_port, via_port = [await opened(Transport.UDP) for _ in range(3)]
    us.answers = True
    from_port.send(wire(fields=via(via_port.local[1], params="")), us.target())
    await until(lambda: via_port.messages)
    from_port.send(wire(fields=via(via_port.local[1])), us.target())
    await until(lambda: from_port.messages)
    assert (len(via_port.messages), len(from_port.messages)) == (1, 1)


async def test_garbage_reaches_the_receiver_as_it_is_and_harms_nothing(opened: Opening) -> None:
    us, them = await opened(Transport.UDP), await opened(Transport.UDP)
    for octets in (b"", b"\r\n\r\n", b"\x00" * 100, b"\xff" * 65507, wire()):
        us.send(octets, them.target())
    await until(lambda: them.messages[-1:] == [wire()])
    assert us.failures == 0


# ----------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("kind", STREAMS)
async def test_one_connection_serves_both_directions_and_many_messages(opened: Opening, kind: Transport) -> None:
    us, them = await opened(kind), await opened(kind)
    them.answers = True
    for number in range(20):
        us.send(wire(fields={"CSeq": f"{number} INVITE"}), them.target("gw.example.com"))
    await until(lambda: len(us.messages) == 20)
    assert {flow.connection for flow in them.flows} == {1}
    them.send(wire("BYE sip:x@y SIP/2.0", {"CSeq": "7 BYE"}), them.flows[0])
    await until(lambda: len(us.messages) == 21)
    assert us.messages[-1].startswith(b"BYE ")
    assert [parse(each).cseq.number for each in them.messages] == list(range(20))


async def test_over_tcp_a_request_goes_back_by_the_connection_that_the_peer_opened(opened: Opening) -> None:
    us, them = await opened(Transport.TCP), await opened(Transport.TCP)
    us.send(wire(), them.target())
    await until(lambda: them.messages)
    them.send(wire(), Target(Transport.TCP, them.flows[0].peer))
    await until(lambda: us.messages)
    assert us.flows[0].connection == 1


@pytest.mark.parametrize("kind", STREAMS)
async def test_after_the_peer_closed_the_next_request_opens_a_new_connection(opened: Opening, kind: Transport) -> None:
    us, them = await opened(kind), await opened(kind)
    them.answers = True
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: us.messages)
    again = them.local
    await them.transports.close()
    them = await opened(kind, again)
    them.answers = True
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: len(us.messages) == 2)
    assert us.failures == 0


async def test_what_an_old_connection_swallows_goes_out_again_by_a_new_one(opened: Opening) -> None:
    us = await opened(Transport.TCP)
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(LARGEST):
            came.append(octets)
            if len(came) == 2:
                break  # swallowed: the connection ends without an answer
            writer.write(wire(ANSWER, via(5060, "TCP")))
        writer.transport.abort()

    async with await asyncio.start_server(serve, HERE, 0) as server:
        target = Target(Transport.TCP, server.sockets[0].getsockname())
        us.send(wire(), target)
        await until(lambda: us.messages)
        us.send(wire(fields={"CSeq": "2 INVITE"}), target)
        await until(lambda: len(us.messages) == 2)
        assert [parse(octets).cseq.number for octets in came] == [314159, 2, 2]
        assert us.failures == 0


async def test_a_peer_that_takes_connections_and_ends_them_fails_the_message(opened: Opening) -> None:
    us = await opened(Transport.TCP)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(serve, HERE, 0) as server:
        us.send(wire(), Target(Transport.TCP, server.sockets[0].getsockname()))
        await until(lambda: us.failures)
    assert us.failures == 1


@pytest.mark.parametrize("kind", STREAMS)
async def test_an_answer_whose_connection_is_gone_goes_to_the_port_in_via(opened: Opening, kind: Transport) -> None:
    us, them, listening = await opened(kind), await opened(kind), await opened(kind)
    us.send(wire(fields=via(listening.local[1], kind.value)), them.target("gw.example.com"))
    await until(lambda: them.messages)
    await us.transports.close()
    await until(lambda: not them.transports._port._all)  # type: ignore[union-attr]
    request = parse(them.messages[0])
    assert not isinstance(request, Response)
    them.send(request.answer(200).octets(), them.flows[0])
    await until(lambda: listening.messages)
    them.send(them.messages[0], them.flows[0])
    await until(lambda: them.failures)
    assert them.transports.reason == "its connection is closed"


async def test_messages_are_cut_from_a_stream_however_it_comes(opened: Opening) -> None:
    them = await opened(Transport.TCP)
    _, writer = await asyncio.open_connection(*them.local)
    octets = wire(body=b"one") + wire(body=b"two")
    for index in range(0, len(octets), 7):
        writer.write(octets[index : index + 7])
        await writer.drain()
        await asyncio.sleep(0)
    await until(lambda: len(them.messages) == 2)
    assert [parse(each).body for each in them.messages] == [b"one", b"two"]
    await _closed(writer)


async def test_a_ping_is_answered(opened: Opening) -> None:
    them = await opened(Transport.TCP)
    reader, writer = await asyncio.open_connection(*them.local)
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
    await _closed(writer)


async def test_a_connection_of_ours_is_pinged_and_ended_when_answers_stop(opened: Opening) -> None:
    us = await opened(Transport.TCP, limits=QUICK)
    pings: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while octets := await reader.read(100):
            pings.append(octets)
            if len(pings) < 3:
                writer.write(b"\r\n")
        ended.set()
        writer.close()

    async with await asyncio.start_server(serve, HERE, 0) as server:
        us.send(wire(body=b""), Target(Transport.TCP, server.sockets[0].getsockname()))
        await asyncio.wait_for(ended.wait(), 5)
    assert set(pings) == {b"\r\n\r\n"}
    assert len(pings) >= 3


async def test_a_peer_that_never_answers_pings_is_left_in_peace(opened: Opening) -> None:
    us = await opened(Transport.TCP, limits=QUICK)
    pings = 0
    async with await asyncio.start_server(lambda *ends: streams.append(ends), HERE, 0) as server:
        streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        us.send(wire(), Target(Transport.TCP, server.sockets[0].getsockname()))
        await until(lambda: streams)
        reader, writer = streams[0]
        while pings < 6:
            pings += b"\r\n\r\n" in await asyncio.wait_for(reader.read(LARGEST), 5)
        us.send(wire(body=b"still there"), Target(Transport.TCP, server.sockets[0].getsockname()))
        assert b"still there" in await asyncio.wait_for(reader.read(LARGEST), 5)
        await _closed(writer)


@pytest.mark.parametrize("octets", [b"", b"INVITE sip:x@y SIP/2.0\r\nVia: ", wire(length="100", body=b"half")])
async def test_a_peer_that_sends_no_whole_message_in_time_is_cut_off(opened: Opening, octets: bytes) -> None:
    them = await opened(Transport.TCP, limits=QUICK)
    reader, writer = await asyncio.open_connection(*them.local)
    writer.write(octets)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert them.messages == []
    await _closed(writer)


async def test_dripping_octets_win_a_slow_peer_no_time(opened: Opening) -> None:
    them = await opened(Transport.TCP, limits=QUICK)
    reader, writer = await asyncio.open_connection(*them.local)
    drops = 0
    while not reader.at_eof() and reader.exception() is None and drops < 1000:
        writer.write(b"x")
        drops += 1
        await asyncio.sleep(0.005)
    assert drops < 1000
    await _closed(writer)


async def test_a_connection_is_ended_when_it_was_idle_for_too_long(opened: Opening) -> None:
    them = await opened(Transport.TCP, limits=StreamLimits(idle=0.1))
    reader, writer = await asyncio.open_connection(*them.local)
    writer.write(wire())
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert len(them.messages) == 1
    await _closed(writer)


@pytest.mark.parametrize(
    "octets",
    [b"\x00" * (LARGEST + 1), wire(length="70000"), wire(length="x"), b"A: b\r\n" * 300 + b"\r\n"],
    ids=["endless", "too large", "no length", "too many fields"],
)
async def test_a_stream_that_cannot_be_cut_is_ended(opened: Opening, octets: bytes) -> None:
    them = await opened(Transport.TCP)
    reader, writer = await asyncio.open_connection(*them.local)
    writer.write(octets)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert them.messages == []
    await _closed(writer)


@pytest.mark.parametrize("kind", STREAMS)
async def test_there_are_only_so_many_connections_of_a_stranger_but_the_trunk_gets_in(
    opened: Opening, kind: Transport, authority: Authority
) -> None:
    guard = Guard(Limits(trusted=(ip_network("127.0.0.3/32"),)))
    them = await opened(kind, limits=QUICK, guard=guard)
    ends = [await asyncio.open_connection(*them.local, local_addr=("127.0.0.2", 0)) for _ in range(2)]
    with contextlib.suppress(ConnectionResetError):
        ends.append(await asyncio.open_connection(*them.local, local_addr=("127.0.0.2", 0)))
        assert await asyncio.wait_for(ends[2][0].read(), 5) == b""
    assert not ends[0][0].at_eof()
    ends.append(await asyncio.open_connection(*them.local, local_addr=("127.0.0.4", 0)))
    await until(lambda: len(them.transports._port._all) == QUICK.most)  # type: ignore[union-attr]
    friend = await opened(kind, ("127.0.0.3", 0))
    friend.send(wire(), them.target("gw.example.com"))
    await until(lambda: them.messages)
    for _, writer in ends:
        await _closed(writer)


async def test_there_are_only_so_many_connections_of_ours(opened: Opening) -> None:
    us = await opened(Transport.TCP, limits=QUICK)
    for _ in range(4):
        us.send(wire(), (await opened(Transport.TCP)).target())
    await until(lambda: us.failures)
    assert us.transports.reason == "3 connections are open"
    assert us.failures == 1


async def test_when_the_system_has_no_room_for_connections_they_wait(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.sip.streams.REST", 0.05)
    them = await opened(Transport.TCP)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as peer, structlog.testing.capture_logs() as logs:
        peer.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (peer.fileno(), limits[1]))
        try:
            await asyncio.get_running_loop().sock_connect(peer, them.local)
            await until(lambda: logs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert (logs[0]["event"], logs[0]["reason"]) == ("connections wait", "Too many open files")
        await asyncio.get_running_loop().sock_sendall(peer, wire())
        await until(lambda: them.messages)


async def test_a_stranger_who_sends_too_much_is_cut_off(opened: Opening) -> None:
    them = await opened(Transport.TCP, guard=Guard(Limits(rate=1.0, burst=10.0)))
    reader, writer = await asyncio.open_connection(*them.local)
    writer.write(wire() * 50)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert len(them.messages) == 9  # the connection itself counts
    await _closed(writer)


async def test_a_peer_that_does_not_read_is_cut_off(opened: Opening) -> None:
    us = await opened(Transport.TCP)
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    async with await asyncio.start_server(lambda *ends: streams.append(ends), HERE, 0, limit=1) as server:
        target = Target(Transport.TCP, server.sockets[0].getsockname())
        us.send(wire(), target)
        await until(lambda: streams)
        for _ in range(1000):
            us.send(wire(body=b"x" * 60_000), target)
            if us.transports.reason:
                break
            await asyncio.sleep(0)
        await until(lambda: us.failures)
        assert us.transports.reason == "the peer does not read"
        for _, writer in streams:
            await _closed(writer)


# --------------------------------------------------------------------------------------------------------------- TLS


WRONG = {
    "Hostname mismatch, certificate is not valid for 'gw.example.com'": ("other.example.com", DAY, "gw.example.com"),
    "IP address mismatch, certificate is not valid for '127.0.0.1'": ("gw.example.com", DAY, ""),
    "certificate has expired": ("gw.example.com", -timedelta(hours=1), "gw.example.com"),
}


@pytest.mark.parametrize("reason", WRONG)
async def test_a_wrong_certificate_is_refused_with_its_reason(
    opened: Opening, authority: Authority, reason: str
) -> None:
    name, ends, asked = WRONG[reason]
    us, them = await opened(Transport.TLS), await opened(Transport.TLS, tls=authority.settings(name, ends=ends))
    with structlog.testing.capture_logs() as logs:
        us.send(wire(), them.target(asked))
        await until(lambda: us.failures)
    assert us.transports.reason.startswith(f"the certificate of {asked or HERE} is refused: {reason}")
    assert us.transports.reason in [each["reason"] for each in logs]
    assert them.messages == []


async def test_a_certificate_of_an_unknown_authority_is_refused(
    opened: Opening, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    us = await opened(Transport.TLS)
    them = await opened(Transport.TLS, tls=stranger.settings("gw.example.com"))
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: us.failures)
    assert "the certificate of gw.example.com is refused: unable to get local issuer" in us.transports.reason


async def test_without_our_own_authority_that_of_the_system_counts(opened: Opening, authority: Authority) -> None:
    us, them = await opened(Transport.TLS, tls=TlsSettings()), await opened(Transport.TLS)
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: us.failures)
    assert "is refused: unable to get local issuer" in us.transports.reason


async def test_a_name_is_checked_for_each_name_although_the_address_is_the_same(opened: Opening) -> None:
    us, them = await opened(Transport.TLS), await opened(Transport.TLS)
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: them.messages)
    us.send(wire(), them.target("another.example.com"))
    await until(lambda: us.failures)
    assert len(them.messages) == 1


async def test_a_peer_needs_a_certificate_where_that_is_asked(opened: Opening, authority: Authority) -> None:
    them = await opened(Transport.TLS, tls=authority.settings("gw.example.com", mutual=True))
    us, nobody = await opened(Transport.TLS), await opened(Transport.TLS, tls=authority.settings())
    nobody.send(wire(body=b"nobody"), them.target("gw.example.com"))
    await until(lambda: nobody.failures)
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: them.messages)
    assert them.messages == [wire()]


async def test_without_a_certificate_of_our_own_we_call_but_nobody_can_connect(
    opened: Opening, authority: Authority
) -> None:
    us, them = await opened(Transport.TLS, tls=authority.settings()), await opened(Transport.TLS)
    them.answers = True
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: us.messages)
    assert us.local == (HERE, 0)


async def test_a_renewed_certificate_is_used_for_the_next_connection(opened: Opening, authority: Authority) -> None:
    expired = authority.settings("gw.example.com", ends=-timedelta(hours=1))
    assert expired.certificate and expired.key
    us, them = await opened(Transport.TLS), await opened(Transport.TLS, tls=expired)
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: us.failures)
    expired.certificate.write_text("half a certificate")
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: us.failures == 2)
    authority.sign(expired.certificate, expired.key, "gw.example.com")
    us.send(wire(), them.target("gw.example.com"))
    await until(lambda: them.messages)


async def test_files_that_are_no_certificates_are_a_clear_error(opened: Opening, tmp_path: Path) -> None:
    with pytest.raises(LineError, match=r"missing\.pem cannot be read: No such file"):
        await opened(Transport.TLS, tls=TlsSettings(ca=tmp_path / "missing.pem"))
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(LineError, match=r"junk\.pem cannot be used: "):
        await opened(Transport.TLS, tls=TlsSettings(ca=junk))


@pytest.mark.parametrize("octets", [b"", b"INVITE sip:x@y SIP/2.0\r\n\r\n"], ids=["silent", "plain"])
async def test_a_peer_that_does_not_speak_tls_is_cut_off(opened: Opening, octets: bytes) -> None:
    them = await opened(Transport.TLS, limits=StreamLimits(connect=0.1))
    reader, writer = await asyncio.open_connection(*them.local)
    writer.write(octets)
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    assert them.messages == []
    await _closed(writer)


async def test_old_versions_of_tls_are_refused(opened: Opening, authority: Authority) -> None:
    import ssl  # noqa: PLC0415

    them = await opened(Transport.TLS)
    old = ssl.create_default_context(cafile=str(authority.ca))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.open_connection(*them.local, ssl=old, server_hostname="gw.example.com")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as made:
            made.bind(("::1", 0))
    except OSError:
        return False
    return True


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
