"""The port to a place outside: what is handed over, what proves how it went, and what can go wrong.

A carrier knows one kind of place. It keeps nothing between two calls, and what it is given can be given again: after
a crash nobody knows how far the last try went, so the same parcel put down twice is there once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class File:
    """One file as it leaves.

    Attributes:
        name: without a folder: letters, digits, and ``. _ - +`` only, never hidden.
        sha256: of the content.
        replaces: what has its name in a folder is the same from an earlier try, in other octets, since encryption takes
            chance: this one takes its place. Else the same octets are there, or somebody else's.
    """

    name: str
    media_type: str
    content: bytes = field(repr=False)
    sha256: bytes = field(repr=False)
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be carried: one fax, as one file and what else is laid beside it.

    Attributes:
        id: the same at every try: names temporary files and messages.
        files: in the order in which they are put down; the one that says that all is there comes last.
        words: what a message or a sidecar says of the fax, numbers masked.
    """

    id: UUID
    tenant_id: UUID
    files: tuple[File, ...]
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proof:
    """How a parcel was protected on its way, and where it is now.

    Attributes:
        protocol: ``TLSv1.3``, ``SSH-2.0``, ``none`` for a folder of this machine.
        cipher: as the protocol names it; empty without one.
        peer: SHA-256 of the other side's certificate or host key, in hexadecimal digits.
        verified: the other side was who it was meant to be.
        decision: by which rule it could go, such as ``require-verified``.
        place: who has it, or where it lies, whole: for the ledger.
        path: of the file within its target, by which it can be taken back; empty: it cannot.
        reference: what the other side called it, such as its answer to a message.
        content: the content went; if not, only word of it did, and the fax is to be had here.
    """

    protocol: str
    cipher: str
    peer: str
    verified: bool
    decision: str
    place: str
    at: datetime
    path: str = ""
    reference: str = ""
    content: bool = True

    def as_json(self) -> dict[str, Any]:
        """As it is stored with the parcel, and shown."""
        return asdict(self) | {"at": self.at.isoformat()}


class NotCarried(Exception):
    """A parcel was not handed over; the text is for whoever set the target up, without content or secrets.

    Attributes:
        code: a stable dotted name, ``delivery.refused``.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unreachable(NotCarried):
    """The other side is away, or cannot take it now: later it may."""


class Refused(NotCarried):
    """The other side, or our own rules, will not have it: trying again changes nothing."""


class NotProtected(NotCarried):
    """The hop cannot be protected as its rule demands: no octet of content has left."""


class Carrier(Protocol):
    """One kind of place."""

    async def carry(self, parcel: Parcel) -> Proof:
        """Hand a parcel over, whole, or not at all.

        Raises:
            Unreachable, Refused, NotProtected: see there.
        """
        ...

    async def take_back(self, path: str, sha256: bytes) -> bool:
        """Delete what was put down there, if it is still the same; return False if it is there no more.

        Raises:
            Unreachable, Refused, NotProtected: see there.
        """
        ...
