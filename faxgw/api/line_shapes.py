"""What the API answers about lines, routes, destinations and machines, field by field."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from faxgw.api.shapes import Shape


class RouteShape(Shape):
    """Which lines calls take."""

    id: UUID
    """Its id."""
    prefix: str
    """How the numbers begin; empty: every number."""
    lines: list[str]
    """The lines."""
    cost: float
    """What a minute costs."""
    version: int
    """Goes up with every change; the ETag."""
    created_at: datetime
    """When it was made."""


class CandidateShape(Shape):
    """A line that may take the call."""

    line: str
    """Its name."""
    node: str
    """The gateway process that has it."""
    idle: bool
    """Whether no call is on it."""
    prefix: str
    """Of the route that names it."""
    cost: float
    """What a minute costs."""
    failures: float
    """Its recent failures, of which older ones count less."""


class StepShape(Shape):
    """One step on the way to the choice."""

    code: str
    """A stable name."""
    text: str
    """The same in words."""
    data: dict[str, Any]
    """What it speaks of."""


class SimulationShape(Shape):
    """Which line a call would take, and why."""

    number: str
    """The number as it would be dialled."""
    candidates: list[CandidateShape]
    """Lines that may take the call, the best first."""
    steps: list[StepShape]
    """Why."""


class LineShape(Shape):
    """A telephone line as its node last saw it."""

    name: str
    """Its name."""
    node: str
    """The gateway process that has it."""
    kind: str
    """What it is: class1, sip, udptl, tpkt or sim."""
    sends: bool
    """Whether outgoing calls take it."""
    receives: bool
    """Whether incoming calls are answered."""
    state: Literal["idle", "busy", "down"]
    """What it does."""
    fault: str
    """Why it is down."""
    updated_at: datetime
    """When that was seen."""


class LinesShape(Shape):
    """The lines."""

    items: list[LineShape]
    """By name."""


class DestinationShape(Shape):
    """What is known of a number."""

    number: str
    """In E.164 form."""
    station_ids: list[str]
    """How the machines that answered there call themselves."""
    override: dict[str, Any] | None
    """What was laid down for its calls as a whole."""
    version: int
    """Goes up with every change; the ETag."""
    updated_at: datetime
    """When it was last changed."""


class AbilitiesShape(Shape):
    """What a machine said that it can do; of a caller, what it chose last."""

    rates: list[str]
    """The fastest first."""
    ecm: bool
    """Error correction."""
    codings: list[str]
    """MH, MR, MMR."""
    resolutions: list[str]
    """Of pages."""


class LimitShape(Shape):
    """How it stands with one thing that calls can do without."""

    limit: str
    """Its name; docs/learning.md has them all."""
    on: bool
    """Calls do without it; false: an operator does not let them."""
    by: Literal["learned", "operator"]
    """Whether calls have taught it, or an operator has laid it down."""
    until: datetime | None
    """When that is over; null: it is not."""
    bps: int | None
    """Where calls begin, of `max_bps`."""
    text: str
    """All of it, in a sentence."""


class MachineShape(Shape):
    """What calls have taught of the fax machine at the other end."""

    id: UUID
    """Its id."""
    direction: Literal["out", "in"]
    """`out`: it was called; `in`: it calls."""
    number: str
    """Its number, in E.164 form where it has one."""
    station: str
    """Of a caller without a number: what it calls itself."""
    calls: int
    """How many calls are kept."""
    seen_at: datetime | None
    """When the last one was."""
    can: AbilitiesShape | None
    """What it said that it can do; null: nothing yet."""
    maker: str
    """Who made it, or from which country that is, as far as its own extensions tell (NSF, NSS); else empty."""
    limits: list[LimitShape]
    """What was learned or laid down, and holds now."""
    adjustments: dict[str, Any]
    """What the next call does otherwise than its line is set to, by these."""
    verdicts: dict[str, Any]
    """What was laid down, by limit, whether it still holds or not."""
    version: int
    """Goes up with every change of what is laid down; the ETag."""
    created_at: datetime
    """When it was first heard of."""
