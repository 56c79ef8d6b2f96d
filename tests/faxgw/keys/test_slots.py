"""Slots: each secret of a user opens their private key, nothing else does, and no error says what was nearly right."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, Password, RecoveryCode, Secret, Slot, WrongSecret, make_slot, open_slot
from faxgw.keys.texts import TYPED, read_typed, typed
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import KeyPair

PAIR = KeyPair.generate()
CODE = RecoveryCode.generate()
API_KEY = ApiKey.generate(new_id())


def password(text: str) -> Password:
    """Return a password whose slot costs next to nothing."""
    return Password(text, memory=64, passes=1)


SECRETS: list[Secret] = [password("correct horse"), CODE, ApiSecret(API_KEY.secret)]
OTHERS: list[Secret] = [password("Correct horse"), RecoveryCode.generate(), ApiSecret(bytes(20))]


@pytest.mark.parametrize("secret", SECRETS)
async def test_a_secret_opens_its_slot(secret: Secret) -> None:
    slot = await make_slot(PAIR, secret)
    assert slot.kind == secret.kind
    assert await open_slot(slot, secret, public_key=PAIR.public) == PAIR


@pytest.mark.parametrize("secret", SECRETS)
async def test_no_other_secret_opens_a_slot(secret: Secret) -> None:
    slot = await make_slot(PAIR, secret)
    for other in OTHERS:
        with pytest.raises(WrongSecret):
            await open_slot(slot, other, public_key=PAIR.public)


async def test_a_forgotten_password_costs_nothing_but_its_slot() -> None:
    old = await make_slot(PAIR, password("old"))
    key_pair = await open_slot(await make_slot(PAIR, CODE), RecoveryCode.parse(CODE.text), public_key=PAIR.public)
    new = await make_slot(key_pair, password("new"))
    assert await open_slot(new, password("new"), public_key=PAIR.public) == PAIR
    with pytest.raises(WrongSecret):
        await open_slot(new, password("old"), public_key=PAIR.public)
    assert old != new


async def test_a_slot_opens_for_no_other_user_even_with_the_same_password() -> None:
    slot = await make_slot(KeyPair.generate(), password("same"))
    with pytest.raises(WrongSecret):
        await open_slot(slot, password("same"), public_key=PAIR.public)


@pytest.mark.parametrize(
    "change",
    [
        {"salt": "00" * 16},
        {"salt": "zz"},
        {"salt": None},
        {"passes": 2},
        {"passes": 0},
        {"passes": "1"},
        {"memory_kib": 2**40},
        {"passes": 2**31},
        {"lanes": 2},
        {"kdf": "none"},
    ],
)
async def test_a_slot_with_other_parameters_does_not_open(change: dict[str, Any]) -> None:
    slot = await make_slot(PAIR, password("secret"))
    with pytest.raises(WrongSecret):
        await open_slot(replace(slot, parameters=slot.parameters | change), password("secret"), public_key=PAIR.public)
    with pytest.raises(WrongSecret):
        await open_slot(replace(slot, parameters={}), password("secret"), public_key=PAIR.public)


async def test_a_damaged_slot_does_not_open() -> None:
    secret = ApiSecret(API_KEY.secret)
    slot = await make_slot(PAIR, secret)
    for bit in range(len(slot.blob) * 8):
        flipped = bytearray(slot.blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WrongSecret):
            await open_slot(replace(slot, blob=bytes(flipped)), secret, public_key=PAIR.public)
    for length in (0, 11, 12, 27, len(slot.blob) - 1):
        with pytest.raises(WrongSecret):
            await open_slot(replace(slot, blob=slot.blob[:length]), secret, public_key=PAIR.public)


async def test_a_slot_does_not_pass_for_one_of_another_kind() -> None:
    slot = await make_slot(PAIR, ApiSecret(CODE.octets))
    with pytest.raises(WrongSecret):
        await open_slot(Slot("recovery", slot.parameters, slot.blob), CODE, public_key=PAIR.public)


async def test_passwords_that_look_the_same_are_the_same() -> None:
    slot = await make_slot(PAIR, password("Zoe\u0308 \u2460"))
    assert await open_slot(slot, password("Zo\u00eb 1"), public_key=PAIR.public) == PAIR


async def test_passwords_are_stretched_two_at_once_while_the_loop_runs_on() -> None:
    stretching = asyncio.gather(*(make_slot(PAIR, Password("secret", memory=8192)) for _ in range(6)))
    turns, most = 0, 0
    while not stretching.done():
        await asyncio.sleep(0)
        turns += 1
        most = max(most, sum(thread.name.startswith("argon2") for thread in threading.enumerate()))
    assert [slot.kind for slot in await stretching] == ["password"] * 6
    assert most == 2
    assert turns > 100


async def test_a_new_password_costs_64_mebibytes_and_three_passes() -> None:
    parameters = Password("secret").new_parameters()
    assert {name: parameters[name] for name in ("kdf", "memory_kib", "passes", "lanes")} == {
        "kdf": "argon2id",
        "memory_kib": 65536,
        "passes": 3,
        "lanes": 1,
    }
    assert parameters["salt"] != Password("secret").new_parameters()["salt"]


@given(octets=st.binary(min_size=20, max_size=20))
def test_a_recovery_code_is_read_as_people_type_it(octets: bytes) -> None:
    code = RecoveryCode(octets)
    sloppy = code.text.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert RecoveryCode.parse(code.text) == RecoveryCode.parse(f" {sloppy}\n") == code


@given(octets=st.binary(min_size=20, max_size=20), place=st.integers(0, 34), letter=st.sampled_from(TYPED))
def test_a_wrong_letter_in_a_recovery_code_is_noticed(octets: bytes, place: int, letter: str) -> None:
    letters = typed(octets).replace("-", "")
    mistyped = letters[:place] + letter + letters[place + 1 :]
    if mistyped != letters:
        with pytest.raises(ValueError, match="typing error"):
            read_typed(mistyped)


@given(octets=st.binary(min_size=20, max_size=20), place=st.integers(0, 30))
def test_two_letters_exchanged_in_a_recovery_code_are_noticed(octets: bytes, place: int) -> None:
    letters = typed(octets).replace("-", "")
    exchanged = letters[:place] + letters[place + 1] + letters[place] + letters[place + 2 :]
    if exchanged != letters:
        with pytest.raises(ValueError, match="typing error"):
            read_typed(exchanged)


@pytest.mark.parametrize(
    "text", ["", "ABCDE", CODE.text[:-1], CODE.text + "0", "U" + CODE.text[1:], "é" * 35], ids=range(6)
)
def test_what_is_no_recovery_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        RecoveryCode.parse(text)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_shown(secret: Secret) -> None:
    assert "correct horse" not in repr(secret)
    assert repr(CODE.octets) not in repr(secret)
    assert repr(API_KEY.secret) not in repr(secret)
