"""Is the service ready? Each part of it registers a check that says in one sentence how it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from faxgw.metrics import READY

log = structlog.get_logger(__name__)

KEEP = 1.0
"""Seconds for which an answer holds, so that nobody can load the parts by asking."""
WITHIN = 2.0
"""Seconds that one check may take."""


class NotReady(Exception):
    """Raised by a check: something is wrong; the text is one sentence that says what, and what to do."""


class Degraded(Exception):
    """Raised by a check: the service is ready, but an administrator has something to do; the text says what."""


Check = Callable[[], Awaitable[str]]
"""Returns one sentence when all is well, raises ``NotReady`` or ``Degraded`` with one when it is not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to."""

    ok: bool
    text: str
    seconds: float
    degraded: bool = False


class Health:
    """The checks of a service, and their latest findings."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, float]] = {}
        self._findings: dict[str, Finding] = {}
        self._looked = -KEEP
        self._looking: asyncio.Task[dict[str, Finding]] | None = None

    def register(self, name: str, check: Check, *, within: float = WITHIN) -> None:
        """Add a check, or replace the one of that name; ``within`` seconds it must have answered."""
        self._checks[name] = (check, within)

    async def findings(self) -> dict[str, Finding]:
        """Return what every check says, asked at most once a second and all at the same time."""
        if time.monotonic() - self._looked < KEEP:
            return self._findings
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        # Who asked may go away; the others still want to know.
        return await asyncio.shield(self._looking)

    async def _look(self) -> dict[str, Finding]:
        try:
            found = await asyncio.gather(*(_ask(*each) for each in self._checks.values()))
            before, self._findings = self._findings, dict(zip(self._checks, found, strict=True))
            self._looked = time.monotonic()
        finally:
            self._looking = None
        _tell(before, self._findings)
        return self._findings


async def _ask(check: Check, within: float) -> Finding:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(within):
            ok, text = True, await check()
    except Degraded as reason:
        return Finding(ok=True, text=str(reason), seconds=time.monotonic() - begun, degraded=True)
    except NotReady as reason:
        ok, text = False, str(reason)
    except TimeoutError:
        ok, text = False, f"no answer within {within:g} s"
    except Exception as fault:  # a check that fails must not hide what the others say
        log.exception("check failed")
        ok, text = False, f"the check itself failed ({type(fault).__name__}); the log has more"
    return Finding(ok, text, time.monotonic() - begun)


def _tell(before: dict[str, Finding], now: dict[str, Finding]) -> None:
    for name, finding in now.items():
        READY.labels(name).set(finding.ok)
        was_ok = before[name].ok if name in before else True
        if was_ok and not finding.ok:
            log.error("not ready", check=name, reason=finding.text)
        elif finding.ok and not was_ok:
            log.info("ready again", check=name)
