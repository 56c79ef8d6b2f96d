"""The Merkle tree: the published vectors of Certificate Transparency, and what must hold for every tree."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.audit.merkle import (
    EMPTY_ROOT,
    Growing,
    Node,
    Span,
    consistency_spans,
    continues,
    includes,
    inclusion_spans,
    leaf_hash,
    node_hash,
    nodes_of,
    span_hash,
)

# The eight leaves, roots and proofs by which implementations of RFC 6962 are compared (certificate-transparency,
# merkle_tree_test; transparency-dev/merkle, testonly).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""Row, size -> proof."""
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""First size, second size -> proof."""


def grown(leaves: Sequence[bytes]) -> tuple[Growing, dict[Node, bytes]]:
    """Return a tree over rows, and all of its whole spans."""
    tree, known = Growing(), {}
    for leaf in leaves:
        for level, found in enumerate(tree.add(leaf_hash(leaf))):
            known[Node(level, tree.size - 1 >> level)] = found
    return tree, known


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """Return the root as RFC 6962, 2.1, defines it."""
    if len(leaves) <= 1:
        return leaf_hash(leaves[0]) if leaves else EMPTY_ROOT
    power = 1
    while power * 2 < len(leaves):
        power *= 2
    return node_hash(by_definition(leaves[:power]), by_definition(leaves[power:]))


def proof_of(spans: Sequence[Span], known: dict[Node, bytes]) -> list[bytes]:
    return [span_hash(span, known) for span in spans]


def flipped(octets: bytes, bit: int) -> bytes:
    at = bit % (len(octets) * 8)
    return octets[: at // 8] + bytes([octets[at // 8] ^ 1 << at % 8]) + octets[at // 8 + 1 :]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert grown(LEAVES[:size])[0].root.hex() == ROOTS[size]


@pytest.mark.parametrize(("seq", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_certificate_transparency(seq: int, size: int) -> None:
    proof = proof_of(inclusion_spans(seq, size), grown(LEAVES)[1])
    assert [each.hex() for each in proof] == INCLUSION[seq, size]
    assert includes(bytes.fromhex(ROOTS[size]), size, seq=seq, leaf=leaf_hash(LEAVES[seq]), proof=proof)


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_proofs_are_those_of_certificate_transparency(first: int, second: int) -> None:
    proof = proof_of(consistency_spans(first, second), grown(LEAVES)[1])
    assert [each.hex() for each in proof] == CONSISTENCY[first, second]
    assert continues(first, bytes.fromhex(ROOTS[first]), second, bytes.fromhex(ROOTS[second]), proof=proof)


@given(leaves=st.lists(st.binary(max_size=8), max_size=80))
def test_a_tree_that_grew_has_the_root_of_the_definition(leaves: list[bytes]) -> None:
    tree, known = grown(leaves)
    assert tree.root == by_definition(leaves)
    again = Growing.of(len(leaves), known)
    assert again.root == tree.root
    assert again.add(leaf_hash(b"more")) == tree.add(leaf_hash(b"more"))
    assert nodes_of([Span(0, len(leaves))]) <= known.keys()


@given(data=st.data(), size=st.integers(1, 130), bit=st.integers(min_value=0))
def test_every_inclusion_proof_holds_and_none_with_a_bit_flipped(data: st.DataObject, size: int, bit: int) -> None:
    leaves = [bytes([each]) for each in range(size)]
    tree, known = grown(leaves)
    seq = data.draw(st.integers(0, size - 1))
    leaf, proof = leaf_hash(leaves[seq]), proof_of(inclusion_spans(seq, size), known)
    assert includes(tree.root, size, seq=seq, leaf=leaf, proof=proof)
    assert not includes(flipped(tree.root, bit), size, seq=seq, leaf=leaf, proof=proof)
    assert not includes(tree.root, size, seq=seq, leaf=flipped(leaf, bit), proof=proof)
    assert not includes(tree.root, size, seq=seq, leaf=leaf, proof=[*proof, bytes(32)])
    for other in {seq - 1, seq + 1, size, -1} - {seq}:
        assert not includes(tree.root, size, seq=other, leaf=leaf, proof=proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        altered = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
        assert not includes(tree.root, size, seq=seq, leaf=leaf, proof=altered)
        assert not includes(tree.root, size, seq=seq, leaf=leaf, proof=proof[:-1])


@given(data=st.data(), second=st.integers(0, 130), bit=st.integers(min_value=0))
def test_every_consistency_proof_holds_and_none_with_a_bit_flipped(data: st.DataObject, second: int, bit: int) -> None:
    first = data.draw(st.integers(0, second))
    leaves = [bytes([each]) for each in range(second)]
    (old, _), (new, known) = grown(leaves[:first]), grown(leaves)
    proof = proof_of(consistency_spans(first, second), known)
    assert continues(first, old.root, second, new.root, proof=proof)
    assert not continues(first, flipped(old.root, bit), second, new.root, proof=proof)
    assert not continues(first, old.root, second, new.root, proof=[*proof, bytes(32)])
    assert not continues(second + 1, old.root, second, new.root, proof=proof)
    if first:
        assert not continues(first, old.root, second, flipped(new.root, bit), proof=proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        altered = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
        assert not continues(first, old.root, second, new.root, proof=altered)


@given(size=st.integers(2, 60), at=st.integers(0, 58))
def test_a_log_that_was_rewritten_cannot_prove_that_it_continues(size: int, at: int) -> None:
    first, at = size - 1, at % (size - 1)
    leaves = [bytes([each]) for each in range(size)]
    old = grown(leaves[:first])[0]
    new, known = grown([*leaves[:at], b"other", *leaves[at + 1 :]])
    proof = proof_of(consistency_spans(first, size), known)
    assert not continues(first, old.root, size, new.root, proof=proof)


def test_a_proof_of_a_million_rows_is_twenty_hashes() -> None:
    assert len(inclusion_spans(123_456, 1_000_000)) <= 20
    assert len(nodes_of(inclusion_spans(999_999, 1_000_000))) <= 40
