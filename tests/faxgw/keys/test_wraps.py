"""Wraps: whoever holds the private key opens them, for the object they were made for, and nobody else does."""

from uuid import UUID

import pytest

from faxgw.ids import new_id
from faxgw.keys.sealing import new_dek
from faxgw.keys.wraps import KeyPair, PublicKey, Suite, WrapBroken, best_suite, unwrap, wrap, wrap_context

TENANT, OBJECT = new_id(), new_id()
CONTEXT = wrap_context(tenant=TENANT, object_id=OBJECT, kind="owner")
PAIRS = {suite: KeyPair.generate(suite) for suite in Suite}
SIZES = {Suite.X25519: 80, Suite.MLKEM768_X25519: 1168}


@pytest.mark.parametrize("suite", Suite)
def test_the_owner_of_the_key_unwraps(suite: Suite) -> None:
    dek = new_dek()
    public_key = PublicKey.from_octets(PAIRS[suite].public.octets)
    blob = wrap(dek, public_key, context=CONTEXT)
    assert (len(blob), unwrap(blob, PAIRS[suite], context=CONTEXT)) == (SIZES[suite], dek)
    assert wrap(dek, public_key, context=CONTEXT) != blob


@pytest.mark.parametrize("suite", Suite)
def test_nobody_else_unwraps(suite: Suite) -> None:
    blob = wrap(new_dek(), PAIRS[suite].public, context=CONTEXT)
    for other in (KeyPair.generate(suite), *(pair for known, pair in PAIRS.items() if known is not suite)):
        with pytest.raises(WrapBroken):
            unwrap(blob, other, context=CONTEXT)


@pytest.mark.parametrize(
    "context",
    [
        wrap_context(tenant=UUID(int=1), object_id=OBJECT, kind="owner"),
        wrap_context(tenant=TENANT, object_id=UUID(int=1), kind="owner"),
        wrap_context(tenant=TENANT, object_id=OBJECT, kind="delegate"),
    ],
    ids=["tenant", "object", "kind"],
)
def test_a_wrap_opens_for_no_other_tenant_object_or_kind(context: bytes) -> None:
    blob = wrap(new_dek(), PAIRS[best_suite()].public, context=CONTEXT)
    with pytest.raises(WrapBroken):
        unwrap(blob, PAIRS[best_suite()], context=context)


@pytest.mark.parametrize("suite", Suite)
def test_a_damaged_wrap_does_not_open(suite: Suite) -> None:
    blob = wrap(new_dek(), PAIRS[suite].public, context=CONTEXT)
    for bit in range(0, len(blob) * 8, len(blob) * 8 // 640):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WrapBroken):
            unwrap(bytes(flipped), PAIRS[suite], context=CONTEXT)
    for length in (0, 1, 47, len(blob) - 1):
        with pytest.raises(WrapBroken):
            unwrap(blob[:length], PAIRS[suite], context=CONTEXT)


@pytest.mark.parametrize("suite", Suite)
def test_a_key_pair_survives_being_stored(suite: Suite) -> None:
    pair = KeyPair.from_octets(PAIRS[suite].octets)
    assert pair.public == PAIRS[suite].public
    assert pair.public.key_id == PAIRS[suite].public.key_id


def test_every_key_has_its_own_id() -> None:
    assert len({KeyPair.generate().public.key_id for _ in range(20)}) == 20


def test_the_hybrid_is_used_where_this_machine_knows_it() -> None:
    assert KeyPair.generate().suite is best_suite() is Suite.MLKEM768_X25519


def test_the_hybrid_key_is_expanded_as_x_wing_says() -> None:
    # draft-connolly-cfrg-xwing-kem, first test vector: ends of the public key.
    seed = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"
    public_key = KeyPair(Suite.MLKEM768_X25519, bytes.fromhex(seed)).public.raw
    assert public_key[:20].hex() == "e2236b35a8c24b39b10aa1323a96a919a2ced884"
    assert public_key[-20:].hex() == "4570216223593d4ba32d9abac8cd049040ef6534"


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\x00" + bytes(32), b"\x09" + bytes(32), b"\x02" + bytes(1215)])
def test_what_is_no_public_key_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"key|Suite"):
        PublicKey.from_octets(octets)


def test_no_private_key_is_shown() -> None:
    pair = KeyPair.generate()
    assert pair.seed.hex() not in repr(pair)
    assert repr(pair.seed) not in repr(pair)
