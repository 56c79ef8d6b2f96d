"""The host key by which devices know this gateway: made on the first start, the same ever after."""

import hashlib
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from faxgw.keys.folders import made_once, open_folder

FILE = "host_ed25519.key"


def host_key(data_dir: Path) -> Ed25519PrivateKey:
    """Return this node's host key; its file, in the folder ``ssh`` of the data directory, has the key's 32 octets.

    Raises:
        RequestError: ``keys.*``.
    """
    folder = data_dir / "ssh"
    open_folder(folder)
    return Ed25519PrivateKey.from_private_bytes(made_once(folder / FILE))


def private_text(key: Ed25519PrivateKey) -> bytes:
    """Return it in OpenSSH's form, for the server."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_text(key: Ed25519PrivateKey) -> str:
    """Return its public half as in known_hosts: ``ssh-ed25519 AAAA...``."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def fingerprint(public: str) -> str:
    """Return what clients show of a public key: ``SHA256:...``."""
    digest = hashlib.sha256(b64decode(public.split()[1])).digest()
    return "SHA256:" + b64encode(digest).decode().rstrip("=")
