"""What the API answers about lines, routes and destinations, field by field."""

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
    learned: dict[str, Any] | None
    """What got a fax through, and until when it is remembered."""
    override: dict[str, Any] | None
    """What was laid down instead."""
    version: int
    """Goes up with every change; the ETag."""
    updated_at: datetime
    """When it was last changed."""
