"""What every part of the service works with; made once, by ``faxgw.service``."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from faxgw.advisories.state import Board as AdvisoryBoard
from faxgw.afterwards import Afterwards
from faxgw.archive.sealed import SealedStore
from faxgw.config import Config
from faxgw.documents.pool import RendererPool
from faxgw.keys.spool import SpoolKeys
from faxgw.keys.tokens import ServerKeys
from faxgw.store.database import Database

if TYPE_CHECKING:
    from faxgw.lines.board import Board
    from faxgw.mail.sending.postman import Postman


class LiveCall(Protocol):
    """A call that is on a line of this node."""

    @property
    def attempt_ids(self) -> tuple[UUID, ...]:
        """Whose leases it holds: of one attempt, or two while it goes over to another fax."""
        ...

    def hang_up(self, text: str) -> None:
        """End it politely; ``text`` says why."""
        ...


async def _never() -> str | None:
    return None


@dataclass(slots=True)
class Gateway:
    """The parts of a running service.

    Attributes:
        node: this process's id in leases, the same after a restart.
        renderers: read uploads and draw what is to be sent.
        call_renderers: draw a page anew in mid call; nobody's slow document holds these up.
        board: this node's telephone lines.
        draw_bell: rung when there may be something to draw.
        call_bell: rung when there may be somebody to call.
        calls: what is on the lines now.
        advisories: what is known of this version.
        afterwards: what is done when an answer is on its way.
        postman: what mail leaves by, once some has.
        not_receiving: says why a page could not be made durable now, if so: then no call is answered.
    """

    config: Config
    node: str
    database: Database
    objects: SealedStore
    spool: SpoolKeys
    server_keys: ServerKeys
    renderers: RendererPool
    call_renderers: RendererPool
    board: "Board"
    draw_bell: asyncio.Event = field(default_factory=asyncio.Event)
    call_bell: asyncio.Event = field(default_factory=asyncio.Event)
    calls: set[LiveCall] = field(default_factory=set)
    advisories: AdvisoryBoard = field(default_factory=AdvisoryBoard)
    afterwards: Afterwards = field(default_factory=Afterwards)
    postman: "Postman | None" = None
    not_receiving: Callable[[], Awaitable[str | None]] = _never
