"""The sandbox from the service's side: a simulated fax machine calls one of this process's ``sim:`` lines.

What answers to the numbers of the sandbox is in ``simulators/numbers.py``; docs/sandbox.md has them for users.
"""

import asyncio
from collections.abc import Sequence

import structlog

from faxgw.documents.coded import CodedPage, bitmap_of
from faxgw.errors import RequestError
from simulators.sandbox import digits, plus, sandbox
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.outcome import Outcome
from t30.pages import Length

log = structlog.get_logger(__name__)

CALLER = "+15550100"
"""The machine that calls in when nobody says which."""
WITHIN = 10.0
"""Seconds for which a line that awaits a call is waited for: all of them may be busy for a moment."""


def lines() -> int:
    """Return how many ``sim:`` lines this process has open."""
    return len(sandbox().lines)


async def call_in(to: str, pages: Sequence[CodedPage], *, caller: str = CALLER, within: float = WITHIN) -> Outcome:
    """Let a fax machine call ``to`` and send these pages; return what the call came to for the machine.

    The call reaches the ``sim:`` line with that number, or if it does not await a call, any that does. The line hears
    which number was dialled: plus and digits, whatever its own is.

    Args:
        to: the number that is dialled, with or without plus and separators.
        pages: what the machine sends.
        caller: the machine's own number.
        within: seconds of real time until a line must have taken the call.

    Raises:
        RequestError: ``number.invalid``, ``sandbox.none``, ``sandbox.no_line``.
    """
    _check(to, caller)
    tray = Tray(await asyncio.to_thread(_sheets, pages))
    station = Station(plus(caller))
    outcome = await sandbox().call_in(to, station, tray, number=caller, within=within)
    if outcome is None:
        raise _no_line()
    return outcome


async def start_call(
    to: str, pages: Sequence[CodedPage], *, caller: str = CALLER, within: float = WITHIN
) -> "asyncio.Task[Outcome | None]":
    """Do what ``call_in`` does in a task of its own, once a line awaits a call. The task need not be kept.

    Its result is None if in the end no line took the call: other callers were faster.

    Raises:
        RequestError: as ``call_in`` does.
    """
    _check(to, caller)
    if not await sandbox().one_waits(within):
        raise _no_line()
    calling = asyncio.create_task(_call(to, pages, caller=caller, within=within), name="a simulated machine calls in")
    sandbox().keep(calling)
    return calling


async def _call(to: str, pages: Sequence[CodedPage], *, caller: str, within: float) -> Outcome | None:
    try:
        return await call_in(to, pages, caller=caller, within=within)
    except RequestError as error:
        log.warning("simulated call not taken", code=error.code)
        return None


def _check(*numbers: str) -> None:
    if not lines():
        raise RequestError("sandbox.none", "There is no simulated line that could be called; configure a sim: line.")
    for number in numbers:
        if not digits(number):
            raise RequestError("number.invalid", "A simulated machine calls a number, and from one; give digits.")


def _no_line() -> RequestError:
    return RequestError("sandbox.no_line", "No simulated line awaits a call just now; try again.")


def _sheets(pages: Sequence[CodedPage]) -> list[Sheet]:
    return [Sheet(bitmap_of(page), page.width, page.resolution, _length(page)) for page in pages]


def _length(page: CodedPage) -> Length:
    """Return the shortest length that the page fits into, but for half an inch."""
    millimetres = 25.4 * (page.rows / page.resolution.down - 0.5)
    return next(length for length in Length if length.value is None or millimetres <= length.value)
