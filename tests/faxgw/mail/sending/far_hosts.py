"""The far side of mail: a DNS server, an HTTPS server with policies, and SMTP hosts that can do every wrong thing."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class Zones:
    """A DNS server on loopback: what it says, of what it says that it was validated, and of what it says nothing.

    Attributes:
        records: (name, kind) -> records as text.
        secure: names under which answers are said to be validated.
        broken: (name, kind) that are answered with SERVFAIL.
        asked: every question, in order.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    secure: set[str] = field(default_factory=set)
    broken: set[tuple[str, str]] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def answer(self, octets: bytes) -> bytes:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query, recursion_available=True)
        if (name, kind) in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.records:
            response.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", kind, *self.records[name, kind]))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if any(name == each or name.endswith(f".{each}") for each in self.secure) and query.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        return response.to_wire()


@asynccontextmanager
async def naming(zones: Zones) -> AsyncGenerator[None]:
    """Answer for zones on UDP and TCP of one port."""

    class OverUdp(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            answer = zones.answer(data)
            if len(answer) > 512:
                cut = dns.message.from_wire(answer)
                cut.answer.clear()
                cut.flags |= dns.flags.TC
                answer = cut.to_wire()
            cast("asyncio.DatagramTransport", self.transport).sendto(answer, addr)

    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                answer = zones.answer(await reader.readexactly(length))
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(over_tcp, "127.0.0.1", 0)
    zones.port = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(OverUdp, local_addr=("127.0.0.1", zones.port))
    async with server:
        yield
        transport.close()


@dataclass
class Policies:
    """An HTTPS server: host -> the text of its policy, or the whole answer where it begins with HTTP/."""

    texts: dict[str, str] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    port: int = 0


@asynccontextmanager
async def publishing(policies: Policies, context: ssl.SSLContext) -> AsyncGenerator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            host = next(
                line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("host:")
            )
            policies.fetched.append(host)
            text = policies.texts.get(host, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            if not head.startswith("GET /.well-known/mta-sts.txt "):
                text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            if not text.startswith("HTTP/"):
                text = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n{text}"
            writer.write(text.encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    policies.port = server.sockets[0].getsockname()[1]
    async with server:
        yield


@dataclass
class Host:
    """An SMTP host, written on sockets; by default it does everything right.

    Attributes:
        context: its TLS; None: none at all.
        strips: it does not offer STARTTLS, as if somebody in the middle had taken it out.
        implicit: TLS from the first octet on.
        refuses_tls: its answer to STARTTLS instead of 220.
        hangs_up: at this command, or at ``handshake``, it closes the connection.
        silent: at this command it says nothing.
        drips: its answer to this command comes octet by octet and never ends.
        injected: octets that it sends in clear right behind its answer to STARTTLS.
        answers: verb -> the answer in place of the usual one; ``greeting``, ``message`` for what follows DATA.
        extensions: that it offers besides.
        clear: every octet that came before TLS.
        inside: every octet that came under TLS.
        messages: what came, dots unstuffed.
        envelopes: MAIL and RCPT lines of each.
        protocols: what each handshake agreed to speak (ALPN).
        gate: messages are answered when it opens; each that waits there is in ``at_gate``.
        gone: set when a connection has ended.
    """

    context: ssl.SSLContext | None = None
    strips: bool = False
    implicit: bool = False
    refuses_tls: str = ""
    hangs_up: str = ""
    silent: str = ""
    drips: str = ""
    injected: bytes = b""
    answers: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("SIZE 30000000", "8BITMIME")
    clear: bytearray = field(default_factory=bytearray)
    inside: bytearray = field(default_factory=bytearray)
    messages: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, ...]] = field(default_factory=list)
    protocols: list[str | None] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    gate: asyncio.Event | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    at_gate: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError):
            pass
        finally:
            self.open_now -= 1
            self.gone.set()
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure, envelope = self.implicit, list[str]()
        if self.hangs_up == "greeting":
            return
        await self._say(writer, "greeting", "220 far.example ESMTP")
        while line := await reader.readline():
            (self.inside if secure else self.clear).extend(line)
            text = line.decode("utf-8").rstrip("\r\n")
            verb = text.split(" ")[0].upper()
            if verb == self.hangs_up:
                return
            match verb:
                case "EHLO":
                    offered = [*self.extensions, *([] if secure or self.strips else ["STARTTLS"])]
                    lines = ["far.example", *offered]
                    texts = [f"250{'-' if n + 1 < len(lines) else ' '}{each}" for n, each in enumerate(lines)]
                    await self._say(writer, verb, "\r\n".join(texts))
                case "STARTTLS":
                    if self.refuses_tls:
                        await self._say(writer, verb, self.refuses_tls)
                        continue
                    writer.write(b"220 begin\r\n" + self.injected)
                    await writer.drain()
                    if self.hangs_up == "handshake":
                        return
                    assert self.context is not None
                    await writer.start_tls(self.context)
                    self.protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
                    secure = True
                case "DATA":
                    await self._say(writer, verb, "354 go on")
                    if not self.answers.get("DATA", "3").startswith("3"):
                        continue
                    message = await self._message(reader, secure=secure)
                    if self.hangs_up == "message":
                        return
                    if self.gate is not None:
                        self.at_gate.put_nowait(None)
                        await self.gate.wait()
                    self.messages.append(message)
                    self.envelopes.append(tuple(envelope))
                    envelope.clear()
                    await self._say(writer, "message", "250 2.0.0 queued as 4711")
                case "QUIT":
                    await self._say(writer, verb, "221 bye")
                    return
                case _:
                    envelope += [text] if verb in ("MAIL", "RCPT") else []
                    await self._say(writer, verb, "250 ok")

    async def _message(self, reader: asyncio.StreamReader, *, secure: bool) -> bytes:
        lines: list[bytes] = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            (self.inside if secure else self.clear).extend(line)
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    async def _say(self, writer: asyncio.StreamWriter, verb: str, usual: str) -> None:
        if verb == self.silent:
            await asyncio.Event().wait()
        while verb == self.drips:
            writer.write(b"250-x\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(f"{self.answers.get(verb, usual)}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def taking(host: Host, address: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[int]:
    """Run a host; give its port."""
    tls = host.context if host.implicit else None
    server = await asyncio.start_server(host.serve, address, port, ssl=tls, limit=1 << 24)
    for each in server.sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
