"""What the thief of a disk has: everything but the users' secrets and the spool folder. It opens nothing."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from faxgw.archive.folder import FolderStore
from faxgw.archive.objects import name_of
from faxgw.archive.sealed import SealedStore, StoredObject
from faxgw.ids import new_id
from faxgw.keys.sealing import SealBroken, open_sealed
from faxgw.keys.slots import ApiSecret, Password, RecoveryCode, Secret, Slot, make_slot, open_slot
from faxgw.keys.spool import SpoolKeys, SpoolWrap
from faxgw.keys.tokens import ApiKey, ServerKeys
from faxgw.keys.wraps import KeyPair, Suite, WrapBroken, unwrap, wrap, wrap_context

TENANT = new_id()
FAX = b"the same fax for both users"


@dataclass(frozen=True)
class User:
    """A user's rows, and what only the user has."""

    pair: KeyPair
    api_key: ApiKey
    secrets: tuple[Secret, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Machine:
    """A gateway with two users and a fax of each that still waits to be sent."""

    disk: Path
    spool_folder: Path
    archive: SealedStore
    users: tuple[User, User]
    stored: tuple[StoredObject, StoredObject]
    owner_wraps: tuple[bytes, bytes]
    spool_wraps: tuple[SpoolWrap, SpoolWrap]

    def rows(self) -> str:
        """Return what the database holds of them."""
        return json.dumps(
            [
                {
                    "public_key": text(user.pair.public.octets),
                    "slots": [{"parameters": slot.parameters, "blob": text(slot.blob)} for slot in user.slots],
                    "owner": text(owner),
                    "spool": {"epoch": spool.epoch, "blob": text(spool.blob)},
                    "sha256": text(stored.sha256),
                    "mac": text(ServerKeys(self.disk / "server_keys").mac(user.api_key.secret)),
                }
                for user, stored, owner, spool in zip(
                    self.users, self.stored, self.owner_wraps, self.spool_wraps, strict=True
                )
            ]
        )


def text(octets: bytes) -> str:
    return b64encode(octets).decode()


async def new_user(password: str) -> User:
    pair = KeyPair.generate(Suite.X25519)  # Its short keys and wraps keep the search below short.
    api_key = ApiKey.generate(new_id())
    secrets: tuple[Secret, ...] = (
        Password(password, memory=64, passes=1),
        RecoveryCode.generate(),
        ApiSecret(api_key.secret),
    )
    return User(pair, api_key, secrets, tuple([await make_slot(pair, secret) for secret in secrets]))


def context(stored: StoredObject, kind: str) -> bytes:
    return wrap_context(tenant=TENANT, object_id=stored.id, kind=kind)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    objects = FolderStore(tmp_path / "data" / "objects")
    archive, spool = SealedStore(objects), SpoolKeys(tmp_path / "spool_keys")
    users = (await new_user("one"), await new_user("two"))
    stored = (
        await archive.put(FAX, tenant=TENANT, kind="page"),
        await archive.put(FAX, tenant=TENANT, kind="page"),
    )
    owner = [
        wrap(of.dek, user.pair.public, context=context(of, "owner")) for user, of in zip(users, stored, strict=True)
    ]
    spooled = [spool.wrap(of.dek, context=context(of, "spool")) for of in stored]
    built = Machine(
        disk=tmp_path / "data",
        spool_folder=tmp_path / "spool_keys",
        archive=archive,
        users=users,
        stored=stored,
        owner_wraps=(owner[0], owner[1]),
        spool_wraps=(spooled[0], spooled[1]),
    )
    (tmp_path / "data" / "database").write_text(built.rows())
    yield built
    await objects.close()


async def test_the_same_file_of_two_users_has_nothing_in_common_fp_08(machine: Machine) -> None:
    one, two = (machine.disk / "objects" / name_of(stored.id) for stored in machine.stored)
    assert one.read_bytes() != two.read_bytes()
    assert not windows([one.read_bytes()[10:]], 16) & windows([two.read_bytes()[10:]], 16)
    assert machine.stored[0].dek != machine.stored[1].dek
    assert machine.users[0].pair.public.key_id != machine.users[1].pair.public.key_id


async def test_without_slots_only_that_users_faxes_are_lost_fp_08(machine: Machine) -> None:
    first, second = machine.users
    # The first user's slots are deleted; whatever the second user has opens the second user's fax and not the first's.
    for slot, secret in zip(second.slots, second.secrets, strict=True):
        pair = await open_slot(slot, secret, public_key=second.pair.public)
        dek = unwrap(machine.owner_wraps[1], pair, context=context(machine.stored[1], "owner"))
        assert await machine.archive.open(machine.stored[1].label, dek=dek) == FAX
        with pytest.raises(WrapBroken):
            unwrap(machine.owner_wraps[0], pair, context=context(machine.stored[0], "owner"))
        with pytest.raises(SealBroken):
            await machine.archive.open(machine.stored[0].label, dek=dek)
    assert first.slots


async def test_a_stolen_disk_opens_nothing_fp_09(machine: Machine) -> None:
    on_disk = [path.read_bytes() for path in machine.disk.rglob("*") if path.is_file()]
    assert len(on_disk) == 7
    assert opened_with(machine, candidates(machine, on_disk)) == 0
    # The same thief with the spool folder, or with one user's private key, so that finding nothing means something.
    assert (
        opened_with(machine, candidates(machine, [path.read_bytes() for path in machine.spool_folder.iterdir()])) == 2
    )
    assert opened_with(machine, [machine.users[0].pair.seed]) == 1
    slot = machine.users[1].slots[2]
    assert opened_with(machine, [await machine.users[1].secrets[2].kek(slot.parameters)]) == 1


def candidates(machine: Machine, contents: list[bytes]) -> set[bytes]:
    """Return all that might be a key: every 32 octets in these files, and in what the database's texts stand for."""
    texts = [b64decode(found) for found in re.findall(r'"([A-Za-z0-9+/]{20,}=*)"', machine.rows())]
    return windows([*contents, *texts], 32)


def opened_with(machine: Machine, keys: Iterable[bytes]) -> int:
    """Count the faxes that any of the keys opens: as the object's key, or the key of any wrap or slot."""
    keys = list(keys)
    opened = 0
    for index, stored in enumerate(machine.stored):
        sealed = (machine.disk / "objects" / name_of(stored.id)).read_bytes()
        deks = [*keys, *unwrapped(machine, index, keys)]
        opened += any(opens(sealed, stored, dek) for dek in deks)
    return opened


def unwrapped(machine: Machine, index: int, keys: list[bytes]) -> list[bytes]:
    stored, user = machine.stored[index], machine.users[index]
    spool, owner = machine.spool_wraps[index].blob, machine.owner_wraps[index]
    found = [siv(key, spool, context(stored, "spool")) for key in keys]
    private = [
        siv(key, slot.blob, f"faxgw slot {slot.kind} 1".encode() + user.pair.public.octets)
        for key in keys
        for slot in user.slots
    ]
    seeds = [octets[1:] for octets in private if octets]
    # Whether a candidate is the private key shows faster by its public half than by unwrapping.
    pairs = [pair for seed in (*seeds, *keys) if (pair := KeyPair(Suite.X25519, seed)).public == user.pair.public]
    found += [unwrap(owner, pair, context=context(stored, "owner")) for pair in pairs]
    return [dek for dek in found if dek]


def siv(key: bytes, blob: bytes, bound: bytes) -> bytes:
    try:
        return AESGCMSIV(key).decrypt(blob[:12], blob[12:], bound)
    except InvalidTag:
        return b""


def opens(sealed: bytes, stored: StoredObject, dek: bytes) -> bool:
    try:
        return open_sealed(sealed, dek=dek, label=stored.label) == FAX
    except SealBroken:
        return False


def windows(contents: Iterable[bytes], length: int) -> set[bytes]:
    return {octets[start : start + length] for octets in contents for start in range(len(octets) - length + 1)}
