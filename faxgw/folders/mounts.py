"""What a folder of this machine is mounted from: what goes over a network from here must be protected, too."""

import os
from pathlib import Path

from faxgw.delivery.carrier import NotProtected
from faxgw.folders.folder import Hop

MOUNTS = Path("/proc/self/mountinfo")

PROTECTED: dict[str, tuple[str, ...]] = {
    "nfs": ("sec=krb5p", "xprtsec=tls", "xprtsec=mtls"),
    "nfs4": ("sec=krb5p", "xprtsec=tls", "xprtsec=mtls"),
    "cifs": ("seal",),
    "smb3": ("seal",),
    "ceph": ("ms_mode=secure",),
    "afs": (),
    "9p": (),
    "fuse.glusterfs": (),
    "fuse.davfs": (),
    "fuse.curlftpfs": (),
}
"""File systems that go over a network -> the options of a mount by which it is encrypted on its way; one is enough.

``fuse.sshfs`` is not here: it is always encrypted.
"""


def hop_of(device: int, *, mounts: Path = MOUNTS) -> Hop:
    """Return how what is on a device is reached.

    Raises:
        NotProtected: ``delivery.mount`` if it goes over a network in clear.
    """
    kind, options = _mounted(f"{os.major(device)}:{os.minor(device)}", mounts.read_text())
    if kind not in PROTECTED:
        return Hop(protocol="none", decision="local")
    by = next((option for option in PROTECTED[kind] if option in options), None)
    if by is None:
        wanted = " or ".join(PROTECTED[kind]) or "another kind of mount"
        raise NotProtected("delivery.mount", f"The folder goes over a network in clear ({kind}); it takes {wanted}.")
    return Hop(protocol=kind, decision="mounted-encrypted", cipher=by)


def _mounted(device: str, mounts: str) -> tuple[str, frozenset[str]]:
    """Return the kind and the options of what is mounted from a device; of none, as some local file systems have it."""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == device:
            kind, _, options = after.split(maxsplit=2)
            return kind, frozenset([*before.split()[5].split(","), *options.split(",")])
    return "", frozenset()
