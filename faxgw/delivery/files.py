"""A fax as the files that leave: its pages opened by the gateway's own way, drawn, encrypted where that is asked for.

Without encryption, the same fax gives the same octets at every try. Encrypted, it gives others each time; so what a
carrier finds under the name of such a file, which no other fax and no other target has, it replaces by what it brings.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreError
from faxgw.delivery.carrier import File, Refused, Unreachable
from faxgw.delivery.naming import Named, stem
from faxgw.delivery.protection import Sealed, sealed
from faxgw.delivery.sidecar import sidecar
from faxgw.delivery.targets import TEMPLATE, ByPdf, BySmime, MailTarget, Settings, Target, TargetSecret
from faxgw.documents.coded import CodedPage
from faxgw.documents.forms import FORMS, Form
from faxgw.errors import RequestError
from faxgw.faxes.content import as_coded
from faxgw.faxes.sealed import open_by, spent, spooled_pages
from faxgw.gateway import Gateway
from faxgw.store.tables import pages

Format = Literal["pdf", "tiff"]
Words = Mapping[str, Any]


async def files_of(
    connection: AsyncConnection,
    gateway: Gateway,
    fax: RowMapping,
    *,
    format: Format,
    target: Target,
) -> tuple[tuple[File, ...], Words]:
    """Return a fax as the files that a target gets, in the order in which they are laid down, and what they say of it.

    Args:
        connection: a transaction of the tenant, or of the dispatcher.
        gateway: for the archive and the keys of the spool.
        fax: its row; the pages have spool wraps.
        format: in which form; for a target of encrypted PDFs it is PDF, whatever is asked for.
        target: whose settings and secret say how.

    Raises:
        Refused: if the gateway cannot open the fax any more, or cannot encrypt it as the target asks.
        Unreachable: if the archive cannot be read now.
    """
    named, settings = named_of(fax, target.id), target.settings
    try:
        opened = await spooled(connection, gateway, fax)
        form = FORMS["pdf" if isinstance(settings.sealing, ByPdf) else format]
        content = await asyncio.to_thread(_made, opened, form, settings, target.secret)
    except RequestError as fault:
        raise Refused(fault.code, fault.reason) from fault
    except StoreError as fault:
        raise Unreachable("delivery.archive", "The archive cannot be read now.") from fault
    return _laid_out(named, content, form, settings), said_of(named.told())


def named_of(fax: RowMapping, target_id: UUID) -> Named:
    """Return what names and words say of a fax; ``fax`` is its row."""
    at = fax["finished_at"] or fax["created_at"]
    count = fax["pages_done"] if fax["pages"] is None else fax["pages"]
    return Named(fax["id"], at, fax["from_number"], fax["to_number"], count, fax["state"], target_id)


def said_of(named: Named) -> dict[str, Any]:
    """Return the same as plain values, the numbers as they are given."""
    received = named.received.astimezone(UTC).replace(microsecond=0)
    return {
        "fax": str(named.fax),
        "state": named.state,
        "received": _written(received),
        "from": named.sender,
        "to": named.recipient,
        "pages": named.pages,
    }


async def spooled(connection: AsyncConnection, gateway: Gateway, fax: RowMapping) -> list[CodedPage]:
    """Open the pages of a fax by their spool wraps; ``fax`` is its row.

    Raises:
        RequestError: ``document.spent``, if there is no such way to them; ``document.damaged``.
        StoreError: if they cannot be read now.
    """
    wanted = select(pages).where(pages.c.page_set_id == fax["page_set_id"]).order_by(pages.c.index)
    rows = (await connection.execute(wanted)).mappings().all()
    ways = {each: way for each, way, _ in await spooled_pages(connection, fax["page_set_id"])} if rows else {}
    found = []
    for row in rows:
        object_id, way = row["object_id"], ways[row["object_id"]]
        if way is None:
            raise spent()
        opened = await open_by(
            gateway.objects, gateway.spool, way, tenant_id=row["tenant_id"], object_id=object_id, kind="page"
        )
        found.append(as_coded(row, opened))
    if not found:
        raise spent()
    return found


def _made(opened: Sequence[CodedPage], form: Form, settings: Settings, secret: TargetSecret) -> Sealed:
    return sealed(form.draw(opened), form.media_type, settings=settings, secret=secret)


def _laid_out(named: Named, made: Sealed, form: Form, settings: Settings) -> tuple[File, ...]:
    hidden = settings.sealing is not None
    whole = not isinstance(settings, MailTarget) and settings.full_numbers and not hidden
    shown = named if whole else named.told()
    template = TEMPLATE if isinstance(settings, MailTarget) else settings.template
    name = stem(template, shown, by_target=hidden and not isinstance(settings, MailTarget))
    as_message = isinstance(settings, MailTarget) and isinstance(settings.sealing, BySmime)
    title = "smime.p7m" if as_message else f"{name}.{form.ending}{made.ending}"
    file = File(title, made.media_type, made.content, hashlib.sha256(made.content).digest(), replaces=hidden)
    if isinstance(settings, MailTarget) or not settings.sidecar:
        return (file,)
    said = said_of(shown)
    if settings.sealing is None:
        return (file, sidecar(f"{name}.json", said, [file], sealing=None))
    # It lies in clear beside what is encrypted, so it names nobody.
    nobody = {each: value for each, value in said.items() if each not in ("from", "to")}
    return (file, sidecar(f"{name}.json", nobody, [file], sealing=settings.sealing.kind))


def _written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
