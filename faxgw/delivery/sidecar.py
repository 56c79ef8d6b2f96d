"""The sidecar: a JSON file beside a fax that says what it is, and by being there that the fax is whole.

docs/folders.md has its form. The same fax in the same files gives the same octets.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from faxgw.delivery.carrier import File

FORMAT = "faxgw fax"
VERSION = 1


def sidecar(name: str, said: Mapping[str, Any], files: Sequence[File], *, sealing: str | None) -> File:
    """Return the sidecar of some files.

    Args:
        name: of it.
        said: what there is to be said of the fax, as plain values.
        files: that lie beside it.
        sealing: how they are encrypted; None: not at all.
    """
    listed = [
        {"name": each.name, "media_type": each.media_type, "size": len(each.content), "sha256": each.sha256.hex()}
        for each in files
    ]
    whole = {"format": FORMAT, "version": VERSION, **said, "sealing": sealing, "files": listed}
    octets = json.dumps(whole, indent=2).encode() + b"\n"
    return File(name, "application/json", octets, hashlib.sha256(octets).digest(), replaces=sealing is not None)
