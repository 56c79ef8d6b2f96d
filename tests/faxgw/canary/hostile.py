"""The opener of a thief: tries whatever might be a key against whatever is locked, and goes on from what opens.

It knows how everything is made, as anybody does who reads docs/sealed-objects.md.
"""

import hmac
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from psycopg.rows import dict_row

from faxgw.archive.objects import name_of
from faxgw.escrow.approvals import answer_context, read_approval
from faxgw.escrow.covering import share_context
from faxgw.escrow.shares import Share, combine
from faxgw.keys.sealing import Label, SealBroken, open_sealed
from faxgw.keys.wraps import (
    KeyPair,
    PublicKey,
    Suite,
    WrapBroken,
    box_context,
    member_context,
    unwrap,
    unwrap_key_pair,
    wrap_context,
)

Row = Mapping[str, Any]
Found = TypeVar("Found")

KEY, SECRET = 32, 20
"""Octets of keys, and of generated secrets."""
GENERATED = {"api_key", "recovery", "session", "set_up", "link"}
TABLES = (
    *("objects", "wraps", "key_slots", "person_slots", "users", "people", "retired_keys", "box_keys", "box_wraps"),
    *("escrows", "escrow_trustees", "escrow_shares", "escrow_requests", "escrow_answers", "links"),
)
SMALL = 256
"""Pieces of at most so many octets are looked through octet by octet; of others, every 16th."""
VARIED = 12
"""Different octets that chance gives to a key at least."""
TEXTS = re.compile(rb"[A-Za-z0-9+/_-]{27,}={0,2}")


@dataclass
class Loot:
    """What lies in the open for whoever has the database and the objects.

    Attributes:
        rows: table -> its rows.
        folder: of the objects.
        more_wraps: rows of ``wraps`` that were deleted, as they survive in the files of the database.
    """

    rows: Mapping[str, Sequence[Row]]
    folder: Path
    more_wraps: Sequence[Row] = ()

    @classmethod
    def of(cls, url: str, folder: Path) -> "Loot":
        with psycopg.connect(url, row_factory=dict_row) as database:
            rows = {name: database.execute(f"SELECT * FROM {name}".encode()).fetchall() for name in TABLES}
        return cls(rows, folder)

    def every_value(self) -> Iterator[bytes]:
        """Go through every value of the database, as octets."""
        for row in (row for rows in self.rows.values() for row in rows):
            yield from (value if isinstance(value, bytes) else str(value).encode() for value in row.values())


@dataclass
class Opened:
    """How far somebody has come: private keys by id, keys of objects, and the content of objects by id."""

    pairs: dict[str, KeyPair] = field(default_factory=dict)
    deks: set[bytes] = field(default_factory=set)
    content: dict[UUID, bytes] = field(default_factory=dict)


def open_all(loot: Loot, keys: Iterable[bytes], *, secrets: Iterable[bytes] = ()) -> Opened:
    """Open whatever these keys and generated secrets lead to, over however many steps."""
    opened, keys = Opened(), set(keys)
    _take_pairs(loot, opened, keys)
    _open_slots(loot, opened, keys, set(secrets))
    while _unwrap_pairs(loot, opened):
        continue
    opened.deks |= keys | set(_spooled(loot, keys)) | set(_unwrapped(loot, opened))
    _open_objects(loot, opened)
    return opened


def keys_in(files: Iterable[Path], values: Iterable[bytes] = ()) -> tuple[set[bytes], set[bytes]]:
    """Return whatever might be a key, and whatever might be a generated secret, in files and in values."""
    keys, secrets = set[bytes](), set[bytes]()
    pieces = [path.read_bytes() for path in files]
    pieces += [*values, *(text for piece in list(pieces) for text in _read(piece))]
    for piece in [*pieces, *(text for value in list(values) for text in _read(value))]:
        keys |= _windows(piece, KEY)
        secrets |= _windows(piece, SECRET)
    return keys, secrets


def _windows(piece: bytes, length: int) -> set[bytes]:
    step = 1 if len(piece) <= SMALL else 16
    found = {piece[at : at + length] for at in range(0, len(piece) - length + 1, step)}
    return {each for each in found if len(set(each)) >= VARIED}


def _read(piece: bytes) -> Iterator[bytes]:
    for match in TEXTS.finditer(piece):
        text = match[0].rstrip(b"=").decode()
        for reading in (
            bytes.fromhex,
            lambda each: b64decode(each + "=="),
            lambda each: urlsafe_b64decode(each + "=="),
        ):
            try:
                yield reading(text)
            except ValueError:
                continue


# ------------------------------------------------------------------------------------------------------- the steps


def _public(loot: Loot) -> dict[str, PublicKey]:
    tables = ("users", "people", "person_slots", "retired_keys", "box_keys")
    rows = [row for name in tables for row in loot.rows[name]]
    of_links = {public.key_id: public for _, public in _links(loot)}
    return of_links | {row["key_id"]: PublicKey.from_octets(row["public_key"]) for row in rows if row["public_key"]}


def _links(loot: Loot) -> Iterator[tuple[Row, PublicKey]]:
    for row in loot.rows["links"]:
        if row["blob"]:
            yield {**row, "kind": "link"}, PublicKey.from_octets(bytes.fromhex(row["parameters"]["public_key"]))


def _slots(loot: Loot) -> Iterator[tuple[Row, PublicKey]]:
    yield from _links(loot)
    people = {row["id"]: PublicKey.from_octets(row["public_key"]) for row in loot.rows["users"]}
    for row in loot.rows["key_slots"]:
        yield row, people[row["user_id"]]
    for row in loot.rows["person_slots"]:
        yield row, PublicKey.from_octets(row["public_key"])


def _take_pairs(loot: Loot, opened: Opened, keys: set[bytes]) -> None:
    known = _public(loot)
    suites = {public.suite for public in known.values()}
    for pair in (KeyPair(suite, key) for key in keys for suite in suites):
        if pair.public.key_id in known:
            opened.pairs[pair.public.key_id] = pair


def _open_slots(loot: Loot, opened: Opened, keys: set[bytes], secrets: set[bytes]) -> None:
    for row, public in _slots(loot):
        bound = f"faxgw slot {row['kind']} 1".encode() + public.octets
        for key in chain(keys, _derived(row, secrets)):
            if octets := _siv(key, row["blob"], bound):
                opened.pairs[public.key_id] = KeyPair(Suite(octets[0]), octets[1:])


def _derived(slot: Row, secrets: set[bytes]) -> Iterator[bytes]:
    if slot["kind"] in GENERATED:
        salt, info = bytes.fromhex(slot["parameters"]["salt"]), f"faxgw slot {slot['kind']} 1".encode()
        extracted = (hmac.digest(salt, secret, "sha256") for secret in secrets)  # HKDF, of one block
        yield from (hmac.digest(each, info + b"\1", "sha256") for each in extracted)


def _unwrap_pairs(loot: Loot, opened: Opened) -> bool:
    before = len(opened.pairs)
    boxes = {row["key_id"]: row["box_id"] for row in loot.rows["box_keys"]}
    locked = [(row["key_wrap"], member_context(row["tenant_id"], row["id"])) for row in loot.rows["users"]]
    locked += [(row["key_wrap"], member_context(row["tenant_id"], row["user_id"])) for row in loot.rows["retired_keys"]]
    locked += [(row["blob"], box_context(row["tenant_id"], boxes[row["key_id"]])) for row in loot.rows["box_wraps"]]
    for blob, context in locked:
        for pair in list(opened.pairs.values()):
            if blob and (found := _tried(lambda: unwrap_key_pair(blob, pair, context=context))):  # noqa: B023
                opened.pairs[found.public.key_id] = found
    for key_id, shares in _shares(loot, opened).items():
        for pair in _combined(shares):
            if pair.public.key_id == key_id:
                opened.pairs[key_id] = pair
    return len(opened.pairs) > before


def _shares(loot: Loot, opened: Opened) -> dict[str, set[Share]]:
    """Return the shares of boxes' keys that some private key leads to: those of trustees, and those given to others."""
    found: dict[str, set[Share]] = {}
    seats = {row["id"]: row for row in loot.rows["escrow_trustees"]}
    for row in loot.rows["escrow_shares"]:
        seat, key_id = seats[row["trustee_id"]], row["key_id"]
        context = share_context(row["tenant_id"], seat["escrow_id"], key_id=key_id, user_id=seat["user_id"])
        for octets in _by_any(opened, row["blob"], context):
            found.setdefault(key_id, set()).add(Share.from_octets(octets))
    asked = {row["id"]: row for row in loot.rows["escrow_requests"]}
    for row in loot.rows["escrow_answers"]:
        context = answer_context(asked[row["request_id"]], row["user_id"])
        for octets in _by_any(opened, row["blob"], context):
            for key_id, share in read_approval(octets):
                found.setdefault(key_id, set()).add(share)
    return found


def _by_any(opened: Opened, blob: bytes | None, context: bytes) -> Iterator[bytes]:
    for pair in list(opened.pairs.values()):
        if blob and (octets := _tried(lambda: unwrap(blob, pair, context=context))):  # noqa: B023
            yield octets


def _combined(shares: set[Share]) -> Iterator[KeyPair]:
    for count in range(2, len(shares) + 1):
        for some in combinations(sorted(shares, key=lambda share: share.index), count):
            if pair := _tried(lambda: KeyPair.from_octets(combine(some))):  # noqa: B023
                yield pair


def _wraps(loot: Loot) -> Iterator[tuple[Row, bytes]]:
    for row in [*loot.rows["wraps"], *loot.more_wraps]:
        yield row, wrap_context(tenant=row["tenant_id"], object_id=row["object_id"], kind=row["kind"])


def _spooled(loot: Loot, keys: set[bytes]) -> Iterator[bytes]:
    for row, context in _wraps(loot):
        if row["kind"] == "spool":
            yield from filter(None, (_siv(key, row["blob"], context) for key in keys))


def _unwrapped(loot: Loot, opened: Opened) -> Iterator[bytes]:
    for row, context in _wraps(loot):
        if row["kind"] != "spool":
            for pair in opened.pairs.values():
                if dek := _tried(lambda: unwrap(row["blob"], pair, context=context)):  # noqa: B023
                    yield dek


def _open_objects(loot: Loot, opened: Opened) -> None:
    deks = [dek for dek in opened.deks if len(dek) == KEY]
    for row in loot.rows["objects"]:
        path = loot.folder / name_of(row["id"])
        if path.exists():
            sealed, label = path.read_bytes(), Label(row["tenant_id"], row["id"], row["kind"])
            for dek in deks:
                content = _tried(lambda: [open_sealed(sealed, dek=dek, label=label)])  # noqa: B023
                if content:
                    opened.content[row["id"]] = content[0]


def _siv(key: bytes, blob: bytes, bound: bytes) -> bytes | None:
    if len(key) != KEY:
        return None
    try:
        return AESGCMSIV(key).decrypt(blob[:12], blob[12:], bound)
    except InvalidTag:
        return None


def _tried(work: Callable[[], Found]) -> Found | None:
    try:
        return work()
    except (WrapBroken, SealBroken, ValueError):
        return None
