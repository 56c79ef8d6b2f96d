"""The published form: its test vectors open here, and bare primitives used as the page says make the same octets."""

import hashlib
import hmac
import json
import zlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from faxgw.keys.sealing import Label, SealBroken, open_sealed
from faxgw.keys.slots import (
    ApiSecret,
    Password,
    RecoveryCode,
    Secret,
    SessionSecret,
    SetUpSecret,
    Slot,
    open_slot,
)
from faxgw.keys.spool import SpoolKeys, SpoolWrap
from faxgw.keys.tokens import ApiKey, SessionToken, SetUpCode, mac
from faxgw.keys.wraps import KeyPair, member_context, unwrap, wrap_context

PAGE = (Path(__file__).parents[3] / "docs" / "sealed-objects.md").read_text()
VECTORS: dict[str, Any] = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
TENANT, OBJECT = UUID(VECTORS["tenant"]), UUID(VECTORS["object"])
LABEL = Label(TENANT, OBJECT, VECTORS["kind"])
DEK = bytes.fromhex(VECTORS["dek"])
LONG = bytes(index % 251 for index in range(131_073))


def octets(value: str | list[str]) -> bytes:
    return bytes.fromhex("".join(value))


def as_the_page_says(content: bytes, prefix: bytes, start: bytes = b"FAXGWOBJ\x01\x01") -> bytes:
    """Seal with nothing but AES-GCM."""
    header = start + prefix
    bound = header + TENANT.bytes + OBJECT.bytes + bytes([len(LABEL.kind)]) + LABEL.kind.encode()
    parts = [content[start : start + 65536] for start in range(0, len(content), 65536)] or [b""]
    sealed = [
        AESGCM(DEK).encrypt(prefix + index.to_bytes(4) + bytes([index == len(parts) - 1]), part, bound)
        for index, part in enumerate(parts)
    ]
    return header + b"".join(sealed)


@pytest.mark.parametrize("vector", VECTORS["objects"][:2])
def test_short_objects_are_as_published(vector: dict[str, str]) -> None:
    content, sealed = octets(vector["content"]), octets(vector["sealed"])
    assert open_sealed(sealed, dek=DEK, label=LABEL) == content
    assert as_the_page_says(content, sealed[10:17]) == sealed


@pytest.mark.parametrize("start", [b"FAXGWOBJ\x02\x01", b"FAXGWOBJ\x01\x02", b"FAXGWOBK\x01\x01"])
def test_objects_of_other_versions_and_algorithms_are_not_opened_as_these(start: bytes) -> None:
    with pytest.raises(SealBroken):
        open_sealed(as_the_page_says(b"content", bytes(7), start), dek=DEK, label=LABEL)


def test_a_long_object_is_as_published() -> None:
    vector = VECTORS["objects"][2]
    sealed = as_the_page_says(LONG, bytes.fromhex("a0a1a2a3a4a5a6"))
    assert (len(sealed), hashlib.sha256(sealed).hexdigest()) == (vector["size"], vector["sealed_sha256"])
    assert open_sealed(sealed, dek=DEK, label=LABEL) == LONG


@pytest.mark.parametrize("vector", VECTORS["wraps"])
def test_wraps_open_as_published(vector: dict[str, Any]) -> None:
    pair = KeyPair.from_octets(octets(vector["private_key"]))
    context = b"faxgw wrap 1" + TENANT.bytes + OBJECT.bytes + vector["kind"].encode()
    assert context == wrap_context(tenant=TENANT, object_id=OBJECT, kind=vector["kind"])
    assert unwrap(octets(vector["blob"]), pair, context=context) == DEK
    assert pair.public.key_id == vector["key_id"] == hashlib.sha256(pair.public.octets).hexdigest()[:20]
    if "public_key" in vector:
        assert pair.public.octets == octets(vector["public_key"])
    else:
        assert hashlib.sha256(pair.public.octets).hexdigest() == vector["public_key_sha256"]


@pytest.mark.parametrize("vector", VECTORS["slots"], ids=lambda vector: vector["kind"])
async def test_slots_open_as_published(vector: dict[str, Any]) -> None:
    owner = KeyPair.from_octets(octets(VECTORS["wraps"][0]["private_key"]))
    text = vector["secret"]
    secrets: dict[str, Secret] = {"password": Password("correct horse")}
    if vector["kind"] == "recovery":
        secrets["recovery"] = RecoveryCode.parse(text)
    for form, made in ((ApiKey, ApiSecret), (SessionToken, SessionSecret), (SetUpCode, SetUpSecret)):
        if vector["kind"] == made.kind:
            secrets[made.kind] = made(form.parse(text).secret)
    slot = Slot(vector["kind"], vector["parameters"], octets(vector["blob"]))
    assert await open_slot(slot, secrets[slot.kind], public_key=owner.public) == owner


def test_the_key_of_a_membership_opens_with_that_of_the_person_as_published() -> None:
    vector = VECTORS["member"]
    person, user = KeyPair.from_octets(octets(vector["person_private_key"])), UUID(vector["user"])
    context = b"faxgw wrap 1" + TENANT.bytes + user.bytes + b"member"
    assert context == member_context(TENANT, user)
    assert person.public.octets == octets(vector["person_public_key"])
    assert unwrap(octets(vector["blob"]), person, context=context) == octets(vector["private_key"])


def test_codes_and_keys_read_as_published() -> None:
    letters = VECTORS["slots"][1]["secret"].replace("-", "")
    numbers = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter) for letter in letters]
    secret, check = (
        sum(n * 32**place for place, n in enumerate(reversed(part))) for part in (numbers[:32], numbers[32:])
    )
    assert (secret.to_bytes(20), check) == (bytes(range(20)), secret % 32749)
    key = ApiKey.parse(VECTORS["slots"][2]["secret"])
    assert (key.id, key.secret) == (OBJECT, bytes(range(20)))
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    crc = sum(digits.index(letter) * 62**place for place, letter in enumerate(reversed(key.text[-6:])))
    assert crc == zlib.crc32(OBJECT.bytes + bytes(range(20)))
    assert mac(b"server key", key.secret) == hmac.digest(b"server key", b"faxgw check 1" + key.secret, hashlib.sha256)


def test_spool_wraps_open_as_published(tmp_path: Path) -> None:
    vector = VECTORS["spool"]
    keys = SpoolKeys(tmp_path / "spool_keys")
    path = tmp_path / "spool_keys" / f"{vector['epoch']}.key"
    path.touch(mode=0o600)
    path.write_bytes(octets(vector["epoch_key"]))
    context = b"faxgw wrap 1" + TENANT.bytes + OBJECT.bytes + b"spool"
    assert keys.unwrap(SpoolWrap(vector["epoch"], octets(vector["blob"])), context=context) == DEK
