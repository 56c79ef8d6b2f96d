"""The desk behind the submission server: who signs in, who may be called, and a message that becomes faxes.

A message is read, sealed into the store and written down in one transaction before it is answered; whatever goes wrong
before that leaves nothing.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreError
from faxgw.delivery.queue import put
from faxgw.devices.device import Device
from faxgw.devices.exposing import expose
from faxgw.devices.repeating import NAMED, NAMELESS, Repeated, mark_of, note
from faxgw.devices.signing_in import sign_in
from faxgw.errors import RequestError
from faxgw.faxes.accepting import accept, accept_batch
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import BatchRequest, Cover, Destination, FaxRequest
from faxgw.faxes.uploading import Received, forget, has_room, held, keep, receive_small
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.mail.arriving.addressing import international, local_part, number_of, numbers_of_subject
from faxgw.mail.arriving.admitting import Admission
from faxgw.mail.arriving.contents import Contents, contents_of
from faxgw.mail.arriving.mime import Message, Unreadable, read_message
from faxgw.mail.arriving.refusing import rejected, unreadable
from faxgw.mail.submission.port import Peer, Rejected, Submission
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import devices, users

log = structlog.get_logger(__name__)

AT_ONCE = 1024 * 1024
"""Octets of a message that is taken apart within the loop, in some milliseconds; a longer one goes to a thread."""
FRESH = 2.0
"""Seconds after signing in for which a device is not looked up again."""
MOST_NUMBER = 64
"""Letters of a number, as people write it."""
MOST_WORDS = 4000
"""Letters that a cover page takes."""
_LATER = "The gateway cannot take this now; try again."


@dataclass(frozen=True, slots=True)
class Read:
    """A message as it was read."""

    message: Message
    contents: Contents


class Desk:
    """Takes over what devices submit by mail."""

    def __init__(self, gateway: Gateway) -> None:
        """Take the gateway."""
        self._gateway = gateway
        self._admission = Admission(gateway.database)
        self._words = frozenset(gateway.config.submission.subject_addresses)
        self._long = asyncio.Semaphore(gateway.config.rendering.workers)

    async def sign_in(self, login: str, secret: str, peer: Peer) -> Device | None:
        """See the port."""
        keys, protocol = self._gateway.server_keys, f"{peer.protocol} {peer.cipher}".strip()
        try:
            return await sign_in(self._gateway.database, keys, login, secret, address=peer.address, protocol=protocol)
        except DatabaseUnavailable as away:
            raise Rejected(454, "4.7.0", _LATER) from away

    async def exposed(self, login: str, secret: str | None, peer: Peer) -> None:
        """See the port. A secret that is none changes nothing: else anybody could have a device revoked."""
        async with self._gateway.database.dispatcher() as connection:
            await expose(connection, self._gateway.server_keys, login, secret or "", address=peer.address)

    async def admit(self, device: Device, recipient: str) -> None:
        """See the port."""
        assert isinstance(device, Device)
        local = local_part(recipient)
        if local.lower() in self._words:
            return
        try:
            await self._admission.admit(device, local)
        except RequestError as refused:
            raise rejected(refused, recipient=True) from refused
        except DatabaseUnavailable as away:
            raise Rejected(451, "4.3.0", _LATER) from away

    async def take(self, submission: Submission) -> str:
        """See the port."""
        device = submission.device
        assert isinstance(device, Device)
        if not await has_room(self._gateway):
            raise Rejected(452, "4.3.1", "The gateway's disk is nearly full; try again later.")
        if len(submission.content) <= AT_ONCE:
            return await self._take(device, submission)
        async with self._long:
            return await self._take(device, submission)

    async def _take(self, device: Device, submission: Submission) -> str:
        received: list[Received] = []
        try:
            read = await _read(submission.content)
            await self._store(device, read.contents, received)
            return await self._accept(device, submission, read, received)
        except Repeated as repeated:
            await forget(self._gateway, received)
            log.info("a message came again", device=str(device.id), id=str(repeated.became))
            return f"{repeated.became} was accepted before"
        except (RequestError, Unreadable, Rejected, StoreError) as refused:
            # Nothing was committed. After a break in mid-commit the rows may be there and need their objects; objects
            # without a row are found and removed later.
            await forget(self._gateway, received)
            raise _answer(refused) from refused
        except DatabaseUnavailable as away:
            raise Rejected(451, "4.3.0", _LATER) from away

    async def _store(self, device: Device, contents: Contents, received: list[Received]) -> None:
        """Read and seal each document; ``received`` has those that are in the store, also when one is refused."""
        drawn = len(contents.attachments) > 1 or _cover_of(device, contents) is not None
        try:
            for each in contents.attachments:
                of = {"name": each.name, "media_type": each.media_type}
                one = await receive_small(self._gateway, device.actor, each.octets, **of, drawn=drawn, sent=True)
                received.append(one)
        except asyncio.CancelledError:
            await forget(self._gateway, received)
            raise

    async def _accept(self, device: Device, submission: Submission, read: Read, received: list[Received]) -> str:
        async with self._gateway.database.tenant(device.tenant_id) as connection:
            if device.age > FRESH:
                await _check(connection, device)
            numbers = await self._numbers(connection, device, submission, read.message)
            became = await self._note(connection, device, submission, read, received, numbers)
            rows = await keep(connection, self._gateway, device.actor, received, owned=False)
            cover = _cover_of(device, read.contents)
            asked: dict[str, Any] = {"documents": [row["id"] for row in rows], "box": device.box_id, "cover": cover}
            if len(numbers) == 1:
                new = held(received[0], rows[0]) if len(rows) == 1 and cover is None else None
                request = FaxRequest(to=numbers[0], **asked)
                accepted = await accept(connection, self._gateway, device.actor, request, new=new, fax_id=became)
                fax, what = accepted.id, "fax"
            else:
                many = BatchRequest(to=[Destination(to=each) for each in numbers], **asked)
                accepted = await accept_batch(connection, self._gateway, device.actor, many, batch_id=became)
                fax, what = None, "batch"
            if device.reply == "sender" and submission.sender:
                await _await_result(connection, device, accepted.id, fax, submission.sender)
        log.info("a message became faxes", device=str(device.id), id=str(accepted.id), numbers=len(numbers))
        return f"{what} {accepted.id} accepted"

    async def _note(  # noqa: PLR0917 (what was read so far, in its order)
        self,
        connection: AsyncConnection,
        device: Device,
        submission: Submission,
        read: Read,
        received: Sequence[Received],
        numbers: Sequence[str],
    ) -> UUID:
        """Note that the message came, before anything counts it; return what its fax, or batch, is to be called.

        Raises:
            Repeated: if its sender did not hear that it was taken, and sends it again.
        """
        said, known_for = _known_by(submission, read, received)
        mark = mark_of(self._gateway.server_keys, "mail", [*said, *sorted(set(numbers))])
        became = new_id()
        await note(connection, device, mark, became=became, known_for=known_for)
        return became

    async def _numbers(
        self, connection: AsyncConnection, device: Device, submission: Submission, message: Message
    ) -> list[str]:
        """Return the numbers that a message is for, as people write them.

        Raises:
            RequestError: ``number.invalid``, ``mail.no_number``.
        """
        found: list[str] = []
        for each in submission.recipients:
            local = local_part(each)
            found += [local] if local.lower() not in self._words else numbers_of_subject(message.subject)
        if not found:
            raise RequestError("mail.no_number", "Write the number to call, and nothing else, into the subject.")
        numbers = [number_of(each) or "" for each in found]
        if not all(0 < len(each) <= MOST_NUMBER for each in numbers):
            raise RequestError("number.invalid", "One of the recipients is no number.")
        if any(each.startswith("00") for each in numbers):
            numbering = (await tenant_of(connection, device.tenant_id)).numbering
            numbers = [international(each, numbering) for each in numbers]
        return numbers


def _known_by(submission: Submission, read: Read, received: Sequence[Received]) -> tuple[list[str | bytes], timedelta]:
    """Return what a message is known again by, its numbers apart, and for how long.

    With a Message-ID and what is faxed: a server on its way may have written into its header. Machines give several
    messages the same one, so that its date belongs to it. Without: by all of it, to the octet.
    """
    if not read.message.name:
        return [hashlib.sha256(submission.content).digest()], NAMELESS
    documents = [each.stored.sha256 for each in received]
    return [read.message.name, read.message.date, read.contents.words, *documents], NAMED


async def _read(content: bytes) -> Read:
    """Take a message apart, and decode what is to be faxed.

    Raises:
        Unreadable: see there.
    """
    return _opened(content) if len(content) <= AT_ONCE else await asyncio.to_thread(_opened, content)


def _opened(content: bytes) -> Read:
    message = read_message(content)
    return Read(message, contents_of(message))


def _cover_of(device: Device, contents: Contents) -> Cover | None:
    """Return the cover page that the text of a message becomes, if it does."""
    words = contents.words.strip()
    return Cover(message=words[:MOST_WORDS]) if device.cover and words else None


async def _check(connection: AsyncConnection, device: Device) -> None:
    """Have a device be as good as when it signed in, however long ago that was on this connection.

    Raises:
        Rejected: if it was revoked since.
    """
    if await connection.scalar(_USABLE, {"device": device.id}) is None:
        raise Rejected(550, "5.7.1", "This device may not send any more; ask its owner.")


def _usable() -> Select[tuple[UUID]]:
    good = devices.c.enabled & devices.c.revoked_at.is_(None)
    owner = (users.c.id == devices.c.user_id) & users.c.deactivated_at.is_(None)
    return select(devices.c.id).join(users, owner).where(devices.c.id == bindparam("device"), good)


_USABLE = _usable()


async def _await_result(
    connection: AsyncConnection, device: Device, accepted_id: UUID, fax_id: UUID | None, sender: str
) -> None:
    """Keep the sender's address, sealed, in the notice of the result, which is not due until there is one."""
    values = {"fax_id": fax_id, "recipient": sender, "next_at": None}
    await put(connection, device.tenant_id, "result", str(accepted_id), **values)


def _answer(refused: RequestError | Unreadable | Rejected | StoreError) -> Rejected:
    """Return what a client is told."""
    if isinstance(refused, Rejected):
        return refused
    if isinstance(refused, StoreError):
        return Rejected(451, "4.3.0", _LATER)
    return unreadable(refused) if isinstance(refused, Unreadable) else rejected(refused)
