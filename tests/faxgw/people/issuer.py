"""An identity provider of the test's own on loopback, over TLS: it gives whatever token it is told to."""

import asyncio
import datetime
import json
import ssl
from base64 import b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "faxgw", "client-secret-4711"
NAME = "login.example.com"
"""What its certificate names besides the address."""


@dataclass
class Issuer:
    """What it publishes, and what it will answer.

    Attributes:
        given: codes that it has given out: to the S256 challenge, and the ID token for it.
        asked: paths of all requests.
        says: what its discovery document says in place of the truth.
    """

    folder: Path
    url: str = ""
    keys: list[RSAKey] = field(default_factory=list)
    given: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    access_token: str = "access"
    _server: asyncio.Server | None = None

    @property
    def certificate(self) -> Path:
        return self.folder / "issuer.pem"

    async def start(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(self.certificate))
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = lines[0].split()[1]
            self.asked.append(path)
            status, said = self._answer(path, headers, body.decode())
            octets = json.dumps(said).encode()
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(octets)}\r\nConnection: close\r\n\r\n".encode())
            writer.write(octets)
            await writer.drain()
        writer.close()

    def _answer(self, path: str, headers: dict[str, str], body: str) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            truth = {"issuer": self.url, **{name: f"{self.url}/{each}" for name, each in names.items()}}
            return 200, {**truth, **self.says}
        if path == "/keys":
            return 200, dict(KeySet(list(self.keys)).as_dict(private=False))
        if path == "/token":
            return self._token(headers, {name: each[0] for name, each in parse_qs(body).items()})
        return 404, {}

    def _token(self, headers: dict[str, str], form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        user, _, password = b64decode(headers["authorization"].removeprefix("Basic ")).decode().partition(":")
        if (unquote(user), unquote(password)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        challenge, token = self.given.pop(form["code"], ("", ""))
        proof = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if form["grant_type"] != "authorization_code" or challenge != proof:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": self.access_token, "token_type": "Bearer", "id_token": token}


def _certificate(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer of a test")])
    now = datetime.datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName(NAME)]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path
