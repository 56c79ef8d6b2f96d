"""A box as one ZIP: every fax as PDF and as TIFF, and a manifest that names each file with its SHA-256."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from faxgw.documents.coded import CodedPage
from faxgw.documents.pdf import pdf_octets
from faxgw.documents.tiff import tiff_octets
from faxgw.exports.zipping import ZipStream

FORMAT = "faxgw box"
FORMS = (("fax.pdf", pdf_octets), ("fax.tif", tiff_octets))


@dataclass(frozen=True, slots=True)
class ExportedFax:
    """A fax on its way out.

    Attributes:
        record: what the manifest says of it, as plain values.
        pages: what is on it; None: it was not kept, or is sealed to somebody else.
    """

    id: UUID
    record: Mapping[str, Any]
    pages: Sequence[CodedPage] | None = field(repr=False)


async def box_archive(
    box: Mapping[str, Any], faxes: AsyncIterator[ExportedFax], *, at: datetime
) -> AsyncIterator[bytes]:
    """Go through the octets of the ZIP; one fax is in memory at a time.

    The manifest is its last entry, so an export that broke off has none, and no ZIP reader takes it for whole.
    """
    stream = ZipStream(at=at)
    records: list[bytes] = []
    async for fax in faxes:
        files: list[dict[str, Any]] = []
        for name, made in FORMS:
            if fax.pages:
                octets = await asyncio.to_thread(made, fax.pages)
                yield stream.add(f"faxes/{fax.id}/{name}", octets)
                files.append(stream.files.pop())
        content = "none" if fax.pages is not None and not fax.pages else "gone" if fax.pages is None else "kept"
        records.append(_json({**fax.record, "content": content, "files": files}))
    head = _json({"format": FORMAT, "version": 1, "made_at": at.isoformat(), "box": dict(box)})
    for piece in stream.add_pieces("manifest.json", _manifest(head, records)):
        yield piece
    yield stream.end()


def _manifest(head: bytes, records: Sequence[bytes]) -> Sequence[bytes]:
    """Return the manifest in pieces: the head with one more member."""
    lines = (record + (b",\n" if index + 1 < len(records) else b"\n") for index, record in enumerate(records))
    return [head[:-1] + b', "faxes": [\n', *lines, b"]}\n"]


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, default=str).encode()
