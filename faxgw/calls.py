"""Runs one call: hands the engine's actions to the line and to the pages, and tells whoever watches."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from t30.line import Action, AwaitCall, Event, FaxLine, LineError, stamped
from t30.outcome import Canceled, Outcome
from t30.pages import FetchPage, JudgePage, KeepData, PagePort
from t30.session import Session


class Observer(Protocol):
    """Whoever wants to know how a call goes: a recorder, a progress bar."""

    def action(self, action: Action) -> None:
        """Take note of what the engine asks for."""

    def event(self, event: Event) -> None:
        """Take note of how it went; ``event.at`` is stamped."""

    def thrown(self, error: LineError | Canceled, at: float) -> None:
        """Take note that it ended so instead."""


async def run_call(session: Session, line: FaxLine, pages: PagePort, observers: Sequence[Observer] = ()) -> Outcome:
    """Run a call to its end and return what it came to.

    Cancelling the task that runs this is the operator's wish to end the call: the engine says goodbye, the line goes on
    hook, and the outcome says so. Cancelling it twice skips the goodbye.
    """
    began = line.clock.now()
    while (action := session.action) is not None:
        for observer in observers:
            observer.action(action)
        try:
            if isinstance(action, FetchPage | KeepData | JudgePage):
                event: Event = await pages.perform(action)
            else:
                event = await line.perform(action)
        except (LineError, asyncio.CancelledError) as end:
            fault = end if isinstance(end, LineError) else _canceled()
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


def _canceled() -> Canceled:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return Canceled("the call was ended from this side")


def result(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as ``send`` and ``receive`` print it with ``--json``."""
    return {
        "outcome": outcome.verdict,
        "direction": outcome.direction.value,
        "reason": {"code": outcome.reason.code, "text": outcome.reason.text},
        "remote_id": outcome.remote_id,
        "seconds": round(outcome.seconds, 3),
        "rate": outcome.modulation.bps if outcome.modulation else None,
        "modulation": outcome.modulation.family.value if outcome.modulation else None,
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
