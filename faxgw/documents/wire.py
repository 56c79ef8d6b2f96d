"""What the gateway and its rendering worker say to each other: a line of JSON, and a file's octets or a page's greys.

JSON and raw octets, not pickles: the worker reads files from strangers, and what it answers may be theirs too.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from faxgw.documents.layout import Box, PageShape, PelForPel
from faxgw.documents.screening import Screen
from t30.pages import Resolution, Width
from t30.t4.greys import Frame, size
from t30.t4.lanes import Greys


@dataclass(frozen=True, slots=True)
class OpenJob:
    """Read a file far enough to tell its pages, in place of what was open in ``slot``; answered by their shapes.

    The line is followed by the file: so many ``octets``.
    """

    slot: int
    name: str
    octets: int


@dataclass(frozen=True, slots=True)
class PageJob:
    """Draw page ``page`` (from 0) of the file in ``slot`` on the sheet: greys of ``box``, and of the header's rows.

    The worker does not ask how grey becomes black and white, nor for all of the page around the box.
    """

    slot: int
    page: int
    resolution: Resolution
    pels: int
    rows: int
    box: Box
    turned: bool
    copied: bool
    screen: Screen
    header_rows: int
    header: str


@dataclass(frozen=True, slots=True)
class FillJob:
    """Fill a template in; answered by its text. The line is followed by ``octets`` of JSON: filling.py's arguments."""

    name: str
    octets: int


@dataclass(frozen=True, slots=True)
class EndJob:
    """Let go of everything that was read, by ending the process that read it; answered by ``ENDED`` when it is gone."""


ENDED = b"{}\n"

Job = OpenJob | PageJob | FillJob | EndJob
PLAIN = (OpenJob, FillJob, EndJob)
"""The jobs whose fields are numbers and texts."""


def sheet_octets(job: PageJob) -> int:
    """Return how many octets of the sheet the greys of a job take."""
    return size(job.box.down, job.box.across) + size(job.header_rows, job.pels)


def frames(job: PageJob, octets: Greys) -> tuple[Frame, Frame]:
    """Return where on the sheet the greys of a job lie, ``sheet_octets`` in all: its box, and its header line."""
    page = size(job.box.down, job.box.across)
    return Frame(octets[:page], job.box.down, job.box.across), Frame(octets[page:], job.header_rows, job.pels)


def job_to_json(job: Job) -> bytes:
    """Write a job as one line."""
    fields = asdict(job) | {"do": type(job).__name__}
    if isinstance(job, PageJob):
        fields |= {"resolution": job.resolution.name, "screen": job.screen.name}
    return json.dumps(fields).encode() + b"\n"


def job_from_json(line: bytes) -> Job:
    """Read a job back."""
    fields: dict[str, Any] = json.loads(line)
    do = fields.pop("do")
    for kind in PLAIN:
        if do == kind.__name__:
            return kind(**fields)
    fields["resolution"], fields["screen"] = Resolution[fields["resolution"]], Screen[fields["screen"]]
    fields["box"] = Box(**fields["box"])
    return PageJob(**fields)


def shape_to_json(shape: PageShape) -> list[Any]:
    """Write a page's shape."""
    own = shape.pel_for_pel
    return [
        shape.across,
        shape.down,
        shape.sized,
        None if own is None else [own.width.name, own.resolution.name, own.rows],
    ]


def shape_from_json(fields: list[Any]) -> PageShape:
    """Read a page's shape back."""
    across, down, sized, own = fields
    pel_for_pel = None if own is None else PelForPel(Width[own[0]], Resolution[own[1]], int(own[2]))
    return PageShape(float(across), float(down), bool(sized), pel_for_pel)
