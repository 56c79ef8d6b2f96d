"""Exported logs to check and to damage, made without a database."""

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from faxgw.audit.canonical import canonical
from faxgw.audit.export import FORM, line_of
from faxgw.audit.merkle import Growing, leaf_hash
from faxgw.audit.notes import Checkpoint, Verifier

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TENANT = "019c13ec-9e00-7000-8000-000000000000"
ORIGIN = f"faxgw.audit/{TENANT}"


@dataclass(frozen=True, slots=True)
class Log:
    """Rows of a log; ``key`` signs it."""

    rows: list[dict[str, Any]]
    key: Ed25519PrivateKey = KEY

    @property
    def verifier(self) -> Verifier:
        return Verifier(ORIGIN, self.key.public_key().public_bytes_raw())

    def checkpoint(self, size: int | None = None) -> str:
        """Return the signed checkpoint of its first rows."""
        tree = Growing()
        for row in self.rows[:size]:
            tree.add(leaf_hash(canonical(row)))
        return Checkpoint(ORIGIN, tree.size, tree.root).signed(self.key)

    def lines(self) -> list[bytes]:
        """Return the lines of its export."""
        head = canonical({"checkpoint": self.checkpoint(), "faxgw_audit": FORM, "key": self.verifier.text}) + b"\n"
        octets = [canonical(row) for row in self.rows]
        return [head, *(line_of(each, leaf_hash(each)) for each in octets)]


def log_of(size: int) -> Log:
    """Return a log of so many rows."""
    return Log([row(seq) for seq in range(size)])


def row(seq: int, **other: Any) -> dict[str, Any]:
    """Return a row."""
    plain = {
        "action": "content.read",
        "actor": "user:1",
        "data": {"page": seq, "to": "pseudonym:ü"},
        "object": "fax",
        "object_id": "f",
        "outcome": "ok",
        "seq": seq,
        "source": "",
        "tenant": TENANT,
        "time": "2026-11-22T09:00:00.000000Z",
    }
    return {**plain, **other}
