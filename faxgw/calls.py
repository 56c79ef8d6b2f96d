"""Runs one call: hands the engine's actions to the line and to the pages, and tells whoever watches."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from faxgw.errors import RequestError
from t30.line import Action, AwaitCall, Event, FaxLine, LineError, stamped
from t30.outcome import CallEnded, Canceled, LocalError, Outcome
from t30.pages import PageAction, PagePort
from t30.session import Session
from t30.vendors import maker


class PageFault(LocalError):
    """A page could not be drawn or stored in mid call."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class Observer(Protocol):
    """Whoever wants to know how a call goes: a recorder, a progress bar."""

    def action(self, action: Action) -> None:
        """Take note of what the engine asks for."""

    def event(self, event: Event) -> None:
        """Take note of how it went; ``event.at`` is stamped."""

    def thrown(self, error: LineError | CallEnded, at: float) -> None:
        """Take note that it ended so instead."""


async def run_call(session: Session, line: FaxLine, pages: PagePort, observers: Sequence[Observer] = ()) -> Outcome:
    """Run a call to its end and return what it came to.

    Cancelling the task that runs this is the operator's wish to end the call: the engine says goodbye, the line goes on
    hook, and the outcome says so, in the words given to ``cancel`` if there are any. Cancelling it twice skips the
    goodbye.
    """
    began = line.clock.now()
    while (action := session.action) is not None:
        for observer in observers:
            observer.action(action)
        try:
            event = await _perform(action, line, pages)
        except (LineError, PageFault, asyncio.CancelledError) as end:
            fault = _canceled(end) if isinstance(end, asyncio.CancelledError) else end
            for observer in observers:
                observer.thrown(fault, line.clock.now() - began)
            session.throw(fault)
            continue
        if isinstance(action, AwaitCall):
            began = line.clock.now()
        event = stamped(event, line.clock.now() - began)
        for observer in observers:
            observer.event(event)
        session.handle(event)
    assert session.outcome is not None
    return session.outcome


async def _perform(action: Action, line: FaxLine, pages: PagePort) -> Event:
    if not isinstance(action, PageAction):
        return await line.perform(action)
    try:
        return await pages.perform(action)
    except RequestError as mistake:
        raise PageFault(mistake.reason, mistake.code) from mistake
    except OSError as error:
        raise PageFault(f"a page could not be stored: {error}", "storage.failed") from error


def _canceled(end: asyncio.CancelledError) -> Canceled:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return Canceled(str(end) or "the call was ended from this side")


def result(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as ``send`` and ``receive`` print it with ``--json``."""
    modulation = outcome.modulation
    return {
        "outcome": outcome.verdict,
        "direction": outcome.direction.value,
        "reason": {"code": outcome.reason.code, "text": outcome.reason.text},
        "remote_id": outcome.remote_id,
        "remote_maker": maker(outcome.evidence.nonstandard),
        "seconds": round(outcome.seconds, 3),
        "rate": modulation.bps if modulation else None,
        "modulation": modulation.family.value if modulation else None,
        "ecm": outcome.ecm,
        "pages": [
            {
                "index": page.index,
                "width": page.format.pels,
                "rows": page.rows,
                "resolution": page.format.resolution.label,
                "coding": page.format.coding.value,
                "octets": page.octets,
                "confirmed": page.confirmed,
                "bad_rows": page.bad_rows,
                "seconds": round(page.seconds, 3),
            }
            for page in outcome.pages
        ],
    }
