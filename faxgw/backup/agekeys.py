"""Who a backup is for, and who opens it: keys of age, or SSH keys, which age takes as well."""

import os
from pathlib import Path
from typing import Any

import pyrage

from faxgw.errors import RequestError

# Any: pyrage has no types.


def recipient(text: str) -> Any:
    """Read a public key: ``age1...``, or a line of an SSH public key.

    Raises:
        RequestError: ``backup.recipient``.
    """
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        reason = f"{text[:80]!r} is no public key of age: it begins with age1, or is an SSH key."
        raise RequestError("backup.recipient", reason) from error


def identities(path: Path) -> list[Any]:
    """Read a file of secret keys, as ``age-keygen`` writes it, or an SSH private key without a passphrase.

    Raises:
        RequestError: ``backup.identity``.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("backup.identity", f"The keys in {path} cannot be read: {error}.") from error
    try:
        if "PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [each.strip() for each in text.splitlines()]
        found = [pyrage.x25519.Identity.from_str(each) for each in lines if each and not each.startswith("#")]
    except pyrage.IdentityError as error:
        raise RequestError("backup.identity", f"{path} holds no secret keys of age: {error}.") from error
    if not found:
        raise RequestError("backup.identity", f"{path} holds no secret keys of age.")
    return found


def new_identity(path: Path) -> str:
    """Write a new secret key to a file that must not exist; return the public key.

    Raises:
        RequestError: ``backup.identity`` when it cannot be written.
    """
    identity = pyrage.x25519.Identity.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise RequestError("backup.identity", f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(f"# public key: {identity.to_public()}\n{identity}\n")
        file.flush()
        os.fsync(descriptor)
    return str(identity.to_public())
