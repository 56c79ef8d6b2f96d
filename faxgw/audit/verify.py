"""An exported log, checked offline: says of the first thing that is not as it was signed what it is, and where.

It goes through the file once, whatever its size; only to tell a missing row from one out of place it reads on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from faxgw.audit.canonical import NotCanonical, read
from faxgw.audit.export import FORM, line_of
from faxgw.audit.merkle import HASH_OCTETS, Growing, leaf_hash
from faxgw.audit.notes import Checkpoint, NoteRefused, Verifier, encoded, tenant_of
from faxgw.errors import RequestError

BEGINS = b'{"checkpoint":'
LONGEST_LINE = 16 * 2**20

_BEFORE_ROW = len(line_of(b"", bytes(HASH_OCTETS))) - len(b"}\n")
_AFTER_ROW = len(b"}\n")


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is what was signed."""

    tenant: str
    rows: int
    root: bytes
    key: str


class Refuted(Exception):
    """A log that is not what was signed.

    Attributes:
        code: what is wrong, as a stable name: ``audit.altered``, ``.missing``, ``.order``, ``.truncated``, ``.extra``,
            ``.rewritten``, ``.signature`` or ``.form``.
        text: what and where, in one sentence.
        row: the first row that it is about, if one can be named.
    """

    def __init__(self, code: str, text: str, *, row: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.row = row


def verify(file: BinaryIO, *, keys: Sequence[bytes] = (), earlier: Sequence[str] = ()) -> Verified:
    """Check an export.

    Args:
        file: what was exported.
        keys: by one of which it must be signed, 32 octets each; none: by the one that the file names, whosever it is.
        earlier: checkpoints of the same log that somebody has kept: it must still begin with what they were of.

    Raises:
        Refuted: with what is wrong.
        RequestError: ``usage``, if it is none.
    """
    verifier, newest = _head(file.readline(LONGEST_LINE), keys)
    kept = {each.size: each for each in _kept(earlier, verifier)}
    for checkpoint in kept.values():
        if checkpoint.size > newest.size:
            text = f"The log was cut off after {newest.size} rows: a checkpoint that was kept has {checkpoint.size}"
            raise Refuted("audit.truncated", f"{text}.", row=newest.size)
    tree = Growing()
    _compare(tree, kept)
    for leaf in _leaves(file, tenant_of(newest.origin), newest.size):
        tree.add(leaf)
        _compare(tree, kept)
    if tree.root != newest.root:
        agreed = max((size for size in kept if size < newest.size), default=0)
        text = f"The rows from {agreed} on are not those that were signed: one was altered, and its hash with it."
        raise Refuted("audit.altered", text)
    return Verified(tenant_of(newest.origin), newest.size, newest.root, verifier.text)


def _head(line: bytes, keys: Sequence[bytes]) -> tuple[Verifier, Checkpoint]:
    """Return the key and the checkpoint of the first line."""
    if not line.startswith(BEGINS):
        raise RequestError("usage", "This is no export of an audit log: GET /v1/audit:export gives one.")
    head = _read(line, "The first line")
    if not isinstance(head, dict) or head.keys() != {"checkpoint", "faxgw_audit", "key"} or head["faxgw_audit"] != FORM:
        raise Refuted("audit.form", "The first line was altered, or is of a later form of exports.")
    try:
        verifier = Verifier.parse(str(head["key"]))
        if keys and verifier.public not in keys:
            raise Refuted("audit.signature", "The log is signed by another key than the one that was given.")
        return verifier, Checkpoint.opened(str(head["checkpoint"]), verifier)
    except NoteRefused as refused:
        raise Refuted("audit.signature", f"The checkpoint is not what was signed: {refused}.") from None


def _kept(notes: Iterable[str], verifier: Verifier) -> Iterator[Checkpoint]:
    for note in notes:
        try:
            yield Checkpoint.opened(note, verifier)
        except NoteRefused as refused:
            raise Refuted("audit.signature", f"The checkpoint that was kept is not of this log: {refused}.") from None


def _compare(tree: Growing, kept: dict[int, Checkpoint]) -> None:
    checkpoint = kept.get(tree.size)
    if checkpoint and tree.root != checkpoint.root:
        text = f"The log was rewritten: its first {tree.size} rows are not those of the checkpoint that was kept."
        raise Refuted("audit.rewritten", text)


def _leaves(file: BinaryIO, tenant: str, size: int) -> Iterator[bytes]:
    """Go through the hashes of all rows, each of which was seen to be whole and in its place."""
    for seq in range(size):
        line = file.readline(LONGEST_LINE)
        if not line:
            text = f"The log was cut off after {seq} rows: {size} were signed."
            raise Refuted("audit.truncated", text, row=seq)
        row, leaf = _row(line, seq)
        if row.get("tenant") != tenant:
            raise Refuted("audit.order", f"Row {seq} is from the log of another tenant.", row=seq)
        if row.get("seq") != seq:
            raise _misplaced(file, row.get("seq"), seq)
        yield leaf
    if file.read(1):
        raise Refuted("audit.extra", f"Something follows after the {size} rows that were signed.", row=size)


def _row(line: bytes, seq: int) -> tuple[dict[str, Any], bytes]:
    """Return a row and its hash."""
    found = _read(line, f"Row {seq}", row=seq)
    if not isinstance(found, dict) or found.keys() != {"leaf", "row"} or not isinstance(found["row"], dict):
        raise Refuted("audit.altered", f"Row {seq} was altered: it has not the form of a row.", row=seq)
    # The line is canonical, and so is the row within it: it need not be spelled once more.
    leaf = leaf_hash(line[_BEFORE_ROW:-_AFTER_ROW])
    if found["leaf"] != encoded(leaf):
        raise Refuted("audit.altered", f"Row {seq} was altered: it has not the hash that stands with it.", row=seq)
    return found["row"], leaf


def _read(line: bytes, what: str, *, row: int | None = None) -> Any:
    try:
        if not line.endswith(b"\n"):
            raise NotCanonical("the line has no end")
        return read(line[:-1])
    except NotCanonical as reason:
        raise Refuted("audit.altered", f"{what} was altered: {reason}.", row=row) from None


def _misplaced(file: BinaryIO, found: object, seq: int) -> Refuted:
    """Say what it means that another row stands in a place."""
    if isinstance(found, int) and found < seq:
        return Refuted("audit.order", f"Row {found} stands a second time, in the place of row {seq}.", row=seq)
    for line in iter(lambda: file.readline(LONGEST_LINE), b""):
        try:
            later, _ = _row(line, seq)
        except Refuted:
            continue
        if later.get("seq") == seq:
            return Refuted("audit.order", f"Row {seq} is out of its order: row {found} stands in its place.", row=seq)
    return Refuted("audit.missing", f"Row {seq} is missing: row {found} stands in its place.", row=seq)
