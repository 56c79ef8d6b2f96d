"""An authenticator in software: ES256, attestation "none", a counter, user verification, and the PRF extension."""

import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(octets: bytes) -> str:
    """Return octets as browsers write them into JSON."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One passkey, in a browser that is on ``origin``.

    Attributes:
        prf: whether it has the extension; ``prf_at_once``: also when it is made.
        counts: whether it counts its uses.
        verifies: whether it asks for a PIN.
        host: what it signs that it is for, in place of what it is asked; None: just that.
    """

    origin: str
    prf: bool = True
    prf_at_once: bool = True
    counts: bool = True
    verifies: bool = True
    host: str | None = None
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    handle: bytes = b""

    def create(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Do ``navigator.credentials.create``; give what ``toJSON`` does."""
        options = answer["publicKey"]
        assert -7 in [each["alg"] for each in options["pubKeyCredParams"]]
        assert options["authenticatorSelection"]["residentKey"] == "required"
        self.handle = octets(options["user"]["id"])
        data = self._data(options["rp"]["id"], ATTESTED) + bytes(16) + len(self.credential_id).to_bytes(2, "big")
        data += self.credential_id + cbor2.dumps(self._cose())
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options)
        results = self._prf(options) if self.prf_at_once else {}
        extensions = {"prf": {"enabled": True, **results}} if self.prf else {}
        return self._credential(extensions, clientDataJSON=b64(client), attestationObject=b64(attestation))

    def get(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Do ``navigator.credentials.get``."""
        options = answer["publicKey"]
        assert options["userVerification"] == "required"
        data, client = self._data(options["rpId"], 0), self._client("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._credential(
            {"prf": self._prf(options)} if self.prf else {},
            clientDataJSON=b64(client),
            authenticatorData=b64(data),
            signature=b64(signature),
            userHandle=b64(self.handle),
        )

    def _data(self, host: str, flags: int) -> bytes:
        self.count += self.counts
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256((self.host or host).encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _prf(self, options: dict[str, Any]) -> dict[str, Any]:
        salt = hashlib.sha256(b"WebAuthn PRF\0" + octets(options["extensions"]["prf"]["eval"]["first"])).digest()
        return {"results": {"first": b64(hmac.digest(self.secret, salt, "sha256"))}}

    def _credential(self, extensions: dict[str, Any], **response: str) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": extensions,
            "response": {**response, "transports": ["internal"]},
        }

    def _cose(self) -> dict[int, Any]:
        point = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
