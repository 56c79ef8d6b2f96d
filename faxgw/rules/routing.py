"""Which line a call takes: the longest matching prefix, then the cost, then how well each line has done lately."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import Field

from faxgw.rules.model import Rules

HALF_LIFE = timedelta(minutes=10)
"""After so long a failure of a line counts half."""
_CHANNEL = ":"


class Route(Rules):
    """Lines that take a tenant's calls to the numbers of one prefix."""

    prefix: str = Field(
        default="",
        pattern=r"^(\+?[0-9]{1,20})?$",
        description="How the numbers begin, in E.164 form; empty: every number. The longest one that fits is taken.",
        examples=["+49"],
    )
    lines: tuple[str, ...] = Field(
        min_length=1, max_length=200, description="Names of the lines; the order does not matter.", examples=[["isdn1"]]
    )
    cost: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="What a minute costs, in any unit: the cheaper route is tried first.",
    )


class Health(Rules):
    """How a line has done lately: its failures, of which the older count less."""

    score: float = Field(default=0.0, ge=0, description="Failures at `at`, each halved every ten minutes since.")
    at: datetime | None = Field(default=None, description="When the last call ended that is counted.")

    def now(self, moment: datetime) -> float:
        """Return what the failures count at ``moment``, rounded so that what is long ago is nothing."""
        if self.at is None:
            return 0.0
        return round(self.score * math.exp2(-max((moment - self.at) / HALF_LIFE, 0.0)), 1)

    def failed(self, moment: datetime) -> "Health":
        """Return the health after a call that failed because of the line."""
        return Health(score=self.now(moment) + 1, at=moment)

    def succeeded(self, moment: datetime) -> "Health":
        """Return the health after a call that the line carried well: half of what was held against it is forgiven."""
        return Health(score=self.now(moment) / 2, at=moment)


HEALTHY = Health()


@dataclass(frozen=True, slots=True)
class LineState:
    """A line as its node last saw it.

    Attributes:
        sends: it may be used for outgoing calls.
        idle: no call is on it.
        up: it can be used at all.
        tenants: names of those who may use it; empty: everybody.
    """

    name: str
    sends: bool = True
    idle: bool = True
    up: bool = True
    health: Health = HEALTHY
    tenants: frozenset[str] = frozenset()
    node: str = ""

    @property
    def trunk(self) -> str:
        """The line's name in routes: that of the trunk of which it is a channel, or its own."""
        return trunk_of(self.name)


def trunk_of(line: str) -> str:
    """Return the name by which routes and boxes know a line: channel ``carrier:7`` is of line ``carrier``."""
    return line.partition(_CHANNEL)[0]


def channel_of(trunk: str, number: int) -> str:
    """Return the name of a channel; no name in a configuration has such a colon."""
    return f"{trunk}{_CHANNEL}{number}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that may take the call; ``failures`` is what counts against it now."""

    line: str
    node: str
    idle: bool
    prefix: str
    cost: float
    failures: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to the choice: a stable code, one plain sentence, and what it speaks of."""

    code: str
    text: str
    data: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """The lines that may take a call, the best first, and why."""

    candidates: tuple[Candidate, ...]
    steps: tuple[Step, ...]

    @property
    def line(self) -> Candidate | None:
        """The best line that is idle; None if the call has to wait."""
        return next((each for each in self.candidates if each.idle), None)


def choose(
    number: str,
    *,
    routes: Sequence[Route],
    lines: Sequence[LineState],
    tenant: str,
    now: datetime,
    avoid: str = "",
) -> Choice:
    """Return which lines may take a tenant's call to ``number``, the best first.

    Only the routes with the longest prefix that fits count: a route for some numbers replaces the more general one.
    Without routes every sending line takes every number.

    Args:
        number: in E.164 form, or a short number.
        routes: the tenant's.
        lines: all that there are.
        tenant: name of the tenant.
        now: when the call is to be made.
        avoid: name of a line that comes last, since it failed just now.
    """
    routed, reason = _routes_for(number, routes)
    ordered = sorted(lines, key=lambda each: (each.name, each.node))
    obstacles = [(line, _obstacle(line, tenant, routed)) for line in ordered]
    candidates = [_candidate(line, routed, now) for line, obstacle in obstacles if obstacle is None]
    candidates.sort(key=lambda each: (trunk_of(each.line) == trunk_of(avoid), each.cost, each.failures))
    passed_over = [obstacle for _, obstacle in obstacles if obstacle is not None]
    ranked = [_ranked(place, each) for place, each in enumerate(candidates, 1)]
    return Choice(tuple(candidates), (reason, *passed_over, *ranked, _conclusion(candidates)))


# ------------------------------------------------------------------------------------------------------- step by step


def _routes_for(number: str, routes: Sequence[Route]) -> tuple[list[Route] | None, Step]:
    """Return the routes that count, None if every line will do, and the step that says so."""
    if not routes:
        return None, Step("route.none", "There are no routes: every sending line takes every number.")
    fitting = [route for route in routes if number.startswith(route.prefix)]
    if not fitting:
        return [], Step("route.no_match", "No route fits this number.")
    prefix = max((route.prefix for route in fitting), key=len)
    what = f"for numbers that begin with {prefix}" if prefix else "for all other numbers"
    step = Step("route.prefix", f"The route {what} is the most exact one.", {"prefix": prefix})
    return [route for route in fitting if route.prefix == prefix], step


def _obstacle(line: LineState, tenant: str, routed: Sequence[Route] | None) -> Step | None:
    """Return why a line cannot take the call, if it cannot."""
    obstacles = (
        (not line.sends, "line.receives_only", "is for receiving only"),
        (bool(line.tenants) and tenant not in line.tenants, "line.other_tenant", "belongs to another tenant"),
        (routed is not None and _route_of(line, routed) is None, "line.not_routed", "is not in the route"),
        (not line.up, "line.down", "is out of order"),
    )
    found = next(((code, text) for holds, code, text in obstacles if holds), None)
    return Step(found[0], f"Line {line.name} {found[1]}.", {"line": line.name}) if found else None


def _route_of(line: LineState, routed: Iterable[Route]) -> Route | None:
    """Return the cheapest route that names the line."""
    return min((route for route in routed if line.trunk in route.lines), key=lambda each: each.cost, default=None)


def _candidate(line: LineState, routed: Sequence[Route] | None, now: datetime) -> Candidate:
    route = _route_of(line, routed or ())
    prefix, cost = (route.prefix, route.cost) if route else ("", 0.0)
    return Candidate(line.name, line.node, line.idle, prefix, cost, line.health.now(now))


def _ranked(place: int, each: Candidate) -> Step:
    busy = "" if each.idle else "; it is busy now"
    text = f"{place}. line {each.line}: costs {each.cost:g}, recent failures count {each.failures:g}{busy}."
    return Step("line.candidate", text, {"line": each.line, "cost": each.cost, "failures": each.failures})


def _conclusion(candidates: Sequence[Candidate]) -> Step:
    best = next((each for each in candidates if each.idle), None)
    if best is not None:
        return Step("line.chosen", f"The call takes line {best.line}.", {"line": best.line})
    if candidates:
        return Step("line.wait", "Every line that may take the call is busy: it waits.")
    return Step("line.nothing", "No line can take the call.")
