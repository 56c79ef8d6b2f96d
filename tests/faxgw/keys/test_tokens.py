"""API keys and the server's own secrets: what the server stores opens nothing, and its files are its own."""

import re
import threading
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, make_slot, open_slot
from faxgw.keys.tokens import FILES, ApiKey, KeyMalformed, ServerKeys, SmallSealBroken
from faxgw.keys.wraps import KeyPair

KEY = ApiKey.generate(new_id())


@given(key_id=st.uuids(), secret=st.binary(min_size=20, max_size=20))
def test_an_api_key_is_read_as_it_was_shown(key_id: UUID, secret: bytes) -> None:
    key = ApiKey(key_id, secret)
    assert ApiKey.parse(key.text) == key
    assert re.fullmatch("fgw_[0-9A-Za-z]{22}_[0-9A-Za-z]{33}", key.text)


def test_a_typing_error_in_an_api_key_is_noticed_before_anything_is_looked_up() -> None:
    for place, letter in enumerate(KEY.text):
        with pytest.raises(KeyMalformed):
            ApiKey.parse(KEY.text[:place] + ("x" if letter != "x" else "y") + KEY.text[place + 1 :])
        with pytest.raises(KeyMalformed):
            ApiKey.parse(KEY.text[:place])


@pytest.mark.parametrize(
    "text", ["", "fgw_", "fgw__", "é", KEY.text + "0", f" {KEY.text}", "fgw_" + "z" * 56], ids=range(7)
)
def test_what_is_no_api_key_is_refused(text: str) -> None:
    with pytest.raises(KeyMalformed):
        ApiKey.parse(text)


def test_no_secret_of_an_api_key_is_shown() -> None:
    assert repr(KEY.secret) not in repr(KEY)
    assert len(KEY.secret) * 8 >= 160


def test_the_server_knows_a_secret_again(tmp_path: Path) -> None:
    stored = ServerKeys(tmp_path / "keys").mac(KEY.secret)
    again = ServerKeys(tmp_path / "keys")
    assert again.matches(KEY.secret, stored)
    assert not again.matches(bytes(20), stored)
    assert not again.matches(KEY.secret, stored[:-1])
    assert not ServerKeys(tmp_path / "others").matches(KEY.secret, stored)


async def test_what_the_server_stores_of_an_api_key_does_not_open_its_slot(tmp_path: Path) -> None:
    pair = KeyPair.generate()
    slot = await make_slot(pair, ApiSecret(KEY.secret))
    stored = ServerKeys(tmp_path / "keys").mac(KEY.secret)
    files = [path.read_bytes() for path in (tmp_path / "keys").iterdir()]
    bound = b"faxgw slot api_key 1" + pair.public.octets
    for key in (stored, *files):
        with pytest.raises(InvalidTag):
            AESGCMSIV(key).decrypt(slot.blob[:12], slot.blob[12:], bound)
    # The same by the right key, so that the refusals above mean something.
    kek = await ApiSecret(KEY.secret).kek(slot.parameters)
    assert AESGCMSIV(kek).decrypt(slot.blob[:12], slot.blob[12:], bound) == pair.octets
    assert await open_slot(slot, ApiSecret(KEY.secret), public_key=pair.public) == pair


def test_small_secrets_open_in_their_context_only(tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    blob = keys.seal_small(b"whsec", context=b"webhook 1")
    assert ServerKeys(tmp_path / "keys").open_small(blob, context=b"webhook 1") == b"whsec"
    assert b"whsec" not in blob
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SmallSealBroken):
            keys.open_small(bytes(flipped), context=b"webhook 1")
    for broken, context in ((blob, b"webhook 2"), (b"", b"webhook 1"), (blob[:5], b"webhook 1")):
        with pytest.raises(SmallSealBroken):
            keys.open_small(broken, context=context)
    with pytest.raises(SmallSealBroken):
        ServerKeys(tmp_path / "others").open_small(blob, context=b"webhook 1")


def test_the_server_signs_with_one_key(tmp_path: Path) -> None:
    signature = ServerKeys(tmp_path / "keys").signing.sign(b"event")
    ServerKeys(tmp_path / "keys").signing.public_key().verify(signature, b"event")


def test_everybody_who_opens_the_folder_at_once_gets_the_same_keys(tmp_path: Path) -> None:
    for turn in range(40):
        found: list[bytes] = []
        gate = threading.Barrier(4)

        def open_keys(folder: Path, gate: threading.Barrier, found: list[bytes]) -> None:
            gate.wait()
            keys = ServerKeys(folder)
            found.append(keys.mac(b"") + keys.signing.private_bytes_raw())

        threads = [threading.Thread(target=open_keys, args=(tmp_path / str(turn), gate, found)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len(set(found)) == 1
        assert sorted(path.name for path in (tmp_path / str(turn)).iterdir()) == sorted(FILES)


def test_keys_lie_in_files_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    ServerKeys(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o710, 0o705, 0o750, 0o777])
def test_a_folder_of_keys_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "keys"
    ServerKeys(folder)
    folder.chmod(mode)
    with pytest.raises(RequestError, match=f"run chmod 700 {folder}") as refused:
        ServerKeys(folder)
    assert refused.value.code == "keys.permissions"


@pytest.mark.parametrize("name", FILES)
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "keys" / name
    ServerKeys(path.parent)
    path.chmod(0o640)
    with pytest.raises(RequestError, match=f"run chmod 600 {path}"):
        ServerKeys(path.parent)


@pytest.mark.parametrize("octets", [b"", bytes(31), bytes(33)])
def test_a_damaged_key_is_told_not_replaced(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "keys" / FILES[0]
    ServerKeys(path.parent)
    path.write_bytes(octets)
    with pytest.raises(RequestError, match="damaged") as refused:
        ServerKeys(path.parent)
    assert refused.value.code == "keys.damaged"
    assert path.read_bytes() == octets


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be made") as refused:
        ServerKeys(tmp_path / "file" / "keys")
    assert refused.value.code == "keys.folder"
