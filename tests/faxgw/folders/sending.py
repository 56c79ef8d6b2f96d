"""What the tests of all kinds of folders have in common: parcels, targets, and the gateway's rules for them."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

from faxgw.config.folders import DeliverySettings
from faxgw.delivery.carrier import File, Parcel
from faxgw.delivery.targets import SETTINGS, Target, TargetSecret
from faxgw.gateway import Gateway

CANARY = b"canary: a page that nobody may read on its way"
PASSWORD = "a-password-that-nobody-may-read"
LOOPBACK = ip_network("127.0.0.0/8")
LOOPBACK_6 = ip_network("::1")


def gateway(*, private: bool = True, folders: tuple[Path, ...] = (), timeout: float = 20) -> Gateway:
    """Return a gateway as far as carriers know it: its rules for deliveries; ``folders`` are the tenant's."""
    rules = DeliverySettings(allow_private=(LOOPBACK, LOOPBACK_6) if private else (), timeout=timeout)
    rules = rules.model_copy(update={"folders": folders})
    return cast(Gateway, SimpleNamespace(config=SimpleNamespace(delivery=rules)))


def target(settings: Mapping[str, Any], **secret: str) -> Target:
    """Return a target with these settings and secrets."""
    return Target(uuid4(), uuid4(), "the folder", SETTINGS.validate_python(settings), TargetSecret(**secret))


def parcel(*, pages: int = 3, parcel_id: UUID | None = None) -> Parcel:
    """Return a fax of some pages and its sidecar."""
    made = parcel_id or uuid4()
    fax = CANARY + made.bytes * 700 * pages
    return Parcel(made, uuid4(), (file(f"{made}.pdf", fax), file(f"{made}.json", b'{"fax": "' + CANARY + b'"}')))


def encrypted_anew(fax: Parcel) -> Parcel:
    """Return a parcel as another try has it, in which everything was encrypted once more."""
    files = tuple(replace(file(each.name, each.content[::-1]), replaces=True) for each in fax.files)
    return replace(fax, files=files)


def file(name: str, content: bytes) -> File:
    """Return a file."""
    return File(name, "application/octet-stream", content, sha256(content).digest())


def varying(parcel: Parcel, chance: bytes) -> Parcel:
    """Return a parcel whose files are encrypted, so that they are others with another chance."""
    files = (replace(file(each.name, chance + each.content), replaces=True) for each in parcel.files)
    return replace(parcel, files=tuple(files))


def lies(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, hidden ones, too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def whole(*parcels: Parcel) -> dict[str, bytes]:
    """Return what lies in a folder in which these parcels are, and nothing else."""
    return {each.name: each.content for parcel in parcels for each in parcel.files}
