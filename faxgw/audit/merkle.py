"""The Merkle tree of RFC 6962: roots, proofs that a row is in the tree, and proofs that a tree grew out of another.

A tree over rows ``begin`` to ``end`` (exclusive) is a *span*. Every proof is a list of hashes of spans; which spans
these are follows from the sizes alone, so whoever makes a proof and whoever checks it go by the same list. A span is
whole when its size is a power of two; the hashes of whole spans never change once they are there, and all others are
made of these (``Node``).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HASH_OCTETS = 32
EMPTY_ROOT = hashlib.sha256().digest()


class Span(NamedTuple):
    """Rows ``begin`` to ``end``, exclusive."""

    begin: int
    end: int


class Node(NamedTuple):
    """The hash over ``2 ** level`` rows, from row ``place * 2 ** level`` on."""

    level: int
    place: int

    @property
    def last(self) -> int:
        """The row with which it becomes known."""
        return (self.place + 1 << self.level) - 1


def leaf_hash(row: bytes) -> bytes:
    """Return the hash of one row."""
    return hashlib.sha256(b"\0" + row).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two spans that lie side by side."""
    return hashlib.sha256(b"\1" + left + right).digest()


def inclusion_spans(seq: int, size: int) -> list[Span]:
    """Return the spans whose hashes prove that a row is in a tree; the nearest first.

    >>> inclusion_spans(2, 5)
    [Span(begin=3, end=4), Span(begin=0, end=2), Span(begin=4, end=5)]
    """
    found, begin, end = [], 0, size
    while end - begin > 1:
        middle = _middle(begin, end)
        if seq < middle:
            found.append(Span(middle, end))
            end = middle
        else:
            found.append(Span(begin, middle))
            begin = middle
    return found[::-1]


def consistency_spans(first: int, second: int) -> list[Span]:
    """Return the spans whose hashes prove that the tree of ``second`` rows begins with that of ``first``.

    >>> consistency_spans(3, 4)
    [Span(begin=2, end=3), Span(begin=3, end=4), Span(begin=0, end=2)]
    """
    found, begin, end = [], 0, second
    while first and end > first:
        middle = _middle(begin, end)
        if first <= middle:
            found.append(Span(middle, end))
            end = middle
        else:
            found.append(Span(begin, middle))
            begin = middle
    if begin:
        found.append(Span(begin, end))
    return found[::-1]


def nodes_of(spans: Iterable[Span]) -> set[Node]:
    """Return what must be known to hash these spans."""
    return {node for span in spans for node in _nodes(span)}


def span_hash(span: Span, known: Mapping[Node, bytes]) -> bytes:
    """Return the hash of a span that begins as those of proofs do; ``known`` has what ``nodes_of`` asks for."""
    return _joined([known[node] for node in _nodes(span)])


def includes(root: bytes, size: int, *, seq: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that ``leaf`` is the hash of row ``seq`` in the tree."""
    if not 0 <= seq < size:
        return False
    spans = inclusion_spans(seq, size)
    if len(spans) != len(proof):
        return False
    found = leaf
    for span, other in zip(spans, proof, strict=True):
        found = node_hash(found, other) if span.begin > seq else node_hash(other, found)
    return found == root


def continues(first: int, first_root: bytes, second: int, second_root: bytes, *, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the second tree begins with all that the first one has."""
    if not 0 <= first <= second:
        return False
    spans = consistency_spans(first, second)
    if len(spans) != len(proof):
        return False
    if first == 0:
        return first_root == EMPTY_ROOT
    rest = list(zip(spans, proof, strict=True))
    # A first tree that is whole stands for itself: its hash is not in the proof.
    old = new = first_root if first & (first - 1) == 0 or first == second else rest.pop(0)[1]
    for span, other in rest:
        if span.begin < first:
            old, new = node_hash(other, old), node_hash(other, new)
        else:
            new = node_hash(new, other)
    return old == first_root and new == second_root


@dataclass(slots=True)
class Growing:
    """A tree that rows are added to; it knows the hashes of its largest whole spans and no others.

    Attributes:
        size: how many rows it has.
    """

    size: int = 0
    _peaks: list[tuple[int, bytes]] = field(default_factory=list)
    """Level and hash, from the left."""

    @classmethod
    def of(cls, size: int, known: Mapping[Node, bytes]) -> "Growing":
        """Return a tree of that size; ``known`` has what ``nodes_of([Span(0, size)])`` asks for."""
        return cls(size, [(node.level, known[node]) for node in _nodes(Span(0, size))])

    def add(self, leaf: bytes) -> list[bytes]:
        """Add a row by its leaf hash; return the hashes of all whole spans that end with it, by level from 0 on."""
        made = [leaf]
        while self._peaks and self._peaks[-1][0] == len(made) - 1:
            made.append(node_hash(self._peaks.pop()[1], made[-1]))
        self._peaks.append((len(made) - 1, made[-1]))
        self.size += 1
        return made

    @property
    def root(self) -> bytes:
        """The hash of all of it."""
        return _joined([peak for _, peak in self._peaks])


def _middle(begin: int, end: int) -> int:
    """Return where a span is parted: after the largest power of two that leaves something."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def _nodes(span: Span) -> Iterator[Node]:
    begin = span.begin
    while begin < span.end:
        level = (span.end - begin).bit_length() - 1
        yield Node(level, begin >> level)
        begin += 1 << level


def _joined(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    *rest, found = hashes
    for each in reversed(rest):
        found = node_hash(each, found)
    return found
