"""Shares: any threshold of them give the secret back, fewer say nothing, and a wrong one is told."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.escrow.shares import Share, WrongShares, _times, combine, split

POLYNOMIAL = 0x11B
VECTOR = {
    1: "013021120374655647b8a99a8bfceddecf",
    2: "02a0b78e99fcebd2c5180f362144536a7d",
    3: "039087bea9ccdbe2f5283f061174635a4d",
    4: "0476737c796267686d5e5b54514a4f4045",
    5: "0546434c495257585d6e6b64617a7f7075",
}
"""Index -> share, in the example of docs/escrow.md."""


def slow_product(one: int, other: int) -> int:
    """Return the product in GF(2^8), as school has it: long multiplication, then the remainder."""
    product = 0
    for place in range(8):
        if other >> place & 1:
            product ^= one << place
    for place in range(14, 7, -1):
        if product >> place & 1:
            product ^= POLYNOMIAL << place - 8
    return product


def test_products_are_those_of_aes() -> None:
    """The examples of FIPS 197, 4.2 and 4.2.1."""
    assert (_times(0x57, 0x83, 1), _times(0x57, 0x13, 1), _times(0x57, 0x02, 1)) == (0xC1, 0xFE, 0xAE)


def test_all_products_are_those_of_long_multiplication_and_packed_octets_do_not_touch_each_other() -> None:
    everything = bytes(range(256))
    for factor in range(256):
        packed = _times(int.from_bytes(everything), factor, 256).to_bytes(256)
        assert list(packed) == [slow_product(each, factor) for each in everything]


def test_published_vector() -> None:
    """What docs/escrow.md has: the polynomial of octet i is secret + (0x10 + i) x + (0x20 + i) x^2."""
    secret = bytes.fromhex("00112233445566778899aabbccddeeff")
    drawn = iter([bytes(range(0x20, 0x30)), bytes(range(0x10, 0x20))])
    shares = split(secret, threshold=3, indexes=[1, 2, 3, 4, 5], chance=lambda _: next(drawn))
    assert [share.octets.hex() for share in shares] == [VECTOR[each] for each in range(1, 6)]
    for some in combinations(shares, 3):
        assert combine(some) == secret


@given(
    secret=st.binary(min_size=1, max_size=40),
    count=st.integers(2, 10),
    data=st.data(),
)
def test_any_threshold_of_shares_gives_the_secret_back_and_fewer_do_not_decide_it(
    secret: bytes, count: int, data: st.DataObject
) -> None:
    threshold = data.draw(st.integers(2, count))
    indexes = data.draw(st.lists(st.integers(1, 255), min_size=count, max_size=count, unique=True))
    shares = split(secret, threshold=threshold, indexes=indexes)
    assert sorted(share.index for share in shares) == sorted(indexes)
    some = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, count))]
    assert combine([Share.from_octets(each.octets) for each in some]) == secret
    # With one share too few every secret is as likely: for each there is a last share that leads to it.
    known = list(shares[: threshold - 1])
    other = data.draw(st.binary(min_size=len(secret), max_size=len(secret)))
    missing = next(each for each in range(1, 256) if each not in [share.index for share in known])
    assert combine([*known, leading_to(other, known, missing)]) == other


def leading_to(secret: bytes, known: list[Share], index: int) -> Share:
    """Return the share that, with those known, gives that secret."""
    at_zero = Share(index, bytes(len(secret)))
    rest = combine([*known, at_zero])
    weight = combine([*(Share(each.index, b"\0") for each in known), Share(index, b"\1")])[0]
    inverse = next(each for each in range(1, 256) if slow_product(each, weight) == 1)
    value = bytes(slow_product(one ^ other, inverse) for one, other in zip(secret, rest, strict=True))
    return Share(index, value)


def test_shares_of_one_secret_are_new_each_time() -> None:
    one, other = (split(b"a secret", threshold=2, indexes=[1, 2]) for _ in range(2))
    assert all(a.value != b.value for a, b in zip(one, other, strict=True))
    assert b"secret" not in repr(one).encode() + one[0].value


@pytest.mark.parametrize(
    ("threshold", "indexes"),
    [(1, [1, 2]), (3, [1, 2]), (2, [1]), (2, [1, 1]), (2, [0, 1]), (2, [1, 256]), (2, [])],
)
def test_what_cannot_be_split_so_is_refused(threshold: int, indexes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"."):
        split(b"a secret", threshold=threshold, indexes=indexes)


def test_nothing_is_not_split() -> None:
    with pytest.raises(ValueError, match="0 octets"):
        split(b"", threshold=2, indexes=[1, 2])


def test_shares_that_cannot_be_of_one_secret_are_not_put_together() -> None:
    shares = split(b"a secret", threshold=2, indexes=[1, 2])
    for some in ([shares[0], shares[0]], [shares[0], Share(2, b"short")], []):
        with pytest.raises(WrongShares):
            combine(some)
    for octets in (b"", b"\1", b"\0abc"):
        with pytest.raises(ValueError, match="no share"):
            Share.from_octets(octets)


def test_one_turned_bit_of_a_share_is_another_secret_and_does_not_fit_its_commitment() -> None:
    shares = split(b"a secret", threshold=2, indexes=[1, 2])
    commitment = shares[0].commitment(b"of a key")
    assert len(commitment) == 32
    assert shares[0].is_of(commitment, b"of a key")
    assert not shares[0].is_of(commitment, b"of another key")
    assert not shares[1].is_of(commitment, b"of a key")
    for bit in range(len(shares[0].value) * 8):
        octets = bytearray(shares[0].octets)
        octets[1 + bit // 8] ^= 1 << bit % 8
        wrong = Share.from_octets(bytes(octets))
        assert not wrong.is_of(commitment, b"of a key")
        assert combine([wrong, shares[1]]) != b"a secret"
    assert not Share(3, shares[0].value).is_of(commitment, b"of a key")
