"""Every path that may hold fax data, and how it is stored: encrypted, in memory or plain; swap and core dumps."""

import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faxgw.config import Config
from faxgw.doctor.finding import Finding, Machine, advice, ok

IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
ENCRYPTING = ("ecryptfs", "fuse.gocryptfs", "fuse.cryfs", "fuse.encfs")
AREA = "storage"
DEEPEST = 8


class Stored:
    """The words for how something is stored."""

    ENCRYPTED = "encrypted"
    MEMORY = "in memory"
    UNKNOWN = "on a disk not known as encrypted"


@dataclass(frozen=True, slots=True)
class Place:
    """A path that may hold fax data: what it holds, and why that is safe or what would make it so."""

    path: Path
    holds: str
    sealed: bool


def places(config: Config) -> list[Place]:
    """Return every path that may hold fax data with this configuration."""
    found = []
    if not config.objects.url or config.objects.url.startswith("file:///"):
        folder = Path(config.objects.url.removeprefix("file://")) if config.objects.url else config.data_dir / "objects"
        found.append(Place(folder, "documents and pages, sealed with AES-256", sealed=True))
    if config.database.private:
        found.append(
            Place(
                config.data_dir / "postgres",
                "telephone numbers and names, sealed; times, results and settings, not sealed",
                sealed=False,
            )
        )
    left = "faxes that were delivered there, encrypted only where the target says so (sealing)"
    return [
        *found,
        *(Place(folder, left, sealed=False) for folder in config.delivery.folders),
        Place(config.spool_keys, "keys to the faxes under way", sealed=False),
        Place(
            config.server_keys,
            "keys that check API keys and webhooks, and open telephone numbers and names",
            sealed=False,
        ),
        Place(Path(tempfile.gettempdir()), "nothing of a fax: pages are never written to temporary files", sealed=True),
    ]


def paths(config: Config, machine: Machine) -> Iterator[Finding]:
    """Tell each place with how it is stored (XM-22)."""
    for place in places(config):
        stored = storage_of(place.path, machine)
        text = f"{place.path} is {stored} and holds {place.holds}."
        if place.sealed or stored in (Stored.ENCRYPTED, Stored.MEMORY):
            yield ok(AREA, text)
        else:
            yield advice(AREA, text, "Put it on an encrypted disk (LUKS), so that a stolen disk tells nothing.")


def swap(_config: Config, machine: Machine) -> Iterator[Finding]:
    """Look whether memory, which has pages in it, may be written to a plain disk."""
    plain = []
    for line in machine.read("/proc/swaps").splitlines()[1:]:
        path = Path(line.split()[0].replace("\\040", " "))
        name = path.resolve().name if path.is_symlink() else path.name
        encrypted = _device_is_encrypted(name, machine) if path.is_relative_to("/dev") else False
        stored = Stored.ENCRYPTED if encrypted else storage_of(path, machine)
        if not (name.startswith("zram") or stored == Stored.ENCRYPTED):
            plain.append(str(path))
    if plain:
        yield advice(
            AREA,
            f"Memory may be swapped out to {', '.join(plain)}, which is not encrypted; it has pages and keys in it.",
            "Encrypt the swap space, or switch it off (swapoff -a).",
        )
    else:
        yield ok(AREA, "Memory is never written to a plain disk: there is no unencrypted swap space.")


def core_dumps(_config: Config, machine: Machine) -> Iterator[Finding]:
    """Look whether memory may be written to a disk when a process crashes; the gateway itself switches that off."""
    pattern, hardest = machine.read("/proc/sys/kernel/core_pattern"), resource.getrlimit(resource.RLIMIT_CORE)[1]
    if pattern.startswith("|") and hardest == 0:
        # With a limit of 1 Linux leaves such a program alone, with 0 it does not, and nobody may raise a limit.
        yield advice(
            AREA,
            f"When a worker crashes, its memory goes to {pattern[1:].split()[0]}.",
            "Start the gateway with a hard limit for core files of 1 octet or more, such as LimitCORE=1 in systemd.",
        )
    else:
        yield ok(AREA, "When a process of the gateway crashes, its memory is written nowhere.")


def storage_of(path: Path, machine: Machine) -> str:
    """Return how what lies at a path is stored, in the words of ``Stored``."""
    mount = _mount_of(path, machine)
    if mount is None:
        return Stored.UNKNOWN
    kind, source, numbers = mount
    if kind in IN_MEMORY:
        return Stored.MEMORY
    device = Path(source).name if source.startswith("/dev/") else ""
    target = machine.root / f"sys/dev/block/{numbers}"
    device = target.resolve().name if target.exists() else device
    if kind in ENCRYPTING or (device and _device_is_encrypted(device, machine)):
        return Stored.ENCRYPTED
    return Stored.UNKNOWN


def _mount_of(path: Path, machine: Machine) -> tuple[str, str, str] | None:
    """Return file system, source and device number of the innermost mount over a path."""
    resolved, best, found = path.resolve(), -1, None
    for line in machine.read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        _, _, numbers, _, point, *_ = left.split()
        kind, source, *_ = right.split()
        over = Path(point.replace("\\040", " "))
        # Of several mounts on one point, the last one counts.
        if resolved.is_relative_to(over) and len(over.parts) >= best:
            best, found = len(over.parts), (kind, source, numbers)
    return found


def _device_is_encrypted(name: str, machine: Machine, deep: int = DEEPEST) -> bool:
    """Return whether a block device, or all that it lies on, is encrypted by the kernel."""
    if machine.read(f"/sys/class/block/{name}/dm/uuid").startswith("CRYPT-"):
        return True
    below = machine.names(f"/sys/class/block/{name}/slaves")
    return bool(below) and deep > 0 and all(_device_is_encrypted(each, machine, deep - 1) for each in below)


def as_table(config: Config, machine: Machine) -> list[dict[str, str]]:
    """Return every place with what it holds and how it is stored, as ``faxgw doctor --json`` prints it."""
    return [
        {"path": str(each.path), "holds": each.holds, "storage": storage_of(each.path, machine)}
        for each in places(config)
    ]
