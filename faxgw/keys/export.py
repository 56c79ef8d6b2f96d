"""A sealed object that leaves the archive as it is: one file that its owner opens without the gateway.

A ZIP file with ``manifest.json`` (what it is, the owner's wrap, and all ways to their key) and ``object`` (sealed):
``docs/sealed-objects.md``.
"""

import json
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

from faxgw.errors import RequestError
from faxgw.keys.sealing import Label, SealBroken, open_sealed
from faxgw.keys.slots import ApiSecret, Password, RecoveryCode, Secret, Slot, WrongSecret, open_slot
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import (
    KeyPair,
    PublicKey,
    WrapBroken,
    box_context,
    member_context,
    unwrap,
    unwrap_key_pair,
    wrap_context,
)

FORMAT = "faxgw sealed object"
VERSION = 2
READ = (1, 2)
"""Versions that are read: in the first, there were no slots but those of the owner's key itself."""
MANIFEST = "manifest.json"
OBJECT = "object"
LONGEST_MANIFEST = 1024 * 1024
OWNER, BOX = "owner", "box"


@dataclass(frozen=True, slots=True)
class Holder:
    """A person's key, to which the owner's private key is wrapped.

    Attributes:
        public_key: the person's.
        wrap: the owner's private key, wrapped to it.
        slots: the ways to the person's private key.
    """

    public_key: PublicKey
    wrap: bytes
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class BoxWay:
    """The box that an object lies in: its private key, wrapped to a reader's.

    Attributes:
        id: of the box.
        key_id: of the box's key.
        wrap: its private key, wrapped to the reader.
    """

    id: UUID
    key_id: str
    wrap: bytes

    def key_pair(self, reader: KeyPair, tenant: UUID) -> KeyPair:
        """Return the box's key pair.

        Raises:
            WrapBroken: if it is not that of this box, wrapped to this reader.
        """
        found = unwrap_key_pair(self.wrap, reader, context=box_context(tenant, self.id))
        if found.public.key_id != self.key_id:
            raise WrapBroken
        return found


@dataclass(frozen=True, slots=True)
class Export:
    """An object and all that its owner's secret needs to open it.

    Attributes:
        label: tenant, id and kind.
        media_type: of the content, such as ``application/pdf``; empty when nobody knows.
        public_key: the owner's: of somebody's membership in the tenant.
        user: the id of that membership.
        wrap: the object's key, wrapped to the box, or to the owner where it lies in none.
        slots: the ways straight to the owner's private key.
        holders: the ways to it over keys of the person: the present one, and those of before a reset.
        sealed: the object as it lies in the store.
        box: the way to the box's key, if it lies in one.
    """

    label: Label
    media_type: str
    public_key: PublicKey
    user: UUID
    wrap: bytes
    slots: tuple[Slot, ...]
    holders: tuple[Holder, ...]
    sealed: bytes
    box: BoxWay | None = None

    def octets(self) -> bytes:
        """Return the file."""
        file = BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(MANIFEST, json.dumps(self._manifest(), indent=1))
            archive.writestr(OBJECT, self.sealed)
        return file.getvalue()

    async def open(self, secret: str) -> bytes:
        """Return the content. ``secret`` is the owner's password, recovery code or API key, as text.

        Raises:
            RequestError: ``object.secret`` when no slot opens with it, ``object.broken`` when the object is damaged.
        """
        context = wrap_context(tenant=self.label.tenant, object_id=self.label.object, kind=self._kind)
        try:
            key_pair = await self._key_pair(secret)
            if self.box is not None:
                key_pair = self.box.key_pair(key_pair, self.label.tenant)
            dek = unwrap(self.wrap, key_pair, context=context)
            return open_sealed(self.sealed, dek=dek, label=self.label)
        except (WrapBroken, SealBroken) as error:
            raise RequestError(
                "object.broken", "the secret is right, but the object is damaged or was altered: export it again"
            ) from error

    async def _key_pair(self, text: str) -> KeyPair:
        secrets = readings(text)
        key_pair = await _opened(self.slots, secrets, self.public_key)
        if key_pair is not None:
            return key_pair
        for holder in self.holders:
            person = await _opened(holder.slots, secrets, holder.public_key)
            if person is not None:
                return unwrap_key_pair(holder.wrap, person, context=member_context(self.label.tenant, self.user))
        every = [*self.slots, *(slot for holder in self.holders for slot in holder.slots)]
        kinds = ", ".join(sorted({slot.kind.replace("_", " ") for slot in every}))
        raise RequestError("object.secret", f"that secret does not open this object; it opens with: {kinds}")

    @property
    def _kind(self) -> str:
        return OWNER if self.box is None else BOX

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "tenant": str(self.label.tenant),
            "object": str(self.label.object),
            "kind": self.label.kind,
            "media_type": self.media_type,
            "user": str(self.user),
            "public_key": _text(self.public_key.octets),
            "wrap": {
                "kind": self._kind,
                "key_id": self.box.key_id if self.box else self.public_key.key_id,
                "blob": _text(self.wrap),
            },
            "box": {"id": str(self.box.id), "wrap": _text(self.box.wrap)} if self.box else None,
            "slots": _slots_manifest(self.slots),
            "holders": [
                {
                    "public_key": _text(holder.public_key.octets),
                    "wrap": _text(holder.wrap),
                    "slots": _slots_manifest(holder.slots),
                }
                for holder in self.holders
            ],
        }


def read_export(path: Path) -> Export:
    """Read an exported object.

    Raises:
        RequestError: ``object.missing`` when there is no such file, ``object.format`` when it is something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _export(json.loads(_stored(archive, MANIFEST)), _stored(archive, OBJECT))
    except OSError as error:
        raise RequestError("object.missing", f"{path} cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise RequestError("object.format", f"{path} is no object that faxgw exported, or it is damaged") from error


def readings(text: str) -> list[Secret]:
    """Return what a text may be: an API key or a recovery code where it has their form, and always a password."""
    found: list[Secret] = []
    for read in (lambda: ApiSecret(ApiKey.parse(text).secret), lambda: RecoveryCode.parse(text)):
        try:
            found.append(read())
        except ValueError:
            continue
    return [*found, Password(text)]


async def _opened(slots: Sequence[Slot], secrets: Sequence[Secret], public_key: PublicKey) -> KeyPair | None:
    for secret in secrets:
        for slot in slots:
            if slot.kind == secret.kind:
                try:
                    return await open_slot(slot, secret, public_key=public_key)
                except WrongSecret:
                    continue
    return None


def _export(manifest: Any, sealed: bytes) -> Export:
    if manifest["format"] != FORMAT or manifest["version"] not in READ:
        raise ValueError("another format")
    first = manifest["version"] == 1
    return Export(
        label=Label(UUID(manifest["tenant"]), UUID(manifest["object"]), str(manifest["kind"])),
        media_type=str(manifest["media_type"]),
        public_key=PublicKey.from_octets(_octets(manifest["public_key"])),
        user=UUID(int=0) if first else UUID(manifest["user"]),
        wrap=_octets(manifest["wrap"]["blob"]),
        slots=_slots(manifest["slots"]),
        holders=() if first else tuple(_holder(each) for each in manifest["holders"]),
        sealed=sealed,
        box=_box(manifest),
    )


def _box(manifest: Any) -> BoxWay | None:
    if manifest["wrap"]["kind"] != BOX:
        return None
    return BoxWay(UUID(manifest["box"]["id"]), str(manifest["wrap"]["key_id"]), _octets(manifest["box"]["wrap"]))


def _holder(manifest: Any) -> Holder:
    public_key = PublicKey.from_octets(_octets(manifest["public_key"]))
    return Holder(public_key, _octets(manifest["wrap"]), _slots(manifest["slots"]))


def _slots(manifest: Any) -> tuple[Slot, ...]:
    return tuple(Slot(str(each["kind"]), dict(each["parameters"]), _octets(each["blob"])) for each in manifest)


def _slots_manifest(slots: Sequence[Slot]) -> list[dict[str, Any]]:
    return [{"kind": slot.kind, "parameters": slot.parameters, "blob": _text(slot.blob)} for slot in slots]


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    # Nothing of ours is compressed (sealed octets do not shrink), so nothing can blow up either.
    if entry.compress_type != zipfile.ZIP_STORED or (name == MANIFEST and entry.file_size > LONGEST_MANIFEST):
        raise ValueError("not as we write it")
    return archive.read(entry)


def _octets(text: str) -> bytes:
    return b64decode(text, validate=True)


def _text(octets: bytes) -> str:
    return b64encode(octets).decode()
