"""Spool keys: what lets the gateway itself read a fax while it must still send or deliver it, and no longer.

Each hour (an epoch) has one random key in a file, in a folder that all nodes share and no backup contains. Live wraps
move on to the present epoch; then the old key is destroyed, and with it every wrap that was deleted meanwhile.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from faxgw.errors import RequestError
from faxgw.keys.folders import destroy_secret, made_once, open_folder, read_secret
from faxgw.keys.wraps import WrapBroken

EPOCH = timedelta(hours=1)
GRACE = timedelta(minutes=10)
"""How long after its hour a key is kept: a transaction begun in the hour may end later, and clocks differ a little."""

_NAME = "%Y%m%dT%H"
_SUFFIX = ".key"
_NONCE = 12


class SpoolKeyGone(Exception):
    """The key of an epoch is not in the folder: destroyed, or the folder is another than before."""

    def __init__(self, epoch: str) -> None:
        super().__init__(f"the spool key of {epoch} is gone, and with it what only it could open")
        self.epoch = epoch


class SpoolUnavailable(Exception):
    """The folder of the spool keys cannot be read or written."""


@dataclass(frozen=True, slots=True)
class SpoolWrap:
    """An object's key under an epoch's key.

    Attributes:
        epoch: the hour in UTC, as ``20261122T04``.
        blob: nonce and AES-256-GCM-SIV ciphertext: 60 octets for a key of 32.
    """

    epoch: str
    blob: bytes = field(repr=False)


class SpoolKeys:
    """The epochs' keys; may be used from several threads.

    Args:
        folder: made when missing; outside the data directory, the same for all nodes, in no backup.
        now: the clock, in seconds since 1970.

    Raises:
        RequestError: ``keys.folder`` or ``keys.permissions``, with what to do.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        open_folder(folder)
        self._folder = folder
        self._now = now
        self._keys: dict[str, bytes] = {}

    def current(self) -> str:
        """Return the present epoch; its key is there afterwards, the same for all nodes.

        Raises:
            SpoolUnavailable: when its file cannot be made.
        """
        epoch, _ = self._current()
        return epoch

    def wrap(self, dek: bytes, *, context: bytes) -> SpoolWrap:
        """Return ``dek`` under the present epoch's key.

        Raises:
            SpoolUnavailable: when there is no such key and it cannot be made.
        """
        epoch, key = self._current()
        nonce = os.urandom(_NONCE)
        return SpoolWrap(epoch, nonce + AESGCMSIV(key).encrypt(nonce, dek, context))

    def unwrap(self, wrap: SpoolWrap, *, context: bytes) -> bytes:
        """Return the key that ``wrap`` was given with the same context.

        Raises:
            SpoolKeyGone: when its epoch's key was destroyed.
            WrapBroken: when it is damaged, or of another context.
            SpoolUnavailable: when the folder cannot be read.
        """
        try:
            key = self._keys.get(wrap.epoch) or self._read(wrap.epoch)
            return AESGCMSIV(key).decrypt(wrap.blob[:_NONCE], wrap.blob[_NONCE:], context)
        except (InvalidTag, ValueError):
            raise WrapBroken from None

    def rewrap(self, wrap: SpoolWrap, *, context: bytes) -> SpoolWrap:
        """Return the same key under the present epoch's key.

        Raises:
            SpoolKeyGone, WrapBroken, SpoolUnavailable: as ``unwrap``.
        """
        return self.wrap(self.unwrap(wrap, context=context), context=context)

    def epochs(self) -> list[str]:
        """Return the epochs whose keys are in the folder, oldest first; keys that others destroyed are forgotten here.

        Raises:
            SpoolUnavailable: when the folder cannot be read.
        """
        try:
            found = sorted(path.stem for path in self._folder.iterdir() if _is_epoch(path))
        except OSError as error:
            raise self._unavailable(error) from error
        for epoch in set(self._keys) - set(found):
            self._keys.pop(epoch, None)
        return found

    def due(self) -> list[str]:
        """Return the epochs that are over for good: move their live wraps on (``rewrap``), then ``destroy`` them.

        Raises:
            SpoolUnavailable: when the folder cannot be read.
        """
        return [epoch for epoch in self.epochs() if self._is_over(epoch)]

    def destroy(self, epoch: str) -> None:
        """Overwrite and remove an epoch's key: whatever wraps still name it never open again.

        Raises:
            ValueError: when the epoch is not ``due``: a wrap under its key may just be on its way into the database.
            SpoolUnavailable: when the file cannot be removed; the key may still be there then.
        """
        if not self._is_over(epoch):
            raise ValueError(f"the epoch {epoch} is not over yet")
        self._keys.pop(epoch, None)
        try:
            destroy_secret(self._path(epoch))
        except OSError as error:
            raise self._unavailable(error) from error

    def require(self, epochs: Iterable[str]) -> None:
        """Check, before work begins, that the keys of all wraps in the database are here.

        Raises:
            RequestError: ``keys.spool_missing`` when not: most likely this is not the folder of before.
            SpoolUnavailable: when the folder cannot be read.
        """
        missing = sorted(set(epochs) - set(self.epochs()))
        if missing:
            raise RequestError(
                "keys.spool_missing",
                f"{self._folder} lacks the keys of {len(missing)} hours, from {missing[0]} on, under which faxes wait"
                " to be sent or delivered: give the spool_keys folder that the gateway used before",
            )

    def _current(self) -> tuple[str, bytes]:
        epoch = datetime.fromtimestamp(self._now(), UTC).strftime(_NAME)
        key = self._keys.get(epoch)
        if key is None:
            try:
                key = self._keys[epoch] = made_once(self._path(epoch))
            except (OSError, RequestError) as error:
                raise self._unavailable(error) from error
        return epoch, key

    def _read(self, epoch: str) -> bytes:
        path = self._path(epoch)
        try:
            key = self._keys[epoch] = read_secret(path)
        except FileNotFoundError:
            if self._folder.is_dir():
                raise SpoolKeyGone(epoch) from None
            raise SpoolUnavailable(f"the folder of spool keys {self._folder} is gone") from None
        except (OSError, RequestError) as error:
            raise self._unavailable(error) from error
        return key

    def _path(self, epoch: str) -> Path:
        datetime.strptime(epoch, _NAME)  # A name from the database must not lead out of the folder.
        return self._folder / f"{epoch}{_SUFFIX}"

    def _is_over(self, epoch: str) -> bool:
        end = datetime.strptime(epoch, _NAME).replace(tzinfo=UTC) + EPOCH + GRACE
        return end.timestamp() <= self._now()

    def _unavailable(self, error: OSError | RequestError) -> SpoolUnavailable:
        why = error.reason if isinstance(error, RequestError) else error.strerror
        return SpoolUnavailable(f"the folder of spool keys {self._folder} cannot be used: {why}")


def _is_epoch(path: Path) -> bool:
    try:
        datetime.strptime(path.stem, _NAME)
    except ValueError:
        return False
    return path.suffix == _SUFFIX
