"""A receiver of webhooks: a real TLS server on loopback with a certificate of the tests' own authority."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "hooks.example"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Message:
    """What came in, and to which name and address."""

    path: str
    headers: dict[str, str]
    body: bytes
    server_name: str | None
    address: str


@dataclass
class Receiver:
    """Takes every message; ``answers`` are given in turn, then 200."""

    port: int
    messages: list[Message] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0

    def url(self, name: str = NAME, path: str = "/in") -> str:
        return f"https://{name}:{self.port}{path}"


def status(code: int, *headers: str, body: bytes = b"") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} As Asked", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


async def silence(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():  # noqa: ASYNC110 (nothing tells that the other side has gone but this)
        await asyncio.sleep(0.01)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x-more: " + b"y" * 0x8000 + b"\r\n")
        await writer.drain()


@dataclass(frozen=True)
class Authority:
    """Signs certificates; its own is in ``certificate``, in PEM."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name
    certificate: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        builder = _builder(name, name, key.public_key()).add_extension(x509.BasicConstraints(True, 0), critical=True)
        path = folder / "authority.pem"
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, name, path)

    def context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return what a server of these names needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = [x509.IPAddress(IPv4Address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
        builder = _builder(subject, self.name, key.public_key(), expired=expired)
        certificate = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        chain = self.folder / f"{names[0]}-{expired}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context


@asynccontextmanager
async def receiving(context: ssl.SSLContext | None, *, host: str = "127.0.0.1") -> AsyncGenerator[Receiver]:
    """Run a receiver on a free port; without a context it speaks plain HTTP."""
    names: list[str | None] = []
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: names.append(name)
    receiver = Receiver(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        receiver.open_now += 1
        receiver.most_open = max(receiver.most_open, receiver.open_now)
        try:
            while True:  # it is for the sender to end a connection
                receiver.messages.append(await _message(reader, writer, names[-1] if names else None))
                await (receiver.answers.pop(0) if receiver.answers else status(200))(writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other side has gone: what it makes of that is what is tested
        finally:
            receiver.open_now -= 1
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


async def _message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str | None) -> Message:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Message(head[0].split()[1], headers, body, name, writer.get_extra_info("sockname")[0])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool = False
) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + timedelta(days=-1 if expired else 30)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=40))
        .not_valid_after(end)
    )
